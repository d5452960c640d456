"""Self-check: what this installation is like, and a quiet word when the last session did not end as it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from camviewer.diagnostics import LastCrash
from camviewer.ui.bench import Bench
from camviewer.ui.controls import IconButton
from camviewer.ui.layout import Layout
from camviewer.ui.sections import MessageBar
from camviewer.workers.tasks import TaskDone, TaskPool

if TYPE_CHECKING:
    from camviewer.ui.dialogs.selfcheck import SelfCheckDialog


class Checking(QObject):
    """Opens the self-check, and shows the report of the last crash once, in a line that can be closed."""

    def __init__(self, bench: Bench, places: Layout) -> None:
        super().__init__(bench)
        self._bench = bench
        self._places = places
        self._crash: LastCrash | None = None
        self._notice: QWidget | None = None
        self.dialog: SelfCheckDialog | None = None
        self._tasks = TaskPool(self, threads=1)
        self._tasks.done.connect(self._on_done)
        bench.closing.connect(self._tasks.close)
        bench.actions.connect("self_check", self.open)

    @Slot()
    def open(self) -> None:
        """Show the self-check; the window stays in use while it looks."""
        from camviewer.selfcheck import self_check
        from camviewer.ui.dialogs.selfcheck import SelfCheckDialog

        if self.dialog is not None:
            self.dialog.raise_()
            return
        self.dialog = SelfCheckDialog(self._crash, self._bench.window)
        self.dialog.log_wanted.connect(self._bench.actions["show_log"].trigger)
        self.dialog.finished.connect(self._on_closed)
        self.dialog.open()
        self._tasks.submit("check", None, lambda _reporter: self_check())

    @Slot()
    def _on_closed(self) -> None:
        self._tasks.drop("check")
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None

    @Slot(object)
    def _on_done(self, answer: TaskDone) -> None:
        if self.dialog is None:
            return
        if answer.error:
            self.dialog.show_failure(answer.error)
        else:
            self.dialog.show_findings(answer.result)

    def tell_of_crash(self, crash: LastCrash) -> None:
        """Say once, above everything else, that the last session did not end as it should."""
        self._crash = crash
        notice = QWidget()
        row = QHBoxLayout(notice)
        row.setContentsMargins(12, 8, 12, 8)
        bar = MessageBar("warn", "camviewer ended unexpectedly the last time.", "Your edits are kept.", "Show report")
        bar.action_triggered.connect(self.show_crash)
        close = IconButton("close", "Close this message")
        close.clicked.connect(self.forget_crash)
        row.addWidget(bar, 1)
        row.addWidget(close)
        self._notice = notice
        self._places.show_notice(notice)

    @Slot()
    def show_crash(self) -> None:
        """Show the report."""
        from camviewer.ui.dialogs.selfcheck import CrashDialog

        if self._crash is None:
            return
        dialog = CrashDialog(self._crash, self._bench.window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        self.forget_crash()

    @Slot()
    def forget_crash(self) -> None:
        """Take the line away; the self-check still knows."""
        if self._notice is not None:
            self._notice.hide()
            self._notice.deleteLater()
        self._notice = None
