"""Convolutions with their weights in the order that the processor's library wants, once instead of at every pass.

oneDNN, which computes torch's convolutions on the CPU, reorders the weights of a stock ``Conv2d`` in every pass: some
40 % of a single image's time. `PackedConv2d` keeps them reordered and takes the addition of a residual branch and the
activation along, so that the result is written once. A convolution of single cells runs as a matrix
product over the cells: the order that oneDNN wants for a convolution depends on its input's size and on the number of
threads, and where the packed one is another, it reorders the weights in every pass, between some orders weight by
weight (256 to 1024 channels of one image on two Granite Rapids cores: 6.2 ms, as a product 0.4; two thirds of a pass of
mobilenet_v3_large). torch's compiler uses the same operations; they are not part of its documented interface, so
`can_pack` tries them before anyone relies on them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.timing import shortest

Activation = tuple[str, tuple[float, ...]]
"""Name of an activation in oneDNN, and its parameters."""
NOTHING: Activation = ("none", ())
RELU: Activation = ("relu", ())
LAG = 1.5
"""torch's products lag behind when they take so many times as long as oneDNN's."""
TIMED_SIDE = 384


def activation_of(module: nn.Module) -> Activation | None:
    """Return the activation that a module is, None for other modules."""
    if type(module) is nn.ReLU:
        return RELU
    if type(module) is nn.ReLU6:
        return ("hardtanh", (0.0, 6.0))
    if type(module) is nn.SiLU:
        return ("swish", ())
    if type(module) is nn.Hardswish:
        return ("hardswish", ())
    return None


class Activated(nn.Module):
    """An activation of these alone, in place."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        name, numbers = self.activation
        if name == "relu":
            return _rectified(x)
        if name == "hardtanh":
            return x.clamp_(*numbers)
        if name == "swish":
            return functional.silu(x, inplace=True)
        return functional.hardswish(x, inplace=True) if name == "hardswish" else x


class Mark(nn.Module):
    """Stands where a module's result passes, under its name; modules below it are not computed by it."""

    def forward(self, result: Tensor) -> Tensor:
        return result


class PackedConv2d(nn.Module):
    """``activation(conv(x) + other)`` without gradients; the results lie in memory channels last.

    Args:
        conv: on the CPU, with zeros as padding; it is not changed.
        activation: behind convolution and addition; behind an addition ``relu`` alone.

    Attributes:
        window: padding, stride, dilation and groups.
        bias: ``[K]`` or None.
        weight_bytes: of the weights.
    """

    def __init__(self, conv: nn.Conv2d, activation: Activation = NOTHING) -> None:
        super().__init__()
        assert packable(conv) and isinstance(conv.padding, tuple)
        self.window = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        weight = conv.weight.detach()
        self.weight_bytes = weight.nbytes
        padding, _, _, groups = self.window
        self._is_product = weight.shape[2:] == (1, 1) and padding == [0, 0] and groups == 1
        if self._is_product:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.flatten(1).contiguous(), None)
        else:
            self._weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), *self.window)
        self.bias = None if conv.bias is None else conv.bias.detach().clone()
        self.activation = activation

    @property
    def weight(self) -> Tensor:
        """The weights in their plain order, ``[K, C / groups, rows, columns]``."""
        plain: Tensor = self._weight.to_dense()
        return plain[:, :, None, None] if self._is_product else plain

    def forward(self, x: Tensor, other: Tensor | None = None, over: bool = False) -> Tensor:
        """Return ``[N, K, h, w]`` for `x` ``[N, C, H, W]``.

        Args:
            x: the input.
            other: what is added, of the result's shape.
            over: `other` is not needed any more, and the result may take its place.
        """
        name, numbers = self.activation
        if self._is_product:
            return self._product(x, other)
        parameters: tuple[Any, ...] = (self._weight, self.bias, *self.window)
        if other is None:
            out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *parameters, name, list(numbers), "")
            return out
        then = None if name == "none" else name
        if over and other.is_contiguous(memory_format=torch.channels_last):
            added = torch.ops.mkldnn._convolution_pointwise_.binary
            out = added(other, x, *parameters, "add", 1.0, then, [], None)
        else:
            added = torch.ops.mkldnn._convolution_pointwise.binary
            out = added(x, other, *parameters, "add", 1.0, then, [], None)
        return out

    def _product(self, x: Tensor, other: Tensor | None) -> Tensor:
        name, numbers = self.activation
        down, across = self.window[1]
        cells = x[:, :, ::down, ::across].permute(0, 2, 3, 1)
        if other is None:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(cells, self._weight, self.bias, name, list(numbers), "")
            return out.permute(0, 3, 1, 2)
        added = other.permute(0, 2, 3, 1)
        out = torch.ops.mkldnn._linear_pointwise.binary(cells, added, self._weight, self.bias, "add")
        return (_rectified(out) if name != "none" else out).permute(0, 3, 1, 2)


