"""A whole export: choose the images, write them in one format, say what was lost, and put it in place at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from camviewer import __version__
from camviewer.catalogue.formats import FormatSpec, format_spec
from camviewer.catalogue.parameters import Value, complete
from camviewer.errors import Cancelled, ExportError, FormatError, ImageError, ProjectError, UsageError
from camviewer.formats import disk
from camviewer.formats.pictures import IMAGE_MODES, ImageMode
from camviewer.formats.records import Category, Context, Item, ItemMask
from camviewer.formats.registry import writer
from camviewer.formats.strict_json import encode
from camviewer.pipeline.export_source import Entry, Regions, Source, StatusFilter, open_source
from camviewer.pipeline.publish import MANIFEST, publish, report_name
from camviewer.pipeline.split import PARTS, check_ratios, read_groups, split


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export, and how.

    Attributes:
        source: project file, folder with one, or explain folder.
        format: name in the table of formats.
        out: folder of the result.
        status: ``reviewed`` or ``all``; None takes reviewed for projects and all for explain folders.
        options: values of the format's parameters.
        regions: of explain folders, the first class of each image (as ``mask`` in ``explain.json``) or all classes.
        ratios: of train, val and test; empty for no split.
        seed: of the split.
        groups, group_column: CSV file and its column whose values never fall on two sides of the split.
        class_map: new name by old name; an empty new name leaves the class out. Equal new names are one class.
        images: whether image files are referenced, copied or linked; None takes what the format needs.
        strip: remove metadata from copied images.
        image_root: where the images lie, when not where they were.
        files: only these images, as the source names them; None for all.
    """

    source: Path
    format: str
    out: Path
    status: StatusFilter | None = None
    options: dict[str, Value] = field(default_factory=dict)
    regions: Regions = "predicted"
    ratios: tuple[float, ...] = ()
    seed: int = 0
    groups: Path | None = None
    group_column: str = ""
    class_map: dict[str, str] = field(default_factory=dict)
    images: ImageMode | None = None
    strip: bool = False
    image_root: Path | None = None
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported, or would be.

    Attributes:
        images: written, `empty` of them without a region and `unreviewed` of them not reviewed.
        regions: annotations written.
        pixels: pixels of the masks; `pixels_lost` of them a reader of the format would get wrong.
        left_out: how many images stayed out, by reason.
        parts: images in each part of the split.
        problems: sentences about single images, at most 100.
        entries: top-level files and folders.
    """

    format: str
    out: Path
    images: int
    regions: int
    empty: int
    unreviewed: int
    pixels: int
    pixels_lost: int
    left_out: dict[str, int]
    parts: dict[str, int]
    classes: dict[str, int]
    problems: tuple[str, ...]
    entries: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        verb = "would be exported" if self.dry_run else "exported"
        text = f"{self.images} image{'' if self.images == 1 else 's'} {verb}, {self.regions} regions."
        if self.left_out:
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.left_out.items()))
            stay = sum(self.left_out.values())
            text += f" {stay} image{' stays' if stay == 1 else 's stay'} out: {reasons}."
        if self.pixels_lost and self.pixels:
            text += f" The format changes {self.pixels_lost} of {self.pixels} mask pixels."
        return text

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the sentence; without the folder's place on this machine."""
        data = asdict(self)
        data.pop("out")
        data["sentence"] = self.sentence
        return data


