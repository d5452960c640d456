"""Curves and the confusion matrix: axes that hold what they show, words for who cannot see them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.formats.axes import nice_axis
from camviewer.ui.plots import ConfusionView, CurvePlot, Level, Series, spread


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_an_axis_holds_its_values_between_few_round_lines(low: float, span: float) -> None:
    high = low + span
    first, last, step = nice_axis(low, high)
    tolerance = 1e-6 * max(1.0, abs(low), abs(high))
    assert first <= low + tolerance
    assert last >= high - tolerance
    assert 1 <= round((last - first) / step) <= 7
    digit = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(digit - round_one) for round_one in (1, 2, 5, 10)) < 1e-6


def test_curves_are_painted_and_told(qtbot) -> None:
    plot = CurvePlot("Pointing", "over epochs")
    qtbot.addWidget(plot)
    plot.resize(320, 180)
    empty = plot.grab().toImage()
    plot.set_curves(
        [Series("GAP", ((1, 0.2), (5, 0.8))), Series("GMP", ((1, math.nan), (5, 0.5)))],
        [Level("Centre", 0.9)],
        marked=5,
    )
    assert plot.accessibleDescription() == "GAP 0.800, GMP 0.500, Centre 0.900"
    assert plot.grab().toImage() != empty
    plot.set_curves([Series("one", ((3, 0.5),))])  # a single epoch, a flat axis
    plot.grab()
    plot.resize(10, 10)
    plot.grab()


def test_the_confusion_matrix_says_what_is_right(qtbot) -> None:
    view = ConfusionView()
    qtbot.addWidget(view)
    view.resize(300, 260)
    view.grab()
    view.set_counts(np.array([[3, 1], [0, 0]]), ("green", "red"))
    assert view.accessibleDescription() == "green 3 of 4"
    area, side = view._area()
    assert view._place(area.topLeft() + area.center() * 0) == (0, 0)
    assert view._place(area.bottomRight() * 2) is None
    assert side > 20
    view.grab()


@pytest.mark.parametrize("names", [("a",), tuple(f"class {i}" for i in range(30))])
def test_few_and_many_classes_fit(qtbot, names: tuple[str, ...]) -> None:
    view = ConfusionView()
    qtbot.addWidget(view)
    view.resize(300, 260)
    view.set_counts(np.eye(len(names), dtype=np.int64) * 7, names)
    area, _ = view._area()
    assert area.right() <= 300
    assert area.bottom() <= 260
    view.grab()


@given(st.lists(st.floats(0, 200), max_size=8))
def test_names_at_the_ends_of_curves_do_not_touch_and_none_is_below_the_axis(wanted: list[float]) -> None:
    wanted = sorted(wanted)
    places = spread(wanted, 14, 200)
    assert all(later - before >= 14 - 1e-9 for before, later in itertools.pairwise(places))
    assert all(place <= 200 for place in places)
    roomy = all(later - before >= 14 for before, later in itertools.pairwise(wanted))
    assert not roomy or places == wanted
