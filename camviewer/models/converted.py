"""Any convolutional classifier with its end replaced by global pooling and one linear layer.

Class activation maps in closed form need that end (Zhou et al., Learning deep features for discriminative
localization, arXiv 1512.04150: AlexNet, VGG and GoogLeNet lose the layers behind their last convolution). What lies up
to the last convolution, with the norm, activation and sum that follow it at the same resolution, keeps its weights.
"""

from __future__ import annotations

import operator
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812

from camviewer.errors import ModelError
from camviewer.images.geometry import Size

Pooling = Literal["gap", "gmp"]
_Pool = (nn.MaxPool2d, nn.AvgPool2d)
_FUNCTIONS = (F.max_pool2d, F.avg_pool2d)


class Converted(nn.Module):
    """``features`` (a traced network up to its last convolution), ``pool``, ``flatten``, ``fc``.

    Attributes:
        transform_input: whether ``features`` begins with the rescaling of torchvision's own GoogLeNet weights; a
            checkpoint has to say so.
    """

    def __init__(
        self, features: nn.Module, channels: int, num_classes: int, head: Pooling, *, transform_input: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        self.pool = pooling(head)
        self.flatten = nn.Flatten(1)
        self.fc = nn.Linear(channels, num_classes)
        self.transform_input = transform_input

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, num_classes]`` of ``[N, C, h, w]``."""
        out: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return out


def pooling(head: Pooling) -> nn.Module:
    """Return the layer that takes the mean (``gap``) or the maximum (``gmp``) of each channel."""
    return nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.AdaptiveMaxPool2d(1)


def convert(
    network: nn.Module,
    num_classes: int,
    *,
    head: Pooling = "gap",
    finer: int = 0,
    input_size: Size = (224, 224),
    channels: int = 3,
) -> Converted:
    """Return `network` up to its last convolution, followed by global pooling and a fresh linear layer.

    The modules are shared with `network`, which must not be used afterwards.

    Args:
        network: a convolutional classifier that torch.fx can trace.
        num_classes: logits of the new linear layer.
        head: ``gap`` (mean over cells) or ``gmp`` (maximum over cells).
        finer: how many of the last halvings of the resolution are undone: the stride becomes 1, and convolutions behind
            it are dilated by 2, so that they still meet what they were trained on (Yu and Koltun, arXiv 1511.07122).
        input_size: (width, height) that resolutions are measured at.
        channels: of the input.

    Raises:
        ModelError: when the network has no such place, or fewer halvings than asked for.
    """
    if head not in ("gap", "gmp"):
        raise ModelError(f"The head {head} is not known. Choose gap or gmp.")
    if num_classes < 1 or finer < 0:
        raise ModelError("A converted network needs at least one class, and finer must not be negative.")
    title = type(network).__name__
    if any("attention" in type(module).__name__.lower() for module in network.modules()):
        raise ModelError(f"{title} mixes its cells by attention up to the end, so it cannot be given a pooling head.")
    network.eval()
    try:
        traced = fx.symbolic_trace(network)
        shapes = _shapes(traced, input_size, channels)
    except Exception as error:  # tracing fails in as many ways as there are networks
        raise ModelError(
            f"{title} cannot be converted: its structure depends on its input.", details=repr(error)
        ) from error
    end = _last_map(traced, shapes, title)
    features = _cut(traced, end)
    width = shapes[end.name][1]
    for step in range(finer):
        _undo_last_halving(features, _shapes(features, input_size, channels), title)
        try:
            _shapes(features, input_size, channels)
        except RuntimeError as error:
            raise ModelError(
                f"{title} cannot be made finer {step + 1} times: its branches no longer have the same size.",
                details=str(error),
            ) from error
    rescales = bool(getattr(network, "transform_input", False))
    return Converted(features, width, num_classes, head, transform_input=rescales)


class _Recorder(fx.Interpreter):
    """Runs a graph and notes the shape of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n.name] = tuple(result.shape)
        return result


def _shapes(module: fx.GraphModule, size: Size, channels: int) -> dict[str, tuple[int, ...]]:
    recorder = _Recorder(module)
    with torch.no_grad():
        recorder.run(torch.zeros(1, channels, size[1], size[0]))
    return recorder.shapes


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _last_map(graph: fx.GraphModule, shapes: dict[str, tuple[int, ...]], title: str) -> fx.Node:
    """Return the last node at the resolution of the last convolution that is not itself the classifier."""
    nodes: list[fx.Node] = list(graph.graph.nodes)
    linear = any(isinstance(_module(graph, node), nn.Linear) for node in nodes)
    convolutions = [
        node
        for node in nodes
        if isinstance(_module(graph, node), nn.Conv2d)
        and len(shapes[node.name]) == 4
        and max(shapes[node.name][2:]) > 1
    ]
    if not linear and len(convolutions) > 1:
        convolutions.pop()  # SqueezeNet's classes come from a convolution
    if not convolutions:
        raise ModelError(f"{title} has no convolution, so it cannot be given a pooling head.")
    last = convolutions[-1]
    size = shapes[last.name][2:]
    end = last
    for node in nodes[nodes.index(last) + 1 :]:
        if isinstance(_module(graph, node), (nn.Conv2d, nn.Dropout, nn.AdaptiveAvgPool2d, *_Pool)):
            if shapes.get(node.name, ())[2:] != size or not isinstance(_module(graph, node), nn.Dropout):
                break
            continue
        if len(shapes.get(node.name, ())) == 4 and shapes[node.name][2:] == size:
            end = node
    return end


def _cut(graph: fx.GraphModule, end: fx.Node) -> fx.GraphModule:
    for node in reversed(list(graph.graph.nodes)):
        if node.op == "output":
            node.args = (end,)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _undo_last_halving(graph: fx.GraphModule, shapes: dict[str, tuple[int, ...]], title: str) -> None:
    nodes: list[fx.Node] = list(graph.graph.nodes)

    def input_size(node: fx.Node) -> tuple[int, ...]:
        return shapes[cast(fx.Node, node.args[0]).name][2:]

    strided = [node for node in nodes if _stride(graph, node) > 1]
    if not strided:
        raise ModelError(f"{title} cannot be made finer: it keeps the resolution of its input.")
    # Branches that halve side by side (a residual block, an inception module) are changed together.
    before = input_size(strided[-1])
    strided = [node for node in strided if input_size(node) == before]
    for node in nodes[nodes.index(strided[0]) :]:
        module = _module(graph, node)
        if node in strided:
            if module is None:
                node.kwargs = {**node.kwargs, "stride": 1}
            else:
                cast(nn.Conv2d, module).stride = (1, 1)
        elif isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1 and max(input_size(node)) < max(before):
            module.dilation = tuple(2 * value for value in module.dilation)
            module.padding = tuple(2 * value for value in _pair(module.padding))
    graph.recompile()


def _stride(graph: fx.GraphModule, node: fx.Node) -> int:
    """Return by how much `node` makes a map smaller, 1 for what is neither convolution nor pooling."""
    module = _module(graph, node)
    if isinstance(module, (nn.Conv2d, *_Pool)):
        return max(_pair(module.stride))
    if node.op == "call_function" and node.target in _FUNCTIONS:
        given = node.kwargs.get("stride", node.args[2] if len(node.args) > 2 else None)
        return max(_pair(given if given is not None else node.args[1]))
    return 1


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (operator.index(value[0]), operator.index(value[1]))
