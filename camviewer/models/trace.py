"""One observed forward pass: which module call gave which tensor, where its cells lie, and where pooling happens.

Operations are seen below the modules (``__torch_dispatch__``), so residual sums, functional activations, slices and
window partitions count as much as modules do. The pass runs on the meta device, without arithmetic, where the network
allows it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from camviewer.images.geometry import Size
from camviewer.models.operations import PRODUCTS, RULES, TRANSPARENT, VIEWS, Node, combine, multiply, note_channels_last
from camviewer.models.outputs import pick_logits
from camviewer.models.spans import Factor, Span, axes, plain, reshape

POOLS = {"mean": "avg", "amax": "max", "max": "max"}


@dataclass(slots=True, eq=False)
class Call:
    """One call of a module.

    Attributes:
        name: dotted path, ``#2`` for the second call.
        path: dotted path alone.
        index: 0 for the first call.
        order: position among all calls as they finished.
        node: its output, or None if that is no tensor.
    """

    name: str
    path: str
    index: int
    order: int
    node: Node | None


@dataclass(slots=True, eq=False)
class Pooling:
    """A reduction of both image axes to one value: ``avg`` or ``max``."""

    kind: str
    source: Node
    result: Node


@dataclass(slots=True, eq=False)
class Trace:
    """What one pass showed.

    Attributes:
        input_size: (width, height).
        calls: in the order in which the modules finished.
        poolings: those that the class scores are made of, in order; auxiliary outputs have their own.
        logits: the class scores, or None if there are none.
        leading: every node that the class scores are made of.
    """

    input_size: Size
    calls: tuple[Call, ...]
    poolings: tuple[Pooling, ...]
    logits: Node | None
    leading: frozenset[Node]


def trace(network: nn.Module, *, input_size: Size, channels: int = 3) -> Trace:
    """Return what a forward pass of one image of `input_size` (width, height) does.

    The network is left as it was. Its weights are not read unless it cannot run on the meta device.

    Raises:
        Exception: whatever the network raises for this input.
    """
    width, height = input_size
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    try:
        return observe(shape_copy(network), torch.empty(1, channels, height, width, device="meta", dtype=dtype))
    except Exception:  # data-dependent control flow, tensors that are no parameters, custom operations
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        image = torch.randn(1, channels, height, width, generator=generator).to(device, dtype)
        return observe(network, image)


def observe(network: nn.Module, image: Tensor) -> Trace:
    """Return what `network` does with `image` ``[1, C, h, w]``; the network must be in evaluation mode."""
    recorder = _Recorder(image)
    with torch.inference_mode(), recorder.hooked(network), recorder:
        logits = pick_logits(network(image))
    height, width = image.shape[-2:]
    scores = recorder.node(logits) if logits is not None else None
    leading = frozenset(_ancestors(scores))
    poolings = tuple(pooling for pooling in recorder.poolings if pooling.result in leading)
    return Trace((width, height), tuple(recorder.calls), poolings, scores, leading)


def _ancestors(node: Node | None) -> set[Node]:
    """Return `node` and every node that it was made of."""
    found: set[Node] = set()
    waiting = [node] if node is not None else []
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.inputs)
    return found


def shape_copy(
    network: nn.Module, *, keep: frozenset[str] = frozenset(), dtype: torch.dtype | None = None
) -> nn.Module:
    """Return a copy in evaluation mode whose tensors have shapes but no memory.

    Args:
        keep: paths of modules that share their own tensors with `network` instead, children excluded.
        dtype: of all floating-point tensors, which are copied where they have another; None for their own.
    """

    def kind(tensor: Tensor) -> torch.dtype:
        return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype

    memo: dict[int, Any] = {}
    for path in keep:
        module = network.get_submodule(path)
        for tensor in [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]:
            if isinstance(tensor, Tensor):
                kept = tensor.detach().to(kind(tensor))
                memo[id(tensor)] = nn.Parameter(kept, False) if isinstance(tensor, nn.Parameter) else kept
    for module in network.modules():
        tensors = [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]
        for tensor in tensors:
            if isinstance(tensor, Tensor) and id(tensor) not in memo:
                empty = torch.empty_like(tensor, device="meta", dtype=kind(tensor))
                memo[id(tensor)] = nn.Parameter(empty, False) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(network, memo).eval()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows image axes through every operation."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        _, channels, height, width = image.shape
        dims = (plain(1), plain(channels), (Factor("y", height),), (Factor("x", width),))
        self.nodes: dict[int, Node] = {
            id(image): Node("input", (), tuple(image.shape), dims, {"y": Span(), "x": Span()})
        }
        self.alive: list[Tensor] = [image]  # so that an id is never given twice
        self.calls: list[Call] = []
        self.poolings: list[Pooling] = []

    def node(self, tensor: Tensor) -> Node | None:
        return self.nodes.get(id(tensor))

    @contextmanager
    def hooked(self, network: nn.Module) -> Iterator[None]:
        counts: dict[str, int] = {}
        handles = []

        def after(path: str) -> Callable[..., None]:
            def record(_module: nn.Module, _args: Any, output: Any) -> None:
                index = counts.get(path, 0)
                counts[path] = index + 1
                name = path if index == 0 else f"{path}#{index + 1}"
                node = self.node(output) if isinstance(output, Tensor) else None
                self.calls.append(Call(name, path, index, len(self.calls), node))

            return record

        try:
            for path, module in network.named_modules():
                if path:
                    handles.append(module.register_forward_hook(after(path)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name not in RULES and name not in TRANSPARENT:
            with self:  # an operation made of others is followed through those
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        inputs = [self.nodes[id(t)] for t in _tensors((*args, *kwargs.values())) if id(t) in self.nodes]
        result = func(*args, **kwargs)
        if not inputs:
            return result
        if name.endswith("_") and not name.endswith("__"):
            name = name[:-1]
        for number, tensor in enumerate(_tensors((result,))):
            self.alive.append(tensor)
            self.nodes[id(tensor)] = self._follow(name, func, args, kwargs, tensor, inputs, number)
        return result

    def _follow(
        self,
        op: str,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        out: Tensor,
        inputs: list[Node],
        number: int,
    ) -> Node:
        node = Node(op, tuple(inputs), tuple(out.shape))
        values = _arguments(func, args, kwargs)
        product = op in PRODUCTS and len(inputs) == 1
        product = product and self.node(values["mat1" if op == "addmm" else "self"]) is inputs[0]
        note_channels_last(node, values, product)
        source = next((n for n in inputs if n.spans), None)
        if source is None:
            return node
        rule = RULES.get(op)
        if op in VIEWS:
            dims = reshape(source.dims, node.shape)
            if dims is not None:
                node.dims, node.spans = dims, source.spans
        elif rule is not None:
            found = rule(source, node, values)
            if found is not None:
                node.dims, node.spans = found
        elif op == "cat":
            self._cat(node, values)
        elif product:
            multiply(source, node)
        else:
            combine(node, inputs)
        self._note_pooling(op, source, node, number)
        return node

    def _cat(self, node: Node, values: dict[str, Any]) -> None:
        along = int(values.get("dim", 0)) % len(node.shape)
        parts = [(tensor, self.node(tensor)) for tensor in values["tensors"]]
        mapped = [n for _, n in parts if n is not None and n.spans]
        if not any(axes(n.dims[along]) for n in mapped):
            combine(node, mapped)
            return
        # Tokens beside a flattened grid: class and register tokens.
        grids = [i for i, (_, n) in enumerate(parts) if n is not None and n.spans and axes(n.dims[along])]
        if len(grids) != 1:
            return
        source = parts[grids[0]][1]
        assert source is not None
        prefix = sum(tensor.shape[along] for tensor, _ in parts[: grids[0]])
        dim = source.dims[along]
        if len(dim) == 1 and dim[0].axis == "tokens":
            factor = Factor("tokens", node.shape[along], 1, prefix + dim[0].prefix, dim[0].grid)
        elif axes(dim) == ("y", "x") and len(dim) == 2:
            factor = Factor("tokens", node.shape[along], 1, prefix, (dim[1].size, dim[0].size))
        else:
            return
        node.dims = tuple((factor,) if i == along else d for i, d in enumerate(source.dims))
        node.spans = source.spans

    def _note_pooling(self, op: str, source: Node, node: Node, number: int) -> None:
        kind = "max" if "max" in op else "avg"
        pools = op in POOLS or "pool" in op
        if number == 0 and pools and not node.spans and _grid_cells(source) and math.prod(node.shape[1:]) > 0:
            self.poolings.append(Pooling(kind, source, node))


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments by the names of the operation's schema, defaults included."""
    values: dict[str, Any] = {}
    for position, argument in enumerate(func._schema.arguments):
        if position < len(args):
            values[argument.name] = args[position]
        elif argument.name in kwargs:
            values[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            values[argument.name] = argument.default_value
    return values


def _grid_cells(node: Node) -> int:
    return math.prod(f.size for dim in node.dims for f in dim if f.axis) if node.spans else 0
