"""The first convolution of masked inputs, mixed from a few results instead of computed for every mask.

A unit's mask is its cells, enlarged bilinearly: ``H = sum_ij a_ij B_ij``, one hat function ``B_ij`` a cell. Masking
is linear too, so a convolution without its activation gives ``conv(X_b) + sum_ij a_ij conv((X - X_b) B_ij)``. No place
of that result sees more than a few cells: ``p x q`` of them, neighbours. Cells that lie ``p`` rows or ``q`` columns
apart are never seen together, so the results for all their hat functions fit into one: ``p q`` convolutions of the
image serve every mask of a layer. A mask costs ``p q`` products for each value of the result, in place of one for each
weight of a filter (9 in place of 147 in a ResNet), and is itself never made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.masking import Forward, MaskedForward, stretched, varying
from camviewer.cam.packed import PackedConv2d

MIXED_BYTES = 64 * 2**20
"""Bound for the results that are mixed; above it masks are made and convolved."""
PRODUCT_COST = 512
"""What a product of matrices costs beside its values, in values of its result."""

Window = tuple[int, int, int, int]
"""Kernel, padding, stride and dilation of a convolution along one axis."""


def enlargement(cells: int, pixels: int) -> Tensor:
    """Return the weight of each cell in each pixel of a bilinear enlargement along one axis, ``[pixels, cells]``."""
    hats = torch.eye(cells)[:, None, :, None]
    return functional.interpolate(hats, size=(pixels, 1), mode="bilinear", align_corners=False)[:, 0, :, 0].T


def turning_pixels(weights: Tensor) -> Tensor:
    """Return the pixels at which an enlargement along one axis can have its extremes, of `weights` ``[pixels, cells]``.

    Between two cells' centres it is linear, so these are the outermost pixels of each such stretch.
    """
    first = (weights > 0).int().argmax(dim=1)
    turns = first[1:] != first[:-1]
    edge = turns.new_ones(1)
    return torch.nonzero(torch.cat([edge, turns]) | torch.cat([turns, edge])).flatten()


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Which cells the places of a convolution's result see along one axis.

    Attributes:
        weights: of cells in pixels, ``[pixels, cells]``.
        places: of the result.
        count: cells that one group of places sees, at most.
        of_group: the cell of each remainder modulo `count` that a group sees, ``[groups, count]``.
    """

    weights: Tensor
    places: int
    count: int
    of_group: Tensor

    @classmethod
    def of(cls, weights: Tensor, window: Window, width: int) -> _Axis:
        """Return the axis for groups of `width` neighbouring places."""
        seen = _seen(weights, window)
        first, last = (ends.view(-1, width) for ends in seen)
        start, end = first.amin(dim=1), last.amax(dim=1)
        count = int((end - start).amax()) + 1
        start = start.clamp(max=weights.shape[1] - count)
        remainders = torch.arange(count)
        return cls(weights, len(seen[0]), count, start[:, None] + (remainders - start[:, None]) % count)

    def comb(self, remainder: int) -> Tensor:
        """Return the sum of the hat functions of every `count`-th cell, ``[pixels]``."""
        return self.weights[:, remainder :: self.count].sum(dim=1)


