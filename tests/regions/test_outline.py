"""What is measured of an outline, and what evidence a map gives."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_skin import blob, disc, draw

from camviewer.regions.channels import CHANNELS, channels, even_background
from camviewer.regions.consensus import Candidates, agreement, support
from camviewer.regions.find import find_regions
from camviewer.regions.outline import trace
from camviewer.regions.rules import RegionRule
from camviewer.regions.shapes import frame
from camviewer.regions.work import ANYWHERE, Work

SIZE = (256, 192)


def work(picture: np.ndarray, values: np.ndarray) -> Work:
    rule = RegionRule()
    return Work(picture, values, find_regions(values, rule), rule)


def test_a_disc_on_an_even_ground() -> None:
    lab = np.zeros((192, 256, 3), np.float32)
    mask = disc(SIZE, 0.5, 0.5, 0.2)
    lab[mask] = (-30, 0, 0)
    found = trace(mask, frame(mask.shape), np.ones_like(mask), lab)
    assert found.border == 0
    assert found.compact > 0.85
    assert found.contrast == pytest.approx(30 / 40, abs=0.02)
    z = 30 / np.sqrt(2)  # no variance around but the one that is granted
    assert found.distinct == pytest.approx(z / (z + 3), abs=0.02)


def test_a_restless_ground_makes_an_outline_less_distinct() -> None:
    rng = np.random.default_rng(0)
    lab = np.zeros((192, 256, 3), np.float32)
    mask = disc(SIZE, 0.5, 0.5, 0.2)
    lab[mask] = (-30, 0, 0)
    even = trace(mask, frame(mask.shape), np.ones_like(mask), lab)
    lab[~mask, 0] += rng.normal(0, 15, int((~mask).sum()))
    restless = trace(mask, frame(mask.shape), np.ones_like(mask), lab)
    assert restless.distinct < 0.6 * even.distinct


def test_what_leaves_the_frame_or_lies_in_the_dark() -> None:
    lab = np.zeros((192, 256, 3), np.float32)
    half = np.zeros((192, 256), bool)
    half[:, :100] = True
    found = trace(half, frame(half.shape), np.ones_like(half), lab)
    assert found.border == pytest.approx((100 + 100 + 190) / (100 + 100 + 190 + 190), abs=0.01)
    assert trace(half, frame(half.shape), np.zeros_like(half), lab).contrast == 0
    dot = np.zeros((192, 256), bool)
    dot[5, 5] = True
    assert 0 <= trace(dot, frame(dot.shape), np.ones_like(dot), lab).compact <= 1


def test_a_ring_is_evidence_for_what_it_surrounds() -> None:
    outer, inner = disc(SIZE, 0.6, 0.5, 0.3), disc(SIZE, 0.6, 0.5, 0.2)
    ring = (outer & ~inner).astype(np.float32)
    evidence = work(draw(SIZE, inner), ring).evidence
    assert evidence[96, 153] > 0.6  # where the map itself is 0
    assert evidence.min() >= ANYWHERE - 1e-6 and evidence.max() <= 1 + 1e-6
    assert evidence[10, 10] < 0.3


def test_uneven_light_is_taken_out_of_the_last_channel() -> None:
    lesion = disc(SIZE, 0.35, 0.5, 0.12)
    fall = np.linspace(1.0, 0.75, SIZE[0])[None, :, None]
    picture = np.clip(draw(SIZE, lesion) * fall, 0, 255).astype(np.uint8)
    prepared = work(picture, blob(SIZE, 0.35, 0.5))
    found = channels(prepared)
    assert tuple(found) == CHANNELS
    skin = ~disc(SIZE, 0.35, 0.5, 0.2)
    assert found["even distance"][skin].mean() < 0.6 * found["distance"][skin].mean()
    assert even_background(prepared)


def test_support_counts_each_cut_once() -> None:
    overlap = np.array([[1.0, 0.2, 0.6], [0.2, 1.0, 0.1], [0.6, 0.1, 1.0]])
    cut = np.array([0, 0, 1])
    np.testing.assert_allclose(support(overlap, cut), [(1 + 0.6) / 2, (1 + 0.1) / 2, (0.6 + 1) / 2])
    masks = np.zeros((3, 2, 2), bool)
    masks[0, 0], masks[1, 1], masks[2] = True, True, True
    found = Candidates(masks, cut, overlap, np.ones(3), np.ones(3), np.ones(3, bool))
    assert agreement(found, masks[0]) == pytest.approx((1 + 0.5) / 2)
