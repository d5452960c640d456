"""Threshold rules, components and boxes against brute force written from their definitions."""

from __future__ import annotations

import math
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from camviewer.errors import UsageError
from camviewer.regions.find import NO_EVIDENCE, NOT_FINITE, box_of, find_regions
from camviewer.regions.rules import RegionRule

MAPS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 3.0]),
)
RULES = st.builds(
    RegionRule,
    rule=st.sampled_from(["fraction", "percentile", "otsu"]),
    threshold=st.sampled_from([0.0, 0.15, 0.2, 0.5, 1.0]),
    components=st.sampled_from(["largest", "all"]),
    normalise=st.sampled_from(["positive", "minmax"]),
)


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """The 8-connected components, by flooding."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    parts = []
    while left:
        queue = [left.pop()]
        part = set(queue)
        while queue:
            y, x = queue.pop()
            near = {(y + dy, x + dx) for dy, dx in product((-1, 0, 1), repeat=2)} & left
            left -= near
            part |= near
            queue += near
        parts.append(part)
    return parts


def reference(values: np.ndarray, rule: RegionRule) -> tuple[np.ndarray, np.ndarray]:
    """(M in float64, what the rule keeps before components are chosen)."""
    M = values.astype(np.float64)
    if rule.normalise == "minmax":
        span = M.max() - M.min()
        M = (M - M.min()) / span if span else M * 0
    else:
        M = np.maximum(M, 0)
    if M.max() <= 0:
        return M, np.zeros(M.shape, bool)
    if rule.rule == "fraction":
        level = rule.threshold * M.max()
    elif rule.rule == "percentile":
        level = np.sort(M, axis=None)[::-1][max(1, math.floor(rule.threshold * M.size + 0.5)) - 1]
    else:
        bins = np.minimum(np.floor(M / M.max() * 256), 255)
        best, level = -1.0, 0.0
        for split in range(1, 256):
            low, high = bins[bins < split], bins[bins >= split]
            if low.size and high.size:
                between = low.size * high.size * (low.mean() - high.mean()) ** 2
                if between > best * (1 + 1e-12):
                    best, level = between, split / 256 * M.max()
    return M, (level - 1e-7 <= M) & (M > 0)


@settings(max_examples=400, deadline=None)
@given(MAPS, RULES)
def test_equals_brute_force(values: np.ndarray, rule: RegionRule) -> None:
    found = find_regions(values, rule)
    M, kept = reference(values, rule)
    parts = flood(kept)
    if not parts:
        assert found.boxes == () and found.labels is None and not found.mask.any()
        assert found.reason == NO_EVIDENCE and math.isnan(found.level)
        return
    assert found.reason == ""
    if rule.components == "largest":
        most = max(len(part) for part in parts)
        tied = [part for part in parts if len(part) == most]
        sums = [sum(M[p] for p in part) for part in tied]
        mask = set(zip(*np.nonzero(found.mask), strict=True))
        assert mask in [part for part, total in zip(tied, sums, strict=True) if total >= max(sums) - 1e-6]
        assert len(found.boxes) == 1
    else:
        np.testing.assert_array_equal(found.mask, kept)
        assert len(found.boxes) == len(parts)
    assert [box.area for box in found.boxes] == sorted((box.area for box in found.boxes), reverse=True)
    for index, box in enumerate(found.boxes):
        part = found.labels == index + 1
        ys, xs = np.nonzero(part)
        assert box.xyxy == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert box.area == part.sum()
        inside = M[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
        assert box.score == pytest.approx(inside.mean() / M.max(), abs=1e-6)
    np.testing.assert_array_equal(found.labels > 0, found.mask)


@settings(max_examples=100, deadline=None)
@given(MAPS, RULES)
def test_the_level_is_a_raw_value(values: np.ndarray, rule: RegionRule) -> None:
    every = RegionRule(rule.rule, rule.threshold, "all", rule.normalise)
    found = find_regions(values, every)
    if found.boxes:
        assert values[found.mask].min() >= found.level - 1e-5
        outside = values[~found.mask]
        assert outside.size == 0 or outside.max() <= max(found.level, 0) + 1e-5 or found.level < values.min() + 1e-5


@settings(max_examples=100, deadline=None)
@given(MAPS, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_keeps_a_subset(values: np.ndarray, first: float, second: float) -> None:
    low, high = sorted((first, second))
    for rule in ("fraction", "percentile"):
        few, many = (low, high) if rule == "percentile" else (high, low)
        inner = find_regions(values, RegionRule(rule, few, "all")).mask
        outer = find_regions(values, RegionRule(rule, many, "all")).mask
        assert not (inner & ~outer).any()


@settings(max_examples=100, deadline=None)
@given(MAPS, RULES, st.sampled_from([1e-6, 0.5, 2.0, 1024.0, 1e6]))
def test_scale_changes_nothing_but_the_level(values: np.ndarray, rule: RegionRule, scale: float) -> None:
    plain, scaled = find_regions(values, rule), find_regions(values * np.float32(scale), rule)
    np.testing.assert_array_equal(plain.mask, scaled.mask)
    assert scaled.level == pytest.approx(plain.level * scale, rel=1e-4, nan_ok=True)


def test_twenty_percent_and_fifteen_percent() -> None:
    row = np.array([[0.1, 0.15, 0.19, 0.2, 1.0, 0.2, 0.19, 0.149]], np.float32)
    assert find_regions(row, RegionRule(threshold=0.2)).boxes[0].xyxy == (3, 0, 6, 1)
    assert find_regions(row, RegionRule(threshold=0.15)).boxes[0].xyxy == (1, 0, 7, 1)


def test_the_largest_has_most_pixels_not_the_widest_outline() -> None:
    values = np.zeros((20, 30), np.float32)
    values[1:12, 1] = values[1:12, 11] = values[1, 1:12] = values[11, 1:12] = 1  # a ring of 40 pixels around 81
    values[4:11, 20:27] = 1  # a block of 49
    found = find_regions(values, RegionRule())
    assert found.boxes[0].xyxy == (20, 4, 27, 11)
    assert [box.area for box in find_regions(values, RegionRule(components="all")).boxes] == [49, 40]


def test_of_equal_regions_the_stronger_wins() -> None:
    values = np.array([[0.5, 0.5, 0, 0.6, 1.0]], np.float32)
    assert find_regions(values, RegionRule()).boxes[0].xyxy == (3, 0, 5, 1)
    assert find_regions(values[:, ::-1].copy(), RegionRule()).boxes[0].xyxy == (0, 0, 2, 1)


def test_corners_connect() -> None:
    assert len(find_regions(np.eye(4, dtype=np.float32), RegionRule(components="all")).boxes) == 1


def test_score_of_a_flat_region_is_one() -> None:
    values = np.zeros((6, 6), np.float32)
    values[1:3, 2:5] = 0.3
    assert find_regions(values, RegionRule()).boxes[0].score == pytest.approx(1.0)


@pytest.mark.parametrize("values", [np.zeros((3, 4)), -np.ones((3, 4)), np.zeros((1, 1))])
def test_no_positive_evidence(values: np.ndarray) -> None:
    for rule in ("fraction", "percentile", "otsu"):
        found = find_regions(values.astype(np.float32), RegionRule(rule))
        assert (found.boxes, found.reason, found.labels) == ((), NO_EVIDENCE, None)
        assert found.mask.shape == values.shape and not found.mask.any()


def test_values_that_are_not_finite_are_no_evidence() -> None:
    values = np.array([[np.nan, 1.0, np.inf, 0.5, -np.inf]], np.float32)
    for normalise in ("positive", "minmax"):
        found = find_regions(values, RegionRule(threshold=0.2, components="all", normalise=normalise))
        assert not found.mask[0, [0, 2, 4]].any() and found.mask[0, 1]
    found = find_regions(np.full((2, 2), np.nan, np.float32), RegionRule())
    assert found.boxes == () and found.reason == NOT_FINITE


def test_one_pixel() -> None:
    for rule in ("fraction", "percentile", "otsu"):
        found = find_regions(np.array([[2.5]], np.float32), RegionRule(rule))
        assert found.boxes[0].xyxy == (0, 0, 1, 1) and found.boxes[0].score == 1.0


def test_tiny_values() -> None:
    values = np.array([[0, 1e-42, 4e-42, 4e-42]], np.float32)
    for rule in ("fraction", "percentile", "otsu"):
        assert find_regions(values, RegionRule(rule, 0.5)).mask[0, 3]


def test_otsu_splits_two_modes() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(1, 0.1, (40, 60)).astype(np.float32)
    values[10:30, 20:45] = rng.normal(3, 0.1, (20, 25))
    found = find_regions(values, RegionRule("otsu"))
    assert found.boxes[0].xyxy == (20, 10, 45, 30) and found.boxes[0].area == 500
    assert 1.2 < found.level < 2.8


def test_minmax_keeps_what_positive_does_not() -> None:
    values = np.array([[-1.0, -0.5, 0.1, 1.0]], np.float32)
    assert find_regions(values, RegionRule(threshold=0.2)).boxes[0].xyxy == (3, 0, 4, 1)
    found = find_regions(values, RegionRule(threshold=0.2, normalise="minmax"))
    assert found.boxes[0].xyxy == (1, 0, 4, 1)
    assert found.level == pytest.approx(-0.6)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_outside_its_range(threshold: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        find_regions(np.ones((2, 2), np.float32), RegionRule(threshold=threshold))


def test_the_map_is_left_alone() -> None:
    values = np.array([[-1.0, np.nan, 2.0]], np.float32)
    before = values.copy()
    find_regions(values, RegionRule(normalise="minmax"))
    np.testing.assert_array_equal(values, before)


def test_otsu_is_opencvs_split_of_the_bins() -> None:
    rng = np.random.default_rng(6)
    for _ in range(5):
        values = np.abs(rng.normal(0, 1, (60, 80)) + rng.choice([0.0, 2.0], (60, 80))).astype(np.float32)
        bins = np.minimum(values / values.max() * 256, 255).astype(np.uint8)
        split, _ = cv2.threshold(bins, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        found = find_regions(values, RegionRule("otsu", components="all"))
        assert found.level == pytest.approx((split + 1) / 256 * values.max(), rel=1e-6)
        np.testing.assert_array_equal(found.mask, bins > split)


def test_the_box_of_a_drawn_mask() -> None:
    values = np.array([[-1, 0, 0, 0], [0, 4, 2, 0], [0, 1, 1, 0]], np.float32)
    mask = np.zeros((3, 4), bool)
    mask[1, 1] = mask[2, 2] = True
    found = box_of(mask, values, RegionRule())
    assert found is not None
    assert (found.xyxy, found.area) == ((1, 1, 3, 3), 2)
    assert found.score == pytest.approx((4 + 2 + 1 + 1) / 4 / 4)
    stretched = box_of(mask, values, RegionRule(normalise="minmax"))
    assert stretched is not None
    assert stretched.score == pytest.approx((5 + 3 + 2 + 2) / 4 / 5)
    assert box_of(np.zeros((3, 4), bool), values, RegionRule()) is None
    nothing = box_of(mask, np.full((3, 4), np.nan, np.float32), RegionRule())
    assert nothing is not None and nothing.score == 0
