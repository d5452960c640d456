"""COCO instances: compressed run lengths by default, polygons or rectangles by choice; writer and reader.

``bbox`` is ``[x, y, width, height]`` in half-open pixel edges, ``area`` the pixel count, ids count from 1. Run lengths
carry ``iscrowd`` 0: with 1, many trainers ignore the region.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from camviewer.catalogue.parameters import Value
from camviewer.formats.polygons import edge_polygons
from camviewer.formats.records import (
    Category,
    Context,
    Edges,
    Item,
    ItemBox,
    ItemMask,
    Loss,
    Split,
    Writer,
    boxes_of,
    differing,
)
from camviewer.formats.strict_json import Fields, encode, finite, read_json
from camviewer.images.decode import MAX_PIXELS
from camviewer.project.records import BoolMask
from camviewer.regions.measures import mask_box


class CocoWriter(Writer):
    """Writes ``instances.json``, or one file a part; memory does not grow with the number of images."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._parts = {split: _Part(context, split) for split in context.splits}

    def add(self, item: Item) -> None:
        stem = f"images/{item.split}/{item.stem}" if item.split else f"images/{item.stem}"
        name = self.context.place_image(item, stem)
        if self.context.images == "reference":
            name = item.file  # as trainers expect it: relative to the folder of images
        self._parts[item.split].add(item, name)

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def discard(self) -> None:
        for part in self._parts.values():
            part.discard()

    def read_back(self, item: Item) -> int | None:
        if self.context.options.get("segmentation", "rle") == "boxes":
            return None
        image = next(self._parts[item.split].images)
        return differing(item, {mask.class_id: mask.pixels for mask in image.masks})

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        area = sum(int(np.count_nonzero(mask.pixels)) for mask in item.masks)
        if options.get("segmentation", "rle") == "rle":
            found = (pixels for mask in item.masks for pixels in _instances(mask.pixels, options))
            return Loss(sum(bool(pixels.any()) for pixels in found), 0, area)
        written = list(annotations_of(item, options))
        lost = added = 0
        height, width = item.size[1], item.size[0]
        for class_id in {mask.class_id for mask in item.masks}:
            truth = np.zeros((height, width), dtype=np.bool_)
            for mask in item.masks:
                if mask.class_id == class_id:
                    truth |= mask.pixels
            back = np.zeros_like(truth)
            for row in written:
                if row["category_id"] == class_id:
                    back |= decode_polygons(row["segmentation"], (height, width))
            lost += int(np.count_nonzero(truth ^ back))
            added += int(np.count_nonzero(back & ~truth))
        return Loss(len(written), lost, area, added=added)


class _Part:
    """One file: images go into it at once, annotations into a spool that is put behind them."""

    def __init__(self, context: Context, split: Split) -> None:
        self._context = context
        self._path = f"instances_{split}.json" if split else "instances.json"
        self._next_image = self._next_annotation = 1
        self._annotations = context.output.spool()
        head = {
            "info": {
                "description": f"camviewer export, {'reviewed' if context.reviewed else 'unreviewed'}",
                "version": "1.0",
                "year": int(context.created[:4] or 0),
                "date_created": context.created,
            },
            "licenses": [],
            "categories": [{"id": entry.id, "name": entry.name, "supercategory": ""} for entry in context.categories],
        }
        context.output.append(self._path, encode(head)[:-1] + b',\n"images": [')

    def add(self, item: Item, name: str) -> None:
        output = self._context.output
        image = {"id": self._next_image, "file_name": name, "width": item.size[0], "height": item.size[1]}
        output.append(self._path, (b",\n" if self._next_image > 1 else b"\n") + encode(image))
        for found in annotations_of(item, self._context.options):
            row = {
                "id": self._next_annotation,
                "image_id": self._next_image,
                **found,
                "attributes": {**found["attributes"], "reviewed": item.reviewed},
            }
            output.spill(self._path, self._annotations, (b",\n" if self._next_annotation > 1 else b"\n") + encode(row))
            self._next_annotation += 1
        self._next_image += 1

    def close(self) -> None:
        output = self._context.output
        output.append(self._path, b'\n],\n"annotations": [')
        output.unspool(self._path, self._annotations)
        output.append(self._path, b"\n]}\n")

    @cached_property
    def images(self) -> Iterator[CocoImage]:
        """What a reader finds in the file, image by image."""
        return iterate_coco(self._context.output.path(self._path))[1]

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._annotations.close()


def annotations_of(item: Item, options: dict[str, Value]) -> Iterator[dict[str, Any]]:
    """Yield an image's annotations without their ids."""
    kind = options.get("segmentation", "rle")
    if kind == "boxes":
        yield from (_box_annotation(box) for box in boxes_of(item))
        return
    for mask in item.masks:
        for pixels in _instances(mask.pixels, options):
            bounds = mask_box(pixels)
            if bounds is None:
                continue
            x0, y0, x1, y1 = bounds
            segmentation: Any = encode_rle(pixels) if kind == "rle" else edge_polygons(pixels)
            if not segmentation:
                continue
            yield {
                "category_id": mask.class_id,
                "iscrowd": 0,
                "area": float(np.count_nonzero(pixels)),
                "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                "segmentation": segmentation,
                "attributes": _attributes(mask),
            }


def _attributes(mask: ItemMask) -> dict[str, Any]:
    doubt = None if mask.reviewed else finite(mask.doubt)
    values = {
        **{"score": finite(mask.score), "doubt": doubt},
        **{"method": mask.method, "layer": mask.layer, "refine": mask.refine},
    }
    return {key: value for key, value in values.items() if value not in (None, "")}


