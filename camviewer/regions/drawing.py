"""What a hand does to a mask: strokes, polygons, filling, tidying. Pure functions; nothing is changed in place.

Coordinates are pixel edges, and a pixel belongs to a shape when its centre does. A `Window` is half-open:
``(x0, y0, x1, y1)``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions.find import BoolMask
from camviewer.regions.measures import mask_box

Window = tuple[int, int, int, int]

GRID = 512
"""Strokes and masks are cut at a grid of so many pixels, so that a long stroke costs only what it touches.

Project files are made of such tiles, see `camviewer.project.mask_blob`.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """New pixels of a part of a mask.

    Attributes:
        window: where they lie.
        pixels: bool ``[y1 - y0, x1 - x0]``.
    """

    window: Window
    pixels: BoolMask


Allowed = Callable[[Window], BoolMask]
"""Where a stroke may change pixels, bool ``[y1 - y0, x1 - x0]`` of a window."""


class Stroke:
    """A round brush's way over an image, as it grows.

    The brush snaps to pixels (odd diameters to their centres, even ones to their corners), so that its shape does not
    change along the way, and the way between two positions is covered without gaps.

    Attributes:
        raster: 1 where the stroke went, uint8 ``[H, W]``.
        window: around all of it; None before the first position.
    """

    def __init__(self, size: tuple[int, int], diameter: int, *, allowed: Allowed | None = None) -> None:
        """Start on an image of `size` (width, height) with a brush of `diameter` pixels.

        Raises:
            ValueError: when the diameter is below 1.
        """
        if diameter < 1:
            raise ValueError(f"a brush of {diameter} pixels")
        self.raster: NDArray[np.uint8] = np.zeros((size[1], size[0]), dtype=np.uint8)
        self.window: Window | None = None
        self._cells: set[Window] = set()
        self._diameter = diameter
        self._allowed = allowed
        self._last: tuple[float, float] | None = None

    def to(self, x: float, y: float) -> Window | None:
        """Go on to (`x`, `y`), which may lie outside; return the window that changed, or None."""
        here = self._snapped(x), self._snapped(y)
        start = self._last or here
        self._last = here
        window, covered = capsule(start, here, self._diameter / 2, (self.raster.shape[1], self.raster.shape[0]))
        if self._allowed is not None and covered.size:
            covered &= self._allowed(window)
        if not covered.any():
            return None
        x0, y0, x1, y1 = window
        self.raster[y0:y1, x0:x1] |= covered.view(np.uint8)
        self.window = window if self.window is None else union(self.window, window)
        self._cells.update(cells(window, (self.raster.shape[1], self.raster.shape[0])))
        return window

    def covered(self) -> Iterator[Patch]:
        """Return where the stroke went, in the cells of the grid that it touched."""
        for x0, y0, x1, y1 in sorted(self._cells):
            yield Patch((x0, y0, x1, y1), self.raster[y0:y1, x0:x1].view(np.bool_))

    def _snapped(self, value: float) -> float:
        return math.floor(value) + 0.5 if self._diameter % 2 else float(round(value))


def capsule(
    start: tuple[float, float], end: tuple[float, float], radius: float, size: tuple[int, int]
) -> tuple[Window, BoolMask]:
    """Return the pixels whose centres lie within `radius` of the segment from `start` to `end`, in a window around.

    The window is cut at the image of `size` (width, height), and is empty where the segment is too far outside.
    """
    (ax, ay), (bx, by) = start, end
    x0, x1 = (min(max(edge, 0), size[0]) for edge in _span(ax, bx, radius))
    y0, y1 = (min(max(edge, 0), size[1]) for edge in _span(ay, by, radius))
    xs = (np.arange(x0, x1) + 0.5 - ax)[None, :]
    ys = (np.arange(y0, y1) + 0.5 - ay)[:, None]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = np.clip((xs * dx + ys * dy) / length, 0.0, 1.0) if length > 0 else 0.0
    distance = (xs - along * dx) ** 2 + (ys - along * dy) ** 2
    covered: BoolMask = np.broadcast_to(distance, (y1 - y0, x1 - x0)) <= radius * radius + 1e-9
    return (x0, y0, x1, y1), covered