def export(
    request: ExportRequest,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExportReport:
    """Export, or only count with `dry_run`.

    The result is written beside `request.out` and moved there when it is whole; cancelled, failed or killed, it
    leaves the folder as it was.

    Args:
        on_progress: called with (images done, images in all).
        cancelled: asked before each image.

    Raises:
        UsageError: for a wrong option.
        ExportError: when there is nothing to export or the disk does not take it.
        FormatError, ProjectError: when the source cannot be read.
        Cancelled: when `cancelled` says so.
    """
    spec = format_spec(request.format)
    options = complete(spec.parameters, request.options, owner=spec.title)
    if request.images is not None and request.images not in IMAGE_MODES:
        raise UsageError(f"Images can be handled as {', '.join(IMAGE_MODES)}, not {request.images!r}.")
    ratios = check_ratios(request.ratios) if request.ratios else ()
    source = open_source(request.source, regions=request.regions, image_root=request.image_root)
    try:
        return _Export(request, spec, options, ratios, source).run(
            dry_run=dry_run, on_progress=on_progress, cancelled=cancelled
        )
    finally:
        source.close()


class _Export:
    """One export under way: the counts, and the steps in their order."""

    def __init__(
        self,
        request: ExportRequest,
        spec: FormatSpec,
        options: dict[str, Value],
        ratios: tuple[float, ...],
        source: Source,
    ) -> None:
        self._request = request
        self._spec = spec
        self._options = options
        self._ratios = ratios
        self._source = source
        self._status: StatusFilter = request.status or source.default_status
        self._categories, self._class_of = _map_classes(source.categories, request.class_map)
        self._left_out: dict[str, int] = {}
        self._problems: list[str] = []
        self._images = self._regions = self._empty = self._unreviewed = self._pixels = self._lost = 0
        self._parts: dict[str, int] = {}
        self._per_class: dict[str, int] = {}
        self._seen: list[dict[str, Any]] = []

    def run(
        self,
        *,
        dry_run: bool,
        on_progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> ExportReport:
        entries = self._choose()
        out = self._request.out.absolute()
        created = datetime.now(UTC).isoformat(timespec="seconds")
        make = writer(self._spec.name)
        staging = None if dry_run else disk.partial_folder(out.parent)
        active = None
        try:
            context = None if staging is None else self._context(staging, out, entries, created)
            active = None if context is None else make(context)
            for done, entry in enumerate(entries):
                if cancelled is not None and cancelled():
                    raise Cancelled
                if on_progress is not None:
                    on_progress(done, len(entries))
                try:
                    item = self._item(entry)
                    if active is not None:
                        active.add(item)
                    loss = make.measure(item, self._options)
                except (ImageError, FormatError, ProjectError) as error:
                    self._leave_out("cannot be read", error.message)
                    continue
                self._count(item, loss.regions, loss.pixels, loss.of)
                for note in loss.notes:
                    self._note(f"{item.file}: {note}")
            if not self._images:
                raise ExportError(self._nothing())
            if active is None or staging is None:
                return self._report(dry_run=True)
            active.close()
            disk.write_bytes(staging / MANIFEST, encode(self._manifest(created), indent=1))
            names = sorted(path.name for path in staging.iterdir())
            report = replace(self._report(dry_run=False), entries=tuple(names))
            disk.write_bytes(staging / report_name(self._spec.name), encode(report.to_json(), indent=1))
            publish(staging, out, format_name=self._spec.name)
            if on_progress is not None:
                on_progress(len(entries), len(entries))
            return report
        finally:
            if active is not None:
                active.discard()
            if staging is not None:
                disk.remove(staging)

    def _choose(self) -> list[Entry]:
        wanted = None if self._request.files is None else set(self._request.files)
        chosen = []
        for entry in self._source.entries(self._status):
            if wanted is not None and entry.item.file not in wanted:
                continue
            if entry.left_out:
                self._leave_out(entry.left_out)
            else:
                chosen.append(entry)
        if not chosen:
            raise ExportError(self._nothing())
        if not self._ratios:
            return chosen
        groups = self._groups(chosen)
        parts = split(groups, self._ratios, seed=self._request.seed)
        return [
            replace(entry, item=replace(entry.item, split=part, group=group))
            for entry, part, group in zip(chosen, parts, groups, strict=True)
        ]

    def _groups(self, chosen: Iterable[Entry]) -> list[str]:
        if self._request.groups is None:
            return [f"{entry.key}" for entry in chosen]
        known = read_groups(self._request.groups, column=self._request.group_column)
        groups = []
        for entry in chosen:
            group = known.get(PurePosixPath(entry.item.file).stem.casefold())
            if not group:
                self._note(f"{entry.item.file} has no {self._request.group_column} and is a group of its own.")
            groups.append(f"group {group}" if group else f"image {entry.key}")
        return groups

    def _context(self, staging: Path, out: Path, entries: list[Entry], created: str) -> Context:
        return Context(
            folder=staging,
            target=out,
            categories=self._categories,
            options=self._options,
            splits=PARTS[: len(self._ratios)] if self._ratios else ("",),
            images=self._request.images or ("copy" if self._spec.images else "reference"),
            strip=self._request.strip,
            reviewed=all(entry.item.reviewed for entry in entries),
            created=created,
            total=len(entries),
            source=self._request.source.absolute().name,
            runs=tuple(self._source.runs()),
        )

    def _item(self, entry: Entry) -> Item:
        item = self._source.load(entry)
        if not self._request.class_map:
            return item
        masks: dict[int, ItemMask] = {}
        for mask in item.masks:
            new = self._class_of.get(mask.class_id)
            if new is None:
                continue
            if new in masks:
                mask = replace(masks[new], pixels=masks[new].pixels | mask.pixels)
            masks[new] = replace(mask, class_id=new)
        boxes = tuple(
            replace(box, class_id=self._class_of[box.class_id]) for box in item.boxes if box.class_id in self._class_of
        )
        maps = tuple(
            replace(found, class_id=self._class_of[found.class_id])
            for found in item.maps
            if found.class_id in self._class_of
        )
        names = {entry.id: entry.name for entry in self._categories}
        top = tuple(
            (self._class_of[class_id], names[self._class_of[class_id]], probability)
            for class_id, _, probability in item.top
            if class_id in self._class_of
        )
        return replace(item, masks=tuple(masks.values()), boxes=boxes, maps=maps, top=top)

    def _count(self, item: Item, regions: int, lost: int, pixels: int) -> None:
        self._images += 1
        self._regions += regions
        self._lost += lost
        self._pixels += pixels
        self._empty += not regions
        self._unreviewed += not item.reviewed
        if item.split:
            self._parts[item.split] = self._parts.get(item.split, 0) + 1
        names = {entry.id: entry.name for entry in self._categories}
        for class_id in {mask.class_id for mask in item.masks if mask.pixels.any()}:
            name = names.get(class_id, str(class_id))
            self._per_class[name] = self._per_class.get(name, 0) + 1
        row: dict[str, Any] = {"file": item.file, "status": item.status if item.reviewed else "unreviewed"}
        if item.split:
            row["part"] = item.split
        self._seen.append(row)

    def _leave_out(self, why: str, problem: str = "") -> None:
        self._left_out[why] = self._left_out.get(why, 0) + 1
        if problem:
            self._note(problem)

    def _note(self, sentence: str) -> None:
        if len(self._problems) < 100:
            self._problems.append(sentence)

    def _nothing(self) -> str:
        if not self._left_out:
            return "There is no image to export."
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(self._left_out.items()))
        hint = "" if self._status == "all" else " Review images first, or export all."
        return f"There is nothing to export: {reasons}.{hint}"

    def _report(self, *, dry_run: bool) -> ExportReport:
        return ExportReport(
            self._spec.name,
            self._request.out,
            self._images,
            self._regions,
            self._empty,
            self._unreviewed,
            self._pixels,
            self._lost,
            self._left_out,
            self._parts,
            self._per_class,
            tuple(self._problems),
            dry_run=dry_run,
        )

    def _manifest(self, created: str) -> dict[str, Any]:
        return {
            "schema": 1,
            "camviewer": __version__,
            "created": created,
            "format": self._spec.name,
            "options": self._options,
            "status": self._status,
            "review": "unreviewed" if self._unreviewed else "reviewed",
            "split": {"ratios": list(self._ratios), "seed": self._request.seed, "group": self._request.group_column},
            "classes": [{"id": entry.id, "name": entry.name} for entry in self._categories],
            "runs": self._source.runs(),
            "images": self._seen,
        }


def _map_classes(
    categories: tuple[Category, ...], class_map: dict[str, str]
) -> tuple[tuple[Category, ...], dict[int, int]]:
    """Return the new categories, and the new id of each old one that stays.

    Raises:
        UsageError: when the map names a class that does not exist.
    """
    if not class_map:
        return categories, {entry.id: entry.id for entry in categories}
    unknown = set(class_map) - {entry.name for entry in categories}
    if unknown:
        raise UsageError(f"There is no class {min(unknown)!r} to map.")
    new: dict[str, Category] = {}
    class_of: dict[int, int] = {}
    for entry in categories:
        name = class_map.get(entry.name, entry.name)
        if not name:
            continue
        kept = new.setdefault(name, Category(len(new) + 1, name, entry.colour))
        class_of[entry.id] = kept.id
    return tuple(new.values()), class_of
