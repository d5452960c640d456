"""Zoom, pan, fit, and the view that each image keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from camviewer.ui.canvas.zoom import ZOOM_MAX, ZOOM_MIN

places = st.tuples(st.floats(0, 700), st.floats(0, 500))
LIVE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LIVE
@given(places, st.floats(0.05, 20))
def test_screen_to_image_and_back(view, place, factor) -> None:
    view.fit()
    view.zoom_at(QPointF(300, 200), factor)
    point = QPointF(*place)
    back = view.to_screen(view.to_image(point))
    assert abs(back.x() - point.x()) <= 0.5
    assert abs(back.y() - point.y()) <= 0.5
    shown = view.to_image(view.to_screen(QPointF(17.25, 401.5)))
    assert abs(shown.x() - 17.25) <= 0.5
    assert abs(shown.y() - 401.5) <= 0.5


@LIVE
@given(st.lists(st.tuples(places, st.sampled_from([1, -1, 2.5, -2])), min_size=1, max_size=12))
def test_the_wheel_zooms_at_the_pointer(view, pointer, turns) -> None:
    view.fit()
    for (x, y), steps in turns:
        place = QPointF(x, y)
        if not view.image_rect().adjusted(60, 60, -60, -60).contains(place):
            continue
        before = view.to_image(place)
        zoom = view.zoom()
        pointer.wheel(place, steps)
        after = view.to_image(place)
        # Half a screen pixel, since the view moves by whole ones.
        assert abs(after.x() - before.x()) * view.zoom() <= 0.51
        assert abs(after.y() - before.y()) * view.zoom() <= 0.51
        assert view.zoom() == pytest.approx(min(max(zoom * 1.2**steps, ZOOM_MIN), ZOOM_MAX))


def test_zoom_is_clamped(view) -> None:
    for _ in range(80):
        view.zoom_at(QPointF(300, 300), 1.5)
    assert view.zoom() == ZOOM_MAX
    for _ in range(80):
        view.zoom_at(QPointF(300, 300), 0.5)
    assert view.zoom() == ZOOM_MIN


def test_fit_shows_the_whole_image_and_leaves_room_for_the_read_out(view) -> None:
    view.zoom_to(8.0)
    view.fit()
    image = view.image_rect()
    port = view.viewport().rect()
    assert image.left() >= 15
    assert image.right() <= port.right() - 14
    assert image.top() >= 15
    assert image.bottom() <= port.bottom() - 40
    assert max(image.width() - port.width() + 32, image.height() - port.height() + 64) == pytest.approx(0, abs=2)


def test_a_fitted_image_stays_fitted_when_the_window_changes(panel, view) -> None:
    first = view.zoom()
    panel.resize(1100, 900)
    QApplication.processEvents()
    assert view.zoom() > first
    view.zoom_to(1.0)
    panel.resize(900, 800)
    QApplication.processEvents()
    assert view.zoom() == 1.0


def test_middle_drag_and_space_drag_pan(view, pointer) -> None:
    view.zoom_to(3.0)
    before = view.to_image(QPointF(200, 200))
    pointer.drag(QPoint(200, 200), QPoint(260, 230), button=Qt.MouseButton.MiddleButton)
    moved = view.to_image(QPointF(260, 230))
    assert (moved.x(), moved.y()) == pytest.approx((before.x(), before.y()), abs=0.01)
    QTest.keyPress(view, Qt.Key.Key_Space)
    pointer.drag(QPoint(260, 230), QPoint(200, 200))
    QTest.keyRelease(view, Qt.Key.Key_Space)
    moved = view.to_image(QPointF(200, 200))
    assert (moved.x(), moved.y()) == pytest.approx((before.x(), before.y()), abs=0.01)


@LIVE
@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(0.02, 64))
def test_the_image_never_leaves_the_view(view, dx, dy, zoom) -> None:
    view.zoom_to(zoom)
    view.pan(dx, dy)
    assert view.image_rect().intersects(view.viewport().rect())


def test_each_image_keeps_its_view(panel, view) -> None:
    view.zoom_at(QPointF(100, 100), 4.0)
    zoom, middle = view.zoom(), view.to_image(QPointF(300, 300))
    panel.set_image(np.zeros((200, 300, 3), dtype=np.uint8), "b.jpg")
    assert view.zoom() != zoom
    panel.set_image(np.zeros((450, 600, 3), dtype=np.uint8), "a.jpg")
    assert view.zoom() == zoom
    again = view.to_image(QPointF(300, 300))
    assert (again.x(), again.y()) == pytest.approx((middle.x(), middle.y()), abs=0.5)


def test_zoom_is_shown_typed_and_refused(panel, view, collected) -> None:
    zooms = collected(panel.zoom_changed)
    panel.zoom_to(1.0)
    assert zooms[-1] == 1.0
    box = panel.tools._zoom
    assert box.currentText() == "100 %"
    box.lineEdit().setText("250")
    box.lineEdit().editingFinished.emit()
    assert view.zoom() == 2.5
    box.lineEdit().setText("much")
    box.lineEdit().editingFinished.emit()
    assert view.zoom() == 2.5
    assert box.currentText() == "250 %"


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (30_000, 2)])
def test_images_of_every_shape_can_be_shown(panel, view, size) -> None:
    width, height = size
    panel.set_image(np.full((height, width, 3), 120, dtype=np.uint8), f"{size}")
    panel.grab()
    assert view.image_rect().intersects(view.viewport().rect())
    assert ZOOM_MIN <= view.zoom() <= ZOOM_MAX
    view.zoom_to(ZOOM_MAX)
    panel.grab()
