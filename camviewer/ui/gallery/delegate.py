"""Paints one gallery cell: picture, outline, state badge, ring, name, class and confidence."""

from __future__ import annotations

import logging

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPainterPath, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from camviewer.project.records import Status
from camviewer.ui.gallery.items import GalleryItem, ItemOutline
from camviewer.ui.gallery.model import ITEM_ROLE, OUTLINE_ROLE, PICTURE_ROLE
from camviewer.ui.gallery.pictures import THUMB
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

STATUS_ICONS: dict[Status, str] = {
    "new": "status-new",
    "computed": "status-computed",
    "edited": "pencil",
    "reviewed": "check",
    "skipped": "status-skipped",
    "failed": "status-failed",
}
# On the dark plate of the badge, in both themes.
STATUS_COLOURS: dict[Status, str] = {"reviewed": "#66CBA0", "failed": "#F2938C"}

MARKS = (("wrong", "alert", "#E8B768"), ("stale", "refresh", "#B6B6BC"))
"""Traits that are marked in the upper right corner: prediction against label, older than the present choices."""

CELL_HEIGHT = 116
_RING = 4


def paint_badge(painter: QPainter, center: QPointF, status: Status, *, density: float) -> None:
    """Paint a review state: its own shape on a dark plate, so that colour is never the only sign."""
    paint_mark(painter, center, STATUS_ICONS[status], STATUS_COLOURS.get(status, "#FFFFFF"), density=density)


