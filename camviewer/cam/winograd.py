"""3x3 convolutions with a quarter of the multiplications, exact up to rounding.

Winograd's minimal filtering F(4x4, 3x3) as of Lavin and Gray 2016 (arXiv 1509.09308): a tile of 6x6 cells ``d`` and a
filter ``g`` give 4x4 results ``A^T [(G g G^T) * (B^T d B)] A``, 36 products instead of 144. Summed over channels the
products are 36 matrix products. The points that the transforms interpolate at decide the rounding: 0, +-3/4 and +-3/2
give a quarter of the usual 0, +-1 and +-2 (Barabasz et al. 2020, arXiv 1803.10986, on the choice), twice that of
a direct convolution.

What is saved is lost again where tiles leave the cache on their way through the three steps, so a batch goes through
them in blocks. Measured on a Zen 4 core, in batches of 8, a convolution with addition and ReLU takes 1.5 ms an input
instead of 2.1 with 64 channels of 56x56 cells, 1.2 instead of 2.1 with 128 channels of 28x28, and 1.2 instead of 1.8
with 512 channels of 7x7. Processors that multiply faster in direct convolutions, but move memory no faster, gain
nothing: a Zen 5 core, or a Granite Rapids core (1.6 and 1.1 ms for 64 channels). `is_faster` tells them apart.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.packed import NOTHING, RELU, PackedConv2d, can_pack, product
from camviewer.cam.timing import shortest

FEWEST_CHANNELS = 64
FEWEST_TILES = 16
"""With fewer in one batch, reading the transformed weights takes longer than the multiplications saved."""
WEIGHT_BYTES = 16 * 2**20
"""Bound for the transformed weights of one network, for each input that shares a pass. They are four times as large as
the filters, and a pass reads them once."""
BLOCK_BYTES = 2**20
"""Tiles of one block, for each core."""
FILTERS_AT_ONCE = 32
PACKED_CHANNELS = 256
"""From so many on the weights are packed for a whole batch; torch's own product would pack them again at each call."""
GAIN = 0.9
"""It pays where it takes at most this share of a direct convolution's time."""
TIMED_INPUTS, TIMED_SIDE = 4, 56
"""What is timed to know it: inputs, and their rows and columns."""


