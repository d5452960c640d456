"""Shared controls: everything that panels, header, gallery and dialogs are put together from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QAction,
    QColor,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from camviewer.ui.icons import icon_pixmap, set_icon
from camviewer.ui.theme import EDGE, Role, set_property, set_role, theme

Kind = Literal["plain", "primary", "flat", "link"]
Tone = Literal["ok", "warn", "bad", "info"]

_TONE_ICON = {"ok": "check", "warn": "alert", "bad": "alert", "info": "info"}
_TONE_COLOR = {"ok": "ok", "warn": "warn", "bad": "bad", "info": "accent-text"}
_TONE_SOFT = {"ok": "ok-soft", "warn": "warn-soft", "bad": "bad-soft", "info": "accent-soft"}


def tooltip(text: str, key: str = "") -> str:
    """Return the tooltip of a control: what it does, and its key."""
    return f"{text}  ({key})" if key else text


def name_control(widget: QWidget, name: str, *, tip: str = "", key: str = "") -> None:
    """Give a control its accessible name and its tooltip with the key."""
    widget.setAccessibleName(name)
    widget.setToolTip(tooltip(tip or name, key))


def label(text: str, role: Role = "body", color: str = "", *, parent: QWidget | None = None) -> QLabel:
    """Return a plain text label in a type role and a text colour of the theme."""
    result = QLabel(text, parent)
    result.setTextFormat(Qt.TextFormat.PlainText)
    set_role(result, role, color)
    return result


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
        if self._key:
            badge = QRectF(self.width() - 6 - self._badge_width(), (self.height() - 18) / 2, self._badge_width(), 18)
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


class SegmentedControl(QFrame):
    """A row of exclusive choices. Arrow keys move inside, Tab enters and leaves.

    Signals:
        chosen: value of the choice that the user made.
    """

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]], name: str, *, tips: Sequence[str] = ()) -> None:
        """`choices` are (value, text)."""
        super().__init__()
        self.setAccessibleName(name)
        self._buttons: dict[str, _Segment] = {}
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        for number, (value, text) in enumerate(choices):
            button = _Segment(text)
            tip = tips[number] if number < len(tips) else f"{name}: {text}"
            name_control(button, f"{name}: {text}", tip=tip)
            button.setProperty("value", value)
            self._group.addButton(button)
            self._buttons[value] = button
            layout.addWidget(button, 1)
        self._group.buttonClicked.connect(self._on_clicked)
        first = next(iter(self._buttons.values()))
        first.setChecked(True)
        self.setFixedHeight(theme().px(28))

    def value(self) -> str:
        """Return the chosen value."""
        return next(value for value, button in self._buttons.items() if button.isChecked())

    def set_value(self, value: str) -> None:
        """Choose without emitting `chosen`."""
        self._buttons[value].setChecked(True)

    def set_choice_enabled(self, value: str, enabled: bool, *, reason: str = "") -> None:
        """Allow or refuse a choice; the tooltip says why."""
        self._buttons[value].setEnabled(enabled)
        if reason:
            self._buttons[value].setToolTip(reason)

    @Slot(QAbstractButton)
    def _on_clicked(self, button: QAbstractButton) -> None:
        self.chosen.emit(button.property("value"))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("segment"))
        painter.drawRoundedRect(QRectF(self.rect()), 6, 6)
        painter.end()


class _Segment(QAbstractButton):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.setText(text)
        self.setCheckable(True)
        self.setFont(theme().font("name"))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(QFontMetrics(self.font()).horizontalAdvance(self.text()) + 24, theme().px(24))

    def minimumSizeHint(self) -> QSize:
        return QSize(QFontMetrics(self.font()).horizontalAdvance(self.text()) + 12, theme().px(24))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        super().keyPressEvent(event)
        # QAbstractButton moves the check with the arrow keys in an exclusive group, but without `clicked`.
        group = self.group()
        arrows = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)
        if group is not None and event.key() in arrows and group.checkedButton() is not self:
            group.buttonClicked.emit(group.checkedButton())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect())
        if self.isChecked():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color("segment-on"))
            painter.drawRoundedRect(rect, 5, 5)
        elif self.underMouse() and self.isEnabled():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color("pressed", 0.6))
            painter.drawRoundedRect(rect, 5, 5)
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 5, 5)
        token = "text" if self.isChecked() else "text-2"
        painter.setPen(colors.color(token if self.isEnabled() else "disabled"))
        painter.setFont(self.font())
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self.text())
        painter.end()


class Switch(QCheckBox):
    """A two-state switch. The label stands elsewhere; `name` is what a screen reader says."""

    def __init__(self, name: str, *, tip: str = "", key: str = "") -> None:
        super().__init__()
        name_control(self, name, tip=tip, key=key)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(34, 22)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def hitButton(self, pos: object) -> bool:
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        track = QRectF(3, (self.height() - 16) / 2, 28, 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("accent" if self.isChecked() else "bar"))
        if not self.isEnabled():
            painter.setBrush(colors.color("track"))
        painter.drawRoundedRect(track, 8, 8)
        painter.setBrush(colors.color("knob"))
        x = track.right() - 14 if self.isChecked() else track.left() + 2
        painter.drawEllipse(QRectF(x, track.top() + 2, 12, 12))
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(track.adjusted(-2, -2, 2, 2), 10, 10)
        painter.end()


class Chip(QAbstractButton):
    """A round filter or flag: text, an optional count, on or off."""

    def __init__(self, text: str, *, count: int | None = None, tip: str = "", checkable: bool = True) -> None:
        super().__init__()
        self.setText(text)
        self._count = count
        self._compact = False
        self.setCheckable(checkable)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._tip = tip or text
        self.set_count(count)

    def set_count(self, count: int | None) -> None:
        """Show how many things the chip stands for."""
        self._count = count
        name = self.text() if count is None else f"{self.text()}, {count}"
        tip = self._tip if count is None else f"{self._tip}: {count:,}"
        name_control(self, name, tip=tip)
        self.updateGeometry()
        self.update()

    def set_compact(self, compact: bool) -> None:
        """Leave the count to the tooltip where there is no room for it."""
        if compact != self._compact:
            self._compact = compact
            self.updateGeometry()
            self.update()

    def _count_text(self) -> str:
        return "" if self._count is None or self._compact else f"{self._count:,}"

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(theme().font("name"))
        width = metrics.horizontalAdvance(self.text()) + 22
        count = self._count_text()
        if count:
            width += metrics.horizontalAdvance(count) + 6
        return QSize(width, theme().px(24))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        fill = "accent-soft" if self.isChecked() else ("hover" if self.underMouse() else "raised")
        painter.setBrush(colors.color(fill))
        painter.setPen(colors.color("accent-soft" if self.isChecked() else "raised-line"))
        painter.drawRoundedRect(rect, rect.height() / 2, rect.height() / 2)
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            ring = rect.adjusted(0.5, 0.5, -0.5, -0.5)
            painter.drawRoundedRect(ring, ring.height() / 2, ring.height() / 2)
        painter.setFont(colors.font("name"))
        text = colors.color("accent-text" if self.isChecked() else "text")
        painter.setPen(text if self.isEnabled() else colors.color("disabled"))
        inner = rect.adjusted(10, 0, -10, 0)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        if self._count is not None:
            painter.setFont(colors.font("body"))
            painter.setPen(text if self.isChecked() else colors.color("text-2"))
            painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self._count_text())
        painter.end()


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
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._color)
        painter.drawRoundedRect(QRectF(self.rect()), 2, 2)
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


class LabelledSlider(QWidget):
    """Name, slider and value in one row. Values are real numbers on an even grid of `step`.

    Signals:
        value_changed: at every move, so that what follows answers within a frame.
        released: at the end of a drag or after a key, with the final value.
    """

    value_changed = Signal(float)
    released = Signal(float)

    def __init__(
        self,
        name: str,
        *,
        minimum: float,
        maximum: float,
        value: float,
        step: float,
        text: Callable[[float], str],
        tip: str = "",
        key: str = "",
    ) -> None:
        super().__init__()
        self._minimum, self._step, self._text = minimum, step, text
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, round((maximum - minimum) / step))
        self.slider.setPageStep(max(1, self.slider.maximum() // 10))
        name_control(self.slider, name, tip=tip, key=key)
        self._value = label("", "name")
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        metrics = QFontMetrics(self._value.font())
        widest = max(metrics.horizontalAdvance(text(v)) for v in (minimum, maximum, value))
        self._value.setMinimumWidth(widest + 4)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(label(name, "body", "text-2"))
        layout.addWidget(self.slider, 1)
        layout.addWidget(self._value)
        self.set_value(value)
        self.slider.valueChanged.connect(self._on_moved)
        self.slider.sliderReleased.connect(self._on_released)

    def value(self) -> float:
        """Return the value."""
        return self._minimum + self.slider.value() * self._step

    def set_value(self, value: float) -> None:
        """Set without emitting."""
        self.slider.blockSignals(True)
        self.slider.setValue(round((value - self._minimum) / self._step))
        self.slider.blockSignals(False)
        self._value.setText(self._text(self.value()))

    @Slot(int)
    def _on_moved(self, _position: int) -> None:
        self._value.setText(self._text(self.value()))
        self.value_changed.emit(self.value())
        if not self.slider.isSliderDown():
            self.released.emit(self.value())

    @Slot()
    def _on_released(self) -> None:
        self.released.emit(self.value())


class MessageBar(QFrame):
    """One message where it happened: icon, title, text and at most one action.

    Signals:
        action_triggered: the action's button was pressed.
    """

    action_triggered = Signal()

    def __init__(self, tone: Tone = "info", title: str = "", text: str = "", action: str = "") -> None:
        super().__init__()
        self._tone: Tone = tone
        self._title = label(title, "section")
        self._text = label(text, "body", "text-2")
        for part in (self._title, self._text):
            part.setWordWrap(True)
        self._button = Button(action or " ", "flat")
        self._button.clicked.connect(self.action_triggered)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(40, 8, 8, 8)
        layout.addLayout(words, 1)
        layout.addWidget(self._button)
        self.setAccessibleName("Message")
        self.show_message(tone, title, text, action)

    def show_message(self, tone: Tone, title: str, text: str = "", action: str = "") -> None:
        """Replace what is shown."""
        self._tone = tone
        self._title.setText(title)
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self._button.set_text(action or " ")
        self._button.setVisible(bool(action))
        self.setAccessibleDescription(f"{title} {text}".strip())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(_TONE_SOFT[self._tone]))
        painter.drawRoundedRect(QRectF(self.rect()), 8, 8)
        pixmap = icon_pixmap(_TONE_ICON[self._tone], _TONE_COLOR[self._tone], density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(13, (self.height() - 16) / 2), pixmap)
        painter.end()


class EmptyState(QWidget):
    """Icon, one line on what is missing, one line or link on how to get it.

    Signals:
        link_triggered: the link was pressed.
    """

    link_triggered = Signal()

    def __init__(self, icon_name: str, title: str, text: str = "", link: str = "", *, key: str = "") -> None:
        super().__init__()
        picture = QLabel()
        picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        theme().bind(picture, lambda w: w.setPixmap(icon_pixmap(icon_name, "text-3", size=20, density=2)))  # type: ignore[attr-defined]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(6)
        layout.addStretch(1)
        layout.addWidget(picture)
        self._lines = label(title, "section"), label(text, "body", "text-2")
        for line in self._lines:
            line.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            line.setWordWrap(True)
            line.setVisible(bool(line.text()))
            layout.addWidget(line)
        if link:
            button = Button(link, "link", key=key)
            button.clicked.connect(self.link_triggered)
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)

    def set_words(self, title: str, text: str = "") -> None:
        """Say something else is missing."""
        for line, words in zip(self._lines, (title, text), strict=True):
            line.setText(words)
            line.setVisible(bool(words))


class _SectionHeading(QAbstractButton):
    """The heading of a section; pressing it folds the body."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setText(title)
        self.qualifier = ""
        self.setCheckable(True)
        self.setChecked(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        name_control(self, title, tip=f"Fold or unfold {title}")

    def sizeHint(self) -> QSize:
        return QSize(80, theme().px(32))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect())
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.drawRoundedRect(rect.adjusted(1, 4, -1, -4), 5, 5)
        inset = 4 if self.hasFocus() else 0
        painter.setFont(colors.font("section"))
        painter.setPen(colors.color("text"))
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(rect.adjusted(inset, 0, 0, 0), flags, self.text())
        x = inset + QFontMetrics(colors.font("section")).horizontalAdvance(self.text()) + 8
        metrics = QFontMetrics(colors.font("body"))
        room = int(rect.width() - x - 20)
        quiet = metrics.elidedText(self.qualifier, Qt.TextElideMode.ElideRight, max(0, room))
        painter.setFont(colors.font("body"))
        painter.setPen(colors.color("text-3"))
        painter.drawText(rect.adjusted(x, 0, 0, 0), flags, quiet)
        x += metrics.horizontalAdvance(quiet) + (6 if quiet else 0)
        if self.underMouse() or not self.isChecked() or self.hasFocus():
            arrow = "chevron-down" if self.isChecked() else "chevron-right"
            pixmap = icon_pixmap(arrow, "text-3", size=12, density=self.devicePixelRatioF())
            painter.drawPixmap(QPointF(x, (rect.height() - 12) / 2), pixmap)
        painter.end()


