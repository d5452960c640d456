"""How regions are painted: strokes on a casing, handles, name tags. Screen pixels, the same at every zoom.

Line style is origin (dashed automatic, solid touched, white dots not yet a region), colour is class.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from camviewer.ui.canvas.geometry import HANDLES, Rect
from camviewer.ui.canvas.outline import CASING, EDGE, INSIDE
from camviewer.ui.qimage import argb_table, indexed_image
from camviewer.ui.theme import theme

MASK_WIDTH = 2.0
BOX_WIDTH = 1.5
LIVE_WIDTH = 1.0
HANDLE = 7.0
CASING_ALPHA = 0.85
JOIN = Qt.PenJoinStyle.MiterJoin
"""Round joins look the same at these widths and take Qt four times as long on a long outline."""
_DASH = 5, 2
"""Dash and gap of an outline that is a raster, in its pixels."""
PLAIN = "#FFFFFF"
"""Regions without a class, handles and the live outline."""


def casing(width: float) -> QPen:
    """Return the near-black pen below a stroke of `width`, one pixel wider on each side."""
    pen = QPen(theme().color("casing", CASING_ALPHA), width + 2)
    pen.setCosmetic(True)
    pen.setJoinStyle(JOIN)
    return pen


def stroke(colour: str, width: float, *, touched: bool) -> QPen:
    """Return the pen of a region: solid when a person touched it, else dashed."""
    pen = QPen(QColor(colour), width)
    pen.setCosmetic(True)
    pen.setJoinStyle(JOIN)
    if not touched:
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        pen.setDashPattern([6 / width, 4 / width])
    return pen


def live_pen() -> QPen:
    """Return the pen of the live threshold: thin white dots."""
    pen = QPen(QColor(PLAIN), LIVE_WIDTH)
    pen.setCosmetic(True)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    pen.setDashPattern([2.5, 2.0])
    return pen


def paint_path(painter: QPainter, path: QPainterPath, pen: QPen, width: float) -> None:
    """Paint a path on its casing; both pens keep their width under the painter's transform."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for each in (casing(width), pen):
        painter.setPen(_dense(each, painter))
        painter.drawPath(path)


def edges_image(edges: NDArray[np.uint8], colour: str, *, touched: bool, fill: float) -> QImage:
    """Return a raster of `outline.edges` as it is painted, for masks of too many pieces to draw each.

    The inside has the opacity `fill`, 0..1.
    """
    colours = np.zeros((256, 3), dtype=np.uint8)
    alpha = np.zeros(256)
    ink, dark = QColor(colour), theme().color("casing")
    colours[[INSIDE, EDGE]] = ink.red(), ink.green(), ink.blue()
    colours[CASING] = dark.red(), dark.green(), dark.blue()
    alpha[[INSIDE, CASING, EDGE]] = fill, CASING_ALPHA, 1.0
    if not touched:
        rows, columns = np.ogrid[: edges.shape[0], : edges.shape[1]]
        gaps = (rows + columns) % sum(_DASH) >= _DASH[0]
        edges = np.where(gaps & (edges == EDGE), np.uint8(CASING), edges)
    image = indexed_image(edges, argb_table(colours, alpha))
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def paint_box(painter: QPainter, rect: Rect, colour: str, *, touched: bool) -> None:
    """Paint the line of a box, given in screen pixels."""
    edges = snapped(rect)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (casing(BOX_WIDTH), stroke(colour, BOX_WIDTH, touched=touched)):
        painter.setPen(_dense(pen, painter))
        painter.drawRect(edges)


def _dense(pen: QPen, painter: QPainter) -> QPen:
    """Return a cosmetic pen in logical pixels: Qt takes its width in those of the device."""
    pen.setWidthF(pen.widthF() * painter.device().devicePixelRatioF())
    return pen


def snapped(rect: Rect) -> QRectF:
    """Return edges moved to the middles of the nearest screen pixels, where a line is sharp."""
    x0, y0, x1, y1 = (math.floor(edge) + 0.5 for edge in (rect.x0, rect.y0, rect.x1, rect.y1))
    return QRectF(QPointF(x0, y0), QPointF(x1, y1))


def paint_handles(painter: QPainter, rect: Rect) -> None:
    """Paint the eight white squares of the selected box; the four on the sides only where there is room."""
    roomy_x, roomy_y = rect.x1 - rect.x0 >= 4 * HANDLE, rect.y1 - rect.y0 >= 4 * HANDLE
    for name in HANDLES:
        if (name in {"n", "s"} and not roomy_x) or (name in {"e", "w"} and not roomy_y):
            continue
        paint_handle(painter, *rect.handle(name))


def paint_handle(painter: QPainter, x: float, y: float) -> None:
    """Paint one white square around a point."""
    painter.setPen(QPen(theme().color("casing", CASING_ALPHA), 1))
    painter.setBrush(QColor(PLAIN))
    # On whole pixels, so that the square is as sharp as its edge.
    painter.drawRect(QRectF(round(x - HANDLE / 2) + 0.5, round(y - HANDLE / 2) + 0.5, HANDLE, HANDLE))


def paint_tag(painter: QPainter, anchor: QPointF, text: str, colour: str, room: QRectF) -> QRectF:
    """Paint a name tag above `anchor` and return its rectangle; it is kept inside `room`, below where above is none."""
    font = theme().font("name")
    metrics = QFontMetricsF(font)
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, 200)
    height = metrics.height() + 6
    width = metrics.horizontalAdvance(shown) + 27
    x = min(max(anchor.x(), room.left() + 4), max(room.left() + 4, room.right() - width - 4))
    y = anchor.y() - height - 7
    if y < room.top() + 4:
        y = min(max(anchor.y() + 7, room.top() + 4), room.bottom() - height - 4)
    tag = QRectF(round(x), round(y), width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().color("readout", 0.92))
    painter.drawRoundedRect(tag, 5, 5)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(QRectF(tag.left() + 8, tag.center().y() - 4, 8, 8), 2, 2)
    painter.setPen(theme().color("on-image"))
    painter.setFont(font)
    painter.drawText(tag.adjusted(21, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)
    return tag


def paint_words(painter: QPainter, middle: QPointF, title: str, text: str, *, on_image: bool, width: float) -> None:
    """Paint one strong and one quiet line around `middle`."""
    colors = theme()
    painter.setPen(colors.color("on-image" if on_image else "text"))
    painter.setFont(colors.font("subject"))
    centred = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
    height = QFontMetricsF(colors.font("subject")).height()
    upper = QRectF(middle.x() - width / 2, middle.y() - height - 2, width, height)
    painter.drawText(upper, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom, title)
    if text:
        painter.setPen(colors.color("on-image" if on_image else "text-2"))
        painter.setFont(colors.font("body"))
        lower = QRectF(middle.x() - width / 2, middle.y() + 4, width, 4 * height)
        painter.drawText(lower, int(centred | Qt.AlignmentFlag.AlignTop), text)
