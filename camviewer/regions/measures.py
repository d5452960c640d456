"""Overlap of two masks or two boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BoolMask = NDArray[np.bool_]


def iou(first: BoolMask, second: BoolMask) -> float:
    """Return intersection over union (Jaccard index) of two masks ``[H, W]``; 1.0 where both are empty.

    Raises:
        ValueError: when the shapes differ.
    """
    both, either = _counts(first, second)
    return both / either if either else 1.0


def dice(first: BoolMask, second: BoolMask) -> float:
    """Return ``2 |A and B| / (|A| + |B|)``; 1.0 where both are empty.

    Raises:
        ValueError: when the shapes differ.
    """
    both, either = _counts(first, second)
    return 2 * both / (both + either) if either else 1.0


def thresholded_jaccard(jaccard: float, *, at: float = 0.65) -> float:
    """Return the score of ISIC 2018 task 1 for one image: 0 below `at`, else the Jaccard index itself."""
    return jaccard if jaccard >= at else 0.0


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Return intersection over union of two half-open boxes ``(x0, y0, x1, y1)``; 0.0 where both are empty."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(0.0, width) * max(0.0, height)
    either = box_area(first) + box_area(second) - both
    return both / either if either > 0 else 0.0


def box_area(box: Sequence[float]) -> float:
    """Return the area of a half-open box, 0 where it is turned inside out."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def mask_box(mask: BoolMask) -> tuple[int, int, int, int] | None:
    """Return the tight half-open box ``(x0, y0, x1, y1)`` of a mask, or None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _counts(first: BoolMask, second: BoolMask) -> tuple[int, int]:
    if first.shape != second.shape:
        raise ValueError(f"masks of {first.shape} and {second.shape}")
    return int(np.count_nonzero(first & second)), int(np.count_nonzero(first | second))
