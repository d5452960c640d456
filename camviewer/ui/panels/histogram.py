"""A map's histogram with a slider on its axis; the kept part in the accent."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleValueChangeEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from camviewer.images.geometry import FloatMap
from camviewer.ui.canvas.numbers import raw
from camviewer.ui.painting import painting
from camviewer.ui.theme import theme

BINS = 1024
"""Fine bins, from which bars and shares are made."""

_PAD = 8.0


class Distribution:
    """How many pixels of a map have which value: `BINS` even steps from `low` to `high`."""

    def __init__(self, values: FloatMap) -> None:
        finite = values[np.isfinite(values)]
        self.low = float(finite.min()) if finite.size else 0.0
        self.high = float(finite.max()) if finite.size else 0.0
        self.counts = np.zeros(BINS, dtype=np.int64)
        if self.high > self.low:
            self.counts = np.histogram(finite, bins=BINS, range=(self.low, self.high))[0]
        self.total = max(1, int(values.size))

    def share_from(self, value: float) -> float:
        """Return the share of pixels of at least `value`, within a bin's width."""
        if self.high <= self.low:
            return 0.0
        position = (value - self.low) / (self.high - self.low) * BINS
        first = int(np.clip(np.floor(position), 0, BINS - 1))
        part = float(np.clip(first + 1 - position, 0.0, 1.0))
        return (float(self.counts[first + 1 :].sum()) + part * float(self.counts[first])) / self.total

    def bars(self, count: int) -> list[float]:
        """Return `count` bars in 0..1; heights are compressed, or the many pixels near zero would flatten the rest."""
        edges = np.linspace(0, BINS, count + 1).round().astype(int)
        sums = np.add.reduceat(self.counts, edges[:-1]) if count else np.zeros(0)
        tallest = float(sums.max()) if count else 0.0
        return [float((s / tallest) ** 0.4) for s in sums] if tallest > 0 else [0.0] * count


