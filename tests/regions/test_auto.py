"""The default refinement and the seeded ones on drawn pictures whose true mask is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_skin import blob, disc, draw

from camviewer.regions.measures import dice, iou
from camviewer.regions.refine import RefinedMask, refine_mask
from camviewer.regions.rules import RegionRule

SMALL = (320, 240)


def auto(picture: np.ndarray, values: np.ndarray, components: str = "largest", **parameters: float) -> RefinedMask:
    rule = RegionRule(refine="auto", components=components, refine_parameters=parameters)
    return refine_mask(picture, values, rule, judge=True)


@pytest.mark.parametrize("size", [(200, 150), (640, 480), (767, 576), (321, 499), (151, 97)])
def test_the_edge_is_the_colours_at_any_size(size) -> None:
    truth = disc(size, 0.45, 0.55, 0.17)
    found = auto(draw(size, truth), blob(size, 0.52, 0.48), grow=0)
    assert iou(found.pixels, truth) > 0.9
    assert found.doubt < 0.1
    assert found.refine == "outlines"


def test_twelve_megapixels() -> None:
    size = (4000, 3000)
    small = (400, 300)
    truth = disc(size, 0.6, 0.4, 0.15)
    picture = cv2.resize(draw(small, disc(small, 0.6, 0.4, 0.15)), size, interpolation=cv2.INTER_CUBIC)
    values = cv2.resize(blob(small, 0.6, 0.4), size)
    assert iou(auto(picture, values, grow=0).pixels, truth) > 0.9


def test_a_grey_picture() -> None:
    truth = disc(SMALL, 0.5, 0.5, 0.15)
    grey = cv2.cvtColor(draw(SMALL, truth), cv2.COLOR_RGB2GRAY)
    assert iou(auto(np.repeat(grey[:, :, None], 3, axis=2), blob(SMALL, 0.5, 0.5), grow=0).pixels, truth) > 0.9


@pytest.mark.parametrize("place", [(0.04, 0.5), (0.5, 0.03), (0.97, 0.96)])
def test_a_lesion_at_the_border(place) -> None:
    truth = disc(SMALL, *place, 0.2)
    assert iou(auto(draw(SMALL, truth), blob(SMALL, *place), grow=0).pixels, truth) > 0.85


@pytest.mark.parametrize("which", [0, 1])
def test_the_map_chooses(which) -> None:
    places = [(0.25, 0.3), (0.75, 0.65)]
    spots = [disc(SMALL, *place, 0.1) for place in places]
    found = auto(draw(SMALL, *spots), blob(SMALL, *places[which]), grow=0).pixels
    assert iou(found, spots[which]) > 0.9
    assert not (found & spots[1 - which]).any()


@pytest.mark.parametrize("faint", [False, True])
def test_a_map_overrules_no_outline_that_is_clearly_better(faint) -> None:
    """On skin of one tone the map decides among outlines that are about as good, and is itself doubted elsewhere."""
    lesion, other = disc(SMALL, 0.3, 0.5, 0.12), disc(SMALL, 0.75, 0.5, 0.12)
    shade = (180, 135, 118) if faint else (150, 105, 90)
    picture = np.where(other[:, :, None], draw(SMALL, other, pigment=shade), draw(SMALL, lesion))
    found = auto(picture, blob(SMALL, 0.75, 0.5, 0.08))
    assert iou(found.pixels, lesion if faint else other) > 0.9


def test_shade_that_leans_on_the_frame_overrules_no_map() -> None:
    lesion, shade = disc(SMALL, 0.3, 0.4, 0.07), disc(SMALL, 1.0, 0.8, 0.45)
    picture = draw(SMALL, shade, pigment=(150, 105, 90))
    picture = np.where(lesion[:, :, None], draw(SMALL, lesion, pigment=(165, 120, 104)), picture)
    assert iou(auto(picture, blob(SMALL, 0.3, 0.4, 0.08)).pixels, lesion) > 0.9


def test_two_lesions_on_request() -> None:
    places = [(0.25, 0.35), (0.75, 0.6)]
    spots = [disc(SMALL, *place, 0.1) for place in places]
    values = blob(SMALL, *places[0]) + 0.7 * blob(SMALL, *places[1])
    picture = draw(SMALL, *spots)
    assert iou(auto(picture, values, "all", grow=0).pixels, spots[0] | spots[1]) > 0.9
    assert iou(auto(picture, values, grow=0).pixels, spots[0]) > 0.9


def test_one_lesion_stays_one_on_request() -> None:
    truth = disc(SMALL, 0.5, 0.5, 0.15)
    assert iou(auto(draw(SMALL, truth), blob(SMALL, 0.5, 0.5, 0.3), "all", grow=0).pixels, truth) > 0.9


def test_no_lesion_is_an_empty_mask_with_a_reason() -> None:
    for picture in (draw(SMALL), np.full((240, 320, 3), 180, np.uint8), np.zeros((240, 320, 3), np.uint8)):
        found = auto(picture, blob(SMALL, 0.5, 0.5))
        assert not found.pixels.any()
        assert found.reason == "nothing stands out where the map is high"
        assert found.doubt == 1


def test_mottled_skin_is_no_lesion() -> None:
    """Clouds of up to 4 in Lab, as bare skin has: a threshold always finds the darkest."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(240, 320)), (0, 0), 12)
    clouds = 6 * noise / noise.std()
    picture = np.clip(draw(SMALL) + clouds[:, :, None], 0, 255).astype(np.uint8)
    found = auto(picture, blob(SMALL, 0.5, 0.5))
    assert (found.pixels.any(), found.reason) == (False, "nothing stands out where the map is high")
    spot = disc(SMALL, 0.5, 0.5, 0.12)
    assert (
        iou(auto(np.where(spot[:, :, None], picture - np.uint8(40), picture), blob(SMALL, 0.5, 0.5)).pixels, spot) > 0.8
    )


