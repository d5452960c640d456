"""Annotations of any readable format as one kind of record, read image by image."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from camviewer.errors import FormatError
from camviewer.formats.coco import iterate_coco
from camviewer.formats.labelme import read_labelme
from camviewer.formats.masks import read_mask
from camviewer.formats.records import Edges
from camviewer.formats.strict_json import read_json
from camviewer.formats.voc import Coordinates, read_indexed, read_labelmap, read_voc
from camviewer.formats.yolo import read_names, read_yolo
from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask

ReadableFormat = Literal["coco", "voc", "yolo", "labelme", "masks"]
READABLE: tuple[ReadableFormat, ...] = ("coco", "voc", "yolo", "labelme", "masks")

_MASK_ENDING = re.compile(r"[_-](segmentation|seg|mask|gt)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """Regions of one image, by class name.

    Attributes:
        file: name of the image as the annotations have it, POSIX; its suffix may be missing.
        masks: bool ``[height, width]``, regions of one class united; under "" where the format names no class.
        boxes: (class name, half-open pixel edges).
        read_from: the annotation file.
        size: upright (width, height); None when the image is not known.
    """

    file: str
    masks: dict[str, BoolMask]
    boxes: tuple[tuple[str, Edges], ...]
    read_from: str
    size: Size | None = None


SizeOf = Callable[[str], Size | None]
"""Returns the upright size of the image that annotations name so, or None when there is none."""


def recognise(path: Path) -> ReadableFormat:
    """Return which format lies at `path`, a file or a folder.

    Raises:
        FormatError: when it is none that can be read.
    """
    name = path.name or str(path)
    if not path.exists():
        raise FormatError(f"{name} is not there. Check the path.")
    if path.is_file():
        if path.suffix.lower() == ".json":
            return "labelme" if read_json(path).has("shapes") else "coco"
        if path.suffix.lower() in {".yaml", ".yml"}:
            return "yolo"
        if path.suffix.lower() == ".xml":
            return "voc"
        raise FormatError(f"{name} is no annotation file that is read: COCO or LabelMe JSON, VOC XML or YOLO YAML.")
    own = _own_format(path)
    if own is not None:
        return own
    if (path / "data.yaml").is_file() or any((path / "labels").rglob("*.txt")):
        return "yolo"
    if any((path / "Annotations").glob("*.xml")) or any(path.glob("*.xml")):
        return "voc"
    found = next(_files(path, ".json"), None)
    if found is not None:
        return "labelme" if read_json(found).has("shapes") else "coco"
    if next(_files(path, ".png"), None) is not None:
        return "masks"
    if next(_files(path, ".txt"), None) is not None:
        return "yolo"
    raise FormatError(f"{name} holds no annotations: no COCO, VOC, YOLO or LabelMe files and no mask PNG.")


def _own_format(folder: Path) -> ReadableFormat | None:
    """Return the format of an export of this program, by what it says beside it."""
    with contextlib.suppress(FormatError):
        top = read_json(folder / "run.json")
        if top.has("camviewer") and not top.has("shapes"):
            name = top.text("format", "").split("-")[0]
            return next((kind for kind in READABLE if kind == name), None)
    return None


def read_annotations(
    path: Path, kind: ReadableFormat, *, size_of: SizeOf, coordinates: Coordinates = "devkit"
) -> Iterator[Annotated]:
    """Yield the annotated images of a file or folder.

    Args:
        size_of: for formats that do not know the image's size; images that it does not know are yielded without
            regions.
        coordinates: how VOC boxes count.

    Raises:
        FormatError: naming file and field, when that file is reached.
    """
    readers = {"coco": _coco, "labelme": _labelme, "masks": _masks, "yolo": _yolo}
    if kind == "voc":
        return _voc(path, coordinates)
    return readers[kind](path, size_of)


_REPORT = re.compile(r"^(run|export-.*)\.json$")
_LIST = re.compile(r"^(classes|train|val|test)\.txt$")


def _files(path: Path, suffix: str) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*" + suffix)):
        if not file.name.startswith(".") and not _is_report(file):
            yield file


def _is_report(file: Path) -> bool:
    """Return whether a file tells of an export; an image may be called like one, so its content decides."""
    if not _REPORT.match(file.name):
        return False
    with contextlib.suppress(FormatError):
        top = read_json(file)
        return not top.has("shapes") and not top.has("annotations")
    return False


def _coco(path: Path, _size_of: SizeOf) -> Iterator[Annotated]:
    for file in _files(path, ".json"):
        categories, images = iterate_coco(file)
        names = {entry.id: entry.name for entry in categories}
        for image in images:
            masks: dict[str, BoolMask] = {}
            for mask in image.masks:
                name = names[mask.class_id]
                masks[name] = masks[name] | mask.pixels if name in masks else mask.pixels
            # Every annotation has a box; those of masks say nothing new.
            boxes = tuple((names[box.class_id], box.xyxy) for box in image.boxes if names[box.class_id] not in masks)
            yield Annotated(image.file, masks, boxes, file.name, image.size)


def _labelme(path: Path, _size_of: SizeOf) -> Iterator[Annotated]:
    for file in _files(path, ".json"):
        image = read_labelme(file)
        named = PurePosixPath(image.file.replace("\\", "/")).name or file.stem
        below = file.parent.relative_to(path).as_posix() if path.is_dir() else "."
        yield Annotated(named if below == "." else f"{below}/{named}", image.masks, image.boxes, file.name, image.size)


def _voc(path: Path, coordinates: Coordinates) -> Iterator[Annotated]:
    root = path if path.is_dir() else path.parent
    root = root.parent if root.name == "Annotations" else root
    labelmap = root / "labelmap.txt"
    names = read_labelmap(labelmap) if labelmap.is_file() else {}
    for file in _files(root / "Annotations" if (root / "Annotations").is_dir() and path.is_dir() else path, ".xml"):
        found = read_voc(file, coordinates=coordinates)
        masks: dict[str, BoolMask] = {}
        raster = root / "SegmentationClass" / f"{file.stem}.png"
        if names and raster.is_file():
            values = read_indexed(raster, size=found.size)
            for number in np.unique(values):
                if number == 0 or number == 255:
                    continue
                if int(number) not in names:
                    raise FormatError(f"{raster.name} holds class {number}, which {labelmap.name} does not name.")
                masks[names[int(number)]] = values == number
        boxes = tuple((box.name, box.xyxy) for box in found.boxes if box.name not in masks)
        yield Annotated(found.file or file.stem, masks, boxes, file.name, found.size)


def _yolo(path: Path, size_of: SizeOf) -> Iterator[Annotated]:
    root = path if path.is_dir() else path.parent
    tables = [root / "data.yaml", root / "classes.txt", root / "labels" / "classes.txt"]
    table = path if path.is_file() else next((file for file in tables if file.is_file()), None)
    names = read_names(table) if table is not None else {}
    labels = root / "labels" if (root / "labels").is_dir() else root
    for file in _files(labels, ".txt"):
        name = file.relative_to(labels).with_suffix("").as_posix()
        size = size_of(name)
        if size is None:
            if _LIST.match(file.name):  # no image is called so: it lists classes or images
                continue
            yield Annotated(name, {}, (), file.name)
            continue
        found = read_yolo(file, size=size)
        for number in [mask.class_id for mask in found.masks] + [box.class_id for box in found.boxes]:
            if table is not None and number not in names:
                raise FormatError(f"{file.name} holds class {number}, which {table.name} does not name.")
        masks = {names.get(mask.class_id, f"class {mask.class_id}"): mask.pixels for mask in found.masks}
        boxes = tuple((names.get(box.class_id, f"class {box.class_id}"), box.xyxy) for box in found.boxes)
        yield Annotated(name, masks, boxes, file.name, size)


def _masks(path: Path, size_of: SizeOf) -> Iterator[Annotated]:
    for file in _files(path, ".png"):
        below = file.relative_to(path).with_suffix("") if path.is_dir() else Path(file.stem)
        name = below.with_name(_MASK_ENDING.sub("", below.name)).as_posix()
        label = ""
        size = size_of(name)
        # One mask a class carries the class behind the image's name.
        stem, tail = name, ""
        while size is None and "_" in PurePosixPath(stem).name:
            stem, _, last = stem.rpartition("_")
            tail = f"{last}_{tail}" if tail else last
            size = size_of(stem)
        if size is None:
            yield Annotated(name, {}, (), file.name)
            continue
        if tail:
            name, label = stem, tail.replace("_", " ")
        yield Annotated(name, {label: read_mask(file, size=size)}, (), file.name, size)
