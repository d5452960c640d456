"""A traced network in two stages: few inputs at a time go through the first, more of them together through the second.

A convolutional network holds most of its activations in its first layers and most of its weights in its last. Inputs
that go through it together have to stay in the cache at first, and share the reading of weights, which are not in the
cache, in the end: 94 of the 100 MB of a ResNet-50 lie in its last two stages. Measured on two Granite Rapids cores,
resnet50 takes 24.2 ms an input with 2 of them at a time and 8 together, and 26.5 with any one number throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from camviewer.cam.packed import Mark, PackedConv2d, PackedLinear

FIRST = "_first_stage"
"""Where the first stage lies in a network of two."""
CACHED_WEIGHTS = 8 * 2**20
"""Bytes of the first stage's weights, at most; the second stage has at least as many."""


class Parts(nn.Module):
    """Puts a batch through a network in parts, as even as they can be.

    Args:
        network: one tensor to one tensor, each input by itself.
        most: inputs of a part.
    """

    def __init__(self, network: fx.GraphModule, most: int) -> None:
        super().__init__()
        self.network = network
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        """Return the results, ``[N, ...]`` for `x` ``[N, ...]``."""
        parts = -(-len(x) // self.most)
        if parts <= 1:
            whole: Tensor = self.network(x)
            return whole
        return torch.cat([self.network(part) for part in x.chunk(parts)])


def cut_of(network: nn.Module) -> fx.Node | None:
    """Return the last call of a module with the first stage's weights before it, whose result alone goes on from there.

    None where there is none, or too few weights come behind it to share.
    """
    if not isinstance(network, fx.GraphModule):
        return None
    places = {node: place for place, node in enumerate(network.graph.nodes)}
    if sum(node.op == "placeholder" for node in places) != 1:
        return None
    last_use = {node: max(map(places.__getitem__, node.users), default=-1) for node in places}
    found, weights, found_weights, needed = None, 0, 0, -1
    for node, place in places.items():
        # Of what comes before this node, nothing is used behind it.
        alone = node.op == "call_module" and needed <= place
        needed = max(needed, last_use[node])
        if node.op == "call_module":
            weights += _weight_bytes(network.get_submodule(str(node.target)))
        if alone and 0 < weights <= CACHED_WEIGHTS and last_use[node] > place:
            found, found_weights = node, weights
    return found if weights - found_weights >= CACHED_WEIGHTS else None


def in_stages(network: fx.GraphModule, cut: fx.Node, *, most: int) -> tuple[fx.GraphModule, frozenset[str]]:
    """Return a network that shares all modules, and the paths of those that are in its first stage, the cut included.

    Args:
        network: traced, with one input.
        cut: of this network, from `cut_of`.
        most: inputs at a time in the first stage.
    """
    first, second = fx.Graph(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    paths = []
    behind = False
    for node in network.graph.nodes:
        copies[node] = (second if behind else first).node_copy(node, copies.__getitem__)
        if not behind and node.op == "call_module":
            paths.append(str(node.target))
        if node is cut:
            first.output(copies[node])
            entry = second.placeholder("x")
            copies[node] = second.call_module(FIRST, (entry,))
            behind = True
    modules = {path: network.get_submodule(path) for path in _targets(second) if path != FIRST}
    modules[FIRST] = Parts(fx.GraphModule(network, first).eval(), most)
    values = {path: _attribute(network, path) for path in _targets(second, "get_attr")}
    return fx.GraphModule({**modules, **values}, second).eval(), frozenset(paths)


def entry_of(network: nn.Module) -> fx.GraphModule | None:
    """Return the traced network that takes the input first; None for one that is not traced."""
    first = network._modules.get(FIRST)
    traced = first.network if isinstance(first, Parts) else network
    return traced if isinstance(traced, fx.GraphModule) else None


def _targets(graph: fx.Graph, op: str = "call_module") -> list[str]:
    return list(dict.fromkeys(str(node.target) for node in graph.nodes if node.op == op))


def _attribute(network: nn.Module, path: str) -> Tensor | nn.Module:
    owner, _, name = path.rpartition(".")
    value: Tensor | nn.Module = getattr(network.get_submodule(owner), name)
    return value


def _weight_bytes(module: nn.Module) -> int:
    if isinstance(module, Mark):
        return 0
    own = sum(p.nbytes for p in module.parameters())
    return own + sum(m.weight_bytes for m in module.modules() if isinstance(m, PackedConv2d | PackedLinear))
