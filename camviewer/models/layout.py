"""From a layer's own layout to a grid of cells: channels first, channels last, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from camviewer.images.geometry import Size
from camviewer.models.operations import Node
from camviewer.models.spans import Dim, axes

LayoutKind = Literal["nchw", "nhwc", "tokens", "channel_tokens"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layer's output holds its cells.

    Attributes:
        kind: ``nchw`` ``[N, C, h, w]``, ``nhwc`` ``[N, h, w, C]``, ``tokens`` ``[N, T, C]`` or ``channel_tokens``
            ``[N, C, T]``.
        grid: cells as (columns, rows).
        prefix: tokens in front of the grid (class and register tokens).
    """

    kind: LayoutKind
    grid: Size
    prefix: int = 0


def to_grid(output: Tensor, layout: Layout) -> Tensor:
    """Return a layer's output as ``[N, C, h, w]``, a view where possible.

    Only reordering is done, so autograd leads gradients back into the layer's own layout.
    """
    if layout.kind == "nchw":
        return output
    if layout.kind == "nhwc":
        return output.permute(0, 3, 1, 2)
    columns, rows = layout.grid
    cells = slice(layout.prefix, layout.prefix + columns * rows)
    if layout.kind == "tokens":
        return output[:, cells].transpose(1, 2).reshape(len(output), -1, rows, columns)
    return output[:, :, cells].reshape(len(output), -1, rows, columns)


def layout_of(node: Node) -> Layout | None:
    """Return how the tensor of `node` holds the image's cells, or None if it is no grid of them.

    A tensor of four dimensions whose axes could not be followed counts as channels first, unless what made it or
    takes it works along the last.
    """
    dims, shape = node.dims, node.shape
    if not node.spans:
        if len(shape) != 4:
            return None
        return Layout("nhwc", (shape[2], shape[1])) if node.channels_last else Layout("nchw", (shape[3], shape[2]))
    if len(dims) == 4:
        if _is(dims[2], "y", shape[2]) and _is(dims[3], "x", shape[3]) and not axes(dims[0]) and not axes(dims[1]):
            return Layout("nchw", (shape[3], shape[2]))
        if _is(dims[1], "y", shape[1]) and _is(dims[2], "x", shape[2]) and not axes(dims[0]) and not axes(dims[3]):
            return Layout("nhwc", (shape[2], shape[1]))
    if len(dims) == 3 and not axes(dims[0]):
        for position, kind in ((1, "tokens"), (2, "channel_tokens")):
            dim = dims[position]
            if axes(dims[3 - position]):
                continue
            if len(dim) == 1 and dim[0].axis == "tokens":
                return Layout(kind, dim[0].grid, dim[0].prefix)  # type: ignore[arg-type]
            if len(dim) == 2 and axes(dim) == ("y", "x") and dim[0].stride == dim[1].stride == 1:
                return Layout(kind, (dim[1].size, dim[0].size))  # type: ignore[arg-type]
    return None


def _is(dim: Dim, axis: str, size: int) -> bool:
    if size == 1:
        return dim == () or axes(dim) == (axis,)
    return len(dim) == 1 and dim[0].axis == axis and dim[0].stride == 1
