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
    away = judge(work(draw(SIZE, TRUTH), blob(SIZE, 0.1, 0.1, 0.1)), TRUTH).signs
    assert away.fit < clear.fit
    at_border = disc(SIZE, 0.0, 0.5, 0.15)
    assert judge(work(draw(SIZE, at_border)), at_border).signs.inside < clear.inside
    ragged = TRUTH.copy()
    ragged[::4] = False
    assert judge(work(draw(SIZE, TRUTH)), ragged).signs.compact < clear.compact


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
