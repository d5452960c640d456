"""Regions: the table, its eye, its keys and its message."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from camviewer.project.records import Box, Mask
from camviewer.ui.canvas.records import Region
from camviewer.ui.panels.regions import AREA, EYE, NAME, ORIGIN, SCORE, RegionsPanel


def regions() -> list[Region]:
    mask = np.zeros((100, 200), dtype=bool)
    mask[:50, :100] = True
    return [
        Region("m", Mask(mask, 1), "Melanoma", "#FF6F3C", True, score=0.93),
        Region("b", Box(0, 0, 20, 10, 1, "manual"), "Melanoma", "#FF6F3C", True),
        Region("r", Box(10, 10, 60, 60, 0), "Region 3", None, hint="Region 3 is far from the lesion"),
    ]


@pytest.fixture
def panel(shown) -> RegionsPanel:
    widget = shown(RegionsPanel())
    widget.set_regions(regions(), (200, 100), selected="b")
    return widget


def click(panel: RegionsPanel, row: int, column: int) -> None:
    rect = panel._table.visualRect(panel._model.index(row, column))
    QTest.mouseClick(panel._table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, rect.center())


def test_rows_say_what_they_are(panel) -> None:
    texts = [[panel._model.index(row, column).data() for column in (NAME, ORIGIN, SCORE, AREA)] for row in range(3)]
    assert texts == [
        ["Melanoma", "Edited", "0.93", "25.0 %"],
        ["Melanoma", "Drawn", "–", "1.0 %"],
        ["Region 3", "Auto", "–", "12.5 %"],
    ]
    assert panel.qualifier() == "3"
    assert panel.selected() == "b"
    panel.grab()


def test_a_click_selects_and_the_eye_does_not(panel, collected) -> None:
    selected, shown = collected(panel.region_selected), collected(panel.region_shown, 2)
    click(panel, 0, NAME)
    click(panel, 2, EYE)
    assert selected == ["m"]
    assert shown == [("r", False)]


def test_keys(panel, collected) -> None:
    selected, deleted, shown = (
        collected(panel.region_selected), collected(panel.region_deleted), collected(panel.region_shown, 2),
    )  # fmt: skip
    panel._table.setFocus()
    QTest.keyClick(panel._table, Qt.Key.Key_Down)
    QTest.keyClick(panel._table, Qt.Key.Key_Space)
    QTest.keyClick(panel._table, Qt.Key.Key_Delete)
    assert selected == ["r"]
    assert shown == [("r", False)]
    assert deleted == ["r"]


def test_setting_does_not_emit(panel, collected) -> None:
    selected = collected(panel.region_selected)
    panel.set_selected("m")
    panel.set_selected(None)
    panel.set_regions(regions()[:1], (200, 100), selected="m")
    panel.set_regions(regions(), (200, 100))
    assert selected == []
    assert panel.selected() is None
    assert not panel._delete.isEnabled()


def test_a_hint_has_one_action(panel, collected) -> None:
    deleted = collected(panel.region_deleted)
    assert panel._message.isVisible()
    panel._message.action_triggered.emit()
    assert deleted == ["r"]
    panel.set_regions(regions()[:2], (200, 100))
    assert not panel._message.isVisible()


def test_without_regions_it_says_how_to_get_one(panel, collected) -> None:
    asked = []
    panel.box_requested.connect(lambda: asked.append(1))
    panel.set_regions((), (200, 100))
    assert panel._empty.isVisible()
    assert not panel._table.isVisible()
    panel._empty.link_triggered.emit()
    assert asked == [1]


def test_the_eye_of_all(panel, collected) -> None:
    shown = collected(panel.regions_shown)
    panel._eye.click()
    assert panel._eye.accessibleName() == "Show all regions"
    panel._eye.click()
    assert shown == [False, True]


def test_many_regions_scroll(panel) -> None:
    many = [Region(n, Box(0, 0, 5, 5, 1), f"Region {n}") for n in range(60)]
    panel.set_regions(many, (200, 100), selected=59)
    assert panel._table.height() < 300
    assert panel.selected() == 59
    panel.grab()
