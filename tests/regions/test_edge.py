"""How far out an edge ends, on discs whose softness is known."""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
import pytest
from drawn_skin import PIGMENT, SKIN, disc

from camviewer.regions.edge import LEVEL, moved_out, widening
from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule
from camviewer.regions.work import Work

SIZE = (256, 192)
TRUTH = disc(SIZE, 0.5, 0.5, 0.15)


def soft(sigma: float, mask: np.ndarray = TRUTH) -> Work:
    """A disc of pigment whose edge is a Gaussian step of deviation `sigma`."""
    share = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), sigma)[:, :, None]
    picture = np.rint(np.array(SKIN) * (1 - share) + np.array(PIGMENT) * share).astype(np.uint8)
    flat = np.ones(TRUTH.shape, np.float32)
    return Work(picture, flat, find_regions(flat, RegionRule()), RegionRule())


@pytest.mark.parametrize("sigma", [3.0, 6.0, 9.0])
def test_a_soft_edge_ends_further_out(sigma: float) -> None:
    """As far beyond its middle as a Gaussian step takes to fall."""
    assert widening(soft(sigma), TRUTH) == pytest.approx(NormalDist().inv_cdf(1 - LEVEL) * sigma, abs=1.2)


@pytest.mark.parametrize("sigma", [0.01, 0.5])
def test_a_hard_edge_stays_where_it_is(sigma: float) -> None:
    assert widening(soft(sigma), TRUTH) == 0


def test_what_a_mask_lacks_is_added_and_nothing_is_taken() -> None:
    work = soft(3.0)
    right, small, large = (widening(work, disc(SIZE, 0.5, 0.5, radius)) for radius in (0.15, 0.13, 0.18))
    assert small - right == pytest.approx(0.02 * SIZE[0], abs=1)
    assert large == 0
    assert not (disc(SIZE, 0.5, 0.5, 0.13) & ~moved_out(work, disc(SIZE, 0.5, 0.5, 0.13))).any()


def test_what_is_left_out_is_not_grown_over() -> None:
    work, small = soft(3.0), disc(SIZE, 0.5, 0.5, 0.13)
    beside = np.zeros_like(TRUTH)
    beside[:, int(np.flatnonzero(small.any(axis=0))[-1]) + 2 :] = True
    vars(work)["excluded"] = beside  # as ink that lies there
    wide = moved_out(work, small)
    assert wide[:, : SIZE[0] // 2].sum() > small[:, : SIZE[0] // 2].sum()
    assert not (wide & beside).any()


def test_without_a_profile_it_is_the_usual_width() -> None:
    assert widening(soft(0.5), np.ones_like(TRUTH)) == 2  # the outline is the frame
    plain = soft(0.5, np.zeros_like(TRUTH))
    assert widening(plain, TRUTH) == 2  # no step of colour
    assert widening(soft(0.5), disc(SIZE, 0.5, 0.5, 0.004)) == 2  # a few pixels


def test_a_larger_picture_gives_the_same_share() -> None:
    large = (1024, 768)
    share = cv2.GaussianBlur(disc(large, 0.5, 0.5, 0.15).astype(np.float64), (0, 0), 36)[:, :, None]
    picture = np.rint(np.array(SKIN) * (1 - share) + np.array(PIGMENT) * share).astype(np.uint8)
    flat = np.ones(share.shape[:2], np.float32)
    work = Work(picture, flat, find_regions(flat, RegionRule()), RegionRule())
    assert widening(work, TRUTH) == pytest.approx(widening(soft(9.0), TRUTH), abs=1)
