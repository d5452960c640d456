"""The object that lives in a worker thread: takes jobs from an inbox and runs them on a backend."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import CamviewerError, Cancelled
from camviewer.pipeline.progress import Pace
from camviewer.project.records import ActivationMap, Run
from camviewer.workers.inbox import Inbox
from camviewer.workers.jobs import (
    ComputeBatch,
    ComputeMaps,
    ComputeUnits,
    EngineStarted,
    Explanation,
    Export,
    Exported,
    ImageComputed,
    Job,
    JobCancelled,
    JobFailed,
    JobFinished,
    LoadModel,
    MapsReady,
    ModelLoaded,
    ModelSummary,
    Notice,
    PartialMap,
    Progress,
    StartEngine,
    UnitsReady,
    Work,
    WorkDone,
    WorkPart,
)
from camviewer.workers.priority import give_way

if TYPE_CHECKING:
    from camviewer.cam.requests import ClassUnits
    from camviewer.pipeline.explain import ImageResult
    from camviewer.pipeline.export import ExportReport

PARTIAL_INTERVAL = 0.15
PROGRESS_INTERVAL = 0.05
"""Seconds between two partial maps or progress reports of one job: more than the eye follows would only cost frames."""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

log = logging.getLogger(__name__)


class Watch:
    """How a running job talks to the outside. Called in the worker thread only."""

    def __init__(self, job: Job, inbox: Inbox, answer: Callable[[object], None], pace: Pace) -> None:
        self._job = job
        self._inbox = inbox
        self._answer = answer
        self._pace = pace
        self._last_progress = 0.0
        self._last_partial = 0.0

    def cancelled(self) -> bool:
        """Return whether the job is to stop now: cancelled, or a batch that must let an interactive job pass."""
        if self._inbox.is_cancelled(self._job.token):
            return True
        return isinstance(self._job, ComputeBatch) and self._inbox.should_step_aside(self._job)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` where `cancelled` holds."""
        if self.cancelled():
            raise Cancelled

    def progress(self, done: int, total: int) -> None:
        """Report how far the job is, in its own unit."""
        self._pace.advance(done, total)
        now = time.monotonic()
        if done < total and now - self._last_progress < PROGRESS_INTERVAL:
            return
        self._last_progress = now
        self._answer(Progress(self._job.token, done, total, self._pace.seconds_left))

    def partial(self, partial: ActivationMap) -> None:
        """Report a valid map from part of the passes."""
        now = time.monotonic()
        if isinstance(self._job, ComputeMaps) and now - self._last_partial >= PARTIAL_INTERVAL:
            self._last_partial = now
            self._answer(PartialMap(self._job.token, self._job.path, partial))

    def part(self, found: object) -> None:
        """Report something that a `Work` found on its way."""
        if isinstance(self._job, Work):
            self._answer(WorkPart(self._job.token, self._job, found))

    def notice(self, message: str) -> None:
        """Tell the user something while the job goes on."""
        log.warning(message)
        self._answer(Notice(self._job.token, message))


class Backend(Protocol):
    """What runs the jobs. Made and used in the worker thread only; every method may raise `Cancelled`."""

    def start(self, job: StartEngine) -> EngineStarted:
        """Import torch and report devices and versions; a second call reports again."""

    def load(self, job: LoadModel, watch: Watch) -> ModelSummary:
        """Load a network; keep the former one where that fails."""

    def compute(self, job: ComputeMaps, watch: Watch) -> Explanation:
        """Return the maps of one image."""

    def units(self, job: ComputeUnits, watch: Watch) -> ClassUnits:
        """Return the units of one class in one image."""

    def compute_group(self, job: ComputeBatch, first: int, watch: Watch) -> Sequence[ImageResult]:
        """Return the results of the next images from index `first` on, at least one."""

    def run_record(self, job: ComputeMaps | ComputeBatch, maps: Sequence[ActivationMap]) -> Run:
        """Return what computed `maps` for this job: the network that is loaded, and the job's own choices."""

    def export(self, job: Export, watch: Watch) -> ExportReport:
        """Write the export."""

    def close(self) -> None:
        """Release threads and memory."""


