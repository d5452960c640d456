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


class Gated(nn.Module):
    """Two folded convolutions and a recognised head, by `pool`."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.mix = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = pool
        self.fc = nn.Conv2d(8, CLASSES, 1) if pool == "conv" else nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.stem(x))
        if self.pool == "conv":
            return torch.relu(self.fc(x)).mean((2, 3))
        return self.fc(x.amax((2, 3)) if self.pool == "max" else x.mean((2, 3)))


def gated(pool: str) -> nn.Module:
    network = seeded(lambda: Gated(pool))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var = torch.rand(8, generator=torch.Generator().manual_seed(3)) + 0.5
    return network


GRADIENTS = ("gradcam", "gradcampp", "hirescam", "layercam", "xgradcam")


@pytest.mark.parametrize("pool", ["mean", "max", "conv"])
def test_gradients_never_come_from_the_copy(pool: str) -> None:
    """Rounding opens and closes ReLU gates, so a warm explainer has to give what a cold one gives, bit by bit."""
    network = gated(pool)
    warm = Explainer(classifier(network))
    for seed in (1, 2):
        warm.explain(draw_pixels(seed), MapRequest())
    assert warm.device.network(["stem.2", "mix.2"]) is not network
    requests = [MapRequest(GRADIENTS, "all", ("stem",))]
    if pool != "mean":
        requests.append(MapRequest(GRADIENTS, "all"))
    for request in requests:
        cold = Explainer(classifier(network)).explain(draw_pixels(3), request)
        np.testing.assert_array_equal(values(cold), values(warm.explain(draw_pixels(3), request)))
        # A capture that the copy made is not good enough either.
        warm.explain(draw_pixels(3), MapRequest(("eigencam",), layers=request.layers), key="copied")
        np.testing.assert_array_equal(values(cold), values(warm.explain(draw_pixels(3), request, key="copied")))


def test_quotients_of_signed_units_do_not_come_from_the_copy() -> None:
    network = gated("mean")
    network.mix[2] = nn.SiLU()
    warm = Explainer(classifier(network))
    for seed in (1, 2):
        warm.explain(draw_pixels(seed), MapRequest())
    ran: list[nn.Module] = []
    network.register_forward_pre_hook(lambda module, _inputs: ran.append(module))
    for method, original in (("gradcampp", True), ("xgradcam", True), ("gradcam", False), ("cam", False)):
        warm.explain(draw_pixels(3), MapRequest((method,)))
        assert (ran.pop() is network) == original
        cold = Explainer(classifier(network)).explain(draw_pixels(3), MapRequest((method,)))
        ran.clear()
        assert len(cold.maps) == 1


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "efficientnet_b0"])
def test_the_copy_is_as_exact_as_the_original(name: str) -> None:
    """Class maps are sums with both signs, so float32 itself moves a weak class's map by some 2e-5 from float64."""
    network = probe_network(name, side=96)
    owner = classifier(network, size=(96, 96))
    cold, warm = Explainer(owner), Explainer(owner)
    for seed in (1, 2):
        warm.explain(draw_pixels(seed), MapRequest(("eigencam",)))
    assert warm.device.network([owner.suggested]) is not network
    pixels = draw_pixels(3)
    predicted = MapRequest(("cam", "gradcam", "layercam"))
    for m, n in zip(cold.explain(pixels, predicted).maps, warm.explain(pixels, predicted).maps, strict=True):
        assert not np.array_equal(m.values, n.values)
        assert np.abs(m.values - n.values).max() <= 1e-5 * np.abs(m.values).max()
    a = ref.activations(ref.split(name, network)[0], owner.prepare(pixels)[0])
    expected = np.einsum("ck,kij->cij", ref.class_weights(name, network).numpy(), a)
    first, second = (
        np.abs(values(explainer.explain(pixels, MapRequest(("cam",), "all"))) - expected).max(axis=(1, 2))
        / np.abs(expected).max(axis=(1, 2))
        for explainer in (cold, warm)
    )
    assert second.max() <= max(1e-5, 2 * first.max()) < 1e-4


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
