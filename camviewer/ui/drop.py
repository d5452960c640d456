"""Dropping files anywhere on the window: what is under the pointer, and what will happen."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from camviewer.project.store import SUFFIX
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.session import IMAGE_ENDINGS, WEIGHT_ENDINGS
from camviewer.ui.theme import theme


def dropped_paths(data: QMimeData) -> list[Path]:
    """Return the local files and folders of a drag that the program can open."""
    if not data.hasUrls():
        return []
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    known = (*IMAGE_ENDINGS, *WEIGHT_ENDINGS, SUFFIX)
    return [path for path in paths if path.is_dir() or path.suffix.lower() in known]


def drop_words(paths: list[Path]) -> str:
    """Return what dropping these files will do."""
    first = paths[0]
    if any(path.suffix.lower() in WEIGHT_ENDINGS for path in paths):
        return "Drop to load the model"
    if first.suffix == SUFFIX:
        return "Drop to open the project"
    if first.is_dir():
        return f"Drop to open {first.name}"
    count = len(paths)
    return "Drop to open 1 image" if count == 1 else f"Drop to open {count:,} images"


class DropOverlay(QWidget):
    """Covers the window while files are dragged over it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._words = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def show_for(self, paths: list[Path]) -> None:
        """Say what a drop will do."""
        self._words = drop_words(paths)
        self.raise_()
        self.show()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        painter.fillRect(self.rect(), colors.color("window", 0.6))
        card = QRectF(0, 0, 340, 120)
        card.moveCenter(QRectF(self.rect()).center())
        painter.setPen(QPen(colors.color("accent-text"), 2))
        painter.setBrush(colors.color("accent-soft"))
        painter.drawRoundedRect(card, 10, 10)
        pixmap = icon_pixmap("drop", "accent-text", size=20, density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(card.center().x() - 10, card.top() + 28), pixmap)
        painter.setPen(colors.color("text"))
        painter.setFont(colors.font("subject"))
        painter.drawText(card.adjusted(12, 56, -12, -20), Qt.AlignmentFlag.AlignCenter, self._words)
        painter.end()
