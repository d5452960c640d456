"""How numbers are written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.ui.canvas.numbers import percent, raw, tick_label, ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (9.24, "9.24"), (-1.42, "−1.42"), (0.412, "0.412"), (0.0123, "0.0123"), (123.4, "123"), (1e6, "1.0e6"),
     (2e-7, "2.0e−7"), (float("nan"), "–"), (0.9999, "1.000")],
)  # fmt: skip
def test_raw(value: float, text: str) -> None:
    assert raw(value) == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [(0.712, 1, "71.2 %"), (1.0, 0, "100 %"), (0.9999, 0, "99 %"), (0.99999, 1, "99.9 %"), (0.0, 0, "0 %"),
     (-0.15, 0, "−15 %")],
)  # fmt: skip
def test_percent_is_never_full_before_it_is(share: float, decimals: int, text: str) -> None:
    assert percent(share, decimals=decimals) == text


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 20))
def test_ticks_are_few_even_and_inside(low: float, span: float, most: int) -> None:
    values = ticks(low, low + span, most=most)
    assert len(values) <= most
    assert all(low < value < low + span for value in values)
    steps = [b - a for a, b in pairwise(values)]
    assert all(step == pytest.approx(steps[0], rel=1e-6, abs=1e-9) for step in steps)


def test_ticks_of_the_mock_up() -> None:
    assert ticks(-1.42, 9.24, most=6) == [0, 2, 4, 6, 8]
    assert ticks(1, 1, most=5) == []
    assert tick_label(0.4, 0.2) == "0.4"
    assert tick_label(-2, 2) == "−2"
