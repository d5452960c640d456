"""YOLO as Ultralytics reads it: one text file an image, numbers divided by the image's size; writers and reader.

Classes count from 0 in the order of ``data.yaml``. There are no folders below ``images/train``: trainers find labels by
replacing the last ``images`` of a path, which may be a folder of the user's, and some look into one folder only.
Segmentation rows are outlines in pixel indices, one region a row, without holes: never the master copy.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from camviewer.catalogue.parameters import Value
from camviewer.errors import FormatError
from camviewer.formats.polygons import index_polygons
from camviewer.formats.records import Context, Edges, Item, ItemBox, ItemMask, Loss, Writer, boxes_of, differing
from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask

# Readers cut coordinates to whole numbers, in 32 bits; a touch more than the pixel's index survives that.
_NUDGE = 0.002
_LARGEST_FILE = 64 << 20


class _YoloWriter(Writer):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._index = {entry.id: i for i, entry in enumerate(context.categories)}

    def add(self, item: Item) -> None:
        part = item.split or "train"
        self.context.place_image(item, f"images/{part}/{item.flat}")
        text = "".join(row + "\n" for row in self.rows(item))
        self.context.output.write(self.label_path(item), text.encode())

    def label_path(self, item: Item) -> str:
        """Return where an image's rows go; trainers find them by the image's path."""
        return f"labels/{item.split or 'train'}/{item.flat}.txt"

    @abstractmethod
    def rows(self, item: Item) -> list[str]:
        """Return the lines of an image."""

    def close(self) -> None:
        parts = [split or "train" for split in self.context.splits]
        # Without ``path`` trainers look beside this file; ``path: .`` would be the folder they were started in.
        lines = [f"train: images/{parts[0]}", f"val: images/{parts[1] if len(parts) > 1 else parts[0]}"]
        if len(parts) > 2:
            lines.append(f"test: images/{parts[2]}")
        lines.append("names:")
        # A JSON text is a YAML text, quotes and all.
        lines += [
            f"  {i}: {json.dumps(entry.name, ensure_ascii=False)}" for i, entry in enumerate(self.context.categories)
        ]
        self.context.output.write("data.yaml", ("\n".join(lines) + "\n").encode("utf-8", "replace"))


class YoloDetectionWriter(_YoloWriter):
    """Writes ``class x y width height``, centre and size as fractions of the image."""

    def rows(self, item: Item) -> list[str]:
        rows = []
        for box in boxes_of(item):
            width, height = item.size
            x0, y0, x1, y1 = np.array(box.xyxy) / (width, height, width, height)
            if box.class_id in self._index:
                values = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
                rows.append(" ".join([str(self._index[box.class_id]), *(f"{value:.8f}" for value in values)]))
        return rows

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return Loss(len(boxes_of(item)))


class YoloSegmentationWriter(_YoloWriter):
    """Writes ``class x y x y ...``, an outline as fractions of the image."""

    def rows(self, item: Item) -> list[str]:
        width, height = item.size
        rows = []
        for mask in item.masks:
            if mask.class_id not in self._index:
                continue
            for polygon in index_polygons(mask.pixels):
                values = (f"{(x + _NUDGE) / width:.8f} {(y + _NUDGE) / height:.8f}" for x, y in polygon)
                rows.append(" ".join([str(self._index[mask.class_id]), *values]))
        return rows

    def read_back(self, item: Item) -> int:
        found = read_yolo(self.context.output.path(self.label_path(item)), size=item.size)
        ids = [entry.id for entry in self.context.categories]
        return differing(item, {ids[mask.class_id]: mask.pixels for mask in found.masks})

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return measure_polygons(item)


def measure_polygons(item: Item) -> Loss:
    """Return what outlines in pixel indices lose: holes, single pixels and lines."""
    lost = added = area = regions = 0
    for mask in item.masks:
        polygons = index_polygons(mask.pixels)
        back = np.zeros(mask.pixels.shape, dtype=np.uint8)
        for polygon in polygons:
            cv2.fillPoly(back, [polygon], 1)
        lost += int(np.count_nonzero(back.astype(np.bool_) ^ mask.pixels))
        added += int(np.count_nonzero(back.astype(np.bool_) & ~mask.pixels))
        area += int(np.count_nonzero(mask.pixels))
        regions += len(polygons)
    return Loss(regions, lost, area, added=added)


@dataclass(frozen=True, slots=True, eq=False)
class YoloLabels:
    """Regions of one text file; classes count from 0."""

    masks: tuple[ItemMask, ...]
    boxes: tuple[ItemBox, ...]


def read_yolo(path: Path, *, size: Size) -> YoloLabels:
    """Return the regions of a label file; polygons of one class are united.

    Args:
        size: upright (width, height) of its image.

    Raises:
        FormatError: naming file and line.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FormatError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MB and is not read.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path.name} cannot be read as text.", details=repr(error)) from error
    width, height = size
    boxes: list[ItemBox] = []
    masks: dict[int, BoolMask] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path.name}: line {number}"
        try:
            class_id = int(fields[0])
            values = np.array([float(field) for field in fields[1:]])
        except ValueError:
            raise FormatError(f"{where} needs a class and numbers.") from None
        if class_id < 0:
            raise FormatError(f"{where} has a negative class.")
        if not np.isfinite(values).all() or ((values < -0.01) | (values > 1.01)).any():
            raise FormatError(f"{where} needs numbers between 0 and 1.")
        if len(values) == 4:
            x, y, w, h = values * (width, height, width, height)
            edges: Edges = (float(x - w / 2), float(y - h / 2), float(x + w / 2), float(y + h / 2))
            boxes.append(ItemBox(class_id, edges))
        elif len(values) >= 6 and len(values) % 2 == 0:
            points = (values.reshape(-1, 2) * (width, height)).astype(np.int32)
            drawn = np.zeros((height, width), dtype=np.uint8)
            cv2.fillPoly(drawn, [points], 1)
            masks[class_id] = masks.get(class_id, np.zeros((height, width), dtype=np.bool_)) | drawn.astype(np.bool_)
        else:
            raise FormatError(f"{where} needs 4 numbers (a box) or at least 3 points.")
    return YoloLabels(tuple(ItemMask(class_id, mask) for class_id, mask in masks.items()), tuple(boxes))


