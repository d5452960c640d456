"""3x3 convolutions of many small maps with a third of the multiplications, exact up to rounding.

Winograd's minimal filtering F(4x4, 3x3) as of Lavin and Gray 2016 (arXiv 1509.09308): a tile of 6x6 cells ``d`` and a
filter ``g`` give 4x4 results ``A^T [(G g G^T) * (B^T d B)] A``, 36 products instead of 144. Summed over channels the
products are 36 matrix products. It pays where many tiles meet many channels, as the masked inputs of Score-CAM do in
most of a network (measured on one Zen 4 core, in batches of 8: 512 channels of 7x7 cells take 1.4 ms an input instead
of 2.1, 128 channels of 28x28 cells 1.75 instead of 2.1); its rounding is some five times a direct convolution's, so
single images do not go this way.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.packed import NOTHING, RELU, PackedConv2d

FEWEST_CHANNELS = 128
FEWEST_TILES = 24
"""With fewer in one batch, reading the transformed weights takes longer than the multiplications saved."""
WEIGHT_BYTES = 160 * 2**20
"""Bound for the transformed weights of one network; they are four times as large as the filters."""

_B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
      [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
_G = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
      [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class WinogradConv2d(nn.Module):
    """What a packed convolution computes, by another way for batches of at least `FEWEST_TILES` tiles."""

    def __init__(self, packed: PackedConv2d) -> None:
        super().__init__()
        self.packed = packed
        g = torch.tensor(_G, dtype=torch.float64)
        weight = packed.weight.double()
        moved = torch.einsum("ai,kcij,bj->abck", g, weight, g).flatten(0, 1)
        self._weight = moved.to(packed.weight.dtype).contiguous()  # [36, C, K]
        b, a = (torch.tensor(matrix, dtype=torch.float64) for matrix in (_B, _A))
        self._into, self._back = torch.kron(b, b).to(self._weight), torch.kron(a, a).to(self._weight)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Return ``[N, K, h, w]`` for `x` ``[N, C, h, w]``; `other`, if there is one, has the result's shape."""
        n, channels, h, w = x.shape
        down, across = -(-h // 4), -(-w // 4)
        if n * down * across < FEWEST_TILES:
            out: Tensor = self.packed(x, other)
            return out
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 4 * across + 1 - w, 1, 4 * down + 1 - h))
        image, row, column, _ = padded.stride()
        tiles = padded.as_strided(
            (6, 6, n, down, across, channels), (row, column, image, 4 * row, 4 * column, 1)
        ).reshape(36, -1)
        products = torch.bmm((self._into @ tiles).view(36, -1, channels), self._weight)
        found = (self._back @ products.flatten(1)).view(4, 4, n, down, across, -1)
        out = found.permute(2, 3, 0, 4, 1, 5).reshape(n, 4 * down, 4 * across, -1)[:, :h, :w].permute(0, 3, 1, 2)
        if self.packed.bias is not None:
            out = out + self.packed.bias[:, None, None]
        if other is not None:
            out = out + other
        return out.relu_() if self.packed.activation == RELU else out


def pays(packed: PackedConv2d) -> bool:
    """Return whether a convolution can be computed so, and has the channels for it."""
    weight = packed.weight
    fits = tuple(weight.shape[2:]) == (3, 3) and packed.window == ([1, 1], [1, 1], [1, 1], 1)
    plain = packed.activation in (NOTHING, RELU) and weight.dtype == torch.float32
    return fits and plain and min(weight.shape[:2]) >= FEWEST_CHANNELS


def chosen(network: nn.Module) -> list[PackedConv2d]:
    """Return the convolutions of a network to compute so: the last ones whose weights fit `WEIGHT_BYTES`."""
    found: list[PackedConv2d] = []
    room = WEIGHT_BYTES
    for module in reversed(list(network.modules())):
        if isinstance(module, PackedConv2d) and pays(module):
            room -= module.weight.nbytes * 4
            if room < 0:
                break
            found.append(module)
    return found