class Section(QWidget):
    """A panel section: heading, quiet qualifier, at most two icon actions, a body that folds.

    `key` names the section in the settings, where its state is remembered by whoever listens to `folded`.

    Signals:
        folded: (key, folded) when the user folds or unfolds.
    """

    folded = Signal(str, bool)

    def __init__(self, title: str, key: str, *, actions: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.key = key
        self._heading = _SectionHeading(title)
        self._heading.toggled.connect(self._on_toggled)
        head = QHBoxLayout()
        head.setContentsMargins(EDGE, 4, EDGE - 6, 0)
        head.setSpacing(2)
        head.addWidget(self._heading, 1)
        for action in actions:
            head.addWidget(action)
        self._body = QWidget()
        self._content = QVBoxLayout(self._body)
        self._content.setContentsMargins(EDGE, 4, EDGE, 12)
        self._content.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._body)
        self._line = rule()
        layout.addWidget(self._line)
        self.setAccessibleName(title)

    def content(self) -> QVBoxLayout:
        """Return the layout of the body."""
        return self._content

    def add(self, item: QWidget | QLayout) -> None:
        """Append a widget or a layout to the body."""
        if isinstance(item, QWidget):
            self._content.addWidget(item)
        else:
            self._content.addLayout(item)

    def set_qualifier(self, text: str) -> None:
        """Show a quiet note behind the heading, for example ``0.35 × max``."""
        self._heading.qualifier = text
        self._heading.setAccessibleDescription(text)
        self._heading.update()

    def qualifier(self) -> str:
        """Return the quiet note behind the heading."""
        return self._heading.qualifier

    def is_folded(self) -> bool:
        """Return whether the body is hidden."""
        return not self._heading.isChecked()

    def set_folded(self, folded: bool) -> None:
        """Fold or unfold without emitting `folded`."""
        self._heading.blockSignals(True)
        self._heading.setChecked(not folded)
        self._heading.blockSignals(False)
        self._body.setVisible(not folded)

    @Slot(bool)
    def _on_toggled(self, unfolded: bool) -> None:
        self._body.setVisible(unfolded)
        self.folded.emit(self.key, not unfolded)


