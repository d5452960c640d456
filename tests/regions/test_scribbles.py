"""Scribbles: strokes are certain, colours decide the rest, whatever the mask was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camviewer.regions.scribbles import Scribble, cut_out

SIZE = (300, 220)


def scene(size: tuple[int, int] = SIZE, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A skin with two brown discs; returns pixels, the left disc, the right disc."""
    width, height = size
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), (205, 160, 140), np.float32)
    discs = []
    for share in (0.3, 0.75):
        disc = np.zeros((height, width), np.uint8)
        cv2.circle(disc, (round(share * width), height // 2), round(0.2 * height), 1, -1)
        discs.append(disc.astype(bool))
        pixels[discs[-1]] = (110, 70, 55)
    pixels += rng.normal(0, 6, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), *discs


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def dab(share_x: float, share_y: float = 0.5, *, inside: bool = True, size: tuple[int, int] = SIZE) -> Scribble:
    return Scribble(((share_x * size[0], share_y * size[1]),), 0.04 * size[1], inside)


def test_one_stroke_finds_the_thing_below_it() -> None:
    pixels, left, right = scene()
    found = cut_out(pixels, [dab(0.3)])
    assert iou(found, left) > 0.95
    assert not (found & right).any()


def test_a_second_stroke_adds_and_an_outside_stroke_takes_away() -> None:
    pixels, left, right = scene()
    both = cut_out(pixels, [dab(0.3), dab(0.75)], base=left)
    assert iou(both, left | right) > 0.95
    again = cut_out(pixels, [dab(0.75, inside=False)], base=both)
    assert iou(again, left) > 0.9


def test_a_leak_is_cut_off_where_a_stroke_says_outside() -> None:
    pixels, left, _ = scene()
    leak = left.copy()
    leak[95:125, 90:190] = True
    stroke = Scribble(((140.0, 110.0), (185.0, 110.0)), 10, False)
    assert iou(cut_out(pixels, [stroke], base=leak), left) > iou(leak, left)
    assert iou(cut_out(pixels, [stroke], base=leak), left) > 0.9


def test_the_map_says_where_to_start_when_there_is_no_mask() -> None:
    pixels, left, right = scene()
    y, x = np.mgrid[0:7, 0:9]
    energy = np.exp(-((x - 6.2) ** 2 + (y - 3) ** 2) / 2).astype(np.float32)
    found = cut_out(pixels, [dab(0.05, 0.05, inside=False)], energy=energy)
    assert iou(found, right) > 0.9 and not (found & left).any()


def test_nothing_said_changes_nothing() -> None:
    pixels, left, _ = scene()
    assert not cut_out(pixels, [dab(0.5, inside=False)]).any()
    assert not cut_out(pixels, [], energy=np.zeros((4, 4), np.float32)).any()
    before = left.copy()
    cut_out(pixels, [dab(0.3)], base=left)
    assert (left == before).all()


@pytest.mark.parametrize("size", [(300, 221), (121, 97), (1500, 1100), (60, 400)])
def test_sizes_large_odd_and_narrow(size: tuple[int, int]) -> None:
    pixels, left, _ = scene(size)
    found = cut_out(pixels, [dab(0.3, size=size)])
    assert found.shape == pixels.shape[:2]
    if size[0] > size[1]:
        assert iou(found, left) > 0.9


places = st.tuples(st.floats(-10, SIZE[0] + 10), st.floats(-10, SIZE[1] + 10))
scribbles = st.builds(Scribble, st.lists(places, min_size=1, max_size=4).map(tuple), st.floats(0.5, 30), st.booleans())


@settings(max_examples=12, deadline=None)
@given(st.lists(scribbles, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_every_stroke_is_obeyed_the_last_one_most(strokes, with_base, with_map) -> None:
    pixels, left, _ = scene()
    energy = np.ones((5, 5), np.float32) if with_map else None
    found = cut_out(pixels, strokes, base=left if with_base else None, energy=energy)
    assert found.dtype == np.bool_ and found.shape == left.shape
    last = strokes[-1]
    x, y = last.points[0]
    if 0 <= x < SIZE[0] and 0 <= y < SIZE[1] and (found.any() or with_base or with_map or last.inside):
        assert found[int(y), int(x)] == last.inside
