"""Strokes, polygons and tidying against definitions written out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camviewer.regions import drawing
from camviewer.regions.drawing import Stroke

SIZE = (40, 30)
places = st.tuples(st.floats(-20, 60), st.floats(-20, 50))


def whole(window, part) -> np.ndarray:
    result = np.zeros((SIZE[1], SIZE[0]), bool)
    x0, y0, x1, y1 = window
    result[y0:y1, x0:x1] = part
    return result


def distance_to(start, end) -> np.ndarray:
    """Distance of each pixel's centre from a segment, by the formula."""
    result = np.empty((SIZE[1], SIZE[0]))
    a, b = np.array(start), np.array(end)
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            p = np.array([x + 0.5, y + 0.5])
            t = 0.0 if (a == b).all() else float(np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1))
            result[y, x] = np.linalg.norm(p - (a + t * (b - a)))
    return result


def painted(stroke: Stroke) -> np.ndarray:
    return drawing.patched(np.zeros(stroke.raster.shape, bool), stroke.covered())


@settings(max_examples=40, deadline=None)
@given(places, places, st.floats(0.5, 12))
def test_a_capsule_holds_the_centres_within_its_radius(start, end, radius) -> None:
    found = whole(*drawing.capsule(start, end, radius, SIZE))
    distance = distance_to(start, end)
    sure = np.abs(distance - radius) > 1e-6
    assert (found == (distance <= radius))[sure].all()


@pytest.mark.parametrize("diameter", [1, 2, 3, 8, 25])
def test_a_dab_is_as_wide_as_its_diameter(diameter: int) -> None:
    stroke = Stroke((80, 80), diameter)
    stroke.to(40.3, 40.7)
    assert painted(stroke).any(axis=0).sum() == diameter
    assert painted(stroke).any(axis=1).sum() == diameter


def test_a_fast_stroke_has_no_gaps_and_is_one_pixel_thin() -> None:
    stroke = Stroke((80, 80), 1)
    stroke.to(3, 70)
    stroke.to(77, 5)
    covered = painted(stroke)
    assert (drawing.keep_largest(covered) == covered).all()
    assert covered[:, 3:78].any(axis=0).all()
    assert covered.sum() < 2 * 75


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=1, max_size=8), st.integers(1, 15))
def test_the_window_of_a_stroke_holds_all_of_it(way, diameter) -> None:
    stroke = Stroke(SIZE, diameter)
    dirty = np.zeros((SIZE[1], SIZE[0]), bool)
    for x, y in way:
        before = stroke.raster.copy()
        window = stroke.to(x, y)
        if window is not None:
            dirty |= whole(window, True)
            assert (whole(window, True) | (before == stroke.raster)).all()
        else:
            assert (before == stroke.raster).all()
    assert not (stroke.raster.astype(bool) & ~dirty).any()
    assert (painted(stroke) == stroke.raster.astype(bool)).all()


def test_a_stroke_stays_where_it_is_allowed() -> None:
    ground = np.zeros((SIZE[1], SIZE[0]), bool)
    ground[:, 20:] = True
    stroke = Stroke(SIZE, 9, allowed=lambda w: ground[w[1] : w[3], w[0] : w[2]])
    assert stroke.to(5, 10) is None
    stroke.to(35, 10)
    assert stroke.raster.any()
    assert not stroke.raster[~ground].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=3, max_size=7))
def test_a_polygon_holds_the_centres_it_winds_around(corners) -> None:
    found = whole(*drawing.polygon(corners, SIZE))
    points = np.array(corners)
    for y in range(0, SIZE[1], 3):
        for x in range(0, SIZE[0], 3):
            angle, near = 0.0, False
            for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
                u, v = a - (x + 0.5, y + 0.5), b - (x + 0.5, y + 0.5)
                cross, dot = u[0] * v[1] - u[1] * v[0], u @ v
                near |= bool(abs(cross) < 1e-6 and dot <= 0)
                angle += np.arctan2(cross, dot)
            if not near:
                assert found[y, x] == (round(angle / (2 * np.pi)) != 0)


def test_two_corners_enclose_nothing() -> None:
    _, inside = drawing.polygon([(1, 1), (20, 20)], SIZE)
    assert not inside.any()


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 45), st.floats(-5, 35), st.floats(0.5, 40), st.floats(0.5, 30))
def test_a_box_as_a_polygon_is_the_box(x, y, width, height) -> None:
    box = (x, y, x + width, y + height)
    corners = [(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])]
    assert (whole(*drawing.polygon(corners, SIZE)) == drawing.box_mask(box, SIZE)).all()


def ring() -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[5:20, 5:25] = True
    mask[9:14, 10:18] = False
    mask[25:27, 30:33] = True
    mask[2, 38] = True
    return mask


def test_tidying() -> None:
    mask = ring()
    filled = drawing.fill_holes(mask)
    assert filled[9:14, 10:18].all()
    assert filled.sum() == mask.sum() + 5 * 8
    assert drawing.keep_largest(mask).sum() == 15 * 20 - 40
    assert drawing.remove_small(mask, share=0.02).sum() == 15 * 20 - 40 + 6
    assert (drawing.hole_at(mask, (12, 10)) == (filled & ~mask)).all()
    assert not drawing.hole_at(mask, (1, 1)).any()
    assert drawing.piece_at(mask, (31, 25)).sum() == 6
    assert not drawing.piece_at(mask, (0, 0)).any()