class ClickableCard(QAbstractButton):
    """A card with an icon plate, a name, a line of text and a key: the ways to start."""

    def __init__(self, icon_name: str, title: str, text: str, *, key: str = "", strong: bool = False) -> None:
        super().__init__()
        self._icon_name, self._sub, self._key, self._strong = icon_name, text, key, strong
        self.setText(title)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        name_control(self, title, tip=text, key=key)
        self.setAccessibleDescription(text)

    def sizeHint(self) -> QSize:
        return QSize(320, theme().px(68))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        fill = "pressed" if self.isDown() else ("hover" if self.underMouse() else "panel")
        if self.hasFocus():
            fill = "raised" if fill == "panel" else fill
        painter.setBrush(colors.color(fill))
        painter.setPen(QPen(colors.color("accent-text"), 2) if self.hasFocus() else QPen(colors.color("raised-line")))
        if not self.hasFocus() and colors.dark:
            painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(rect, 9, 9)
        plate = QRectF(rect.left() + 12, rect.center().y() - 20, 40, 40)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("accent" if self._strong else "hover"))
        painter.drawRoundedRect(plate, 8, 8)
        token = "on-accent" if self._strong else "text-2"
        pixmap = icon_pixmap(self._icon_name, token, size=20, density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(plate.left() + 10, plate.top() + 10), pixmap)
        right = rect.right() - 14
        if self._key:
            font = colors.font("column")
            badge_width = QFontMetrics(font).horizontalAdvance(self._key) + 12
            badge = QRectF(right - badge_width, rect.center().y() - 10, badge_width, 20)
            painter.setBrush(colors.color("pressed"))
            painter.drawRoundedRect(badge, 4, 4)
            painter.setPen(colors.color("text-2"))
            painter.setFont(font)
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self._key)
            right = badge.left() - 12
        x = plate.right() + 14
        width = right - x
        painter.setPen(colors.color("text"))
        painter.setFont(colors.font("subject"))
        half = rect.height() / 2
        bottom, top = Qt.AlignmentFlag.AlignBottom, Qt.AlignmentFlag.AlignTop
        painter.drawText(QRectF(x, rect.top(), width, half - 1), bottom, self.text())
        painter.setPen(colors.color("text-2"))
        painter.setFont(colors.font("body"))
        quiet = QFontMetrics(colors.font("body")).elidedText(self._sub, Qt.TextElideMode.ElideRight, int(width))
        painter.drawText(QRectF(x, rect.top() + half + 3, width, half), top, quiet)
        painter.end()
