"""The canvas itself: zoom and pan, what lies on the image, and the pointer and keys that change boxes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QCursor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from camviewer.project.records import ActivationMap, Box, Mask
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.geometry import (
    Grip,
    Rect,
    dragged,
    edited,
    grip_at,
    near_edge,
    normalised,
    rect_of,
)
from camviewer.ui.canvas.heatmap import HeatMap
from camviewer.ui.canvas.items import DIM, HeatItem, ImageItem
from camviewer.ui.canvas.live import live_threshold
from camviewer.ui.canvas.outline import outlines, path_of
from camviewer.ui.canvas.pyramid import Pyramid
from camviewer.ui.canvas.records import (
    BoxChanged,
    BoxDrawn,
    CursorReading,
    LiveThreshold,
    Region,
    Tool,
    ViewMode,
)
from camviewer.ui.theme import theme

ZOOM_MIN, ZOOM_MAX = 0.02, 64.0
GRIP = 14.0 / 2
"""Reach of a handle around its middle, in screen pixels."""

DRAG_FROM = 3.0
"""A press becomes a drag after this many screen pixels."""

WHEEL_STEP = 1.2
REMEMBERED = 500
"""Images whose view is remembered."""

_AROUND = 200_000.0
"""Empty scene around the image, so that the view can be anywhere at every zoom."""

_EDGE, _BELOW = 16, 48
_KEEP = 48
"""Screen pixels of the image that always stay in sight."""

_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}

_GRIP_CURSOR: dict[Grip, Qt.CursorShape] = {
    "nw": Qt.CursorShape.SizeFDiagCursor,
    "se": Qt.CursorShape.SizeFDiagCursor,
    "ne": Qt.CursorShape.SizeBDiagCursor,
    "sw": Qt.CursorShape.SizeBDiagCursor,
    "n": Qt.CursorShape.SizeVerCursor,
    "s": Qt.CursorShape.SizeVerCursor,
    "e": Qt.CursorShape.SizeHorCursor,
    "w": Qt.CursorShape.SizeHorCursor,
    "move": Qt.CursorShape.SizeAllCursor,
}


@dataclass(slots=True)
class _Drag:
    """A press that may become an edit: what it started on, where, and the box as it is now."""

    kind: str  # "box": an existing one, "draw": a new one, "swipe": the line
    start: QPointF
    origin: Rect
    grip: Grip = "move"
    key: Hashable | None = None
    rect: Rect | None = None


class CanvasView(QGraphicsView):
    """One image with heat map, regions and live threshold. See `CanvasPanel` for the signals' records."""

    box_drawn = Signal(object)
    box_changed = Signal(object)
    region_selected = Signal(object)
    region_deleted = Signal(object)
    cursor_moved = Signal(object)
    zoom_changed = Signal(float)
    view_changed = Signal()
    threshold_found = Signal(object)
    tool_left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pyramid: Pyramid | None = None
        self._name = ""
        self._heat: HeatMap | None = None
        self._regions: tuple[Region, ...] = ()
        self._paths: dict[Hashable, QPainterPath] = {}
        self._selected: Hashable | None = None
        self._rule: RegionRule | None = None
        self._live_path = QPainterPath()
        self._live_visible = True
        self._mode: ViewMode = "blend"
        self._colour_map = "viridis"
        self._opacity = 0.6
        self._cut = False
        self._level: float | None = None
        self._swipe = 0.5
        self._fill = 0.0
        self._tool: Tool = "select"
        self._hidden = False
        self._regions_visible = True
        self._message = ("", "")
        self._fitted = True
        self._views: OrderedDict[str, tuple[float, QPointF] | None] = OrderedDict()
        self._drag: _Drag | None = None
        self._pan_from: QPointF | None = None
        self._space = False

        self._scene = QGraphicsScene(self)
        self._image_item = ImageItem()
        self._heat_item = HeatItem()
        self._scene.addItem(self._image_item)
        self._scene.addItem(self._heat_item)
        self.setScene(self._scene)
        self._level_timer = QTimer(self)
        self._level_timer.setInterval(20)
        self._level_timer.timeout.connect(self._on_levels)

        self.setAccessibleName("Image")
        self.setAccessibleDescription(
            "Arrow keys move the selected box, with Ctrl they resize it, with Shift by ten pixels. Delete removes it."
        )
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragMode(QGraphicsView.DragMode.NoDrag)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(240, 160)
        self.viewport().setMouseTracking(True)
        self._crosshair = _crosshair_cursor()
        self._update_cursor(None)
        theme().changed.connect(self.viewport().update)

    # --- what is shown --------------------------------------------------------------------------------------------

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show another image. Its heat map and regions are gone until they are set."""
        self._remember_view()
        self._cancel_drag()
        self._pyramid = None if pixels is None else Pyramid(pixels)
        self._name = name
        self._message = ("", "")
        self._image_item.set_pyramid(self._pyramid)
        self._set_heat(None)
        self.set_regions(())
        width, height = self._pyramid.size if self._pyramid else (1, 1)
        self._scene.setSceneRect(-_AROUND, -_AROUND, width + 2 * _AROUND, height + 2 * _AROUND)
        if self._pyramid is not None and not self._pyramid.ready():
            self._level_timer.start()
        else:
            self._level_timer.stop()
        self._restore_view()
        self.cursor_moved.emit(None)
        self._find_live()

    def set_map(self, shown: ActivationMap | None) -> None:
        """Show the heat map of `shown`; a map of another image size is not shown."""
        fits = shown is not None and self._pyramid is not None and shown.geometry.image_size == self._pyramid.size
        self._set_heat(HeatMap.of(shown) if shown is not None and fits else None)
        self._find_live()

    def _set_heat(self, heat: HeatMap | None) -> None:
        self._heat = heat
        self._heat_item.set_heat(heat)
        self._apply_look()

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` without emitting. Outlines of masks that did not change are kept."""
        before = {region.key: region.shape for region in self._regions}
        kept = {}
        for region in regions:
            if isinstance(region.shape, Mask):
                path = self._paths.get(region.key) if before.get(region.key) is region.shape else None
                kept[region.key] = path if path is not None else path_of(outlines(region.shape.pixels))
        if self._drag is not None and self._drag.kind == "box" and all(r.key != self._drag.key for r in regions):
            self._cancel_drag()
        self._regions, self._paths, self._selected = tuple(regions), kept, selected
        self.viewport().update()

    def set_selected(self, key: Hashable | None) -> None:
        """Select without emitting."""
        self._selected = key
        self.viewport().update()

    def selected(self) -> Hashable | None:
        """Return the key of the selected region."""
        return self._selected

    def set_rule(self, rule: RegionRule) -> None:
        """Set the rule of the live outline and find it."""
        self._rule = rule
        self._find_live()

    def set_live_visible(self, visible: bool) -> None:
        """Show or hide the live outline."""
        self._live_visible = visible
        self.viewport().update()

    def set_mode(self, mode: ViewMode) -> None:
        """Choose the view."""
        self._mode = mode
        self._apply_look()

    def set_colour_map(self, name: str) -> None:
        """Choose the colour map."""
        self._colour_map = name
        self._apply_look()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the strongest value."""
        self._opacity = opacity
        self._apply_look()

    def set_cut(self, cut: bool) -> None:
        """Show the heat map only from the threshold on."""
        self._cut = cut
        self._apply_look()

    def set_fill(self, opacity: float) -> None:
        """Set the opacity of the masks' filling."""
        self._fill = opacity
        self.viewport().update()

    def set_tool(self, tool: Tool) -> None:
        """Choose a tool."""
        self._cancel_drag()
        self._tool = tool
        self._update_cursor(None)
        self.viewport().update()

    def set_overlays_hidden(self, hidden: bool) -> None:
        """Hide everything but the image."""
        self._hidden = hidden
        self._apply_look()

    def set_regions_visible(self, visible: bool) -> None:
        """Show or hide all regions."""
        self._regions_visible = visible
        self.viewport().update()

    def set_message(self, title: str, text: str = "") -> None:
        """Show two lines where no image is."""
        self._message = (title, text)
        self.viewport().update()

    def heat(self) -> HeatMap | None:
        """Return the map on screen."""
        return self._heat

    def level(self) -> float | None:
        """Return the raw value of the live threshold."""
        return self._level

    def has_image(self) -> bool:
        """Return whether an image is shown."""
        return self._pyramid is not None

    def _apply_look(self) -> None:
        mode: ViewMode = "original" if self._hidden else self._mode
        width = self._pyramid.size[0] if self._pyramid else 0
        self._heat_item.set_look(
            mode=mode,
            colour_map=self._colour_map,
            opacity=self._opacity,
            cut=self._level if self._cut else None,
            swipe=self._swipe * width,
        )
        self._image_item.set_dim(DIM if self._nothing_positive() else 0.0)
        self.viewport().update()

    def _nothing_positive(self) -> bool:
        return self._heat is not None and not self._heat.positive and self._mode != "original" and not self._hidden

    def _find_live(self) -> None:
        self._live_path, self._level = QPainterPath(), None
        if self._rule is not None and self._heat is not None:
            live, lines = live_threshold(self._heat, self._rule)
            self._level = live.level
            self._live_path = path_of(lines)
            self.threshold_found.emit(live)
        elif self._rule is not None:
            self.threshold_found.emit(LiveThreshold(self._rule, None))
        if self._cut:
            self._apply_look()
        self.viewport().update()

    @Slot()
    def _on_levels(self) -> None:
        if self._pyramid is None or self._pyramid.ready():
            self._level_timer.stop()
            self._image_item.refresh()

    # --- zoom and pan ---------------------------------------------------------------------------------------------

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

    # --- painting -------------------------------------------------------------------------------------------------

    def drawBackground(self, painter: QPainter, rect: QRectF | object) -> None:
        painter.fillRect(rect, theme().color("canvas"))  # type: ignore[arg-type]

    def drawForeground(self, painter: QPainter, rect: QRectF | object) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        to_screen = self.viewportTransform()
        painter.resetTransform()
        if self._pyramid is None:
            self._paint_message(painter)
        else:
            self._paint_frame(painter, to_screen)
            if not self._hidden:
                self._paint_overlays(painter, to_screen)
        if self.hasFocus() and self._by_keyboard:
            painter.setPen(QPen(theme().color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.viewport().rect()).adjusted(1, 1, -1, -1))
        painter.restore()

    def _paint_message(self, painter: QPainter) -> None:
        title, text = self._message
        if title:
            middle = QPointF(self.viewport().rect().center())
            annotate.paint_words(painter, middle, title, text, on_image=False, width=min(480.0, self.width() - 32.0))

    def _paint_frame(self, painter: QPainter, to_screen: QTransform) -> None:
        """Dim what the network does not see, and draw the edge of what it sees."""
        if self._heat is None or self._pyramid is None or self._hidden or self._mode == "original":
            return
        x0, y0, x1, y1 = self._heat.geometry.frame
        width, height = self._pyramid.size
        if (x0, y0, x1, y1) == (0, 0, width, height) or x1 <= x0 or y1 <= y0:
            return
        image = to_screen.mapRect(QRectF(0, 0, width, height))
        seen = to_screen.mapRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        outside = QPainterPath()
        outside.addRect(image)
        outside.addRect(seen)
        painter.fillPath(outside, theme().color("readout", 0.35))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 3))
        painter.drawRect(seen)
        painter.setPen(QPen(QColor(annotate.PLAIN), 1))
        painter.drawRect(seen)

    def _paint_overlays(self, painter: QPainter, to_screen: QTransform) -> None:
        image = self.image_rect()
        room = QRectF(self.viewport().rect())
        if self._nothing_positive():
            width = min(360.0, max(120.0, image.width() - 16))
            annotate.paint_words(
                painter,
                (image & room).center(),
                "No positive evidence",
                "The whole map is zero or below",
                on_image=True,
                width=width,
            )
        elif self._mode == "swipe" and self._heat is not None:
            self._paint_swipe(painter, image)
        if self._regions_visible:
            self._paint_regions(painter, to_screen, room)
        if self._live_visible and self._mode != "original" and not self._live_path.isEmpty():
            painter.save()
            painter.setTransform(to_screen, True)
            annotate.paint_path(painter, self._live_path, annotate.live_pen(), annotate.LIVE_WIDTH)
            painter.restore()
        if self._drag is not None and self._drag.kind == "draw" and self._drag.rect is not None:
            annotate.paint_box(painter, self._rect_on_screen(self._drag.rect), annotate.PLAIN, touched=True)

    def _paint_regions(self, painter: QPainter, to_screen: QTransform, room: QRectF) -> None:
        shown = [region for region in self._regions if region.visible]
        # The selected region lies on top of all others.
        for region in sorted(shown, key=lambda r: r.key == self._selected):
            colour = region.colour or annotate.PLAIN
            chosen = region.key == self._selected
            if isinstance(region.shape, Mask):
                path = self._paths.get(region.key)
                if path is None or path.isEmpty():
                    continue
                painter.save()
                painter.setTransform(to_screen, True)
                if self._fill > 0:
                    tint = QColor(colour)
                    tint.setAlphaF(self._fill)
                    painter.fillPath(path, tint)
                pen = annotate.stroke(colour, annotate.MASK_WIDTH, touched=region.touched)
                annotate.paint_path(painter, path, pen, annotate.MASK_WIDTH)
                painter.restore()
                place = to_screen.mapRect(path.boundingRect())
                anchor = QPointF(place.left(), place.top())
            else:
                rect = self._rect_on_screen(self._rect_now(region))
                annotate.paint_box(painter, rect, colour, touched=region.touched)
                if chosen:
                    annotate.paint_handles(painter, rect)
                anchor = QPointF(rect.x0, rect.y0)
            if chosen:
                annotate.paint_tag(painter, anchor, region.name, colour, room)

    def _paint_swipe(self, painter: QPainter, image: QRectF) -> None:
        x = round(image.left() + self._swipe * image.width()) + 0.5
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 3))
        painter.drawLine(QPointF(x, image.top()), QPointF(x, image.bottom()))
        painter.setPen(QPen(QColor(annotate.PLAIN), 1))
        painter.drawLine(QPointF(x, image.top()), QPointF(x, image.bottom()))
        middle = QPointF(x, (image & QRectF(self.viewport().rect())).center().y())
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 1))
        painter.setBrush(QColor(annotate.PLAIN))
        painter.drawEllipse(middle, 9, 9)
        painter.setPen(QPen(theme().color("casing"), 1.4))
        for side in (-1, 1):
            tip = QPointF(middle.x() + side * 5, middle.y())
            painter.drawLine(tip, tip + QPointF(-side * 2.5, -2.5))
            painter.drawLine(tip, tip + QPointF(-side * 2.5, 2.5))

    def _rect_now(self, region: Region) -> Rect:
        drag = self._drag
        if drag is not None and drag.kind == "box" and drag.key == region.key and drag.rect is not None:
            return drag.rect
        assert isinstance(region.shape, Box)
        return rect_of(region.shape)

    def _rect_on_screen(self, rect: Rect) -> Rect:
        start, end = self.to_screen(QPointF(rect.x0, rect.y0)), self.to_screen(QPointF(rect.x1, rect.y1))
        return Rect(start.x(), start.y(), end.x(), end.y())

    # --- pointer --------------------------------------------------------------------------------------------------

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

    def mousePressEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        self._by_keyboard = False
        if self._pyramid is None:
            return
        left = event.button() == Qt.MouseButton.LeftButton
        if event.button() == Qt.MouseButton.MiddleButton or (left and self._space):
            self._pan_from = position
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
            return
        if not left:
            return
        if self._tool == "box":
            corner = self._clamped(self.to_image(position))
            self._drag = _Drag("draw", position, Rect(corner.x(), corner.y(), corner.x(), corner.y()))
            return
        if self._swipe_near(position):
            self._drag = _Drag("swipe", position, Rect(0, 0, 0, 0))
            return
        grip = self._selected_grip(position)
        if grip is not None:
            region = self._region(self._selected)
            assert region is not None
            self._drag = _Drag("box", position, self._rect_now(region), grip, region.key)
            return
        hit = self._hit(position)
        if hit != self._selected:
            self._selected = hit
            self.viewport().update()
            self.region_selected.emit(hit)
        self._update_cursor(position)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        if self._pan_from is not None:
            step = position - self._pan_from
            self._pan_from = position
            self.pan(step.x(), step.y())
        elif self._drag is not None:
            self._drag_to(position, event.modifiers())
        else:
            self._update_cursor(position)
        self._read(position)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pan_from is not None:
            self._pan_from = None
            self._update_cursor(event.position())
            return
        drag, self._drag = self._drag, None
        if drag is None or event.button() != Qt.MouseButton.LeftButton:
            self._drag = drag
            return
        self.viewport().update()
        if drag.kind == "draw":
            self._finish_drawing(drag)
        elif drag.kind == "box" and drag.rect is not None and drag.rect != drag.origin:
            self._emit_change(drag.key, drag.rect)
        elif drag.kind == "box" and drag.rect is None and drag.grip == "move":
            # A click inside the selected box reaches what lies below it.
            hit = self._hit(event.position(), skip=self._selected)
            if hit is not None:
                self._selected = hit
                self.region_selected.emit(hit)
        self._update_cursor(event.position())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if (
            event.button() == Qt.MouseButton.LeftButton
            and self._tool == "select"
            and self._hit(event.position()) is None
        ):
            self.fit()
        else:
            self.mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.cursor_moved.emit(None)

    def _drag_to(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        drag = self._drag
        if drag is None or self._pyramid is None:
            return
        moved = position - drag.start
        if drag.rect is None and max(abs(moved.x()), abs(moved.y())) < DRAG_FROM and drag.kind != "swipe":
            return
        if drag.kind == "swipe":
            image = self.image_rect()
            self._swipe = min(1.0, max(0.0, (position.x() - image.left()) / max(1.0, image.width())))
            self._apply_look()
        elif drag.kind == "draw":
            corner = self._clamped(self.to_image(position))
            drag.rect = normalised(Rect(drag.origin.x0, drag.origin.y0, corner.x(), corner.y()), self._pyramid.size)
        else:
            centred = bool(modifiers & Qt.KeyboardModifier.AltModifier)
            dx, dy = moved.x() / self.zoom(), moved.y() / self.zoom()
            drag.rect = dragged(drag.origin, drag.grip, dx, dy, self._pyramid.size, centred=centred)
        self.viewport().update()

    def _finish_drawing(self, drag: _Drag) -> None:
        if drag.rect is None:
            return
        rect = drag.rect
        self.box_drawn.emit(BoxDrawn(Box(rect.x0, rect.y0, rect.x1, rect.y1, 0, origin="manual")))

    def _emit_change(self, key: Hashable | None, rect: Rect, *, nudge: bool = False) -> None:
        region = self._region(key)
        if region is None or not isinstance(region.shape, Box) or key is None:
            return
        box = edited(region.shape, rect)
        # Shown at once; the owner answers with `set_regions`.
        changed = Region(region.key, box, region.name, region.colour, True, region.visible, region.hint, None)
        self._regions = tuple(changed if r.key == key else r for r in self._regions)
        self.viewport().update()
        self.box_changed.emit(BoxChanged(key, box, nudge))

    def _cancel_drag(self) -> None:
        self._drag = None
        self._pan_from = None
        self.viewport().update()

    def _region(self, key: Hashable | None) -> Region | None:
        return next((region for region in self._regions if region.key == key), None) if key is not None else None

    def _selected_grip(self, position: QPointF) -> Grip | None:
        region = self._region(self._selected)
        if region is None or not isinstance(region.shape, Box) or not self._shown(region):
            return None
        rect = self._rect_on_screen(self._rect_now(region))
        return grip_at(rect, position.x(), position.y(), reach=GRIP)

    def _shown(self, region: Region) -> bool:
        return region.visible and self._regions_visible and not self._hidden

    def _hit(self, position: QPointF, *, skip: Hashable | None = None) -> Hashable | None:
        """Return the key of the region under a point: lines first, then insides, the smallest wins."""
        if self._pyramid is None:
            return None
        at = self.to_image(position)
        insides: list[tuple[float, Hashable]] = []
        for region in reversed(self._regions):
            if not self._shown(region) or (skip is not None and region.key == skip):
                continue
            if isinstance(region.shape, Mask):
                height, width = region.shape.pixels.shape
                x, y = int(at.x()), int(at.y())
                if 0 <= at.x() < width and 0 <= at.y() < height and region.shape.pixels[y, x]:
                    insides.append((region.share(self._pyramid.size), region.key))
                continue
            rect = self._rect_on_screen(rect_of(region.shape))
            if near_edge(rect, position.x(), position.y(), reach=GRIP / 2 + 1):
                return region.key
            if rect.x0 <= position.x() <= rect.x1 and rect.y0 <= position.y() <= rect.y1:
                insides.append((region.share(self._pyramid.size), region.key))
        return min(insides, key=lambda pair: pair[0])[1] if insides else None

    def _swipe_near(self, position: QPointF) -> bool:
        if self._mode != "swipe" or self._heat is None:
            return False
        image = self.image_rect()
        return abs(position.x() - image.left() - self._swipe * image.width()) <= GRIP

    def _clamped(self, point: QPointF) -> QPointF:
        assert self._pyramid is not None
        width, height = self._pyramid.size
        return QPointF(min(max(point.x(), 0.0), width), min(max(point.y(), 0.0), height))

    def _read(self, position: QPointF) -> None:
        self.cursor_moved.emit(self.reading_at(position))

    def reading_at(self, position: QPointF) -> CursorReading | None:
        """Return what lies under a point of the viewport; None beside the image."""
        if self._pyramid is None:
            return None
        at = self.to_image(position)
        width, height = self._pyramid.size
        if not (0 <= at.x() < width and 0 <= at.y() < height):
            return None
        x, y = int(at.x()), int(at.y())
        red, green, blue = (int(part) for part in self._pyramid.pixels[y, x])
        value = share = None
        if self._heat is not None:
            # The value at the pixel's centre, as every file that is written has it.
            value = self._heat.value_at(x + 0.5, y + 0.5)
            if value is not None and self._heat.positive:
                share = value / self._heat.high
        return CursorReading(x, y, (red, green, blue), value, share)

    def _update_cursor(self, position: QPointF | None) -> None:
        if self._space and self._pyramid is not None:
            self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        elif self._tool == "box":
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        elif position is not None and self._swipe_near(position):
            self.viewport().setCursor(Qt.CursorShape.SplitHCursor)
        else:
            grip = self._selected_grip(position) if position is not None else None
            if grip is not None:
                self.viewport().setCursor(_GRIP_CURSOR[grip])
            elif position is not None and self.image_rect().contains(position):
                self.viewport().setCursor(self._crosshair)
            else:
                self.viewport().setCursor(Qt.CursorShape.ArrowCursor)

    # --- keys -----------------------------------------------------------------------------------------------------

    _by_keyboard = False

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._by_keyboard = event.reason() in {
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
            Qt.FocusReason.ShortcutFocusReason,
        }
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._space = False
        self.viewport().update()

    def event(self, event: QEvent) -> bool:
        # What the canvas uses itself must not become a shortcut of the window.
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._takes(event):
            event.accept()
            return True
        return super().event(event)

    def _takes(self, event: QKeyEvent) -> bool:
        key = event.key()
        if self._pyramid is None:
            return False
        plain = not event.modifiers() & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier)
        if key in _ARROWS:
            control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            return plain and (self._selected_box() is not None or not control)
        if key == Qt.Key.Key_Space:
            return event.modifiers() == Qt.KeyboardModifier.NoModifier
        if key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            return self._selected is not None
        if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            return self._tool == "box"
        if key == Qt.Key.Key_Escape:
            return self._drag is not None or self._selected is not None or self._tool != "select"
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._takes(event):
            event.ignore()
            return
        key = event.key()
        if key in _ARROWS:
            self._arrow(_ARROWS[Qt.Key(key)], event.modifiers())
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = True
                self._update_cursor(None)
        elif key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.region_deleted.emit(self._selected)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._draw_by_key()
        else:
            self._escape()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._space = False
            if self._pan_from is None:
                self._update_cursor(None)
        super().keyReleaseEvent(event)

    def _escape(self) -> None:
        if self._drag is not None:
            self._cancel_drag()
        elif self._tool != "select":
            self.tool_left.emit()
        else:
            self._selected = None
            self.viewport().update()
            self.region_selected.emit(None)

    def _selected_box(self) -> Region | None:
        region = self._region(self._selected)
        return region if region is not None and isinstance(region.shape, Box) else None

    def _arrow(self, direction: tuple[int, int], modifiers: Qt.KeyboardModifier) -> None:
        """Nudge the selected box, with Ctrl its lower right corner, or pan where none is selected."""
        region = self._selected_box()
        step = 10 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1
        if region is None or self._pyramid is None:
            self.pan(-40 * direction[0], -40 * direction[1])
            return
        grip: Grip = "se" if modifiers & Qt.KeyboardModifier.ControlModifier else "move"
        start = self._rect_now(region)
        dx, dy = float(step * direction[0]), float(step * direction[1])
        if grip == "se":
            # Never over the opposite edge.
            dx = max(dx, 1 - (start.x1 - start.x0))
            dy = max(dy, 1 - (start.y1 - start.y0))
        rect = dragged(start, grip, dx, dy, self._pyramid.size)
        if rect != start:
            self._emit_change(region.key, rect, nudge=True)

    def _draw_by_key(self) -> None:
        """Put a box into the middle of what is in sight; arrow keys take it from there."""
        assert self._pyramid is not None
        width, height = self._pyramid.size
        seen = self.viewportTransform().inverted()[0].mapRect(QRectF(self.viewport().rect()))
        seen &= QRectF(0, 0, width, height)
        third_x, third_y = seen.width() / 3, seen.height() / 3
        rect = normalised(
            Rect(seen.left() + third_x, seen.top() + third_y, seen.right() - third_x, seen.bottom() - third_y),
            self._pyramid.size,
        )
        self.box_drawn.emit(BoxDrawn(Box(rect.x0, rect.y0, rect.x1, rect.y1, 0, origin="manual")))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._fitted:
            self.fit()
        self.view_changed.emit()


def _crosshair_cursor() -> QCursor:
    """Return a white cross on a dark casing with a free middle, visible on every skin and heat map."""
    side, density = 25, 2
    pixmap = QPixmap(side * density, side * density)
    pixmap.setDevicePixelRatio(density)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    middle = side / 2
    for colour, width in ((theme().color("casing", annotate.CASING_ALPHA), 3.0), (QColor(annotate.PLAIN), 1.0)):
        painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            inner, outer = 4.0, 10.0
            painter.drawLine(
                QPointF(middle + x * inner, middle + y * inner), QPointF(middle + x * outer, middle + y * outer)
            )
    painter.end()
    return QCursor(pixmap, side // 2, side // 2)
