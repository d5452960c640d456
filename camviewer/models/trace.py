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
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from camviewer.images.geometry import Size
from camviewer.models.outputs import pick_logits
from camviewer.models.spans import Dim, Factor, Span, axes, plain, reshape

VIEWS = {"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten", "_reshape_alias"}
# Operations that change no value in evaluation: what a head may do between its map and its pooling.
TRANSPARENT = VIEWS | {
    "permute",
    "transpose",
    "t",
    "clone",
    "contiguous",
    "detach",
    "alias",
    "expand",
    "to",
    "_to_copy",
    "dropout",
}
POOLS = {"mean": "avg", "amax": "max", "max": "max"}


@dataclass(slots=True, eq=False)
class Node:
    """A tensor at one moment of the pass.

    Attributes:
        op: operation that made it; ``input`` for the network's input.
        inputs: nodes it was made from.
        shape: of the tensor, batch axis included.
        dims: image axes of each dimension.
        spans: by image axis; empty when the tensor has no image axis that is understood.
    """

    op: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...]
    dims: tuple[Dim, ...] = ()
    spans: dict[str, Span] = field(default_factory=dict)

    def above_views(self) -> Node:
        """Return the node that computed the values: this one without reordering operations."""
        node = self
        while node.inputs and (node.op in TRANSPARENT or node._is_whole_slice()):
            node = node.inputs[0]
        return node

    def _is_whole_slice(self) -> bool:
        """Return whether a selection took everything, as ``scores[:, 0]`` does where there is one score."""
        return self.op in ("select", "slice") and math.prod(self.shape) == math.prod(self.inputs[0].shape)


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


def shape_copy(network: nn.Module, *, keep: frozenset[str] = frozenset()) -> nn.Module:
    """Return a copy in evaluation mode whose tensors have shapes but no memory.

    Args:
        keep: paths of modules that share their own tensors with `network` instead, children excluded.
    """
    memo: dict[int, Any] = {}
    for path in keep:
        module = network.get_submodule(path)
        for tensor in [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]:
            if isinstance(tensor, Tensor):
                memo[id(tensor)] = tensor
    for module in network.modules():
        tensors = [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]
        for tensor in tensors:
            if isinstance(tensor, Tensor) and id(tensor) not in memo:
                empty = torch.empty_like(tensor, device="meta")
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
        if name not in _RULES and name not in TRANSPARENT:
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
        source = next((n for n in inputs if n.spans), None)
        if source is None:
            return node
        values = _arguments(func, args, kwargs)
        rule = _RULES.get(op)
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
        else:
            _combine(node, inputs)
        self._note_pooling(op, source, node, number)
        return node

    def _cat(self, node: Node, values: dict[str, Any]) -> None:
        along = int(values.get("dim", 0)) % len(node.shape)
        parts = [(tensor, self.node(tensor)) for tensor in values["tensors"]]
        mapped = [n for _, n in parts if n is not None and n.spans]
        if not any(axes(n.dims[along]) for n in mapped):
            _combine(node, mapped)
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


def _combine(node: Node, inputs: Sequence[Node]) -> None:
    """Give `node` the axes of the inputs that lie on its own grid; smaller ones (gates, biases) do not count."""
    rank = len(node.shape)
    for other in inputs:
        if not other.spans or len(other.dims) > rank:
            continue
        lead = rank - len(other.dims)
        if any(axes(d) and other.shape[i] != node.shape[i + lead] for i, d in enumerate(other.dims)):
            continue
        dims = tuple(
            other.dims[i - lead] if i >= lead and axes(other.dims[i - lead]) else plain(node.shape[i])
            for i in range(rank)
        )
        if not node.spans:
            node.dims, node.spans = dims, other.spans
        elif [axes(d) for d in node.dims] == [axes(d) for d in dims]:
            node.spans = {axis: span.union(other.spans.get(axis, span)) for axis, span in node.spans.items()}


Found = tuple[tuple[Dim, ...], dict[str, Span]]


def _pair(value: Any, default: int = 0) -> tuple[int, int]:
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return default, default
    if isinstance(value, (list, tuple)):
        return (int(value[0]), int(value[0])) if len(value) == 1 else (int(value[-2]), int(value[-1]))
    return int(value), int(value)


def _whole(dim: Dim) -> str | None:
    """Return the axis that a dimension carries alone and whole, or None."""
    return dim[0].axis if len(dim) == 1 and dim[0].axis in ("y", "x") and dim[0].stride == 1 else None


def _planes(source: Node) -> tuple[str, str] | None:
    """Return the axes of the last two dimensions if both are whole image axes."""
    if len(source.dims) < 3:
        return None
    first, second = _axis_of(source, -2), _axis_of(source, -1)
    return (first, second) if first and second and first != second else None


def _axis_of(source: Node, position: int) -> str | None:
    dim = source.dims[position]
    if dim == ():  # a single cell: the axis that no other dimension has
        used = {axis for d in source.dims for axis in axes(d)}
        free = [axis for axis in ("y", "x") if axis in source.spans and axis not in used]
        return free[-1 if position == -1 else 0] if free else None
    return _whole(dim)


def _windowed(source: Node, node: Node, change: Callable[[Span, int], Span]) -> Found | None:
    planes = _planes(source)
    if planes is None:
        return None
    spans = {axis: change(source.spans[axis], i) for i, axis in enumerate(planes)}
    lead = tuple(plain(size) for size in node.shape[:-2])
    return (*lead, *((Factor(axis, node.shape[i - 2]),) for i, axis in enumerate(planes))), spans  # type: ignore[arg-type]


