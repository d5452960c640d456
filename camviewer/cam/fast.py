"""A copy of a network for speed: batch norm folded into convolutions, channels last, optionally bfloat16.

Folding is exact up to rounding but changes what a tap at a convolution or a batch norm sees, so the copy serves passes
that need logits alone, and taps at other layers. Containers are copied, modules that stay the same are shared, so the
copy costs the convolutions' weights.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-5
"""How far the copy may move logits and activations, relative to the largest of them."""


@dataclass(frozen=True, slots=True, eq=False)
class FastCopy:
    """A faster network.

    Attributes:
        network: same module names and same forward code as the original.
        changed: modules whose output is not the original's: folded convolutions and batch norms.
    """

    network: nn.Module
    changed: frozenset[str]

    def serves(self, taps: list[str]) -> bool:
        """Return whether taps at these modules see what they see in the original."""
        return not any(name.partition("#")[0] in self.changed for name in taps)


def foldable(network: nn.Module) -> dict[str, str]:
    """Return batch norms by the convolution whose output only they use; both run once.

    A network that cannot be traced has none.
    """
    try:
        graph = fx.Tracer().trace(network)
    except Exception:  # control flow that depends on data
        return {}
    modules = dict(network.named_modules())
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    pairs = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules.get(str(node.target)), nn.BatchNorm2d):
            continue
        source = node.args[0]
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        conv, norm = str(source.target), str(node.target)
        tracked = modules[norm].running_var is not None
        if type(modules.get(conv)) is nn.Conv2d and calls[conv] == calls[norm] == 1 and tracked:
            pairs[conv] = norm
    return pairs


def fast_copy(
    network: nn.Module, *, dtype: torch.dtype | None = None, memory_format: torch.memory_format = torch.channels_last
) -> FastCopy:
    """Return a folded copy, in `dtype` or the network's own precision; the original is not touched.

    A convolution with hooks (spectral norm, a tap) stays as it is.
    """
    modules = dict(network.named_modules())
    pairs = {
        conv: norm
        for conv, norm in foldable(network).items()
        if not _hooked(modules[conv]) and not _hooked(modules[norm])
    }
    replaced: dict[int, nn.Module] = {}
    for conv, norm in pairs.items():
        folded: nn.Module = fuse_conv_bn_eval(modules[conv], modules[norm])
        replaced[id(modules[conv])] = folded
        replaced[id(modules[norm])] = nn.Identity()
    for module in modules.values():
        if id(module) in replaced:
            continue
        if type(module) is nn.Conv2d and not _hooked(module):
            replaced[id(module)] = copy.deepcopy(module)
        elif dtype is not None and (module._parameters or module._buffers):
            replaced[id(module)] = _converted(module)
    for module in replaced.values():
        module.eval()
        for name, p in module._parameters.items():
            if p is not None:
                module._parameters[name] = nn.Parameter(_moved(p.detach(), dtype, memory_format), p.requires_grad)
        for name, b in module._buffers.items():
            if b is not None:
                module._buffers[name] = _moved(b, dtype, memory_format)
    return FastCopy(_rebuilt(network, replaced, {}), frozenset({*pairs, *pairs.values()}))


def _moved(values: Tensor, dtype: torch.dtype | None, memory_format: torch.memory_format) -> Tensor:
    if dtype is not None and values.is_floating_point():
        values = values.to(dtype)
    return values.contiguous(memory_format=memory_format) if values.ndim == 4 else values


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _converted(module: nn.Module) -> nn.Module:
    """Return a shallow copy with dictionaries of its own for parameters and buffers."""
    converted = copy.copy(module)
    converted._parameters = dict(module._parameters)
    converted._buffers = dict(module._buffers)
    return converted


def _rebuilt(module: nn.Module, replaced: dict[int, nn.Module], done: dict[int, nn.Module]) -> nn.Module:
    """Return the module tree with `replaced` put in; shared modules stay shared, leaves that stay are the same.

    Copied containers share their hooks with the original.
    """
    if id(module) in done:
        return done[id(module)]
    found = replaced.get(id(module))
    if found is None:
        found = copy.copy(module) if module._modules else module
    done[id(module)] = found
    if module._modules:
        found._modules = {
            name: None if child is None else _rebuilt(child, replaced, done) for name, child in module._modules.items()
        }
    return found


def agrees(expected: Tensor, found: Tensor) -> bool:
    """Return whether two tensors differ by at most `TOLERANCE` of the largest magnitude; never when not finite."""
    expected, found = expected.float(), found.to(expected.device).float()
    limit = TOLERANCE * expected.abs().amax().clamp(min=1e-6)
    return bool(((expected - found).abs() <= limit).all())