def _box_annotation(box: ItemBox) -> dict[str, Any]:
    x0, y0, x1, y1 = box.xyxy
    score = finite(box.score)
    return {
        "category_id": box.class_id,
        "iscrowd": 0,
        "area": (x1 - x0) * (y1 - y0),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
        "attributes": {} if score is None else {"score": score},
    }


def _instances(mask: BoolMask, options: dict[str, Value]) -> Iterator[BoolMask]:
    if options.get("instances") != "region":
        yield mask
        return
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        yield labels == label


def encode_rle(mask: BoolMask) -> dict[str, Any]:
    """Return a mask as COCO's compressed run lengths, column by column."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_polygons(polygons: list[list[float]], shape: tuple[int, int]) -> BoolMask:
    """Return COCO polygons as pycocotools draws them, bool ``[height, width]``; overlapping ones unite."""
    encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))
    return np.asarray(coco_mask.decode(encoded), dtype=np.bool_)


# Reader


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """An image of a COCO file with its regions; a region without segmentation is a box."""

    file: str
    size: tuple[int, int]
    masks: tuple[ItemMask, ...]
    boxes: tuple[ItemBox, ...]


def read_coco(path: Path) -> tuple[tuple[Category, ...], list[CocoImage]]:
    """Return categories and images of a COCO instances file; masks of one category in an image are united.

    Raises:
        FormatError: naming file and field.
    """
    categories, images = iterate_coco(path)
    return categories, list(images)


def iterate_coco(path: Path) -> tuple[tuple[Category, ...], Iterator[CocoImage]]:
    """Return categories, and images whose regions are drawn one image at a time.

    Raises:
        FormatError: naming file and field; for the regions of an image, when that is reached.
    """
    top = read_json(path)
    categories = {}
    for entry in top.objects("categories"):
        categories[entry.integer("id", minimum=0)] = Category(entry.integer("id"), entry.text("name"))
    images: dict[int, tuple[str, tuple[int, int]]] = {}
    for entry in top.objects("images"):
        size = (entry.integer("width", minimum=1), entry.integer("height", minimum=1))
        if size[0] * size[1] > MAX_PIXELS:
            entry.fail("width", "and height are too large for an image")
        number = entry.integer("id")
        if number in images:
            entry.fail("id", f"{number} is used twice")
        images[number] = (entry.text("file_name"), size)
    by_image: dict[int, list[Fields]] = {number: [] for number in images}
    for entry in top.objects("annotations"):
        number = entry.integer("image_id")
        if number not in by_image:
            entry.fail("image_id", f"names image {number}, which the file does not have")
        by_image[number].append(entry)
    return tuple(categories.values()), (
        _read_image(name, size, by_image[number], set(categories)) for number, (name, size) in images.items()
    )


def _read_image(name: str, size: tuple[int, int], entries: list[Fields], categories: set[int]) -> CocoImage:
    masks: dict[int, BoolMask] = {}
    boxes = []
    for entry in entries:
        class_id = entry.integer("category_id")
        if class_id not in categories:
            entry.fail("category_id", f"names category {class_id}, which the file does not have")
        x, y, width, height = entry.numbers("bbox", 4)
        edges: Edges = (x, y, x + width, y + height)
        boxes.append(ItemBox(class_id, edges))
        found = _read_segmentation(entry, (size[1], size[0]))
        if found is not None:
            masks[class_id] = masks[class_id] | found if class_id in masks else found
    return CocoImage(name, size, tuple(ItemMask(class_id, mask) for class_id, mask in masks.items()), tuple(boxes))


def _read_segmentation(entry: Fields, shape: tuple[int, int]) -> BoolMask | None:
    value = entry.data.get("segmentation")
    if not value:
        return None
    if isinstance(value, list):
        polygons = []
        for i, polygon in enumerate(value):
            key = f"segmentation[{i}]"
            numbers = Fields({key: polygon}, file=entry.file, where=entry.where).numbers(key)
            if len(numbers) < 6 or len(numbers) % 2:
                entry.fail(key, "needs at least 3 points")
            polygons.append(list(numbers))
        return decode_polygons(polygons, shape)
    fields = entry.object("segmentation")
    if fields.numbers("size", 2) != shape:
        fields.fail("size", f"is not the image's height and width {list(shape)}")
    counts = fields.data.get("counts")
    if isinstance(counts, list):
        runs = fields.numbers("counts")
        if any(run < 0 or not run.is_integer() for run in runs) or sum(runs) != shape[0] * shape[1]:
            fields.fail("counts", "does not add up to the image's pixels")
        values = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, dtype=np.int64))
        return values.reshape(shape, order="F")
    if not isinstance(counts, str):
        fields.fail("counts", "needs a text or a list of numbers")
    return _decode_counts(fields, counts, shape)


def _decode_counts(fields: Fields, counts: str, shape: tuple[int, int]) -> BoolMask:
    """Decode compressed run lengths here: pycocotools trusts them and writes past its buffer when they are wrong."""
    runs: list[int] = []
    value = shift = 0
    for char in counts:
        code = ord(char) - 48
        if not 0 <= code < 64 or shift > 60:
            fields.fail("counts", "is not a run-length text")
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            if code & 0x10:
                value -= 1 << shift
            if len(runs) > 2:
                value += runs[-2]
            if value < 0:
                fields.fail("counts", "holds a negative run")
            runs.append(value)
            value = shift = 0
    if shift or sum(runs) != shape[0] * shape[1]:
        fields.fail("counts", "does not add up to the image's pixels")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, dtype=np.int64))
    return values.reshape(shape, order="F")
