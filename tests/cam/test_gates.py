"""Why a map at an inner layer can be off float64 by a per cent: one ReLU whose input float32 cannot tell from 0.

With the float64 pass's decisions (which units a ReLU lets through, which cell a max pooling takes) forced upon float32,
nothing is left but rounding. No float32 pass can take these decisions right: they lie below its rounding.
"""

from __future__ import annotations

import copy

import cam_reference as ref
import numpy as np
import torch
from cam_toys import classifier
from probe import draw_pixels, probe_network
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest


class Gate(nn.Module):
    """A ReLU that notes what it decides, or decides as another one did."""

    def __init__(self, other: Gate | None) -> None:
        super().__init__()
        self.other = other
        self.kept: list[tuple[Tensor, Tensor]] = []
        self.turned: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        own = x > 0
        if self.other is None:
            self.kept.append((own, x.detach()))
            return x * own
        decided, exact = self.other.kept.pop(0)
        self.turned += (exact[own != decided].abs() / exact.abs().max()).tolist()
        return x * decided


class Winner(nn.Module):
    """A max pooling that notes which cells it takes, or takes the cells that another one took."""

    def __init__(self, pool: nn.MaxPool2d, other: Winner | None) -> None:
        super().__init__()
        self.pool, self.other = pool, other
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        out, taken = functional.max_pool2d(x, self.pool.kernel_size, self.pool.stride, return_indices=True)
        if self.other is None:
            self.kept.append(taken)
            return out
        return x.flatten(2).gather(2, self.other.kept.pop(0).flatten(2)).view_as(out)


def decided(network: nn.Module, other: nn.Module | None = None) -> nn.Module:
    """Return a copy that notes its decisions, or takes those of `other`."""
    found = copy.deepcopy(network)
    for path, module in network.named_modules():
        given = None if other is None else other.get_submodule(path)
        if isinstance(module, nn.ReLU):
            found.set_submodule(path, Gate(given))
        elif isinstance(module, nn.MaxPool2d):
            found.set_submodule(path, Winner(module, given))
    return found


def maps(network: nn.Module, x: Tensor, layer: str, class_index: int) -> dict[str, np.ndarray]:
    kept: list[Tensor] = []

    def keep(_m: object, _i: object, out: Tensor) -> Tensor:
        kept.append(out.detach().clone().requires_grad_())
        return kept[0]

    handle = network.get_submodule(layer).register_forward_hook(keep)
    with torch.enable_grad():
        network(x)[0, class_index].backward()
    handle.remove()
    a, g = kept[0].detach()[0].double().numpy(), kept[0].grad[0].double().numpy()
    return {"gradcam": ref.grad_cam(a, g), "gradcampp": ref.grad_cam_pp(a, g), "layercam": ref.layer_cam(a, g)}


def test_one_gate_within_rounding_of_0_is_all_that_a_map_is_off_by() -> None:
    network = probe_network("vgg11_bn", side=96)
    owner = classifier(network, size=(96, 96))
    pixels, layer = draw_pixels(14), "features.20"
    x, _ = owner.prepare(pixels)
    found = Explainer(owner).explain(pixels, MapRequest(("gradcam", "gradcampp", "layercam"), layers=(layer,)))
    class_index = found.scores[0].index
    double = decided(copy.deepcopy(network).double())
    exact = maps(double, x.double(), layer, class_index)
    forced = decided(network, double)
    agreeing = maps(forced, x, layer, class_index)
    for m in found.maps:
        assert ref.difference(agreeing[m.method], exact[m.method]) < 1e-5
        assert ref.difference(m.values, exact[m.method]) < 0.05
    turned = [share for module in forced.modules() if isinstance(module, Gate) for share in module.turned]
    assert max(turned, default=0.0) < 1e-6
