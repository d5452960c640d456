"""LabelMe JSON, one file an image; writer and reader.

A ``mask`` shape holds the pixels of its box, whose two points are inclusive pixel indices; polygons and rectangles are
pixel indices as well, filled inclusively.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from camviewer import __version__
from camviewer.catalogue.parameters import Value
from camviewer.formats.polygons import index_polygons
from camviewer.formats.rasters import png
from camviewer.formats.records import Edges, Item, Loss, Writer, differing, in_part
from camviewer.formats.strict_json import Fields, encode, finite, read_json
from camviewer.formats.yolo import measure_polygons
from camviewer.images.decode import MAX_PIXELS
from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask
from camviewer.regions.measures import mask_box

_VERSION = "6.3.1"
_SHOWN = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pixels that labelme opens, by Pillow's names."""


class LabelmeWriter(Writer):
    """Writes ``NAME.json`` beside the image's copy, or with the way to it."""

    def add(self, item: Item) -> None:
        stem = in_part(item, item.stem)
        name = self.context.place_image(item, stem, modes=_SHOWN)
        # Relative to the JSON, not to the folder of the export.
        if self.context.images == "reference":
            name = "../" * stem.count("/") + name if item.source is not None else item.file
        else:
            name = name.rsplit("/", 1)[-1]
        data = {
            "version": _VERSION,
            "flags": {"reviewed": item.reviewed, **dict.fromkeys(item.flags, True)},
            "shapes": self._shapes(item),
            "imagePath": name,
            "imageData": None,
            "imageHeight": item.size[1],
            "imageWidth": item.size[0],
            "camviewer": {"version": __version__, "note": item.note, "status": item.status},
        }
        self.context.output.write(f"{stem}.json", encode(data, indent=1))

    def _shapes(self, item: Item) -> list[dict[str, Any]]:
        shapes = []
        for mask in item.masks:
            about = " ".join(text for text in (mask.method, mask.layer, mask.refine) if text)
            if self.context.options.get("shapes", "mask") == "mask":
                bounds = mask_box(mask.pixels)
                if bounds is not None:
                    x0, y0, x1, y1 = bounds
                    data = base64.b64encode(png(mask.pixels[y0:y1, x0:x1].astype(np.uint8))).decode()
                    points = [[float(x0), float(y0)], [float(x1 - 1), float(y1 - 1)]]
                    shapes.append(self._shape(mask.class_id, "mask", points, about, data))
            else:
                for polygon in index_polygons(mask.pixels):
                    points = [[float(x), float(y)] for x, y in polygon]
                    shapes.append(self._shape(mask.class_id, "polygon", points, about))
        for box in item.boxes:
            x0f, y0f, x1f, y1f = box.xyxy
            corners = [[x0f, y0f], [max(x1f - 1, x0f), max(y1f - 1, y0f)]]
            score = finite(box.score)
            about = "" if score is None else f"score={score:.3f}"
            shapes.append(self._shape(box.class_id, "rectangle", corners, about))
        return shapes

    def _shape(
        self, class_id: int, kind: str, points: list[list[float]], about: str, mask: str | None = None
    ) -> dict[str, Any]:
        return {
            "label": self.context.name_of(class_id),
            "points": points,
            "group_id": class_id,
            "description": about,
            "shape_type": kind,
            "flags": {},
            "mask": mask,
        }

    def read_back(self, item: Item) -> int:
        found = read_labelme(self.context.output.path(in_part(item, f"{item.stem}.json"))).masks
        ids = {entry.name: entry.id for entry in self.context.categories}
        return differing(item, {ids[name]: mask for name, mask in found.items()})

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        loss = super().measure(item, options) if options.get("shapes", "mask") == "mask" else measure_polygons(item)
        return Loss(loss.regions + len(item.boxes), loss.pixels, loss.of, added=loss.added)


@dataclass(frozen=True, slots=True, eq=False)
class LabelmeImage:
    """A read file: masks by label (shapes of one label united) and rectangles, half-open."""

    file: str
    size: Size
    masks: dict[str, BoolMask]
    boxes: tuple[tuple[str, Edges], ...]
    flags: tuple[str, ...]


def read_labelme(path: Path) -> LabelmeImage:
    """Return the regions of a LabelMe file.

    Masks and polygons become masks, rectangles become boxes; circles, lines and points are left out.

    Raises:
        FormatError: naming file and field.
    """
    top = read_json(path)
    size = (top.integer("imageWidth", minimum=1), top.integer("imageHeight", minimum=1))
    if size[0] * size[1] > MAX_PIXELS:
        top.fail("imageWidth", "and imageHeight are too large for an image")
    masks: dict[str, BoolMask] = {}
    boxes = []
    for shape in top.objects("shapes"):
        label = shape.text("label")
        kind = shape.text("shape_type", "polygon")
        if kind == "rectangle":
            points = _points(shape, 2)
            xs, ys = [x for x, _ in points], [y for _, y in points]
            boxes.append((label, (min(xs), min(ys), max(xs) + 1, max(ys) + 1)))
        elif kind in {"polygon", "mask"}:
            found = _polygon(shape, size) if kind == "polygon" else _mask(shape, size)
            masks[label] = masks[label] | found if label in masks else found
    flags = top.object("flags").data if top.has("flags") else {}
    return LabelmeImage(
        top.text("imagePath", ""), size, masks, tuple(boxes), tuple(key for key, value in flags.items() if value)
    )


def _points(shape: Fields, count: int | None = None) -> list[tuple[float, float]]:
    listed = shape.data.get("points")
    if not isinstance(listed, list) or (count is not None and len(listed) != count):
        shape.fail("points", f"needs {count} points" if count is not None else "needs a list of points")
    points = []
    for i, entry in enumerate(listed):
        key = f"points[{i}]"
        x, y = Fields({key: entry}, file=shape.file, where=shape.where).numbers(key, 2)
        if max(abs(x), abs(y)) > 1e6:
            shape.fail(key, "lies far outside the image")
        points.append((x, y))
    return points


def _polygon(shape: Fields, size: Size) -> BoolMask:
    points = _points(shape)
    if len(points) < 3:
        shape.fail("points", "needs at least 3 points")
    image = Image.new("1", size)
    ImageDraw.Draw(image).polygon(points, outline=1, fill=1)
    return np.array(image, dtype=np.bool_)


def _mask(shape: Fields, size: Size) -> BoolMask:
    (left, top), (right, bottom) = _points(shape, 2)
    try:
        data = base64.b64decode(shape.text("mask"), validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size[0] * image.size[1] > MAX_PIXELS:
                shape.fail("mask", "is too large")
            values = np.asarray(image.convert("L") if image.mode not in {"1", "L"} else image)
    except (binascii.Error, OSError, ValueError, SyntaxError):
        shape.fail("mask", "is not a PNG in base64")
    x, y = int(left), int(top)
    height, width = values.shape
    if (width, height) != (int(right) - x + 1, int(bottom) - y + 1):
        shape.fail("mask", f"has {width} x {height} pixels, its points say otherwise")
    if x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        shape.fail("points", "leave the image")
    result = np.zeros((size[1], size[0]), dtype=np.bool_)
    result[y : y + height, x : x + width] = values != 0
    return result