class Worker(QObject):
    """Runs jobs one at a time. Every job ends in exactly one `JobFinished`, `JobFailed` or `JobCancelled`.

    Args:
        inbox: where the jobs come from.
        make_backend: called once, in the worker thread, before the first job.
    """

    answered = Signal(object)

    def __init__(self, inbox: Inbox, make_backend: Callable[[], Backend]) -> None:
        super().__init__()
        self._inbox = inbox
        self._make_backend = make_backend
        self._backend: Backend | None = None
        self._batches: dict[int, tuple[int, Pace]] = {}

    @Slot()
    def drain(self) -> None:
        """Run what waits, the most urgent first, until nothing does."""
        while (job := self._inbox.take()) is not None:
            self._run(job)

    @Slot()
    def close(self) -> None:
        """Release the backend; the last thing that runs in the thread."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _run(self, job: Job) -> None:
        end: JobFinished | JobFailed | JobCancelled | None
        try:
            end = self._step(job)
        except Cancelled:
            if self._inbox.is_cancelled(job.token):
                end = JobCancelled(job.token, job)
            else:
                self._inbox.put_back(job)  # stepped aside; this step is done again
                end = None
        except CamviewerError as error:
            log.info("%s: %s %s", type(job).__name__, error.message, error.details)
            end = JobFailed(job.token, job, error.kind, error.message, error.details)
        except Exception as error:
            trace = _ANSI.sub("", traceback.format_exc())
            log.error("%s failed\n%s", type(job).__name__, trace)
            end = JobFailed(job.token, job, "unexpected", sentence_for(error, job), trace)
        if end is not None:
            self._batches.pop(job.token, None)
            self.answered.emit(end)

    def _step(self, job: Job) -> JobFinished | None:
        """Run a job, or one step of a batch; return its end, or None where more is to do."""
        if self._inbox.is_cancelled(job.token):
            raise Cancelled
        if self._backend is None:
            give_way()  # before torch makes its threads
            self._backend = self._make_backend()
        backend = self._backend
        if isinstance(job, ComputeBatch):
            return self._batch_step(backend, job)
        watch = Watch(job, self._inbox, self.answered.emit, Pace(1))
        if isinstance(job, StartEngine):
            self.answered.emit(backend.start(job))
        elif isinstance(job, LoadModel):
            summary = backend.load(job, watch)
            self.answered.emit(ModelLoaded(job.token, job.request, summary))
        elif isinstance(job, ComputeMaps):
            explanation = backend.compute(job, watch)
            run = backend.run_record(job, explanation.maps)
            self.answered.emit(MapsReady(job.token, job.path, job.request, explanation, run))
        elif isinstance(job, ComputeUnits):
            self.answered.emit(UnitsReady(job.token, job.path, backend.units(job, watch)))
        elif isinstance(job, Work):
            self.answered.emit(WorkDone(job.token, job, job.run(watch)))
        else:
            self.answered.emit(Exported(job.token, backend.export(job, watch)))
        return JobFinished(job.token, job)

    def _batch_step(self, backend: Backend, job: ComputeBatch) -> JobFinished | None:
        first, pace = self._batches.setdefault(job.token, (0, Pace(len(job.paths))))
        pace.resume()
        if first < len(job.paths):
            watch = Watch(job, self._inbox, self.answered.emit, pace)
            for result in backend.compute_group(job, first, watch):
                explanation = result.explanation
                run = backend.run_record(job, () if explanation is None else explanation.maps)
                self.answered.emit(ImageComputed(job.token, first, job.paths[first], result, run))
                first += 1
            pace.advance(first)
            self._batches[job.token] = (first, pace)
            self.answered.emit(Progress(job.token, first, len(job.paths), pace.seconds_left))
        if first < len(job.paths):
            self._inbox.put_back(job)
            return None
        return JobFinished(job.token, job)


def sentence_for(error: BaseException, job: Job) -> str:
    """Return one sentence for an error that nobody foresaw."""
    doing = job.kind.failure
    if isinstance(error, MemoryError):
        return f"{doing}: not enough memory. Close other programs or choose a smaller input size."
    return f"{doing}. The log tells why."