def polygon(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> tuple[Window, BoolMask]:
    """Return the pixels whose centres lie inside a closed polygon (non-zero winding), in a window around.

    Args:
        points: corners (x, y); fewer than three enclose nothing.
        size: of the image (width, height), where the window is cut.
    """
    corners = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if len(corners) < 3:
        return (0, 0, 0, 0), np.zeros((0, 0), dtype=np.bool_)
    x0, x1 = (min(max(edge, 0), size[0]) for edge in _span(corners[:, 0].min(), corners[:, 0].max(), 0.0))
    y0, y1 = (min(max(edge, 0), size[1]) for edge in _span(corners[:, 1].min(), corners[:, 1].max(), 0.0))
    # Each edge turns the winding number of all pixels right of it, row by row; their sum from the left is the number.
    turns = np.zeros((y1 - y0, x1 - x0 + 1), dtype=np.int32)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = min(ay, by), max(ay, by)
        first, last = max(math.ceil(low - 0.5), y0), min(math.ceil(high - 0.5), y1)
        if first >= last:
            continue
        rows = np.arange(first, last)
        crossing = ax + (rows + 0.5 - ay) * (bx - ax) / (by - ay)
        columns = np.clip(np.ceil(crossing - 0.5).astype(np.int64) - x0, 0, x1 - x0)
        np.add.at(turns, (rows - y0, columns), 1 if by > ay else -1)
    return (x0, y0, x1, y1), np.cumsum(turns, axis=1)[:, :-1] != 0


def similar_area(
    pixels: NDArray[np.uint8], at: tuple[int, int], *, tolerance: int, allowed: BoolMask | None = None
) -> BoolMask:
    """Return the connected area around a pixel whose colours differ from its own by at most `tolerance`.

    Args:
        pixels: RGB ``[H, W, 3]``.
        at: pixel (x, y).
        tolerance: largest difference in each channel, 0..255.
        allowed: where the area may lie, bool ``[H, W]``; everywhere when None.
    """
    height, width = pixels.shape[:2]
    # cv2 marks in a raster that is larger by one pixel on each side, and does not enter what is marked before.
    marks = np.zeros((height + 2, width + 2), dtype=np.uint8)
    if allowed is not None:
        if not allowed[at[1], at[0]]:
            return np.zeros((height, width), dtype=np.bool_)
        marks[1:-1, 1:-1] = ~allowed
    difference = (tolerance, tolerance, tolerance)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (2 << 8)
    cv2.floodFill(np.ascontiguousarray(pixels), marks, at, (0, 0, 0), difference, difference, flags)
    return np.asarray(marks[1:-1, 1:-1] == 2, dtype=np.bool_)


def piece_at(mask: BoolMask, at: tuple[int, int]) -> BoolMask:
    """Return the 8-connected piece of `mask` that holds the pixel (x, y); empty where the mask is not."""
    if not mask[at[1], at[0]]:
        return np.zeros_like(mask)
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    return np.asarray(labels == labels[at[1], at[0]], dtype=np.bool_)


def hole_at(mask: BoolMask, at: tuple[int, int]) -> BoolMask:
    """Return the hole of `mask` that holds the pixel (x, y); empty where there is none."""
    holes = fill_holes(mask) & ~mask
    if not holes[at[1], at[0]]:
        return np.zeros_like(mask)
    _, labels = cv2.connectedComponents(holes.view(np.uint8), connectivity=4)
    return np.asarray(labels == labels[at[1], at[0]], dtype=np.bool_)


def fill_holes(mask: BoolMask) -> BoolMask:
    """Return `mask` with everything that the outside does not reach (by 4 neighbours)."""
    window = mask_box(mask)
    filled = mask.copy()
    if window is not None:
        x0, y0, x1, y1 = window
        filled[y0:y1, x0:x1] = ~_outside(mask[y0:y1, x0:x1])
    return filled


def with_closed(base: BoolMask, patches: Sequence[Patch]) -> tuple[Patch, ...]:
    """Return the patches of a stroke that adds to `base`, with what it closed off filled.

    Holes that were there before stay open.
    """
    after = patched(base, patches)
    window = functools.reduce(union, (patch.window for patch in patches))
    found = closed_off(base, after, window)
    if not found.pixels.any():
        return tuple(patches)
    x0, y0, x1, y1 = found.window
    after[y0:y1, x0:x1] |= found.pixels
    height, width = after.shape
    touched = cells(union(window, found.window), (width, height))
    return changed(base, (Patch(w, after[w[1] : w[3], w[0] : w[2]]) for w in touched), take_away=False)


def closed_off(before: BoolMask, after: BoolMask, window: Window) -> Patch:
    """Return what the outside reached in `before` and does not in `after`, which holds more, but only in `window`.

    Where the background lies in one piece along the window's edge, as it does along most strokes, that piece stands for
    the outside and nothing beyond is looked at; so a ring that is drawn in a hole closes its inside too.
    """
    height, width = after.shape
    x0, y0, x1, y1 = window
    x0, y0, x1, y1 = max(0, x0 - 1), max(0, y0 - 1), min(width, x1 + 1), min(height, y1 + 1)
    part = after[y0:y1, x0:x1]
    edge = np.concatenate([part[0], part[1:, -1], part[-1, -2::-1], part[-2:0:-1, 0]])
    if np.count_nonzero(edge != np.roll(edge, 1)) > 2:
        around = mask_box(after)
        assert around is not None
        x0, y0, x1, y1 = around
    closed = _outside(before[y0:y1, x0:x1]) & ~_outside(after[y0:y1, x0:x1]) & ~after[y0:y1, x0:x1]
    return Patch((x0, y0, x1, y1), np.asarray(closed, dtype=np.bool_))


def _outside(mask: BoolMask) -> BoolMask:
    """Return what is reached from beyond the edges of `mask` without stepping on it."""
    around = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(around, None, (0, 0), (2,), flags=4)
    return np.asarray(around[1:-1, 1:-1] == 2, dtype=np.bool_)


def keep_largest(mask: BoolMask) -> BoolMask:
    """Return the largest 8-connected piece of `mask`; of equal ones the first from the top."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count <= 2:
        return mask.copy()
    return np.asarray(labels == int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) + 1, dtype=np.bool_)


def remove_small(mask: BoolMask, *, share: float = 0.05) -> BoolMask:
    """Return `mask` without the 8-connected pieces smaller than `share` of the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count <= 2:
        return mask.copy()
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    kept = areas >= share * areas[1:].max()
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.bool_)


