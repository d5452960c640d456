"""A canvas with an image on screen, and the pointer that works on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from canvas_scene import picture
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from camviewer.ui.canvas.panel import CanvasPanel
from camviewer.ui.canvas.view import CanvasView


class Pointer:
    """Presses, moves and turns the wheel at places of the image."""

    def __init__(self, view: CanvasView) -> None:
        self.view = view

    def at(self, x: float, y: float) -> QPoint:
        return self.view.to_screen(QPointF(x, y)).toPoint()

    def drag(self, start: QPoint, end: QPoint, *, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        port = self.view.viewport()
        QTest.mousePress(port, button, Qt.KeyboardModifier.NoModifier, start)
        QTest.mouseMove(port, (start + end) / 2)
        QTest.mouseMove(port, end)
        QTest.mouseRelease(port, button, Qt.KeyboardModifier.NoModifier, end)

    def click(self, place: QPoint) -> None:
        QTest.mouseClick(self.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def hover(self, place: QPoint) -> None:
        # As an event of its own: QTest.mouseMove reaches nothing while no button is down on a scaled screen.
        port = self.view.viewport()
        where = QPointF(place)
        none = Qt.MouseButton.NoButton
        event = QMouseEvent(
            QEvent.Type.MouseMove, where, port.mapToGlobal(where), none, none, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(port, event)

    def wheel(self, place: QPointF, steps: float) -> None:
        port = self.view.viewport()
        event = QWheelEvent(
            place,
            port.mapToGlobal(place),
            QPoint(),
            QPoint(0, round(120 * steps)),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(port, event)


@pytest.fixture
def panel(qtbot) -> CanvasPanel:
    widget = CanvasPanel()
    qtbot.addWidget(widget)
    widget.resize(800, 700)
    widget.show()
    qtbot.waitExposed(widget)
    widget.set_image(picture(), "a.jpg")
    return widget


@pytest.fixture
def view(panel: CanvasPanel) -> CanvasView:
    return panel.view


@pytest.fixture
def pointer(view: CanvasView) -> Pointer:
    return Pointer(view)


@pytest.fixture
def collected() -> Callable[[object], list]:
    """Return a list that a signal fills."""

    def collect(signal) -> list:
        seen: list = []
        signal.connect(seen.append)
        return seen

    return collect
