"""Exact coordinates between map cells, network input and image pixels.

Every coordinate is a pixel *edge*: the centre of pixel (0, 0) is (0.5, 0.5) and an image spans
[0, width] x [0, height]. All maps are affine and axis-aligned, so each axis is one scale and one shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import ModelError

Size = tuple[int, int]
"""(width, height) in pixels or cells."""

ResizeMode = Literal["squash", "model", "letterbox", "native"]
RESIZE_MODES: tuple[ResizeMode, ...] = ("squash", "model", "letterbox", "native")

FloatMap = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Affine:
    """``x' = scale_x * x + shift_x``, and the same for y."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return self.scale_x * x + self.shift_x, self.scale_y * y + self.shift_y

    def then(self, outer: Affine) -> Affine:
        """Return the map that applies this one first and `outer` second."""
        return Affine(
            outer.scale_x * self.scale_x,
            outer.scale_y * self.scale_y,
            outer.scale_x * self.shift_x + outer.shift_x,
            outer.scale_y * self.shift_y + outer.shift_y,
        )

    def inverse(self) -> Affine:
        """Return the map back; scales are never zero here."""
        return Affine(1 / self.scale_x, 1 / self.scale_y, -self.shift_x / self.scale_x, -self.shift_y / self.scale_y)

    def matrix(self) -> list[list[float]]:
        """Return the 2x3 matrix, as written to ``to_image``."""
        return [[self.scale_x, 0.0, self.shift_x], [0.0, self.scale_y, self.shift_y]]

    @classmethod
    def from_matrix(cls, rows: list[list[float]]) -> Affine:
        """Return the map of a 2x3 matrix without shear."""
        return cls(float(rows[0][0]), float(rows[1][1]), float(rows[0][2]), float(rows[1][2]))


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How an image becomes the network's input: resize to `resized`, then crop or pad to `input_size`.

    Attributes:
        image_size: upright image.
        resized: image after resizing.
        origin: left and top of the input inside the resized image; negative values are padding.
        input_size: network input.
    """

    image_size: Size
    resized: Size
    origin: tuple[int, int]
    input_size: Size

    @property
    def input_to_image(self) -> Affine:
        scale_x = self.image_size[0] / self.resized[0]
        scale_y = self.image_size[1] / self.resized[1]
        return Affine(scale_x, scale_y, self.origin[0] * scale_x, self.origin[1] * scale_y)


def plan_input(image_size: Size, *, mode: ResizeMode, input_size: Size, resize_size: int | None = None) -> InputPlan:
    """Return how an image of `image_size` reaches the network.

    Args:
        image_size: upright image.
        mode: ``squash`` (whole image to `input_size`, aspect not kept), ``model`` (torchvision's transform: shorter
            side to `resize_size`, centre crop of `input_size`), ``letterbox`` (whole image, aspect kept, centred on
            padding) or ``native`` (the image's own size).
        input_size: network input; ignored by ``native``.
        resize_size: shorter side before the crop of ``model``; `input_size` when None.
    """
    width, height = image_size
    in_width, in_height = input_size
    if min(width, height, in_width, in_height) < 1:
        raise ModelError("The network input needs at least 1 x 1 pixels.")
    if mode == "squash":
        return InputPlan(image_size, input_size, (0, 0), input_size)
    if mode == "native":
        return InputPlan(image_size, image_size, (0, 0), image_size)
    if mode == "letterbox":
        scale = min(in_width / width, in_height / height)
        resized = (max(1, round(width * scale)), max(1, round(height * scale)))
        return InputPlan(
            image_size,
            resized,
            (-((in_width - resized[0]) // 2), -((in_height - resized[1]) // 2)),
            input_size,
        )
    # torchvision.transforms.functional.resize and center_crop, to the pixel.
    shorter = resize_size or min(input_size)
    if width <= height:
        resized = (shorter, max(1, int(shorter * height / width)))
    else:
        resized = (max(1, int(shorter * width / height)), shorter)
    origin = tuple(
        -((want - have) // 2) if have < want else round((have - want) / 2.0)
        for have, want in zip(resized, input_size, strict=True)
    )
    return InputPlan(image_size, resized, (origin[0], origin[1]), input_size)


@dataclass(frozen=True, slots=True)
class CellPositions:
    """Where a layer's cells lie: the centre of cell ``i`` is at ``start + step * i`` in pixel *indices* of the input.

    Pixel index ``p`` is edge coordinate ``p + 0.5``. Both pairs are (x, y).
    """

    start: tuple[float, float]
    step: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Places a map's cells in the upright image.

    Attributes:
        image_size: upright image (width, height).
        input_size: network input (width, height).
        grid_size: map (columns, rows).
        input_to_image: network input edges to image edges.
        cells: measured positions of the layer's cells, or None to spread the grid evenly over the input (the
            half-pixel convention of the CAM libraries; also what the setting ``--offset off`` asks for).
    """

    image_size: Size
    input_size: Size
    grid_size: Size
    input_to_image: Affine
    cells: CellPositions | None = None

    @property
    def cell_to_input(self) -> Affine:
        """Cell index (column, row), at its centre, to network input edges."""
        if self.cells is not None:
            (start_x, start_y), (step_x, step_y) = self.cells.start, self.cells.step
            return Affine(step_x, step_y, start_x + 0.5, start_y + 0.5)
        step_x = self.input_size[0] / self.grid_size[0]
        step_y = self.input_size[1] / self.grid_size[1]
        return Affine(step_x, step_y, step_x / 2, step_y / 2)

    @property
    def to_image(self) -> Affine:
        """Cell index (column, row), at its centre, to image edges."""
        return self.cell_to_input.then(self.input_to_image)

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """The part of the image that the network sees, half-open edges (x0, y0, x1, y1), clipped to the image."""
        x0, y0 = self.input_to_image(0, 0)
        x1, y1 = self.input_to_image(*self.input_size)
        width, height = self.image_size
        return (
            min(max(min(x0, x1), 0.0), width),
            min(max(min(y0, y1), 0.0), height),
            min(max(x0, x1, 0.0), width),
            min(max(y0, y1, 0.0), height),
        )

    def upsample(
        self, values: FloatMap, *, size: Size | None = None, window: tuple[int, int, int, int] | None = None
    ) -> FloatMap:
        """Return `values` interpolated bilinearly at the pixel centres of the image.

        Beyond the outermost cell centres the outermost value holds; pixels whose centre lies outside `frame` were
        not seen and are 0. A cell that is not finite counts as 0.

        Args:
            values: map ``[rows, columns]``.
            size: (width, height) of the result, which covers the whole image; the image's own size when None.
            window: half-open part ``(x0, y0, x1, y1)`` of the result that is wanted, in its pixels; all when None.

        Returns:
            float32 ``[height, width]``, or the window of it.
        """
        rows, columns = values.shape
        if (columns, rows) != self.grid_size:
            raise ValueError(f"map of {columns} x {rows} cells for a grid of {self.grid_size}")
        size = size or self.image_size
        to_cell = self.to_image.inverse()
        x0, y0, x1, y1 = self.frame
        across = _interpolation(
            size[0], self.image_size[0] / size[0], to_cell.scale_x, to_cell.shift_x, columns, (x0, x1)
        )
        down = _interpolation(size[1], self.image_size[1] / size[1], to_cell.scale_y, to_cell.shift_y, rows, (y0, y1))
        if window is not None:
            across, down = across.part(window[0], window[2]), down.part(window[1], window[3])
        finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return down.rows_of(across.rows_of(finite.T).T)


@dataclass(frozen=True, slots=True, eq=False)
class _Interpolation:
    """Bilinear weights of one axis: pixel ``i`` is ``near[i] * cell[lower[i]] + far[i] * cell[upper[i]]``."""

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    near: FloatMap
    far: FloatMap

    def part(self, start: int, stop: int) -> _Interpolation:
        return _Interpolation(
            self.lower[start:stop], self.upper[start:stop], self.near[start:stop], self.far[start:stop]
        )

    def rows_of(self, cells: FloatMap) -> FloatMap:
        """Return the pixels ``[length, n]`` of `cells` ``[cells, n]``.

        Element by element and in bands: a matrix product would wake the threads of BLAS, which wait for torch's on a
        busy machine and hold up the window meanwhile.
        """
        pixels = np.empty((len(self.lower), cells.shape[1]), dtype=np.float32)
        for start in range(0, len(pixels), _BAND):
            band = slice(start, start + _BAND)
            np.multiply(cells[self.lower[band]], self.near[band, None], out=pixels[band])
            pixels[band] += cells[self.upper[band]] * self.far[band, None]
        return pixels


_BAND = 256
"""Rows that are interpolated at once: their temporaries stay in the cache."""


def _interpolation(
    length: int, pixel: float, scale: float, shift: float, cells: int, seen: tuple[float, float]
) -> _Interpolation:
    """Return the bilinear weights of one axis; a pixel whose centre lies outside `seen` has none."""
    centres = (np.arange(length) + 0.5) * pixel
    position = np.clip(scale * centres + shift, 0, cells - 1)
    lower = np.minimum(position.astype(np.intp), max(cells - 2, 0))
    far = position - lower
    # A tolerance, since the frame's edges carry rounding of the affine maps.
    tolerance = 1e-6 * max(1.0, math.fabs(seen[1]))
    inside = (centres >= seen[0] - tolerance) & (centres <= seen[1] + tolerance)
    return _Interpolation(
        lower,
        np.minimum(lower + 1, cells - 1),
        ((1 - far) * inside).astype(np.float32),
        (far * inside).astype(np.float32),
    )