def _convolution(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    weight = values["weight"]
    kernel = tuple(weight.shape[-2:])
    stride, padding, dilation = _pair(values["stride"], 1), _pair(values["padding"]), _pair(values["dilation"], 1)

    def change(span: Span, i: int) -> Span:
        move = span.transposed if values.get("transposed") else span.window
        return move(kernel=kernel[i], stride=stride[i], padding=padding[i], dilation=dilation[i])

    return _windowed(source, node, change)


def _pool(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    kernel = _pair(values["kernel_size"])
    stride = _pair(values.get("stride"), 0)
    padding, dilation = _pair(values.get("padding")), _pair(values.get("dilation"), 1)
    if node.shape[-2:] == (1, 1) and min(source.shape[-2:]) > 1 and kernel == tuple(source.shape[-2:]):
        return None  # a pooling over everything leaves no map

    def change(span: Span, i: int) -> Span:
        return span.window(kernel=kernel[i], stride=stride[i] or kernel[i], padding=padding[i], dilation=dilation[i])

    return _windowed(source, node, change)


def _adaptive(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    del values
    if node.shape[-2:] == (1, 1):
        return None
    return _windowed(source, node, lambda span, i: span.resampled(source.shape[i - 2] / node.shape[i - 2]))


def _permute(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    del node
    order = [int(i) % len(source.dims) for i in values["dims"]]
    return tuple(source.dims[i] for i in order), source.spans


def _transpose(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    dims = list(source.dims)
    first, second = int(values.get("dim0", 0)), int(values.get("dim1", 1))
    if max(first, second, 1) >= len(dims):
        return None
    dims[first], dims[second] = dims[second], dims[first]
    return tuple(dims), source.spans


def _slice(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    along = int(values.get("dim") or 0) % len(source.dims)
    dim, length = source.dims[along], source.shape[along]
    start, step = int(values.get("start") or 0), int(values.get("step") or 1)
    start = max(0, start + length if start < 0 else start)
    dims, spans, size = list(source.dims), dict(source.spans), node.shape[along]
    if size == length:
        return source.dims, source.spans
    axis = _whole(dim)
    if axis is not None:
        spans[axis] = spans[axis].sliced(start, step)
        dims[along] = (Factor(dim[0].axis, size),)
    elif len(dim) == 1 and dim[0].axis == "tokens":
        columns, rows = dim[0].grid
        prefix = dim[0].prefix - start
        if step != 1 or prefix < 0 or prefix + columns * rows > size:
            return None
        exact = prefix == 0 and size == columns * rows
        dims[along] = (
            (Factor("y", rows), Factor("x", columns)) if exact else (Factor("tokens", size, 1, prefix, dim[0].grid),)
        )
    elif axes(dim):
        return None
    else:
        dims[along] = plain(size)
    return tuple(dims), spans


def _select(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    along = int(values["dim"]) % len(source.dims)
    if axes(source.dims[along]):
        return None
    del node
    return tuple(d for i, d in enumerate(source.dims) if i != along), source.spans


def _unbind(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    return _select(source, node, {"dim": values.get("dim", 0)})


def _pad(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    amounts = list(values.get("pad") or values.get("padding") or ())
    dims, spans = list(source.dims), dict(source.spans)
    for i in range(len(amounts) // 2):
        along = len(dims) - 1 - i
        before, after = int(amounts[2 * i]), int(amounts[2 * i + 1])
        axis = _whole(dims[along])
        if axis is not None:
            spans[axis] = spans[axis].sliced(-before, 1)
            dims[along] = (Factor(dims[along][0].axis, node.shape[along]),)
        elif before or after:
            if axes(dims[along]):
                return None
            dims[along] = plain(node.shape[along])
    return tuple(dims), spans


def _reduce(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    given = values.get("dim")
    over = list(range(len(source.dims))) if given in (None, []) else given
    over = [int(i) % len(source.dims) for i in (over if isinstance(over, (list, tuple)) else [over])]
    if any(axes(source.dims[i]) for i in over):
        kept = {axis for i, d in enumerate(source.dims) if i not in over for axis in axes(d)}
        if not kept:
            return None
        # One of two axes is gone: positions of the other stay, but it is no map any more.
        return None
    keep = bool(values.get("keepdim"))
    dims = [plain(1) if i in over else d for i, d in enumerate(source.dims) if keep or i not in over]
    del node
    return tuple(dims), source.spans


_RULES: dict[str, Callable[[Node, Node, dict[str, Any]], Found | None]] = {
    "convolution": _convolution,
    "conv2d": _convolution,
    "convolution_overrideable": _convolution,
    "mkldnn_convolution": _convolution,
    "max_pool2d": _pool,
    "max_pool2d_with_indices": _pool,
    "mkldnn_max_pool2d": _pool,
    "avg_pool2d": _pool,
    "_adaptive_avg_pool2d": _adaptive,
    "adaptive_avg_pool2d": _adaptive,
    "mkldnn_adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "upsample_nearest2d": _adaptive,
    "upsample_bilinear2d": _adaptive,
    "upsample_bicubic2d": _adaptive,
    "_upsample_bilinear2d_aa": _adaptive,
    "_upsample_bicubic2d_aa": _adaptive,
    "permute": _permute,
    "transpose": _transpose,
    "t": _transpose,
    "slice": _slice,
    "select": _select,
    "unbind": _unbind,
    "constant_pad_nd": _pad,
    "reflection_pad2d": _pad,
    "replication_pad2d": _pad,
    "mean": _reduce,
    "sum": _reduce,
    "amax": _reduce,
    "max": _reduce,
}
