"""Scribbles on the canvas: the strokes that say what is inside and what is not, and what each mask was made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QTransform

from camviewer.project.records import BoolMask
from camviewer.regions.scribbles import Scribble
from camviewer.ui.canvas import annotate
from camviewer.ui.theme import theme

_LEAST = 3.0
"""Screen pixels of width that a stroke is drawn with at least."""

_STEP = 1.5
"""A stroke gets a point every so many screen pixels."""

_SIGN = 6.0
"""Half the side of the plus or minus at the start of a stroke, in screen pixels."""


class Scribbles:
    """The strokes for one mask, and which of its states came from how many of them, so that undo takes strokes back.

    Attributes:
        drawing: the stroke in progress, or None.
    """

    def __init__(self) -> None:
        self.drawing: Scribble | None = None
        self._strokes: tuple[Scribble, ...] = ()
        self._asked: tuple[Scribble, ...] | None = None
        self._states: list[tuple[tuple[Scribble, ...], BoolMask | None]] = [((), None)]
        self._at = 0
        self._class_id = 0

    @property
    def strokes(self) -> tuple[Scribble, ...]:
        """The strokes that were finished."""
        return self._strokes

    def begin(self, point: QPointF, *, width: float, inside: bool) -> None:
        """Start a stroke at an image point."""
        self.drawing = Scribble(((point.x(), point.y()),), width, inside)

    def extend(self, point: QPointF, zoom: float) -> None:
        """Go on to an image point."""
        if self.drawing is None:
            return
        x, y = self.drawing.points[-1]
        if max(abs(point.x() - x), abs(point.y() - y)) * zoom >= _STEP:
            self.drawing = replace(self.drawing, points=(*self.drawing.points, (point.x(), point.y())))

    def finish(self) -> tuple[Scribble, ...]:
        """End the stroke and return all of them, to cut out with."""
        if self.drawing is not None:
            self._strokes = (*self._strokes, self.drawing)
            self.drawing = None
            self._asked = self._strokes
        return self._strokes

    def settle(self, kept: bool) -> None:
        """Take the strokes since the last answer as part of the present mask, or take them back."""
        before, pixels = self._states[self._at]
        self._strokes = self._strokes if kept else before
        self._states[self._at] = self._strokes, pixels
        self._asked = None

    def follow(self, class_id: int, pixels: BoolMask | None) -> None:
        """Take notice of how the mask of a class is now.

        The answer to the newest stroke is kept beside it; a state that was there before (undo, redo) brings its
        strokes back; any other change is where the next strokes begin.
        """
        known = next((n for n in reversed(range(len(self._states))) if _same(self._states[n][1], pixels)), None)
        if class_id != self._class_id:
            self._begin_anew(class_id, pixels)
        elif known is not None:
            if known != self._at:
                self._at, self._strokes, self._asked = known, self._states[known][0], None
        elif self._asked is not None:
            del self._states[self._at + 1 :]
            self._states.append((self._asked, pixels))
            self._at, self._asked = self._at + 1, None
        else:
            self._begin_anew(class_id, pixels)

    def _begin_anew(self, class_id: int, pixels: BoolMask | None) -> None:
        self._class_id, self._states, self._at = class_id, [((), pixels)], 0
        self._strokes, self._asked = (), None

    def paint(self, painter: QPainter, to_screen: QTransform, colour: str) -> None:
        """Paint the strokes: inside ones solid in the mask's colour with a plus, outside ones dashed with a minus."""
        shown = self._strokes if self.drawing is None else (*self._strokes, self.drawing)
        for scribble in shown:
            places = [to_screen.map(QPointF(*point)) for point in scribble.points]
            path = QPainterPath(places[0])
            for place in places[1:]:
                path.lineTo(place)
            width = max(_LEAST, scribble.width * to_screen.m11())
            if len(places) == 1:
                path.lineTo(places[0] + QPointF(0.01, 0.0))
            self._paint_line(painter, path, colour if scribble.inside else annotate.PLAIN, width, scribble.inside)
            self._paint_sign(painter, places[0], plus=scribble.inside)

    def _paint_line(self, painter: QPainter, path: QPainterPath, colour: str, width: float, inside: bool) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ground = QColor(colour) if inside else theme().color("casing")
        ground.setAlphaF(0.6)
        pen = QPen(ground, width)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.drawPath(path)
        annotate.paint_path(painter, path, annotate.stroke(colour, 1.0, touched=inside), 1.0)

    def _paint_sign(self, painter: QPainter, place: QPointF, *, plus: bool) -> None:
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 1))
        painter.setBrush(QColor(annotate.PLAIN))
        painter.drawEllipse(place, _SIGN + 1, _SIGN + 1)
        painter.setPen(QPen(theme().color("casing"), 1.6))
        reach = _SIGN - 3
        painter.drawLine(place - QPointF(reach, 0), place + QPointF(reach, 0))
        if plus:
            painter.drawLine(place - QPointF(0, reach), place + QPointF(0, reach))


def _same(first: BoolMask | None, second: BoolMask | None) -> bool:
    if first is None or second is None or first is second:
        return first is second
    # Counting is faster than comparing, and nearly always enough.
    return (
        first.shape == second.shape
        and np.count_nonzero(first) == np.count_nonzero(second)
        and np.array_equal(first, second)
    )
