"""The other images of the same lesion, as small pictures that lead there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.gallery.delegate import paint_badge
from camviewer.ui.gallery.items import GalleryItem, describe
from camviewer.ui.gallery.pictures import PictureCache
from camviewer.ui.panels.flow import FlowLayout
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

PICTURE = QSize(64, 48)
MOST = 8
"""Pictures shown; the gallery shows the rest."""
_RING = 3


class _Sibling(QAbstractButton):
    """One picture, with the badge of its review state."""

    def __init__(self, item: GalleryItem, pictures: PictureCache) -> None:
        super().__init__()
        self.item = item
        self._pictures = pictures
        self.setFixedSize(PICTURE + QSize(2 * _RING, 2 * _RING))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        name_control(self, f"Same lesion: {describe(item)}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        except Exception:
            log.exception("a picture of the same lesion could not be painted")
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        colors = theme()
        frame = QRectF(QPointF(_RING, _RING), PICTURE.toSizeF())
        clip = QPainterPath()
        clip.addRoundedRect(frame, 4, 4)
        painter.save()
        painter.setClipPath(clip)
        picture = self._pictures.get(self.item.path)
        if picture is None:
            painter.fillRect(frame, colors.color("raised" if colors.dark else "hover"))
        else:
            painter.drawPixmap(frame, picture, picture.rect().toRectF())
        painter.restore()
        if self.hasFocus() or self.underMouse():
            painter.setPen(QPen(colors.color("accent-text" if self.hasFocus() else "outline"), 2))
            painter.drawRoundedRect(frame.adjusted(-2, -2, 2, 2), 6, 6)
        paint_badge(painter, frame.topLeft() + QPointF(11, 11), self.item.status, density=self.devicePixelRatioF())


class LesionStrip(QWidget):
    """A row of pictures under a heading; out of sight where there is no other image.

    Signals:
        image_wanted: id of the image of a picture that was pressed.
        all_wanted: the gallery is to show the images of this lesion.
    """

    image_wanted = Signal(int)
    all_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._pictures: PictureCache | None = None
        self._buttons: list[_Sibling] = []
        self._head = label("", "caption", "text-3")
        self._row = QWidget()
        self._row.setAccessibleName("Images of the same lesion")
        self._flow = FlowLayout(self._row, spacing=4)
        self._all = Button("All in the gallery", "link", tip="Show only the images of this lesion  (L)")
        self._all.clicked.connect(self.all_wanted)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._head)
        column.addWidget(self._row)
        column.addWidget(self._all, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    def set_pictures(self, pictures: PictureCache) -> None:
        """Take the thumbnails from the gallery's cache."""
        self._pictures = pictures
        pictures.picture_changed.connect(self._on_picture)

    def set_items(self, items: Sequence[GalleryItem]) -> None:
        """Show these images; none hides the strip."""
        shown = items[:MOST]
        if self._pictures is None or [button.item for button in self._buttons] == list(shown):
            return
        for button in self._buttons:
            self._flow.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = [_Sibling(item, self._pictures) for item in shown]
        for button in self._buttons:
            button.clicked.connect(self._on_clicked)
            self._flow.addWidget(button)
        self._head.setText(f"{len(items)} more of this lesion")
        self._all.setVisible(len(items) > MOST)
        self.setVisible(bool(items))
        self._pictures.request([item.path for item in shown], density=self.devicePixelRatioF())

    def items(self) -> list[GalleryItem]:
        """Return what is shown."""
        return [button.item for button in self._buttons]

    @Slot()
    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, _Sibling):
            self.image_wanted.emit(button.item.id)

    @Slot(object)
    def _on_picture(self, path: Path) -> None:
        for button in self._buttons:
            if button.item.path == path:
                button.update()
