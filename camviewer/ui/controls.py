"""The plain controls: words, lines, surfaces, buttons."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QAction,
    QFontMetrics,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QWidget,
)

from camviewer.ui.icons import icon_pixmap, set_icon
from camviewer.ui.theme import Role, set_property, set_role, theme

Kind = Literal["plain", "primary", "flat", "link"]


def tooltip(text: str, key: str = "") -> str:
    """Return the tooltip of a control: what it does, and its key."""
    return f"{text}  ({key})" if key else text


def name_control(widget: QWidget, name: str, *, tip: str = "", key: str = "") -> None:
    """Give a control its accessible name and its tooltip with the key."""
    widget.setAccessibleName(name)
    widget.setToolTip(tooltip(tip or name, key))
    if isinstance(widget, QSpinBox):
        widget.lineEdit().setAccessibleName(name)  # what the focus is in
    elif isinstance(widget, QComboBox):
        # On Linux Qt gives the chosen entry as its name, so what it is about goes into the description.
        widget.setAccessibleDescription(f"{name}. {tip}" if tip else name)
        widget.view().setAccessibleName(name)


def label(text: str, role: Role = "body", color: str = "", *, parent: QWidget | None = None) -> QLabel:
    """Return a plain text label in a type role and a text colour of the theme."""
    result = QLabel(text, parent)
    result.setTextFormat(Qt.TextFormat.PlainText)
    set_role(result, role, color)
    return result


def number_box(value: int, most: int, name: str, *, tip: str, zero: str) -> QSpinBox:
    """Return a field for a whole number from 0 to `most`; `zero` says in a word what 0 means."""
    box = QSpinBox()
    box.setRange(0, most)
    box.setValue(value)
    box.setSpecialValueText(zero)
    box.setMinimumWidth(theme().px(128))
    box.setFixedHeight(theme().px(28))
    box.lineEdit().setTextMargins(6, 0, 0, 0)
    name_control(box, name, tip=tip)
    return box


def rule(*, vertical: bool = False) -> QFrame:
    """Return a hair line."""
    line = QFrame()
    line.setProperty("rule", "v" if vertical else "h")
    return line


def surface(widget: QWidget, token: str) -> QWidget:
    """Fill a container with a surface colour of the theme."""
    widget.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    set_property(widget, "surface", token)
    return widget


class ElidedLabel(QLabel):
    """A label that shortens its text in the middle (file names) or at the end, with the full text as tooltip."""

    def __init__(
        self, text: str = "", role: Role = "body", color: str = "", *, mode: Qt.TextElideMode | None = None
    ) -> None:
        super().__init__()
        self._full = ""
        self._mode = mode or Qt.TextElideMode.ElideMiddle
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        set_role(self, role, color)
        self.set_full_text(text)

    def set_full_text(self, text: str) -> None:
        """Show `text`, shortened where it does not fit."""
        self._full = text
        self.setAccessibleName(text)
        self.updateGeometry()
        self._elide()

    def full_text(self) -> str:
        """Return the text before shortening."""
        return self._full

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance(self._full) + 4, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(24, QFontMetrics(self.font()).height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(self._full, self._mode, max(0, self.width()))
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


class Button(QPushButton):
    """A labelled button: ``plain``, ``primary`` (one a window), ``flat`` or ``link``, with an optional key badge."""

    def __init__(self, text: str, kind: Kind = "plain", *, icon_name: str = "", key: str = "", tip: str = "") -> None:
        # Qt leaves too little room between icon and text.
        super().__init__(f" {text}" if icon_name and kind != "primary" else text)
        self._kind = kind
        self._key = key
        self._icon_name = icon_name
        self.setFont(theme().font("name" if kind != "primary" else "section"))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setProperty("kind", kind)
        self.setMinimumHeight(theme().px(28))
        name_control(self, text, tip=tip or text, key=key)
        if icon_name and kind != "primary":
            set_icon(self, icon_name, "accent-text" if kind == "link" else "text-2")

    def set_text(self, text: str) -> None:
        """Change the label and the accessible name."""
        self.setText(text)
        self.setAccessibleName(text)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        if self._kind != "primary":
            return super().sizeHint()
        metrics = QFontMetrics(self.font())
        width = 28 + metrics.horizontalAdvance(self.text())
        if self._icon_name:
            width += 22
        if self._key:
            width += self._badge_width() + 4
        return QSize(width, theme().px(28))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint() if self._kind == "primary" else super().minimumSizeHint()

    def _badge_width(self) -> int:
        return QFontMetrics(theme().font("column")).horizontalAdvance(self._key) + 12

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._kind != "primary":
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect())
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 7, 7)
            rect = rect.adjusted(3.5, 3.5, -3.5, -3.5)
        token = "accent"
        if self.isDown():
            token = "accent-pressed"
        elif self.underMouse():
            token = "accent-hover"
        text = "on-accent"
        if not self.isEnabled():
            token, text = "raised", "disabled"
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color(token))
        painter.drawRoundedRect(rect, 6, 6)
        x = 14.0
        if self._icon_name:
            pixmap = icon_pixmap(self._icon_name, text, density=self.devicePixelRatioF())
            painter.drawPixmap(QPointF(x - 2, (self.height() - 16) / 2), pixmap)
            x += 22
        painter.setPen(colors.color(text))
        painter.setFont(self.font())
        width = QFontMetrics(self.font()).horizontalAdvance(self.text())
        painter.drawText(QRectF(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, self.text())
        badge = QRectF(self.width() - 6 - self._badge_width(), (self.height() - 18) / 2, self._badge_width(), 18)
        if self._key and x + width + 4 <= badge.left():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color(text, 0.2))
            painter.drawRoundedRect(badge, 4, 4)
            painter.setPen(colors.color(text))
            painter.setFont(colors.font("column"))
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self._key)
        painter.end()


class IconButton(QToolButton):
    """A button with an icon alone: tools, and actions repeated in every panel."""

    def __init__(self, icon_name: str, name: str, *, key: str = "", tip: str = "", checkable: bool = False) -> None:
        super().__init__()
        self.setProperty("kind", "tool")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAutoRaise(True)
        self.setCheckable(checkable)
        self._token = "text-2"
        set_icon(self, icon_name)
        name_control(self, name, tip=tip, key=key)

    @classmethod
    def for_action(cls, action: QAction, icon_name: str) -> IconButton:
        """Return a button that triggers `action` and takes its name, key, state and tooltip."""
        key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        button = cls(icon_name, action.text().replace("&", "").rstrip("…"), key=key, checkable=action.isCheckable())
        bind_action(button, action)
        return button


def bind_action(button: QAbstractButton, action: QAction) -> None:
    """Let a button stand for an action: same deed, same enabled and checked state; the button keeps its looks."""
    if action.isCheckable():
        button.setCheckable(True)
        button.setChecked(action.isChecked())
        action.toggled.connect(button.setChecked)
    button.clicked.connect(action.trigger)
    button.setEnabled(action.isEnabled())
    action.enabledChanged.connect(button.setEnabled)
