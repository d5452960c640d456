"""The engine's side of the session: which network, method, layer and class; what is computed, stored and shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.errors import CamviewerError
from camviewer.project.records import ActivationMap, Run
from camviewer.project.store import Project
from camviewer.project.temperature import Network, tempered
from camviewer.regions.rules import START, RegionRule
from camviewer.ui.job_board import JobBoard
from camviewer.ui.panels.method import MethodChoice
from camviewer.ui.results import keep_result
from camviewer.ui.session import Session, ShownImage
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import (
    ClassScore,
    ComputeMaps,
    Explanation,
    Export,
    Exported,
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
    PartialMap,
)
from camviewer.workers.tasks import TaskDone, find_map_regions

log = logging.getLogger(__name__)

BROWSE_MS = 40
"""Wait before computing, so that browsing with a held key does not start a pass at every image."""
PARTIAL_SECONDS = 0.25
"""Pause between two pictures of a growing map: each costs the window a frame or two."""


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
        choices_changed: method, layers, rule or network are others now.
        exported: `ExportReport`.
        said: (text, detail, tone) for the status bar.
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
    choices_changed = Signal()
    exported = Signal(object)
    said = Signal(str, str, str)

    def __init__(self, session: Session, engine: Engine, jobs: JobBoard, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.engine = engine
        self._jobs = jobs
        self.summary: ModelSummary | None = None
        self.choice = MethodChoice()
        self.layers: tuple[str, ...] = ()
        self.rule: RegionRule = START
        self.class_index: int | None = None
        self.pinned: int | None = None
        self._maps: dict[int, ActivationMap] = {}
        self._runs: dict[int, Run] = {}
        self._partial_at = 0.0
        self._scores: Sequence[ClassScore] = ()
        self._image_of: dict[int, int] = {}
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(BROWSE_MS)
        self._wait.timeout.connect(self.compute_current)
        session.image_shown.connect(self._on_image)
        session.maps_changed.connect(self._on_stored_maps)
        session.project_opened.connect(self._on_project)
        session.tasks.done.connect(self._on_task)
        engine.model_loaded.connect(self._on_loaded)
        engine.maps_ready.connect(self._on_maps)
        engine.partial_ready.connect(self._on_partial)
        engine.exported.connect(self._on_exported)
        jobs.ended.connect(self._on_ended)

    # --- what the person asks for -------------------------------------------------------------------------------------

    def load_model(self, request: LoadRequest) -> None:
        """Load a network; the present one stays until it is there."""
        self.model_busy.emit("Loading the model")
        self.submit(LoadModel(request))

    def set_choice(self, choice: MethodChoice) -> None:
        """Choose method and parameters, and compute the image on the canvas."""
        self.choice = choice
        self.choices_changed.emit()
        self._forget_maps()
        self._take_stored()
        self._wait.start()

    def set_layers(self, layers: Sequence[str]) -> None:
        """Choose layers; none means the suggested one."""
        self.layers = tuple(layers)
        self.choices_changed.emit()
        self._forget_maps()
        self._take_stored()
        self._wait.start()

    def set_rule(self, rule: RegionRule) -> None:
        """Choose the region rule; the regions of the image on the canvas follow."""
        self.rule = rule
        self.choices_changed.emit()
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
        job = ComputeMaps(current.path, self.request(batch=False))
        self._image_of[job.token] = current.record.id
        self.map_busy.emit("Computing")
        self.submit(job)

    def export(self, request: Any) -> None:
        """Write an export in the background."""
        self.submit(Export(request))

    def submit(self, job: Job) -> None:
        """Hand a job to the engine and show it in the status bar."""
        self._jobs.submit(job)

    def request(self, *, batch: bool) -> MapRequest:
        """Return what the present choices ask of the engine, for the image on the canvas or for a batch."""
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
            for index, logit, probability in self.session.top(record)
        )
        self.scores_ready.emit(self._scores)
        for found in maps:
            if self.summary is None or self._is_chosen(found):
                self._maps[found.class_index] = found
        # The best class of another network is none of this one's: then the first map says which it is.
        if self.class_index is None and self._scores and (self.summary is None or self._maps):
            self.class_index = self._scores[0].index
        if self.class_index is not None:
            self.class_changed.emit(self.class_index)
        self._show_map()

    def _is_chosen(self, found: ActivationMap) -> bool:
        """Return whether a stored map is what the network on hand would compute with the present choices."""
        if found.method != self.choice.method or found.layer != self.layer_name():
            return False
        run = self._run_of(found)
        return run is not None and self._computes(run)

    def _computes(self, run: Run) -> bool:
        """Return whether a run's maps come from the network on hand, with the present method and parameters."""
        if self.summary is None:
            return False
        identity, request, method = self.summary.identity, self.request(batch=True), self.choice.method
        return (
            (run.architecture, run.weights_sha256) == (identity.architecture, identity.weights_sha256)
            and method in run.methods
            and run.offset == request.offset
            and run.method_parameters.get(method, {}) == request.checked()[method]
        )

    def network(self) -> Network | None:
        """Return which network is on hand, as projects name it."""
        identity = self.summary.identity if self.summary is not None else None
        return None if identity is None else (identity.architecture, identity.weights_sha256)

    def _shown_scores(self, explanation: Explanation) -> Sequence[ClassScore]:
        """Return the scores of the network on hand, at its temperature where one was fitted."""
        network, scores = self.network(), explanation.scores
        found = self.session.temperature(network) if network is not None else None
        if found is None:
            return scores
        top = tempered([(score.index, score.logit, score.probability) for score in scores], found.value)
        return [replace(score, probability=share) for score, (_, _, share) in zip(scores, top, strict=True)]

    def is_current(self, run: Run) -> bool:
        """Return whether a run made its masks as they would be made now: network, layer, method, rule."""
        layer = self.layer_name()
        return self._computes(run) and run.rule == self.rule and (layer in run.layers or "+".join(run.layers) == layer)

    def _names(self) -> tuple[str, ...]:
        if self.summary is not None:
            return self.summary.identity.classes
        table = self.session.table
        if not table.by_model:
            return ()
        found = dict(table.by_model)
        return tuple(table[found[i]].name if i in found else f"class {i}" for i in range(max(found) + 1))

    def layer_name(self) -> str:
        """Return the layer that maps are made of now, several joined by ``+``; empty without a network."""
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
        self.choices_changed.emit()
        self._jobs.device_changed.emit(summary.device_name, False)
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
        self._scores = self._shown_scores(explanation)
        for found in explanation.maps:
            self._maps[found.class_index] = found
            self._runs[found.class_index] = ready.run
        if self.class_index is None and explanation.scores:
            self.class_index = self.pinned if self.pinned is not None else explanation.scores[0].index
        self.scores_ready.emit(self._scores)
        self.class_changed.emit(self.class_index)
        self.identity_checked.emit(explanation.identity_error)
        # The rest in events of their own: all at once it would hold up the window for a frame or two.
        QTimer.singleShot(0, self, lambda: self._show_answer(ready, current.record.id))
        for notice in explanation.notices:
            self.said.emit(notice, "", "warn")

    def _show_answer(self, ready: MapsReady, image_id: int | None) -> None:
        """Draw the new map, and look for its regions, unless another image or choice has come between."""
        current, explanation = self.session.current, ready.explanation
        if current is None or current.record.id != image_id or current.pixels is None:
            return
        if any(self._maps.get(found.class_index) is not found for found in explanation.maps):
            return
        self._show_map()
        best = explanation.scores[0].index if explanation.scores else None
        found_best = self._maps.get(best) if best is not None else None
        if found_best is not None:
            self._find_regions(current, found_best, explanation, ready.run)

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
    def _on_exported(self, exported: Exported) -> None:
        self.exported.emit(exported.report)

    @Slot(object)
    def _on_ended(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        image_id = self._image_of.pop(end.token, None)
        if isinstance(end.job, LoadModel):
            self.model_busy.emit("")
        elif isinstance(end.job, ComputeMaps):
            if isinstance(end, JobFailed) and image_id is not None and end.kind == "image":
                self.session.store_failure(image_id, end.message)
            if not any(isinstance(job, ComputeMaps) for job in self.engine.open_jobs()):
                self.map_busy.emit("")
