"""Computing many images: which ones, what comes back, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.project.records import ImageRecord
from camviewer.ui.computing import Computing
from camviewer.ui.job_board import JobBoard
from camviewer.ui.results import keep_result
from camviewer.ui.session import Session
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ComputeBatch, ImageComputed, JobCancelled, JobFailed, JobFinished


@dataclass(frozen=True, slots=True)
class Failure:
    """An image of a batch that could not be computed, and why, in one sentence."""

    image_id: int
    name: str
    sentence: str


@dataclass(slots=True)
class _Running:
    """A batch on its way: the image of every path, and how far it is."""

    token: int
    images: list[int]
    done: int = 0
    failures: list[Failure] = field(default_factory=list)


class Batch(QObject):
    """Computes the images of a project that are not decided; one batch at a time.

    Signals:
        said: (text, detail, tone) for the status bar.
        failed: (sentence, list of `Failure`), at the end of a batch that had some.
    """

    said = Signal(str, str, str)
    failed = Signal(str, object)

    def __init__(self, session: Session, computing: Computing, jobs: JobBoard, engine: Engine, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._computing, self._jobs, self._engine = session, computing, jobs, engine
        self._running: _Running | None = None
        session.project_opened.connect(self._on_project)
        engine.image_computed.connect(self._on_image)
        jobs.ended.connect(self._on_ended)

    def compute_all(self) -> None:
        """Compute every image that is not decided: those without results, or all again when none is without."""
        open_ones = [r for r in self._session.records() if r.status in ("new", "computed", "edited", "failed")]
        waiting = [r for r in open_ones if r.status in ("new", "failed") or not r.top] or open_ones
        self._start(waiting, "Every image is reviewed or skipped")

    def compute(self, image_ids: Sequence[int]) -> None:
        """Compute these images anew; the regions of reviewed ones stay as they are."""
        records = [record for image_id in image_ids if (record := self._session.record(image_id)) is not None]
        self._start([r for r in records if r.status not in ("reviewed", "skipped")], "They are reviewed or skipped")

    def _start(self, records: list[ImageRecord], nothing: str) -> None:
        project = self._session.project
        if self._computing.summary is None or project is None or self._running is not None:
            return
        records = [record for record in records if record.size != (0, 0)]
        if not records:
            self.said.emit("Nothing to compute.", nothing, "info")
            return
        paths = tuple(project.file_of(record) for record in records)
        job = ComputeBatch(paths, self._computing.request(batch=True), self._computing.rule)
        self._running = _Running(job.token, [record.id or 0 for record in records])
        self._jobs.submit(job)

    @Slot(object)
    def _on_project(self, project: object) -> None:
        if project is None and self._running is not None:
            self._engine.cancel(self._running.token)

    @Slot(object)
    def _on_image(self, computed: ImageComputed) -> None:
        batch = self._running
        if batch is None or computed.token != batch.token or self._session.project is None:
            return
        image_id = batch.images[computed.index]
        batch.done += 1
        result = computed.result
        if result.error is not None or result.explanation is None:
            sentence = result.error.message if result.error else "No result."
            batch.failures.append(Failure(image_id, computed.path.name, sentence))
            self._session.store_failure(image_id, sentence)
            return
        top = [(score.index, score.logit, score.probability) for score in result.explanation.scores]
        maps = result.explanation.maps
        keep_result(self._session, image_id, run=computed.run, top=top, maps=maps, found=result.maps)
        current = self._session.current
        if current is not None and current.record.id == image_id:
            self._session.refresh_maps()

    @Slot(object)
    def _on_ended(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        batch = self._running
        if batch is None or end.token != batch.token:
            return
        self._running = None
        if isinstance(end, JobFinished):
            self._say(f"{_images(batch.done - len(batch.failures))} computed.", batch, "ok", "")
        elif isinstance(end, JobCancelled):
            self._say(f"Cancelled after {_images(batch.done)}.", batch, "info", "Their results stay")

    def _say(self, text: str, batch: _Running, tone: str, detail: str) -> None:
        """Say how a batch ended: one message, however many images failed."""
        if not batch.failures:
            self.said.emit(text, detail, tone)
        else:
            self.failed.emit(f"{text[:-1]}, {len(batch.failures):,} failed.", list(batch.failures))


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
