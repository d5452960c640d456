"""A few images with their mask before and after, side by side in one row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from camviewer.project.records import CLASS_COLOURS, BoolMask
from camviewer.ui.painting import painting
from camviewer.ui.qimage import screen_image
from camviewer.ui.theme import theme
from camviewer.workers.learning import Preview

GAP = 10.0
CAPTION = 20.0


class BeforeAfter(QWidget):
    """Draws previews in a grid: the outline before dashed, the outline after in a class's colour.

    Signals:
        chosen: key of the image that was clicked.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._previews: tuple[Preview, ...] = ()
        self._images: list[QImage] = []
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Before and after")
        self.setMouseTracking(True)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(700, 240)

    def set_previews(self, previews: Sequence[Preview]) -> None:
        """Show these."""
        self._previews = tuple(previews)
        self._images = [screen_image(preview.pixels) for preview in previews]
        self.setAccessibleDescription(", ".join(f"{p.name}: doubt {p.doubt:.2f}" for p in self._previews))
        self.update()

    def place(self, index: int) -> QRectF:
        """Return where the picture of a preview is drawn."""
        count = max(1, len(self._previews))
        height = max(20.0, self.height() - 2 * CAPTION)
        aspect = max((i.width() / i.height() for i in self._images), default=4 / 3)
        columns = min(range(1, count + 1), key=lambda n: -self._cell(n, count, height, aspect))
        width = self._cell(columns, count, height, aspect)
        row, column = divmod(index, columns)
        x, y = column * (width + GAP), CAPTION + row * (width / aspect + GAP)
        image = self._images[index]
        scale = min(width / image.width(), width / aspect / image.height())
        return QRectF(x, y, image.width() * scale, image.height() * scale)

    def _cell(self, columns: int, count: int, height: float, aspect: float) -> float:
        """Return the width of a picture when so many stand side by side."""
        rows = math.ceil(count / columns)
        return min((self.width() - (columns - 1) * GAP) / columns, (height - (rows - 1) * GAP) / rows * aspect)

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "before and after") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        painter.setFont(colors.font("caption"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if not self._previews:
            painter.setPen(colors.color("text-3"))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, "Doubtful images appear here")
            return
        painter.setPen(colors.color("text-2"))
        words = "The most doubtful images: dashed before, solid now"
        painter.drawText(QRectF(0, 0, self.width(), CAPTION), Qt.AlignmentFlag.AlignVCenter, words)
        for index, preview in enumerate(self._previews):
            place = self.place(index)
            painter.drawImage(place, self._images[index])
            self._outline(painter, place, preview.before, QColor("#FFFFFF"), Qt.PenStyle.DashLine)
            self._outline(painter, place, preview.after, QColor(CLASS_COLOURS[0]), Qt.PenStyle.SolidLine)

    @staticmethod
    def _outline(painter: QPainter, place: QRectF, mask: BoolMask, colour: QColor, style: Qt.PenStyle) -> None:
        outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        scale_x, scale_y = place.width() / mask.shape[1], place.height() / mask.shape[0]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for outline in outlines:
            points = [
                QPointF(place.x() + (x + 0.5) * scale_x, place.y() + (y + 0.5) * scale_y)
                for x, y in outline[:, 0, :].tolist()
            ]
            for width, ink in ((3.0, QColor(0, 0, 0, 120)), (1.5, colour)):
                painter.setPen(QPen(ink, width, style if ink is colour else Qt.PenStyle.SolidLine))
                painter.drawPolygon(QPolygonF(points))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._at(event.position())
        if index is not None:
            self.chosen.emit(self._previews[index].key)

    def event(self, event: object) -> bool:
        if isinstance(event, QHelpEvent):
            index = self._at(QPointF(event.pos()))
            if index is not None:
                preview = self._previews[index]
                QToolTip.showText(event.globalPos(), f"{preview.name}, doubt {preview.doubt:.2f}; click to open", self)
                return True
        return bool(super().event(event))  # type: ignore[arg-type]

    def _at(self, position: QPointF) -> int | None:
        return next((i for i in range(len(self._previews)) if self.place(i).contains(position)), None)
