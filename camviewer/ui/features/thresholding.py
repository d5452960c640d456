"""Choosing the threshold by what was reviewed, and redrawing the automatic masks of the rest by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.choose_threshold import ChooseThresholdDialog
from camviewer.ui.results import keep_result
from camviewer.workers.jobs import JobCancelled, JobFailed, JobFinished, WorkDone, WorkPart
from camviewer.workers.thresholds import CHOOSING, REDRAWING, choose_work, redraw_work, rule_words

if TYPE_CHECKING:
    from camviewer.workers.thresholds import Candidate, Redrawn


class Thresholding(QObject):
    """Opens the dialog, and keeps what is redrawn; images that a person decided on are left alone."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._token: int | None = None
        self._redrawing: int | None = None
        self._kept = 0
        self.dialog: ChooseThresholdDialog | None = None
        bench.actions.connect("choose_threshold", self.open)
        engine = bench.engine
        engine.work_part.connect(self._on_part)
        engine.work_done.connect(self._on_done)
        engine.failed.connect(self._on_end)
        engine.cancelled.connect(self._on_end)
        engine.finished.connect(self._on_end)

    @Slot()
    def open(self) -> None:
        """Measure every rule on the reviewed images and show the curves."""
        project = self._bench.session.project
        if project is None:
            return
        if self.dialog is not None:
            self.dialog.raise_()
            return
        self.dialog = ChooseThresholdDialog(self._bench.window)
        self.dialog.wanted.connect(self.apply)
        self.dialog.finished.connect(self._on_closed)
        self.dialog.open()
        work = choose_work(project.path)
        self._token = work.token
        self._bench.computing.submit(work)

    @Slot()
    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None
        if self._token is not None:
            self._bench.engine.cancel(self._token)

    @Slot(object)
    def apply(self, candidate: Candidate) -> None:
        """Take a rule for this and all other images that nobody has decided on."""
        project = self._bench.session.project
        if project is None or self._redrawing is not None:
            return
        self._bench.threshold.set_rule(candidate.rule)
        self._bench.canvas.set_rule(candidate.rule)
        self._bench.computing.set_rule(candidate.rule)
        waiting = sum(record.status not in ("reviewed", "skipped") for record in self._bench.session.records())
        work = redraw_work(project.path, candidate, waiting)
        self._redrawing, self._kept = work.token, 0
        self._bench.computing.submit(work)

    @Slot(object)
    def _on_part(self, answer: WorkPart) -> None:
        if answer.token != self._redrawing:
            return
        redrawn: Redrawn = answer.part  # type: ignore[assignment]
        image_id = redrawn.image.id
        record = self._bench.session.record(image_id) if image_id is not None else None
        if redrawn.result is None:
            self._bench.say(f"{redrawn.image.path.name} keeps its mask.", redrawn.error, "warn")
        elif record is not None and image_id is not None and record.status not in ("reviewed", "skipped"):
            run = redrawn.run
            if run is not None:
                keep_result(self._bench.session, image_id, run=run, top=record.top, maps=(), found=[redrawn.result])
                self._kept += 1

    @Slot(object)
    def _on_done(self, done: WorkDone) -> None:
        if done.token == self._token and self.dialog is not None:
            self.dialog.show_choice(done.result)  # type: ignore[arg-type]

    @Slot(object)
    def _on_end(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        if end.job.kind is CHOOSING and end.token == self._token:
            self._token = None
            if isinstance(end, JobFailed) and self.dialog is not None:
                self.dialog.show_failure(end.message)
        elif end.job.kind is REDRAWING and end.token == self._redrawing:
            self._redrawing = None
            images = "1 image" if self._kept == 1 else f"{self._kept:,} images"
            if not isinstance(end, JobFailed):
                rule = rule_words(self._bench.computing.rule)
                self._bench.say(f"{images} redrawn {rule}.", "Reviewed images are as they were", "ok")
