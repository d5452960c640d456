"""Bringing maps of several layers or views of an image onto one grid, by where their cells lie in the input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from camviewer.images.geometry import CellPositions, Geometry, InputPlan, Size


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of a map: the centre of cell ``i`` lies at ``start + step * i`` in input pixel indices.

    Attributes:
        size: (columns, rows).
        cells: positions, always known here: measured, or the even grid over the input.
        measured: whether `cells` were measured.
    """

    size: Size
    cells: CellPositions
    measured: bool

    def geometry(self, plan: InputPlan) -> Geometry:
        """Return how the cells lie in the image; the even grid unless they were measured."""
        cells = self.cells if self.measured else None
        return Geometry(plan.image_size, plan.input_size, self.size, plan.input_to_image, cells)

    def mirrored(self, input_size: Size, axes: tuple[int, ...]) -> Grid:
        """Return the grid of a map that was made on a mirrored input and turned back.

        Args:
            input_size: (width, height) of the input.
            axes: 2 where columns, 1 where rows are mirrored.
        """
        start = list(self.cells.start)
        for i, axis in enumerate((2, 1)):
            if axis in axes:
                start[i] = input_size[i] - 1 - start[i] - self.cells.step[i] * (self.size[i] - 1)
        return Grid(self.size, CellPositions((start[0], start[1]), self.cells.step), self.measured)

    def scaled(self, ratio: tuple[float, float]) -> Grid:
        """Return the grid in the coordinates of an input whose sides are `ratio` times as long."""
        start, step = self.cells.start, self.cells.step
        moved = tuple((s + 0.5) * r - 0.5 for s, r in zip(start, ratio, strict=True))
        longer = tuple(s * r for s, r in zip(step, ratio, strict=True))
        return Grid(self.size, CellPositions((moved[0], moved[1]), (longer[0], longer[1])), self.measured)


def make_grid(size: Size, input_size: Size, cells: CellPositions | None) -> Grid:
    """Return the grid with measured positions, or the even one that `Geometry` uses without them."""
    if cells is not None:
        return Grid(size, cells, True)
    step = (input_size[0] / size[0], input_size[1] / size[1])
    return Grid(size, CellPositions((step[0] / 2 - 0.5, step[1] / 2 - 0.5), step), False)


def finest(grids: list[Grid]) -> Grid:
    """Return the grid with most cells, the first of equals."""
    return max(grids, key=lambda grid: grid.size[0] * grid.size[1])


def resample(maps: Tensor, source: Grid, target: Grid) -> Tensor:
    """Return `maps` ``[n, rows, columns]`` interpolated bilinearly at the cells of `target`.

    Beyond the outermost cells the outermost value holds, as in `Geometry.upsample`.
    """
    if source.size == target.size and source.cells == target.cells:
        return maps
    across = _weights(target, source, axis=0).to(maps)
    down = _weights(target, source, axis=1).to(maps)
    return down @ maps @ across.T


def _weights(target: Grid, source: Grid, *, axis: int) -> Tensor:
    count, cells = target.size[axis], source.size[axis]
    position = target.cells.start[axis] + target.cells.step[axis] * torch.arange(count, dtype=torch.float64)
    index = ((position - source.cells.start[axis]) / source.cells.step[axis]).clamp(0, cells - 1)
    lower = index.floor().long().clamp(max=max(cells - 2, 0))
    weight = index - lower
    matrix = torch.zeros(count, cells, dtype=torch.float64)
    matrix.scatter_(1, lower[:, None], (1 - weight)[:, None])
    if cells > 1:
        matrix.scatter_(1, lower[:, None] + 1, weight[:, None])
    return matrix


def fuse(maps: list[Tensor], how: str) -> Tensor:
    """Return the ``mean`` or ``max`` of maps ``[n, h, w]`` on one grid, each first divided by its largest magnitude."""
    scaled = torch.stack([m / m.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30) for m in maps])
    return scaled.amax(dim=0) if how == "max" else scaled.mean(dim=0)
