"""Methods, layers or checkpoints by classes: every cell shows the same part of the same image, each under its own map.

The part in sight is the same in all cells, so it is converted once and painted in each; a cell adds its map, an
indexed image with a table of colours, as the canvas does.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from camviewer.images.geometry import FloatMap
from camviewer.project.records import ActivationMap
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.heatmap import HeatMap, colours
from camviewer.ui.canvas.items import DIM, NEAREST_FROM
from camviewer.ui.canvas.live import live_threshold
from camviewer.ui.canvas.numbers import percent, raw
from camviewer.ui.canvas.outline import Outline
from camviewer.ui.canvas.pyramid import Pyramid
from camviewer.ui.canvas.zoom import WHEEL_STEP
from camviewer.ui.compare.linked_view import LinkedView
from camviewer.ui.qimage import indexed_image
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

LEFT, TOP, GAP, EDGE = 116, 32, 8, 12
_OUTLINE = 1.5
_SMALL = 128
"""Longest side of maps that are compared by numbers."""
_ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One class: its model index, place by score from 1, name, colour and probability.

    What is no class (a checkpoint) has the rank 0, no colour and no probability.
    """

    class_index: int
    rank: int
    name: str
    colour: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared, a method or a layer or a checkpoint: its key, its title and a word below."""

    key: str
    title: str
    detail: str = ""


@dataclass(slots=True)
class _Cell:
    """What a cell shows; `heat` None while it is computed or when it cannot be."""

    heat: HeatMap | None = None
    outline: Outline | None = None
    picture: QImage | None = None
    note: str = ""
    layer: str = ""
    seconds: float = 0.0
    hit: bool | None = None


class CompareGrid(QWidget):
    """The grid. Wheel zooms all cells, drag moves them; arrow keys choose a cell, Enter opens it.

    Signals:
        cell_opened: (key of the row, class index) of a cell that was opened by Enter or a double click.
        maps_changed: other maps, rows or columns are there, or another cell is chosen.
    """

    cell_opened = Signal(str, int)
    maps_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._seen = LinkedView()
        self._message = ("", "")
        self._rows: tuple[Row, ...] = ()
        self._columns: tuple[Column, ...] = ()
        self._cells: dict[tuple[str, int], _Cell] = {}
        self._rule = RegionRule()
        self._colour_map, self._opacity = "viridis", 0.6
        self._cursor: QPointF | None = None
        self._drag: QPointF | None = None
        self._current = (0, 0)
        self._used = ""
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(240, 160)
        self.setAccessibleName("Comparison")
        self.setToolTip("")
        theme().changed.connect(self.update)

    # --- what is shown --------------------------------------------------------------------------------------------

    def set_image(self, pixels: NDArray[np.uint8] | None, message: tuple[str, str] = ("", "")) -> None:
        """Show another image, upright RGB, or two lines in its place; all maps are gone until they are set."""
        self._message = message
        self._seen.set_image(None if pixels is None else Pyramid(pixels))
        self._cells, self._cursor = {}, None
        self.fit()
        self._describe()

    def set_grid(self, rows: Sequence[Row], columns: Sequence[Column], *, used: str = "") -> None:
        """Choose rows and classes; maps that are known stay. `used` is the row that regions are made of."""
        self._rows, self._columns, self._used = tuple(rows), tuple(columns), used
        row, column = self._current
        self._current = min(row, max(0, len(rows) - 1)), min(column, max(0, len(columns) - 1))
        if self._seen.fitted:
            self.fit()
        self._describe()
        self.update()
        self.maps_changed.emit()

    def forget_maps(self) -> None:
        """Empty all cells: what was computed does not answer the present choices."""
        self._cells = {}
        self._describe()
        self.update()
        self.maps_changed.emit()

    def set_map(
        self,
        found: ActivationMap,
        *,
        row: str = "",
        note: str = "",
        peak: float | None = None,
        hit: bool | None = None,
    ) -> None:
        """Show a map in the cell of its row and class.

        Args:
            found: the map.
            row: key of the row; the map's method when empty.
            note: stands in the cell ("Partial map").
            peak: value of the last colour, for several maps on one scale; the map's own maximum when None.
            hit: whether the maximum lies where it should: a ring marks it there, else a cross; nothing when None.
        """
        if self._seen.image is None or found.geometry.image_size != self._seen.image.size:
            return
        cell = _Cell(HeatMap.of(found, peak=peak), note=note, layer=found.layer, seconds=found.seconds, hit=hit)
        self._cells[row or found.method, found.class_index] = cell
        self._trace(cell)
        self._describe()
        self.update()
        self.maps_changed.emit()

    def set_note(self, row: str, class_index: int, note: str) -> None:
        """Say in a cell why it is empty."""
        self._cells[row, class_index] = _Cell(note=note)
        self._describe()
        self.update()

    def rows(self) -> tuple[Row, ...]:
        """Return what has a row."""
        return self._rows

    def columns(self) -> tuple[Column, ...]:
        """Return what has a column."""
        return self._columns

    def chosen(self) -> tuple[Column | None, dict[int, FloatMap]]:
        """Return the column of the chosen cell, and its maps by row, all interpolated to the same small raster."""
        if not self._columns:
            return None, {}
        column = self._columns[min(self._current[1], len(self._columns) - 1)]
        maps = {}
        for number, row in enumerate(self._rows):
            cell = self._cells.get((row.key, column.class_index))
            if cell is not None and cell.heat is not None:
                step = max(1, round(max(cell.heat.values.shape) / _SMALL))
                maps[number] = cell.heat.values[step // 2 :: step, step // 2 :: step]
        return column, maps

    def missing(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the rows' keys and the classes of which a map is not there, or only part of it."""
        lacking = [
            (row.key, column.class_index)
            for row in self._rows
            for column in self._columns
            if (cell := self._cells.get((row.key, column.class_index))) is None
            or (cell.heat is None) == (not cell.note)
        ]
        rows = tuple(dict.fromkeys(key for key, _ in lacking))
        return rows, tuple(dict.fromkeys(index for _, index in lacking))

    def set_rule(self, rule: RegionRule) -> None:
        """Outline in each cell what this rule keeps."""
        self._rule = rule
        for cell in self._cells.values():
            self._trace(cell)
        self.update()

    def set_look(self, colour_map: str, opacity: float) -> None:
        """Choose colour map and opacity of all cells."""
        self._colour_map, self._opacity = colour_map, opacity
        for cell in self._cells.values():
            cell.picture = None
        self.update()

    def _trace(self, cell: _Cell) -> None:
        cell.outline = Outline(live_threshold(cell.heat, self._rule)[1]) if cell.heat is not None else None

    # --- view -----------------------------------------------------------------------------------------------------

    def cell_rect(self, row: int, column: int) -> QRectF:
        """Return where a cell lies in the widget."""
        rows, columns = max(1, len(self._rows)), max(1, len(self._columns))
        room = QRectF(LEFT, TOP, self.width() - LEFT - EDGE, self.height() - TOP - EDGE)
        width = (room.width() - GAP * (columns - 1)) / columns
        height = (room.height() - GAP * (rows - 1)) / rows
        left, top = room.left() + column * (width + GAP), room.top() + row * (height + GAP)
        return QRectF(round(left), round(top), max(1, math.floor(width)), max(1, math.floor(height)))

    def fit(self) -> None:
        """Show the whole image in every cell."""
        self._seen.fit(self.cell_rect(0, 0))
        self.update()

    def zoom(self) -> float:
        """Return screen pixels per image pixel, the same in all cells."""
        return self._seen.zoom

    def to_screen(self, cell: QRectF) -> QTransform:
        """Return what takes image points to the widget, in the cell that lies at `cell`."""
        return self._seen.to_screen(cell)

    def cell_at(self, position: QPointF) -> tuple[int, int] | None:
        """Return row and column of the cell under a point of the widget."""
        for row in range(len(self._rows)):
            for column in range(len(self._columns)):
                if self.cell_rect(row, column).contains(position):
                    return row, column
        return None

    def _image_point(self, position: QPointF) -> QPointF | None:
        place = self.cell_at(position)
        if place is None or self._seen.image is None:
            return None
        return self._seen.to_image(position, self.cell_rect(*place))

    def zoom_at(self, position: QPointF, factor: float) -> None:
        """Zoom all cells; the image point under `position` stays there in its cell."""
        place = self.cell_at(position)
        if place is not None and self._seen.image is not None:
            self._seen.zoom_at(position, self.cell_rect(*place), factor)
            self.update()

    # --- pointer and keys -----------------------------------------------------------------------------------------

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y():
            self.zoom_at(event.position(), WHEEL_STEP ** (event.angleDelta().y() / 120))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.cell_at(event.position())
        if place is None:
            return
        self._choose(place)
        self._drag = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is not None:
            self._seen.pan(event.position() - self._drag)
            self._drag = event.position()
        self.set_cursor(self._image_point(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        place = self.cell_at(event.position())
        if place is not None:
            self._choose(place)
            self._open()

    def leaveEvent(self, event: object) -> None:
        self.set_cursor(None)

    def set_cursor(self, point: QPointF | None) -> None:
        """Put the cursor of all cells over an image point, or nowhere."""
        size = (0, 0) if self._seen.image is None else self._seen.image.size
        inside = point is not None and 0 <= point.x() < size[0] and 0 <= point.y() < size[1]
        self._cursor = point if inside else None
        self._describe()
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in _ARROWS and self._rows and self._columns:
            down, across = _ARROWS[Qt.Key(key)]
            row = min(max(self._current[0] + down, 0), len(self._rows) - 1)
            column = min(max(self._current[1] + across, 0), len(self._columns) - 1)
            self._choose((row, column))
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._open()
        else:
            super().keyPressEvent(event)

    def event(self, event: object) -> bool:
        # Enter opens a cell here; it must not mark the image reviewed.
        if isinstance(event, QKeyEvent) and event.type() == QKeyEvent.Type.ShortcutOverride:
            taken = event.key() in {*_ARROWS, Qt.Key.Key_Return, Qt.Key.Key_Enter}
            if taken and event.modifiers() == Qt.KeyboardModifier.NoModifier:
                event.accept()
                return True
        return super().event(event)  # type: ignore[arg-type]

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def _choose(self, place: tuple[int, int]) -> None:
        self._current = place
        self._describe()
        self.update()
        self.maps_changed.emit()

    def _open(self) -> None:
        row, column = self._current
        if row < len(self._rows) and column < len(self._columns):
            self.cell_opened.emit(self._rows[row].key, self._columns[column].class_index)

    def reading(self, row: int, column: int) -> str:
        """Return what a cell says: its value under the cursor of its maximum, or its maximum."""
        cell = self._cells.get((self._rows[row].key, self._columns[column].class_index))
        if cell is None or cell.heat is None:
            return (cell.note if cell is not None else "") or "Computing"
        if not cell.heat.positive:
            return "No positive evidence"
        if self._cursor is None:
            return f"max {raw(cell.heat.high)}"
        value = cell.heat.value_at(math.floor(self._cursor.x()) + 0.5, math.floor(self._cursor.y()) + 0.5)
        return "not seen" if value is None else f"{raw(value)} of {raw(cell.heat.high)}"

    def _describe(self) -> None:
        row, column = self._current
        if row < len(self._rows) and column < len(self._columns):
            words = f"{self._rows[row].title}, {self._columns[column].name}: {self.reading(row, column)}"
        else:
            words = ". ".join(filter(None, self._message))
        self.setAccessibleDescription(words)

    # --- painting -------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._seen.fitted:
            self.fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), theme().color("canvas"))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            if self._seen.image is not None:
                self._paint(painter)
            else:
                middle, width = QRectF(self.rect()).center(), min(480.0, max(60.0, self.width() - 32.0))
                annotate.paint_words(painter, middle, *self._message, on_image=False, width=width)
        except Exception:
            log.exception("the comparison could not be painted")
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        self._paint_heads(painter)
        for row in range(len(self._rows)):
            for column in range(len(self._columns)):
                self._paint_cell(painter, row, column)

    def _paint_heads(self, painter: QPainter) -> None:
        colors = theme()
        strong, quiet = colors.font("section"), colors.font("caption")
        metrics, small = QFontMetricsF(strong), QFontMetricsF(quiet)
        baseline = (TOP + metrics.ascent() - metrics.descent()) / 2
        for number, column in enumerate(self._columns):
            cell = self.cell_rect(0, number)
            x = cell.left()
            if column.rank:
                painter.setFont(quiet)
                painter.setPen(colors.color("text-3"))
                painter.drawText(QPointF(x, baseline), str(column.rank))
                x += small.horizontalAdvance(str(column.rank)) + 6
            if column.colour:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(column.colour))
                painter.drawRoundedRect(QRectF(x, TOP / 2 - 4.5, 9, 9), 2, 2)
                x += 15
            share = "" if column.probability is None else percent(column.probability, decimals=1)
            room = cell.right() - x - small.horizontalAdvance(share) - 20
            name = metrics.elidedText(column.name, Qt.TextElideMode.ElideRight, room)
            painter.setFont(strong)
            painter.setPen(colors.color("text"))
            painter.drawText(QPointF(x, baseline), name)
            painter.setFont(quiet)
            painter.setPen(colors.color("text-2"))
            painter.drawText(QPointF(x + metrics.horizontalAdvance(name) + 8, baseline), share)
        for number, row in enumerate(self._rows):
            cell = self.cell_rect(number, 0)
            cells = [self._cells.get((row.key, column.class_index)) for column in self._columns]
            known = [found for found in cells if found is not None and found.heat is not None]
            lines = [(row.title, strong, "text")]
            if row.detail or known:
                lines.append((row.detail or f"At {known[0].layer}", quiet, "text-2"))
            if known:
                lines.append((_time(known[0].seconds), quiet, "text-3"))
            if row.key == self._used:
                lines.append(("Used for regions", quiet, "accent-text"))
            y = cell.top()
            for words, font, token in lines:
                line = QFontMetricsF(font)
                painter.setFont(font)
                painter.setPen(colors.color(token))
                shown = line.elidedText(words, Qt.TextElideMode.ElideMiddle, LEFT - EDGE - 8)
                painter.drawText(QPointF(EDGE, y + line.ascent()), shown)
                y += line.height() + 2

    def _paint_cell(self, painter: QPainter, row: int, column: int) -> None:
        rect, colors = self.cell_rect(row, column), theme()
        cell = self._cells.get((self._rows[row].key, self._columns[column].class_index))
        to_screen = self.to_screen(rect)
        image = to_screen.mapRect(self._seen.bounds()) & rect
        painter.save()
        painter.setClipRect(rect)
        area, picture = self._seen.picture(rect, painter.device().devicePixelRatioF())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._seen.zoom < NEAREST_FROM)
        painter.drawImage(to_screen.mapRect(area), picture)
        if cell is not None and cell.heat is not None and cell.heat.positive:
            self._paint_heat(painter, cell, to_screen)
            self._paint_outline(painter, cell, to_screen, self._columns[column].colour or annotate.PLAIN)
            if cell.hit is not None:
                self._paint_peak(painter, to_screen.map(cell.heat.peak), ring=cell.hit)
        else:
            painter.fillRect(image, colors.color("readout", DIM))
            words, below = self.reading(row, column), ""
            if cell is not None and cell.heat is not None:
                below = "The whole map is zero or below"
            elif cell is not None and cell.note:
                words, below = "No map", cell.note
            annotate.paint_words(painter, image.center(), words, below, on_image=True, width=max(60, rect.width() - 16))
        if self._cursor is not None:
            self._paint_cross(painter, to_screen.map(self._cursor))
        painter.restore()
        if cell is not None and cell.heat is not None and cell.heat.positive:
            chips = (
                [f"{self.reading(row, column)}  {cell.note}", cell.note] if cell.note else [self.reading(row, column)]
            )
            self._paint_chip(painter, QPointF(image.left() + 6, image.bottom() - 6), chips, image.width() - 12)
        if (row, column) == self._current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colors.color("accent-text"), 2 if self.hasFocus() else 1))
            painter.drawRoundedRect(image.adjusted(-2, -2, 2, 2), 4, 4)

    def _paint_heat(self, painter: QPainter, cell: _Cell, to_screen: QTransform) -> None:
        assert cell.heat is not None
        if cell.picture is None:
            table = colours(self._colour_map, self._opacity)
            indexed = indexed_image(cell.heat.indices, table)
            cell.picture = indexed.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        x0, y0, x1, y1 = cell.heat.geometry.frame
        painter.save()
        painter.setClipRect(to_screen.mapRect(QRectF(x0, y0, x1 - x0, y1 - y0)), Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(to_screen.mapRect(QRectF(0, 0, *cell.heat.image_size)), cell.picture)
        painter.restore()

    def _paint_outline(self, painter: QPainter, cell: _Cell, to_screen: QTransform, colour: str) -> None:
        if not cell.outline:
            return
        painter.save()
        painter.setTransform(to_screen, True)
        pen = annotate.stroke(colour, _OUTLINE, touched=False)
        annotate.paint_path(painter, cell.outline.path(self._seen.zoom), pen, _OUTLINE)
        painter.restore()

    def _paint_peak(self, painter: QPainter, middle: QPointF, *, ring: bool) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((theme().color("casing"), 5.0), (QColor(annotate.PLAIN), 2.0)):
            painter.setPen(QPen(colour, width))
            if ring:
                painter.drawEllipse(middle, 5.5, 5.5)
            else:
                painter.drawLine(middle - QPointF(5, 5), middle + QPointF(5, 5))
                painter.drawLine(middle - QPointF(5, -5), middle + QPointF(5, -5))

    def _paint_cross(self, painter: QPainter, middle: QPointF) -> None:
        for colour, width in ((theme().color("casing", annotate.CASING_ALPHA), 3.0), (QColor(annotate.PLAIN), 1.0)):
            painter.setPen(QPen(colour, width))
            for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(middle + QPointF(3.0 * x, 3.0 * y), middle + QPointF(8.0 * x, 8.0 * y))

    def _paint_chip(self, painter: QPainter, corner: QPointF, choices: Sequence[str], room: float) -> None:
        """Paint the first of `choices` that fits, the last one shortened where none does."""
        colors = theme()
        font = colors.font("column")
        metrics = QFontMetricsF(font)
        words = next((text for text in choices if metrics.horizontalAdvance(text) <= room - 12), choices[-1])
        words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, max(0.0, room - 12))
        chip = QRectF(0, 0, metrics.horizontalAdvance(words) + 12, metrics.height() + 4)
        chip.moveBottomLeft(corner)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("readout", 0.92))
        painter.drawRoundedRect(chip, 4, 4)
        painter.setFont(font)
        painter.setPen(colors.color("on-image"))
        painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, words)


def _time(seconds: float) -> str:
    return "< 0.01 s" if seconds < 0.01 else f"{seconds:.2f} s"
