"""Small pictures that say something: a bar, a colour, a key."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QLabel,
    QSizePolicy,
    QWidget,
)

from camviewer.ui.theme import set_role, theme


class ScoreBar(QWidget):
    """A thin bar for a share in 0..1. Never stands without its number beside it."""

    def __init__(self, value: float = 0.0, *, token: str = "bar", width: int = 80) -> None:
        super().__init__()
        self._value = value
        self._token = token
        self.setFixedSize(width, 4)

    def set_value(self, value: float, *, token: str = "bar") -> None:
        """Show `value`, clipped to 0..1; `token` is ``accent-line`` for the chosen class."""
        self._value, self._token = min(1.0, max(0.0, value)), token
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_bar(painter, QRectF(self.rect()), self._value, self._token)
        painter.end()


def paint_bar(painter: QPainter, rect: QRectF, value: float, token: str = "bar") -> None:
    """Paint a score bar, for delegates."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    radius = rect.height() / 2
    painter.setBrush(theme().color("track"))
    painter.drawRoundedRect(rect, radius, radius)
    if value > 0:
        filled = QRectF(rect.topLeft(), QSize(0, 0).toSizeF())
        filled.setSize(rect.size())
        filled.setWidth(max(rect.height() / 2, rect.width() * min(1.0, value)))
        painter.setBrush(theme().color(token))
        painter.drawRoundedRect(filled, radius, radius)
    painter.restore()


class Swatch(QWidget):
    """A small square in an annotation class's colour; its name stands beside it."""

    def __init__(self, color: str = "#FFFFFF", *, side: int = 9) -> None:
        super().__init__()
        self._color = QColor(color)
        self.setFixedSize(side, side)

    def set_color(self, color: str) -> None:
        """Show another class's colour."""
        self._color = QColor(color)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        # A thin edge, or white (no class) would not be seen on a light panel.
        painter.setPen(QPen(theme().color("outline", 0.6), 1))
        painter.setBrush(self._color)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
        painter.end()


class KeyBadge(QLabel):
    """A key's name on a small plate."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        set_role(self, "column", "text-2")
        self.setContentsMargins(6, 2, 6, 2)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("pressed"))
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        painter.end()
        super().paintEvent(event)
