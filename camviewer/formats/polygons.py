"""Outlines of masks in the three vertex conventions that readers use.

The same block of pixels is a different polygon for each reader: pycocotools fills what lies between pixel *edges*,
Pillow and OpenCV fill the pixels whose *indices* are the vertices. Holes cannot be said; they are lost.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.project.records import BoolMask


def index_polygons(mask: BoolMask) -> list[NDArray[np.int32]]:
    """Return the outer contour of each region as pixel indices ``[points, 2]`` (x, y), as Pillow and OpenCV fill it.

    Contours of one or two points (single pixels and lines) are left out: readers ask for three.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(contour[:, 0, :], dtype=np.int32) for contour in found if len(contour) >= 3]


def edge_polygons(mask: BoolMask) -> list[list[float]]:
    """Return the outer contour of each region along pixel edges as flat ``[x, y, ...]``, as pycocotools fills it.

    A single pixel is a square. Regions that touch only at corners become polygons of their own.
    """
    polygons = []
    # 4-connected pieces: an edge path that touches itself in a corner is filled unlike the mask.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label, :4])
        piece = labels[top : top + height, left : left + width] == label
        polygons.append(_trace(piece, left, top))
    return polygons


def _trace(piece: BoolMask, left: int, top: int) -> list[float]:
    """Return the outer edge path of a 4-connected `piece`, clockwise, corners only."""
    padded = np.pad(piece, 1)
    # Start at the upper left corner of the first pixel of the first row; walk with the region on the right.
    x = int(np.flatnonzero(padded[1])[0])
    y = 1
    start = (x, y)
    step = (1, 0)
    path: list[float] = []
    while True:
        x, y = x + step[0], y + step[1]
        turned = _turn(padded, x, y, step)
        if turned != step:
            path.extend((float(x - 1 + left), float(y - 1 + top)))
            step = turned
        if (x, y) == start:
            return path


def _turn(padded: BoolMask, x: int, y: int, step: tuple[int, int]) -> tuple[int, int]:
    """Return the direction behind the corner (x, y) when it was reached along `step`."""
    dx, dy = step
    right = (-dy, dx)
    # On each axis one of the two directions is 0, so their sum says on which side of the corner a pixel lies.
    if not padded[y - (dy + right[1] < 0), x - (dx + right[0] < 0)]:
        return right
    if padded[y - (dy - right[1] < 0), x - (dx - right[0] < 0)]:
        return -right[0], -right[1]
    return step
