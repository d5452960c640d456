"""What an export reads: a project, or an explain folder, as one kind of items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from camviewer.catalogue.formats import FORMATS
from camviewer.errors import ExportError
from camviewer.formats.explain_json import FILE
from camviewer.formats.explain_reader import ExplainFolder, ImageRow, read_explain
from camviewer.formats.names import UniqueNames, safe_part, safe_stem
from camviewer.formats.records import Category, Item, ItemBox, ItemMap, ItemMask, rule_words
from camviewer.pipeline.publish import MANIFEST, report_name
from camviewer.project.records import CLASS_COLOURS, ClassTable, ImageRecord, Run
from camviewer.project.store import Project
from camviewer.project.temperature import network_of, networks, temperatures, tempered

Regions = Literal["predicted", "all"]
StatusFilter = Literal["reviewed", "all"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An image that may be exported: its item without regions, and why it stays out (empty when it goes in)."""

    item: Item
    key: int
    left_out: str = ""


class Source(ABC):
    """Images, categories and runs; regions are loaded one image at a time."""

    default_status: StatusFilter = "all"
    categories: tuple[Category, ...]

    @abstractmethod
    def entries(self, status: StatusFilter) -> list[Entry]:
        """Return every image, in order."""

    @abstractmethod
    def load(self, entry: Entry) -> Item:
        """Return the item with its regions.

        Raises:
            FormatError, ProjectError: when a region cannot be read.
        """

    @abstractmethod
    def runs(self) -> list[dict[str, Any]]:
        """Return every field of every run."""

    def close(self) -> None:  # noqa: B027 - only a project holds something open
        """Release what is open."""


def open_source(path: Path, *, regions: Regions = "predicted", image_root: Path | None = None) -> Source:
    """Return the source at `path`.

    Args:
        path: a project file, an explain folder or its ``explain.json``.
        regions: of an explain folder, the masks of the first class of each image, or of all classes.
        image_root: where the images lie, when not where they were.

    Raises:
        ExportError: when it is neither.
        FormatError, ProjectError: when it cannot be read.
    """
    if path.is_dir() or path.name == FILE:
        folder = path if path.is_dir() else path.parent
        if (folder / FILE).is_file():
            return ExplainSource(read_explain(folder), regions=regions, image_root=image_root)
        found = sorted(folder.glob("*.camviewer"))
        if len(found) == 1:
            return ProjectSource(Project.open(found[0]), image_root=image_root)
        raise ExportError(f"{path.name or path} holds neither {FILE} nor one project. Choose another folder.")
    if not path.exists():
        raise ExportError(f"{path.name} is not there. Choose a project or an explain folder.")
    return ProjectSource(Project.open(path), image_root=image_root)


class _Names:
    """Unique stems, nested and flat."""

    def __init__(self) -> None:
        self._nested = UniqueNames()
        self._flat = UniqueNames()
        # The files that tell of an export lie beside those of the images.
        for name in (MANIFEST, *(report_name(spec.name) for spec in FORMATS)):
            self._nested.take(PurePosixPath(name).stem)

    def item(self, file: str, source: Path | None, size: tuple[int, int]) -> Item:
        nested = self._nested.take(safe_stem(file))
        flat = self._flat.take(safe_part(nested.replace("/", "_")))
        return Item(file, nested, flat, source, size)


def _found(*candidates: Path | None) -> Path | None:
    return next((path for path in candidates if path is not None and path.is_file()), None)


class ExplainSource(Source):
    """An explain folder; nothing in it is reviewed."""

    default_status: StatusFilter = "all"

    def __init__(self, folder: ExplainFolder, *, regions: Regions, image_root: Path | None) -> None:
        self._folder = folder
        self._regions = regions
        self._image_root = image_root
        names = dict(enumerate(folder.run.classes))
        for row in folder.images:
            for found in row.maps:  # boxes and masks belong to maps
                names.setdefault(found.class_index, f"class {found.class_index}")
        self.categories = tuple(
            Category(index + 1, names[index], CLASS_COLOURS[index % len(CLASS_COLOURS)]) for index in sorted(names)
        )

    def entries(self, status: StatusFilter) -> list[Entry]:
        names = _Names()
        entries = []
        for key, row in enumerate(self._folder.images):
            root = self._image_root
            source = _found(None if root is None else root / row.file, row.source)
            item = names.item(row.file, source, row.size)
            why = "not reviewed" if status == "reviewed" else ""
            entries.append(Entry(item, key, "cannot be read" if row.error else why))
        return entries

    def load(self, entry: Entry) -> Item:
        row = self._folder.images[entry.key]
        wanted, rule = self._wanted(row), self._folder.run.rule
        maps = {found.id: found for found in row.maps}
        masks = tuple(
            ItemMask(
                mask.class_index + 1,
                self._folder.read_mask(row, mask),
                mask.refine,
                score=next((box.score for box in row.boxes if box.map == mask.map), None),
                method=maps[mask.map].method,
                layer=maps[mask.map].layer,
                rule=rule_words(rule.rule, rule.threshold),
                doubt=mask.doubt,
            )
            for mask in row.masks
            if mask.map in wanted
        )
        return replace(
            entry.item,
            masks=masks,
            boxes=tuple(
                ItemBox(box.class_index + 1, box.xyxy, box.score, box.probability)
                for box in row.boxes
                if box.map in wanted
            ),
            maps=tuple(
                ItemMap(
                    found.class_index + 1,
                    found.method,
                    found.layer,
                    self._folder.read_map(found),
                    self._folder.geometry(row, found),
                )
                for found in row.maps
                if found.id in wanted and found.file is not None
            ),
            top=tuple((score.index + 1, score.name, score.probability) for score in row.top),
        )

    def _wanted(self, row: ImageRow) -> set[int]:
        """Return the ids of the first map of each class that is exported; further methods repeat the same object."""
        first: dict[int, int] = {}
        for found in row.maps:
            first.setdefault(found.class_index, found.id)
        if self._regions == "predicted" and row.maps:
            return {row.maps[0].id}
        return set(first.values())

    def runs(self) -> list[dict[str, Any]]:
        return [self._folder.run.to_json()]


