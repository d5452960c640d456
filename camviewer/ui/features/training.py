"""Training a network, and giving the open one the end that class activation maps need."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import UsageError
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.convert import ConvertDialog
from camviewer.ui.dialogs.train import TrainDialog
from camviewer.ui.status_bar import duration
from camviewer.workers.jobs import (
    JobCancelled,
    JobFailed,
    JobFinished,
    LoadRequest,
    ModelLoaded,
    Progress,
    WorkDone,
    WorkPart,
)
from camviewer.workers.training import (
    CONVERTING,
    TRAINING,
    DataFound,
    EpochReport,
    TrainRequest,
    convert_work,
    train_work,
)


class Training(QObject):
    """Keeps the dialog and the one training that may run.

    Signals:
        compare_wanted: folder of a training whose checkpoints are to be compared.
    """

    compare_wanted = Signal(object)

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._token: int | None = None
        self._model: LoadRequest | None = None
        self._messages: list[str] = []
        self._best: Path | None = None
        self.dialog: TrainDialog | None = None
        self.converting: ConvertDialog | None = None
        bench.actions.connect("train", self.open)
        bench.actions.connect("convert", self.open_convert)
        engine = bench.engine
        engine.model_loaded.connect(self._on_model)
        engine.work_part.connect(self._on_part)
        engine.work_done.connect(self._on_done)
        engine.progress_changed.connect(self._on_progress)
        engine.finished.connect(self._on_end)
        engine.failed.connect(self._on_end)
        engine.cancelled.connect(self._on_end)

    @Slot()
    def open(self) -> None:
        """Show the dialog, with the training that runs if there is one."""
        if self.dialog is None:
            self.dialog = TrainDialog(self._bench.dialogs, parent=self._bench.window)
            self.dialog.start_wanted.connect(self.start)
            self.dialog.cancel_wanted.connect(self.cancel)
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
        if self._token is not None:
            self._bench.say("A training runs already.", "Cancel it first", "warn")
            return
        try:
            work = train_work(request)
        except UsageError as error:
            self._bench.say(error.message, "", "warn")
            return
        self._token, self._best = work.token, None
        self._messages.clear()
        if self.dialog is not None:
            self.dialog.show_started(request)
        self._bench.computing.submit(work)

    @Slot()
    def cancel(self) -> None:
        """Stop after the present step."""
        if self._token is not None:
            self._bench.engine.cancel(self._token)

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
        self._bench.computing.submit(convert_work(self._model, out, head=head, finer=finer))

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
    def _on_part(self, answer: WorkPart) -> None:
        if answer.token != self._token or self.dialog is None:
            return
        part = answer.part
        if isinstance(part, DataFound):
            self._messages += part.messages
            self.dialog.show_data(part)
        elif isinstance(part, EpochReport):
            self.dialog.show_epoch(part)
        elif isinstance(part, str) and part not in self._messages:
            self._messages.append(part)
            self.dialog.show_messages(self._messages)

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        if progress.token == self._token and self.dialog is not None:
            left = duration(progress.seconds_left) if progress.seconds_left is not None else ""
            self.dialog.show_progress(progress, left)

    @Slot(object)
    def _on_done(self, done: WorkDone) -> None:
        if done.token == self._token:
            self._best = cast(Path, getattr(done.result, "best", None))
        elif done.job.kind is CONVERTING:
            path, note = cast(Path, getattr(done.result, "path", None)), str(getattr(done.result, "note", ""))
            self._bench.say(f"{path.name} is written.", note, "ok")
            self._bench.computing.load_model(LoadRequest(weights=path))

    @Slot(object)
    def _on_end(self, end: JobFinished | JobFailed | JobCancelled) -> None:
        if end.token != self._token or end.job.kind is not TRAINING:
            return
        self._token = None
        if isinstance(end, JobFinished):
            self._bench.say("The training is done.", "Model, Train shows its curves", "ok")
        elif isinstance(end, JobCancelled):
            self._bench.say("The training is cancelled.", "It can go on from its last epoch", "info")
        if self.dialog is None:
            return
        if isinstance(end, JobFinished):
            self.dialog.show_ended("The training is done", best=self._best)
        elif isinstance(end, JobFailed):
            self.dialog.show_ended("The training stopped", end.message, tone="warn")
        else:
            self.dialog.show_ended(
                "Cancelled", "The finished epochs stay; Settings, Go on continues from the last one."
            )

    @Slot(object)
    def _open_network(self, path: Path) -> None:
        self._bench.computing.load_model(LoadRequest(weights=path))

    @Slot(object)
    def _compare(self, folder: Path) -> None:
        self.compare_wanted.emit(folder)
