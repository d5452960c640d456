"""The status bar: messages, the running job, the device, what failed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.ui.batch import Failure
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.failures import FailuresDialog


class Reporting(QObject):
    """Takes what anyone says to the status bar."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._failures: list[Failure] = []
        jobs, status = bench.jobs, bench.status
        bench.actions.connect("cancel", jobs.cancel)
        for source in (bench.session, bench.computing, bench.batch, jobs):
            source.said.connect(bench.say)
        jobs.job_changed.connect(status.set_job)
        jobs.device_changed.connect(self._on_device)
        bench.batch.failed.connect(self._on_batch_failed)
        status.cancel_pressed.connect(jobs.cancel)
        status.action_pressed.connect(self.show_failures)
        bench.say("Images can be opened now.", "Heat maps follow as soon as the engine has started")

    @Slot(str, bool)
    def _on_device(self, text: str, starting: bool) -> None:
        self._bench.status.set_device(text, busy=starting)

    @Slot(str, object)
    def _on_batch_failed(self, sentence: str, failures: list[Failure]) -> None:
        self._failures = failures
        self._bench.status.show_message(sentence, "The filter Failed shows them", tone="warn", action="Show")

    @Slot()
    def show_failures(self) -> None:
        """List what failed in the last batch."""
        dialog = FailuresDialog(self._failures, self._bench.window)
        dialog.image_chosen.connect(self._bench.session.show_image)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def show_error(self, sentence: str) -> None:
        """Say that something unexpected happened."""
        self._bench.say(sentence, "Help, Open the log folder", "bad")
