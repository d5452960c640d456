"""A raw map made ready for the screen: a small raster of indices and the 256 colours that give it its look.

Opacity, colour map and threshold are changes of the 256 colours alone, so they answer within a frame whatever the
size of the image. The raster covers the whole image and is at most `SIDE` pixels long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF

from camviewer.images.colormaps import table as colour_table
from camviewer.images.geometry import FloatMap, Geometry, Size
from camviewer.project.records import ActivationMap
from camviewer.ui.qimage import argb_table

SIDE = 1024
"""Longest side of the raster."""

GREY = (72, 72, 78)
"""What stands for values of zero and below, on the colour bar and in the view *Heat map*."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A map on its raster.

    Attributes:
        values: raw map, interpolated over the image, float32 ``[h, w]``.
        indices: 0 for values of zero and below, 1..255 for equal steps of (0, `high`].
        low: smallest raw value, at most 0, so that zero is always on the colour bar.
        high: largest raw value, 0 when nothing is positive.
        image_size: (width, height) of the image that the raster covers.
        geometry: of the map's own cells.
        cells: the raw map itself ``[rows, columns]``.
    """

    values: FloatMap
    indices: NDArray[np.uint8]
    low: float
    high: float
    image_size: Size
    geometry: Geometry
    cells: FloatMap

    @classmethod
    def of(cls, shown: ActivationMap, *, peak: float | None = None) -> HeatMap:
        """Return the raster of `shown`; `peak` is the value of the last colour, its own maximum when None."""
        size = raster_size(shown.geometry.image_size)
        values = shown.geometry.upsample(shown.values, size=size)
        high = max(0.0, float(values.max()))
        low = min(0.0, float(values.min()))
        return cls(
            values,
            quantise(values, high if peak is None else peak),
            low,
            high,
            shown.geometry.image_size,
            shown.geometry,
            shown.values,
        )

    @property
    def positive(self) -> bool:
        """Whether any part of the map speaks for the class."""
        return self.high > 0

    @property
    def pixel(self) -> tuple[float, float]:
        """Size of one raster pixel (x, y) in image pixels."""
        height, width = self.values.shape
        return self.image_size[0] / width, self.image_size[1] / height

    @property
    def peak(self) -> QPointF:
        """Where the largest value lies, in image pixels."""
        row, column = np.unravel_index(int(np.argmax(self.values)), self.values.shape)
        across, down = self.pixel
        return QPointF((float(column) + 0.5) * across, (float(row) + 0.5) * down)

    @property
    def cell(self) -> tuple[float, float]:
        """Distance of neighbouring map cells (x, y) in image pixels."""
        to_image = self.geometry.to_image
        return abs(to_image.scale_x), abs(to_image.scale_y)

    def value_at(self, x: float, y: float) -> float | None:
        """Return the raw value at an edge coordinate of the image, interpolated; None where the network saw nothing."""
        x0, y0, x1, y1 = self.geometry.frame
        if not (x0 <= x <= x1 and y0 <= y <= y1):
            return None
        rows, columns = self.cells.shape
        column, row = self.geometry.to_image.inverse()(x, y)
        column, row = min(max(column, 0.0), columns - 1.0), min(max(row, 0.0), rows - 1.0)
        left, top = min(int(column), max(columns - 2, 0)), min(int(row), max(rows - 2, 0))
        across, down = column - left, row - top
        square = np.nan_to_num(
            self.cells[top : top + 2, left : left + 2].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0
        )
        weights = np.outer([1 - down, down], [1 - across, across])[: square.shape[0], : square.shape[1]]
        return float((square * weights).sum())

    def indices_from(self, level: float) -> NDArray[np.uint8]:
        """Return `indices` so that `level` lies exactly between two of them.

        The step that holds `level` is split: its smaller values join the step below. With the table of
        `colours(..., cut=level)` the pixels shown are then exactly ``values >= level``.
        """
        if not 0 < level <= self.high:
            return self.indices
        step = step_of(level, self.high)
        split = self.indices.copy()
        split[(self.indices == step) & (self.values < level)] = step - 1
        return split


def raster_size(image_size: Size) -> Size:
    """Return (width, height) of the raster of an image: its own size, or `SIDE` along the longer side."""
    scale = min(1.0, SIDE / max(image_size))
    return max(1, round(image_size[0] * scale)), max(1, round(image_size[1] * scale))


def quantise(values: FloatMap, high: float) -> NDArray[np.uint8]:
    """Return 0 for values of zero and below, 1..255 for 255 equal steps of (0, `high`]."""
    if high <= 0:
        return np.zeros(values.shape, dtype=np.uint8)
    steps = np.ceil(np.clip(values, 0.0, high) * np.float32(255.0 / high))
    quantised: NDArray[np.uint8] = np.minimum(steps, 255).astype(np.uint8)
    return quantised


def step_of(level: float, high: float) -> int:
    """Return the index that `quantise` gives to `level`."""
    return int(quantise(np.array([[level]], dtype=np.float32), high)[0, 0])


def ramp(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how opaque a value of `share` of the maximum is: nothing below 4 %, all of it from 55 % on."""
    part = np.clip((share - 0.04) / 0.51, 0.0, 1.0)
    smooth: NDArray[np.float64] = part * part * (3 - 2 * part)
    return smooth


def colours(name: str, opacity: float, *, alone: bool = False, cut: int | None = None) -> NDArray[np.uint32]:
    """Return the 256 colours, ``0xAARRGGBB``.

    Args:
        name: colour map.
        opacity: of the strongest value, 0..1.
        alone: the map without the image: opaque, zero and below in grey.
        cut: index below which nothing is shown, for the display of a threshold.
    """
    rgb = np.array(colour_table(name), dtype=np.uint8)
    if alone:
        alpha = np.ones(256, dtype=np.float64)
    else:
        alpha = np.asarray(opacity * ramp(np.arange(256) / 255.0), dtype=np.float64)
        alpha[0] = 0.0
    rgb[0] = GREY
    if cut is not None:
        alpha[: max(0, min(cut, 256))] = 0.0
    return argb_table(rgb, alpha)
