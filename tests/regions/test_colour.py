"""The map chooses, the colour draws: on drawn pictures whose true mask is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from camviewer.regions.artefacts import dark_corners, painted_over
from camviewer.regions.measures import iou
from camviewer.regions.refine import RefinedMask, refine_mask
from camviewer.regions.rules import RegionRule

SKIN = np.array([224, 178, 158], np.float64)
PIGMENT = np.array([120, 72, 60], np.float64)


def disc(size: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    width, height = size
    v, u = np.mgrid[:height, :width]
    return (u + 0.5 - x * width) ** 2 + (v + 0.5 - y * height) ** 2 < (radius * max(size)) ** 2


def draw(size: tuple[int, int], *masks: np.ndarray) -> np.ndarray:
    """Skin with grain, and pigment in the masks with a soft edge."""
    rng = np.random.default_rng(4)
    picture = np.tile(SKIN, (size[1], size[0], 1))
    for mask in masks:
        soft = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), 0.004 * max(size))[:, :, None]
        picture = picture * (1 - soft) + PIGMENT * soft
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def blob(size: tuple[int, int], x: float, y: float, spread: float = 0.15) -> np.ndarray:
    """A broad map, as coarse as that of a network."""
    width, height = size
    v, u = np.mgrid[:height, :width]
    far = ((u + 0.5) / width - x) ** 2 + ((v + 0.5) / height - y) ** 2
    return np.exp(-far / (2 * spread**2)).astype(np.float32)


def refined(picture: np.ndarray, values: np.ndarray, **parameters: float) -> RefinedMask:
    return refine_mask(picture, values, RegionRule(refine="colour", refine_parameters=parameters))


@pytest.mark.parametrize("size", [(200, 150), (640, 480), (767, 576), (321, 499)])
def test_the_edge_is_the_colours(size: tuple[int, int]) -> None:
    truth = disc(size, 0.45, 0.55, 0.17)
    mask = refined(draw(size, truth), blob(size, 0.52, 0.48), grow=0)
    assert iou(mask.pixels, truth) > 0.92
    assert iou(refine_mask(draw(size, truth), blob(size, 0.52, 0.48), RegionRule()).pixels, truth) < 0.6


@pytest.mark.parametrize("which", [0, 1])
def test_the_map_chooses(which: int) -> None:
    size = (600, 450)
    places = [(0.3, 0.4), (0.72, 0.6)]
    spots = [disc(size, *place, 0.1) for place in places]
    mask = refined(draw(size, *spots), blob(size, *places[which]), grow=0)
    assert iou(mask.pixels, spots[which]) > 0.9
    assert not (mask.pixels & spots[1 - which]).any()


def test_dark_corners_are_not_the_lesion() -> None:
    size = (600, 450)
    truth = disc(size, 0.5, 0.5, 0.12)
    picture = draw(size, truth)
    frame = ~disc(size, 0.5, 0.5, 0.46)
    picture[frame] = 8
    assert dark_corners(picture)[frame].mean() > 0.99
    assert not dark_corners(picture)[truth].any()
    assert iou(refined(picture, blob(size, 0.5, 0.5, 0.4), grow=0).pixels, truth) > 0.85
    assert not dark_corners(draw(size, truth)).any()


def test_hair_is_painted_over() -> None:
    size = (600, 450)
    truth = disc(size, 0.5, 0.5, 0.15)
    clean = draw(size, truth)
    hairy = clean.copy()
    for x in range(20, 600, 60):
        cv2.line(hairy, (x, 0), (x + 80, 449), (40, 30, 30), 3, cv2.LINE_AA)
    before = np.abs(hairy.astype(int) - clean).mean()
    assert np.abs(painted_over(hairy).astype(int) - clean).mean() < 0.4 * before
    assert iou(refined(hairy, blob(size, 0.5, 0.5), grow=0).pixels, truth) > 0.88


def test_a_lesion_at_the_border() -> None:
    size = (600, 450)
    truth = disc(size, 0.02, 0.5, 0.2)
    assert iou(refined(draw(size, truth), blob(size, 0.1, 0.5), grow=0).pixels, truth) > 0.88


def test_one_region_without_holes() -> None:
    size = (600, 450)
    ring = disc(size, 0.5, 0.5, 0.18) & ~disc(size, 0.5, 0.5, 0.06)
    mask = refined(draw(size, ring), blob(size, 0.5, 0.5)).pixels
    assert cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] == 2
    assert cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)[0] == 2
    assert mask[225, 300]


def test_grow_widens_by_its_share_of_the_longer_side() -> None:
    size = (600, 450)
    picture, values = draw(size, disc(size, 0.5, 0.5, 0.15)), blob(size, 0.5, 0.5)
    small, large = (refined(picture, values, grow=grow).pixels for grow in (0.0, 2.0))
    assert not (small & ~large).any()
    radii = [np.sqrt(mask.sum() / np.pi) for mask in (small, large)]
    assert radii[1] - radii[0] == pytest.approx(0.02 * 600, abs=2.5)


def test_a_flat_picture_has_no_mask_but_a_reason() -> None:
    picture = np.full((90, 120, 3), 180, np.uint8)
    mask = refined(picture, blob((120, 90), 0.5, 0.5))
    assert not mask.pixels.any()
    assert mask.reason


def test_the_same_twice() -> None:
    size = (300, 200)
    picture, values = draw(size, disc(size, 0.4, 0.5, 0.2)), blob(size, 0.4, 0.5)
    np.testing.assert_array_equal(refined(picture, values).pixels, refined(picture, values).pixels)
