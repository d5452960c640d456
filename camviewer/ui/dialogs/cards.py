"""A choice with a name and a quiet line below, for lists at the left of dialogs."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy

from camviewer.ui.controls import name_control
from camviewer.ui.theme import theme


class ChoiceCard(QAbstractButton):
    """One of several exclusive choices; put them in a `QButtonGroup`."""

    def __init__(self, title: str, text: str, *, tip: str = "") -> None:
        super().__init__()
        self.setText(title)
        self._sub = text
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        name_control(self, title, tip=tip or title)
        self.setAccessibleDescription(text)

    def sizeHint(self) -> QSize:
        return QSize(200, theme().px(48))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.isChecked():
            painter.setBrush(colors.color("accent-soft"))
        elif self.underMouse():
            painter.setBrush(colors.color("hover"))
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
        painter.drawRoundedRect(rect, 8, 8)
        inner = rect.adjusted(12, 0, -8, 0)
        half = rect.height() / 2
        painter.setFont(colors.font("section"))
        painter.setPen(colors.color("text"))
        flags = Qt.AlignmentFlag.AlignLeft
        painter.drawText(inner.adjusted(0, 0, 0, -half), flags | Qt.AlignmentFlag.AlignBottom, self.text())
        painter.setFont(colors.font("caption"))
        painter.setPen(colors.color("text-2"))
        painter.drawText(inner.adjusted(0, half + 2, 0, 0), flags | Qt.AlignmentFlag.AlignTop, self._sub)
        painter.end()