def two_skins() -> tuple[np.ndarray, list[np.ndarray]]:
    """Skin in two lights, a lesion in each: the background has no single tone."""
    spots = [disc(SMALL, 0.3, 0.4, 0.12), disc(SMALL, 0.8, 0.6, 0.12)]
    warm = draw(SMALL, spots[0], skin=(244, 214, 206), pigment=(210, 160, 150))
    cold = draw(SMALL, spots[1], skin=(180, 190, 206), pigment=(90, 80, 100))
    return np.where(np.arange(SMALL[0])[None, :, None] < 0.6 * SMALL[0], warm, cold), spots


@pytest.mark.parametrize("which", [0, 1])
def test_among_several_tones_the_surroundings_of_what_is_meant_count(which) -> None:
    picture, spots = two_skins()
    values = blob(SMALL, *[(0.3, 0.4), (0.8, 0.6)][which], 0.08)
    found = auto(picture, values, grow=0)
    assert iou(found.pixels, spots[which]) > 0.95
    assert found.doubt < 0.3  # never sure there: only the map says which is meant


def test_a_map_on_a_part_of_a_large_lesion_is_looked_around_further() -> None:
    picture, _ = two_skins()
    large = disc(SMALL, 0.72, 0.5, 0.27)
    picture[large] = (60, 30, 25)
    rule = RegionRule(refine="outlines", refine_parameters={"grow": 0})
    assert iou(refine_mask(picture, blob(SMALL, 0.8, 0.5, 0.02), rule).pixels, large) > 0.95


def test_it_follows_a_shift_of_the_picture() -> None:
    """No place is preferred: picture and map moved together give the moved mask."""
    truth = disc((600, 450), 0.5, 0.5, 0.1)
    picture, values = draw((600, 450), truth), blob((600, 450), 0.5, 0.5, 0.08)
    masks = []
    for left, top in ((140, 105), (250, 190), (60, 40)):
        window = np.s_[top : top + 240, left : left + 320]
        masks.append((auto(picture[window], values[window]).pixels, truth[window]))
    for mask, part in masks:
        assert dice(mask, part) > 0.93


def test_stickers_and_dark_corners_are_left_out() -> None:
    truth = disc(SMALL, 0.42, 0.5, 0.12)
    picture = draw(SMALL, truth)
    sticker = disc(SMALL, 1.0, 0.4, 0.2)
    picture[sticker] = (60, 190, 200)
    picture[~disc(SMALL, 0.5, 0.5, 0.53)] = 6
    found = auto(picture, blob(SMALL, 0.55, 0.5, 0.35), grow=0).pixels
    assert iou(found, truth) > 0.85
    assert not (found & sticker).any()


def test_grow_widens_by_its_share_of_the_longer_side() -> None:
    picture, values = draw((640, 480), disc((640, 480), 0.5, 0.5, 0.15)), blob((640, 480), 0.5, 0.5)
    small, large = (auto(picture, values, grow=grow).pixels for grow in (0.0, 2.0))
    assert not (small & ~large).any()
    radii = [np.sqrt(mask.sum() / np.pi) for mask in (small, large)]
    assert radii[1] - radii[0] == pytest.approx(0.02 * 640, abs=3)


@pytest.mark.parametrize("name", ["grabcut", "watershed"])
def test_seeded_by_the_map(name) -> None:
    """A bright green thing on dark grey: no dermoscopy at all."""
    truth = disc(SMALL, 0.6, 0.45, 0.18)
    picture = draw(SMALL, truth, skin=(60, 62, 66), pigment=(90, 200, 80))
    values = blob(SMALL, 0.58, 0.48, 0.12)
    found = refine_mask(picture, values, RegionRule(refine=name))
    assert iou(found.pixels, truth) > 0.85
    assert iou(refine_mask(picture, values, RegionRule()).pixels, truth) < 0.8


def test_a_photograph_is_cut_out_from_the_map() -> None:
    """A background of many colours has no level at which colours part."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (6, 8, 3), np.uint8)
    picture = cv2.resize(patches, SMALL, interpolation=cv2.INTER_NEAREST)
    truth = disc(SMALL, 0.55, 0.5, 0.2)
    picture[truth] = (235, 235, 240)
    found = auto(picture, blob(SMALL, 0.55, 0.5, 0.13))
    assert found.refine == "grabcut"
    assert iou(found.pixels, truth) > 0.8


@pytest.mark.parametrize("name", ["auto", "outlines", "grabcut", "watershed"])
def test_the_same_twice(name) -> None:
    picture, values = draw(SMALL, disc(SMALL, 0.4, 0.5, 0.2)), blob(SMALL, 0.4, 0.5)
    rule = RegionRule(refine=name)
    np.testing.assert_array_equal(refine_mask(picture, values, rule).pixels, refine_mask(picture, values, rule).pixels)
