"""The faster copy: exact up to rounding, used only where a tap sees the same, and the original stays as it was."""

from __future__ import annotations

import copy

import cam_reference as ref
import numpy as np
import pytest
import torch
from cam_toys import CLASSES, classifier, seeded, values
from probe import draw_inputs, draw_pixels, probe_network
from torch import Tensor, nn

from camviewer.cam.explainer import Explainer
from camviewer.cam.fast import agrees, fast_copy, foldable
from camviewer.cam.requests import MapRequest


class Normed(nn.Module):
    """Convolutions with batch norm: one foldable, one whose output is used twice, one used twice itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True))
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.shared = nn.Conv2d(8, 8, 1)
        self.after = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.twice(x)
        x = torch.relu(self.norm(y) + 0.1 * y)
        x = self.after(self.shared(torch.relu(self.shared(x))))
        return self.fc(torch.tanh(torch.relu(x).mean((2, 3))))


def normed() -> nn.Module:
    network = seeded(Normed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            generator = torch.Generator().manual_seed(1)
            module.running_mean = torch.randn(8, generator=generator) * 0.3
            module.running_var = torch.rand(8, generator=generator) + 0.5
    return network


def test_only_what_is_safe_is_folded() -> None:
    assert foldable(normed()) == {"stem.0": "stem.1"}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_copies_of_torchvision_networks(name: str) -> None:
    network = probe_network(name, side=96)
    made = fast_copy(network)
    x = draw_inputs(2, side=96, seed=7)
    with torch.inference_mode():
        expected, found = network(x), made.network(x)
    assert agrees(expected, found) and len(made.changed) > 20
    assert not agrees(expected, expected + 0.01 * expected.abs().max())
    assert not agrees(expected, expected * torch.nan)


def test_the_original_is_not_touched() -> None:
    network = normed().requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    for dtype in (None, torch.bfloat16):
        made = fast_copy(network, dtype=dtype)
        with torch.inference_mode():
            made.network(torch.randn(1, 3, 16, 16, dtype=dtype))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) and tensor.dtype == before[name].dtype
        assert tensor.stride() == before[name].stride()
    assert isinstance(network.stem[1], nn.BatchNorm2d) and not any(m.training for m in network.modules())


def test_convolutions_with_hooks_stay() -> None:
    network = normed()
    network.stem[0].register_forward_hook(lambda _m, _i, out: out * 2)
    made = fast_copy(network)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(made.network(x), network(x))
    assert not made.changed


def test_taps_at_folded_layers_see_the_original() -> None:
    network = normed()
    explainer = Explainer(classifier(network))
    layers = ("stem.0", "stem.1", "stem", "norm")
    cold = explainer.explain(draw_pixels(1), MapRequest(("gradcam", "eigencam"), "all", layers))
    explainer.explain(draw_pixels(2), MapRequest())
    assert explainer.device.network(["stem.2"]) is not network
    assert explainer.device.network(["stem.0"]) is network and explainer.device.network(["stem.1#1"]) is network
    warm = explainer.explain(draw_pixels(1), MapRequest(("gradcam", "eigencam"), "all", layers))
    np.testing.assert_array_equal(values_of(cold, "stem.0"), values_of(warm, "stem.0"))
    for layer in layers:
        np.testing.assert_allclose(values_of(cold, layer), values_of(warm, layer), atol=1e-5)


def values_of(found: object, layer: str) -> np.ndarray:
    return np.stack([m.values for m in found.maps if m.layer == layer])  # type: ignore[attr-defined]


def test_a_copy_that_deviates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    network = normed()
    explainer = Explainer(classifier(network))

    def wrong(given: nn.Module, **options: object) -> object:
        made = fast_copy(given, **options)  # type: ignore[arg-type]
        made.network.stem[0].weight.data.mul_(1.05)
        return made

    monkeypatch.setattr("camviewer.cam.device.fast_copy", wrong)
    for seed in range(3):
        explainer.explain(draw_pixels(seed), MapRequest())
    assert explainer.device.network(["stem.2"]) is network


def test_bfloat16_is_labelled_and_close() -> None:
    network = probe_network("squeezenet1_1", side=96)
    exact = Explainer(classifier(network, size=(96, 96)))
    fast = Explainer(exact.classifier, precision="fast")
    request = MapRequest(("scorecam", "gradcam"), "top2")
    first, second = exact.explain(draw_pixels(3), request), fast.explain(draw_pixels(3), request)
    for m, n in zip(first.maps, second.maps, strict=True):
        if m.method == "scorecam":
            assert (m.precision, n.precision) == ("exact", "fast")
            assert "bfloat16" in n.flags and any(flag.startswith("logits moved by") for flag in n.flags)
            assert not np.array_equal(m.values, n.values)
            assert np.corrcoef(m.values.ravel(), n.values.ravel())[0, 1] > 0.99
        else:
            assert n.precision == "exact"
            assert ref.difference(n.values, m.values) < 1e-5
    assert values(second).dtype == np.float32
