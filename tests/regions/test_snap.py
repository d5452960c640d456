"""A rough mask finds the edge of the colours."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.regions.measures import iou
from camviewer.regions.snap import snap_to_colours


def scene(side: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:side, 0:side] + 0.5
    truth = ((x - side * 0.55) / (side * 0.25)) ** 2 + ((y - side * 0.45) / (side * 0.18)) ** 2 <= 1
    picture = np.where(truth[..., None], (110.0, 70.0, 60.0), (215.0, 175.0, 165.0)) + rng.normal(0, 8, (side, side, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("side", [120, 300, 900])
def test_a_rough_mask_finds_the_edge(side: int) -> None:
    picture, truth = scene(side)
    rough = np.roll(truth, (round(0.03 * side), -round(0.03 * side)), (0, 1))
    snapped = snap_to_colours(picture, rough)
    assert iou(rough, truth) < 0.85
    assert iou(snapped, truth) > 0.96
    assert (snapped == snap_to_colours(picture, rough)).all()


def test_what_is_far_away_stays_out() -> None:
    picture, truth = scene()
    picture[240:290, 10:60] = (110, 70, 60)
    snapped = snap_to_colours(picture, truth)
    assert not snapped[240:290, 10:60].any()


def test_the_peak_of_a_map_is_kept() -> None:
    picture, truth = scene()
    # A light spot at the lesion's edge that only the map speaks for.
    values = np.zeros(truth.shape, np.float32)
    values[100:110, 222:230] = 5
    rough = truth.copy()
    without, with_map = snap_to_colours(picture, rough), snap_to_colours(picture, rough, values=values)
    assert with_map[102:108, 223:229].all()
    assert not without[102:108, 226:229].all()


def test_nothing_and_everything_stay() -> None:
    picture, truth = scene(60)
    assert not snap_to_colours(picture, np.zeros_like(truth)).any()
    assert snap_to_colours(picture, np.ones_like(truth)).all()
    flat = np.full_like(picture, 128)
    assert snap_to_colours(flat, truth).any()
    with pytest.raises(ValueError, match="differ"):
        snap_to_colours(picture, truth[:-1])


@pytest.mark.parametrize("shape", [(1, 40), (3, 3)])
def test_thin_masks_survive(shape) -> None:
    picture, _ = scene(80)
    mask = np.zeros((80, 80), bool)
    mask[30 : 30 + shape[0], 20 : 20 + shape[1]] = True
    assert snap_to_colours(picture, mask).any()
