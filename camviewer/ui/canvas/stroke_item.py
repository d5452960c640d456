"""The stroke in progress, over the image: an indexed picture of which only the part in sight is ever made."""

from __future__ import annotations

import logging
import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from camviewer.regions.drawing import Stroke, Window
from camviewer.ui.canvas.annotate import PLAIN
from camviewer.ui.qimage import indexed_image
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

PAINTED, ERASED = 0.5, 0.6
"""Opacity of what a stroke adds and of what it takes away."""


class StrokeItem(QGraphicsItem):
    """Shows a `Stroke`; each move repaints only the window that changed."""

    def __init__(self) -> None:
        super().__init__()
        self._stroke: Stroke | None = None
        self._table = np.zeros(256, dtype=np.uint32)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def set_stroke(self, stroke: Stroke | None, *, colour: str | None = None, erase: bool = False) -> None:
        """Show another stroke in the colour of its class (white without one), near-black where it erases; or none."""
        self.prepareGeometryChange()
        self._stroke = stroke
        tint = theme().color("casing", ERASED) if erase else QColor(colour or PLAIN)
        if not erase:
            tint.setAlphaF(PAINTED)
        self._table = np.zeros(256, dtype=np.uint32)
        self._table[1] = tint.rgba()
        self.update()

    def show_change(self, window: Window) -> None:
        """Repaint what changed."""
        x0, y0, x1, y1 = window
        self.update(QRectF(x0, y0, x1 - x0, y1 - y0))

    def boundingRect(self) -> QRectF:
        if self._stroke is None:
            return QRectF()
        height, width = self._stroke.raster.shape
        return QRectF(0, 0, width, height)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        try:
            self._paint(painter, option.exposedRect)
        except Exception:
            log.exception("the stroke could not be painted")

    def _paint(self, painter: QPainter, exposed: QRectF) -> None:
        if self._stroke is None or self._stroke.window is None:
            return
        zoom = QStyleOptionGraphicsItem.levelOfDetailFromTransform(painter.worldTransform())
        zoom *= painter.device().devicePixelRatioF()
        # Zoomed out, every n-th pixel is as much as the screen can show.
        step = max(1, int(1 / zoom)) if zoom > 0 else 1
        left, top, right, bottom = self._stroke.window
        x0 = max(left, math.floor(exposed.left())) // step * step
        y0 = max(top, math.floor(exposed.top())) // step * step
        x1, y1 = min(right, math.ceil(exposed.right())), min(bottom, math.ceil(exposed.bottom()))
        if x0 >= x1 or y0 >= y1:
            return
        part: NDArray[np.uint8] = self._stroke.raster[y0:y1:step, x0:x1:step]
        image = indexed_image(part, self._table).convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(QRectF(x0, y0, part.shape[1] * step, part.shape[0] * step), image)
