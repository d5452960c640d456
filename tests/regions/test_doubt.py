"""Doubt: every sign turns the right way, and the three-valued mask leaves the edge open."""

from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from drawn_skin import blob, disc, draw

from camviewer.regions.doubt import ONE_TONE, SEVERAL_TONES, Fit, Signs, judge, three_valued, uncertain
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
    fit = ONE_TONE
    evidence = sum(w * s for w, s in zip(astuple(fit.weights), astuple(found.signs), strict=True))
    assert found.score == pytest.approx(1 / (1 + np.exp(evidence - fit.offset)))


@pytest.mark.parametrize("fit", [ONE_TONE, SEVERAL_TONES])
def test_no_sign_speaks_against_a_mask_by_being_better(fit: Fit) -> None:
    assert min(astuple(fit.weights)) >= 0
    assert fit.doubt(Signs(*[0.0] * 4)) > 0.8
    assert fit.doubt(Signs(*[1.0] * 4)) < 0.25


def test_wrong_masks_are_doubted_more() -> None:
    picture = draw(SIZE, TRUTH)
    right = judge(work(picture), TRUTH).score
    assert judge(work(picture), disc(SIZE, 0.15, 0.2, 0.1)).score > 0.5 > right
    assert judge(work(picture), np.ones_like(TRUTH)).score > 0.5
    assert judge(work(picture), np.zeros_like(TRUTH)).score == 1


def test_each_sign_turns_the_right_way() -> None:
    prepared = work(draw(SIZE, TRUTH))
    clear = judge(prepared, TRUTH)
    ragged, half = TRUTH.copy(), TRUTH & (np.arange(SIZE[0]) < 0.5 * SIZE[0])
    ragged[::4] = False
    assert judge(prepared, ragged).signs.compact < clear.signs.compact
    assert judge(prepared, half).signs.agreement < clear.signs.agreement
    assert judge(prepared, half).score > clear.score


def patchwork() -> tuple[np.ndarray, np.ndarray]:
    """A light thing on patches of many colours, and a map on all of it."""
    patches = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    picture = cv2.resize(patches, SIZE, interpolation=cv2.INTER_NEAREST)
    picture[TRUTH] = (235, 235, 240)
    return picture, blob(SIZE, 0.5, 0.5, 0.1)


def test_among_many_tones_a_mask_is_doubted_that_leaves_out_what_the_map_points_at() -> None:
    """Or holds no more of it than its size would by chance; outlines of colour say nothing there."""
    prepared = work(*patchwork())
    whole, part = judge(prepared, TRUTH), judge(prepared, TRUTH & (np.arange(SIZE[0]) < 0.42 * SIZE[0]))
    beside, everything = judge(prepared, disc(SIZE, 0.1, 0.2, 0.1)), judge(prepared, np.ones_like(TRUTH))
    assert whole.score < 0.35 < part.score < beside.score
    assert everything.score > 0.8
    assert whole.score == pytest.approx(SEVERAL_TONES.doubt(whole.signs))
    assert whole.signs.held > part.signs.held > beside.signs.held


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
