"""How a network ends: whether class activation maps are defined, and where.

A head is recognised by numbers, not by names: random features take the place of a layer's output, and the closed form
must give the logits that the network gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from camviewer.models.layout import layout_of, to_grid
from camviewer.models.operations import Node
from camviewer.models.outputs import pick_logits
from camviewer.models.records import HeadKind, HeadSummary
from camviewer.models.trace import Call, Trace, shape_copy

TOLERANCE = 1e-3  # of the logits' deviation; float32 sums of thousands of products stay below 1e-4
ROUNDINGS = 4  # units in the last place of a reduced type that pooling, product and sum may add to the tolerance


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The end of a network.

    With ``A`` the grid ``[K, h, w]`` of `layer` (its ReLU when `relu` is set) and ``Z = h * w``:

    * ``gap_linear``: ``S_c = mean_ij(sum_k w_ck A_kij) + b_c``
    * ``gmp_linear``: ``S_c = sum_k w_ck max_ij(A_kij) + b_c``
    * ``conv_gap``: ``S_c = mean_ij(f(sum_k w_ck A_kij + b_c))``, f the ReLU when `class_relu` is set

    Attributes:
        layer: name of the tapped layer; empty for ``none``.
        relu: whether a functional ReLU lies between the layer's output and the pooling.
        class_relu: whether a ReLU follows the class convolution.
        weight: ``[C, K]``, on the network's device.
        bias: ``[C]``, zeros where the network has none.
        reason: why CAM is refused; empty when it is offered.
        class_layer: dotted path of the module that `weight` belongs to.
    """

    kind: HeadKind
    layer: str = ""
    relu: bool = False
    class_relu: bool = False
    weight: Tensor | None = None
    bias: Tensor | None = None
    reason: str = ""
    class_layer: str = ""

    @property
    def shown(self) -> str:
        """The layer as people read it: ``features (+ReLU)``."""
        return f"{self.layer} (+ReLU)" if self.relu else self.layer

    def features(self, grid: Tensor) -> Tensor:
        """Return what the head receives, from the layer's output ``[N, K, h, w]``."""
        return grid.relu() if self.relu else grid

    def scores(self, grid: Tensor) -> Tensor:
        """Return the logits ``[N, C]`` by the closed form, from the layer's output ``[N, K, h, w]``."""
        assert self.weight is not None and self.bias is not None
        features = self.features(grid)
        if self.kind == "gmp_linear":
            return features.amax((2, 3)) @ self.weight.T + self.bias
        if self.kind == "gap_linear":
            return features.mean((2, 3)) @ self.weight.T + self.bias
        maps = torch.einsum("ck,nkhw->nchw", self.weight, features) + self.bias[:, None, None]
        return (maps.relu() if self.class_relu else maps).mean((2, 3))

    def summary(self) -> HeadSummary:
        return HeadSummary(self.kind, self.shown, self.reason)


def recognise_head(network: nn.Module, traced: Trace, *, channels: int = 3) -> Head:
    """Return how `network` ends.

    Args:
        network: in evaluation mode.
        traced: a pass of it, which names the candidates.
        channels: of the input.
    """
    if traced.logits is None:
        return Head("none", reason="The network gives no class scores.")
    if not traced.poolings:
        return Head(
            "none",
            reason="No map is pooled to one value a channel before the class scores, "
            "so no weight connects a channel with a class.",
        )
    pooling = traced.poolings[-1]
    found = _linear_head(network, traced, pooling.source, pooling.kind) or _conv_head(network, traced, pooling.source)
    if found is None:
        return Head(
            "none",
            reason="Between the global pooling and the class scores lies more than one linear layer, "
            "so no weights connect the map with a class.",
        )
    head, call = found
    assert call.node is not None
    layout = layout_of(call.node)
    if layout is None:
        return Head("none", reason=f"The layer {call.name} that enters the pooling is no grid of cells.")
    candidates = [head] if head.relu else [head, _with_relu(head)]
    features, logits = _probe(network, call, traced, channels)
    rounding = torch.finfo(logits.dtype).eps
    features, logits = features.float(), logits.float()
    for candidate in candidates:
        expected = candidate.scores(to_grid(features, layout))
        spread = (logits - candidate.bias).abs().max().clamp_min(1e-30)  # type: ignore[operator]
        allowed = (TOLERANCE + ROUNDINGS * rounding) * spread + rounding * logits.abs().max()
        if expected.shape == logits.shape and bool((expected - logits).abs().max() <= allowed):
            return candidate
    return Head(
        "none",
        reason=f"The class scores are not the pooled output of {call.name} times one set of weights.",
    )


def layer_of(traced: Trace, node: Node | None) -> Call | None:
    """Return the outermost module call that gives `node`; of equals the one that computed it."""
    calls = [call for call in traced.calls if node is not None and call.node is node]
    return min(calls, key=lambda call: (call.path.count("."), call.order), default=None)


