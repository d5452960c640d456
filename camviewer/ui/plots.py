"""Small drawings of a training: curves over epochs, and a confusion matrix. Told apart by marker as well as colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from camviewer.formats.axes import nice_axis
from camviewer.ui.painting import painting
from camviewer.ui.theme import theme

LEFT, TOP, RIGHT, BOTTOM = 44.0, 26.0, 92.0, 22.0
SERIES = ("accent-text", "text", "warn", "ok", "bad", "text-3")
"""Colours of series by their place; at most so many are told apart by colour, all by marker and name."""


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: its name at its end, and points (x, y) by x."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A height that curves are read against, for example that of a control."""

    name: str
    value: float


class CurvePlot(QWidget):
    """Curves over epochs, named at their ends, with dotted levels to compare with."""

    def __init__(self, title: str, note: str = "", *, tip: str = "") -> None:
        super().__init__()
        self._title, self._note = title, note
        self._series: tuple[Series, ...] = ()
        self._levels: tuple[Level, ...] = ()
        self._marked: float | None = None
        self.setAccessibleName(title)
        self.setToolTip(tip)
        self.setMinimumSize(200, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(300, 180)

    def set_title(self, title: str, note: str = "", *, tip: str = "") -> None:
        """Say what is drawn."""
        self._title, self._note = title, note
        self.setAccessibleName(title)
        self.setToolTip(tip)
        self.update()

    def set_curves(
        self, series: Sequence[Series], levels: Sequence[Level] = (), *, marked: float | None = None
    ) -> None:
        """Draw these; `marked` is an x with a line through it. Points that are not finite are left out."""
        self._series = tuple(
            Series(one.name, tuple(point for point in one.points if math.isfinite(point[1])), one.dashed)
            for one in series
        )
        self._levels = tuple(level for level in levels if math.isfinite(level.value))
        self._marked = marked
        ends = [f"{one.name} {one.points[-1][1]:.3f}" for one in self._series if one.points]
        ends += [f"{level.name} {level.value:.3f}" for level in self._levels]
        self.setAccessibleDescription(", ".join(ends))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the curves") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        strong, quiet = colors.font("section"), colors.font("caption")
        painter.setFont(strong)
        painter.setPen(colors.color("text"))
        painter.drawText(QPointF(LEFT - 30, 15), self._title)
        if self._note:
            across = QFontMetricsF(strong).horizontalAdvance(self._title)
            painter.setFont(quiet)
            painter.setPen(colors.color("text-3"))
            painter.drawText(QPointF(LEFT - 20 + across, 15), self._note)
        values = [y for one in self._series for _, y in one.points] + [level.value for level in self._levels]
        low, high, step = nice_axis(min(values), max(values)) if values else (0.0, 1.0, 1.0)
        metrics = QFontMetricsF(quiet)
        left = max(LEFT, *(8 + metrics.horizontalAdvance(_tick(end, step)) for end in (low, high)))
        area = QRectF(left, TOP, self.width() - left - RIGHT, self.height() - TOP - BOTTOM)
        if not values or area.width() < 20 or area.height() < 20:
            painter.setFont(quiet)
            painter.setPen(colors.color("text-3"))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, "Nothing measured yet")
            return
        xs = sorted({x for one in self._series for x, _ in one.points})
        first, last = (xs[0], xs[-1]) if xs else (0.0, 1.0)
        span = max(last - first, 1e-9)

        def at(x: float, y: float) -> QPointF:
            across = area.left() + ((x - first) / span if last > first else 0.5) * area.width()
            return QPointF(across, area.bottom() - (y - low) / (high - low) * area.height())

        self._paint_grid(painter, area, (low, high, step), [at(x, low).x() for x in (first, last)], (first, last))
        labels: list[tuple[float, str, QColor]] = []
        for level in self._levels:
            y = at(first, level.value).y()
            painter.setPen(QPen(colors.color("text-3"), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            labels.append((y, level.name, colors.color("text-3")))
        if self._marked is not None and first <= self._marked <= last:
            x = at(self._marked, low).x()
            painter.setPen(QPen(colors.color("outline"), 1))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for number, one in enumerate(self._series):
            if not one.points:
                continue
            colour = colors.color(SERIES[number % len(SERIES)])
            points = [at(x, y) for x, y in one.points]
            pen = QPen(colour, 2, Qt.PenStyle.DashLine if one.dashed else Qt.PenStyle.SolidLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF(points))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            for point in points if len(points) <= 40 else points[-1:]:
                _marker(painter, point, number)
            labels.append((points[-1].y(), one.name, colour))
        self._paint_labels(painter, area, labels)

    def _paint_grid(
        self,
        painter: QPainter,
        area: QRectF,
        axis: tuple[float, float, float],
        ends: list[float],
        values: tuple[float, float],
    ) -> None:
        colors = theme()
        low, high, step = axis
        painter.setFont(colors.font("caption"))
        metrics = QFontMetricsF(painter.font())
        for number in range(round((high - low) / step) + 1):
            value = low + number * step
            y = area.bottom() - (value - low) / (high - low) * area.height()
            painter.setPen(QPen(colors.color("line"), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(colors.color("text-3"))
            words = _tick(value, step)
            painter.drawText(
                QPointF(area.left() - 8 - metrics.horizontalAdvance(words), y + metrics.ascent() / 2), words
            )
        for x, value in dict(zip(ends, values, strict=True)).items():
            words = f"{value:g}"
            painter.drawText(
                QPointF(x - metrics.horizontalAdvance(words) / 2, area.bottom() + metrics.height() + 2), words
            )

    @staticmethod
    def _paint_labels(painter: QPainter, area: QRectF, labels: list[tuple[float, str, QColor]]) -> None:
        """Write the names at the right, moved apart where they would touch."""
        painter.setFont(theme().font("caption"))
        metrics = QFontMetricsF(painter.font())
        labels = sorted(labels, key=lambda entry: entry[:2])
        places = spread([wanted for wanted, _, _ in labels], metrics.height(), area.bottom())
        for y, (_, name, colour) in zip(places, labels, strict=True):
            painter.setPen(colour)
            words = metrics.elidedText(name, Qt.TextElideMode.ElideRight, RIGHT - 14)
            painter.drawText(QPointF(area.right() + 10, y + metrics.ascent() / 2 - 1), words)


def spread(wanted: Sequence[float], height: float, last: float) -> list[float]:
    """Return places near the `wanted` ones (sorted) that are `height` apart, none beyond `last`."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + height) if places else place)
    for number in reversed(range(len(places))):
        places[number] = min(places[number], last - (len(places) - 1 - number) * height)
    return places


def _tick(value: float, step: float) -> str:
    """Return a number of an axis, with the decimals of its steps."""
    decimals = max(0, -math.floor(math.log10(step))) if step < 1 else 0
    return f"{value:.{decimals}f}"


def _marker(painter: QPainter, point: QPointF, number: int) -> None:
    if number % 3 == 0:
        painter.drawEllipse(point, 3.2, 3.2)
    elif number % 3 == 1:
        painter.drawRect(QRectF(point.x() - 3, point.y() - 3, 6, 6))
    else:
        corners = [QPointF(0, -4), QPointF(4, 3), QPointF(-4, 3)]
        painter.drawPolygon(QPolygonF([point + corner for corner in corners]))


class ConfusionView(QWidget):
    """How often each class (row) was taken for each (column); a row's shares as shades, counts in the cells."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: NDArray[np.int64] | None = None
        self._names: tuple[str, ...] = ()
        self.setAccessibleName("Confusion matrix")
        self.setMinimumSize(200, 160)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(320, 260)

    def set_counts(self, counts: NDArray[np.int64] | None, names: Sequence[str]) -> None:
        """Show a matrix ``[C, C]``, rows the true class; None where nothing is judged."""
        self._counts, self._names = counts, tuple(names)
        if counts is not None:
            recalls = [
                f"{name} {counts[i, i]} of {int(counts[i].sum())}"
                for i, name in enumerate(self._names[: len(counts)])
                if counts[i].sum()
            ]
            self.setAccessibleDescription("; ".join(recalls))
        self.update()

    def event(self, event: object) -> bool:
        if isinstance(event, QHelpEvent) and self._counts is not None:
            place = self._place(QPointF(event.pos()))
            if place is not None:
                true, taken = place
                words = f"{self._counts[true, taken]} of {self._names[true]} called {self._names[taken]}"
                QToolTip.showText(event.globalPos(), words, self)
                return True
        return super().event(event)  # type: ignore[arg-type]

    def _area(self) -> tuple[QRectF, float]:
        left, top = 84.0, 26.0
        count = max(1, len(self._names))
        side = min((self.width() - left - 4) / count, (self.height() - top - 36) / count)
        return QRectF(left, top, side * count, side * count), side

    def _place(self, point: QPointF) -> tuple[int, int] | None:
        area, side = self._area()
        if not area.contains(point) or self._counts is None:
            return None
        column, row = int((point.x() - area.left()) / side), int((point.y() - area.top()) / side)
        return (row, column) if max(row, column) < len(self._counts) else None

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the confusion matrix") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        painter.setFont(colors.font("section"))
        painter.setPen(colors.color("text"))
        painter.drawText(QPointF(2, 15), "True class by predicted class")
        painter.setFont(colors.font("caption"))
        if self._counts is None or not self._names:
            painter.setPen(colors.color("text-3"))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, "Nothing judged yet")
            return
        area, side = self._area()
        metrics = QFontMetricsF(painter.font())
        shares = self._counts / np.maximum(self._counts.sum(axis=1, keepdims=True), 1)
        for row, name in enumerate(self._names):
            y = area.top() + row * side
            painter.setPen(colors.color("text-2"))
            words = metrics.elidedText(name, Qt.TextElideMode.ElideRight, area.left() - 12)
            painter.drawText(QRectF(0, y, area.left() - 8, side), _RIGHT, words)
            for column in range(len(self._names)):
                cell = QRectF(area.left() + column * side, y, side - 1, side - 1)
                share = float(shares[row, column])
                painter.fillRect(cell, colors.color("raised"))
                token = "accent" if row == column else "warn"
                painter.fillRect(cell, colors.color(token, 0.12 + 0.78 * share if share else 0.0))
                count = int(self._counts[row, column])
                if count and side >= metrics.horizontalAdvance(str(count)) + 4:
                    painter.setPen(colors.color("on-accent" if row == column and share > 0.45 else "text"))
                    painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, str(count))
        painter.setPen(colors.color("text-2"))
        for column, name in enumerate(self._names):
            cell = QRectF(area.left() + column * side, area.bottom() + 4, side - 2, 16)
            painter.drawText(
                cell, Qt.AlignmentFlag.AlignCenter, metrics.elidedText(name, Qt.TextElideMode.ElideRight, side - 2)
            )


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