def paint_mark(painter: QPainter, center: QPointF, name: str, colour: str, *, density: float) -> None:
    """Paint an icon on a dark plate, for what is to be noticed about an image."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().color("badge", 0.88))
    painter.drawEllipse(center, 9, 9)
    pixmap = icon_pixmap(name, colour, size=12, density=density)
    painter.drawPixmap(QPointF(center.x() - 6, center.y() - 6), pixmap)


class GalleryDelegate(QStyledItemDelegate):
    """Cells of one size; the view spreads them over its width."""

    cell_width = 125

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(self.cell_width, CELL_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        item = index.data(ITEM_ROLE)
        if not isinstance(item, GalleryItem):
            return
        painter.save()
        try:
            self._paint(painter, option, item, index.data(PICTURE_ROLE), index.data(OUTLINE_ROLE))
        except Exception:
            # An exception in a paint override can take the process down; a cell less is the smaller loss.
            log.exception("gallery cell of %s", item.name)
        painter.restore()

    def _paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        item: GalleryItem,
        picture: QPixmap | None,
        outline: ItemOutline,
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        density = painter.device().devicePixelRatioF()
        cell = QRectF(option.rect)
        left = round(cell.left() + (cell.width() - THUMB.width()) / 2)
        frame = QRectF(left, cell.top() + _RING, THUMB.width(), THUMB.height())
        state = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        focused = bool(state & QStyle.StateFlag.State_HasFocus)

        clip = QPainterPath()
        clip.addRoundedRect(frame, 4, 4)
        painter.save()
        painter.setClipPath(clip)
        if picture is not None:
            painter.drawPixmap(frame.topLeft(), picture)
            if item.status == "skipped":
                painter.fillRect(frame, colors.color("canvas", 0.5))
        else:
            painter.fillRect(frame, colors.color("raised" if colors.dark else "hover"))
            if item.status == "failed" or item.error:
                self._paint_failure(painter, frame, item, density)
        if picture is not None and outline.polygons:
            self._paint_outline(painter, frame, outline)
        painter.restore()

        if selected:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.drawRoundedRect(frame.adjusted(-3, -3, 3, 3), 6, 6)
            if focused:
                painter.setPen(QPen(colors.color("panel"), 1))
                painter.drawRoundedRect(frame.adjusted(-1.5, -1.5, 1.5, 1.5), 5, 5)
        paint_badge(painter, frame.topLeft() + QPointF(12, 12), item.status, density=density)
        corner = frame.topRight() + QPointF(-12, 12)
        for key, name, colour in MARKS:
            if item.values.get(key):
                paint_mark(painter, corner, name, colour, density=density)
                corner -= QPointF(20, 0)
        self._paint_caption(painter, QRectF(left, frame.bottom() + 5, frame.width(), 16), item, selected)

    def _paint_failure(self, painter: QPainter, frame: QRectF, item: GalleryItem, density: float) -> None:
        colors = theme()
        painter.drawPixmap(
            QPointF(frame.center().x() - 8, frame.top() + 22), icon_pixmap("alert", "bad", density=density)
        )
        painter.setPen(colors.color("text-2"))
        painter.setFont(colors.font("caption"))
        reason = _short_reason(item.error)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.drawText(frame.adjusted(6, 44, -6, -4), flags, reason)

    def _paint_outline(self, painter: QPainter, frame: QRectF, outline: ItemOutline) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        casing = QPen(theme().color("casing", 0.85), 3)
        casing.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        stroke = QPen(QColor(outline.colour), 1.4)
        stroke.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        if not outline.touched:
            stroke.setDashPattern([3.0, 2.0])
        polygons = [
            QPolygonF([QPointF(frame.left() + x * frame.width(), frame.top() + y * frame.height()) for x, y in points])
            for points in outline.polygons
        ]
        for pen in (casing, stroke):
            painter.setPen(pen)
            for polygon in polygons:
                painter.drawPolygon(polygon)

    def _paint_caption(self, painter: QPainter, rect: QRectF, item: GalleryItem, selected: bool) -> None:
        colors = theme()
        strong = colors.font("column" if not selected else "caption")
        if selected:
            strong.setWeight(colors.font("section").weight())
        metrics = QFontMetrics(strong)
        flags = Qt.AlignmentFlag.AlignVCenter
        right_text = ""
        if item.probability is not None:
            right_text = f"{item.probability:.2f}"
        elif item.status == "new":
            right_text = "new"
        number = metrics.horizontalAdvance(right_text)
        painter.setFont(strong)
        painter.setPen(colors.color("text" if selected or item.probability is not None else "text-3"))
        painter.drawText(rect, flags | Qt.AlignmentFlag.AlignRight, right_text)
        right = rect.right() - number - 4
        if item.class_name and item.probability is not None:
            # The image's own name comes first; the class takes what is left, at least its swatch.
            taken = min(metrics.horizontalAdvance(item.label), rect.width() * 0.5)
            room = int(rect.width() - taken - number - 23)
            name = metrics.elidedText(item.class_name, Qt.TextElideMode.ElideRight, max(0, room))
            name = name if len(name) > 2 or name == item.class_name else ""  # dots alone say nothing
            width = metrics.horizontalAdvance(name)
            area = QRectF(right - width, rect.top(), width + 1, rect.height())
            painter.drawText(area, flags | Qt.AlignmentFlag.AlignLeft, name)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(item.class_colour or "#FFFFFF"))
            painter.drawRoundedRect(QRectF(area.left() - 12, rect.center().y() - 4, 8, 8), 2, 2)
            right = area.left() - 16
        label = metrics.elidedText(item.label, Qt.TextElideMode.ElideMiddle, max(0, int(right - rect.left() - 2)))
        painter.setFont(strong)
        painter.setPen(colors.color("text" if selected else "text-2"))
        painter.drawText(QRectF(rect.left(), rect.top(), right - rect.left(), rect.height()), flags, label)


def _short_reason(error: str) -> str:
    """Return the part of an error sentence that says what is wrong, without the file's name."""
    sentences = [part.strip() for part in error.split(". ") if part.strip()]
    if len(sentences) > 1 and "cannot be read" in sentences[0]:
        return sentences[1].rstrip(".")
    return "Cannot be read" if "cannot be read" in error else error.rstrip(".")