def entering(traced: Trace, source: Node) -> tuple[Call, bool] | None:
    """Return the layer whose output is `source`, reordering aside, and whether a functional ReLU lies between."""
    node: Node | None = source
    while node is not None:
        call = layer_of(traced, node.above_views()) or layer_of(traced, node)
        if call is not None:
            return call, node is not source
        above = node.above_views()
        if above.op not in ("relu", "clamp_min", "relu6") or node is not source or not above.inputs:
            return None
        call = layer_of(traced, above.inputs[0].above_views()) or layer_of(traced, above.inputs[0])
        return (call, True) if call is not None else None
    return None


def _linear_head(network: nn.Module, traced: Trace, source: Node, kind: str) -> tuple[Head, Call] | None:
    found = _class_layer(network, traced, traced.logits, nn.Linear)
    entry = entering(traced, source)
    if found is None or entry is None or source.spans == {}:
        return None
    path, linear = found
    call, relu = entry
    assert call.node is not None
    layout = layout_of(call.node)
    channels = call.node.shape[1 if layout is not None and layout.kind in ("nchw", "channel_tokens") else -1]
    weight = linear.weight.detach().float()
    if weight.shape[1] != channels:
        return None
    bias = linear.bias.detach().float() if linear.bias is not None else weight.new_zeros(len(weight))
    name: HeadKind = "gmp_linear" if kind == "max" else "gap_linear"
    return Head(name, call.name, relu, False, weight, bias, class_layer=path), call


def _conv_head(network: nn.Module, traced: Trace, source: Node) -> tuple[Head, Call] | None:
    maps = source.above_views()
    class_relu = maps.op in ("relu", "clamp_min")
    node = maps.inputs[0] if class_relu and maps.inputs else maps
    found = _class_layer(network, traced, node, nn.Conv2d)
    logits = traced.logits
    if found is None or logits is None or not node.inputs:
        return None
    path, conv = found
    if logits.shape[1] != conv.out_channels:
        return None
    simple = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1
    if not simple or conv.padding not in ((0, 0), "valid"):
        return None
    entry = entering(traced, node.inputs[0])
    if entry is None:
        return None
    call, relu = entry
    weight = conv.weight.detach().float().flatten(1)
    bias = conv.bias.detach().float() if conv.bias is not None else weight.new_zeros(len(weight))
    return Head("conv_gap", call.name, relu, class_relu, weight, bias, class_layer=path), call


def _class_layer(network: nn.Module, traced: Trace, node: Node | None, kind: type[Any]) -> tuple[str, Any] | None:
    """Return the path and the module of type `kind` whose output is `node`, reordering aside."""
    if node is None:
        return None
    for call in reversed(traced.calls):
        if call.node is not None and call.node.above_views() is node.above_views():
            module = network.get_submodule(call.path)
            if isinstance(module, kind):
                return call.path, module
    return None


def _with_relu(head: Head) -> Head:
    return replace(head, relu=True)


def _probe(network: nn.Module, call: Call, traced: Trace, channels: int) -> tuple[Tensor, Tensor]:
    """Return random features put in place of a layer's output, and the logits that follow.

    In float32 where the end of the network takes it, in the network's own type otherwise.
    """
    parameter = next(network.parameters())
    width, height = traced.input_size
    shape = (1, channels, height, width)
    # What runs before the layer, or for another output, cannot matter, so it runs without arithmetic.
    above = {"", *(call.path[:i] for i, letter in enumerate(call.path) if letter == ".")}
    first = {c.path for c in traced.calls if c.order <= call.order}
    used = {c.path for c in traced.calls if c.node is None or c.node in traced.leading}
    behind = frozenset(used - first - above)
    exact = torch.empty(0, device=parameter.device, dtype=torch.float32)
    try:
        image = torch.empty(shape, device="meta", dtype=torch.float32)
        return _logits(shape_copy(network, keep=behind, dtype=torch.float32), call, image, exact)
    except Exception:  # the end uses more than this layer, or the network cannot run without arithmetic
        return _logits(network, call, torch.zeros(shape, device=parameter.device, dtype=parameter.dtype), parameter)


def _logits(network: nn.Module, call: Call, image: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    put: list[Tensor] = []
    with torch.inference_mode(), _replaced(network, call, put, like):
        logits = pick_logits(network(image))
    if logits is None or logits.device.type == "meta":
        raise ValueError("the layer does not lead to the class scores")
    return put[0], logits


@contextmanager
def _replaced(network: nn.Module, call: Call, put: list[Tensor], like: Tensor) -> Iterator[None]:
    """Put random features, kept in `put`, in place of what a call gives."""
    generator = torch.Generator().manual_seed(0)
    seen = 0

    def hook(_module: nn.Module, _args: Any, output: Tensor) -> Tensor | None:
        nonlocal seen
        seen += 1
        if seen != call.index + 1:
            return None
        drawn = torch.randn(output.shape, generator=generator).to(like)
        put.append(drawn.clone())
        return drawn

    handle = network.get_submodule(call.path).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
