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

from camviewer.cam import packed
from camviewer.cam.explainer import Explainer
from camviewer.cam.fast import agrees, fast_copy
from camviewer.cam.requests import MapRequest
from camviewer.cam.taps import tap
from camviewer.cam.winograd import WinogradConv2d


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


def test_only_what_is_safe_is_put_together() -> None:
    """stem: convolution, norm and ReLU are one operation, whose result still goes by the names of ReLU and stem."""
    made = fast_copy(normed())
    assert made.changed == {"stem.0", "stem.1"}
    assert made.serves(["stem", "stem.2", "norm", "shared#2"]) and not made.serves(["stem.1#1"])
    ran = [type(module).__name__ for module in made.network.modules()]
    assert ran.count("PackedConv2d") == 3 and ran.count("BatchNorm2d") == 2 and ran.count("ReLU") == 0


class Residual(nn.Module):
    """Additions that a convolution may take along, and others that it must not."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        a = self.relu(self.first(x))
        b = self.second(a)
        if self.kind == "plain":
            b += a
            b = self.relu(b)
        elif self.kind == "seen before":  # the convolution's own result is used again
            b = self.relu(b + a) + b
        elif self.kind == "seen after":  # the sum is written where the branch was, which is used again
            c = a
            a += b
            b = self.relu(a) + c
        elif self.kind == "broadcast":
            b = self.relu(b + a.mean((2, 3), keepdim=True))
        else:  # a shared activation, once behind a convolution and once not
            b = self.relu(b * a)
        return b.mean((2, 3))


@pytest.mark.parametrize("kind", ["plain", "seen before", "seen after", "broadcast", "shared"])
def test_additions_and_activations(kind: str) -> None:
    network = seeded(lambda: Residual(kind))
    made = fast_copy(network)
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    seen: dict[str, list[Tensor]] = {"original": [], "copy": []}
    for name, module in (("original", network), ("copy", made.network)):
        handle = module.get_submodule("relu").register_forward_hook(lambda _m, _i, out, n=name: seen[n].append(out + 0))
        with torch.inference_mode():
            seen[name].append(module(x))
        handle.remove()
    assert "relu" not in made.changed and len(seen["copy"]) == len(seen["original"])
    for expected, found in zip(seen["original"], seen["copy"], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if kind == "plain":
        operations = [node for node in made.network.graph.nodes if node.op == "call_function"]
        assert not operations


class Summed(nn.Module):
    """Two convolutions whose result is added to their input, which `after` may read once more."""

    def __init__(self, after: str) -> None:
        super().__init__()
        self.stem, self.first, self.second, self.third = (nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8, 8))
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.stem(x))
        part = a[:, :4] if self.after == "a view of it" else a
        inner = torch.relu(self.first(a))
        if self.after == "straight":
            return (self.second(a) + a).mean((2, 3))
        b = torch.relu(self.second(inner) + a)
        if self.after == "a convolution":
            return (b + self.third(a)).mean((2, 3))
        if self.after == "nothing":
            return b.mean((2, 3))
        return b.mean((2, 3)) + part.mean((1, 2, 3))[:, None]


@pytest.mark.parametrize("after", ["nothing", "itself", "a view of it", "a convolution", "straight"])
def test_sums_take_the_place_of_what_no_one_reads_again(after: str) -> None:
    network = seeded(lambda: Summed(after))
    made = fast_copy(network)
    over = [node for node in made.network.graph.nodes if len(node.args) == 3]  # type: ignore[union-attr]
    assert [node.target for node in over] == {"nothing": ["second"], "a convolution": ["third"]}.get(after, [])
    x = torch.randn(2, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(made.network(x), network(x), atol=1e-6, rtol=1e-5)


def test_what_was_tapped_is_not_written_over() -> None:
    network = probe_network("resnet18", side=96)
    made = fast_copy(network)
    assert sum(len(node.args) == 3 for node in made.network.graph.nodes) == 8  # type: ignore[union-attr]
    names = [name for name, _ in network.named_modules() if name and made.serves([name])]
    x = draw_inputs(2, side=96, seed=3)
    with torch.inference_mode(), tap(network, names, gradients=False) as expected:
        network(x)
    for chosen in (names, *([name] for name in names)):
        with torch.inference_mode(), tap(made.network, chosen, gradients=False) as found:
            made.network(x)
        assert all(agrees(expected[name], found[name]) for name in chosen)


def test_without_the_operations_the_copy_is_folded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed.PackedConv2d, "forward", lambda *_a: (_ for _ in ()).throw(RuntimeError("unknown")))
    packed.can_pack.cache_clear()
    try:
        assert not packed.can_pack(torch.float32)
        made = fast_copy(normed())
    finally:
        packed.can_pack.cache_clear()
    assert not any(isinstance(module, packed.PackedConv2d) for module in made.network.modules())
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert agrees(normed()(x), made.network(x))


class Winding(nn.Module):
    """Its way depends on its input, so it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = normed()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) if x.sum() > 0 else self.inner(-x)


