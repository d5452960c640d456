"""Doubt: every sign turns the right way, and the three-valued mask leaves the edge open."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from drawn_skin import blob, disc, draw

from camviewer.regions.doubt import OFFSET, WEIGHTS, judge, three_valued, uncertain
from camviewer.regions.find import find_regions
from camviewer.regions.refine import refine_mask
from camviewer.regions.rules import RegionRule
from camviewer.regions.work import Work

SIZE = (320, 240)
RULE = RegionRule(refine="auto")
TRUTH = disc(SIZE, 0.5, 0.5, 0.15)


def work(picture: np.ndarray, values: np.ndarray | None = None) -> Work:
    values = blob(SIZE, 0.5, 0.5) if values is None else values
    return Work(picture, values, find_regions(values, RULE), RULE)


def test_a_clear_lesion_is_not_doubted() -> None:
    found = judge(work(draw(SIZE, TRUTH)), TRUTH)
    assert found.score < 0.05
    assert all(0 <= sign <= 1 for sign in astuple(found.signs))


def test_the_score_is_the_logistic_of_the_signs() -> None:
    found = judge(work(draw(SIZE, TRUTH)), disc(SIZE, 0.4, 0.5, 0.1))
    evidence = sum(w * s for w, s in zip(astuple(WEIGHTS), astuple(found.signs), strict=True))
    assert found.score == pytest.approx(1 / (1 + np.exp(evidence - OFFSET)))


def test_wrong_masks_are_doubted_more() -> None:
    picture = draw(SIZE, TRUTH)
    right = judge(work(picture), TRUTH).score
    assert judge(work(picture), disc(SIZE, 0.15, 0.2, 0.1)).score > 0.5 > right
    assert judge(work(picture), np.ones_like(TRUTH)).score > 0.5
    assert judge(work(picture), np.zeros_like(TRUTH)).score == 1


def test_each_sign_turns_the_right_way() -> None:
    clear = judge(work(draw(SIZE, TRUTH)), TRUTH).signs
    faint = judge(work(draw(SIZE, TRUTH, pigment=(216, 170, 150))), TRUTH).signs
    assert faint.contrast < clear.contrast
    assert faint.separability < clear.separability
    at_border = disc(SIZE, 0.0, 0.5, 0.15)
    assert judge(work(draw(SIZE, at_border)), at_border).signs.inside < clear.inside
    ragged = TRUTH.copy()
    ragged[::4] = False
    assert judge(work(draw(SIZE, TRUTH)), ragged).signs.compact < clear.compact


def test_a_mask_is_doubted_where_another_outline_is_as_good() -> None:
    left, right = disc(SIZE, 0.25, 0.5, 0.12), disc(SIZE, 0.75, 0.5, 0.12)
    both = draw(SIZE, left | right)
    on_left, even = blob(SIZE, 0.25, 0.5, 0.1), np.ones_like(both[:, :, 0], dtype=np.float32)
    alone = judge(work(draw(SIZE, left), on_left), left)
    meant, rivalled, wrong = (
        judge(work(both, on_left), left),
        judge(work(both, even), left),
        judge(work(both, on_left), right),
    )
    assert alone.signs.unrivalled == 1
    assert alone.score < meant.score < rivalled.score < wrong.score
    assert rivalled.signs.unrivalled == pytest.approx(0.5, abs=0.02)


def test_what_is_outside_of_a_window_is_a_rival_too() -> None:
    left, right = disc(SIZE, 0.25, 0.5, 0.12), disc(SIZE, 0.75, 0.5, 0.12)
    picture, even = draw(SIZE, left | right), np.ones(SIZE[::-1], dtype=np.float32)
    half = np.s_[:, : SIZE[0] // 2]
    window = work(np.ascontiguousarray(picture[half]), np.ascontiguousarray(even[half]))
    within = judge(window, np.ascontiguousarray(left[half]), (work(picture, even), left))
    assert judge(window, np.ascontiguousarray(left[half])).signs.unrivalled == 1
    assert within.signs.unrivalled == pytest.approx(0.5, abs=0.02)


def test_three_values() -> None:
    picture = draw(SIZE, TRUTH)
    prepared = work(picture)
    mask = refine_mask(picture, prepared.values, RULE).pixels
    values = three_valued(mask, uncertain(prepared), 3)
    assert set(np.unique(values)) <= {0, 3, 255}
    centre, corner = disc(SIZE, 0.5, 0.5, 0.1), ~disc(SIZE, 0.5, 0.5, 0.25)
    assert (values[centre] == 3).all()
    assert (values[corner] == 0).all()
    open_part = values == 255
    assert 0 < open_part.mean() < 0.1
    assert set(np.unique(three_valued(mask, None, 3))) == {0, 3}


@pytest.mark.parametrize("value", [0, 255])
def test_a_class_cannot_have_the_value_of_something_else(value: int) -> None:
    with pytest.raises(ValueError, match="class value"):
        three_valued(TRUTH, None, value)
