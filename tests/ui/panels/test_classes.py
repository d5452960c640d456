"""Classes: ranks, search, choosing and pinning."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from camviewer.project.records import ClassTable
from camviewer.project.temperature import Temperature
from camviewer.ui.panels.classes import MOST_ROWS, TOP, ClassesPanel
from camviewer.workers.jobs import ClassScore


def scores(count: int) -> tuple[ClassScore, ...]:
    total = count * (count + 1) / 2
    return tuple(ClassScore(100 + i, f"class {i:04d}", float(count - i), (count - i) / total) for i in range(count))


@pytest.fixture
def panel(shown) -> ClassesPanel:
    widget = shown(ClassesPanel())
    widget.set_scores(scores(12), ClassTable.for_model(("a", "b")))
    return widget


def click(panel: ClassesPanel, row: int) -> None:
    rect = panel._list.visualRect(panel._model.index(row))
    QTest.mouseClick(
        panel._list.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, rect.center() + QPoint(0, 0)
    )


def test_the_top_five_and_then_all(panel) -> None:
    assert panel.shown() == (100, 101, 102, 103, 104)
    panel._more.click()
    assert len(panel.shown()) == 12
    assert panel._more.text() == f"Top {TOP}"
    panel._more.click()
    assert len(panel.shown()) == TOP


def test_the_class_on_screen_is_always_listed(panel) -> None:
    panel.set_current(110)
    assert panel.shown() == (100, 101, 102, 103, 104, 110)


def test_a_click_and_enter_choose(panel, collected) -> None:
    chosen = collected(panel.class_chosen)
    click(panel, 2)
    panel._list.setFocus()
    panel._list.setCurrentIndex(panel._model.index(3))
    QTest.keyClick(panel._list, Qt.Key.Key_Return)
    assert chosen == [102, 103]


def test_setting_the_current_class_does_not_emit(panel, collected) -> None:
    chosen, pinned = collected(panel.class_chosen), collected(panel.class_pinned)
    panel.set_current(104)
    panel.set_pinned(104)
    panel.set_scores(scores(3), ClassTable())
    assert chosen == []
    assert pinned == []


def test_pinning_follows_the_choice(panel, collected) -> None:
    pinned = collected(panel.class_pinned)
    panel.set_current(101)
    panel._pin_button.click()
    click(panel, 0)
    panel._pin_button.click()
    assert pinned == [101, 100, None]


def test_search_finds_in_a_thousand(panel) -> None:
    panel.set_scores(scores(1000), ClassTable())
    panel._search_button.click()
    panel._search.setText("0417 CLASS")
    assert panel.shown() == (517,)
    panel._search.setText("nothing like it")
    assert panel.shown() == ()
    assert panel._nothing.isVisible()
    panel._search_button.click()
    assert len(panel.shown()) == TOP
    panel._more.click()
    assert panel._list.height() <= MOST_ROWS * 28 + 10


def test_uncalibrated_scores_say_so(panel) -> None:
    assert "uncalibrated" in panel.qualifier()
    assert not panel._calibration.isVisible()
    panel.set_temperature(Temperature(1.8312, 213, 0.1421, 0.0512))
    assert panel.qualifier() == "T = 1.83"
    assert panel._calibration.full_text() == "213 labels, ECE 0.142 before, 0.051 after"
    assert panel._calibration.isVisible()
    panel.set_temperature(None)
    assert panel.qualifier() == "uncalibrated"


def test_an_empty_panel_says_what_is_missing(panel) -> None:
    panel.set_scores((), ClassTable())
    assert panel._empty.isVisible()
    assert not panel._list.isVisible()
    panel.grab()


def test_rows_are_readable_by_a_screen_reader(panel) -> None:
    words = panel._model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert words == "1, class 0000, 15.4 %"