def read_names(path: Path) -> dict[int, str]:
    """Return the class names of a ``data.yaml``, or of a ``classes.txt`` with one name a line.

    Of YAML only what such files hold under ``names`` is read: a list or a mapping, in one line or in several.

    Raises:
        FormatError: naming file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path.name} cannot be read as text.", details=repr(error)) from error
    if path.suffix.lower() == ".txt":
        return {i: line.strip() for i, line in enumerate(lines) if line.strip()}
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        raise FormatError(f"{path.name}: names is missing.")
    inline = _without_comment(lines[start].split(":", 1)[1])
    block = [inline] if inline else []
    for line in lines[start + 1 :]:
        text = _without_comment(line)
        if text and not line.startswith((" ", "\t", "-", "]", "}")):
            break
        if text:
            block.append(text)
    joined = " ".join(block)
    if joined[:1] in {"[", "{"}:
        entries = re.findall(r"""(?:[^,"']|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')+""", joined.strip("[]{} "))
    else:
        entries = block
    names: dict[int, str] = {}
    for entry in (text.strip() for text in entries):
        if not entry:
            continue
        number, colon, name = entry.partition(":")
        if colon and number.strip().isdigit():
            names[int(number)] = _scalar(name.strip(), path)
        else:
            names[len(names)] = _scalar(entry.removeprefix("-").strip(), path)
    if not names:
        raise FormatError(f"{path.name}: names is empty.")
    return names


def _without_comment(line: str) -> str:
    text = line.strip()
    if text.startswith("#"):
        return ""
    return text if any(quote in text for quote in "\"'") else re.split(r"\s#", text)[0].strip()


def _scalar(text: str, path: Path) -> str:
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            raise FormatError(f"{path.name}: names holds {text!r}, which is no text.") from None
        return str(value)
    if text.startswith("'") and text.endswith("'") and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text