def _seen(weights: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """Return the first and the last cell that each place sees; places that see padding alone see any one cell."""
    kernel, padding, stride, dilation = window
    pixels = len(weights)
    places = (pixels + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    low = torch.arange(places) * stride - padding
    first, last = low.clamp(0, pixels - 1), (low + dilation * (kernel - 1)).clamp(0, pixels - 1)
    held = weights > 0
    lowest = held.int().argmax(dim=1)
    highest = held.shape[1] - 1 - held.flip(1).int().argmax(dim=1)
    return lowest[first], highest[last]


class MaskedStem(nn.Module):
    """What a network's first convolution makes of masked inputs, before its activation.

    Args:
        conv: the convolution; on the CPU.
        X: normalised input ``[C, H, W]``.
        background: what stands where a unit is low, ``[C, H, W]``.
        cells: (rows, columns) of the units.
        dtype: of what is mixed, and of what it gives.
    """

    def __init__(
        self,
        conv: PackedConv2d,
        X: Tensor,
        background: Tensor,
        cells: tuple[int, int],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        rows, columns = _axes(conv, (X.shape[1], X.shape[2]), cells)
        padding, stride, dilation, groups_of_channels = conv.window
        filters = conv.weight.float()

        groups, width = rows.places * len(columns.of_group), columns.places // len(columns.of_group) * len(filters)
        self._results = X.new_empty(groups, rows.count * columns.count + 1, width, dtype=dtype)

        def convolve(place: int, x: Tensor, bias: Tensor | None = None) -> None:
            found = functional.conv2d(x[None], filters, bias, stride, padding, dilation, groups_of_channels)
            self._results[:, place] = found[0].permute(1, 2, 0).reshape(groups, width)

        for i in range(rows.count):
            for j in range(columns.count):
                comb = rows.comb(i)[:, None] * columns.comb(j)
                convolve(i * columns.count + j, (X - background) * comb)
        convolve(-1, background, None if conv.bias is None else conv.bias.float())
        pairs = rows.of_group[:, None, :, None] * cells[1] + columns.of_group[None, :, None, :]
        constant = torch.full((len(self._results), 1), cells[0] * cells[1])
        self._places = torch.cat([pairs.reshape(len(self._results), -1), constant], dim=1)
        self._turning = [axis.weights[turning_pixels(axis.weights)] for axis in (rows, columns)]
        self._size = (rows.places, columns.places, len(filters))

    def shares(self, values: Tensor, strength: Tensor | None = None) -> Tensor:
        """Return what `forward` takes for units' cells `values` ``[n, rows, columns]``: ``[n, rows * columns + 1]``.

        Args:
            values: of the units; their masks are min-max-normalised as in `masking.unit_masks`.
            strength: of each mask, ``[n]``; 1 for None.
        """
        extremes = self._turning[0] @ values @ self._turning[1].T
        low, high = (ends(dim=(1, 2), keepdim=True) for ends in (extremes.amin, extremes.amax))
        found = stretched(values, low, high, varies=varying(values)).flatten(1)
        if strength is not None:
            found = found * strength[:, None]
        return torch.cat([found, found.new_ones(len(found), 1)], dim=1)

    def forward(self, shares: Tensor) -> Tensor:
        """Return the convolution's results ``[n, K, h, w]``, channels last, for `shares` of masks."""
        n = len(shares)
        rows, columns, channels = self._size
        out = self._results.new_empty(n, rows, columns, channels)
        groups, _, width = self._results.shape
        groups_of_places = out.as_strided((groups, n, width), (width, out[0].numel(), 1))
        torch.bmm(shares.to(out).T[self._places].transpose(1, 2), self._results, out=groups_of_places)
        return out.permute(0, 3, 1, 2)


def pays(conv: PackedConv2d, size: tuple[int, int], cells: tuple[int, int]) -> bool:
    """Return whether mixing costs less than convolving, and its results fit into `MIXED_BYTES`.

    Args:
        conv: the convolution.
        size: (height, width) of the input.
        cells: (rows, columns) of the units.
    """
    rows, columns = _axes(conv, size, cells)
    mixed = rows.count * columns.count + 1
    fits = 4 * mixed * rows.places * columns.places * len(conv.weight) <= MIXED_BYTES
    return fits and mixed <= conv.weight[0].numel()


def _axes(conv: PackedConv2d, size: tuple[int, int], cells: tuple[int, int]) -> tuple[_Axis, _Axis]:
    """Return rows one by one, and columns in the groups that cost least: wide ones see more cells, others are many."""
    filters = conv.weight
    padding, stride, dilation, _ = conv.window
    windows = list(zip(filters.shape[2:], padding, stride, dilation, strict=True))
    down, across = (enlargement(n, side) for n, side in zip(cells, size, strict=True))
    places = len(_seen(across, windows[1])[0])
    widths = [width for width in range(1, places + 1) if places % width == 0]
    columns = [(_Axis.of(across, windows[1], width), width * len(filters)) for width in widths]
    cheapest = min(columns, key=lambda found: found[0].count * (1 + PRODUCT_COST / found[1]))
    return _Axis.of(down, windows[0], 1), cheapest[0]


class StemForward(MaskedForward):
    """Puts an image through a network as units see it, without masks and without the first convolution.

    Args:
        forward, X, background: as in `MaskedForward`.
        stem: stands for the first convolution.
        mixed: shares of masks to logits, through `stem`.
    """

    def __init__(self, forward: Forward, X: Tensor, background: Tensor, stem: MaskedStem, mixed: Forward) -> None:
        super().__init__(forward, X, background)
        self._stem = stem
        self._mixed = mixed

    def masked(self, values: Tensor, strength: Tensor | None = None) -> Tensor:
        return self._mixed(self._stem.shares(values, strength)).float()
