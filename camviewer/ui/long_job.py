"""The life of a feature's long job: handed in, told while it runs, cancelled, ended. One of its kind runs at a time."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.ui.job_board import JobBoard
from camviewer.ui.status_bar import duration
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import JobCancelled, JobFailed, JobFinished, Progress, Work, WorkDone, WorkPart


class LongJob(QObject):
    """A slot for one job; it outlives the dialog that shows it.

    Signals:
        part_found: a part of the result, while the job runs.
        progressed: (`Progress`, time left in words or "").
        finished: the result; the job is over.
        failed: the sentence that says why; the job is over.
        cancelled: by a person; the job is over.
    """

    part_found = Signal(object)
    progressed = Signal(object, str)
    finished = Signal(object)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, engine: Engine, jobs: JobBoard, parent: QObject) -> None:
        super().__init__(parent)
        self._engine = engine
        self._jobs = jobs
        self._token: int | None = None
        self._result: object = None
        engine.work_part.connect(self._on_part)
        engine.work_done.connect(self._on_done)
        engine.progress_changed.connect(self._on_progress)
        engine.finished.connect(self._on_end)
        engine.failed.connect(self._on_end)
        engine.cancelled.connect(self._on_end)

    @property
    def running(self) -> bool:
        """Whether a job was handed in and has not ended."""
        return self._token is not None

    def start(self, work: Work) -> None:
        """Hand in a job; one that runs is cancelled, and nothing of it is told any more."""
        self.cancel()
        self._token, self._result = work.token, None
        self._jobs.submit(work)

    @Slot()
    def cancel(self) -> None:
        """Stop the job, if there is one; it ends soon."""
        if self._token is not None:
            self._engine.cancel(self._token)

    @Slot(object)
    def _on_part(self, answer: WorkPart) -> None:
        if answer.token == self._token:
            self.part_found.emit(answer.part)

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        if progress.token == self._token:
            left = duration(progress.seconds_left) if progress.seconds_left is not None else ""
            self.progressed.emit(progress, left)

    @Slot(object)
    def _on_done(self, done: WorkDone) -> None:
        if done.token == self._token:
            self._result = done.result

    @Slot(object)
    def _on_end(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        if end.token != self._token:
            return
        result, self._token, self._result = self._result, None, None
        if isinstance(end, JobFinished):
            self.finished.emit(result)
        elif isinstance(end, JobFailed):
            self.failed.emit(end.message)
        else:
            self.cancelled.emit()
