"""From a raster of true and false to smooth closed lines, at most half a pixel from the true edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath, QPolygonF

from camviewer.project.records import BoolMask
from camviewer.regions.measures import mask_box

Line = NDArray[np.float64]
"""Points ``[n, 2]`` (x, y) of a closed line, in pixel edges."""

TOLERANCE = 0.25
"""How far a painted line may be off, in screen pixels."""

DOUBLED_UP_TO = 4_000_000
"""Up to this many pixels a mask is doubled for its outline, and traced whole."""

_SEEN_DOUBLED_UP_TO = 1_000_000
_MARGIN = 0.25
"""What is traced around the part in sight, as a share of it, so that not every step of panning traces anew."""


def outlines(
    mask: BoolMask,
    *,
    pixel: tuple[float, float] = (1.0, 1.0),
    smooth: bool = True,
    doubled_up_to: int = DOUBLED_UP_TO,
) -> list[Line]:
    """Return the lines around the true part of `mask` ``[h, w]``, holes included.

    The mask is doubled first, so that a line runs a quarter of a pixel inside the edge instead of through pixel
    centres (above `doubled_up_to` pixels it runs through the centres, half a pixel inside).
    Smoothing is a mean over five steps: stairs become slopes, and no point of a doubled mask ends further than half
    a pixel from the edge, of others one pixel.

    Args:
        mask: raster.
        pixel: size of one of its pixels (x, y) in the units of the result.
        smooth: whether stairs become slopes.
        doubled_up_to: pixels of the part that is not empty.
    """
    return _contours(mask, doubled_up_to).lines(pixel=pixel, smooth=smooth)


@dataclass(frozen=True, slots=True, eq=False)
class _Contours:
    """What cv2 finds around the pieces and holes of a raster.

    Attributes:
        found: points ``[n, 1, 2]`` of each, pixel indices of the raster that was traced.
        factor: how many of those pixels lie along one of the mask's.
        corner: where the traced part lies in the mask (x, y).
    """

    found: Sequence[NDArray[np.int32]]
    factor: int
    corner: tuple[int, int]

    def lines(self, *, pixel: tuple[float, float], smooth: bool = True) -> list[Line]:
        scale = np.array(pixel)
        lines = []
        for contour in self.found:
            points = contour.reshape(-1, 2).astype(np.float64)
            if smooth and len(points) >= 12:
                points = _smoothed(points)
            lines.append(((points + 0.5) / self.factor + self.corner) * scale)
        return lines


def _contours(mask: BoolMask, doubled_up_to: int) -> _Contours:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return _Contours((), 1, (0, 0))
    columns = np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    factor = 2 if part.size <= doubled_up_to else 1
    if factor == 2:
        part = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    found, _ = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return _Contours([np.asarray(contour, dtype=np.int32) for contour in found], factor, (left, top))


def _smoothed(points: Line) -> Line:
    """Return every second mean of five neighbours of the closed line, none moved by more than half a step."""
    around = np.concatenate([points[-2:], points, points[:2]])
    sums = np.cumsum(np.concatenate([np.zeros((1, 2)), around]), axis=0)
    shift = (sums[5:] - sums[:-5]) / 5 - points
    # Only the ends of thin parts would move further.
    length = np.linalg.norm(shift, axis=1, keepdims=True)
    smoothed: Line = points + shift * np.minimum(1.0, 0.5 / np.maximum(length, 0.5))
    return smoothed[::2]


MANY = 400
"""From more pieces and holes on, a part of a mask is painted as a raster: a line costs Qt 0.1 ms, however short."""

OUTSIDE, INSIDE, CASING, EDGE = range(4)


class Outline:
    """Closed lines that are painted with as many points as the zoom can show."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self._paths: dict[int, QPainterPath] = {}

    def __bool__(self) -> bool:
        return bool(self.lines)

    def path(self, zoom: float) -> QPainterPath:
        """Return the lines, no point more than `TOLERANCE` of a screen pixel off, for `zoom` and down to half of it."""
        octave = _octave(zoom)
        if octave not in self._paths:
            tolerance = TOLERANCE / 2.0**octave
            self._paths[octave] = path_of([_simplified(line, tolerance) for line in self.lines])
        return self._paths[octave]


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """The outline of a part of a mask.

    Attributes:
        area: which part, in image pixels.
        path: its lines; empty with `edges`.
        edges: instead of more than `MANY` lines, a raster of `OUTSIDE`, `INSIDE`, `CASING` and `EDGE`.
        raster: where that lies, in whole pixels of its own, so it may end a little before `area`.
    """

    area: QRectF
    path: QPainterPath
    edges: NDArray[np.uint8] | None = None
    raster: QRectF = field(default_factory=QRectF)


