"""Controls that hold a value: one of a few, on or off, a number on a track."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QSizePolicy,
    QSlider,
    QWidget,
)

from camviewer.ui.controls import (
    label,
    name_control,
)
from camviewer.ui.theme import theme


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
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

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
