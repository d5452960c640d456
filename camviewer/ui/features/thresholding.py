"""Choosing the threshold by what was reviewed, and redrawing the automatic masks of the rest by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.choose_threshold import ChooseThresholdDialog
from camviewer.ui.results import keep_result
from camviewer.workers.thresholds import choose_work, redraw_work, rule_words

if TYPE_CHECKING:
    from camviewer.workers.thresholds import Candidate, Redrawn, ThresholdChoice


class Thresholding(QObject):
    """Opens the dialog, and keeps what is redrawn; images that a person decided on are left alone."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._choosing = bench.long_job(self)
        self._redrawing = bench.long_job(self)
        self._kept = 0
        self.dialog: ChooseThresholdDialog | None = None
        bench.actions.connect("choose_threshold", self.open)
        self._choosing.finished.connect(self._on_chosen)
        self._choosing.failed.connect(self._on_failed)
        self._redrawing.part_found.connect(self._on_redrawn)
        self._redrawing.finished.connect(self._on_all_redrawn)
        self._redrawing.cancelled.connect(self._on_all_redrawn)

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
        self._choosing.start(choose_work(project.path))

    @Slot()
    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None
        self._choosing.cancel()

    @Slot(object)
    def apply(self, candidate: Candidate) -> None:
        """Take a rule for this and all other images that nobody has decided on."""
        project = self._bench.session.project
        if project is None or self._redrawing.running:
            return
        self._bench.threshold.set_rule(candidate.rule)
        self._bench.canvas.set_rule(candidate.rule)
        self._bench.computing.set_rule(candidate.rule)
        waiting = sum(record.status not in ("reviewed", "skipped") for record in self._bench.session.records())
        self._kept = 0
        self._redrawing.start(redraw_work(project.path, candidate, waiting))

    @Slot(object)
    def _on_redrawn(self, redrawn: Redrawn) -> None:
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
    def _on_chosen(self, choice: ThresholdChoice) -> None:
        if self.dialog is not None:
            self.dialog.show_choice(choice)

    @Slot(str)
    def _on_failed(self, message: str) -> None:
        if self.dialog is not None:
            self.dialog.show_failure(message)

    @Slot()
    def _on_all_redrawn(self) -> None:
        images = "1 image" if self._kept == 1 else f"{self._kept:,} images"
        rule = rule_words(self._bench.computing.rule)
        self._bench.say(f"{images} redrawn {rule}.", "Reviewed images are as they were", "ok")