class PackedLinear(nn.Module):
    """What an `nn.Linear` on the CPU computes, without gradients, by oneDNN in place of torch's own products.

    Args:
        linear: with float32 weights; it is not changed.

    Attributes:
        bias: ``[K]`` or None.
        weight_bytes: of the weights.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight_bytes = linear.weight.nbytes
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = None if linear.bias is None else linear.bias.detach()

    @property
    def weight(self) -> Tensor:
        """The weights in their plain order, ``[K, C]``."""
        plain: Tensor = self._weight.to_dense()
        return plain

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., K]`` for `x` ``[..., C]``."""
        return product(x, self._weight, self.bias)


def _rectified(x: Tensor) -> Tensor:
    """Apply ReLU in place.

    The bits of a negative bfloat16 are those of a negative integer, whose maximum with 0 takes a quarter of the time. A
    NaN may become 0 so; but bfloat16 reaches as far as float32, where it would show.
    """
    if x.dtype != torch.bfloat16:
        return x.relu_()
    x.view(torch.int16).clamp_min_(0)
    return x


def product(x: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x W^T + bias`` for weights `W` ``[K, C]`` that oneDNN packed: `x` ``[..., C]`` -> ``[..., K]``."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return out


@lru_cache(maxsize=1)
def products_keep_up() -> bool:
    """Return whether torch's own products of matrices are about as fast here as oneDNN's, by timing both once.

    On one Zen 5 core MKL, with half of its vector width, makes 57 billion multiplications a second and oneDNN 130; on
    Zen 4 both make 56. In between nothing was seen, so noise decides nothing.
    """
    if not can_pack(torch.float32):
        return True
    x, y = torch.rand(2, TIMED_SIDE, TIMED_SIDE)
    packed = torch.ops.mkldnn._reorder_linear_weight(y, None)
    plain, packs = shortest(lambda: torch.mm(x, y), lambda: product(x, packed))
    return plain < LAG * packs


def packable(conv: nn.Module) -> bool:
    """Return whether `PackedConv2d` can stand for a module: an ordinary convolution that nothing is hooked on."""
    return (
        type(conv) is nn.Conv2d
        and isinstance(conv.padding, tuple)
        and conv.padding_mode == "zeros"
        and not (conv._forward_hooks or conv._forward_pre_hooks)
    )


@lru_cache(maxsize=2)
def can_pack(dtype: torch.dtype) -> bool:
    """Return whether torch has the operations here and they compute what a stock convolution does."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 8, 8, generator=generator).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 5e-2
    try:
        with torch.inference_mode():
            for conv in (nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1)):
                conv = conv.to(dtype)
                plain, packed = conv(x), PackedConv2d(conv, RELU)
                same = x.clone(memory_format=torch.channels_last)
                results = (packed(x), packed(x, x), packed(x, same, over=True))
                for found, expected in zip(results, (plain, plain + x, plain + x), strict=True):
                    if not torch.allclose(found.float(), expected.relu().float(), atol=tolerance):
                        return False
        return True
    except Exception:  # an operation that this torch does not have, or has with other arguments
        return False
