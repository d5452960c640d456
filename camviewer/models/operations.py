"""What operations do to image axes: a tensor as a node of the pass, and a rule for each kind of operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from camviewer.models.spans import Dim, Factor, Span, axes, plain

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
PRODUCTS = {"mm", "addmm"}  # what a linear layer of any rank comes down to


Found = tuple[tuple[Dim, ...], dict[str, Span]]


@dataclass(slots=True, eq=False)
class Node:
    """A tensor at one moment of the pass.

    Attributes:
        op: operation that made it; ``input`` for the network's input.
        inputs: nodes it was made from.
        shape: of the tensor, batch axis included.
        dims: image axes of each dimension.
        spans: by image axis; empty when the tensor has no image axis that is understood.
        channels_last: whether it has four dimensions and is normalised, or multiplied with weights, along the last.
    """

    op: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...]
    dims: tuple[Dim, ...] = ()
    spans: dict[str, Span] = field(default_factory=dict)
    channels_last: bool = False

    def above_views(self) -> Node:
        """Return the node that computed the values: this one without reordering operations."""
        node = self
        while node.inputs and (node.op in TRANSPARENT or node._is_whole_slice()):
            node = node.inputs[0]
        return node

    def _is_whole_slice(self) -> bool:
        """Return whether a selection took everything, as ``scores[:, 0]`` does where there is one score."""
        return self.op in ("select", "slice") and math.prod(self.shape) == math.prod(self.inputs[0].shape)


def note_channels_last(node: Node, values: dict[str, Any], product: bool) -> None:
    """Note which tensors of four dimensions have their channels last: those of layers that work along that axis.

    Args:
        product: whether the node is a product of its one input with weights.
    """
    above = node.inputs[0]
    if node.op == "native_layer_norm" and len(values["normalized_shape"]) == 1 and above.shape == node.shape:
        node.channels_last = len(node.shape) == 4
        _note_above(above)
    elif product:
        _note_above(above)
    elif node.op in VIEWS and above.op in PRODUCTS:
        node.channels_last = len(node.shape) == 4 and node.shape[-1] == above.shape[-1]
    else:
        node.channels_last = any(other.channels_last and other.shape == node.shape for other in node.inputs)


def _note_above(node: Node) -> None:
    """Note that the last axis of `node` holds channels, and of what it is a view of."""
    node.channels_last = len(node.shape) == 4
    while node.op in VIEWS and node.inputs[0].shape[-1] == node.shape[-1]:
        node = node.inputs[0]
        node.channels_last = len(node.shape) == 4


def _absorbed(source: Node, along: int) -> Found | None:
    """Return the axes when dimension `along` counts as channels, whatever cells were folded into it.

    Cells that were folded into the channels, as in the patch merging of Swin (``[h, 2, w, 2, C]`` to
    ``[h/2, w/2, 4 C]``), make the remaining cells larger by as much.
    """
    dims, spans = list(source.dims), dict(source.spans)
    folded = [f for f in dims[along] if f.axis]
    dims[along] = plain(source.shape[along])
    for axis in dict.fromkeys(f.axis for f in folded):
        parts = sorted((f for f in folded if f.axis == axis), key=lambda f: f.stride)
        size = 1
        for part in parts:
            if axis == "tokens" or part.stride != size:
                return None  # not neighbours
            size *= part.size
        rest = [f for dim in dims for f in dim if f.axis == axis]
        if not rest or any(f.stride % size for f in rest):
            return None
        dims = [tuple(replace(f, stride=f.stride // size) if f.axis == axis else f for f in dim) for dim in dims]
        spans[axis] = spans[axis].window(kernel=size, stride=size, padding=0)
    return tuple(dims), spans


def multiply(source: Node, node: Node) -> None:
    """Give a product ``[rows, inputs] x [inputs, outputs]`` with weights the axes of its rows."""
    found = _absorbed(source, 1)
    if found is None:
        combine(node, [source])
    else:
        (rows, _), spans = found
        node.dims, node.spans = (rows, plain(node.shape[1])), spans


def combine(node: Node, inputs: Sequence[Node]) -> None:
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

    found = _absorbed(source, -3) if len(source.dims) >= 3 else None
    return None if found is None else _windowed(replace(source, dims=found[0], spans=found[1]), node, change)


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


def _layer_norm(source: Node, node: Node, values: dict[str, Any]) -> Found | None:
    if node.shape != source.shape:  # its mean and deviation
        return None
    channels = len(values["normalized_shape"]) == 1
    return (_absorbed(source, len(source.dims) - 1) if channels else None) or (source.dims, source.spans)


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


RULES: dict[str, Callable[[Node, Node, dict[str, Any]], Found | None]] = {
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
    "native_layer_norm": _layer_norm,
    "mean": _reduce,
    "sum": _reduce,
    "amax": _reduce,
    "max": _reduce,
}
