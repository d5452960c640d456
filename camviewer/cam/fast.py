"""A copy of a network for speed, exact up to rounding: fewer operations over the same weights.

The network is traced and rewritten: batch norms are folded into convolutions; on the CPU convolutions are packed once
(`camviewer.cam.packed`) and take residual additions and activations along; layout channels last; optionally bfloat16.
A network that cannot be traced gets packed convolutions alone.

Modules that stay the same are shared with the original, so the copy costs the convolutions' weights. Where a module or
container disappeared but its result did not, a `Mark` of its name passes that result on: hooks set on the copy by
layer name see what they see in the original, and `FastCopy.serves` names the layers for which this holds. The copy has
no gradients.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from camviewer.cam.packed import (
    NOTHING,
    RELU,
    Activated,
    Activation,
    Mark,
    PackedConv2d,
    PackedLinear,
    activation_of,
    can_pack,
    packable,
    products_keep_up,
)
from camviewer.cam.stages import cut_of, entry_of, in_stages
from camviewer.cam.winograd import WinogradConv2d, chosen

TOLERANCE = 5e-5
"""How far the copy may move logits and activations, relative to the largest of them. Stock float32 itself is up to
1.3e-5 off float64 (measured on random googlenet and efficientnet_b0, the copy up to 1.8e-5); a wrong copy is off by
orders of magnitude more."""
LINEAR_BYTES = 192 * 2**20
"""Bound for the weights of linear layers that are held twice, packed and plain."""
FEWEST_LINEAR_WEIGHTS = 2**15
"""Smaller layers take no time, and are shared."""
NONDECREASING = ("relu", "hardtanh")
ITSELF = ".itself"
"""Where a module lies whose name a mark took because other calls of it were put together with convolutions."""


@dataclass(frozen=True, slots=True, eq=False)
class FastCopy:
    """A faster network.

    Attributes:
        network: takes the same input; layers keep their names.
        changed: modules whose result is not the original's, or is not computed any more, or comes in parts.
        cut: the last module of the first stage, where the network runs in two (`camviewer.cam.stages`).
    """

    network: nn.Module
    changed: frozenset[str]
    cut: str = ""

    def serves(self, taps: Iterable[str]) -> bool:
        """Return whether taps at these modules see what they see in the original."""
        return not any(name.partition("#")[0] in self.changed for name in taps)


def fast_copy(
    network: nn.Module,
    *,
    dtype: torch.dtype | None = None,
    memory_format: torch.memory_format = torch.channels_last,
    pack: bool = True,
) -> FastCopy:
    """Return a faster copy; the original is not touched.

    Args:
        network: in evaluation mode.
        dtype: of the copy's weights, the network's own for None.
        memory_format: of convolution weights that are not packed.
        pack: for networks on the CPU, where this torch can.
    """
    parameter = next((p for p in network.parameters() if p.is_floating_point()), None)
    kind = dtype or (parameter.dtype if parameter is not None else torch.float32)
    packs = pack and (parameter is None or parameter.device.type == "cpu") and can_pack(kind)
    tree = _rebuilt(network, {}, {})
    lowered = _Lowering.of(tree)
    if lowered is not None:
        lowered.fold_norms()
        if packs:
            lowered.fuse_additions()
            lowered.fuse_activations()
    norms = {} if lowered is None else lowered.norms
    fused = {} if lowered is None else lowered.fused
    linear = set() if lowered is None or not packs or kind != torch.float32 or products_keep_up() else lowered.linear()
    modules: dict[str, nn.Module] = {}
    for path, module in tree.named_modules():  # one after the other, so that few weights are held twice
        whole = fuse_conv_bn_eval(module, norms[path]) if path in norms else module
        if packs and packable(whole):
            modules[path] = PackedConv2d(_moved(whole, dtype, None), fused.get(path, NOTHING))  # type: ignore[arg-type]
        elif path in linear:
            modules[path] = PackedLinear(module)
        else:
            modules[path] = _moved(whole, dtype, memory_format)
    if lowered is not None:
        return lowered.finished(modules)
    replaced = {id(module): modules[path] for path, module in tree.named_modules()}
    return FastCopy(_rebuilt(tree, replaced, {}), frozenset())


def batch_copy(made: FastCopy, *, inputs: int) -> FastCopy | None:
    """Return a variant for batches of `inputs`, which shares all but the weights of some convolutions.

    Those are computed as `camviewer.cam.winograd` says; None where the network has none of them.
    """
    replaced: dict[int, nn.Module] = {id(conv): WinogradConv2d(conv) for conv in chosen(made.network, inputs=inputs)}
    return FastCopy(_rebuilt(made.network, replaced, {}), made.changed) if replaced else None


def staged_copy(made: FastCopy, *, most: int) -> FastCopy | None:
    """Return a variant that shares all weights, and runs as `camviewer.cam.stages` says; None where it cannot.

    Args:
        made: what to run so.
        most: inputs at a time in the first stage.
    """
    cut = cut_of(made.network)
    if cut is None:
        return None
    assert isinstance(made.network, fx.GraphModule)
    network, first = in_stages(made.network, cut, most=most)
    return FastCopy(network, made.changed | first, str(cut.target))


def stem_of(made: FastCopy) -> PackedConv2d | None:
    """Return the packed convolution that alone takes the input and runs once; None where there is no such one."""
    network = entry_of(made.network)
    if network is None:
        return None
    nodes = network.graph.nodes
    inputs = [node for node in nodes if node.op == "placeholder"]
    users = [user for node in inputs for user in node.users]
    if len(users) != 1 or users[0].op != "call_module" or users[0].args != tuple(inputs):
        return None
    conv = network.get_submodule(str(users[0].target))
    alone = sum(node.target == users[0].target for node in nodes) == 1
    return conv if isinstance(conv, PackedConv2d) and alone else None


def on_stem(made: FastCopy, conv: PackedConv2d, stem: nn.Module) -> nn.Module:
    """Return a network that shares all but `conv`, which `stem_of` gave; `stem` stands for it, and takes its input.

    The activation, which `stem` does not take along, comes behind a maximum over windows where that follows: there is
    less left to go through, and the maximum of what does not decrease is the same.
    """
    activated = Activated(conv.activation)
    pooling = _pooling_behind(made, conv) if conv.activation[0] in NONDECREASING else None
    if pooling is None:
        return _rebuilt(made.network, {id(conv): nn.Sequential(stem, activated)}, {})
    return _rebuilt(made.network, {id(conv): stem, id(pooling): nn.Sequential(pooling, activated)}, {})


def _pooling_behind(made: FastCopy, conv: PackedConv2d) -> nn.MaxPool2d | None:
    """Return the maximum over windows that alone takes the convolution's result and runs once, if there is one."""
    network = entry_of(made.network)
    assert network is not None
    called = {node: network.get_submodule(str(node.target)) for node in network.graph.nodes if node.op == "call_module"}
    node = next(node for node, module in called.items() if module is conv)
    while len(node.users) == 1:
        (node,) = node.users
        module = called.get(node)
        if isinstance(module, nn.MaxPool2d):
            alone = sum(other is module for other in called.values()) == 1
            return module if alone and not module.return_indices and not _hooked(module) else None
        if not isinstance(module, Mark):
            break
    return None


