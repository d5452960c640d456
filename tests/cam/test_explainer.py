"""The Explainer on small networks: taps, passes, caching, batches, options, and what it leaves behind."""

from __future__ import annotations

import copy
from typing import Any

import cam_reference as ref
import numpy as np
import pytest
import torch
from cam_toys import CLASSES, Small, classifier, explain, seeded, values
from probe import draw_pixels
from torch import Tensor, nn

from camviewer.cam import explainer as explainer_module
from camviewer.cam import grids
from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import Cancelled, LayerError, MethodError, ModelError, UsageError
from camviewer.images.geometry import CellPositions

PIXELS = draw_pixels(5, width=50, height=40)
GRADIENT_METHODS = ("gradcam", "gradcampp", "hirescam", "layercam", "xgradcam", "eigengradcam")


class Counter:
    """Counts forward passes (calls of the network or of its faster copy) and images in them."""

    def __init__(self, explainer: Explainer) -> None:
        self.passes = 0
        self.images = 0
        for network in {explainer.classifier.network, explainer.device.network([])}:
            network.register_forward_hook(self._count)

    def _count(self, _module: nn.Module, inputs: tuple[Tensor, ...], _output: Any) -> None:
        self.passes += 1
        self.images += len(inputs[0])


def warmed(network: nn.Module) -> Explainer:
    """Return an explainer that has made its faster copies, which costs one pass once."""
    explainer = Explainer(classifier(network))
    for seed in range(2):
        explainer.explain(draw_pixels(90 + seed), MapRequest())
    return explainer


