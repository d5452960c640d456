"""Binary masks as ISIC 2018 task 1 has them: ``NAME_segmentation.png``, 8-bit grey, 0 and 255."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from camviewer.catalogue.parameters import Value
from camviewer.formats.names import UniqueNames, safe_part
from camviewer.formats.rasters import mask_png, read_mask_png
from camviewer.formats.records import Context, Item, Loss, Writer, in_part, union
from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask

SUFFIXES = ("_segmentation", "_mask", "_seg", "")


class MaskWriter(Writer):
    """Writes one mask an image, or one a class; an image without regions gets an empty mask."""

    places_images = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._class_names: dict[int, str] = {}
        names = UniqueNames()
        for entry in context.categories:
            self._class_names[entry.id] = names.take(safe_part(entry.name).replace(" ", "_"))

    def add(self, item: Item) -> None:
        for class_id, mask in _rasters(item, self.context.options):
            self.context.output.write(self._path(item, class_id), mask_png(mask))

    def _path(self, item: Item, class_id: int | None) -> str:
        tail = "" if class_id is None else "_" + self._class_names.get(class_id, str(class_id))
        return in_part(item, f"{item.stem}{tail}_segmentation.png")

    def read_back(self, item: Item) -> int:
        plain: dict[str, Value] = {**self.context.options, "largest": False, "fill": False}
        return sum(
            int(
                np.count_nonzero(mask ^ read_mask(self.context.output.path(self._path(item, class_id)), size=item.size))
            )
            for class_id, mask in _rasters(item, plain)
        )

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        plain: dict[str, Value] = {**options, "largest": False, "fill": False}
        lost = added = area = regions = 0
        for (_, before), (_, after) in zip(_rasters(item, plain), _rasters(item, options), strict=True):
            lost += int(np.count_nonzero(before ^ after))
            added += int(np.count_nonzero(after & ~before))
            area += int(np.count_nonzero(before))
            regions += bool(after.any())
        return Loss(regions, lost, area, added=added)


def _rasters(item: Item, options: dict[str, Value]) -> Iterator[tuple[int | None, BoolMask]]:
    """Yield (category or None for all, mask)."""
    if options.get("classes") == "separate" and item.masks:
        for mask in item.masks:
            yield mask.class_id, _simplify(mask.pixels, options)
    else:
        yield None, _simplify(union(item.masks, item.size), options)


def _simplify(mask: BoolMask, options: dict[str, Value]) -> BoolMask:
    if options.get("largest") and mask.any():
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        mask = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if options.get("fill") and mask.any():
        # The background that touches the border, 4-connected since the region is 8-connected.
        outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
        _, labels = cv2.connectedComponents(outside, connectivity=4)
        mask = labels[1:-1, 1:-1] != labels[0, 0]
    return mask


def find_mask(folder: Path, stem: str) -> Path | None:
    """Return the mask of the image called `stem` in `folder`, whatever its case and its usual suffix."""
    candidates = {path.name.casefold(): path for path in folder.glob("*.png")}
    for suffix in SUFFIXES:
        found = candidates.get(f"{stem}{suffix}.png".casefold())
        if found is not None:
            return found
    return None


def read_mask(path: Path, *, size: Size | None = None) -> BoolMask:
    """Return a mask file as bool ``[height, width]``; everything but 0 is inside.

    Raises:
        FormatError: when it cannot be read or has not the `size` (width, height).
    """
    return read_mask_png(path, size=size)