class _Proxy(fx.Proxy):
    """Stands for a value while tracing; keeps ``x += y`` in place, which torch's own would turn into a sum."""

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, operation: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})


class _Tracer(fx.Tracer):
    """Notes what each call of each module returned: a node, or None for what is no single value."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[fx.Node | None]] = {}

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        node = result.node if isinstance(result, fx.Proxy) else None
        self.calls.setdefault(self.path_of_module(m), []).append(node)
        return result


@dataclass(slots=True, eq=False)
class _Lowering:
    """A traced network while its operations are put together.

    Attributes:
        tree: its modules.
        graph: its operations.
        calls: results by module path, a node a call.
        norms: batch norm behind each convolution that it is to be folded into, by the convolution's path.
        fused: activation behind each convolution that took one along, by path.
        now: the node that gives what a removed node gave; None where nothing does.
    """

    tree: nn.Module
    graph: fx.Graph
    calls: dict[str, list[fx.Node | None]]
    norms: dict[str, nn.BatchNorm2d] = field(default_factory=dict)
    fused: dict[str, Activation] = field(default_factory=dict)
    now: dict[fx.Node, fx.Node | None] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: nn.Module) -> _Lowering | None:
        """Trace; None where control flow depends on data, or hooks on containers would run while tracing alone."""
        tracer = _Tracer()
        if any(_hooked(m) and not tracer.is_leaf_module(m, path) for path, m in tree.named_modules()):
            return None
        try:
            graph = tracer.trace(tree)
        except Exception:  # tracing fails in as many ways as there are networks
            return None
        return cls(tree, graph, tracer.calls)

    def fold_norms(self) -> None:
        """Fold each batch norm into the convolution whose result only it uses."""
        for node in list(self.graph.nodes):
            norm = self._module(node)
            conv_node = self._source(node)
            if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None or _hooked(norm):
                continue
            conv = None if conv_node is None else self._module(conv_node)
            if conv_node is None or type(conv) is not nn.Conv2d or _hooked(conv):
                continue
            path = str(conv_node.target)
            if len(self.calls[path]) == len(self.calls[str(node.target)]) == 1:
                self.norms[path] = norm
                self._replace(node, conv_node, conv_node.args)

    def fuse_additions(self) -> None:
        """Let convolutions add what their result is added to, where no one else sees either before the sum."""
        place = {node: number for number, node in enumerate(self.graph.nodes)}
        for node in list(self.graph.nodes):
            if node.op != "call_function" or node.target not in (operator.add, operator.iadd, torch.add):
                continue
            if len(node.args) != 2 or node.kwargs or not all(isinstance(a, fx.Node) for a in node.args):
                continue
            first, second = node.args
            # What ``x += y`` writes to may have other names, the result of a convolution with one user has none.
            able = [first] if node.target is operator.iadd else [first, second]
            able = [a for a in able if self._ends_in_convolution(a) and len(a.args) == 1]
            if able and first is not second:
                conv = max(able, key=place.__getitem__)
                other = second if conv is first else first
                place[self._replace(node, conv, (conv.args[0], other))] = place[node]

    def fuse_activations(self) -> None:
        """Let convolutions apply the activation behind them."""
        for node in list(self.graph.nodes):
            activation = self._activation(node)
            conv = self._source(node)
            if activation is None or conv is None or not self._ends_in_convolution(conv):
                continue
            if len(conv.args) == 1 or activation == RELU:
                self.fused[str(conv.target)] = activation
                self._replace(node, conv, conv.args)

    def linear(self) -> set[str]:
        """Return the paths of the linear layers to pack: the first ones whose weights fit, each called as it is."""
        found: set[str] = set()
        room = LINEAR_BYTES
        for node in self.graph.nodes:
            layer = self._module(node)
            if type(layer) is not nn.Linear or _hooked(layer) or str(node.target) in found:
                continue
            if layer.weight.numel() >= FEWEST_LINEAR_WEIGHTS:
                room -= layer.weight.nbytes
                if room < 0:
                    break
                found.add(str(node.target))
        return found

    def finished(self, modules: dict[str, nn.Module]) -> FastCopy:
        """Return the network of this graph with these modules in it, by path."""
        changed = {path for path, nodes in self.calls.items() if any(self._present(node) is None for node in nodes)}
        parts: dict[str, Any] = {}
        replaced = {id(module): modules[path] for path, module in self.tree.named_modules()}
        for path, nodes in self.calls.items():
            if path in changed or all(node is self._present(node) and node.target == path for node in nodes if node):
                continue
            for node in nodes:
                self._mark(path, node)
            parts[path] = Mark()
        for node in self.graph.nodes:
            path = str(node.target)
            if node.op == "call_module" and path not in parts:
                # With what is inside of it, where tracing stopped at a module that has others.
                parts[path] = _rebuilt(self.tree.get_submodule(path.removesuffix(ITSELF)), replaced, {})
            elif node.op == "get_attr":
                owner, _, name = path.rpartition(".")
                parts[path] = getattr(modules[owner], name)
        self.graph.lint()
        network = fx.GraphModule(parts, self.graph).eval()
        _overwrite_added(network)
        return FastCopy(network, frozenset(changed))

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.tree.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _source(self, node: fx.Node) -> fx.Node | None:
        """Return the node whose result only `node` uses, and nothing else with it."""
        if len(node.args) != 1 or not isinstance(node.args[0], fx.Node) or len(node.args[0].users) != 1:
            return None
        return node.args[0]

    def _ends_in_convolution(self, node: fx.Node) -> bool:
        """Return whether an operation can be added behind a convolution that runs once."""
        conv = self._module(node)
        path = str(node.target)
        alone = len(node.users) == 1 and path not in self.fused and len(self.calls.get(path, [])) == 1
        return conv is not None and alone and packable(conv) and not node.kwargs

    def _activation(self, node: fx.Node) -> Activation | None:
        module = self._module(node)
        if module is not None:
            return None if _hooked(module) else activation_of(module)
        known = node.op == "call_function" and node.target in (functional.relu, torch.relu)
        known = known or (node.op == "call_method" and node.target in ("relu", "relu_"))
        return RELU if known else None

    def _replace(self, node: fx.Node, conv: fx.Node, arguments: tuple[Any, ...]) -> fx.Node:
        """Let a convolution give the result of `node`, which comes right behind it; return its new node."""
        with self.graph.inserting_before(node):
            new = self.graph.call_module(str(conv.target), arguments)
        node.replace_all_uses_with(new)
        self.now[node], self.now[conv] = new, None
        self.graph.erase_node(node)
        self.graph.erase_node(conv)
        return new

    def _mark(self, path: str, node: fx.Node | None) -> None:
        """Let a mark pass on the result of one call of a module, which moves below it where it is still called."""
        if node is not None and node not in self.now and node.target == path:
            node.target = path + ITSELF
        result = self._present(node)
        assert node is not None and result is not None
        with self.graph.inserting_after(result):
            mark = self.graph.call_module(path, (result,))
        result.replace_all_uses_with(mark, delete_user_cb=lambda user: user is not mark)
        self.now[result] = mark

    def _present(self, node: fx.Node | None) -> fx.Node | None:
        while node is not None and node in self.now:
            node = self.now[node]
        return node


def _overwrite_added(network: fx.GraphModule) -> None:
    """Let convolutions write over what they add where no one reads that again, instead of to memory of their own."""

    def module(node: Any) -> nn.Module | None:
        called = isinstance(node, fx.Node) and node.op == "call_module"
        return network.get_submodule(str(node.target)) if called else None

    place = {node: number for number, node in enumerate(network.graph.nodes)}
    for node in network.graph.nodes:
        if not isinstance(module(node), PackedConv2d) or len(node.args) != 2:
            continue
        x, other = node.args
        names = [other]
        while isinstance(module(names[-1]), Mark):
            names.append(names[-1].args[0])
        while isinstance(module(x), Mark):
            x = x.args[0]
        # These give results of their own, which have no further names than marks, and read whole what they are given.
        if not all(isinstance(module(n), PackedConv2d | nn.MaxPool2d) for n in (names[-1], x)) or x is names[-1]:
            continue
        users = [user for name in names for user in name.users if user not in names and user is not node]
        if all(isinstance(module(user), PackedConv2d) and place[user] < place[node] for user in users):
            node.args = (*node.args, True)
    network.recompile()


def _moved(module: nn.Module, dtype: torch.dtype | None, memory_format: torch.memory_format | None) -> nn.Module:
    """Return a module with its own tensors in `dtype` and format, itself where they are so already."""
    tensors = {**module._parameters, **module._buffers}
    changed = {name: _tensor(t, dtype, memory_format) for name, t in tensors.items() if t is not None}
    if all(changed[name] is tensors[name] for name in changed):
        return module
    moved = copy.copy(module)
    moved._parameters, moved._buffers = dict(module._parameters), dict(module._buffers)
    for name, tensor in changed.items():
        if name in moved._parameters:
            moved._parameters[name] = nn.Parameter(tensor.detach(), requires_grad=False)
        else:
            moved._buffers[name] = tensor
    return moved


def _tensor(values: Tensor, dtype: torch.dtype | None, memory_format: torch.memory_format | None) -> Tensor:
    if dtype is not None and values.is_floating_point():
        values = values.to(dtype)
    return values.contiguous(memory_format=memory_format) if memory_format and values.ndim == 4 else values


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _rebuilt(module: nn.Module, replaced: dict[int, nn.Module], done: dict[int, nn.Module]) -> nn.Module:
    """Return the module tree with `replaced` put in; shared modules stay shared, leaves that stay are the same.

    Copied containers share their hooks with the original.
    """
    if id(module) in done:
        return done[id(module)]
    found = replaced.get(id(module), module)
    if module._modules and (found is module or found._modules is module._modules):
        found = copy.copy(found)
    done[id(module)] = found
    if module._modules:
        found._modules = {
            name: None if child is None else _rebuilt(child, replaced, done) for name, child in module._modules.items()
        }
    return found


def agrees(expected: Tensor, found: Tensor, *, tolerance: float = TOLERANCE) -> bool:
    """Return whether two tensors differ by at most `tolerance` of the largest magnitude; never when not finite."""
    expected, found = expected.float(), found.to(expected.device).float()
    limit = tolerance * expected.abs().amax().clamp(min=1e-6)
    return bool(((expected - found).abs() <= limit).all())