class HistogramSlider(QWidget):
    """The axis runs over the raw values of the map.

    Signals:
        level_dragged: raw value under the pointer, at every step.
        stepped: +1 or -1 (10 for page keys), by key or wheel.
        released: the drag or the key is over.
    """

    level_dragged = Signal(float)
    stepped = Signal(int)
    released = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._distribution: Distribution | None = None
        self._level: float | None = None
        self._movable = True
        self._dragging = False
        self._text = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Threshold")
        self.setToolTip("Values of the map and how many pixels have them. Left and Right move the threshold.")

    def set_distribution(self, distribution: Distribution | None) -> None:
        """Show another map's values."""
        self._distribution = distribution
        self.update()

    def set_level(self, level: float | None, text: str) -> None:
        """Put the slider at a raw value; `text` is what a screen reader says."""
        self._level = level
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(text)
            if QAccessible.isActive():
                QAccessible.updateAccessibility(QAccessibleValueChangeEvent(self, text))
        self.update()

    def set_movable(self, movable: bool) -> None:
        """Allow or refuse moving (Otsu finds the level by itself)."""
        self._movable = movable
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, theme().px(84))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, theme().px(84))

    def _axis(self) -> QRectF:
        """Return the area of the bars; its lower edge is the axis."""
        return QRectF(_PAD, 2, max(1.0, self.width() - 2 * _PAD), self.height() - theme().px(34))

    def _span(self) -> tuple[float, float]:
        if self._distribution is None:
            return 0.0, 0.0
        return min(0.0, self._distribution.low), max(0.0, self._distribution.high)

    def x_of(self, value: float) -> float:
        """Return where a raw value lies, in pixels."""
        low, high = self._span()
        axis = self._axis()
        return axis.left() + axis.width() * (min(max(value, low), high) - low) / (high - low)

    def value_at(self, x: float) -> float:
        """Return the raw value at a place of the axis."""
        low, high = self._span()
        axis = self._axis()
        return low + (high - low) * min(1.0, max(0.0, (x - axis.left()) / axis.width()))

    # --- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the histogram") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        axis = self._axis()
        low, high = self._span()
        if self._distribution is not None and high > low:
            self._paint_bars(painter, axis)
            self._paint_ends(painter, axis, low, high)
        painter.setPen(QPen(colors.color("outline"), 1))
        y = round(axis.bottom()) + 0.5
        painter.drawLine(QPointF(axis.left(), y), QPointF(axis.right(), y))
        if self._level is not None and high > low:
            self._paint_knob(painter, axis)

    def _paint_bars(self, painter: QPainter, axis: QRectF) -> None:
        colors = theme()
        assert self._distribution is not None
        left, right = self.x_of(self._distribution.low), self.x_of(self._distribution.high)
        count = max(1, int((right - left) / 4))
        step = (right - left) / count
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        zero = self.x_of(0.0)
        at = self.x_of(self._level) if self._level is not None else float("inf")
        for number, share in enumerate(self._distribution.bars(count)):
            x = left + number * step
            height = max(1.0, share * (axis.height() - 6)) if share > 0 else 0.0
            middle = x + step / 2
            token = "accent-line" if middle >= at else "bar" if middle >= zero else "track"
            painter.setBrush(colors.color(token if self.isEnabled() else "track"))
            painter.drawRect(QRectF(x, axis.bottom() - height, max(1.0, step - 1), height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def _paint_ends(self, painter: QPainter, axis: QRectF, low: float, high: float) -> None:
        colors = theme()
        painter.setFont(colors.font("caption"))
        metrics = QFontMetricsF(painter.font())
        baseline = self.height() - metrics.descent() - 2
        painter.setPen(colors.color("text-3"))
        last = raw(high)
        painter.drawText(QPointF(axis.right() - metrics.horizontalAdvance(last), baseline), last)
        used = axis.left()
        if low < 0:
            painter.drawText(QPointF(axis.left(), baseline), raw(low))
            used += metrics.horizontalAdvance(raw(low)) + 6
        zero = max(self.x_of(0.0) - (metrics.horizontalAdvance("0") / 2 if low < 0 else 0), axis.left())
        # Next to the first number it may move aside by a little.
        zero = used if used - 8 <= zero < used else zero
        if zero >= used or low == 0:
            painter.drawText(QPointF(zero, baseline), "0")

    def _paint_knob(self, painter: QPainter, axis: QRectF) -> None:
        colors = theme()
        assert self._level is not None
        x = round(self.x_of(self._level)) + 0.5
        y = axis.bottom() + 8
        painter.setPen(QPen(colors.color("text"), 1.5))
        painter.drawLine(QPointF(x, axis.top()), QPointF(x, y))
        if not self._movable:
            return
        painter.setPen(QPen(colors.color("outline"), 1))
        painter.setBrush(colors.color("knob"))
        painter.drawEllipse(QPointF(x, y), 6.5, 6.5)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.drawEllipse(QPointF(x, y), 7.5, 7.5)

    # --- pointer and keys -----------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self._can_move():
            return
        self._dragging = True
        self.level_dragged.emit(self.value_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self.level_dragged.emit(self.value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._dragging and event.button() == Qt.MouseButton.LeftButton:
            self._dragging = False
            self.released.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        # Only where it has the focus, or scrolling the panel would change the threshold.
        if not self.hasFocus() or not self._can_move() or not event.angleDelta().y():
            event.ignore()
            return
        self.stepped.emit(1 if event.angleDelta().y() > 0 else -1)
        self.released.emit()
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: 1,
            Qt.Key.Key_PageDown: -10,
            Qt.Key.Key_PageUp: 10,
        }
        step = steps.get(Qt.Key(event.key()))
        if step is None or not self._can_move():
            super().keyPressEvent(event)
            return
        self.stepped.emit(step)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        super().keyReleaseEvent(event)
        if not event.isAutoRepeat() and event.key() not in {Qt.Key.Key_Tab, Qt.Key.Key_Backtab}:
            self.released.emit()

    def _can_move(self) -> bool:
        low, high = self._span()
        return self._movable and self._distribution is not None and high > low
