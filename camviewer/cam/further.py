"""Passes that methods beyond one capture need: ablated units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from camviewer.cam.taps import find_module, split_layer
from camviewer.models.layout import Layout, to_grid


def ablated_logits(
    network: nn.Module,
    logits_of: Callable[[Tensor], Tensor],
    X: Tensor,
    tap: str,
    layout: Layout,
    units: Tensor,
    *,
    chunk: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Run the image once for each unit with that unit's cells set to zero, for Ablation-CAM.

    Args:
        network: holds the module of `tap`; the hook is removed after every chunk.
        logits_of: batch to logits, through `network`.
        X: ``[C, H, W]``.
        tap: layer name.
        layout: of the layer's output.
        units: indices of the units to ablate; one that is zero everywhere need not be among them.
        chunk: images in one pass.

    Yields:
        the units of a chunk and their logits ``[n, classes]``, float32.
    """
    name, call = split_layer(tap)
    module = find_module(network, name)
    for part in torch.split(units, chunk):
        calls = 0

        def ablate(_module: nn.Module, _inputs: Any, output: Tensor, part: Tensor = part) -> Tensor | None:
            nonlocal calls
            calls += 1
            if calls != call + 1:
                return None
            changed = output.clone()
            to_grid(changed, layout)[torch.arange(len(part)), part] = 0
            return changed

        handle = module.register_forward_hook(ablate)
        try:
            with torch.inference_mode():
                logits = logits_of(X.expand(len(part), -1, -1, -1))
        finally:
            handle.remove()
        yield part, logits.float()
