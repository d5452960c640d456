"""The time left, on a clock that the test turns."""

from __future__ import annotations

import pytest

from camviewer.pipeline.progress import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_steady_pace_is_extrapolated(clock):
    pace = Pace(10, clock=clock)
    assert pace.seconds_left is None
    for done in range(1, 5):
        clock.now += 2
        pace.advance(done)
    assert pace.seconds_left == pytest.approx(12)


def test_several_units_at_once_count_each(clock):
    pace = Pace(100, clock=clock)
    clock.now += 40
    pace.advance(20)
    assert pace.seconds_left == pytest.approx(160)


def test_an_interruption_does_not_count(clock):
    pace = Pace(10, clock=clock)
    clock.now += 1
    pace.advance(1)
    clock.now += 1000
    pace.resume()
    clock.now += 1
    pace.advance(2)
    assert pace.seconds_left == pytest.approx(8)


def test_a_change_of_pace_shows_after_some_units(clock):
    pace = Pace(1000, clock=clock)
    for done in range(1, 21):
        clock.now += 1
        pace.advance(done)
    for done in range(21, 61):
        clock.now += 3
        pace.advance(done)
    assert pace.seconds_left == pytest.approx(3 * 940, rel=0.01)


def test_nothing_is_left_at_the_end(clock):
    pace = Pace(2, clock=clock)
    clock.now += 1
    pace.advance(2)
    assert pace.seconds_left == 0
