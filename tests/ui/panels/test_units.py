"""The units panel: what it says, which tiles it shows, what a press does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from canvas_scene import blob, picture
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest

from camviewer.cam.requests import PoolingScore
from camviewer.ui.panels.units import UnitsPanel
from camviewer.workers.jobs import ClassUnit, ClassUnits


def units(count: int = 12, *, shares: bool = True) -> ClassUnits:
    shown = blob()
    listed = []
    for n in range(count):
        values = np.roll(np.maximum(shown.values, 0), n % 3, axis=1).astype(np.float32)
        contribution = 1.2 / (n + 1)
        # The order by weight is not that by contribution.
        weight = 0.1 * (1 + (n * 5) % count)
        share = contribution / 10 if shares else None
        listed.append(ClassUnit(400 + n, weight, contribution / weight, contribution, share, values))
    return ClassUnits(0, 10.0, 0.1, "layer4", tuple(listed), 512, 3.0, shown.geometry)


@pytest.fixture
def panel(qtbot) -> UnitsPanel:
    widget = UnitsPanel()
    qtbot.addWidget(widget)
    widget.resize(504, 260)
    widget.show()
    qtbot.waitExposed(widget)
    widget.set_image(picture())
    return widget


def test_the_heading_adds_up_what_is_shown(panel, qtbot) -> None:
    panel.set_units(units(), class_name="Melanoma")
    shown = [tile for tile in panel.tiles() if tile.isVisible()]
    assert len(shown) == 5
    share = sum(tile.unit.share for tile in shown)
    assert panel.qualifier() == f"5 of 512 carry {100 * share:.0f} % of the Melanoma score"
    panel.set_units(units(shares=False), class_name="Melanoma")
    assert panel.qualifier() == "5 of 512"


def test_both_poolings_of_the_features_are_told(panel) -> None:
    both = (PoolingScore("gap", 4.25, 1), PoolingScore("gmp", 18.0, 3))
    panel.set_units(replace(units(), poolings=both), class_name="Melanoma")
    assert panel.toolTip() == (
        "Mean pooling (GAP) of these features: 4.25, rank 1; max pooling (GMP) of these features: 18, rank 3."
    )
    panel.set_units(units())
    assert panel.toolTip() == ""


@pytest.mark.parametrize(("width", "count"), [(320, 3), (360, 3), (504, 5), (700, 7)])
def test_a_whole_number_of_tiles_fits(panel, qtbot, width, count) -> None:
    panel.set_units(units(), class_name="Melanoma")
    panel.resize(width, 260)
    shown = [tile for tile in panel.tiles() if tile.isVisible()]
    qtbot.waitUntil(lambda: max(tile.geometry().right() for tile in shown) < panel._area.viewport().width())
    assert len(shown) == count


def test_more_shows_the_rest_and_sorting_keeps_all(panel) -> None:
    panel.set_units(units(), class_name="Melanoma")
    panel._more.click()
    assert all(tile.isVisibleTo(panel) for tile in panel.tiles())
    assert panel._more.accessibleName() == "Show fewer units"
    by_share = [tile.unit.unit for tile in panel.tiles()]
    panel._sort.click()
    weights = [tile.unit.weight for tile in panel.tiles()]
    assert weights == sorted(weights, reverse=True)
    assert sorted(tile.unit.unit for tile in panel.tiles()) == sorted(by_share)


def test_a_press_shows_a_unit_another_one_replaces_it_and_the_same_one_goes_back(panel, qtbot) -> None:
    panel.set_units(units(), class_name="Melanoma")
    chosen = []
    panel.unit_chosen.connect(lambda unit, geometry: chosen.append(None if unit is None else unit.unit))
    first, second = panel.tiles()[:2]
    QTest.mouseClick(first, Qt.MouseButton.LeftButton)
    second.setFocus()
    QTest.keyClick(second, Qt.Key.Key_Space)
    assert [tile.isChecked() for tile in panel.tiles()[:2]] == [False, True]
    QTest.keyClick(second, Qt.Key.Key_Space)
    assert chosen == [400, 401, None]
    QTest.mouseClick(first, Qt.MouseButton.LeftButton)
    panel.release()
    assert not first.isChecked() and chosen == [400, 401, None, 400]


def test_tiles_speak(panel) -> None:
    panel.set_units(units(), class_name="Melanoma")
    name = QAccessible.queryAccessibleInterface(panel.tiles()[0]).text(QAccessible.Text.Name)
    assert name == "Unit 400, weight 0.100, 12.0 % of the Melanoma score"
    assert "Unit 400: weight 0.100" in panel.tiles()[0].toolTip()


def test_without_units_it_says_why(panel) -> None:
    panel.set_units(None)
    assert panel._empty.isVisible() and panel.qualifier() == ""
    panel.set_reason("The head is not linear.")
    assert panel._empty._lines[1].text() == "The head is not linear."


def test_it_says_whether_anyone_looks(panel) -> None:
    seen = []
    panel.looked_at.connect(seen.append)
    panel.hide()
    panel.show()
    panel._heading.click()
    assert seen == [False, True, False]
