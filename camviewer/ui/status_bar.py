"""The bottom row: last message with its way back, the running job, the device. Nothing modal while work goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QRectF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QWidget

from camviewer.ui.controls import Button, ElidedLabel, label, surface
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.theme import EDGE, STATUS, theme

Tone = Literal["ok", "warn", "bad", "info", ""]

_ICONS = {"ok": ("check", "ok"), "warn": ("alert", "warn"), "bad": ("alert", "bad"), "info": ("info", "text-2")}


@dataclass(frozen=True, slots=True)
class JobState:
    """A running job as the status bar shows it.

    Attributes:
        name: what it does ("Computing maps").
        done, total: progress; a total of 0 is unknown.
        seconds_left: estimate, None until there is one.
        can_cancel: whether Cancel is offered.
    """

    name: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    can_cancel: bool = True


def duration(seconds: float) -> str:
    """Return a duration rounded for reading: ``41 s``, ``4 min``, ``2 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


class BusyBar(QWidget):
    """A bar for work of unknown length; it moves only while it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(96, 4)
        self._phase = 0
        self._timer = QTimer(self)
        self._timer.setInterval(60)
        self._timer.timeout.connect(self._step)

    def set_running(self, running: bool) -> None:
        """Show and move, or hide and stand still."""
        self.setVisible(running)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    @Slot()
    def _step(self) -> None:
        self._phase = (self._phase + 3) % 130
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("track"))
        painter.drawRoundedRect(QRectF(self.rect()), 2, 2)
        painter.setClipRect(self.rect())
        painter.setBrush(theme().color("accent-line"))
        painter.drawRoundedRect(QRectF(self._phase - 34, 0, 34, 4), 2, 2)
        painter.end()


class StatusBar(QWidget):
    """Message, job, device.

    Signals:
        cancel_pressed: the running job shall stop.
        action_pressed: the button beside the message was pressed.
    """

    cancel_pressed = Signal()
    action_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        surface(self, "window")
        self.setFixedHeight(theme().px(STATUS))
        self.setAccessibleName("Status")
        self._tone: Tone = ""
        self._icon = QLabel()
        self._icon.setFixedWidth(16)
        self._message = label("", "name")
        self._detail = ElidedLabel("", "body", "text-2", mode=Qt.TextElideMode.ElideRight)
        self._detail.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._action = self._flat_button("Show")
        self._action.clicked.connect(self.action_pressed)
        self._action.hide()
        self._job_name = label("", "body", "text-2")
        self._job_bar = QProgressBar()
        self._job_bar.setFixedWidth(144)
        self._job_bar.setTextVisible(False)
        self._job_bar.setAccessibleName("Progress of the job")
        self._job_busy = BusyBar()
        self._job_count = label("", "name")
        self._job_left = label("", "body", "text-2")
        self._cancel = self._flat_button("Cancel", key="Ctrl+.", tip="Stop; what is computed stays")
        self._cancel.clicked.connect(self.cancel_pressed)
        self._device_icon = QLabel()
        theme().bind(self._device_icon, _cpu_icon)
        self._device = ElidedLabel("", "body", "text-2", mode=Qt.TextElideMode.ElideRight)
        self._device_busy = BusyBar()
        self._device_box = QWidget()
        device = QHBoxLayout(self._device_box)
        device.setContentsMargins(EDGE, 0, EDGE, 0)
        device.setSpacing(8)
        device.addWidget(self._device_icon)
        device.addWidget(self._device, 1)
        device.addWidget(self._device_busy)
        row = QHBoxLayout(self)
        row.setContentsMargins(EDGE, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self._icon)
        row.addWidget(self._message)
        row.addWidget(self._action)
        row.addWidget(self._detail, 1)
        for widget in (self._job_name, self._job_bar, self._job_busy, self._job_count, self._job_left, self._cancel):
            row.addWidget(widget)
        row.addWidget(self._device_box)
        theme().changed.connect(self._repaint_icon)
        self.set_job(None)
        self._device_busy.set_running(False)

    @staticmethod
    def _flat_button(text: str, *, key: str = "", tip: str = "") -> Button:
        """Return a button that fits into the row."""
        button = Button(text, "flat", key=key, tip=tip)
        button.setMaximumHeight(theme().px(STATUS) - 4)
        button.setMinimumHeight(theme().px(STATUS) - 4)
        button.setStyleSheet("QPushButton { min-height: 0; padding: 0 8px; }")
        return button

    def align(self, right: int) -> None:
        """Line the device up with the right panel."""
        self._device_box.setFixedWidth(right)

    def show_message(self, text: str, detail: str = "", *, tone: Tone = "info", action: str = "") -> None:
        """Replace the message; `detail` is its way back or what it means, `action` the name of a button beside it."""
        self._tone = tone
        self._action.set_text(action or "Show")
        self._action.setVisible(bool(action))
        self._message.setText(text)
        self._detail.set_full_text(detail)
        self.setAccessibleDescription(f"{text} {detail}".strip())
        self._repaint_icon()

    def message(self) -> str:
        """Return message and detail."""
        return f"{self._message.text()} {self._detail.full_text()}".strip()

    def set_job(self, job: JobState | None) -> None:
        """Show the running job, or none. Never 100 % before the end."""
        known = job is not None and job.total > 0
        self._job_name.setVisible(job is not None)
        self._job_bar.setVisible(known)
        self._job_busy.set_running(job is not None and not known)
        self._job_count.setVisible(known)
        self._cancel.setVisible(job is not None and job.can_cancel)
        left = job.seconds_left if job is not None else None
        self._job_left.setVisible(left is not None)
        if job is None:
            return
        self._job_name.setText(job.name)
        if known:
            self._job_bar.setRange(0, job.total)
            # A bar paints itself at once, and with it all that waits; a frame later is soon enough.
            self._job_bar.setUpdatesEnabled(False)
            self._job_bar.setValue(min(job.done, job.total))
            self._job_bar.setUpdatesEnabled(True)
            self._job_count.setText(f"{job.done:,} of {job.total:,}")
        if left is not None:
            self._job_left.setText(f"{duration(left)} left")

    def set_device(self, text: str, *, busy: bool = False) -> None:
        """Show the device, or that the engine starts."""
        self._device.set_full_text(text)
        self._device_busy.set_running(busy)

    @Slot()
    def _repaint_icon(self) -> None:
        if not self._tone:
            self._icon.clear()
            return
        name, token = _ICONS[self._tone]
        self._icon.setPixmap(icon_pixmap(name, token, density=2))


def _cpu_icon(target: object) -> None:
    if isinstance(target, QLabel):
        target.setPixmap(icon_pixmap("cpu", "text-2", density=2))
