"""One raster with a number for each class, as semantic segmentation trainers read it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import ExportError
from camviewer.formats.records import Category, Item, Loss
from camviewer.project.records import BoolMask

MOST = 254


def numbers(categories: tuple[Category, ...], *, title: str) -> dict[int, int]:
    """Return 1, 2, ... by category id; 0 is the background.

    Raises:
        ExportError: when there are more than 254, which do not fit into 8 bits beside 0 and 255.
    """
    if len(categories) > MOST:
        raise ExportError(f"{title} holds at most {MOST} classes, not {len(categories)}. Map the classes first.")
    return {entry.id: i for i, entry in enumerate(categories, 1)}


def raster(item: Item, number_of: dict[int, int]) -> NDArray[np.uint8]:
    """Return uint8 ``[height, width]``; where regions overlap, the smaller one lies on top."""
    result = np.zeros((item.size[1], item.size[0]), dtype=np.uint8)
    for mask in sorted(item.masks, key=lambda entry: -int(np.count_nonzero(entry.pixels))):
        if mask.class_id in number_of:
            result[mask.pixels] = number_of[mask.class_id]
    return result


def found_masks(values: NDArray[np.uint8], number_of: dict[int, int]) -> dict[int, BoolMask]:
    """Return the mask of each category in a raster of class numbers."""
    return {class_id: values == number for class_id, number in number_of.items() if (values == number).any()}


def measure_overlap(item: Item) -> Loss:
    """Return how many mask pixels lie under another region."""
    painted = raster(item, {mask.class_id: i for i, mask in enumerate(item.masks, 1)})
    area = lost = regions = 0
    for i, mask in enumerate(item.masks, 1):
        pixels = int(np.count_nonzero(mask.pixels))
        area += pixels
        lost += pixels - int(np.count_nonzero(painted == i))
        regions += bool(pixels)
    return Loss(regions, lost, area)
