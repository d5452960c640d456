"""Units of a class: their parts add up to the score, and the images that excite a unit."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from cam_toys import CLASSES, Small, classifier, seeded
from hypothesis import given
from hypothesis import strategies as st
from probe import draw_pixels
from torch import Tensor, nn

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import ClassUnits, MapRequest
from camviewer.cam.units import most_exciting
from camviewer.errors import Cancelled, MethodError, UsageError

PIXELS = draw_pixels(5, width=50, height=40)


class Convolved(Small):
    """A 1x1 convolution gives the class maps, with a ReLU behind it or without, as in SqueezeNet."""

    def __init__(self, *, relu: bool) -> None:
        super().__init__()
        self.fc = nn.Conv2d(8, CLASSES, 1)  # type: ignore[assignment]
        self.last = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.fc(self.features(x))).mean((2, 3))


HEADS = {
    "gap": lambda: Small(),
    "gmp": lambda: Small(pool="max"),
    "conv": lambda: Convolved(relu=False),
    "conv_relu": lambda: Convolved(relu=True),
}


def without_unit(network: nn.Module, pixels: np.ndarray, unit: int) -> Tensor:
    """Return the class maps or pooled scores, float64, with a unit's activations set to zero."""
    net = copy.deepcopy(network).double()
    net.relu.register_forward_hook(_zeroing(unit))
    x, _ = classifier(copy.deepcopy(network)).prepare(pixels)
    with torch.no_grad():
        return net(x.double())[0]


def _zeroing(unit: int):
    calls = 0

    def hook(_module, _inputs, output: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            output = output.clone()
            output[:, unit] = 0
        return output

    return hook


@pytest.mark.parametrize("head", HEADS)
def test_contributions_add_up_to_the_score(head: str) -> None:
    network = seeded(HEADS[head])
    explainer = Explainer(classifier(network))
    scores = {s.index: s.logit for s in explainer.explain(PIXELS, MapRequest(("eigencam",))).scores}
    for class_index in range(CLASSES):
        found = explainer.units(PIXELS, class_index=class_index, most=100)
        assert found.class_index == class_index and found.total == len(found.units) == 8 and found.rest == 0
        assert sorted(unit.unit for unit in found.units) == list(range(8))
        total = sum(unit.contribution for unit in found.units) + found.bias
        assert total == pytest.approx(scores[class_index], abs=1e-5) == pytest.approx(found.logit, abs=1e-5)
        contributions = [unit.contribution for unit in found.units]
        assert contributions == sorted(contributions, reverse=True)
        weight = network.fc.weight.detach().reshape(CLASSES, 8)
        for unit in found.units:
            assert unit.weight == pytest.approx(float(weight[class_index, unit.unit]), rel=1e-6)
            assert unit.contribution == pytest.approx(unit.weight * unit.pooled)
            if found.logit:
                assert unit.share == pytest.approx(unit.contribution / abs(found.logit))
            else:  # a class whose map is nowhere positive
                assert head == "conv_relu" and unit.share is None


@pytest.mark.parametrize("head", ["gap", "gmp", "conv"])
def test_a_contribution_is_what_the_score_loses_without_the_unit(head: str) -> None:
    network = seeded(HEADS[head])
    found = Explainer(classifier(network)).units(PIXELS, class_index=2, most=8)
    full = found.logit
    for unit in found.units:
        lost = full - float(without_unit(network, PIXELS, unit.unit)[2])
        assert lost == pytest.approx(unit.contribution, abs=1e-5)
    assert np.ptp([unit.contribution for unit in found.units]) > 0.1


def test_units_carry_their_own_map_and_place() -> None:
    network = seeded(Small)
    explainer = Explainer(classifier(network))
    found = explainer.units(PIXELS, most=3)
    x, _ = explainer.classifier.prepare(PIXELS)
    with torch.no_grad():
        a = network.features(x)[0].numpy()
    assert len(found.units) == 3 and found.total == 8
    for unit in found.units:
        np.testing.assert_allclose(unit.values, a[unit.unit], atol=1e-6)
        assert unit.pooled == pytest.approx(a[unit.unit].mean(), abs=1e-6)
    explained = explainer.explain(PIXELS, MapRequest(("cam",)))
    assert found.class_index == explained.scores[0].index
    assert found.geometry == explained.maps[0].geometry and found.layer == explained.maps[0].layer
    everything = explainer.units(PIXELS, most=8)
    assert found.rest == pytest.approx(sum(unit.contribution for unit in everything.units[3:]))
    assert explainer.units(PIXELS, offset=False).geometry.cells is None


def test_units_cost_one_pass_and_none_for_a_known_image() -> None:
    network = seeded(Small)
    explainer = Explainer(classifier(network))
    passes: list[int] = []
    network.register_forward_hook(lambda _m, inputs, _o: passes.append(len(inputs[0])))
    explainer.units(PIXELS, key="image")
    explainer.units(PIXELS, class_index=1, key="image")
    explainer.explain(PIXELS, MapRequest(("gradcam",), "all"), key="image")
    explainer.pooled([PIXELS], keys=["image"])
    assert passes == [1]
    explainer.pooled([draw_pixels(seed) for seed in range(3)])
    assert passes[:2] == [1, 3]


@pytest.mark.parametrize("head", ["gap", "gmp"])
def test_pooled_features_and_the_images_that_excite_a_unit(head: str) -> None:
    network = seeded(HEADS[head])
    explainer = Explainer(classifier(network))
    images = [draw_pixels(seed, width=40 + seed, height=33) for seed in range(4)]
    pooled = explainer.pooled(images)
    assert pooled.shape == (4, 8) and pooled.dtype == np.float32
    for row, pixels in zip(pooled, images, strict=True):
        with torch.no_grad():
            a = network.features(explainer.classifier.prepare(pixels)[0])[0]
        expected = a.amax((1, 2)) if head == "gmp" else a.mean((1, 2))
        np.testing.assert_allclose(row, expected.numpy(), atol=2e-6 * float(expected.max()))  # batched sums
    unit = int(pooled.std(axis=0).argmax())
    best = most_exciting(pooled, unit, count=2)
    assert [value for _, value in best] == sorted(pooled[:, unit].tolist(), reverse=True)[:2]
    assert explainer.pooled([]).shape[0] == 0


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=12), st.integers(0, 14))
def test_most_exciting_orders_every_image_once(column: list[float], count: int) -> None:
    pooled = np.array(column, dtype=np.float32)[:, None]
    found = most_exciting(pooled, 0, count=count)
    assert len(found) == min(count, len(column)) == len({row for row, _ in found})
    assert all(first[1] > second[1] or first[0] < second[0] for first, second in pairwise(found))
    assert all(first[1] >= second[1] for first, second in pairwise(found))
    left = set(range(len(column))) - {row for row, _ in found}
    assert not found or all(pooled[row, 0] <= found[-1][1] for row in left)