def test_a_network_that_cannot_be_traced_keeps_its_code() -> None:
    network = Winding().eval()
    made = fast_copy(network)
    assert not made.changed and type(made.network) is Winding
    assert sum(isinstance(module, packed.PackedConv2d) for module in made.network.modules()) == 3
    for sign in (1, -1):
        x = sign * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            assert agrees(network(x), made.network(x))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_copies_of_torchvision_networks(name: str) -> None:
    network = probe_network(name, side=96)
    made = fast_copy(network)
    x = draw_inputs(2, side=96, seed=7)
    with torch.inference_mode():
        expected, found = network(x), made.network(x)
    assert agrees(expected, found) and len(made.changed) > 20
    assert isinstance(made.network, torch.fx.GraphModule)
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
    assert made.serves(["stem.0"]) and made.serves(["stem.1"])


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
    for runs in (network, warm.device.network([])):
        runs.register_forward_pre_hook(lambda module, _inputs: ran.append(module))
    for method, original in (("gradcampp", True), ("xgradcam", True), ("gradcam", False), ("cam", False)):
        warm.explain(draw_pixels(3), MapRequest((method,)))
        assert (ran.pop() is network) == original
        cold = Explainer(classifier(network)).explain(draw_pixels(3), MapRequest((method,)))
        ran.clear()
        assert len(cold.maps) == 1


@pytest.mark.usefixtures("filtering")
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "efficientnet_b0"])
def test_the_copy_is_as_exact_as_the_original(name: str) -> None:
    """Class maps are sums with both signs, so float32 itself moves a weak class's map by some 2e-5 from float64."""
    network = probe_network(name, side=96)
    owner = classifier(network, size=(96, 96))
    cold, warm = Explainer(owner), Explainer(owner)
    pictures = [draw_pixels(seed) for seed in range(8)]
    for _ in range(2):
        warm.explain_batch(pictures, MapRequest(("eigencam",)))
    single, together = (warm.device.network([owner.suggested], inputs=inputs) for inputs in (1, 8))
    assert single is not network and together is not network and single is not together
    # Only the residual networks have 3x3 convolutions that are wide enough to go another way in batches.
    assert any(isinstance(m, WinogradConv2d) for m in together.modules()) == name.startswith("resnet")
    predicted, every = MapRequest(("cam", "gradcam", "layercam")), MapRequest(("cam",), "all")
    for m, n in zip(cold.explain(pictures[3], predicted).maps, warm.explain(pictures[3], predicted).maps, strict=True):
        assert not np.array_equal(m.values, n.values)
        # Either is up to 1.2e-5 off float64 (resnet50), and products round up to twice as much on some processors.
        assert np.abs(m.values - n.values).max() <= 3e-5 * np.abs(m.values).max()
    a = ref.activations(ref.split(name, network)[0], owner.prepare(pictures[3])[0])
    expected = np.einsum("ck,kij->cij", ref.class_weights(name, network).numpy(), a)
    first, second, third = (
        (np.abs(values(found) - expected).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))).max()
        for found in (
            cold.explain(pictures[3], every),
            warm.explain(pictures[3], every),
            warm.explain_batch(pictures, every)[3],
        )
    )
    # Which of oneDNN's kernels add up best depends on the processor (measured up to 1.4e-5 on Zen 4, densenet121).
    assert max(second, third) <= max(2e-5, 2 * first) < 1e-4


def values_of(found: object, layer: str) -> np.ndarray:
    return np.stack([m.values for m in found.maps if m.layer == layer])  # type: ignore[attr-defined]


def test_a_copy_that_deviates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    network = normed()
    explainer = Explainer(classifier(network))

    def wrong(given: nn.Module, **options: object) -> object:
        made = fast_copy(given, **options)  # type: ignore[arg-type]
        made.network.get_submodule("stem.0").bias.add_(0.1)
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
            assert "bfloat16" in n.flags
            (agreement,) = [flag for flag in n.flags if flag.startswith("agrees")]
            assert 0.99 < float(agreement.split()[1]) <= 1
            assert not any(flag.startswith("agrees") for flag in m.flags)
            assert not np.array_equal(m.values, n.values)
            assert np.corrcoef(m.values.ravel(), n.values.ravel())[0, 1] > 0.99
        else:
            assert n.precision == "exact"
            assert ref.difference(n.values, m.values) < 1e-5
    assert values(second).dtype == np.float32


class Attention(nn.Module):
    """Attention over the cells of a convolution: torch's module for it has a module of its own inside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        return self.fc(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def test_modules_inside_a_module_that_is_not_traced_get_the_precision_too() -> None:
    network = seeded(Attention)
    made = fast_copy(network, dtype=torch.bfloat16).network
    assert {p.dtype for p in made.parameters()} == {torch.bfloat16}
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = copy.deepcopy(network).bfloat16()(x.bfloat16())
        assert agrees(expected, made(x.bfloat16()), tolerance=0.02)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
