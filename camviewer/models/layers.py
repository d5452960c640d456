"""The layer tree as the user sees it, and the layer that maps are made of by default."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from camviewer.models.heads import Head, entering
from camviewer.models.layout import Layout, layout_of
from camviewer.models.operations import Node
from camviewer.models.positions import positions_of, receptive_field
from camviewer.models.records import Fit, Layer
from camviewer.models.trace import Call, Trace


def layer_tree(
    network: nn.Module, traced: Trace, *, suggested: str, seconds: Mapping[str, float] | None = None
) -> tuple[Layer, ...]:
    """Return every module call in depth-first order; a module that never ran appears once with ``calls`` 0.

    Args:
        suggested: name of the layer to mark.
        seconds: times by name, as `measure_seconds` gives them.
    """
    times = seconds or {}
    rows = []
    by_path: dict[str, list[Call]] = {}
    for call in traced.calls:
        by_path.setdefault(call.path, []).append(call)
    for path, module in network.named_modules():
        if not path:
            continue
        parameters = sum(p.numel() for p in module.parameters())
        calls = by_path.get(path, [])
        kind, depth = type(module).__name__, path.count(".")
        if not calls:
            reason = "It does not run in a forward pass."
            rows.append(Layer(path, kind, depth, 0, (), None, None, parameters, None, "unusable", reason))
        for call in calls:
            fit, reason, layout = judge(call.node)
            if call.name == suggested:
                fit, reason = "suggested", _why(traced, call)
            node = call.node
            rows.append(
                Layer(
                    name=call.name,
                    type=kind,
                    depth=depth,
                    calls=len(calls),
                    output_shape=_shape(node, layout),
                    positions=positions_of(node) if node is not None else None,
                    receptive_field=receptive_field(node) if node is not None and layout is not None else None,
                    parameters=parameters,
                    seconds=times.get(call.name),
                    fit=fit,
                    reason=reason,
                )
            )
    return tuple(rows)


def measure_seconds(network: nn.Module, image: Tensor) -> dict[str, float]:
    """Return the seconds of each module call in a pass of `image` ``[1, C, h, w]``, after one pass to warm up."""

    def now() -> float:
        if image.device.type == "cuda":
            torch.cuda.synchronize(image.device)
        elif image.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    counts: dict[str, int] = {}
    started: dict[str, list[float]] = {}
    result: dict[str, float] = {}

    def before(path: str) -> Callable[..., None]:
        return lambda *_: started.setdefault(path, []).append(now())

    def after(path: str) -> Callable[..., None]:
        def record(*_: Any) -> None:
            counts[path] = counts.get(path, 0) + 1
            name = path if counts[path] == 1 else f"{path}#{counts[path]}"
            result[name] = now() - started[path].pop()

        return record

    handles = []
    with torch.inference_mode():
        network(image)
        try:
            for path, module in network.named_modules():
                if path:
                    handles.append(module.register_forward_pre_hook(before(path)))
                    handles.append(module.register_forward_hook(after(path)))
            network(image)
        finally:
            for handle in handles:
                handle.remove()
    return result


def _why(traced: Trace, call: Call) -> str:
    """Return why a layer is suggested."""
    for pooling in reversed(traced.poolings):
        entry = entering(traced, pooling.source)
        if entry is not None and entry[0] is call:
            return "Last spatial layer, feeds the pooling directly."
    if call.node is not None and (layout := layout_of(call.node)) is not None and layout.kind == "tokens":
        return "Last place whose patch tokens still reach the class scores."
    return "Last spatial layer before the class scores."


def judge(node: Node | None) -> tuple[Fit, str, Layout | None]:
    """Return whether a map can be made of an output, why not, and its layout."""
    if node is None:
        return "unusable", "Its output is not one tensor.", None
    layout = layout_of(node)
    if layout is None:
        if node.spans:
            return "unusable", "Its output is cut into windows or attention heads.", None
        return "unusable", f"Its output {' x '.join(map(str, node.shape[1:])) or 'of one value'} has no place.", None
    columns, rows = layout.grid
    if columns * rows == 1:
        return "unusable", "Its output is 1 x 1.", layout
    return "usable", "", layout


def suggest(network: nn.Module, traced: Trace, head: Head) -> str:
    """Return the layer to make maps of by default.

    It is the tensor that enters the head: what the global pooling receives, or the class convolution before it
    (SqueezeNet); where tokens are not pooled (ViT), the first normalisation of the last block, since the last
    block's own patch tokens have no gradient; else the last map.
    """
    if head.layer:
        return head.layer
    for pooling in reversed(traced.poolings):
        # Squeeze-excitation pools too, but its map lives on beside the pooled values.
        entry = entering(traced, pooling.source)
        if entry is not None and judge(entry[0].node)[0] == "usable" and not _used_later(traced, entry[0]):
            return entry[0].name
    tokens = _last_token_norm(network, traced)
    if tokens:
        return tokens
    return _last_map(network, traced)


def _used_later(traced: Trace, call: Call) -> bool:
    """Return whether a map that leads to the class scores follows `call` in the pass."""
    later = [
        c for c in traced.calls if c.order > call.order and c.node in traced.leading and judge(c.node)[0] == "usable"
    ]
    return any(c.node is not call.node and not call.path.startswith(c.path + ".") for c in later)


def _last_token_norm(network: nn.Module, traced: Trace) -> str:
    calls = [
        call
        for call in traced.calls
        if call.node is not None
        and call.node in traced.leading
        and (layout := layout_of(call.node)) is not None
        and layout.kind == "tokens"
        and layout.prefix > 0
    ]
    blocks = [
        call
        for call in calls
        if any(
            isinstance(m, nn.MultiheadAttention) or "Attention" in type(m).__name__
            for m in network.get_submodule(call.path).children()
        )
    ]
    if not blocks:
        return ""
    last = blocks[-1].path
    norms = [
        call.name
        for call in calls
        if call.path.rpartition(".")[0] == last and "Norm" in type(network.get_submodule(call.path)).__name__
    ]
    return norms[0] if norms else ""


def _last_map(network: nn.Module, traced: Trace) -> str:
    """Return the outermost layer of the last map that is no adaptive pooling."""
    found: list[Call] = []
    for call in traced.calls:
        node = call.node
        if node is None or node not in traced.leading or judge(node)[0] != "usable":
            continue
        if "adaptive" in node.above_views().op:
            continue
        if node.shape[0] == 1 and isinstance(network.get_submodule(call.path), nn.Flatten):
            continue
        layout = layout_of(node)
        if layout is not None and layout.kind != "channel_tokens":
            found.append(call)
    if not found:
        return ""
    last = found[-1].node
    same = [call for call in found if call.node is last]
    return min(same, key=lambda call: (call.path.count("."), call.order)).name


def _shape(node: Node | None, layout: Layout | None) -> tuple[int, ...]:
    if node is None:
        return ()
    if layout is None:
        return node.shape[1:]
    columns, rows = layout.grid
    channels = node.shape[-1] if layout.kind in ("nhwc", "tokens") else node.shape[1]
    return (channels, rows, columns)