def transforms(points: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``A^T`` ``[4, 6]``, ``G`` ``[6, 3]`` and ``B^T`` ``[6, 6]``, float64, for five finite points and infinity.

    A row of ``A`` and ``G`` evaluates a polynomial at a point; ``G``'s is divided by the product of the point's
    distances from the others, and ``B``'s holds the coefficients of the polynomial that vanishes at all of these.
    """
    found = [np.zeros(shape) for shape in ((4, 6), (6, 3), (6, 6))]
    A, G, B = found
    for i, point in enumerate(points):
        others = [p for p in points if p != point]
        A[:, i] = point ** np.arange(4)
        G[i] = point ** np.arange(3) / np.prod([point - p for p in others])
        B[i, :5] = np.poly(others)[::-1]
    A[3, 5] = G[5, 2] = 1
    B[5] = np.poly(points)[::-1]
    return torch.from_numpy(A), torch.from_numpy(G), torch.from_numpy(B)


_A, _G, _B = transforms((0, 0.75, -0.75, 1.5, -1.5))


class WinogradConv2d(nn.Module):
    """What a packed convolution computes, by another way for batches of at least `FEWEST_TILES` tiles."""

    def __init__(self, packed: PackedConv2d) -> None:
        super().__init__()
        self.packed = packed
        weight = packed.weight
        planes = _transformed(weight)
        self._results = len(weight)
        self._planes: Tensor | list[Tensor] = planes
        if min(weight.shape[:2]) >= PACKED_CHANNELS:
            pack = torch.ops.mkldnn._reorder_linear_weight
            self._planes = [pack(plane.T.contiguous(), None) for plane in planes]
        self._into, self._back = _B.to(planes), _A.to(planes)

    def forward(self, x: Tensor, other: Tensor | None = None, over: bool = False) -> Tensor:
        """Return ``[N, K, h, w]`` for `x` ``[N, C, h, w]``; the rest is as in `PackedConv2d.forward`."""
        n, _, h, w = x.shape
        down, across = -(-h // 4), -(-w // 4)
        if n * down * across < FEWEST_TILES:
            direct: Tensor = self.packed(x, other, over)
            return direct
        out = x.new_empty(n, h, w, self._results)
        images, rows = self._blocks(x)
        for start in range(0, n, images):
            part = slice(start, start + images)
            for first in range(0, down, rows):
                last = min(first + rows, down)
                added = None if other is None else other[part, :, 4 * first : 4 * last].permute(0, 2, 3, 1)
                self._block(x[part], added, out[part, 4 * first : 4 * last], first, last)
        return out.permute(0, 3, 1, 2)

    def _blocks(self, x: Tensor) -> tuple[int, int]:
        """Return how many inputs, and rows of their tiles, go through the steps together."""
        n, channels, h, w = x.shape
        down, across = -(-h // 4), -(-w // 4)
        if isinstance(self._planes, list):
            return n, down
        fitting = torch.get_num_threads() * BLOCK_BYTES // (36 * across * channels * x.element_size())
        return max(1, fitting // down), min(down, max(1, fitting))

    def _block(self, x: Tensor, other: Tensor | None, out: Tensor, first: int, last: int) -> None:
        """Write some inputs' results of tile rows `first` to `last` to `out` ``[n, rows, w, K]``."""
        n, channels, _, w = x.shape
        down, across = last - first, -(-w // 4)
        seen = x[:, :, max(4 * first - 1, 0) : 4 * last + 1].permute(0, 2, 3, 1)
        above = 1 if first == 0 else 0
        padded = functional.pad(seen, (0, 0, 1, 4 * across + 1 - w, above, 4 * down + 2 - above - seen.shape[1]))
        image, row, column, _ = padded.stride()
        steps = (row, column, image, 4 * row, 4 * column, 1)
        tiles = padded.as_strided((6, 6, n, down, across, channels), steps).reshape(36, -1)
        products = self._products(_both_ways(self._into, tiles).view(36, -1, channels))
        found = _both_ways(self._back, products.flatten(1)).view(4, 4, n, down, across, -1)
        whole = found.permute(2, 3, 0, 4, 1, 5).reshape(n, 4 * down, 4 * across, -1)[:, : out.shape[1], :w]
        if self.packed.bias is None:
            out.copy_(whole)
        else:
            torch.add(whole, self.packed.bias, out=out)
        if other is not None:
            out += other
        if self.packed.activation == RELU:
            out.relu_()

    def _products(self, tiles: Tensor) -> Tensor:
        """Return ``[36, T, K]`` for transformed tiles ``[36, T, C]``."""
        if not isinstance(self._planes, list):
            return torch.bmm(tiles, self._planes)
        return torch.stack([product(one, plane) for one, plane in zip(tiles, self._planes, strict=True)])


def _transformed(weight: Tensor) -> Tensor:
    """Return ``G g G^T`` of filters ``[K, C, 3, 3]`` as ``[36, C, K]``, from float64, some filters at a time."""
    planes = weight.new_empty(36, weight.shape[1], len(weight))
    for start in range(0, len(weight), FILTERS_AT_ONCE):
        part = weight[start : start + FILTERS_AT_ONCE].double()
        planes[:, :, start : start + len(part)] = torch.einsum("ai,kcij,bj->abck", _G, part, _G).flatten(0, 1)
    return planes


def _both_ways(matrix: Tensor, tiles: Tensor) -> Tensor:
    """Return ``matrix t matrix^T`` of 6x6 tiles ``t``: `matrix` ``[m, 6]``, `tiles` ``[36, R]`` -> ``[m * m, R]``."""
    m = len(matrix)
    rows = torch.mm(matrix, tiles.view(6, -1)).view(m, 6, -1)
    return torch.bmm(matrix.expand(m, m, 6), rows).view(m * m, -1)


@lru_cache(maxsize=1)
def is_faster() -> bool:
    """Return whether a batch's wide convolution takes clearly less time so than directly, by timing both once."""
    if not can_pack(torch.float32):
        return False
    with torch.inference_mode():
        packed = PackedConv2d(nn.Conv2d(FEWEST_CHANNELS, FEWEST_CHANNELS, 3, padding=1, bias=False))
        filtered = WinogradConv2d(packed)
        x = torch.zeros(TIMED_INPUTS, FEWEST_CHANNELS, TIMED_SIDE, TIMED_SIDE).to(memory_format=torch.channels_last)
        direct, winograd = shortest(lambda: packed(x), lambda: filtered(x))
    return winograd <= GAIN * direct


def pays(packed: PackedConv2d) -> bool:
    """Return whether a convolution can be computed so, and has the channels for it."""
    weight = packed.weight
    fits = tuple(weight.shape[2:]) == (3, 3) and packed.window == ([1, 1], [1, 1], [1, 1], 1)
    plain = packed.activation in (NOTHING, RELU) and weight.dtype == torch.float32
    return fits and plain and min(weight.shape[:2]) >= FEWEST_CHANNELS


def chosen(network: nn.Module, *, inputs: int) -> list[PackedConv2d]:
    """Return the convolutions of a network to compute so: the first ones, of most cells, whose weights fit.

    There are none where it does not pay (`is_faster`).

    Args:
        network: a faster copy.
        inputs: how many share a pass.
    """
    found: list[PackedConv2d] = []
    room = WEIGHT_BYTES * inputs
    for module in network.modules() if is_faster() else ():
        if isinstance(module, PackedConv2d) and pays(module):
            room -= module.weight.nbytes * 4
            if room < 0:
                break
            found.append(module)
    return found
