"""Score-CAM: exactness of its shortcuts, its passes, its variants and its relatives."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import cam_reference as ref
import numpy as np
import pytest
import torch
from cam_toys import CLASSES, Small, classifier, seeded, values
from hypothesis import given, settings
from hypothesis import strategies as st
from probe import draw_pixels
from torch import Tensor, nn

from camviewer.cam import masking
from camviewer.cam.explainer import Explainer
from camviewer.cam.masking import MaskedForward, Masking
from camviewer.cam.requests import Explanation, MapRequest
from camviewer.cam.scorecam import OnlineSum, Weighing, accumulate, score_cam
from camviewer.project.records import ActivationMap

PIXELS = draw_pixels(5, width=50, height=40)
ZERO = torch.zeros(3)


def dead_units(*, constant: float = 0.0) -> nn.Module:
    """A network in which units 1 and 4 of the last layer are constant: 0, or `constant`."""
    network = seeded(Small)
    for unit in (1, 4):
        network.third.weight.data[unit] = 0
        network.third.bias.data[unit] = constant if constant else -1.0
    return network


def brute(network: nn.Module, *, base: str = "zero", **options: object) -> dict[int, np.ndarray]:
    """Return Score-CAM of every class in float64, one unit after the other, constant ones included."""
    net = copy.deepcopy(network).double()
    x, _ = classifier(copy.deepcopy(network)).prepare(PIXELS)
    background = None
    if base == "black":
        background = (-torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])).view(3, 1, 1)
    elif base == "blur":
        background = masking.baseline_input(x[0], "blur", black=ZERO)
    with torch.no_grad():
        a = net.features(x.double())[0].numpy()
    rows = ref.score_cam_logits(net, x, a, background)
    return {c: ref.score_cam(a, rows, np.eye(CLASSES)[c], **options) for c in range(CLASSES)}


def explained(network: nn.Module, **parameters: object) -> Explanation:
    request = MapRequest(("scorecam",), "all", parameters={"scorecam": parameters})  # type: ignore[dict-item]
    return Explainer(classifier(network)).explain(PIXELS, request)


@pytest.mark.parametrize("constant", [0.0, 0.7])
@pytest.mark.parametrize("baseline", ["zero", "black", "blur"])
def test_raw_values_with_constant_units(constant: float, baseline: str) -> None:
    """Raw values, not only normalised ones: the constant units hold their share of the softmax."""
    network = dead_units(constant=constant)
    expected = brute(network, base=baseline)
    for m in explained(network, baseline=baseline).maps:
        np.testing.assert_allclose(m.values, expected[m.class_index], rtol=1e-4, atol=1e-6)


def test_probability_variant() -> None:
    network = dead_units(constant=0.7)
    expected = brute(network, probability=True)
    softmax = brute(network)
    for m in explained(network, variant="probability").maps:
        np.testing.assert_allclose(m.values, expected[m.class_index], rtol=1e-4, atol=1e-6)
        assert np.abs(m.values - softmax[m.class_index]).max() > 1e-2


@pytest.mark.parametrize("variant", ["softmax", "probability"])
@pytest.mark.parametrize("target", ["negative", "contrast:3"])
def test_other_targets(variant: str, target: str) -> None:
    network = seeded(Small)
    request = MapRequest(("scorecam",), (1,), target=target, parameters={"scorecam": {"variant": variant}})
    found = Explainer(classifier(network)).explain(PIXELS, request).maps[0].values
    net = copy.deepcopy(network).double()
    x, _ = classifier(network).prepare(PIXELS)
    with torch.no_grad():
        a = net.features(x.double())[0].numpy()
    rows = ref.score_cam_logits(net, x, a)
    s = -rows[:, 1] if target == "negative" else rows[:, 1] - rows[:, 3]
    if variant == "softmax":
        alpha = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
    elif target == "negative":
        alpha = 1 - np.exp(rows[:, 1]) / np.exp(rows).sum(axis=1)
    else:
        alpha = 1 / (1 + np.exp(-s))
    np.testing.assert_allclose(found, ref.relu(np.einsum("k,kij->ij", alpha, a)), rtol=1e-4, atol=1e-6)


def test_passes_and_the_cache_of_classes() -> None:
    network = dead_units()
    explainer = Explainer(classifier(network))
    for method in ("gradcam", "gradcam", "scorecam"):  # makes and checks the faster ways
        explainer.explain(draw_pixels(90), MapRequest((method,)))
    inputs = 0

    def count(_module: nn.Module, given: tuple[Tensor, ...], _output: Tensor) -> None:
        nonlocal inputs
        inputs += len(given[0])

    network.fc.register_forward_hook(count)  # the copies share it
    one = explainer.explain(PIXELS, MapRequest(("scorecam",), (2,)), key=1)
    assert inputs == 2 + 6
    every = explainer.explain(PIXELS, MapRequest(("scorecam",), "all"), key=1)
    explainer.explain(
        PIXELS, MapRequest(("scorecam",), "all", parameters={"scorecam": {"variant": "probability"}}), key=1
    )
    explainer.explain(PIXELS, MapRequest(("scorecam",), "all", target="negative"), key=1)
    assert inputs == 8
    np.testing.assert_array_equal(one.maps[0].values, every.maps[2].values)
    explainer.explain(PIXELS, MapRequest(("scorecam",), "all", parameters={"scorecam": {"baseline": "black"}}), key=1)
    assert inputs == 8 + 7


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 100])
def test_batch_size_does_not_matter(batch: int) -> None:
    network = dead_units()
    x, _ = classifier(network).prepare(PIXELS)
    with torch.no_grad():
        A = network.features(x)[0]
        expected = list(brute(network).values())
        steps = list(score_cam(seen(network, x[0]), A, masking=Masking(), classes=CLASSES, batch=batch))
    run = steps[-1][0]
    assert run.complete and run.passes == run.total == 7
    maps = accumulate(run, torch.eye(CLASSES), Weighing()).maps()
    np.testing.assert_allclose(maps.numpy(), np.stack(expected), rtol=1e-4, atol=1e-6)


def test_memory_that_runs_out_halves_the_batch() -> None:
    network = dead_units()
    x, _ = classifier(network).prepare(PIXELS)
    sizes: list[int] = []

    def forward(inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        if len(inputs) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return network(inputs)

    with torch.no_grad():
        A = network.features(x)[0]
        steps = list(score_cam(seen(forward, x[0]), A, masking=Masking(), classes=CLASSES, batch=6))
        run = steps[-1][0]
        maps = accumulate(run, torch.eye(CLASSES), Weighing()).maps()
        assert sizes == [1, 6, 3, 1, 1, 1, 1, 1, 1]
        np.testing.assert_allclose(maps.numpy(), np.stack(list(brute(network).values())), rtol=1e-4, atol=1e-6)

        def never(_inputs: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("out of memory")

        with pytest.raises(torch.OutOfMemoryError):
            list(score_cam(seen(never, x[0]), A[:1], masking=Masking(), classes=CLASSES, batch=4))

        def broken(_inputs: Tensor) -> Tensor:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(score_cam(seen(broken, x[0]), A, masking=Masking(), classes=CLASSES, batch=4))


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(9)), st.integers(1, 9), st.floats(0.1, 200), st.sampled_from(["softmax", "probability"]))
def test_order_and_chunks_of_the_online_sum(order: list[int], chunk: int, spread: float, variant: str) -> None:
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(2, 9, generator=generator) * spread
    A = torch.randn(9, 2, 3, generator=generator)
    online = OnlineSum(2, (2, 3), variant=variant, like=A)  # type: ignore[arg-type]
    for start in range(0, 9, chunk):
        part = order[start : start + chunk]
        online.add(scores[:, part], A[part])
    alpha = torch.softmax(scores.double(), dim=1) if variant == "softmax" else scores.double()
    expected = torch.einsum("tk,kij->tij", alpha, A.double()).relu()
    torch.testing.assert_close(online.maps().double(), expected, rtol=1e-5, atol=1e-5)
    if variant == "softmax":
        torch.testing.assert_close(online.effective(), 1 / (alpha**2).sum(dim=1))


def test_partial_maps_are_those_of_the_strongest_units_so_far() -> None:
    network = dead_units()
    explainer = Explainer(classifier(network))
    explainer.device.masked_batch = lambda _x, **_: 2  # type: ignore[method-assign]
    partial: list[ActivationMap] = []
    progress: list[tuple[int, int]] = []
    found = explainer.explain(
        PIXELS,
        MapRequest(("scorecam",), (2,)),
        on_partial=partial.append,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert [m.flags for m in partial] == [("partial 2/8",), ("partial 4/8",), ("partial 6/8",), ("partial 8/8",)]
    assert progress == [(1, 7), (3, 7), (5, 7), (7, 7)]
    np.testing.assert_allclose(partial[-1].values, found.maps[0].values, rtol=1e-5)
    x, _ = explainer.classifier.prepare(PIXELS)
    with torch.no_grad():
        A = network.features(x)[0]
        a = A.double().numpy()
        rows = ref.score_cam_logits(copy.deepcopy(network).double(), x, a)
    strongest = np.argsort(-a.reshape(8, -1).std(axis=1), kind="stable")[:4]
    chosen = [1, 4, *strongest]
    expected = ref.score_cam(a[chosen], rows[chosen], np.eye(CLASSES)[2])
    np.testing.assert_allclose(partial[2].values, expected, rtol=1e-4, atol=1e-6)


def test_strongest_units_only_says_so() -> None:
    network = dead_units()
    found = explained(network, strongest=3).maps[2]
    assert "strongest 3 of 6 units" in found.flags
    assert not any(flag.startswith("strongest") for flag in explained(network).maps[2].flags)
    assert np.abs(found.values - explained(network).maps[2].values).max() > 1e-4


def test_effective_units() -> None:
    flags = explained(seeded(Small)).maps[0].flags
    number = float(next(f for f in flags if f.startswith("effective units")).split()[2])
    assert 1 <= number <= 8
    online = OnlineSum(1, (1, 1), variant="softmax", like=torch.zeros(1))
    online.add(torch.tensor([[0.0, 0.0, 0.0, 50.0]]), torch.ones(4, 1, 1))
    assert float(online.effective()) == pytest.approx(1.0)


def test_masks_are_upsampled_before_they_are_normalised() -> None:
    A = torch.tensor([[[0.0, 1.0, 0.0], [2.0, 5.0, 1.0]], [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]])
    found = masking.unit_masks(A, (7, 10))
    for mask, a in zip(found, A, strict=True):
        np.testing.assert_allclose(mask.numpy(), ref.upsampled_mask(a.double().numpy(), (7, 10)), atol=1e-6)
    assert float(found[0].min()) == 0 and float(found[0].max()) == 1 and not found[1].any()


def test_baselines() -> None:
    X = torch.randn(3, 24, 30, generator=torch.Generator().manual_seed(0))
    black = torch.tensor([-2.0, -1.9, -1.8])
    assert not masking.baseline_input(X, "zero", black=black).any()
    np.testing.assert_array_equal(masking.baseline_input(X, "black", black=black)[:, 5, 6].numpy(), black.numpy())
    blurred = masking.baseline_input(X, "blur", black=black)
    assert blurred.shape == X.shape and float(blurred.std()) < 0.5 * float(X.std())
    impulse = torch.zeros(1, 41, 41)
    impulse[0, 20, 20] = 1
    spread = masking.baseline_input(impulse, "blur", black=black)[0]
    sigma = masking.BLUR_SHARE * 41
    assert float(spread[20, 20] / spread[20, 22]) == pytest.approx(math.exp(0.5 * (2 / sigma) ** 2), rel=1e-4)
    flat = torch.full((1, 12, 12), 3.0)
    torch.testing.assert_close(masking.baseline_input(flat, "blur", black=black), flat)


def seen(forward: Callable[[Tensor], Tensor], x: Tensor) -> MaskedForward:
    return MaskedForward(forward, x, torch.zeros_like(x))


def relatives(network: nn.Module, method: str, **parameters: object) -> np.ndarray:
    request = MapRequest((method,), "all", parameters={method: parameters}, seed=4)  # type: ignore[dict-item]
    return values(Explainer(classifier(network)).explain(PIXELS, request))


def test_is_cam_against_brute_force() -> None:
    network = dead_units()
    net = copy.deepcopy(network).double()
    x, _ = classifier(network).prepare(PIXELS)
    with torch.no_grad():
        a = net.features(x.double())[0].numpy()
        rows = np.zeros((8, CLASSES))
        for k in range(8):
            mask = torch.from_numpy(ref.upsampled_mask(a[k], (32, 32)))
            rows[k] = np.mean([net(x.double() * mask * (i / 3))[0].numpy() for i in (1, 2, 3)], axis=0)
    expected = np.stack([ref.score_cam(a, rows, np.eye(CLASSES)[c]) for c in range(CLASSES)])
    np.testing.assert_allclose(relatives(network, "iscam", samples=3), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("where", ["activation", "input"])
def test_ss_cam(where: str) -> None:
    network = dead_units()
    silent = relatives(network, "sscam", where=where, noise=0.0, samples=2)
    np.testing.assert_allclose(silent, values(explained(network)), rtol=1e-4, atol=1e-6)
    noisy = relatives(network, "sscam", where=where, noise=0.3, samples=3)
    np.testing.assert_array_equal(noisy, relatives(network, "sscam", where=where, noise=0.3, samples=3))
    assert np.abs(noisy - silent).max() > 1e-4


@pytest.mark.parametrize("where", ["activation", "input"])
def test_ss_cam_against_brute_force_with_the_same_noise(where: str) -> None:
    """The noise of unit k is drawn from seed * 1,000,003 + k; units that are flat see the bare baseline once."""
    network = dead_units()
    net = copy.deepcopy(network).double()
    x, _ = classifier(network).prepare(PIXELS)
    double = x[0].double()
    rows = np.zeros((8, CLASSES))
    with torch.no_grad():
        a = net.features(x.double())[0].numpy()
        for k in range(8):
            generator = torch.Generator().manual_seed(4 * 1_000_003 + k)
            if a[k].max() == a[k].min():
                rows[k] = net(torch.zeros_like(double)[None])[0].numpy()
                continue
            inputs = []
            shape = a[k].shape if where == "activation" else tuple(double.shape)
            for noise in torch.randn((3, *shape), generator=generator).double().numpy():
                if where == "activation":
                    mask = ref.upsampled_mask(a[k] + 0.3 * np.ptp(a[k]) * noise, (32, 32))
                    inputs.append(double.numpy() * mask)
                else:
                    mask = ref.upsampled_mask(a[k], (32, 32))
                    inputs.append(double.numpy() * mask + 0.3 * float(double.max() - double.min()) * noise)
            rows[k] = net(torch.from_numpy(np.stack(inputs))).mean(dim=0).numpy()
    expected = np.stack([ref.score_cam(a, rows, np.eye(CLASSES)[c]) for c in range(CLASSES)])
    found = relatives(network, "sscam", where=where, noise=0.3, samples=3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    for m, e in zip(found, expected, strict=True):
        ref.assert_same_map(m, e, a)
