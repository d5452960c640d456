"""Guiding the open model by the masks that were reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from camviewer.catalogue.parameters import Value
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.guide import GuideDialog
from camviewer.workers.guiding import guide_work
from camviewer.workers.jobs import LoadRequest, ModelLoaded

if TYPE_CHECKING:
    from camviewer.workers.guiding import GuidedReport, GuideResult


class Guiding(QObject):
    """Keeps the dialog and the one guiding that may run; it goes on when the dialog is closed."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._model: LoadRequest | None = None
        self._job = bench.long_job(self)
        self.dialog: GuideDialog | None = None
        bench.actions.connect("guide", self.open)
        bench.engine.model_loaded.connect(self._on_model)
        self._job.part_found.connect(self._on_part)
        self._job.finished.connect(self._on_finished)
        self._job.failed.connect(self._on_ended)
        self._job.cancelled.connect(self._on_cancelled)

    @Slot()
    def open(self) -> None:
        """Show the dialog, with the guiding that runs if there is one."""
        if self.dialog is not None:
            self.dialog.raise_()
            return
        summary = self._bench.computing.summary
        if self._model is None or summary is None:
            self._bench.say("No model is open.", "Open one first", "warn")
            return
        reviewed = sum(record.status == "reviewed" for record in self._bench.session.records())
        self.dialog = GuideDialog(reviewed, summary.identity.weights, self._bench.window)
        self.dialog.start_wanted.connect(self.start)
        self.dialog.cancel_wanted.connect(self._job.cancel)
        self.dialog.open_wanted.connect(self._open_model)
        self.dialog.finished.connect(self._on_closed)
        if self._job.running:
            self.dialog.show_started()
        self.dialog.show()

    @Slot()
    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None

    @Slot(object)
    def start(self, values: Mapping[str, Value]) -> None:
        """Guide in the background, into a folder beside the project."""
        project = self._bench.session.project
        if project is None or self._model is None or self._job.running:
            return
        work = guide_work(project.path, self._model, _fresh(project.path.with_name("guided")), values)
        if self.dialog is not None:
            self.dialog.show_started()
        self._job.start(work)

    @Slot(object)
    def _open_model(self, path: Path) -> None:
        self._bench.computing.load_model(LoadRequest(weights=path))

    @Slot(object)
    def _on_model(self, loaded: ModelLoaded) -> None:
        self._model = loaded.request

    @Slot(object)
    def _on_part(self, epoch: GuidedReport) -> None:
        if self.dialog is not None:
            self.dialog.show_epoch(epoch)

    @Slot(object)
    def _on_finished(self, result: GuideResult) -> None:
        shares = f"{100 * result.before.inside:.0f} % to {100 * result.after.inside:.0f} %"
        self._bench.say(f"The maps lie in the masks from {shares}.", result.checkpoint.name, "ok")
        if self.dialog is not None:
            self.dialog.show_result(result)

    @Slot(str)
    def _on_ended(self, message: str) -> None:
        if self.dialog is not None:
            self.dialog.show_ended(message)

    @Slot()
    def _on_cancelled(self) -> None:
        self._on_ended("Stopped. Nothing was written.")


def _fresh(path: Path) -> Path:
    """Return `path`, or with a number behind it when it exists."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}_{number}")
        number += 1
    return candidate
