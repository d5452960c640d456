"""Tapping layers: a context manager that keeps what modules return, ready for gradients, and leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from camviewer.errors import Cancelled, LayerError

TapKey = tuple[str, int]
"""(dotted module name, call index from 0)."""


def split_layer(name: str) -> TapKey:
    """Return module name and call index of a layer name: ``relu`` is ("relu", 0), ``relu#2`` is ("relu", 1).

    Raises:
        LayerError: when the number behind ``#`` is no positive whole number.
    """
    module, mark, call = name.partition("#")
    if not mark:
        return module, 0
    if not call.isdecimal() or int(call) < 1:
        raise LayerError(f"{name!r} is no layer name; a further call of a shared module is written like relu#2.")
    return module, int(call) - 1


def find_module(network: nn.Module, name: str) -> nn.Module:
    """Return the module at a dotted path.

    Raises:
        LayerError: when there is none.
    """
    module: nn.Module | None = dict(network.named_modules()).get(name)
    if module is None or not name:
        raise LayerError(f"The network has no layer {name!r}; the layer list shows all names.")
    return module


class Taps:
    """What the tapped modules returned, by layer name.

    With gradients, each kept tensor is part of the graph (the first tap of a chain is a leaf that requires a
    gradient), so ``torch.autograd.grad(logits, list(taps.outputs.values()))`` works for frozen networks too.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Tensor] = {}
        self._calls: dict[str, int] = {}

    def __getitem__(self, layer: str) -> Tensor:
        """Return the tensor of one layer, in the module's own layout.

        Raises:
            LayerError: when the layer did not run in this pass, or returned no floating point tensor.
        """
        try:
            return self.outputs[layer]
        except KeyError:
            name, _ = split_layer(layer)
            calls = self._calls.get(name, 0)
            if not calls:
                raise LayerError(f"{layer} does not run when the network classifies; choose another layer.") from None
            raise LayerError(f"{name} runs {calls} time(s) for one image; there is no {layer}.") from None


@contextmanager
def tap(network: nn.Module, layers: Sequence[str], *, gradients: bool) -> Iterator[Taps]:
    """Keep the outputs of `layers` during this thread's forward passes inside the block.

    Every hook returns a clone, so an in-place operation behind the layer cannot overwrite what was kept. With
    `gradients`, a tensor without history becomes a leaf that requires a gradient: the trunk before the earliest tap
    records no graph when the parameters are frozen. The hooks are gone after the block, whatever happened inside.

    Args:
        network: its parameters and flags are not touched.
        layers: names as `split_layer` reads them.
        gradients: keep the tensors inside the autograd graph; otherwise they are detached.

    Raises:
        LayerError: when a name does not exist (on entry), or a tapped module returns no floating point tensor
            (from the forward pass).
    """
    taps = Taps()
    wanted: dict[str, dict[int, str]] = {}
    for layer in layers:
        name, call = split_layer(layer)
        wanted.setdefault(name, {})[call] = layer
    handles: list[Any] = []
    owner = threading.get_ident()

    def hook_for(name: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
            if threading.get_ident() != owner:
                return None
            call = taps._calls.get(name, 0)
            taps._calls[name] = call + 1
            layer = wanted[name].get(call)
            if layer is None:
                return None
            if not isinstance(output, Tensor) or not output.is_floating_point():
                raise LayerError(f"{layer} returns no single tensor of numbers; choose a layer inside or behind it.")
            if not gradients:
                taps.outputs[layer] = output.detach()
                return output.clone()
            kept = output if output.requires_grad else output.detach().requires_grad_()
            taps.outputs[layer] = kept
            return kept.clone()

        return hook

    try:
        for name in wanted:
            handles.append(find_module(network, name).register_forward_hook(hook_for(name)))
        yield taps
    finally:
        for handle in handles:
            handle.remove()


_cancelled: ContextVar[Callable[[], bool] | None] = ContextVar("cancelled", default=None)


@contextmanager
def cancellable(cancelled: Callable[[], bool] | None) -> Iterator[None]:
    """Let forward passes inside the block stop at the next module once `cancelled` returns True.

    The pre-hook is global, so that it reaches modules of any network. Passes of this thread's context alone are
    affected: its own, and those of threads that were given a copy of it.

    Raises:
        Cancelled: from the forward pass, and on entry.
    """
    if cancelled is None:
        yield
        return

    def check(_module: nn.Module, _inputs: Any) -> None:
        if _cancelled.get() is cancelled and cancelled():
            raise Cancelled

    if cancelled():
        raise Cancelled
    before = _cancelled.set(cancelled)
    handle = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()
        _cancelled.reset(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error`, or what caused it, says that the device or the machine has no memory left."""
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