def test_refusals() -> None:
    deep = Explainer(classifier(seeded(lambda: Small(pool="deep"))))
    with pytest.raises(MethodError, match="have no weights"):
        deep.units(PIXELS)
    gap = Explainer(classifier(seeded(Small)))
    with pytest.raises(UsageError):
        gap.units(PIXELS, class_index=CLASSES)
    with pytest.raises(Cancelled):
        gap.units(PIXELS, cancelled=lambda: True)
    pooled = np.array([[np.nan, 1.0], [2.0, 3.0]], dtype=np.float32)
    assert most_exciting(pooled, 0, count=2) == [(1, 2.0)]
    for unit in (-1, 2):
        with pytest.raises(UsageError, match="no unit"):
            most_exciting(pooled, unit, count=1)


def test_units_are_plain_data() -> None:
    found = Explainer(classifier(seeded(Small))).units(PIXELS)
    assert isinstance(found, ClassUnits) and isinstance(found.units[0].values, np.ndarray)
    assert all(isinstance(value, float) for value in (found.logit, found.bias, found.units[0].weight))


@pytest.mark.parametrize("kind", list(HEADS))
def test_both_poolings_score_the_same_features(kind: str) -> None:
    network = seeded(HEADS[kind])
    found = Explainer(classifier(network)).units(PIXELS, class_index=2)
    net = copy.deepcopy(network).double()
    x, _ = classifier(copy.deepcopy(network)).prepare(PIXELS)
    with torch.no_grad():
        features = net.features(x.double())[0]
        if kind.startswith("conv"):
            maps = net.last(net.fc(features[None]))[0]
            expected = {"gap": maps.mean((1, 2)), "gmp": maps.amax((1, 2))}
        else:
            expected = {"gap": net.fc(features.mean((1, 2))), "gmp": net.fc(features.amax((1, 2)))}
    assert [pooling.kind for pooling in found.poolings] == ["gap", "gmp"]
    for pooling in found.poolings:
        scores = expected[pooling.kind]
        assert pooling.score == pytest.approx(float(scores[2]), abs=1e-5)
        assert pooling.rank == 1 + int((scores > scores[2]).sum())
    own = {"gmp": "gmp"}.get(kind, "gap")
    assert next(p.score for p in found.poolings if p.kind == own) == pytest.approx(found.logit, abs=1e-5)