def test_a_hole_that_touches_the_border_is_open() -> None:
    mask = np.ones((10, 10), bool)
    mask[0:4, 5] = False
    assert (drawing.fill_holes(mask) == mask).all()
    mask[0, 5] = True
    assert drawing.fill_holes(mask).all()


def test_pixels_that_touch_at_corners_enclose_a_hole() -> None:
    """The mask holds together across corners, so what is outside does not."""
    diamond = np.zeros((5, 5), bool)
    diamond[[1, 2, 2, 3], [2, 1, 3, 2]] = True
    assert np.argwhere(drawing.fill_holes(diamond) & ~diamond).tolist() == [[2, 2]]
    assert np.argwhere(drawing.hole_at(diamond, (2, 2))).tolist() == [[2, 2]]


def outside(mask: np.ndarray) -> np.ndarray:
    """What a walk over the pixels that are not in `mask` reaches from beyond its border, step by step."""
    height, width = mask.shape
    reached = np.zeros_like(mask)
    steps = [(y, x) for y in range(height) for x in range(width) if y in {0, height - 1} or x in {0, width - 1}]
    while steps:
        y, x = steps.pop()
        if 0 <= y < height and 0 <= x < width and not mask[y, x] and not reached[y, x]:
            reached[y, x] = True
            steps += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return reached


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(places, places, st.integers(1, 9)), max_size=5), st.lists(places, min_size=1, max_size=6))
def test_a_stroke_closes_what_nothing_outside_reaches_any_more(before, way) -> None:
    base = np.zeros((SIZE[1], SIZE[0]), bool)
    for start, end, radius in before:
        base |= whole(*drawing.capsule(start, end, radius, SIZE))
    base = drawing.fill_holes(base)
    assert (base == ~outside(base)).all()
    stroke = Stroke(SIZE, 3)
    for place in way:
        stroke.to(*place)
    patches = drawing.changed(base, stroke.covered(), take_away=False)
    if patches:
        painted = drawing.patched(base, patches)
        assert (drawing.patched(base, drawing.with_closed(base, patches)) == ~outside(painted)).all()


def test_a_stroke_leaves_holes_that_it_did_not_close() -> None:
    base = ring()
    dab = (drawing.Patch((22, 5, 28, 8), np.ones((3, 6), bool)),)
    assert (drawing.patched(base, drawing.with_closed(base, dab)) == drawing.patched(base, dab)).all()
    across = (drawing.Patch((13, 8, 15, 15), np.ones((7, 2), bool)),)
    assert drawing.patched(base, drawing.with_closed(base, across)).sum() == base.sum() + 5 * 2


def test_a_ring_drawn_in_a_hole_closes_its_inside() -> None:
    base = np.zeros((30, 40), bool)
    base[2:28, 2:38] = True
    base[4:26, 4:36] = False
    drawn = np.ones((8, 8), bool)
    drawn[2:6, 2:6] = False
    after = drawing.patched(base, drawing.with_closed(base, [drawing.Patch((10, 10, 18, 18), drawn)]))
    assert after[10:18, 10:18].all()
    assert after.sum() == base.sum() + 64


def test_smoothing_takes_spikes_and_leaves_straight_edges() -> None:
    mask = np.zeros((100, 100), bool)
    mask[:, :50] = True
    assert (drawing.smooth(mask, radius=3) == mask).all()
    mask[40, 50:70] = True
    assert not drawing.smooth(mask, radius=3)[40, 55:].any()


@pytest.mark.parametrize("tidy", [drawing.fill_holes, drawing.keep_largest, drawing.remove_small, drawing.smooth])
def test_an_empty_mask_stays_empty_and_nothing_is_changed_in_place(tidy) -> None:
    assert not tidy(np.zeros((20, 30), bool)).any()
    mask = ring()
    tidy(mask)
    assert (mask == ring()).all()


def test_similar_colours_end_where_they_differ() -> None:
    pixels = np.full((30, 40, 3), 200, np.uint8)
    pixels[10:20, 10:30] = (120, 90, 80)
    pixels[12:14, 12:14] = (126, 96, 86)
    area = drawing.similar_area(pixels, (15, 15), tolerance=5)
    assert area.sum() == 200 - 4
    assert drawing.similar_area(pixels, (15, 15), tolerance=6).sum() == 200
    room = np.zeros((30, 40), bool)
    room[:, :20] = True
    assert drawing.similar_area(pixels, (15, 15), tolerance=6, allowed=room).sum() == 100
    assert not drawing.similar_area(pixels, (25, 15), tolerance=6, allowed=room).any()


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_mask_on_another_size_keeps_its_share(width, height) -> None:
    mask = np.zeros((30, 40), bool)
    mask[:15] = True
    resized = drawing.resized_mask(mask, (width, height))
    assert resized.shape == (height, width)
    assert abs(resized.mean() - 0.5) <= 0.5 / height + 1e-9
