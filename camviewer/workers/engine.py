"""The window's side of the workers: one object to submit jobs to, with a signal for every kind of answer."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from camviewer.workers.garbage import GarbageGuard
from camviewer.workers.inbox import Inbox
from camviewer.workers.jobs import (
    ComputeBatch,
    ComputeMaps,
    ComputeUnits,
    EngineStarted,
    Exported,
    ImageComputed,
    Job,
    JobCancelled,
    JobFailed,
    JobFinished,
    LoadModel,
    MapsReady,
    ModelLoaded,
    Notice,
    PartialMap,
    Progress,
    UnitsReady,
    WorkDone,
    WorkPart,
)
from camviewer.workers.worker import Backend, Worker

STACK_BYTES = 16 << 20
"""macOS gives secondary threads 512 KiB, too little for BLAS."""

JOIN_MS = 5000

SWITCH_SECONDS = 0.001
"""After so long a thread of Python hands over where another waits, the window's above all; Python's own is five times
as long, and a handler may have to wait several times."""

log = logging.getLogger(__name__)

# Threads that did not end in time: destroying a running QThread aborts the process, so they are kept to its end.
_stranded: list[QObject] = []


class _Lane(QObject):
    """One long-lived thread with its worker and inbox."""

    wake = Signal()

    def __init__(
        self, name: str, make_backend: Callable[[], Backend], answered: Callable[[object], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self.inbox = Inbox()
        self.thread_ = QThread(self)
        self.thread_.setObjectName(name)
        self.thread_.setStackSize(STACK_BYTES)
        self.worker: Worker | None = Worker(self.inbox, make_backend)
        if not self.worker.moveToThread(self.thread_):
            raise RuntimeError(f"the worker {name} could not move to its thread")
        # Connected after the move: a connection made before it would run in this thread.
        self.wake.connect(self.worker.drain)
        self.worker.answered.connect(answered)
        self.thread_.finished.connect(self.worker.close)
        self.thread_.start()

    def put(self, job: Job) -> None:
        self.inbox.put(job)
        self.wake.emit()

    def begin_close(self) -> None:
        self.inbox.close()
        self.thread_.quit()

    def join(self, milliseconds: int) -> bool:
        if not self.thread_.wait(milliseconds):
            self.setParent(None)
            _stranded.append(self)
            return False
        self.worker = None
        return True


class Engine(QObject):
    """Runs jobs off the GUI thread. Lives in the GUI thread; all signals arrive there, in the order of the answers.

    A job is submitted with `submit` and answers with its token. In between come `progress_changed`,
    `partial_ready`, `image_computed` and `notice_given`; a result signal (`engine_started`, `model_loaded`,
    `maps_ready`, `exported`) precedes `finished`; and exactly one of `finished`, `failed` and `cancelled` is the last
    signal of every job. Nothing is emitted from inside `submit` or `cancel`.

    Maps, exports and other work have a thread each, so an export never waits for a batch. In the first, a `LoadModel`
    goes before `ComputeMaps`, and `ComputeMaps` before `ComputeBatch`, which steps aside even within a forward pass.

    While an engine lives, cyclic garbage is collected in the GUI thread only, see `camviewer.workers.garbage`, and
    threads hand over every `SWITCH_SECONDS`.

    Args:
        make_backend: makes what runs the jobs, inside the thread; the torch backend when None.

    Signals:
        engine_started: `EngineStarted`; torch is loaded.
        model_loaded: `ModelLoaded`.
        maps_ready: `MapsReady`.
        units_ready: `UnitsReady`.
        partial_ready: `PartialMap`.
        image_computed: `ImageComputed`, one an image of a batch.
        exported: `Exported`.
        work_part: `WorkPart`.
        work_done: `WorkDone`.
        progress_changed: `Progress`.
        notice_given: `Notice`, a sentence for the status bar while the job goes on.
        finished: `JobFinished`.
        failed: `JobFailed`.
        cancelled: `JobCancelled`.
        busy_changed: whether any job is open.
    """

    engine_started = Signal(object)
    model_loaded = Signal(object)
    maps_ready = Signal(object)
    units_ready = Signal(object)
    partial_ready = Signal(object)
    image_computed = Signal(object)
    exported = Signal(object)
    work_part = Signal(object)
    work_done = Signal(object)
    progress_changed = Signal(object)
    notice_given = Signal(object)
    finished = Signal(object)
    failed = Signal(object)
    cancelled = Signal(object)
    busy_changed = Signal(bool)
    _left = Signal(object)

    def __init__(self, parent: QObject | None = None, *, make_backend: Callable[[], Backend] | None = None) -> None:
        super().__init__(parent)
        self._make_backend = make_backend or _torch_backend
        self._garbage = GarbageGuard(self)
        self._switch_seconds = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._lanes: dict[str, _Lane] = {}
        self._open: dict[int, Job] = {}
        self._dropped: set[int] = set()
        self._closed = False
        self._settled = False
        self._left.connect(self._tell_left, Qt.ConnectionType.QueuedConnection)
        self._signals = {
            EngineStarted: self.engine_started,
            ModelLoaded: self.model_loaded,
            MapsReady: self.maps_ready,
            UnitsReady: self.units_ready,
            PartialMap: self.partial_ready,
            ImageComputed: self.image_computed,
            Exported: self.exported,
            WorkPart: self.work_part,
            WorkDone: self.work_done,
            Progress: self.progress_changed,
            Notice: self.notice_given,
            JobFinished: self.finished,
            JobFailed: self.failed,
            JobCancelled: self.cancelled,
        }

    def submit(self, job: Job) -> int:
        """Hand in a job; return its token.

        A `ComputeMaps` or `ComputeUnits` cancels the one of its kind before it; a `LoadModel` cancels every job of the
        network before it.

        Raises:
            RuntimeError: when the engine is closed, or the token is in use.
        """
        if self._closed:
            raise RuntimeError("the engine is closed")
        if job.token in self._open:
            raise RuntimeError(f"token {job.token} is in use")
        replaced: tuple[type, ...] = ()
        if isinstance(job, ComputeMaps):
            replaced = (ComputeMaps,)
        elif isinstance(job, ComputeUnits):
            replaced = (ComputeUnits,)
        elif isinstance(job, LoadModel):
            replaced = (LoadModel, ComputeMaps, ComputeUnits, ComputeBatch)
        for token, other in list(self._open.items()):
            if isinstance(other, replaced):
                self.cancel(token)
        was_busy = bool(self._open)
        self._open[job.token] = job
        self._lane(job.kind.lane).put(job)
        if not was_busy:
            self.busy_changed.emit(True)
        return job.token

    def cancel(self, token: int) -> None:
        """Cancel a job, waiting or running; a token that is not open is ignored.

        Nothing of a cancelled `ComputeMaps` or `ComputeBatch` follows but `cancelled`, at once: the thread may still be
        at work on what nobody wants, for a fraction of a second. A load or an export that could not be stopped any more
        ends as `finished`, because its effect stands.
        """
        job = self._open.get(token)
        if job is None:
            return
        if isinstance(job, ComputeMaps | ComputeUnits | ComputeBatch) and token not in self._dropped:
            self._dropped.add(token)
            self._left.emit(JobCancelled(token, job))
        lane = self._lane(job.kind.lane)
        lane.inbox.cancel(token)
        lane.wake.emit()

    def cancel_all(self) -> None:
        """Cancel every open job."""
        for token in list(self._open):
            self.cancel(token)

    @property
    def busy(self) -> bool:
        """Whether any job is open."""
        return bool(self._open)

    def open_jobs(self) -> tuple[Job, ...]:
        """Return the jobs that have not ended, oldest first."""
        return tuple(self._open.values())

    def close(self, *, timeout_ms: int = JOIN_MS) -> bool:
        """Cancel everything and end the threads; open jobs end as `cancelled`.

        Returns:
            Whether all threads ended in time. If not (torch is just being imported, a library does not come back),
            the caller leaves by ``os._exit``, since Qt aborts when a running thread is destroyed.
        """
        if self._closed:
            return True
        self._closed = True
        for lane in self._lanes.values():
            lane.begin_close()
        joined = True
        for lane in self._lanes.values():
            joined = lane.join(timeout_ms) and joined
        if not joined:
            log.warning("a worker thread did not end within %d ms", timeout_ms)
        self._garbage.stop()
        sys.setswitchinterval(self._switch_seconds)
        for token, job in list(self._open.items()):
            del self._open[token]
            self.cancelled.emit(JobCancelled(token, job))
        return joined

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(f"camviewer-{name}", self._make_backend, self._receive, self)
        return self._lanes[name]

    @Slot(object)
    def _tell_left(self, end: JobCancelled) -> None:
        """Say that a job is cancelled whose results are not waited for."""
        if self._open.pop(end.token, None) is not None:
            self.cancelled.emit(end)
            if not self._open:
                self.busy_changed.emit(False)

    @Slot(object)
    def _receive(self, answer: object) -> None:
        token = getattr(answer, "token", 0)
        if token in self._dropped:
            if isinstance(answer, JobFinished | JobFailed | JobCancelled):
                self._dropped.discard(token)
                self._lane(answer.job.kind.lane).inbox.forget(token)
            return
        job = self._open.get(token)
        if job is None:
            return
        if isinstance(answer, EngineStarted | ModelLoaded) and not self._settled:
            self._settled = True
            self._garbage.settle()
        is_end = isinstance(answer, JobFinished | JobFailed | JobCancelled)
        if is_end:
            del self._open[token]
            self._lane(job.kind.lane).inbox.forget(token)
        self._signals[type(answer)].emit(answer)
        if is_end and not self._open:
            self.busy_changed.emit(False)


def _torch_backend() -> Backend:
    from camviewer.workers.backend import TorchBackend

    return TorchBackend()