def smooth(mask: BoolMask, *, radius: float | None = None) -> BoolMask:
    """Return `mask` with an even outline: where a Gaussian mean of it is at least one half.

    Args:
        radius: standard deviation in pixels; 0.6 % of the longer side, at least 1, when None. At the border of the
            image the mask is taken to go on as it is there.
    """
    sigma = max(1.0, 0.006 * max(mask.shape)) if radius is None else radius
    mean = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(mean >= 0.5, dtype=np.bool_)


def box_mask(box: tuple[float, float, float, float], size: tuple[int, int]) -> BoolMask:
    """Return the pixels of an image of `size` (width, height) whose centres lie in the half-open box."""
    columns = np.arange(size[0]) + 0.5
    rows = np.arange(size[1]) + 0.5
    across = (columns >= box[0]) & (columns < box[2])
    down = (rows >= box[1]) & (rows < box[3])
    return np.asarray(down[:, None] & across[None, :], dtype=np.bool_)


def resized_mask(mask: BoolMask, size: tuple[int, int]) -> BoolMask:
    """Return `mask` on an image of `size` (width, height): each pixel takes the value that lies at its centre."""
    if mask.shape == (size[1], size[0]):
        return mask
    enlarged = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(enlarged, dtype=np.bool_)


def cells(window: Window, size: tuple[int, int]) -> list[Window]:
    """Return the cells of the grid that `window` touches, cut at the image of `size` (width, height)."""
    x0, y0, x1, y1 = window
    return [
        (x, y, min(x + GRID, size[0]), min(y + GRID, size[1]))
        for y in range(y0 // GRID * GRID, y1, GRID)
        for x in range(x0 // GRID * GRID, x1, GRID)
    ]


def changed(base: BoolMask, covered: Iterable[Patch], *, take_away: bool) -> tuple[Patch, ...]:
    """Return what `covered` makes of `base`, added or taken away: the tight patches that differ from it."""
    patches = []
    for patch in covered:
        x0, y0, x1, y1 = patch.window
        before = base[y0:y1, x0:x1]
        found = mask_box(before & patch.pixels if take_away else patch.pixels > before)
        if found is not None:
            u0, v0, u1, v1 = found
            part, within = before[v0:v1, u0:u1], patch.pixels[v0:v1, u0:u1]
            window = (x0 + u0, y0 + v0, x0 + u1, y0 + v1)
            patches.append(Patch(window, part > within if take_away else part | within))
    return tuple(patches)


def difference(before: BoolMask, after: BoolMask) -> tuple[Patch, ...]:
    """Return the patches that make `before` to `after`, tight in each cell of the grid."""
    height, width = before.shape
    patches = []
    for x0, y0, x1, y1 in cells((0, 0, width, height), (width, height)):
        found = mask_box(before[y0:y1, x0:x1] ^ after[y0:y1, x0:x1])
        if found is not None:
            window = (x0 + found[0], y0 + found[1], x0 + found[2], y0 + found[3])
            patches.append(Patch(window, after[window[1] : window[3], window[0] : window[2]].copy()))
    return tuple(patches)


def patched(mask: BoolMask, patches: Iterable[Patch]) -> BoolMask:
    """Return `mask` with the pixels of patches replaced by theirs."""
    result = mask.copy()
    for patch in patches:
        x0, y0, x1, y1 = patch.window
        result[y0:y1, x0:x1] = patch.pixels
    return result


def union(first: Window, second: Window) -> Window:
    """Return the smallest window around both."""
    return min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3])


def _span(a: float, b: float, radius: float) -> tuple[int, int]:
    return math.floor(min(a, b) - radius), math.ceil(max(a, b) + radius)
