"""The jobs that are open: handed to the engine, shown in the status bar, cancelled, their ends told."""

from __future__ import annotations

import logging
from dataclasses import replace

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.ui.status_bar import JobState
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import (
    EngineStarted,
    Job,
    JobCancelled,
    JobFailed,
    JobFinished,
    Notice,
    Progress,
    StartEngine,
)

log = logging.getLogger(__name__)


class JobBoard(QObject):
    """Looks after the engine's jobs of every kind.

    Signals:
        job_changed: `JobState` of the job to show, or None.
        device_changed: (words, whether it is starting).
        said: (text, detail, tone) for the status bar.
        ended: `JobFinished`, `JobFailed` or `JobCancelled`, after its own signals.
        idle: no job is open.
    """

    job_changed = Signal(object)
    device_changed = Signal(str, bool)
    said = Signal(str, str, str)
    ended = Signal(object)
    idle = Signal()

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._progress: dict[int, Progress] = {}
        engine.engine_started.connect(self._on_started)
        engine.progress_changed.connect(self._on_progress)
        engine.notice_given.connect(self._on_notice)
        engine.finished.connect(self._on_ended)
        engine.failed.connect(self._on_failed)
        engine.cancelled.connect(self._on_ended)

    def start(self) -> None:
        """Start the engine; the window is usable meanwhile."""
        self.device_changed.emit("Starting the engine", True)
        self.submit(StartEngine())

    def submit(self, job: Job) -> None:
        """Hand a job to the engine and show it in the status bar; a closed engine takes none."""
        try:
            self._engine.submit(job)
        except RuntimeError:
            log.info("a job came after the engine was closed")
            return
        self._show()

    def cancel(self) -> None:
        """Cancel the job in the status bar."""
        job = self._leading()
        if job is not None:
            self._engine.cancel(job.token)

    def _leading(self) -> Job | None:
        """Return the job that the status bar shows; a brief one only when it takes long."""
        jobs = self._engine.open_jobs()
        shown = [job for job in jobs if job.kind.rank >= 0 and (not job.kind.brief or job.token in self._progress)]
        return min(shown, key=lambda job: job.kind.rank, default=None)

    def _show(self) -> None:
        job = self._leading()
        if job is None:
            self.job_changed.emit(None)
            return
        progress = self._progress.get(job.token)
        state = JobState(job.kind.title)
        if progress is not None:
            state = replace(state, done=progress.done, total=progress.total, seconds_left=progress.seconds_left)
        self.job_changed.emit(state)

    @Slot(object)
    def _on_started(self, started: EngineStarted) -> None:
        self.device_changed.emit(started.devices[0].title if started.devices else "CPU", False)

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        self._progress[progress.token] = progress
        self._show()

    @Slot(object)
    def _on_notice(self, notice: Notice) -> None:
        self.said.emit(notice.message, "", "warn")

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        log.warning("job failed: %s\n%s", end.message, end.details)
        if isinstance(end.job, StartEngine):
            self.device_changed.emit("The engine does not start", False)
        self.said.emit(end.message, "", "bad")
        self._on_ended(end)

    @Slot(object)
    def _on_ended(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        self._progress.pop(end.token, None)
        self.ended.emit(end)
        self._show()
        if not self._engine.busy:
            self.idle.emit()
