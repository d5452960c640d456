"""The choice of a rule: it finds what made the masks, and its expectation is that of images without a say."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_skin import blob

from camviewer.errors import UsageError
from camviewer.evaluation.threshold_choice import Evidence, candidates
from camviewer.regions.find import find_regions
from camviewer.regions.measures import iou
from camviewer.regions.rules import RegionRule

SIZE = (48, 36)
CAM = ("cam", "last")


def evidence(rule: RegionRule, count: int, *, noise: float = 0.0, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    found = Evidence()
    for _ in range(count):
        values = blob(SIZE, *rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.2)) * rng.uniform(0.5, 20)
        truth = find_regions(values, rule).mask
        found.add({CAM: values + rng.normal(0, noise, values.shape).astype(np.float32)}, truth)
    return found


@pytest.mark.parametrize(
    "rule",
    [RegionRule("fraction", 0.6), RegionRule("fraction", 0.2), RegionRule("percentile", 0.12), RegionRule("otsu")],
)
def test_the_rule_that_drew_the_masks_is_found(rule: RegionRule) -> None:
    choice = evidence(rule, 12).choose()
    assert choice.best.candidate.rule.rule == rule.rule
    if rule.rule != "otsu":
        assert choice.best.candidate.rule.threshold == pytest.approx(rule.threshold)
    assert choice.best.fitted == pytest.approx(1)
    assert choice.best.expected == pytest.approx(1)
    assert choice.images == 12
    assert not choice.notes
    curve = next(c for c in choice.curves if (c.kind, c.components, c.normalise) == ("fraction", "largest", "positive"))
    assert curve.threshold[0] == 0.04
    assert len(curve.threshold) == len(curve.iou) == 24


def test_the_table_is_that_of_the_rules_one_by_one() -> None:
    rng = np.random.default_rng(3)
    values, truth = rng.normal(size=(20, 30)).astype(np.float32), rng.random((20, 30)) > 0.7
    found = Evidence()
    found.add({CAM: values}, truth)
    choice = found.choose()
    expected = [iou(find_regions(values, rule).mask, truth) for rule in candidates()]
    assert choice.best.fitted == pytest.approx(max(expected))
    assert choice.best.expected is None
    assert "1 image with a true mask is few" in choice.notes[0]
    drawn = {(c.kind, c.components, c.normalise): dict(zip(c.threshold, c.iou, strict=True)) for c in choice.curves}
    for rule, value in zip(candidates(), expected, strict=True):
        assert drawn[rule.rule, rule.components, rule.normalise][rule.threshold] == pytest.approx(value)


def test_the_expectation_does_not_flatter() -> None:
    """Truth has nothing to do with the maps: what fits best here is luck, and the expectation says so."""
    rng = np.random.default_rng(5)
    gaps = []
    for _ in range(6):
        found = Evidence()
        for _ in range(10):
            values = rng.normal(size=(12, 16)).astype(np.float32)
            truth = np.zeros((12, 16), bool)
            truth[: rng.integers(1, 12), : rng.integers(1, 16)] = True
            found.add({CAM: values}, truth)
        best = found.choose().best
        assert best.expected is not None
        assert best.interval is not None
        assert best.interval[0] <= best.expected <= best.interval[1]
        gaps.append(best.fitted - best.expected)
    assert min(gaps) >= 0
    assert np.mean(gaps) > 0.005


def test_the_expectation_is_the_nested_choice() -> None:
    """With two images each is judged by the rule that is best on the other."""
    rng = np.random.default_rng(1)
    found, rows = Evidence(), []
    for _ in range(2):
        values, truth = rng.normal(size=(15, 15)).astype(np.float32), rng.random((15, 15)) > 0.5
        found.add({CAM: values}, truth)
        rows.append([iou(find_regions(values, rule).mask, truth) for rule in candidates()])
    first, second = np.array(rows)
    assert found.choose().best.expected == pytest.approx((first[second.argmax()] + second[first.argmax()]) / 2)


def test_methods_compete_and_incomplete_ones_are_named() -> None:
    rng = np.random.default_rng(0)
    found = Evidence()
    for number in range(12):
        values = blob(SIZE, *rng.uniform(0.3, 0.7, 2))
        truth = values > 0.5
        maps = {CAM: values, ("gradcam", "last"): rng.normal(size=values.shape).astype(np.float32)}
        if number:
            maps["scorecam", "last"] = values
        found.add(maps, truth, present=truth)
    choice = found.choose()
    assert choice.best.candidate.method == "cam"
    assert [best.candidate.method for best in choice.each] == ["cam", "gradcam"]
    assert choice.now == 1.0
    assert "scorecam at last is left out: only 11 of 12" in choice.notes[0]
    assert "no reason to change" in choice.notes[1]


def test_no_evidence_is_refused() -> None:
    with pytest.raises(UsageError, match="Review some masks"):
        Evidence().choose()
    found = Evidence()
    found.add({CAM: np.ones((4, 4), np.float32)}, np.ones((4, 4), bool))
    found.add({("gradcam", "last"): np.ones((4, 4), np.float32)}, np.ones((4, 4), bool))
    with pytest.raises(UsageError, match="different methods"):
        found.choose()