_WHY_NOT = {
    "new": "not computed",
    "computed": "not reviewed",
    "edited": "edited but not reviewed",
    "skipped": "skipped",
    "failed": "cannot be read",
}


class ProjectSource(Source):
    """A project: the reviewed mask of a class where there is one, else the automatic one."""

    default_status: StatusFilter = "reviewed"

    def __init__(self, project: Project, *, image_root: Path | None) -> None:
        self._project = project
        self._image_root = image_root
        self._table: ClassTable = project.class_table()
        self._temperatures = temperatures(project)
        self._networks = networks(project) if self._temperatures else {}
        self._rules: dict[int, str] = {}
        self._doubts: dict[int, float | None] = {}
        self.categories = tuple(Category(entry.id, entry.name, entry.colour) for entry in self._table.classes)

    def entries(self, status: StatusFilter) -> list[Entry]:
        names = _Names()
        entries = []
        taken = {"reviewed"} if status == "reviewed" else {"reviewed", "edited", "computed"}
        for record in self._project.images():
            assert record.id is not None
            file = record.path.as_posix()
            source = _found(
                None if self._image_root is None else self._image_root / record.path, self._project.file_of(record)
            )
            item = names.item(self._outside(record.path), source, record.size)
            why = "" if record.status in taken else _WHY_NOT.get(record.status, record.status)
            item = replace(item, file=file, **self._about(record))
            entries.append(Entry(item, record.id, why))
            self._doubts[record.id] = record.doubt
        return entries

    @staticmethod
    def _outside(path: PurePosixPath) -> str:
        """Return a path without the steps out of the project's folder."""
        return "/".join(part for part in path.parts if part not in {"..", "/"}) or "image"

    def _about(self, record: ImageRecord) -> dict[str, Any]:
        by_model, temperature = self._table.by_model, self._temperature(record)
        top = record.top if temperature is None else tempered(record.top, temperature)  # as the window shows them
        return {
            "reviewed": record.status == "reviewed",
            "status": record.status,
            "note": record.note,
            "flags": record.flags,
            "top": tuple(
                (by_model[index], self._table[by_model[index]].name, probability)
                for index, _, probability in top
                if index in by_model
            ),
            "temperature": temperature,
        }

    def _temperature(self, record: ImageRecord) -> float | None:
        network = self._networks.get(record.id or 0)
        found = self._temperatures.get(network) if network is not None else None
        return None if found is None else found.value

    def _rule(self, run_id: int | None) -> str:
        if run_id is None:
            return ""
        if run_id not in self._rules:
            rule = self._project.run(run_id).rule
            self._rules[run_id] = rule_words(rule.rule, rule.threshold)
        return self._rules[run_id]

    def load(self, entry: Entry) -> Item:
        project, image_id = self._project, entry.key
        maps = project.maps(image_id)
        reviewed, doubt = entry.item.reviewed, self._doubts.get(image_id)
        return replace(
            entry.item,
            masks=tuple(
                ItemMask(
                    mask.class_id,
                    mask.pixels,
                    mask.refine,
                    reviewed or mask.slot == "reviewed",
                    rule=self._rule(mask.run),
                    doubt=doubt if mask.slot == "auto" else None,
                )
                for mask in project.final_masks(image_id)
            ),
            boxes=tuple(
                ItemBox(box.class_id, (box.x0, box.y0, box.x1, box.y1), box.score, box.probability, reviewed)
                for box in project.boxes(image_id)
            ),
            maps=tuple(
                ItemMap(
                    self._table.by_model.get(found.class_index, 0),
                    found.method,
                    found.layer,
                    found.values,
                    found.geometry,
                )
                for found in maps
            ),
        )

    def runs(self) -> list[dict[str, Any]]:
        runs = self._project.runs()
        return [{"id": run_id, **run.to_json(), **self._calibration(run)} for run_id, run in runs.items()]

    def _calibration(self, run: Run) -> dict[str, Any]:
        """Return the temperature that the classes of an image are written at; box probabilities are the network's."""
        found = self._temperatures.get(network_of(run))
        return {} if found is None else {"temperature": asdict(found)}

    def close(self) -> None:
        self._project.close()
