"""Overlap measures against hand-computed examples and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from camviewer.regions.measures import box_area, box_iou, dice, iou, mask_box, thresholded_jaccard

PAIRS = arrays.arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)))
SPANS = st.tuples(st.integers(0, 6), st.integers(1, 5))


def test_by_hand() -> None:
    first = np.zeros((4, 6), bool)
    second = np.zeros((4, 6), bool)
    first[1:3, 1:4] = True  # 6 pixels
    second[1:3, 2:6] = True  # 8 pixels, 4 shared
    assert iou(first, second) == pytest.approx(4 / 10)
    assert dice(first, second) == pytest.approx(8 / 14)
    assert box_iou((1, 1, 4, 3), (2, 1, 6, 3)) == pytest.approx(0.4)
    assert mask_box(first) == (1, 1, 4, 3)


def test_empty() -> None:
    empty, full = np.zeros((2, 3), bool), np.ones((2, 3), bool)
    assert (iou(empty, empty), dice(empty, empty)) == (1.0, 1.0)
    assert (iou(empty, full), dice(empty, full)) == (0.0, 0.0)
    assert mask_box(empty) is None
    assert box_iou((1, 1, 1, 1), (1, 1, 1, 1)) == 0.0
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0.0  # half-open: neighbours do not overlap
    assert box_area((3, 3, 1, 1)) == 0.0


def test_thresholded_jaccard() -> None:
    assert [thresholded_jaccard(v) for v in (0.0, 0.649, 0.65, 1.0)] == [0.0, 0.0, 0.65, 1.0]


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="masks of"):
        iou(np.zeros((2, 3), bool), np.zeros((3, 2), bool))


@given(PAIRS)
def test_laws(pair: np.ndarray) -> None:
    first, second = pair
    j, d = iou(first, second), dice(first, second)
    assert d == pytest.approx(2 * j / (1 + j))
    assert (j, d) == (iou(second, first), dice(second, first))
    assert iou(first, first) == 1.0


@given(SPANS, SPANS, SPANS, SPANS)
def test_boxes_agree_with_masks(x: tuple, y: tuple, u: tuple, v: tuple) -> None:
    boxes = [(a[0], b[0], a[0] + a[1], b[0] + b[1]) for a, b in ((x, y), (u, v))]
    masks = np.zeros((2, 12, 12), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
        assert mask_box(mask) == (x0, y0, x1, y1)
    assert box_iou(*boxes) == pytest.approx(iou(*masks))
