"""Handles, drags and nudges of boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.project.records import Box
from camviewer.ui.canvas.geometry import HANDLES, MINIMUM, Rect, dragged, edited, grip_at, moved, near_edge, normalised

SIZE = (120, 80)
numbers = st.floats(-500, 500)
rects = st.builds(Rect, numbers, numbers, numbers, numbers)


@given(rects)
def test_a_normalised_box_lies_inside_and_has_a_size(rect: Rect) -> None:
    result = normalised(rect, SIZE)
    assert 0 <= result.x0 < result.x1 <= SIZE[0]
    assert 0 <= result.y0 < result.y1 <= SIZE[1]
    assert result.x1 - result.x0 >= MINIMUM - 1e-9
    assert result.y1 - result.y0 >= MINIMUM - 1e-9


@given(rects)
def test_normalising_twice_changes_nothing(rect: Rect) -> None:
    once = normalised(rect, SIZE)
    twice = normalised(once, SIZE)
    assert (twice.x0, twice.y0, twice.x1, twice.y1) == pytest.approx((once.x0, once.y0, once.x1, once.y1))


@given(rects, st.sampled_from([*HANDLES, "move"]), numbers, numbers, st.booleans())
def test_no_drag_leaves_the_image(rect: Rect, grip: str, dx: float, dy: float, centred: bool) -> None:
    start = normalised(rect, SIZE)
    result = dragged(start, grip, dx, dy, SIZE, centred=centred)  # type: ignore[arg-type]
    assert -1e-9 <= result.x0 < result.x1 <= SIZE[0] + 1e-9
    assert -1e-9 <= result.y0 < result.y1 <= SIZE[1] + 1e-9


@given(rects, numbers, numbers)
def test_moving_keeps_the_size(rect: Rect, dx: float, dy: float) -> None:
    start = normalised(rect, SIZE)
    result = moved(start, dx, dy, SIZE)
    assert result.x1 - result.x0 == pytest.approx(start.x1 - start.x0)
    assert result.y1 - result.y0 == pytest.approx(start.y1 - start.y0)


def test_a_handle_moves_only_its_edges() -> None:
    start = Rect(20, 20, 60, 50)
    assert dragged(start, "e", 5, 9, SIZE) == Rect(20, 20, 65, 50)
    assert dragged(start, "nw", 5, 9, SIZE) == Rect(25, 29, 60, 50)
    assert dragged(start, "s", 5, 200, SIZE) == Rect(20, 20, 60, 80)
    assert dragged(start, "e", 5, 0, SIZE, centred=True) == Rect(15, 20, 65, 50)


def test_a_box_turns_over_when_a_handle_crosses_the_other_edge() -> None:
    assert dragged(Rect(20, 20, 60, 50), "e", -50, 0, SIZE) == Rect(10, 20, 20, 50)


@pytest.mark.parametrize("name", HANDLES)
def test_every_handle_is_found_at_its_place(name: str) -> None:
    rect = Rect(100, 100, 300, 250)
    x, y = rect.handle(name)  # type: ignore[arg-type]
    assert grip_at(rect, x + 6, y - 6, reach=7) == name


def test_edges_between_handles_and_the_inside() -> None:
    rect = Rect(100, 100, 300, 250)
    assert grip_at(rect, 150, 100, reach=7) == "n"
    assert grip_at(rect, 300, 120, reach=7) == "e"
    assert grip_at(rect, 150, 130, reach=7) == "move"
    assert grip_at(rect, 90, 130, reach=7) is None


def test_corners_win_in_a_small_box() -> None:
    assert grip_at(Rect(10, 10, 14, 14), 14, 14, reach=7) == "se"


def test_the_line_of_a_box() -> None:
    rect = Rect(10, 10, 50, 40)
    assert near_edge(rect, 10, 25, reach=3)
    assert near_edge(rect, 52, 25, reach=3)
    assert not near_edge(rect, 30, 25, reach=3)
    assert not near_edge(rect, 60, 25, reach=3)


def test_an_edited_box_is_marked_and_its_old_score_goes() -> None:
    box = Box(0, 0, 5, 5, 3, "auto", 0.9, 0.7, 12)
    changed = edited(box, Rect(1, 1, 4, 4))
    assert (changed.origin, changed.score, changed.probability, changed.id, changed.class_id) == (
        "edited",
        None,
        0.7,
        12,
        3,
    )
    assert edited(Box(0, 0, 5, 5, 3, "manual"), Rect(1, 1, 4, 4)).origin == "manual"