def double_reference(network: nn.Module, pixels: np.ndarray, tap: str, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return A and dS/dA of a module's output in float64, by a hook of its own."""
    owner = classifier(copy.deepcopy(network))
    net = copy.deepcopy(network).double()
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    kept: list[Tensor] = []

    def keep(_m: nn.Module, _i: Any, out: Tensor) -> Tensor:
        kept.append(out.detach().clone().requires_grad_())
        return kept[-1]

    net.get_submodule(tap).register_forward_hook(keep)
    x, _ = owner.prepare(pixels)
    with torch.enable_grad():
        (net(x.double())[0] @ target.double()).backward()
    return kept[-1].detach()[0].numpy(), kept[-1].grad[0].numpy()


def one_hot(index: int) -> Tensor:
    return torch.eye(CLASSES)[index]


def test_every_gradient_method_at_an_inner_layer() -> None:
    network = seeded(lambda: Small(pool="deep"))
    found = explain(network, PIXELS, methods=GRADIENT_METHODS, classes=(1, 3), layers=("second",))
    for m in found.maps:
        a, g = double_reference(network, PIXELS, "second", one_hot(m.class_index))
        expected = getattr(ref, {"gradcam": "grad_cam", "gradcampp": "grad_cam_pp", "hirescam": "hires_cam",
                                 "layercam": "layer_cam", "xgradcam": "x_grad_cam",
                                 "eigengradcam": "eigen_grad_cam"}[m.method])(a, g)  # fmt: skip
        assert np.abs(m.values - expected).max() <= 1e-4 * np.abs(expected).max()
        assert m.values.dtype == np.float32 and m.values.shape == (8, 8)
    assert [(m.method, m.class_index) for m in found.maps[:3]] == [("gradcam", 1), ("gradcam", 3), ("gradcampp", 1)]


@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("target", ["score", "negative", "contrast:2"])
def test_closed_forms_equal_autograd(pool: str, target: str) -> None:
    network = seeded(lambda: Small(pool=pool))
    explainer = Explainer(classifier(network))
    assert explainer.classifier.head.kind == {"mean": "gap_linear", "max": "gmp_linear"}[pool]
    request = MapRequest((*GRADIENT_METHODS, "cam", "ablationcam"), (0, 4), target=target)
    found = explainer.explain(PIXELS, request)
    head = copy.deepcopy(network).double()

    def tail(a: Tensor) -> Tensor:
        return head.fc(a.amax((2, 3)) if pool == "max" else a.mean((2, 3)))

    for m in found.maps:
        vector = -one_hot(m.class_index) if target == "negative" else one_hot(m.class_index)
        if target == "contrast:2":
            vector = vector - one_hot(2)
        with torch.no_grad():
            x, _ = explainer.classifier.prepare(PIXELS)
            a = head.features(x.double())[0].numpy()
        g = ref.gradients(tail, a, vector)
        if m.method == "cam":
            expected = np.einsum("k,kij->ij", (vector.double() @ head.fc.weight).numpy(), a)
        elif m.method == "ablationcam":
            expected = ref.ablation_cam(tail, a, vector)
        else:
            name = {"gradcam": "grad_cam", "gradcampp": "grad_cam_pp", "hirescam": "hires_cam"}.get(m.method)
            name = (
                name or {"layercam": "layer_cam", "xgradcam": "x_grad_cam", "eigengradcam": "eigen_grad_cam"}[m.method]
            )
            expected = getattr(ref, name)(a, g)
        assert np.abs(m.values - expected).max() <= 1e-4 * max(np.abs(expected).max(), 1e-6), m.method
    assert found.identity_error is not None and found.identity_error < 1e-5


def test_grad_cam_is_cam_over_z_on_a_gap_head() -> None:
    network = seeded(Small)
    found = explain(network, PIXELS, methods=("gradcam", "cam"), classes="all")
    grad, cam = values(found)[:CLASSES], values(found)[CLASSES:]
    assert cam.min() < 0 < cam.max()
    np.testing.assert_allclose(grad, np.maximum(cam, 0) / 64, atol=1e-7)
    bias = network.fc.bias.detach().numpy()
    logits = {s.index: s.logit for s in found.scores}
    for c in range(CLASSES):
        assert cam[c].mean() + bias[c] == pytest.approx(logits[c], abs=1e-5)


@pytest.mark.parametrize("layer", ["first", "second", "relu", "third", "relu#2"])
def test_in_place_activations_change_nothing(layer: str) -> None:
    methods = ("gradcam", "hirescam", "eigencam")
    plain = explain(seeded(Small), PIXELS, methods=methods, classes="all", layers=(layer,))
    inplace = explain(seeded(lambda: Small(inplace=True)), PIXELS, methods=methods, classes="all", layers=(layer,))
    np.testing.assert_array_equal(values(plain), values(inplace))
    assert np.ptp(values(plain)) > 0


def test_calls_of_a_shared_module_are_told_apart() -> None:
    network = seeded(Small)
    found = explain(network, PIXELS, methods=("eigencam",), layers=("relu", "relu#2"))
    assert [m.layer for m in found.maps] == ["relu", "relu#2"]
    assert np.abs(found.maps[0].values - found.maps[1].values).max() > 1e-3
    np.testing.assert_array_equal(found.maps[1].values, explain(network, PIXELS, methods=("eigencam",)).maps[0].values)
    with pytest.raises(LayerError):
        explain(network, PIXELS, layers=("relu#3",))
    with pytest.raises(LayerError):
        explain(network, PIXELS, layers=("relu#0",))


def test_layer_order_of_the_request_does_not_matter() -> None:
    network = seeded(lambda: Small(pool="deep"))
    forward = explain(network, PIXELS, classes="all", layers=("first", "second", "third"))
    backward = explain(network, PIXELS, classes="all", layers=("third", "second", "first"))
    for layer in ("first", "second", "third"):
        first = np.stack([m.values for m in forward.maps if m.layer == layer])
        second = np.stack([m.values for m in backward.maps if m.layer == layer])
        np.testing.assert_allclose(first, second, atol=1e-7)
    assert [m.layer for m in backward.maps[::CLASSES]] == ["third", "second", "first"]


def test_batch_equals_singles() -> None:
    explainer = warmed(seeded(lambda: Small(pool="deep")))
    images = [draw_pixels(i, width=40 + i, height=33) for i in range(3)]
    counter = Counter(explainer)
    request = MapRequest(("gradcam", "gradcampp", "layercam"), "top2", ("second", "third"))
    seen: list[tuple[int, int]] = []
    batch = explainer.explain_batch(images, request, on_progress=lambda done, total: seen.append((done, total)))
    assert (counter.passes, counter.images) == (1, 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for pixels, together in zip(images, batch, strict=True):
        alone = explainer.explain(pixels, request)
        assert [(m.class_index, m.layer) for m in alone.maps] == [(m.class_index, m.layer) for m in together.maps]
        np.testing.assert_allclose(values(alone), values(together), atol=1e-6)
        assert together.plan.image_size == (pixels.shape[1], pixels.shape[0])


def test_input_need_not_be_square() -> None:
    owner = classifier(seeded(Small), size=(160, 96))
    found = Explainer(owner).explain(PIXELS, MapRequest(("gradcam",)))
    assert found.maps[0].values.shape == (24, 40)
    assert found.maps[0].geometry.grid_size == (40, 24)
    assert found.maps[0].geometry.input_size == (160, 96)


def test_frozen_or_not_and_nothing_is_left_behind() -> None:
    network = seeded(lambda: Small(pool="deep"))
    explainer = Explainer(classifier(network))
    before = {name: p.clone() for name, p in network.named_parameters()}
    request = MapRequest(("gradcam", "hirescam"), "all", ("second",))
    frozen = values(explainer.explain(PIXELS, request))
    network.requires_grad_(True)
    np.testing.assert_allclose(values(explainer.explain(PIXELS, request)), frozen, atol=1e-7)
    network.requires_grad_(False)

    def fail(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        explainer.explain(PIXELS, MapRequest(("scorecam",)), on_progress=fail)
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(Cancelled):
        explainer.explain(PIXELS, request, cancelled=cancelled)
    with pytest.raises(Cancelled):
        explainer.explain(PIXELS, MapRequest(("scorecam", "ablationcam")), cancelled=lambda: asked > 3)
    for module in network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks and not module.training
    assert not torch.nn.modules.module._global_forward_pre_hooks
    for name, parameter in network.named_parameters():
        assert parameter.grad is None and not parameter.requires_grad and torch.equal(parameter, before[name])


def test_cancel_reaches_inside_a_forward_pass() -> None:
    network = seeded(Small)
    explainer = Explainer(classifier(network))
    ran: list[str] = []
    network.second.register_forward_hook(lambda *_: ran.append("second"))
    network.third.register_forward_hook(lambda *_: ran.append("third"))
    with pytest.raises(Cancelled):
        explainer.explain(PIXELS, MapRequest(), cancelled=lambda: "second" in ran)
    assert ran == ["second"]


def test_what_was_computed_costs_no_pass() -> None:
    explainer = warmed(seeded(lambda: Small(pool="deep")))
    counter = Counter(explainer)

    def ask(**request: Any) -> int:
        before = counter.passes
        explainer.explain(PIXELS, MapRequest(**request), key="image")
        return counter.passes - before

    layers = ("second", "third")
    assert ask(methods=("gradcam",), classes=(0, 1), layers=layers) == 1
    assert ask(methods=GRADIENT_METHODS, classes=(1,), layers=("second",)) == 0
    assert ask(methods=("eigencam", "random"), classes="all", layers=layers) == 0
    assert ask(methods=("gradcam",), classes=(2,), layers=layers) == 1
    assert ask(methods=("gradcam",), classes=(0, 1, 2), layers=layers, target="negative") == 1
    assert ask(methods=("gradcam",), classes=(0,), layers=("first",)) == 1
    assert ask(methods=("layercam",), classes=(0, 1, 2), layers=layers) == 0


def test_on_a_closed_head_one_pass_serves_everything() -> None:
    explainer = warmed(seeded(Small))
    counter = Counter(explainer)
    request = MapRequest((*GRADIENT_METHODS, "cam", "eigencam", "ablationcam", "finercam"), "all")
    explainer.explain(PIXELS, request, key=1)
    explainer.explain(PIXELS, request, key=1)
    assert counter.passes == 1


def test_cache_is_bounded_in_bytes() -> None:
    explainer = Explainer(classifier(seeded(Small)), cache_bytes=60_000)
    for number in range(8):
        explainer.explain(draw_pixels(number), MapRequest(), key=number)
        assert explainer.cache.nbytes <= 60_000
    assert 1 <= len(explainer.cache) < 8
    explainer.explain(draw_pixels(0), MapRequest(), key=None)
    nothing = Explainer(explainer.classifier, cache_bytes=0)
    nothing.explain(PIXELS, MapRequest(), key=1)
    assert len(nothing.cache) == 0


def test_gradients_too_many_to_keep_give_the_same_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(lambda: Small(pool="deep"))
    request = MapRequest((*GRADIENT_METHODS, "finercam"), "all", ("first", "second"))
    expected = Explainer(classifier(network)).explain(PIXELS, request)
    monkeypatch.setattr("camviewer.cam.passes.GRADIENT_BYTES", 20_000)
    explainer = warmed(network)
    found = explainer.explain(PIXELS, request, key=1)
    counter = Counter(explainer)
    again = explainer.explain(PIXELS, request, key=1)
    assert counter.passes == 0
    for m, n, o in zip(expected.maps, found.maps, again.maps, strict=True):
        np.testing.assert_allclose(m.values, n.values, atol=1e-5 * np.abs(m.values).max())
        np.testing.assert_array_equal(n.values, o.values)


class NoBatching(torch.autograd.Function):
    """The identity, without a rule for batched gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return torch.from_numpy(g.numpy().copy())


class Custom(Small):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(NoBatching.apply(self.features(x)).mean((2, 3))))


def test_networks_that_batched_gradients_refuse_go_class_by_class() -> None:
    custom = seeded(Custom)
    found = explain(custom, PIXELS, classes="all", layers=("second",))
    plain = seeded(lambda: Small(pool="deep"))
    plain.hidden = nn.Identity()
    plain.load_state_dict(custom.state_dict())
    expected = explain(plain, PIXELS, classes="all", layers=("second",))
    np.testing.assert_allclose(values(found), values(expected), atol=1e-6)


@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_single_logit(weight: float) -> None:
    network = seeded(lambda: Small(classes=1))
    network.fc.weight.data.abs_().mul_(weight)
    owner = classifier(network, activation="sigmoid")
    found = Explainer(owner).explain(PIXELS, MapRequest(("cam", "gradcam", "scorecam", "finercam")))
    negative = Explainer(owner).explain(PIXELS, MapRequest(("cam", "gradcam"), target="negative"))
    np.testing.assert_array_equal(found.maps[0].values, -negative.maps[0].values)
    assert (found.maps[1].values.max() > 0) == (weight > 0)
    assert (negative.maps[1].values.max() > 0) == (weight < 0)
    assert found.scores[0].probability == pytest.approx(1 / (1 + np.exp(-found.scores[0].logit)), abs=1e-6)


class Flat(Small):
    """One score an image, as a vector."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, 0]


def test_a_single_score_without_its_axis_has_a_head_too() -> None:
    expected, found = (seeded(lambda kind=kind: kind(classes=1)) for kind in (Small, Flat))
    owner = classifier(found, activation="sigmoid")
    assert owner.head.kind == "gap_linear"
    np.testing.assert_array_equal(
        values(explain(expected, PIXELS, methods=("cam", "gradcam"))),
        values(explain(found, PIXELS, methods=("cam", "gradcam"))),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_networks_give_finite_maps(dtype: torch.dtype) -> None:
    network = seeded(lambda: Small(pool="deep"))
    expected = explain(network, PIXELS, methods=GRADIENT_METHODS, classes="all", layers=("second",))
    found = explain(
        copy.deepcopy(network).to(dtype), PIXELS, methods=GRADIENT_METHODS, classes="all", layers=("second",)
    )
    assert np.isfinite(values(found)).all() and values(found).dtype == np.float32
    for m, n in zip(expected.maps, found.maps, strict=True):
        if m.method in {"gradcam", "hirescam"}:
            assert np.corrcoef(m.values.ravel(), n.values.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_heads_are_recognised_in_every_precision(dtype: torch.dtype, pool: str) -> None:
    network = seeded(lambda: Small(pool=pool))
    methods = ("cam", *GRADIENT_METHODS, "eigencam", "random")
    expected = explain(network, PIXELS, methods=methods, classes="all")
    found = explain(copy.deepcopy(network).to(dtype), PIXELS, methods=methods, classes="all")
    assert len(found.maps) == len(expected.maps) == len(methods) * CLASSES and not found.refused
    for m, n in zip(expected.maps, found.maps, strict=True):
        assert np.isfinite(n.values).all() and n.values.dtype == np.float32
        scale = max(np.abs(other.values).max() for other in expected.maps if other.method == m.method)
        assert np.abs(m.values - n.values).max() <= 0.03 * scale, m.method


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_slightly_bent_head_is_none_in_every_precision(dtype: torch.dtype) -> None:
    class Bent(Small):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.tanh(self.features(x).mean((2, 3))))

    assert classifier(seeded(Bent).to(dtype)).head.kind == "none"


def test_a_refused_method_does_not_end_the_others() -> None:
    explainer = Explainer(classifier(seeded(lambda: Small(pool="deep"))))
    found = explainer.explain(PIXELS, MapRequest(("cam", "gradcam", "layercam"), "top2"))
    assert [m.method for m in found.maps] == ["gradcam"] * 2 + ["layercam"] * 2
    np.testing.assert_array_equal(
        values(found), values(explainer.explain(PIXELS, MapRequest(("gradcam", "layercam"), "top2")))
    )
    assert list(found.refused) == ["cam"] and found.refused["cam"].startswith("CAM is not defined")
    assert any(found.refused["cam"] in notice for notice in found.notices)
    gap = Explainer(classifier(seeded(Small)))
    inner = gap.explain(PIXELS, MapRequest(("gradcam", "cam"), layers=("second",)))
    assert [m.layer for m in inner.maps] == ["second"] and "CAM is defined only" in inner.refused["cam"]
    assert not gap.explain(PIXELS, MapRequest(("gradcam", "cam"))).notices


def test_small_half_precision_gradients_do_not_underflow() -> None:
    network = seeded(lambda: Small(pool="deep"))
    network.fc.weight.data.mul_(1e-6)
    expected = explain(network, PIXELS, classes="all", layers=("second",))
    found = explain(copy.deepcopy(network).half(), PIXELS, classes="all", layers=("second",))
    assert all(m.values.max() > 0 for m in expected.maps)
    assert np.corrcoef(values(expected).ravel(), values(found).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["zero", "nan"])
def test_dead_networks_give_maps_without_an_error(kind: str) -> None:
    network = seeded(Small)
    network.third.weight.data.zero_()
    network.third.bias.data.fill_(-1.0 if kind == "zero" else float("nan"))
    request = MapRequest((*GRADIENT_METHODS, "cam", "eigencam", "scorecam", "ablationcam", "random"), "top2")
    if kind == "nan":
        request = MapRequest(("gradcam", "gradcampp", "hirescam", "layercam", "xgradcam", "cam"), "top2")
    found = Explainer(classifier(network)).explain(PIXELS, request)
    assert len(found.maps) == 2 * len(request.methods)
    if kind == "zero":
        assert all(not m.values.any() for m in found.maps)


def test_refusals_are_sentences() -> None:
    network = seeded(lambda: Small(pool="deep"))
    explainer = Explainer(classifier(network))
    for error, request in [
        (MethodError, MapRequest(("cam",))),
        (LayerError, MapRequest(layers=("nowhere",))),
        (LayerError, MapRequest(layers=("fc",))),
        (UsageError, MapRequest(("nomethod",))),
        (UsageError, MapRequest(classes="most")),
        (UsageError, MapRequest(classes=(9,))),
        (UsageError, MapRequest(target="contrast:9")),
        (UsageError, MapRequest(target="positive")),
        (UsageError, MapRequest(tta="rotate")),
        (UsageError, MapRequest(fuse="sum")),
        (UsageError, MapRequest(parameters={"gradcam": {"x": 1}})),
    ]:
        with pytest.raises(error) as caught:
            explainer.explain(PIXELS, request)
        assert caught.value.message.endswith(".")
    gap = Explainer(classifier(seeded(Small)))
    with pytest.raises(MethodError, match="CAM is defined only"):
        gap.explain(PIXELS, MapRequest(("cam",), layers=("second",)))


def test_offset_places_cells_by_their_measured_positions() -> None:
    network = seeded(Small)
    on = explain(network, PIXELS).maps[0]
    off = explain(network, PIXELS, offset=False).maps[0]
    np.testing.assert_array_equal(on.values, off.values)
    assert on.geometry.cells is not None and on.geometry.cells.start == (0.0, 0.0)
    assert on.geometry.cells.step == (4.0, 4.0)
    assert off.geometry.cells is None
    assert off.geometry.to_image(0, 0) == pytest.approx((2 * 50 / 32, 2 * 40 / 32))
    assert on.geometry.to_image(0, 0) == pytest.approx((0.5 * 50 / 32, 0.5 * 40 / 32))


def test_flip_averaging_is_symmetric() -> None:
    network = seeded(Small)
    for offset in (True, False):
        here = explain(network, PIXELS, tta="flip", classes=(1,), offset=offset).maps[0]
        there = explain(network, PIXELS[:, ::-1].copy(), tta="flip", classes=(1,), offset=offset).maps[0]
        plain = explain(network, PIXELS, classes=(1,), offset=offset).maps[0]
        assert np.abs(here.values - plain.values).max() > 1e-4
        if not offset:
            np.testing.assert_allclose(here.values, there.values[:, ::-1], atol=1e-6)
        else:
            # Cells lie at 0, 4, .. 28 of 0 .. 31: mirrored they are compared through the image.
            first = here.geometry.upsample(here.values)
            second = there.geometry.upsample(there.values)[:, ::-1]
            assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_flips_average_over_both_axes(axes: tuple[int, ...]) -> None:
    network = seeded(Small)
    here = explain(network, PIXELS, tta="flips", classes=(1,), offset=False).maps[0].values
    there = explain(network, np.flip(PIXELS, axes).copy(), tta="flips", classes=(1,), offset=False).maps[0].values
    np.testing.assert_allclose(here, np.flip(there, axes), atol=1e-6)
    one = explain(network, PIXELS, tta="flip", classes=(1,), offset=False).maps[0].values
    upturned = explain(network, PIXELS[::-1].copy(), tta="flip", classes=(1,), offset=False).maps[0].values
    np.testing.assert_allclose(here, (one + upturned[::-1]) / 2, atol=1e-6)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_mirrored_grids_lie_where_the_cells_look(axes: tuple[int, ...]) -> None:
    grid = grids.make_grid((5, 4), (40, 30), CellPositions((3.0, 1.5), (8.0, 7.0)))
    found = grid.mirrored((40, 30), axes)
    for i, axis in enumerate((2, 1)):
        cells = grid.cells.start[i] + grid.cells.step[i] * np.arange(grid.size[i])
        expected = (40, 30)[i] - 1 - cells[::-1] if axis in axes else cells
        np.testing.assert_allclose(found.cells.start[i] + found.cells.step[i] * np.arange(grid.size[i]), expected)


def test_multiscale_averages_on_the_finest_grid() -> None:
    found = explain(seeded(Small), PIXELS, tta="multiscale", classes=(1,)).maps[0]
    assert found.values.shape == (10, 10)
    assert found.geometry.grid_size == (10, 10) and found.geometry.input_size == (32, 32)
    plain = explain(seeded(Small), PIXELS, classes=(1,)).maps[0]
    a, b = found.geometry.upsample(found.values), plain.geometry.upsample(plain.values)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.7


@pytest.mark.parametrize("how", ["mean", "max"])
def test_fusion(how: str) -> None:
    network = seeded(lambda: Small(pool="deep"))
    single = explain(network, PIXELS, classes=(0,), layers=("second", "third"))
    fused = explain(network, PIXELS, classes=(0,), layers=("second", "third"), fuse=how)
    assert len(fused.maps) == 1 and fused.maps[0].layer == "second+third"
    scaled = [m.values / np.abs(m.values).max() for m in single.maps]
    expected = np.mean(scaled, axis=0) if how == "mean" else np.max(scaled, axis=0)
    np.testing.assert_allclose(fused.maps[0].values, expected, atol=1e-6)
    finest = explain(network, PIXELS, classes=(0,), layers=("third", "first"), fuse=how)
    assert finest.maps[0].values.shape == (16, 16)


def test_smooth_grad_cam_pp_without_noise_is_grad_cam_pp() -> None:
    for pool, layer in (("deep", "second"), ("mean", ""), ("max", "")):
        network = seeded(lambda pool=pool: Small(pool=pool))
        layers = (layer,) if layer else ()
        silent = {"smoothgradcampp": {"noise": 0.0, "samples": 2}}
        found = explain(network, PIXELS, methods=("gradcampp", "smoothgradcampp"), layers=layers, parameters=silent)
        np.testing.assert_allclose(found.maps[0].values, found.maps[1].values, rtol=1e-4, atol=1e-7)
        noisy = explain(network, PIXELS, methods=("gradcampp", "smoothgradcampp"), layers=layers, seed=3)
        again = explain(network, PIXELS, methods=("gradcampp", "smoothgradcampp"), layers=layers, seed=3)
        np.testing.assert_array_equal(noisy.maps[1].values, again.maps[1].values)
        if pool == "deep":  # on a pooling head the gradient hardly depends on the input
            assert np.abs(noisy.maps[0].values - noisy.maps[1].values).max() > 1e-6


def test_smooth_grad_cam_pp_against_brute_force_with_the_same_noise() -> None:
    network = seeded(lambda: Small(pool="deep"))
    found = explain(network, PIXELS, methods=("smoothgradcampp",), classes=(1,), layers=("second",), seed=3,
                    parameters={"smoothgradcampp": {"noise": 0.2, "samples": 4}})  # fmt: skip
    net = copy.deepcopy(network).double()
    x = classifier(copy.deepcopy(network)).prepare(PIXELS)[0]
    kept: list[Tensor] = []

    def keep(_m: nn.Module, _i: Any, out: Tensor) -> Tensor:
        kept.append(out.detach().clone().requires_grad_())
        return kept[-1]

    net.second.register_forward_hook(keep)
    generator = torch.Generator().manual_seed(3)
    deviation = 0.2 * float(x.max() - x.min())
    with torch.enable_grad():
        net(x.double())
        a = kept[0].detach()[0].numpy()
        for _ in range(4):
            net((x[0] + deviation * torch.randn(x.shape[1:], generator=generator)).double()[None])[0, 1].backward()
    g = np.stack([sample.grad[0].numpy() for sample in kept[1:]])
    first, second, third = g.mean(0), (g**2).mean(0), (g**3).mean(0)
    denominator = 2 * second + a.sum(axis=(1, 2))[:, None, None] * third
    defined = (first > 0) & (denominator > 1e-6 * second)
    quotient = np.where(defined, second / np.where(defined, denominator, 1), 0)
    weights = (quotient * np.maximum(first, 0)).sum(axis=(1, 2))
    ref.assert_same_map(found.maps[0].values, ref.relu(np.einsum("k,kij->ij", weights, a)), a)


def test_ablation_at_an_inner_layer() -> None:
    network = seeded(lambda: Small(pool="deep", inplace=True))
    found = explain(network, PIXELS, methods=("ablationcam",), classes=(0, 2), layers=("relu", "relu#2"))
    twin = seeded(lambda: Small(pool="deep")).double()
    x, _ = classifier(copy.deepcopy(network)).prepare(PIXELS)
    with torch.no_grad():
        inner = twin.relu(twin.second(twin.first(x.double())))[0].numpy()
        outer = twin.features(x.double())[0].numpy()

    def after_inner(a: Tensor) -> Tensor:
        return after_outer(torch.relu(twin.third(a)))

    def after_outer(a: Tensor) -> Tensor:
        return twin.fc(torch.tanh(twin.hidden(a.mean((2, 3)))))

    for m in found.maps:
        head, a = (after_inner, inner) if m.layer == "relu" else (after_outer, outer)
        expected = ref.ablation_cam(head, a, one_hot(m.class_index))
        assert expected.max() > 0
        np.testing.assert_allclose(m.values, expected, atol=1e-5 * expected.max() + 1e-7)


class Hungry(Small):
    """Runs out of memory above `limit` images."""

    limit = 2

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().forward(x)


def test_out_of_memory_halves_the_batch() -> None:
    images = [draw_pixels(i) for i in range(5)]
    request = MapRequest(("gradcam", "scorecam", "ablationcam"), "top2", ("second",))
    hungry = Explainer(classifier(seeded(lambda: Hungry(pool="deep")))).explain_batch(images, request)
    plain = Explainer(classifier(seeded(lambda: Small(pool="deep")))).explain_batch(images, request)
    for first, second in zip(hungry, plain, strict=True):
        np.testing.assert_allclose(values(first), values(second), rtol=1e-5, atol=1e-5)


def test_out_of_memory_for_one_image_is_a_sentence() -> None:
    network = seeded(lambda: Hungry(pool="deep"))
    owner = classifier(network)
    network.limit = 0
    with pytest.raises(ModelError, match="not enough memory"):
        Explainer(owner).explain(PIXELS, MapRequest())


def test_a_device_without_memory_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device stands in for one: its first pass is refused, then everything runs on the CPU."""
    network = seeded(lambda: Hungry(pool="deep"))
    owner = classifier(network)
    expected = Explainer(owner).explain(PIXELS, MapRequest(("gradcam", "scorecam")))
    network.limit = 0

    class Device(explainer_module.Device):
        @property
        def where(self) -> torch.device:
            return torch.device("cpu")

        def fall_back(self) -> None:
            network.limit = 100
            self.notices.append("The CUDA device ran out of memory, so the CPU computes from here on; it is slower.")

    monkeypatch.setattr(explainer_module, "Device", Device)
    found = Explainer(owner).explain(PIXELS, MapRequest(("gradcam", "scorecam")))
    np.testing.assert_allclose(values(found), values(expected), atol=1e-6)
    assert len(found.notices) == 1
