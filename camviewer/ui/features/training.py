"""Training a network, and giving the open one the end that class activation maps need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import UsageError
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.convert import ConvertDialog
from camviewer.ui.dialogs.train import TrainDialog
from camviewer.workers.jobs import LoadRequest, ModelLoaded, Progress
from camviewer.workers.training import DataFound, EpochReport, TrainRequest, convert_work, train_work

if TYPE_CHECKING:
    from camviewer.workers.training import ConvertReport, TrainResult


class Training(QObject):
    """Keeps the dialog and the one training that may run.

    Signals:
        compare_wanted: folder of a training whose checkpoints are to be compared.
    """

    compare_wanted = Signal(object)

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._job = bench.long_job(self)
        self._conversion = bench.long_job(self)
        self._model: LoadRequest | None = None
        self._messages: list[str] = []
        self.dialog: TrainDialog | None = None
        self.converting: ConvertDialog | None = None
        bench.actions.connect("train", self.open)
        bench.actions.connect("convert", self.open_convert)
        bench.engine.model_loaded.connect(self._on_model)
        self._job.part_found.connect(self._on_part)
        self._job.progressed.connect(self._on_progress)
        self._job.finished.connect(self._on_finished)
        self._job.failed.connect(self._on_failed)
        self._job.cancelled.connect(self._on_cancelled)
        self._conversion.finished.connect(self._on_converted)

    @Slot()
    def open(self) -> None:
        """Show the dialog, with the training that runs if there is one."""
        if self.dialog is None:
            self.dialog = TrainDialog(self._bench.dialogs, parent=self._bench.window)
            self.dialog.start_wanted.connect(self.start)
            self.dialog.cancel_wanted.connect(self._job.cancel)
            self.dialog.open_wanted.connect(self._open_network)
            self.dialog.compare_wanted.connect(self._compare)
        project = self._bench.session.project
        self.dialog.set_context(project.path if project is not None else None, self._model)
        if self.dialog.isVisible():
            self.dialog.raise_()
        self.dialog.show()

    @Slot(object)
    def start(self, request: TrainRequest) -> None:
        """Train in the background; only one training runs at a time."""
        if self._job.running:
            self._bench.say("A training runs already.", "Cancel it first", "warn")
            return
        try:
            work = train_work(request)
        except UsageError as error:
            self._bench.say(error.message, "", "warn")
            return
        self._messages.clear()
        if self.dialog is not None:
            self.dialog.show_started(request)
        self._job.start(work)

    @Slot()
    def open_convert(self) -> None:
        """Ask how the open network is to end, and write it as a checkpoint."""
        summary = self._bench.computing.summary
        if self._model is None or summary is None:
            self._bench.say("No model is open.", "Open one first", "warn")
            return
        self.converting = ConvertDialog(summary, self._bench.dialogs, parent=self._bench.window)
        self.converting.accepted.connect(self._convert)
        self.converting.finished.connect(self._forget_convert)
        self.converting.open()

    @Slot()
    def _convert(self) -> None:
        if self.converting is None or self._model is None:
            return
        head, finer, out = self.converting.choice()
        self._conversion.start(convert_work(self._model, out, head=head, finer=finer))

    @Slot()
    def _forget_convert(self) -> None:
        if self.converting is not None:
            self.converting.deleteLater()
        self.converting = None

    # --- answers --------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_model(self, loaded: ModelLoaded) -> None:
        self._model = loaded.request

    @Slot(object)
    def _on_part(self, part: object) -> None:
        if self.dialog is None:
            return
        if isinstance(part, DataFound):
            self._messages += part.messages
            self.dialog.show_data(part)
        elif isinstance(part, EpochReport):
            self.dialog.show_epoch(part)
        elif isinstance(part, str) and part not in self._messages:
            self._messages.append(part)
            self.dialog.show_messages(self._messages)

    @Slot(object, str)
    def _on_progress(self, progress: Progress, left: str) -> None:
        if self.dialog is not None:
            self.dialog.show_progress(progress, left)

    @Slot(object)
    def _on_finished(self, trained: TrainResult) -> None:
        self._bench.say("The training is done.", "Model, Train shows its curves", "ok")
        if self.dialog is not None:
            self.dialog.show_ended("The training is done", best=trained.best)

    @Slot(str)
    def _on_failed(self, message: str) -> None:
        if self.dialog is not None:
            self.dialog.show_ended("The training stopped", message, tone="warn")

    @Slot()
    def _on_cancelled(self) -> None:
        self._bench.say("The training is cancelled.", "It can go on from its last epoch", "info")
        if self.dialog is not None:
            self.dialog.show_ended(
                "Cancelled", "The finished epochs stay; Settings, Go on continues from the last one."
            )

    @Slot(object)
    def _on_converted(self, converted: ConvertReport) -> None:
        self._bench.say(f"{converted.path.name} is written.", converted.note, "ok")
        self._open_network(converted.path)

    @Slot(object)
    def _open_network(self, path: Path) -> None:
        self._bench.computing.load_model(LoadRequest(weights=path))

    @Slot(object)
    def _compare(self, folder: Path) -> None:
        self.compare_wanted.emit(folder)
