"""The grid of maps: one zoom, one cursor, values of all maps under it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from canvas_scene import blob, picture
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.numbers import raw
from camviewer.ui.compare.grid import Column, CompareGrid, Row
from camviewer.ui.qimage import pixels_of

ROWS = (Row("cam", "CAM"), Row("gradcam", "Grad-CAM"))
COLUMNS = (Column(4, 1, "Melanoma", "#FF6F3C", 0.7), Column(2, 2, "Nevus", "#6EC0FF", 0.2))


@pytest.fixture
def grid(qtbot) -> CompareGrid:
    widget = CompareGrid()
    qtbot.addWidget(widget)
    widget.resize(900, 600)
    widget.show()
    qtbot.waitExposed(widget)
    widget.set_image(picture())
    widget.set_grid(ROWS, COLUMNS, used="cam")
    widget.set_map(blob())
    widget.set_map(replace(blob(sign=-1.0), class_index=2))
    widget.set_map(replace(blob(), method="gradcam", values=(blob().values / 4).astype(np.float32)))
    return widget


def place(grid: CompareGrid, row: int, column: int, x: float, y: float) -> QPointF:
    return grid.to_screen(grid.cell_rect(row, column)).map(QPointF(x, y))


def wheel(grid: CompareGrid, at: QPointF, steps: int) -> None:
    none, phase = Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    button = Qt.MouseButton.NoButton
    event = QWheelEvent(at, grid.mapToGlobal(at), QPoint(), QPoint(0, 120 * steps), button, none, phase, False)
    QApplication.sendEvent(grid, event)


def test_all_cells_say_their_value_at_one_cursor(grid) -> None:
    grid.set_cursor(QPointF(300.2, 160.7))
    expected = blob().geometry.upsample(blob().values)
    at = expected[160, 300]
    assert grid.reading(0, 0) == f"{raw(float(at))} of {raw(float(expected.max()))}"
    assert grid.reading(1, 0) == f"{raw(float(at) / 4)} of {raw(float(expected.max()) / 4)}"
    assert grid.reading(0, 1) == "No positive evidence"
    assert grid.reading(1, 1) == "Computing"
    grid.set_cursor(QPointF(-5, 3))
    assert grid.reading(0, 0) == f"max {raw(float(expected.max()))}"


def test_hovering_one_cell_reads_all(grid, qtbot) -> None:
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent

    at = place(grid, 1, 0, 300, 160)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(QEvent.Type.MouseMove, at, grid.mapToGlobal(at), none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(grid, event)
    assert "of" in grid.reading(0, 0) and "max" not in grid.reading(0, 0)


@pytest.mark.parametrize("cell", [(0, 0), (1, 1)])
def test_the_zoom_is_one_and_keeps_the_point_under_the_pointer(grid, cell) -> None:
    at = place(grid, *cell, 200, 100)
    before = grid.zoom()
    wheel(grid, at, 3)
    assert grid.zoom() > 1.5 * before
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        moved = place(grid, row, column, 200, 100) - grid.cell_rect(row, column).topLeft()
        there = at - grid.cell_rect(*cell).topLeft()
        assert (moved - there).manhattanLength() < 1e-6
    grid.fit()
    assert grid.zoom() == before


def test_a_drag_moves_all(grid) -> None:
    wheel(grid, place(grid, 0, 0, 300, 225), 4)
    before = place(grid, 1, 1, 300, 225)
    start = place(grid, 0, 0, 300, 225).toPoint()
    QTest.mousePress(grid, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(grid, start + QPoint(20, -10))
    QTest.mouseRelease(grid, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start + QPoint(20, -10))
    assert (place(grid, 1, 1, 300, 225) - before - QPointF(20, -10)).manhattanLength() < 1.5


def test_missing_names_what_is_not_there_or_only_in_part(grid) -> None:
    assert grid.missing() == (("gradcam",), (2,))
    partial = replace(blob(), method="gradcam", class_index=2)
    grid.set_map(partial, note="Partial 3/9")
    assert grid.missing() == (("gradcam",), (2,))
    grid.set_map(partial)
    assert grid.missing() == ((), ())
    grid.set_note("gradcam", 2, "It cannot be.")
    assert grid.missing() == ((), ())
    assert grid.reading(1, 1) == "It cannot be."


def test_arrows_choose_and_enter_opens(grid) -> None:
    opened = []
    grid.cell_opened.connect(lambda *cell: opened.append(cell))
    grid.setFocus()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Up):
        QTest.keyClick(grid, key)
    assert grid.accessibleDescription() == "CAM, Nevus: No positive evidence"
    QTest.mouseDClick(
        grid, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place(grid, 0, 0, 300, 200).toPoint()
    )
    assert opened == [("gradcam", 2), ("cam", 4)]


def test_cells_show_their_own_map_and_dim_where_there_is_none(grid) -> None:
    grid.set_rule(RegionRule(threshold=0.5))
    grid.set_look("viridis", 1.0)
    image = grid.grab()
    shot = pixels_of(image.toImage()).astype(int)
    scale = image.devicePixelRatio()

    def at(row: int, column: int, x: float, y: float) -> np.ndarray:
        where = place(grid, row, column, x, y) * scale
        return shot[round(where.y()), round(where.x()), :3]

    # The peak of viridis is yellow; both methods are scaled to their own maximum.
    for row in (0, 1):
        assert at(row, 0, 300, 160)[0] > 200 and at(row, 0, 300, 160)[2] < 90
    assert at(0, 1, 100, 40).sum() < 0.6 * at(0, 0, 100, 40).sum()


def test_a_map_of_another_image_is_not_shown(grid) -> None:
    grid.set_map(replace(blob((300, 300)), method="gradcam", class_index=2))
    assert grid.reading(1, 1) == "Computing"


@pytest.mark.parametrize(("hit", "middle", "ring"), [(True, False, True), (False, True, False), (None, False, False)])
def test_the_maximum_is_marked_by_a_ring_where_it_hits_and_by_a_cross_where_it_misses(grid, hit, middle, ring) -> None:
    grid.set_map(blob(), hit=hit)
    expected = blob().geometry.upsample(blob().values)
    row, column = np.unravel_index(int(np.argmax(expected)), expected.shape)
    at = place(grid, 0, 0, column + 0.5, row + 0.5)
    image = pixels_of(grid.grab().toImage())

    def white(x: float, y: float) -> bool:
        return bool(image[round(y), round(x), :3].min() > 200)

    assert white(at.x() - 0.5, at.y() - 0.5) == middle
    assert white(at.x() - 6, at.y() - 0.5) == ring
