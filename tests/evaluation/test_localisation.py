"""Measures of localisation against examples computed by hand, and against brute force."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from camviewer.evaluation.localisation import (
    BoxCurve,
    PixelPrecision,
    box_curve,
    energy_gain,
    energy_inside,
    grid_pointing,
    mask_curve,
    max_box_acc,
    max_box_acc_v2,
    pointing,
    rank_accuracy,
    risk_coverage,
    roc_auc,
    scaled,
    thresholds,
    tile,
)
from camviewer.regions.measures import dice, iou

LEVELS = [-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0]
MAPS = arrays.arrays(np.float32, (5, 6), elements=st.sampled_from(LEVELS))
MASKS = arrays.arrays(np.bool_, (5, 6))


def placed(shape: tuple[int, int], **boxes: float) -> np.ndarray:
    """A map that is zero but for boxes given as ``x0_y0_x1_y1=value``."""
    values = np.zeros(shape, np.float32)
    for name, value in boxes.items():
        x0, y0, x1, y1 = (int(part) for part in name.strip("b").split("_"))
        values[y0:y1, x0:x1] = value
    return values


def test_scaling() -> None:
    values = np.array([[-1.0, 0.0], [1.0, 3.0]], np.float32)
    np.testing.assert_allclose(scaled(values), [[0, 0], [1 / 3, 1]])
    np.testing.assert_allclose(scaled(values, "minmax"), [[0, 0.25], [0.5, 1]])
    assert not scaled(-np.abs(values)).any()
    assert not scaled(np.full((2, 2), 3, np.float32), "minmax").any()
    np.testing.assert_allclose(scaled(np.array([[np.nan, 1, 2]], np.float32)), [[0, 0.5, 1]])
    assert not scaled(np.full((2, 2), np.nan, np.float32)).any()


def test_a_box_curve_by_hand() -> None:
    # Two regions: 4x4 of height 0.5 (16 pixels) and 2x2 of height 1 (4 pixels). The truth is the small one.
    values = placed((10, 20), b1_1_5_5=0.5, b10_4_12_6=1.0)
    curve = box_curve(values, [(10, 4, 12, 6)])
    low = thresholds(100) < 0.5
    np.testing.assert_allclose(curve.largest, np.where(low, 0.0, 1.0))
    np.testing.assert_allclose(curve.any, 1.0)
    # Half-open: the box 1..5 against a truth of 1..6 shares 16 of 20 pixels, not 25 of 30.
    assert box_curve(values, [(1, 1, 6, 5)]).largest[0] == pytest.approx(16 / 20)
    with pytest.raises(ValueError, match="true box"):
        box_curve(values, [])


def test_the_largest_component_is_counted_in_pixels() -> None:
    # A ring of 20 pixels spans 6x6 = 36, a square has 25: its outline is smaller, its area is larger.
    values = np.zeros((20, 20), np.float32)
    values[1:7, 1:7] = 1
    values[2:6, 2:6] = 0
    values[10:15, 10:15] = 1
    curve = box_curve(values, [(10, 10, 15, 15)])
    assert curve.largest[50] == 1.0


def test_a_map_without_evidence_has_no_box() -> None:
    curve = box_curve(np.full((4, 4), -1, np.float32), [(0, 0, 4, 4)])
    assert not curve.largest.any()
    assert not curve.any.any()


def test_the_curve_works_beyond_squares() -> None:
    values = placed((48, 64), b40_30_60_44=1.0)
    assert box_curve(values, [(40, 30, 60, 44)]).largest[10] == 1.0


def test_max_box_acc_by_hand() -> None:
    # Four thresholds, three images. At 0.5: hits per threshold are 1, 2, 2, 0 of 3 for the largest box.
    largest = [[0.5, 0.6, 0.4, 0.1], [0.2, 0.7, 0.8, 0.0], [0.4, 0.1, 0.5, 0.2]]
    anything = [[0.5, 0.6, 0.4, 0.1], [0.3, 0.7, 0.8, 0.0], [0.4, 0.3, 0.7, 0.2]]
    curves = [BoxCurve(np.array(a), np.array(b)) for a, b in zip(largest, anything, strict=True)]
    assert max_box_acc(curves) == (pytest.approx(2 / 3), 0.25)
    # V2: at 0.3 all three at the first threshold; at 0.5 two; at 0.7 two at the third.
    assert max_box_acc_v2(curves) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


@settings(max_examples=60, deadline=None)
@given(MAPS, MASKS)
def test_the_mask_curve_is_overlap_at_each_threshold(values: np.ndarray, truth: np.ndarray) -> None:
    curve = mask_curve(values, truth)
    normalised = scaled(values)
    for index in range(0, 100, 7):
        kept = normalised > index / 100
        assert curve.iou[index] == pytest.approx(iou(kept, truth))
        assert curve.dice[index] == pytest.approx(dice(kept, truth))


def test_pxap_by_hand() -> None:
    # Scores 1, 0.75, 0.5, 0 with truth yes, no, yes, no: P/R (1, 1/2), (1/2, 1/2), (2/3, 1), (1/2, 1).
    measure = PixelPrecision()
    measure.add(np.array([[4, 3], [2, 0]], np.float32), np.array([[1, 0], [1, 0]], bool))
    assert measure.value() == pytest.approx(1 * 0.5 + 2 / 3 * 0.5)


def test_pxap_pools_pixels_and_leaves_out_what_is_ignored() -> None:
    rng = np.random.default_rng(0)
    measure, samples = PixelPrecision(), []
    for _ in range(3):
        values = rng.integers(0, 11, (6, 7)).astype(np.float32)
        values[0, 0], values[0, 1] = 0, 10
        truth, ignore = rng.random((6, 7)) < 0.4, rng.random((6, 7)) < 0.2
        measure.add(values, truth, ignore=ignore)
        samples += list(zip(values[~ignore] / 10, truth[~ignore], strict=True))
    total = sum(t for _, t in samples)
    expected = 0.0
    levels = sorted({float(v) for v, _ in samples}, reverse=True)
    recall = [0.0]
    for level in levels:
        kept = [t for v, t in samples if v >= level]
        recall.append(sum(kept) / total)
        expected += sum(kept) / len(kept) * (recall[-1] - recall[-2])
    assert measure.value() == pytest.approx(expected)
    assert math.isnan(PixelPrecision().value())


def test_pxap_of_a_perfect_and_of_an_uninformative_map() -> None:
    truth = np.zeros((20, 20), bool)
    truth[3:9, 4:14] = True
    perfect, flat = PixelPrecision(), PixelPrecision()
    perfect.add(truth.astype(np.float32), truth)
    flat.add(np.ones((20, 20), np.float32), truth)
    assert perfect.value() == pytest.approx(1.0)
    assert flat.value() == pytest.approx(60 / 400)


def test_pointing() -> None:
    truth = np.zeros((30, 40), bool)
    truth[10:20, 10:20] = True
    values = np.zeros((30, 40), np.float32)
    values[12, 25] = 1
    assert pointing(values, truth) == 0
    assert pointing(values, truth, tolerance=5.9) == 0  # column 19 is six pixels away
    assert pointing(values, truth, tolerance=6) == 1
    values[15, 15] = 1  # any pixel that holds the maximum
    assert pointing(values, truth) == 1
    assert math.isnan(pointing(values, np.zeros_like(truth)))
    assert pointing(-np.ones_like(values), truth) == 0


def test_energy() -> None:
    values = np.array([[1, 3], [-5, 4]], np.float32)
    region = np.array([[0, 1], [1, 0]], bool)
    assert energy_inside(values, region) == pytest.approx(3 / 8)
    assert energy_gain(values, region) == pytest.approx(3 / 8 / 0.5)
    assert energy_gain(np.ones((2, 2), np.float32), region) == pytest.approx(1.0)
    assert math.isnan(energy_inside(-values * 0, region))
    assert math.isnan(energy_gain(values, np.zeros_like(region)))


def test_rank_accuracy() -> None:
    values = np.array([[5, 4], [3, 1]], np.float32)
    assert rank_accuracy(values, np.array([[1, 0], [1, 0]], bool)) == pytest.approx(0.5)
    # Two places: 5 takes one; the other is shared by three equal pixels, one of them inside.
    tied = np.array([[5, 2], [2, 2]], np.float32)
    assert rank_accuracy(tied, np.array([[1, 1], [0, 0]], bool)) == pytest.approx((1 + 1 / 3) / 2)


def test_grid_pointing() -> None:
    values = np.zeros((40, 60), np.float32)
    values[25, 10] = 1
    assert [grid_pointing(values, index) for index in range(4)] == [0, 0, 1, 0]
    assert sum(tile(index, (61, 41)).sum() for index in range(4)) == 61 * 41
    assert energy_inside(np.ones((40, 60), np.float32), tile(3, (60, 40))) == pytest.approx(0.25)


def test_roc_auc() -> None:
    assert roc_auc([3, 2, 1], [True, True, False]) == 1
    assert roc_auc([1, 1], [True, False]) == 0.5
    # Pairs: (4 > 3), (4 > 1), (2 < 3), (2 > 1).
    assert roc_auc([4, 3, 2, 1], [True, False, True, False]) == 0.75
    assert math.isnan(roc_auc([1, 2], [True, True]))


def test_risk_coverage() -> None:
    np.testing.assert_allclose(risk_coverage([0.9, 0.1, 0.5], [0.2, 0.8, 0.6]), [0.8, 0.7, 1.6 / 3])


@settings(max_examples=30, deadline=None)
@given(MAPS, MASKS)
def test_shares_lie_in_their_range(values: np.ndarray, truth: np.ndarray) -> None:
    for measured in (energy_inside(values, truth), rank_accuracy(values, truth), pointing(values, truth)):
        assert math.isnan(measured) or 0 <= measured <= 1 + 1e-9
    curve = mask_curve(values, np.ones_like(truth))
    assert all(a >= b for a, b in pairwise(curve.iou))  # stricter keeps less of a full truth


def test_shapes_have_to_agree() -> None:
    for measure in (pointing, energy_inside, rank_accuracy, mask_curve):
        with pytest.raises(ValueError, match="map of"):
            measure(np.ones((3, 4), np.float32), np.ones((4, 3), bool))
