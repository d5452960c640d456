"""Masks by hand: brush, eraser, polygon, scribbles and fill. Each press to release is one edit, emitted not written.

By keyboard: arrow keys move the pen, Enter dabs, sets a corner or fills at it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QTransform
from PySide6.QtWidgets import QWidget

from camviewer.project.records import BoolMask, Mask
from camviewer.regions import drawing
from camviewer.regions.drawing import Allowed, Patch, Stroke, Window
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.display import DisplayView
from camviewer.ui.canvas.overlay import GRIP
from camviewer.ui.canvas.records import (
    MASK_TOOLS,
    SIZES,
    MaskEdited,
    PaintClass,
    Region,
    Scribbled,
    Tool,
    ToolOptions,
)
from camviewer.ui.canvas.scribbling import Scribbles
from camviewer.ui.canvas.stroke_item import StrokeItem
from camviewer.ui.theme import theme

LASSO_STEP = 3.0
"""A polygon drawn in one go gets a corner every so many screen pixels."""

_RING_FROM = 5.0
"""Screen pixels of radius from which the brush is drawn as a ring; below it would hide what it is about."""

_PEN_STEP, _PEN_FAST = 4.0, 5
"""Screen pixels that an arrow key moves the pen by, and how many times more with Shift."""


@dataclass(slots=True)
class _Painting:
    """A stroke and the mask it works on; no target is a new mask."""

    stroke: Stroke
    target: Region | None
    erase: bool


class MaskView(DisplayView):
    """The tools for masks.

    Signals:
        mask_edited: `MaskEdited`.
        scribbled: `Scribbled`, at the end of each.
        hinted: why nothing happened, one sentence.
    """

    mask_edited = Signal(object)
    scribbled = Signal(object)
    hinted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tool: Tool = "select"
        self._options = ToolOptions()
        self._paint_class = PaintClass()
        self._painting: _Painting | None = None
        self._corners: list[QPointF] = []
        self._lasso_from: int | None = None
        self._pen: QPointF | None = None
        self._pen_by_key = False
        self._ended: QPointF | None = None
        self._scribbles = Scribbles()
        self._stroke_item = StrokeItem()
        self._scene.addItem(self._stroke_item)

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show another image; what was being painted is dropped."""
        self._drop_painting()
        self._pen = self._ended = None
        self._scribbles = Scribbles()
        super().set_image(pixels, name)

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` without emitting; scribbles follow the mask that they made."""
        super().set_regions(regions, selected=selected)
        if self._scribbles.strokes or self._tool == "scribble":
            self._follow_mask()

    def set_options(self, options: ToolOptions) -> None:
        """Set the tools' options."""
        self._options = options
        self.viewport().update()

    def set_paint_class(self, paint_class: PaintClass) -> None:
        """Set the class of new masks."""
        self._paint_class = paint_class
        self.viewport().update()

    def settle_scribbles(self, kept: bool) -> None:
        """Keep the scribble that changed nothing, or take it back."""
        self._scribbles.settle(kept)
        self.viewport().update()

    def painting(self) -> bool:
        """Return whether a stroke or a polygon is in progress."""
        return self._painting is not None or bool(self._corners) or self._scribbles.drawing is not None

    def mask_target(self) -> Region | None:
        """Return the mask that painting goes to: the selected one, else that of the current class, else None."""
        selected = self._layer.region(self._layer.selected)
        if selected is not None and isinstance(selected.shape, Mask):
            return selected
        return self._layer.mask_of(self._paint_class.class_id)

    def _cut_target(self, point: QPointF) -> Region | None:
        """Return the mask to take away from: also one under the point, or the only one."""
        return self.mask_target() or self._layer.mask_at(point) or self._layer.only_mask()

    def _drop_painting(self) -> None:
        self._painting = None
        self._corners = []
        self._lasso_from = None
        self._scribbles.drawing = None
        self._stroke_item.set_stroke(None)
        self.viewport().update()

    # --- pointer -----------------------------------------------------------------------------------------------------

    def _mask_press(self, position: QPointF, *, opposite: bool, straight: bool) -> None:
        """Begin with the tool in use. `opposite` erases with the brush and the other way round."""
        point = self.to_image(position)
        self._move_pen(point)
        if self._tool == "polygon":
            self._add_corner(point)
            self._lasso_from = len(self._corners) if self._corners else None
        elif self._tool == "fill":
            self._fill_at(point, take_away=opposite)
        elif self._tool == "scribble":
            self._begin_scribble(point, opposite=opposite)
        else:
            self._begin_stroke(point, erase=(self._tool == "eraser") != opposite, straight=straight)

    def _mask_move(self, position: QPointF, *, pressed: bool) -> None:
        point = self.to_image(position)
        self._move_pen(point)
        if self._painting is not None:
            self._extend(point)
        elif self._scribbles.drawing is not None:
            self._scribbles.extend(self._inside(point), self.zoom())
        elif pressed and self._lasso_from is not None:
            step = self.to_screen(self._corners[-1]) - position
            if math.hypot(step.x(), step.y()) >= LASSO_STEP:
                self._corners.append(self._inside(point))
        self.viewport().update()

    def _mask_release(self) -> None:
        if self._painting is not None:
            self._finish_stroke()
        elif self._scribbles.drawing is not None:
            self._finish_scribble()
        elif self._lasso_from is not None:
            drawn_freely = len(self._corners) > self._lasso_from + 3
            self._lasso_from = None
            if drawn_freely:
                self._close_polygon()

    def _move_pen(self, point: QPointF, *, by_key: bool = False) -> None:
        self._pen, self._pen_by_key = point, by_key

    def _inside(self, point: QPointF) -> QPointF:
        assert self._pyramid is not None
        width, height = self._pyramid.size
        return QPointF(min(max(point.x(), 0.0), width), min(max(point.y(), 0.0), height))

    # --- keys --------------------------------------------------------------------------------------------------------

    def _mask_arrow(self, direction: tuple[int, int], *, fast: bool) -> None:
        """Move the pen; it starts in the middle of what is in sight."""
        assert self._pyramid is not None
        image = self.image_rect() & QRectF(self.viewport().rect())
        here = self._pen or self.to_image(image.center())
        step = max(1, round(_PEN_STEP / self.zoom())) * (_PEN_FAST if fast else 1)
        moved = QPointF(here.x() + step * direction[0], here.y() + step * direction[1])
        self._move_pen(self._inside(moved), by_key=True)
        if self._painting is not None:
            self._extend(self._inside(moved))
        self.viewport().update()

    def _mask_enter(self, *, straight: bool) -> bool:
        """Use the tool where the pen is; return whether Enter meant the tool."""
        if self._tool == "polygon" and self._corners and not self._pen_by_key:
            self._close_polygon()
            return True
        if self._pen is None or not self._pen_by_key:
            return False
        point = self._pen
        if self._tool == "polygon":
            if self._corners and self._corners[-1] == point:
                self._close_polygon()
            else:
                self._add_corner(point)
        elif self._tool == "fill":
            self._fill_at(point, take_away=False)
        elif self._tool == "scribble":
            self._begin_scribble(point, opposite=False)
            self._finish_scribble()
        else:
            self._begin_stroke(point, erase=self._tool == "eraser", straight=straight)
            self._finish_stroke()
        return True

    def _takes_enter(self) -> bool:
        return self._tool in MASK_TOOLS and (self._pen_by_key or bool(self._corners))

    def _mask_back(self) -> None:
        """Take the last corner of the polygon back."""
        if self._corners:
            self._corners.pop()
            self.viewport().update()

    def resized(self, steps: int) -> ToolOptions:
        """Return the options with the brush `steps` sizes larger."""
        nearest = min(range(len(SIZES)), key=lambda n: abs(SIZES[n] - self._options.size))
        return replace(self._options, size=SIZES[min(max(nearest + steps, 0), len(SIZES) - 1)])

    # --- strokes -----------------------------------------------------------------------------------------------------

    def _begin_stroke(self, point: QPointF, *, erase: bool, straight: bool) -> None:
        if self._pyramid is None:
            return
        target = self._cut_target(point) if erase else self.mask_target()
        if erase and target is None:
            self.hinted.emit("Nothing to erase here. Select a mask first.")
            return
        allowed = self._allowed(target, erase=erase)
        stroke = Stroke(self._pyramid.size, self._options.size, allowed=allowed)
        self._painting = _Painting(stroke, target, erase)
        colour = target.colour if target is not None else self._paint_class.colour
        self._stroke_item.set_stroke(stroke, colour=colour, erase=erase)
        if straight and self._ended is not None:
            self._extend(self._ended)
        self._extend(point)

    def _extend(self, point: QPointF) -> None:
        if self._painting is None:
            return
        changed = self._painting.stroke.to(point.x(), point.y())
        self._ended = point
        if changed is not None:
            self._stroke_item.show_change(changed)

    def _finish_stroke(self) -> None:
        painting = self._painting
        self._drop_painting()
        if painting is None or painting.stroke.window is None:
            if painting is not None and self._options.on_map:
                word = "reaches" if painting.erase else "stays below"
                self.hinted.emit(f"Nothing changed. The map {word} the threshold here.")
            return
        words = "Mask erased." if painting.erase else "Mask painted."
        self._commit(painting.target, painting.stroke.covered(), take_away=painting.erase, words=words)

    def _allowed(self, target: Region | None, *, erase: bool) -> Allowed | None:
        """Return where a stroke may change pixels: what the map allows, and for the eraser the mask itself."""
        heat, level = self._heat, self._level
        by_map = self._options.on_map and heat is not None and level is not None
        base = target.shape.pixels if target is not None and isinstance(target.shape, Mask) else None
        if not by_map and not erase:
            return None

        def allowed(window: Window) -> BoolMask:
            x0, y0, x1, y1 = window
            part = np.ones((y1 - y0, x1 - x0), dtype=np.bool_)
            if erase and base is not None:
                part &= base[y0:y1, x0:x1]
            if by_map and heat is not None and level is not None:
                kept = heat.geometry.upsample(heat.cells, window=window) >= np.float32(level)
                part &= ~kept if erase else kept
            return part

        return allowed

    # --- scribbles ---------------------------------------------------------------------------------------------------

    def _begin_scribble(self, point: QPointF, *, opposite: bool) -> None:
        self._follow_mask()
        inside = self._options.take_away == opposite
        self._scribbles.begin(self._inside(point), width=self._options.size, inside=inside)

    def _finish_scribble(self) -> None:
        target = self.mask_target()
        strokes = self._scribbles.finish()
        self.scribbled.emit(Scribbled(target.key if target is not None else None, strokes))

    def _follow_mask(self) -> None:
        target = self.mask_target()
        if target is not None and isinstance(target.shape, Mask):
            self._scribbles.follow(target.shape.class_id, target.shape.pixels)
        else:
            self._scribbles.follow(self._paint_class.class_id, None)

    # --- polygon and fill --------------------------------------------------------------------------------------------

    def _add_corner(self, point: QPointF) -> None:
        corner = self._inside(point)
        if len(self._corners) >= 3:
            away = self.to_screen(self._corners[0]) - self.to_screen(corner)
            if max(abs(away.x()), abs(away.y())) <= GRIP:
                self._close_polygon()
                return
        self._corners.append(corner)
        self.viewport().update()

    def _close_polygon(self) -> None:
        corners, take_away = self._corners, self._options.take_away
        self._drop_painting()
        if self._pyramid is None:
            return
        if len(corners) < 3:
            self.hinted.emit("A polygon needs three corners.")
            return
        target = self._cut_target(corners[0]) if take_away else self.mask_target()
        if take_away and target is None:
            self.hinted.emit("Nothing to take away here. Select a mask first.")
            return
        window, inside = drawing.polygon([(c.x(), c.y()) for c in corners], self._pyramid.size)
        allowed = self._allowed(target, erase=take_away)
        if allowed is not None and inside.size:
            inside &= allowed(window)
        words = "Polygon cut out." if take_away else "Polygon filled."
        self._commit(target, [Patch(window, inside)], take_away=take_away, words=words)

    def _fill_at(self, point: QPointF, *, take_away: bool) -> None:
        """Close a hole, add the area of similar colour, or take a piece away."""
        if self._pyramid is None:
            return
        width, height = self._pyramid.size
        at = int(point.x()), int(point.y())
        if not (0 <= point.x() < width and 0 <= point.y() < height):
            return
        target = self._layer.mask_at(point) if take_away else self.mask_target()
        base = target.shape.pixels if target is not None and isinstance(target.shape, Mask) else None
        whole = (0, 0, width, height)
        if take_away:
            if base is None:
                self.hinted.emit("There is no mask here.")
                return
            area, words = drawing.piece_at(base, at), "Piece removed."
        else:
            allowed = self._allowed(target, erase=False)
            room = allowed(whole) if allowed is not None else None
            area, words = np.zeros((height, width), dtype=np.bool_), "Area filled."
            if base is not None and not base[at[1], at[0]]:
                area = drawing.hole_at(base, at)
                area = area & room if room is not None else area
                words = "Hole filled." if area.any() else words
            if not area.any():
                pixels = self._pyramid.pixels
                area = drawing.similar_area(pixels, at, tolerance=self._options.tolerance, allowed=room)
            if not area.any():
                self.hinted.emit("Nothing changed. The map stays below the threshold here.")
                return
        self._commit(target, [Patch(whole, area)], take_away=take_away, words=words)

    def _commit(self, target: Region | None, covered: Iterable[Patch], *, take_away: bool, words: str) -> None:
        """Emit what `covered` makes of the target, if it makes anything."""
        base = self._pixels_of(target)
        patches = drawing.changed(base, covered, take_away=take_away)
        if self._options.fill_holes and self._tool == "brush" and not take_away and patches:
            patches = drawing.with_closed(base, patches)
        if patches:
            self.mask_edited.emit(MaskEdited(target.key if target is not None else None, patches, words))

    def _pixels_of(self, target: Region | None) -> BoolMask:
        """Return the pixels of a mask; all empty without one."""
        if target is not None and isinstance(target.shape, Mask):
            return target.shape.pixels
        assert self._pyramid is not None
        width, height = self._pyramid.size
        return np.zeros((height, width), dtype=np.bool_)

    # --- painting on the screen --------------------------------------------------------------------------------------

    def _paint_overlays(self, painter: QPainter, to_screen: QTransform) -> None:
        super()._paint_overlays(painter, to_screen)
        if self._tool not in MASK_TOOLS:
            return
        if self._tool == "polygon":
            self._paint_polygon(painter, to_screen)
        elif self._tool == "scribble":
            self._scribbles.paint(painter, to_screen, self._colour())
        if self._pen is None or not (self.viewport().underMouse() or self._pen_by_key):
            return
        place = to_screen.map(self._pen)
        if self._tool in {"brush", "eraser", "scribble"}:
            radius = self._options.size / 2 * to_screen.m11()
            if radius >= _RING_FROM:
                self._paint_ring(painter, place, radius)
        if self._pen_by_key:
            self._paint_cross(painter, place)

    def _colour(self) -> str:
        """Return the colour of what is painted."""
        target = self.mask_target()
        return (self._paint_class.colour if target is None else target.colour) or annotate.PLAIN

    def _paint_ring(self, painter: QPainter, middle: QPointF, radius: float) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((theme().color("casing", annotate.CASING_ALPHA), 3.0), (QColor(annotate.PLAIN), 1.0)):
            painter.setPen(QPen(colour, width))
            painter.drawEllipse(middle, radius, radius)

    def _paint_cross(self, painter: QPainter, middle: QPointF) -> None:
        for colour, width in ((theme().color("casing", annotate.CASING_ALPHA), 3.0), (QColor(annotate.PLAIN), 1.0)):
            painter.setPen(QPen(colour, width))
            for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(middle + QPointF(4.0 * x, 4.0 * y), middle + QPointF(10.0 * x, 10.0 * y))

    def _paint_polygon(self, painter: QPainter, to_screen: QTransform) -> None:
        if not self._corners:
            return
        path = QPainterPath(to_screen.map(self._corners[0]))
        for corner in self._corners[1:]:
            path.lineTo(to_screen.map(corner))
        if self._pen is not None and self._lasso_from is None:
            path.lineTo(to_screen.map(self._inside(self._pen)))
        colour = annotate.PLAIN if self._options.take_away else self._colour()
        pen = annotate.stroke(colour, annotate.BOX_WIDTH, touched=not self._options.take_away)
        annotate.paint_path(painter, path, pen, annotate.BOX_WIDTH)
        corners = self._corners[:1] if self._lasso_from is not None else self._corners
        for corner in corners:
            place = to_screen.map(corner)
            annotate.paint_handle(painter, place.x(), place.y())
