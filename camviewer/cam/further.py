"""Passes that methods beyond one capture need: ablated units."""

from __future__ import annotations

from collections.abc import Callable
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
) -> Tensor:
    """Run the image once for each of some units, that unit's cells set to zero, in one batch, for Ablation-CAM.

    Args:
        network: holds the module of `tap`; the hook is gone afterwards.
        logits_of: batch to logits, through `network`.
        X: ``[C, H, W]``.
        tap: layer name.
        layout: of the layer's output.
        units: indices of the units to ablate, ``[n]``.

    Returns:
        logits ``[n, classes]``, float32.
    """
    name, call = split_layer(tap)
    calls = 0

    def ablate(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls != call + 1:
            return None
        changed = output.clone()
        to_grid(changed, layout)[torch.arange(len(units)), units] = 0
        return changed

    handle = find_module(network, name).register_forward_hook(ablate)
    try:
        with torch.inference_mode():
            return logits_of(X.expand(len(units), -1, -1, -1)).float()
    finally:
        handle.remove()