class MaskOutline:
    """The outline of a mask. A large one is traced only where it is in sight, and as finely as the screen shows it.

    So an edit of 50 megapixels costs what it costs of five, and dust of a hundred thousand pieces what a disc costs.
    """

    def __init__(self, pixels: BoolMask) -> None:
        self._pixels = pixels
        self._whole: Outline | None = None
        self._in_parts = pixels.size > DOUBLED_UP_TO
        self._seen: dict[int, Traced] = {}

    @cached_property
    def corner(self) -> tuple[float, float] | None:
        """The upper left corner of the rectangle around the mask; None where it is empty."""
        box = mask_box(self._pixels)
        return None if box is None else (float(box[0]), float(box[1]))

    def trace(self, zoom: float, seen: QRectF) -> Traced:
        """Return the outline for `zoom`, at least where `seen` (in image pixels) reaches."""
        height, width = self._pixels.shape
        everything = QRectF(0, 0, width, height)
        if not self._in_parts and self._whole is None:
            found = _contours(self._pixels, DOUBLED_UP_TO)
            self._in_parts = len(found.found) > MANY
            self._whole = None if self._in_parts else Outline(found.lines(pixel=(1.0, 1.0)))
        if self._whole is not None:
            return Traced(everything, self._whole.path(zoom))
        octave = _octave(zoom)
        wanted = seen & everything
        traced = self._seen.get(octave)
        if traced is None or not traced.area.contains(wanted):
            traced = self._seen[octave] = self._trace(wanted, octave)
        return traced

    def _trace(self, seen: QRectF, octave: int) -> Traced:
        height, width = self._pixels.shape
        # One pixel of the mask for each of the screen.
        step = 2 ** max(0, -octave)
        across, down = (max(2.0 * step, _MARGIN * side) for side in (seen.width(), seen.height()))
        x0, y0 = (int(max(0.0, edge)) // step * step for edge in (seen.left() - across, seen.top() - down))
        x1, y1 = math.ceil(min(width, seen.right() + across)), math.ceil(min(height, seen.bottom() + down))
        part = self._pixels[min(y0 + step // 2, y1) : y1 : step, min(x0 + step // 2, x1) : x1 : step]
        area = QRectF(x0, y0, x1 - x0, y1 - y0)
        found = _contours(part, _SEEN_DOUBLED_UP_TO)
        if len(found.found) > MANY:
            rows, columns = part.shape
            return Traced(area, QPainterPath(), edges(part), QRectF(x0, y0, columns * step, rows * step))
        lines = [line + np.array((x0, y0)) for line in found.lines(pixel=(step, step))]
        return Traced(area, Outline(lines).path(2.0**octave))


def edges(mask: BoolMask) -> NDArray[np.uint8]:
    """Return what each pixel of `mask` ``[h, w]`` is: its edge, inside, beside the edge, or outside.

    The border of the raster is no edge: the mask may go on there.
    """
    raster = mask.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(raster, cross, borderType=cv2.BORDER_REPLICATE)
    edge = raster - inner
    beside = cv2.dilate(edge, cross)
    kinds = np.where(beside > 0, CASING, np.where(mask, INSIDE, OUTSIDE))
    return np.where(edge > 0, EDGE, kinds).astype(np.uint8)


def _octave(zoom: float) -> int:
    return math.ceil(math.log2(max(zoom, 1e-6)))


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
