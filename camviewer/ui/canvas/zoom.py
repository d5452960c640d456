"""One image that can be zoomed and moved: the part of the canvas that knows nothing of maps and regions."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QPainter, QResizeEvent, QTransform, QWheelEvent
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from camviewer.ui.canvas.items import ImageItem
from camviewer.ui.canvas.pyramid import Pyramid
from camviewer.ui.theme import theme

ZOOM_MIN, ZOOM_MAX = 0.02, 64.0
WHEEL_STEP = 1.2
REMEMBERED = 500
"""Images whose view is remembered."""

_AROUND = 200_000.0
"""Empty scene around the image, so that the view can be anywhere at every zoom."""

_EDGE, _BELOW = 16, 48
"""Room around a fitted image, and below it for the read-out."""

_KEEP = 48
"""Screen pixels of the image that always stay in sight."""


class ZoomView(QGraphicsView):
    """An image on a scene whose unit is the image pixel.

    Signals:
        zoom_changed: screen pixels per image pixel.
        view_changed: zoom, place or size changed.
    """

    zoom_changed = Signal(float)
    view_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pyramid: Pyramid | None = None
        self._name = ""
        self._fitted = True
        self._views: OrderedDict[str, tuple[float, QPointF] | None] = OrderedDict()
        self._scene = QGraphicsScene(self)
        self._image_item = ImageItem()
        self._scene.addItem(self._image_item)
        self.setScene(self._scene)
        self._level_timer = QTimer(self)
        self._level_timer.setInterval(20)
        self._level_timer.timeout.connect(self._on_levels)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragMode(QGraphicsView.DragMode.NoDrag)
        self.setMinimumSize(240, 160)
        theme().changed.connect(self.viewport().update)

    def _set_pixels(self, pixels: NDArray[np.uint8] | None, name: str) -> None:
        """Show another image; the view of the one before is remembered under its name."""
        self._remember_view()
        self._pyramid = None if pixels is None else Pyramid(pixels)
        self._name = name
        self._image_item.set_pyramid(self._pyramid)
        width, height = self._pyramid.size if self._pyramid else (1, 1)
        self._scene.setSceneRect(-_AROUND, -_AROUND, width + 2 * _AROUND, height + 2 * _AROUND)
        if self._pyramid is not None and not self._pyramid.ready():
            self._level_timer.start()
        else:
            self._level_timer.stop()

    def zoom(self) -> float:
        """Return screen pixels (logical) per image pixel."""
        return self.transform().m11()

    def zoom_at(self, position: QPointF, factor: float) -> None:
        """Zoom by `factor`; the image point under `position` (viewport pixels) stays there."""
        if self._pyramid is None:
            return
        wanted = min(max(self.zoom() * factor, ZOOM_MIN), ZOOM_MAX)
        anchor = self.to_image(position)
        self._set_view(wanted, anchor, position)
        self._fitted = False

    def zoom_to(self, zoom: float) -> None:
        """Zoom about the middle of the view."""
        self.zoom_at(QPointF(self.viewport().rect().center()), zoom / self.zoom())

    def fit(self) -> None:
        """Show the whole image with room for the read-out below."""
        self._fitted = True
        if self._pyramid is None:
            return
        width, height = self._pyramid.size
        room_x = max(1.0, self.viewport().width() - 2.0 * _EDGE)
        room_y = max(1.0, self.viewport().height() - 1.0 * (_EDGE + _BELOW))
        zoom = min(max(min(room_x / width, room_y / height), ZOOM_MIN), ZOOM_MAX)
        self._set_view(zoom, QPointF(width / 2, height / 2), QPointF(_EDGE + room_x / 2, _EDGE + room_y / 2))

    def to_image(self, position: QPointF) -> QPointF:
        """Return the image point (pixel edges) under a point of the viewport."""
        return self.viewportTransform().inverted()[0].map(position)

    def to_screen(self, point: QPointF) -> QPointF:
        """Return the point of the viewport over an image point."""
        return self.viewportTransform().map(point)

    def image_rect(self) -> QRectF:
        """Return where the image lies in the viewport; empty without one."""
        if self._pyramid is None:
            return QRectF()
        return self.viewportTransform().mapRect(QRectF(0, 0, *self._pyramid.size))

    def _set_view(self, zoom: float, anchor: QPointF, position: QPointF) -> None:
        """Put the image point `anchor` at `position` of the viewport, to the nearest whole pixel."""
        before = self.zoom()
        self.setTransform(QTransform.fromScale(zoom, zoom))
        shift = self.to_screen(anchor) - position
        self._scroll(shift)
        self._keep_in_sight()
        if before != zoom:
            self.zoom_changed.emit(zoom)
        self.view_changed.emit()

    def _scroll(self, shift: QPointF) -> None:
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        across.setValue(across.value() + round(shift.x()))
        down.setValue(down.value() + round(shift.y()))

    def _keep_in_sight(self) -> None:
        image, room = self.image_rect(), QRectF(self.viewport().rect())
        keep_x, keep_y = min(_KEEP, image.width() / 2), min(_KEEP, image.height() / 2)
        dx = max(0.0, room.left() + keep_x - image.right()) - max(0.0, image.left() - room.right() + keep_x)
        dy = max(0.0, room.top() + keep_y - image.bottom()) - max(0.0, image.top() - room.bottom() + keep_y)
        if dx or dy:
            self._scroll(QPointF(-dx, -dy))

    def pan(self, dx: float, dy: float) -> None:
        """Move the image by screen pixels."""
        if self._pyramid is None:
            return
        self._fitted = False
        self._scroll(QPointF(-dx, -dy))
        self._keep_in_sight()
        self.view_changed.emit()

    def _remember_view(self) -> None:
        if self._pyramid is None or not self._name:
            return
        middle = self.to_image(QPointF(self.viewport().rect().center()))
        self._views[self._name] = None if self._fitted else (self.zoom(), middle)
        self._views.move_to_end(self._name)
        while len(self._views) > REMEMBERED:
            self._views.popitem(last=False)

    def _restore_view(self) -> None:
        seen = self._views.get(self._name)
        if seen is None:
            self.fit()
        else:
            self._fitted = False
            self._set_view(seen[0], seen[1], QPointF(self.viewport().rect().center()))
        self.view_changed.emit()

    @Slot()
    def _on_levels(self) -> None:
        if self._pyramid is None or self._pyramid.ready():
            self._level_timer.stop()
            self._image_item.refresh()

    def wheelEvent(self, event: QWheelEvent) -> None:
        pixels, angle = event.pixelDelta(), event.angleDelta()
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.pan(angle.y() or angle.x(), 0)
        elif not pixels.isNull() and not control and event.phase() != Qt.ScrollPhase.NoScrollPhase:
            # Two fingers on a trackpad move the image; with Ctrl (or a pinch) they zoom.
            self.pan(pixels.x(), pixels.y())
        elif angle.y():
            self.zoom_at(event.position(), WHEEL_STEP ** (angle.y() / 120))
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._fitted:
            self.fit()
        self.view_changed.emit()

    def has_image(self) -> bool:
        """Return whether an image is shown."""
        return self._pyramid is not None

    def drawBackground(self, painter: QPainter, rect: QRectF | object) -> None:
        painter.fillRect(rect, theme().color("canvas"))  # type: ignore[arg-type]
