"""Annotations of others become a project's reviewed regions, or the truth it is compared with: all of them, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from camviewer.errors import Cancelled, FormatError, ImageError, UsageError
from camviewer.formats.annotated import Annotated, ReadableFormat, read_annotations, recognise
from camviewer.formats.strict_json import read_json
from camviewer.formats.voc import Coordinates
from camviewer.images.decode import read_header
from camviewer.images.geometry import Size
from camviewer.images.scan import scan
from camviewer.pipeline.publish import MANIFEST
from camviewer.project.locate import open_folder
from camviewer.project.records import BoolMask, Box, ImageRecord, Mask, Status
from camviewer.project.store import Project
from camviewer.project.truth import Truth, set_truths, truths

Purpose = Literal["reviewed", "truth"]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Attributes:
        source: annotation file or folder.
        format: None recognises it.
        purpose: ``reviewed`` makes them the images' regions and marks the images reviewed; ``truth`` keeps them to
            compare with.
        replace: also images with regions that a person made or changed here, or with an earlier truth.
        class_name: of masks in formats without class names; None takes the project's only class, or makes ``region``.
        class_map: name here by name there; an empty name leaves the class out. Other names are matched without
            regard to case, and added when the project does not have them.
        coordinates: how VOC boxes count.
        reviewer: kept with the images.
    """

    source: Path
    format: ReadableFormat | None = None
    purpose: Purpose = "reviewed"
    replace: bool = False
    class_name: str | None = None
    class_map: dict[str, str] = field(default_factory=dict)
    coordinates: Coordinates = "devkit"
    reviewer: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported, or would be.

    Attributes:
        images: that got regions or were confirmed to have none.
        masks, boxes: written.
        kept: images left as they are, because a person had worked on them.
        unknown: names of annotated images that the project does not have, at most 100 of `unknown_count`.
        classes: names of classes that were added.
        met: names of the classes that the annotations have, as they have them.
    """

    format: ReadableFormat
    purpose: Purpose
    images: int
    masks: int
    boxes: int
    kept: int
    unknown: tuple[str, ...]
    unknown_count: int
    classes: tuple[str, ...]
    met: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        verb = "would be imported" if self.dry_run else "imported"
        what = "as reviewed" if self.purpose == "reviewed" else "to compare with"
        text = f"{_count(self.images, 'image')} {verb} {what}: {_count(self.masks, 'mask')}"
        text += f", {_count(self.boxes, 'box', 'boxes')}." if self.boxes else "."
        if self.kept:
            text += f" {_count(self.kept, 'image')} stayed as {'it was' if self.kept == 1 else 'they were'}."
        if self.unknown_count:
            verb = "is" if self.unknown_count == 1 else "are"
            text += f" {_count(self.unknown_count, 'annotated image')} {verb} not in the project."
        return text


def open_project(path: Path) -> Project:
    """Open a project file, or the project of a folder of images; a new one gets the folder's images.

    Raises:
        ProjectError: when it cannot be opened or made.
        ImageError: when the folder cannot be read.
        UsageError: when there is nothing at `path`.
    """
    if not path.exists():
        raise UsageError(f"{path} is not there. Check the path.")
    if path.is_file():
        return Project.open(path)
    project = open_folder(path)
    try:
        if not project.images():
            records = []
            for image in scan([path]):
                try:
                    header = read_header(image.path)
                except ImageError as error:
                    size, length, problem = (0, 0), 0, error.message
                else:
                    size, length, problem = header.size, header.file_size, ""
                status: Status = "failed" if problem else "new"
                records.append(ImageRecord(project.relative(image.path), size, length, status=status, error=problem))
            project.add_images(records)
    except BaseException:
        project.close()
        raise
    return project


class _DryRunError(Exception):
    """Ends the transaction of a trial without keeping it."""


def import_annotations(
    project: Project,
    request: ImportRequest,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImportReport:
    """Import annotations in one transaction.

    Imported regions are all that an image has: its automatic boxes go, and a class that only has an automatic mask is
    said to have no region there.

    Args:
        dry_run: count, and change nothing.
        on_progress: called with the number of annotated images read.
        cancelled: asked before each of them.

    Raises:
        FormatError: naming file and field, also when sizes do not fit or no image is known; nothing is changed.
        UsageError: for a wrong option.
        ProjectError: when the project cannot be written.
        Cancelled: when `cancelled` says so; nothing is changed.
    """
    if not request.source.exists():
        raise UsageError(f"{request.source} is not there. Check the path.")
    kind = request.format or recognise(request.source)
    job = _Import(project, request, kind)
    try:
        with project.transaction():
            job.run(on_progress, cancelled)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        return replace(job.report(), dry_run=True)
    return job.report()


class _Import:
    """One import under way: the counts, and the steps in their order."""

    def __init__(self, project: Project, request: ImportRequest, kind: ReadableFormat) -> None:
        self._project, self._request, self._kind = project, request, kind
        self._images = ImageNames(project.images(), written=written_names(request.source))
        self._ids = {entry.name.casefold(): entry.id for entry in project.class_table().classes}
        self._added: list[str] = []
        self._met: dict[str, None] = {}
        self._seen: set[int] = set()
        self._kept: set[int] = set()
        self._unknown: list[str] = []
        self._unknown_count = self._masks = self._boxes = 0

    def run(self, on_progress: Callable[[int], None] | None, cancelled: Callable[[], bool] | None) -> None:
        request = self._request
        found = read_annotations(request.source, self._kind, size_of=self._size_of, coordinates=request.coordinates)
        for count, annotated in enumerate(found):
            if cancelled is not None and cancelled():
                raise Cancelled
            if on_progress is not None:
                on_progress(count)
            self._take(annotated)
        if not self._seen and not self._kept:
            first = f" The first is {self._unknown[0]}." if self._unknown else ""
            raise FormatError(f"{request.source.name} annotates no image of this project.{first}")

    def _size_of(self, name: str) -> Size | None:
        record = self._images.find(name)
        return None if record is None else record.size

    def _take(self, annotated: Annotated) -> None:
        record = self._images.find(annotated.file)
        if record is None or record.id is None:
            self._unknown_count += 1
            if len(self._unknown) < 100:
                self._unknown.append(annotated.file)
            return
        if annotated.size is not None and annotated.size != record.size:
            width, height = record.size
            raise FormatError(
                f"{annotated.read_from}: {annotated.file} has {annotated.size[0]} x {annotated.size[1]} pixels, "
                f"in the project {width} x {height}."
            )
        # Formats with one file a class come here several times an image.
        first = record.id not in self._seen
        if first and not self._request.replace and self._is_touched(record):
            self._kept.add(record.id)
        if record.id in self._kept:
            return
        self._seen.add(record.id)
        masks: dict[int, BoolMask] = {}
        for name, pixels in annotated.masks.items():
            class_id = self._class_id(name)
            if class_id is not None:
                masks[class_id] = masks[class_id] | pixels if class_id in masks else pixels
        boxes = [(class_id, edges) for name, edges in annotated.boxes if (class_id := self._class_id(name)) is not None]
        if self._request.purpose == "truth":
            self._write_truth(record, masks, boxes, annotated, first=first)
        else:
            self._write_regions(record, masks, boxes, first=first)

    def _is_touched(self, record: ImageRecord) -> bool:
        assert record.id is not None
        if self._request.purpose == "truth":
            return bool(truths(self._project, record.id))
        if record.status in {"reviewed", "edited"}:
            return True
        if any(box.origin != "auto" for box in self._project.boxes(record.id)):
            return True
        return bool(self._project.masks(record.id, slot="reviewed"))

    def _write_truth(
        self,
        record: ImageRecord,
        masks: dict[int, BoolMask],
        boxes: list[tuple[int, tuple[float, float, float, float]]],
        annotated: Annotated,
        *,
        first: bool,
    ) -> None:
        assert record.id is not None
        drawn = set(masks)
        for class_id, edges in boxes:  # where only a box is known, its inside is the truth
            if class_id not in drawn:
                inside = _inside(edges, record.size)
                masks[class_id] = masks[class_id] | inside if class_id in masks else inside
        before = {} if first else {truth.class_id: truth for truth in truths(self._project, record.id)}
        for class_id, pixels in masks.items():
            united = pixels | before[class_id].pixels if class_id in before else pixels
            before[class_id] = Truth(class_id, united, annotated.read_from)
        set_truths(self._project, record.id, list(before.values()))
        self._masks += len(masks)

    def _write_regions(
        self,
        record: ImageRecord,
        masks: dict[int, BoolMask],
        boxes: list[tuple[int, tuple[float, float, float, float]]],
        *,
        first: bool,
    ) -> None:
        project = self._project
        assert record.id is not None
        if first:
            for box in project.boxes(record.id):
                project.remove_box(record.id, box.id or 0)
            width, height = record.size
            for mask in project.final_masks(record.id):
                if mask.pixels.any():
                    empty = np.zeros((height, width), np.bool_)
                    project.set_mask(record.id, Mask(empty, mask.class_id, "reviewed", reason="not in the import"))
        there = {mask.class_id: mask.pixels for mask in project.masks(record.id, slot="reviewed")}
        for class_id, pixels in masks.items():
            united = pixels | there[class_id] if class_id in there else pixels
            project.set_mask(record.id, Mask(united, class_id, "reviewed", reason="imported"))
        for class_id, edges in boxes:
            project.add_box(record.id, Box(*edges, class_id, "manual"))
        self._masks += sum(bool(pixels.any()) for pixels in masks.values())
        self._boxes += len(boxes)
        project.set_status([record.id], "reviewed", reviewer=self._request.reviewer)

    def _class_id(self, name: str) -> int | None:
        request = self._request
        if not name:
            only = self._project.class_table().classes
            name = request.class_name or (only[0].name if len(only) == 1 else "region")
        self._met[name] = None
        name = request.class_map.get(name, name)
        if not name:
            return None
        key = name.casefold()
        if key not in self._ids:
            self._ids[key] = self._project.add_class(name).id
            self._added.append(name)
        return self._ids[key]

    def report(self) -> ImportReport:
        return ImportReport(
            format=self._kind,
            purpose=self._request.purpose,
            images=len(self._seen),
            masks=self._masks,
            boxes=self._boxes,
            kept=len(self._kept),
            unknown=tuple(self._unknown),
            unknown_count=self._unknown_count,
            classes=tuple(self._added),
            met=tuple(self._met),
        )


class ImageNames:
    """Finds the image that annotations name, although folders and suffixes may differ.

    Of several images with the name, the one whose folders agree best counts; where that is not clear, none does.

    Args:
        written: the project's own names by those that an export gave them.
    """

    def __init__(self, records: list[ImageRecord], *, written: dict[str, str] | None = None) -> None:
        self._written = written or {}
        self._by_path = {record.path.as_posix(): record for record in records}
        self._by_stem: dict[str, list[ImageRecord]] = {}
        self._by_name: dict[str, list[ImageRecord]] = {}
        self._by_flat: dict[str, list[ImageRecord]] = {}
        for record in records:
            self._by_stem.setdefault(record.path.stem.casefold(), []).append(record)
            self._by_name.setdefault(record.path.name.casefold(), []).append(record)
            flat = record.path.with_suffix("").as_posix().replace("/", "_")
            self._by_flat.setdefault(flat.casefold(), []).append(record)

    def find(self, name: str) -> ImageRecord | None:
        """Return the image called `name`, a POSIX path with or without suffix, or None."""
        path = PurePosixPath(name.replace("\\", "/"))
        own = self._own(path)
        if own is not None:
            return own
        found = self._by_name.get(path.name.casefold())
        if not found:
            # A suffix that differs (an image that was converted), or none at all.
            found = self._by_stem.get(path.name.casefold()) or self._by_stem.get(path.stem.casefold(), [])
        if not found:  # formats without folders
            flat = self._by_flat.get(path.name.casefold()) or self._by_flat.get(path.stem.casefold(), [])
            return flat[0] if len(flat) == 1 else None
        if len(found) == 1:
            return found[0]
        if name in self._by_path and sum(record.path.parts[:-1] == path.parts[:-1] for record in found) > 1:
            return self._by_path[name]  # names that differ in upper and lower case, or in their suffix
        ranked = sorted(found, key=lambda record: -_shared(path, record.path))
        if _shared(path, ranked[0].path) == _shared(path, ranked[1].path):
            return None
        return ranked[0]

    def _own(self, path: PurePosixPath) -> ImageRecord | None:
        """Return the image that this program's export wrote under `path`, whatever folder it put before."""
        for name in (path.as_posix(), path.with_suffix("").as_posix() if path.name else ""):
            parts = PurePosixPath(name).parts
            for start in range(len(parts)):
                file = self._written.get("/".join(parts[start:]))
                if file is not None:
                    return self._by_path.get(file)
        return None


def written_names(source: Path) -> dict[str, str]:
    """Return the names of images by those that this program's export gave them; empty for others' files.

    An export renames what file systems refuse or what would fall onto another file.
    """
    folder = source if source.is_dir() else source.parent
    with contextlib.suppress(FormatError):
        top = read_json(folder / MANIFEST)
        if top.has("camviewer"):
            # With images left in place, COCO and LabelMe name these and not what an export would call them.
            in_place = top.text("image_files", "") == "reference" and top.text("format", "") in {"coco", "labelme"}
            names = {}
            for entry in top.objects("images"):
                file = entry.text("file")
                for key in ("file",) if in_place else ("name", "flat"):
                    if entry.has(key):
                        names[entry.text(key)] = file
            return names
    return {}


def _shared(first: PurePosixPath, second: PurePosixPath) -> int:
    """Return how many folders agree, from the file upwards."""
    count = 0
    for a, b in zip(reversed(first.parts[:-1]), reversed(second.parts[:-1]), strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


def _inside(edges: tuple[float, float, float, float], size: Size) -> BoolMask:
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    mask = np.zeros((size[1], size[0]), np.bool_)
    mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    return mask


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
