"""The canvas as one works on it: pointer and keys that select, draw, move and resize."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QCursor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QWidget

from camviewer.project.records import Box
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.geometry import (
    Grip,
    Rect,
    dragged,
    edited,
    normalised,
)
from camviewer.ui.canvas.masking import MaskView
from camviewer.ui.canvas.overlay import GRIP
from camviewer.ui.canvas.records import (
    MASK_TOOLS,
    BoxChanged,
    BoxDrawn,
    Region,
    Tool,
)
from camviewer.ui.theme import theme

DRAG_FROM = 3.0
SWIPE_STEP = 0.05  # of the image's width, for a key
"""A press becomes a drag after this many screen pixels."""

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


class CanvasView(MaskView):
    """The canvas that one can edit on. See `CanvasPanel` for the signals' records."""

    box_drawn = Signal(object)
    box_changed = Signal(object)
    region_selected = Signal(object)
    region_deleted = Signal(object)
    cursor_moved = Signal(object)
    tool_left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drag: _Drag | None = None
        self._pan_from: QPointF | None = None
        self._space = False
        self.setAccessibleName("Image")
        self.viewport().setAccessibleName("Image")
        self.setAccessibleDescription(
            "Tab chooses the next region. Arrow keys move the selected box, with Ctrl they resize it, "
            "with Shift by ten pixels. Delete removes it. "
            "With a tool for masks, arrow keys move the pen and Enter uses it."
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self._crosshair = _crosshair_cursor()
        self._update_cursor(None)

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show another image; what was being dragged is dropped."""
        self._cancel_drag()
        super().set_image(pixels, name)
        self.cursor_moved.emit(None)

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` without emitting; a box that is gone is no longer dragged."""
        if self._drag is not None and self._drag.kind == "box" and all(r.key != self._drag.key for r in regions):
            self._cancel_drag()
        super().set_regions(regions, selected=selected)

    def set_tool(self, tool: Tool) -> None:
        """Choose a tool."""
        self._cancel_drag()
        self._drop_painting()
        self._pen_by_key = False
        self._tool = tool
        self._update_cursor(None)
        self.viewport().update()

    # --- pointer -----------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        self._ring = False
        if self._pyramid is None:
            return
        left = event.button() == Qt.MouseButton.LeftButton
        if event.button() == Qt.MouseButton.MiddleButton or (left and self._space):
            self._pan_from = position
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
            return
        if self._tool in MASK_TOOLS and not self._hidden:
            right = event.button() == Qt.MouseButton.RightButton
            if (left or (right and self._tool != "polygon")) and (self._tool == "polygon" or not self.painting()):
                straight = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
                self._mask_press(position, opposite=right, straight=straight)
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
        grip = self._grip(position)
        if grip is not None:
            region = self._layer.region(self._layer.selected)
            assert region is not None
            self._drag = _Drag("box", position, self._layer.rect(region), grip, region.key)
            return
        hit = self._hit(position)
        if hit != self._layer.selected:
            self._layer.selected = hit
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
            if self._tool in MASK_TOOLS and self._pyramid is not None:
                self._mask_move(position, pressed=bool(event.buttons() & Qt.MouseButton.LeftButton))
            self._update_cursor(position)
        self._read(position)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pan_from is not None:
            self._pan_from = None
            self._update_cursor(event.position())
            return
        if self._tool in MASK_TOOLS:
            self._mask_release()
            return
        drag = self._drag
        if drag is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._cancel_drag()
        if drag.kind == "draw":
            self._finish_drawing(drag)
        elif drag.kind == "box" and drag.rect is not None and drag.rect != drag.origin:
            self._emit_change(drag.key, drag.rect)
        elif drag.kind == "box" and drag.rect is None and drag.grip == "move":
            # A click inside the selected box reaches what lies below it.
            hit = self._hit(event.position(), skip=self._layer.selected)
            if hit is not None:
                self._layer.selected = hit
                self.region_selected.emit(hit)
        self._update_cursor(event.position())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if (
            event.button() == Qt.MouseButton.LeftButton
            and self._tool == "select"
            and self._hit(event.position()) is None
        ):
            self.fit()
        elif self._tool == "polygon" and len(self._corners) >= 3:
            self._close_polygon()
        else:
            self.mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.viewport().update()
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
            self._move_swipe((position.x() - image.left()) / max(1.0, image.width()))
        elif drag.kind == "draw":
            corner = self._clamped(self.to_image(position))
            drag.rect = normalised(Rect(drag.origin.x0, drag.origin.y0, corner.x(), corner.y()), self._pyramid.size)
            self._drawing = drag.rect
        else:
            centred = bool(modifiers & Qt.KeyboardModifier.AltModifier)
            dx, dy = moved.x() / self.zoom(), moved.y() / self.zoom()
            drag.rect = dragged(drag.origin, drag.grip, dx, dy, self._pyramid.size, centred=centred)
            self._layer.moving = (drag.key, drag.rect)
        self.viewport().update()

    def _finish_drawing(self, drag: _Drag) -> None:
        if drag.rect is None:
            return
        rect = drag.rect
        self.box_drawn.emit(BoxDrawn(Box(rect.x0, rect.y0, rect.x1, rect.y1, 0, origin="manual")))

    def _emit_change(self, key: Hashable | None, rect: Rect, *, nudge: bool = False) -> None:
        region = self._layer.region(key)
        if region is None or not isinstance(region.shape, Box):
            return
        box = edited(region.shape, rect)
        # Shown at once; the owner answers with `set_regions`.
        self._layer.replace(replace(region, shape=box, touched=True, score=None))
        self.viewport().update()
        self.box_changed.emit(BoxChanged(region.key, box, nudge))

    def _cancel_drag(self) -> None:
        self._drag = self._drawing = self._layer.moving = None
        self._pan_from = None
        self.viewport().update()

    def _grip(self, position: QPointF) -> Grip | None:
        return None if self._hidden else self._layer.grip(position, self.viewportTransform())

    def _hit(self, position: QPointF, *, skip: Hashable | None = None) -> Hashable | None:
        if self._pyramid is None or self._hidden:
            return None
        return self._layer.hit(position, self.viewportTransform(), self._pyramid.size, skip=skip)

    def _swipe_near(self, position: QPointF) -> bool:
        if self._mode != "swipe" or self._heat is None:
            return False
        image = self.image_rect()
        return abs(position.x() - image.left() - self._swipe * image.width()) <= GRIP

    def _move_swipe(self, share: float) -> None:
        """Put the line at a share of the image's width."""
        self._swipe = min(1.0, max(0.0, share))
        self._apply_look()

    def _clamped(self, point: QPointF) -> QPointF:
        assert self._pyramid is not None
        width, height = self._pyramid.size
        return QPointF(min(max(point.x(), 0.0), width), min(max(point.y(), 0.0), height))

    def _read(self, position: QPointF) -> None:
        self.cursor_moved.emit(self.reading_at(position))

    def _update_cursor(self, position: QPointF | None) -> None:
        if self._space and self._pyramid is not None:
            self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        elif self._tool == "box":
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        elif self._tool in MASK_TOOLS:
            self.viewport().setCursor(self._crosshair)
        elif position is not None and self._swipe_near(position):
            self.viewport().setCursor(Qt.CursorShape.SplitHCursor)
        else:
            grip = self._grip(position) if position is not None else None
            if grip is not None:
                self.viewport().setCursor(_GRIP_CURSOR[grip])
            elif position is not None and self.image_rect().contains(position):
                self.viewport().setCursor(self._crosshair)
            else:
                self.viewport().setCursor(Qt.CursorShape.ArrowCursor)

    # --- keys --------------------------------------------------------------------------------------------------------

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._ring = event.reason() in {
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
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            # Not in `focusNextPrevChild`, which Qt also calls when the canvas is hidden.
            tab = event.key() in {Qt.Key.Key_Tab, Qt.Key.Key_Backtab}
            back = event.key() == Qt.Key.Key_Backtab or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            held = event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier
            if tab and not held and self._next_region(following=not back):
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
            return plain and (self._layer.selected_box() is not None or self._tool in MASK_TOOLS or not control)
        if key == Qt.Key.Key_Space:
            return event.modifiers() == Qt.KeyboardModifier.NoModifier
        if key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            return self._layer.selected is not None or bool(self._corners)
        if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            return self._tool == "box" or self._takes_enter()
        if key == Qt.Key.Key_Escape:
            return (
                self._drag is not None or self.painting() or self._layer.selected is not None or self._tool != "select"
            )
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._takes(event):
            event.ignore()
            return
        key = event.key()
        if key in _ARROWS:
            if self._tool in MASK_TOOLS:
                self._mask_arrow(_ARROWS[Qt.Key(key)], fast=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            else:
                self._arrow(_ARROWS[Qt.Key(key)], event.modifiers())
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space = True
                self._update_cursor(None)
        elif key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            if self._corners:
                self._mask_back()
            else:
                self.region_deleted.emit(self._layer.selected)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            if self._tool in MASK_TOOLS:
                self._mask_enter(straight=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            else:
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
        elif self.painting():
            self._drop_painting()
        elif self._tool != "select":
            self.tool_left.emit()
        else:
            self._layer.selected = None
            self.viewport().update()
            self.region_selected.emit(None)

    def _next_region(self, *, following: bool) -> bool:
        """Select the next or previous region; return False after the last, where Tab leaves the canvas."""
        keys = self._layer.keys() if self._pyramid is not None and not self._hidden else []
        chosen = self._layer.selected
        place = keys.index(chosen) if chosen in keys else (-1 if following else len(keys))
        wanted = place + (1 if following else -1)
        if not 0 <= wanted < len(keys):
            return False
        self._layer.selected = keys[wanted]
        self.viewport().update()
        self.region_selected.emit(keys[wanted])
        return True

    def _arrow(self, direction: tuple[int, int], modifiers: Qt.KeyboardModifier) -> None:
        """Nudge the selected box, with Ctrl its lower right corner; where none is selected, swipe (Shift) or pan."""
        region = self._layer.selected_box()
        step = 10 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1
        if region is None and step > 1 and self._mode == "swipe":
            self._move_swipe(self._swipe + SWIPE_STEP * direction[0])
            return
        if region is None or self._pyramid is None:
            self.pan(-40 * direction[0], -40 * direction[1])
            return
        grip: Grip = "se" if modifiers & Qt.KeyboardModifier.ControlModifier else "move"
        start = self._layer.rect(region)
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
