"""The engine's side of the session: which network, method, layer and class; what is computed, stored and shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.errors import CamviewerError
from camviewer.project.records import ActivationMap, Run
from camviewer.project.store import Project
from camviewer.regions.rules import RegionRule
from camviewer.ui.panels.method import MethodChoice
from camviewer.ui.results import keep_result
from camviewer.ui.session import Session, ShownImage
from camviewer.ui.status_bar import JobState
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import (
    ClassScore,
    ComputeBatch,
    ComputeMaps,
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
    LoadRequest,
    MapRequest,
    MapsReady,
    ModelLoaded,
    ModelSummary,
    Notice,
    PartialMap,
    Progress,
    StartEngine,
)
from camviewer.workers.tasks import TaskDone, find_map_regions

log = logging.getLogger(__name__)

BROWSE_MS = 40
"""Wait before computing, so that browsing with a held key does not start a pass at every image."""
PARTIAL_SECONDS = 0.25
"""Pause between two pictures of a growing map: each costs the window a frame or two."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An image of a batch that could not be computed, and why, in one sentence."""

    image_id: int
    name: str
    sentence: str


@dataclass(slots=True)
class _Batch:
    """A batch on its way: the image of every path, and how far it is."""

    token: int
    images: list[int]
    done: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What a search for regions was about.

    Attributes:
        project, image_id: where the regions belong.
        explanation: what is new beside them; None when only the rule changed.
        run: what computed the map, with the rule of the search.
    """

    project: Project
    image_id: int
    explanation: Explanation | None
    run: Run


class Computing(QObject):
    """Turns choices into jobs, and answers into stored results.

    Signals:
        model_changed: `ModelSummary`, or None.
        model_busy: words while a network is loaded; empty afterwards.
        scores_ready: sequence of `ClassScore` of the image on the canvas, best first; empty for none.
        map_shown: (`ActivationMap` or None, class name, probability or None).
        map_busy: words while the map on the canvas is computed; empty afterwards.
        identity_checked: largest deviation of the head's identity, or None.
        class_changed: model class index of the shown map, or None.
        class_chosen: model class index that the person asked for.
        choice_changed: `MethodChoice`, when the program had to choose another method.
        job_changed: `JobState`, or None.
        device_changed: (words, whether it is starting).
        exported: `ExportReport`.
        said: (text, detail, tone) for the status bar.
        batch_failed: (sentence, list of `Failure`), at the end of a batch that had some.
        idle: no job is open.
    """

    model_changed = Signal(object)
    model_busy = Signal(str)
    scores_ready = Signal(object)
    map_shown = Signal(object, str, object)
    partial_shown = Signal(object)
    map_busy = Signal(str)
    identity_checked = Signal(object)
    class_changed = Signal(object)
    class_chosen = Signal(int)
    choice_changed = Signal(object)
    job_changed = Signal(object)
    device_changed = Signal(str, bool)
    exported = Signal(object)
    said = Signal(str, str, str)
    batch_failed = Signal(str, object)
    idle = Signal()

    def __init__(self, session: Session, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.engine = engine
        self.summary: ModelSummary | None = None
        self.choice = MethodChoice()
        self.layers: tuple[str, ...] = ()
        self.rule = RegionRule()
        self.class_index: int | None = None
        self.pinned: int | None = None
        self._maps: dict[int, ActivationMap] = {}
        self._runs: dict[int, Run] = {}
        self._partial_at = 0.0
        self._scores: tuple[ClassScore, ...] = ()
        self._image_of: dict[int, int] = {}
        self._batch: _Batch | None = None
        self._progress: dict[int, Progress] = {}
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(BROWSE_MS)
        self._wait.timeout.connect(self.compute_current)
        session.image_shown.connect(self._on_image)
        session.maps_changed.connect(self._on_stored_maps)
        session.project_opened.connect(self._on_project)
        session.tasks.done.connect(self._on_task)
        engine.engine_started.connect(self._on_started)
        engine.model_loaded.connect(self._on_loaded)
        engine.maps_ready.connect(self._on_maps)
        engine.partial_ready.connect(self._on_partial)
        engine.image_computed.connect(self._on_image_computed)
        engine.exported.connect(self._on_exported)
        engine.progress_changed.connect(self._on_progress)
        engine.notice_given.connect(self._on_notice)
        engine.finished.connect(self._on_finished)
        engine.failed.connect(self._on_failed)
        engine.cancelled.connect(self._on_cancelled)

    # --- what the person asks for -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the engine; the window is usable meanwhile."""
        self.device_changed.emit("Starting the engine", True)
        self.submit(StartEngine())

    def load_model(self, request: LoadRequest) -> None:
        """Load a network; the present one stays until it is there."""
        self.model_busy.emit("Loading the model")
        self.submit(LoadModel(request))

    def set_choice(self, choice: MethodChoice) -> None:
        """Choose method and parameters, and compute the image on the canvas."""
        self.choice = choice
        self._forget_maps()
        self._take_stored()
        self._wait.start()

    def set_layers(self, layers: Sequence[str]) -> None:
        """Choose layers; none means the suggested one."""
        self.layers = tuple(layers)
        self._forget_maps()
        self._take_stored()
        self._wait.start()

    def set_rule(self, rule: RegionRule) -> None:
        """Choose the region rule; the regions of the image on the canvas follow."""
        self.rule = rule
        found = self._maps.get(self.class_index) if self.class_index is not None else None
        current = self.session.current
        if found is None or current is None or current.pixels is None or self.summary is None:
            return
        if current.record.status == "reviewed":
            self.said.emit("Reviewed images keep their regions.", "Take the review back to change them", "info")
            return
        run = self._run_of(found)
        if run is not None:
            self._find_regions(current, found, None, run)

    def _forget_maps(self) -> None:
        """Let go of the maps of former choices, also of those that are still on their way."""
        self._maps.clear()
        self._runs.clear()
        for job in self.engine.open_jobs():
            if isinstance(job, ComputeMaps):
                self.engine.cancel(job.token)

    def _run_of(self, found: ActivationMap) -> Run | None:
        """Return what computed a map: the engine said so, or the project holds it."""
        project = self.session.project
        if found.run is None or project is None:
            return self._runs.get(found.class_index)
        try:
            return project.run(found.run)
        except CamviewerError as error:
            self.said.emit(error.message, "The regions stay as they are", "bad")
            return None

    def choose_class(self, class_index: int) -> None:
        """Show the map of a model class; it is computed where it is not there."""
        self.class_index = class_index
        self.class_chosen.emit(class_index)
        self.class_changed.emit(class_index)
        if class_index in self._maps:
            self._show_map()
        else:
            self.map_shown.emit(None, "", None)
            self._wait.start()

    def choose_rank(self, rank: int) -> None:
        """Show the map of the class of this rank, from 0."""
        if rank < len(self._scores):
            self.choose_class(self._scores[rank].index)

    def pin_class(self, class_index: object) -> None:
        """Show this class for every image; None goes back to the most likely one."""
        self.pinned = class_index if isinstance(class_index, int) else None
        if self.pinned is not None:
            self.choose_class(self.pinned)

    def next_method(self) -> None:
        """Choose the method after the present one that the network allows."""
        names = [spec.name for spec in METHODS if spec.name not in self.unavailable()]
        if names:
            place = names.index(self.choice.method) if self.choice.method in names else -1
            choice = MethodChoice(names[(place + 1) % len(names)], {}, self.choice.offset)
            self.choice_changed.emit(choice)
            self.set_choice(choice)

    def unavailable(self) -> dict[str, str]:
        """Return the methods that the network does not allow, with the reason."""
        summary = self.summary
        if summary is None or not summary.head.reason:
            return {}
        return {spec.name: summary.head.reason for spec in METHODS if spec.needs == "head"}

    @Slot()
    def compute_current(self) -> None:
        """Compute the maps of the image on the canvas, where they are not there."""
        self._compute(force=False)

    def recompute(self) -> None:
        """Compute the maps of the image on the canvas anew."""
        self._compute(force=True)

    def _compute(self, *, force: bool) -> None:
        current = self.session.current
        if self.summary is None or current is None or current.pixels is None or current.record.id is None:
            return
        if not force and self._scores and self.class_index in self._maps:
            return
        job = ComputeMaps(current.path, self._request(batch=False))
        self._image_of[job.token] = current.record.id
        self.map_busy.emit("Computing")
        self.submit(job)

    def compute_all(self) -> None:
        """Compute every image that is not decided: those without results, or all again when none is without."""
        if self.summary is None or self.session.project is None or self._batch is not None:
            return
        open_ones = [r for r in self.session.records() if r.status in ("new", "computed", "edited", "failed")]
        waiting = [r for r in open_ones if r.status in ("new", "failed") or not r.top] or open_ones
        waiting = [r for r in waiting if r.size != (0, 0)]
        if not waiting:
            self.said.emit("Nothing to compute.", "Every image is reviewed or skipped", "info")
            return
        project = self.session.project
        paths = tuple(project.file_of(record) for record in waiting)
        job = ComputeBatch(paths, self._request(batch=True), self.rule)
        self._batch = _Batch(job.token, [record.id or 0 for record in waiting])
        self.submit(job)

    def cancel(self) -> None:
        """Cancel the job in the status bar."""
        job = self._leading_job()
        if job is not None:
            self.engine.cancel(job.token)

    def export(self, request: Any) -> None:
        """Write an export in the background."""
        self.submit(Export(request))

    def submit(self, job: Job) -> None:
        """Hand a job to the engine and show it in the status bar; a closed engine takes none."""
        try:
            self.engine.submit(job)
        except RuntimeError:
            log.info("a job came after the engine was closed")
            return
        self._show_job()

    def _request(self, *, batch: bool) -> MapRequest:
        choice = self.choice
        classes: str | tuple[int, ...] = "predicted"
        cheap = BY_NAME[choice.method].needs == "head"
        if self.class_index is not None and self._scores and self._scores[0].index != self.class_index and not batch:
            classes = (self._scores[0].index, self.class_index)
        elif cheap:
            classes = "top5" if self.summary is None or len(self.summary.identity.classes) >= 5 else "all"
        if batch:
            classes = "predicted"
        return MapRequest(
            methods=(choice.method,),
            classes=classes,
            layers=self.layers,
            parameters={choice.method: dict(choice.parameters)},
            offset=choice.offset,
            fuse="mean" if len(self.layers) > 1 else "none",
        )

    # --- the image on the canvas --------------------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, project: object) -> None:
        self._forget_maps()
        self._scores = ()
        self.scores_ready.emit(())
        if project is None:
            self.session.tasks.drop("regions")
            if self._batch is not None:
                self.engine.cancel(self._batch.token)
        elif self.summary is not None:
            self.session.set_model_classes(self.summary.identity.classes)

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        if shown is None or shown.pixels is None:
            self._maps.clear()
            self._runs.clear()
            self._scores = ()
            self.class_index = self.pinned
            if shown is None or shown.error:
                self.scores_ready.emit(())
            self.map_shown.emit(None, "", None)

    @Slot(object)
    def _on_stored_maps(self, maps: list[ActivationMap]) -> None:
        self._take_stored(maps)
        if self.class_index is None or self.class_index not in self._maps:
            self._wait.start()

    def _take_stored(self, maps: list[ActivationMap] | None = None) -> None:
        """Show what the project holds: reopening needs no model."""
        current, project = self.session.current, self.session.project
        if current is None or project is None or current.record.id is None or current.pixels is None:
            return
        if maps is None:
            try:
                maps = project.maps(current.record.id)
            except CamviewerError:
                maps = []
        names = self._names()
        record = current.record
        self._scores = tuple(
            ClassScore(index, names[index] if index < len(names) else f"class {index}", logit, probability)
            for index, logit, probability in record.top
        )
        self.scores_ready.emit(self._scores)
        if self.class_index is None and self._scores:
            self.class_index = self._scores[0].index
        for found in maps:
            if self.summary is None or self._is_chosen(found, self.summary):
                self._maps[found.class_index] = found
        if self.class_index is not None:
            self.class_changed.emit(self.class_index)
        self._show_map()

    def _is_chosen(self, found: ActivationMap, summary: ModelSummary) -> bool:
        """Return whether a stored map is what the network on hand would compute with the present choices."""
        if found.method != self.choice.method or found.layer != self._layer_name():
            return False
        run, request = self._run_of(found), self._request(batch=True)
        if run is None:
            return False
        identity = summary.identity
        return (
            (run.architecture, run.weights_sha256) == (identity.architecture, identity.weights_sha256)
            and run.offset == request.offset
            and run.method_parameters.get(found.method, {}) == request.checked()[found.method]
        )

    def _names(self) -> tuple[str, ...]:
        if self.summary is not None:
            return self.summary.identity.classes
        table = self.session.table
        if not table.by_model:
            return ()
        found = dict(table.by_model)
        return tuple(table[found[i]].name if i in found else f"class {i}" for i in range(max(found) + 1))

    def _layer_name(self) -> str:
        summary = self.summary
        if summary is None:
            return ""
        if len(self.layers) == 1:
            return self.layers[0]
        if self.layers:
            return "+".join(self.layers)
        if BY_NAME[self.choice.method].needs == "head":
            return summary.head.layer
        return summary.suggested

    @property
    def shown_map(self) -> ActivationMap | None:
        """The map of the chosen class of the image on the canvas; None while there is none."""
        return self._maps.get(self.class_index) if self.class_index is not None else None

    def _show_map(self) -> None:
        index, found = self.class_index, self.shown_map
        score = next((score for score in self._scores if score.index == index), None)
        name = score.name if score is not None else ""
        self.map_shown.emit(found, name, score.probability if score is not None else None)

    # --- answers ------------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_started(self, started: EngineStarted) -> None:
        title = started.devices[0].title if started.devices else "CPU"
        self.device_changed.emit(title, False)

    @Slot(object)
    def _on_loaded(self, loaded: ModelLoaded) -> None:
        summary = loaded.summary
        self.summary = summary
        self.layers = ()
        self.pinned = None
        self.class_index = None
        self._forget_maps()
        if self.choice.method in self.unavailable():
            self.choice = MethodChoice("gradcam", {}, self.choice.offset)
        self.session.set_model_classes(summary.identity.classes)
        self.model_changed.emit(summary)
        self.choice_changed.emit(self.choice)
        self.device_changed.emit(summary.device_name, False)
        count = len(summary.identity.classes)
        if summary.warnings:
            self.said.emit(summary.warnings[0], "", "warn")
        else:
            self.said.emit(f"{summary.identity.architecture} is loaded.", f"{count} classes", "ok")
        if self.session.current is not None:
            self.session.refresh_maps()

    @Slot(object)
    def _on_maps(self, ready: MapsReady) -> None:
        image_id = self._image_of.get(ready.token)
        current = self.session.current
        if current is None or current.record.id != image_id or current.pixels is None:
            return
        explanation = ready.explanation
        self._scores = explanation.scores
        for found in explanation.maps:
            self._maps[found.class_index] = found
            self._runs[found.class_index] = ready.run
        if self.class_index is None and explanation.scores:
            self.class_index = self.pinned if self.pinned is not None else explanation.scores[0].index
        self.scores_ready.emit(explanation.scores)
        self.class_changed.emit(self.class_index)
        self.identity_checked.emit(explanation.identity_error)
        self._show_map()
        best = explanation.scores[0].index if explanation.scores else None
        found_best = self._maps.get(best) if best is not None else None
        if found_best is not None:
            self._find_regions(current, found_best, explanation, ready.run)
        for notice in explanation.notices:
            self.said.emit(notice, "", "warn")

    def _find_regions(
        self, current: ShownImage, found: ActivationMap, explanation: Explanation | None, run: Run
    ) -> None:
        pixels, rule, project = current.pixels, self.rule, self.session.project
        if pixels is None or project is None or current.record.id is None:
            return
        subject = _Found(project, current.record.id, explanation, replace(run, rule=rule))
        self.session.tasks.submit("regions", subject, lambda _reporter: find_map_regions(pixels, found, rule))

    @Slot(object)
    def _on_task(self, answer: TaskDone) -> None:
        if answer.key != "regions":
            return
        if answer.error:
            self.said.emit(answer.error, "", "bad")
            return
        about: _Found = answer.subject
        explanation = about.explanation
        record = self.session.record(about.image_id)
        if record is None or self.session.project is not about.project:
            return
        if explanation is not None:
            top = [(score.index, score.logit, score.probability) for score in explanation.scores]
            maps: Sequence[ActivationMap] = explanation.maps
        else:
            top, maps = list(record.top), ()
        keep_result(self.session, about.image_id, run=about.run, top=top, maps=maps, found=[answer.result])

    @Slot(object)
    def _on_partial(self, partial: PartialMap) -> None:
        current = self.session.current
        if current is None or self._image_of.get(partial.token) != current.record.id:
            return
        now = time.monotonic()
        if self.class_index in (None, partial.map.class_index) and now - self._partial_at >= PARTIAL_SECONDS:
            self._partial_at = now
            self.partial_shown.emit(partial.map)
        words = ", ".join(partial.map.flags)
        self.map_busy.emit(f"{words[:1].upper()}{words[1:]}" if words else "Partial map")

    @Slot(object)
    def _on_image_computed(self, computed: ImageComputed) -> None:
        batch = self._batch
        if batch is None or computed.token != batch.token or self.session.project is None:
            return
        image_id = batch.images[computed.index]
        batch.done += 1
        result = computed.result
        if result.error is not None or result.explanation is None:
            sentence = result.error.message if result.error else "No result."
            batch.failures.append(Failure(image_id, computed.path.name, sentence))
            self.session.store_failure(image_id, sentence)
            return
        scores = result.explanation.scores
        top = [(score.index, score.logit, score.probability) for score in scores]
        maps = result.explanation.maps
        keep_result(self.session, image_id, run=computed.run, top=top, maps=maps, found=result.maps)
        current = self.session.current
        if current is not None and current.record.id == image_id:
            self.session.refresh_maps()

    @Slot(object)
    def _on_exported(self, exported: Exported) -> None:
        self.exported.emit(exported.report)

    @Slot(object)
    def _on_notice(self, notice: Notice) -> None:
        self.said.emit(notice.message, "", "warn")

    # --- ends ---------------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_finished(self, end: JobFinished) -> None:
        batch = self._batch
        if isinstance(end.job, ComputeBatch) and batch is not None:
            self._say_failures(f"{_images(batch.done - len(batch.failures))} computed.", batch, "ok", "")
        self._close_job(end)

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        log.warning("job failed: %s\n%s", end.message, end.details)
        if isinstance(end.job, StartEngine):
            self.device_changed.emit("The engine does not start", False)
        self.said.emit(end.message, "", "bad")
        if isinstance(end.job, ComputeMaps):
            image_id = self._image_of.get(end.token)
            if image_id is not None and end.kind == "image":
                self.session.store_failure(image_id, end.message)
        self._close_job(end)

    @Slot(object)
    def _on_cancelled(self, end: JobCancelled) -> None:
        batch = self._batch
        if isinstance(end.job, ComputeBatch) and batch is not None:
            self._say_failures(f"Cancelled after {_images(batch.done)}.", batch, "info", "Their results stay")
        self._close_job(end)

    def _say_failures(self, text: str, batch: _Batch, tone: str, detail: str) -> None:
        """Say how a batch ended: one message, however many images failed."""
        if not batch.failures:
            self.said.emit(text, detail, tone)
        else:
            self.batch_failed.emit(f"{text[:-1]}, {len(batch.failures):,} failed.", list(batch.failures))

    def _close_job(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        self._progress.pop(end.token, None)
        self._image_of.pop(end.token, None)
        if isinstance(end.job, LoadModel):
            self.model_busy.emit("")
        elif isinstance(end.job, ComputeBatch):
            self._batch = None
        elif isinstance(end.job, ComputeMaps) and not any(isinstance(j, ComputeMaps) for j in self.engine.open_jobs()):
            self.map_busy.emit("")
        self._show_job()
        if not self.engine.open_jobs():
            self.idle.emit()

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        self._progress[progress.token] = progress
        self._show_job()

    def _leading_job(self) -> Job | None:
        """Return the job that the status bar shows; a single map only when it takes long."""
        jobs = self.engine.open_jobs()
        shown = [job for job in jobs if job.kind.rank >= 0 and (not job.kind.brief or job.token in self._progress)]
        return min(shown, key=lambda job: job.kind.rank, default=None)

    def _show_job(self) -> None:
        job = self._leading_job()
        if job is None:
            self.job_changed.emit(None)
            return
        progress = self._progress.get(job.token)
        state = JobState(job.kind.title)
        if progress is not None:
            state = replace(state, done=progress.done, total=progress.total, seconds_left=progress.seconds_left)
        self.job_changed.emit(state)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
