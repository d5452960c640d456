"""One outline in a picture: how much of it lies on the frame, how round it is, how distinct from what is around."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions.find import BoolMask
from camviewer.regions.work import Colours

ACROSS = 0.025
"""How far inside and outside of an outline colours are compared, as a share of the longer side."""

_POINTS = 72
_EVENNESS = 2.0  # variance that even the most even skin is granted
_HALF_DISTINCT = 3.0


@dataclass(frozen=True, slots=True)
class Outline:
    """Measures of one region's outer outline, each 0..1.

    Attributes:
        border: share on the image's frame or on what is left out.
        compact: ``4 pi area / length^2``.
        contrast: ``d / (d + 10)``, d the mean step of colour across it in CIE Lab.
        distinct: ``z / (z + 3)``, z that step over the deviation of the surroundings along it.
    """

    border: float
    compact: float
    contrast: float
    distinct: float


def trace(mask: BoolMask, edge: BoolMask, seen: BoolMask, lab: Colours) -> Outline:
    """Return the measures of a mask that is not empty; of several parts the one with the longest outline.

    Args:
        mask: bool ``[h, w]``.
        edge: frame, and where something left out begins.
        seen: where colours count.
        lab: the picture in CIE Lab, smoothed.
    """
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    points = outline[:, 0, :]
    border = float(edge[points[:, 1], points[:, 0]].mean())
    # The outline runs through pixel centres: half a pixel inside the edge on all sides.
    around = cv2.arcLength(outline, closed=True) + math.pi
    area = cv2.contourArea(outline) + len(points) / 2 + 1
    compact = min(1.0, 4 * math.pi * area / around**2)
    contrast, distinct = _step_across(points.astype(np.float32), seen, lab)
    return Outline(border, compact, contrast, distinct)


def outward_normals(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the direction away from the region at each point (x, y) of a closed outline, length 1, ``[N, 2]``.

    Of the chord over two hundredths of the outline to either side, so that single pixels do not turn it.
    """
    reach = max(1, round(0.02 * len(points)))
    along = np.roll(points, -reach, axis=0) - np.roll(points, reach, axis=0)
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    turning = points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]
    return np.asarray(-outward if turning.sum() < 0 else outward, dtype=np.float32)


def _step_across(points: NDArray[np.float32], seen: BoolMask, lab: Colours) -> tuple[float, float]:
    """Return contrast and distinctness along an outline."""
    outward = outward_normals(points)
    chosen = np.linspace(0, len(points) - 1, min(len(points), _POINTS)).astype(int)
    step = max(2, round(ACROSS * max(seen.shape)))
    inner = _at(points[chosen] - step * outward[chosen], seen.shape)
    outer = _at(points[chosen] + step * outward[chosen], seen.shape)
    known = np.asarray((outer >= 0).all(axis=1) & (inner >= 0).all(axis=1), dtype=np.bool_)
    known[known] &= seen[outer[known, 1], outer[known, 0]]
    if known.sum() < 6:
        return 0.0, 0.0
    outside = lab[outer[known, 1], outer[known, 0]]
    difference = (lab[inner[known, 1], inner[known, 0]] - outside).mean(axis=0)
    size = float(np.linalg.norm(difference))
    spread = float((outside @ (difference / max(size, 1e-6))).var())
    distinct = size / math.sqrt(spread + _EVENNESS)
    return size / (size + 10), distinct / (distinct + _HALF_DISTINCT)


def _at(places: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the pixels (x, y) of places, -1 for those outside."""
    pixels = np.rint(places).astype(np.int64)
    outside = (pixels < 0).any(axis=1) | (pixels[:, 0] >= shape[1]) | (pixels[:, 1] >= shape[0])
    pixels[outside] = -1
    return pixels
