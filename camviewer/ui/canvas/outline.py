"""From a raster of true and false to smooth closed lines, at most half a pixel from the true edge."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QPainterPath, QPolygonF

from camviewer.project.records import BoolMask

Line = NDArray[np.float64]
"""Points ``[n, 2]`` (x, y) of a closed line, in pixel edges."""

TOLERANCE = 0.25
"""How far a painted line may be off, in screen pixels."""

DOUBLED_UP_TO = 4_000_000
"""Up to this many pixels a mask is doubled for its outline."""


def outlines(mask: BoolMask, *, pixel: tuple[float, float] = (1.0, 1.0), smooth: bool = True) -> list[Line]:
    """Return the lines around the true part of `mask` ``[h, w]``, holes included.

    The mask is doubled first, so that a line runs a quarter of a pixel inside the edge instead of through pixel
    centres (above `DOUBLED_UP_TO` pixels it runs through the centres, half a pixel inside, and is not smoothed).
    Smoothing is a mean over five of these half-pixel steps: stairs become slopes, and no point ends further
    than half a pixel from the edge.

    Args:
        mask: raster.
        pixel: size of one of its pixels (x, y) in the units of the result.
        smooth: whether stairs become slopes.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return []
    columns = np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    factor = 2 if part.size <= DOUBLED_UP_TO else 1
    if factor == 2:
        part = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    found, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    scale = np.array(pixel)
    lines = []
    for contour in found:
        points = contour.reshape(-1, 2).astype(np.float64)
        if smooth and factor == 2 and len(points) >= 12:
            points = _smoothed(points)
        lines.append(((points + 0.5) / factor + (left, top)) * scale)
    return lines


def _smoothed(points: Line) -> Line:
    """Return every second mean of five neighbours of the closed line, none moved by more than half a step."""
    around = np.concatenate([points[-2:], points, points[:2]])
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), around]), axis=0)
    shift = (sums[5:] - sums[:-5]) / 5 - points
    # Only the ends of thin parts would move further.
    length = np.linalg.norm(shift, axis=1, keepdims=True)
    smoothed: Line = points + shift * np.minimum(1.0, 0.5 / np.maximum(length, 0.5))
    return smoothed[::2]


class Outline:
    """Closed lines that are painted with as many points as the zoom can show."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self._paths: dict[int, QPainterPath] = {}

    def __bool__(self) -> bool:
        return bool(self.lines)

    @property
    def corner(self) -> tuple[float, float]:
        """The upper left corner of the rectangle around all lines."""
        corners = np.array([line.min(axis=0) for line in self.lines])
        return float(corners[:, 0].min()), float(corners[:, 1].min())

    def path(self, zoom: float) -> QPainterPath:
        """Return the lines, no point more than `TOLERANCE` of a screen pixel off, for `zoom` and down to half of it."""
        octave = math.ceil(math.log2(max(zoom, 1e-6)))
        if octave not in self._paths:
            tolerance = TOLERANCE / 2.0**octave
            self._paths[octave] = path_of([_simplified(line, tolerance) for line in self.lines])
        return self._paths[octave]


def _simplified(line: Line, tolerance: float) -> Line:
    """Return the line with fewer points (Douglas and Peucker 1973)."""
    # Relative to its own start, since cv2 takes float32.
    start = line[0]
    kept = cv2.approxPolyDP((line - start).astype(np.float32).reshape(-1, 1, 2), tolerance, True)
    points: Line = np.asarray(kept, dtype=np.float64).reshape(-1, 2) + start
    return points


def path_of(lines: list[Line]) -> QPainterPath:
    """Return the lines as one closed path; where they nest, every second one is a hole."""
    path = QPainterPath()
    for line in lines:
        polygon = QPolygonF([QPointF(x, y) for x, y in line.tolist()])
        path.addPolygon(polygon)
        path.closeSubpath()
    return path
