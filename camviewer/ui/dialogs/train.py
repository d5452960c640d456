"""Training from the window: what to learn from and how, then live curves, and the network at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from camviewer.catalogue.parameters import Value
from camviewer.catalogue.training import NETWORK, TRAINING
from camviewer.errors import UsageError
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import Button, label, name_control, surface
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.panels.fields import ParameterForm, form_grid
from camviewer.ui.plots import ConfusionView, CurvePlot, Series
from camviewer.ui.sections import MessageBar
from camviewer.ui.theme import set_property
from camviewer.workers.jobs import LoadRequest, Progress
from camviewer.workers.training import DataFound, EpochReport, TrainRequest, has_state, recall

SHOWN_MESSAGES = 3
LABEL_WIDTH = 120  # of all captions of the form, for one edge


class TrainDialog(PanelDialog):
    """Stays open beside the window while it trains; closing it lets the training go on.

    Signals:
        start_wanted: `TrainRequest`.
        cancel_wanted: stop after the present step; what is finished stays.
        open_wanted: path of a checkpoint that is to become the open network.
        compare_wanted: folder whose checkpoints are to be compared.
    """

    start_wanted = Signal(object)
    cancel_wanted = Signal()
    open_wanted = Signal(object)
    compare_wanted = Signal(object)

    def __init__(self, dialogs: FileDialogs, *, parent: QWidget | None = None) -> None:
        super().__init__("Train a network", "its maps are exact: global pooling and one linear layer", parent=parent)
        self.setWindowModality(Qt.WindowModality.NonModal)
        self._dialogs = dialogs
        self._project: Path | None = None
        self._model: LoadRequest | None = None
        self._device = "auto"
        self._request: TrainRequest | None = None
        self._running = False
        self._reports: list[EpochReport] = []
        self._classes: tuple[str, ...] = ()
        self._best: Path | None = None
        self._pages = QStackedWidget()
        self._pages.addWidget(self._make_form())
        self._pages.addWidget(self._make_run())
        self.body.addWidget(self._pages, 1)
        self._make_buttons()
        self.resize(860, 720)
        self._show_form()

    # --- what to train --------------------------------------------------------------------------------------------

    def _make_form(self) -> QWidget:
        self._source = SegmentedControl(
            [("project", "This project"), ("files", "Folder or CSV file")],
            "Pictures",
            tips=[
                "The labels of the open project, else the classes of its reviewed regions",
                "One folder a class, a CSV file such as HAM10000's, or CIFAR-10",
            ],
        )
        self._source.chosen.connect(self._on_source)
        self._path, self._choose_folder, self._choose_table = QLineEdit(), Button("Folder…"), Button("CSV…")
        self._path.setPlaceholderText("One folder a class, or a CSV file with a column dx or label")
        name_control(self._path, "Pictures", tip="Folder with one folder a class, CSV file, or CIFAR-10's folder")
        self._choose_folder.clicked.connect(self._on_folder)
        self._choose_table.clicked.connect(self._on_table)
        self._out, self._choose_out = QLineEdit(), Button("Choose…", tip="Choose the folder of the checkpoints")
        self._out.setPlaceholderText("A folder for the checkpoints")
        name_control(self._out, "Checkpoints", tip="Folder of the checkpoints; a training that stopped there goes on")
        self._choose_out.clicked.connect(self._on_out)
        self._out.editingFinished.connect(self._recall)
        self._network, self._training = (ParameterForm(columns=2, label_width=LABEL_WIDTH) for _ in range(2))
        self._network.set_parameters(NETWORK, {})
        self._training.set_parameters(TRAINING, {})
        for form in (self._network, self._training):
            form.validity_changed.connect(self._tick)
        self._problem = MessageBar("warn")
        self._problem.hide()

        where = form_grid(LABEL_WIDTH)
        for row, (title, widgets) in enumerate(
            (
                ("Pictures", (self._source,)),
                ("", (self._path, self._choose_folder, self._choose_table)),
                ("Checkpoints", (self._out, self._choose_out)),
            )
        ):
            where.addWidget(label(title, "body", "text-2"), row, 0)
            line = QHBoxLayout()
            line.setSpacing(8)
            for widget in widgets:
                line.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
            if row == 0:
                line.addStretch(1)
            where.addLayout(line, row, 1)
        page = surface(QWidget(), "panel")
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(12)
        column.addLayout(where)
        column.addWidget(label("Network", "section"))
        column.addWidget(self._network)
        column.addWidget(label("Training", "section"))
        column.addWidget(self._training)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(page)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QWidget()
        outer = QVBoxLayout(whole)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll, 1)
        outer.addWidget(self._problem)
        return whole

    def set_context(self, project: Path | None, model: LoadRequest | None, device: str = "auto") -> None:
        """Say which project and network are open; both may be trained from."""
        self._project, self._model, self._device = project, model, device
        self._source.set_choice_enabled("project", project is not None, reason="No project is open")
        if not self._running and self._path.text() == "":
            self._source.set_value("project" if project is not None else "files")
            self._on_source(self._source.value())

    def set_values(self, values: dict[str, Value]) -> None:
        """Fill the form."""
        self._network.set_parameters(NETWORK, values)
        self._training.set_parameters(TRAINING, values)

    def set_source(self, path: Path) -> None:
        """Name the pictures to learn from."""
        mine = path == self._project
        self._source.set_value("project" if mine else "files")
        self._path.setText("" if mine else str(path))
        self._on_source(self._source.value())

    def set_out(self, path: Path) -> None:
        """Name the folder of the checkpoints; a training that stopped there fills the form."""
        self._out.setText(str(path))
        self._recall()

    @Slot(str)
    def _on_source(self, source: str) -> None:
        for widget in (self._path, self._choose_folder, self._choose_table):
            widget.setEnabled(source == "files")
        if source == "project" and self._project is not None and not self._out.text():
            self._out.setText(str(self._project.with_suffix("").with_name(f"{self._project.stem} training")))
            self._recall()

    @Slot()
    def _on_folder(self) -> None:
        found = self._dialogs.folder("Folder of labelled pictures", self._path.text())
        if found is not None:
            self._path.setText(str(found))

    @Slot()
    def _on_table(self) -> None:
        found = self._dialogs.file("Table of labelled pictures", self._path.text(), "Tables (*.csv);;All files (*)")
        if found is not None:
            self._path.setText(str(found))

    @Slot()
    def _on_out(self) -> None:
        found = self._dialogs.folder("Folder of the checkpoints", self._out.text())
        if found is not None:
            self.set_out(found)

    @Slot()
    def _recall(self) -> None:
        """Offer to go on where a training was begun."""
        out = Path(self._out.text().strip()).expanduser()
        before = recall(out) if self._out.text().strip() else None
        if before is not None:
            source, values = before
            self.set_values(dict(values))
            self.set_source(source)
        if before is not None and has_state(out):
            self._start.set_text("Go on")
            self._complain("info", "A training stopped here.", "With these settings it goes on from its last epoch")
        else:
            self._start.set_text("Train")
            self._problem.hide()
        self._tick()

    def request(self) -> TrainRequest:
        """Return what was chosen.

        Raises:
            UsageError: when something is missing or does not go together.
        """
        mine = self._source.value() == "project"
        text, out = self._path.text().strip(), self._out.text().strip()
        source = self._project if mine else Path(text).expanduser() if text else None
        set_property(self._path, "invalid", not mine and (source is None or not source.exists()))
        set_property(self._out, "invalid", not out)
        if source is None or not source.exists():
            raise UsageError("Choose the pictures to learn from.")
        if not out:
            raise UsageError("Choose a folder for the checkpoints.")
        values = {**self._network.values(), **self._training.values()}
        request = TrainRequest(source, Path(out).expanduser(), values, self._model, self._device)
        request.settings()
        request.weights()
        return request

    def _complain(self, tone: str, title: str, text: str = "") -> None:
        self._problem.show_message("info" if tone == "info" else "warn", title, text)
        self._problem.show()

    # --- the training ---------------------------------------------------------------------------------------------

    def _make_run(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        self._state = label("", "subject")
        self._detail = label("", "body", "text-2")
        self._detail.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress of the training")
        self.loss = CurvePlot("Loss", "lower is better", tip="Mean over the pictures, as weighted for the training")
        self.accuracy = CurvePlot("Accuracy", "share of pictures", tip="Share of the pictures whose class is right")
        self.balanced = CurvePlot(
            "Balanced accuracy",
            "held-out pictures",
            tip="Mean recall over the classes; chance is one over their number",
        )
        self.confusion = ConfusionView()
        grid = QGridLayout()
        grid.setSpacing(14)
        for place, widget in enumerate((self.loss, self.accuracy, self.balanced, self.confusion)):
            grid.addWidget(widget, place // 2, place % 2)
            grid.setColumnStretch(place % 2, 1)
            grid.setRowStretch(place // 2, 1)
        self._message = MessageBar("info")
        self._message.hide()
        for part in (self._state, self._bar, self._detail):
            column.addWidget(part)
        column.addLayout(grid, 1)
        column.addWidget(self._message)
        return page

    def _make_buttons(self) -> None:
        self._back = Button("Settings", tip="Back to the settings of the training")
        self._back.clicked.connect(self._show_form)
        self._compare = Button("Compare checkpoints", tip="The kept checkpoints side by side")
        self._compare.clicked.connect(self._on_compare)
        self._cancel = Button("Cancel training", tip="Stop; the finished epochs stay and can be gone on from")
        self._cancel.clicked.connect(self.cancel_wanted)
        self.add_buttons(self._back, self._compare, self._cancel)
        self._close = self.add_close()
        self._start = Button("Train", "primary", icon_name="play")
        self._start.clicked.connect(self._on_start)
        self._open = Button("Open the network", "primary", icon_name="model", tip="Open the best checkpoint")
        self._open.clicked.connect(self._on_open)
        self.add_buttons(self._start, self._open)

    @Slot()
    def _show_form(self) -> None:
        self._pages.setCurrentIndex(0)
        self._recall()

    def _tick(self) -> None:
        """Show the buttons that make sense now."""
        form = self._pages.currentIndex() == 0
        self._start.setVisible(form)
        self._start.setEnabled(self._network.is_valid() and self._training.is_valid() and not self._running)
        self._back.setVisible(not form and not self._running)
        self._cancel.setVisible(not form and self._running)
        self._open.setVisible(not form and not self._running and self._best is not None)
        self._compare.setVisible(self._open.isVisibleTo(self))

    @Slot()
    def _on_start(self) -> None:
        try:
            request = self.request()
        except UsageError as error:
            self._complain("warn", error.message)
            return
        self.start_wanted.emit(request)

    def show_started(self, request: TrainRequest) -> None:
        """Show that a training runs; its curves begin."""
        self._request, self._running, self._best = request, True, None
        self._reports, self._classes = [], ()
        self._pages.setCurrentIndex(1)
        self._state.setText("Reading the pictures")
        self._detail.setText(str(request.source))
        self._bar.setRange(0, 0)
        self._message.hide()
        self._draw()
        self._tick()

    def show_data(self, found: DataFound) -> None:
        """Show what is learnt from."""
        self._classes = found.classes
        counted = zip(found.classes, found.counts, strict=False)
        self._detail.setText(", ".join(f"{name} {count:,}" for name, count in counted))
        self._state.setText("Loading the pictures")
        self.show_messages(found.messages)

    def show_messages(self, messages: Sequence[str]) -> None:
        """Show sentences about what was left out."""
        if messages:
            rest = f" {len(messages) - SHOWN_MESSAGES} more in the log." if len(messages) > SHOWN_MESSAGES else ""
            self._message.show_message("info", messages[0], " ".join(messages[1:SHOWN_MESSAGES]) + rest)
            self._message.show()

    def show_progress(self, progress: Progress, left: str) -> None:
        """Show the step; `left` is the remaining time in words."""
        self._bar.setRange(0, max(1, progress.total))
        self._bar.setValue(progress.done)
        epochs = int(self._request.values["epochs"]) if self._request is not None else 0
        epoch = min(epochs, 1 + progress.done * epochs // max(1, progress.total))
        self._state.setText(f"Epoch {epoch} of {epochs}" + (f", {left} left" if left else ""))

    def show_epoch(self, report: EpochReport) -> None:
        """Add an epoch to the curves."""
        self._reports = [*(before for before in self._reports if before.epoch < report.epoch), report]
        self._draw()

    def show_ended(self, state: str, detail: str = "", *, best: Path | None = None, tone: str = "info") -> None:
        """Show how a training ended; `best` is a checkpoint that can be opened."""
        self._running, self._best = False, best
        self._state.setText(state)
        self._bar.setRange(0, 1)
        self._bar.setValue(1 if best is not None else 0)
        if detail:
            self._message.show_message("warn" if tone == "warn" else "info", detail)
            self._message.show()
        self._tick()

    @property
    def running(self) -> bool:
        """Whether a training is shown that has not ended."""
        return self._running

    def _draw(self) -> None:
        reports = self._reports

        def points(values: Sequence[float | None]) -> tuple[tuple[float, float], ...]:
            pairs = zip(reports, values, strict=True)
            return tuple((float(report.epoch), value) for report, value in pairs if value is not None)

        self.loss.set_curves(
            [
                Series("Training", points([report.loss for report in reports])),
                Series("Held out", points([report.validation_loss for report in reports])),
            ]
        )
        self.accuracy.set_curves(
            [
                Series("Training", points([report.accuracy for report in reports])),
                Series("Held out", points([report.validation_accuracy for report in reports])),
            ]
        )
        self.balanced.set_curves([Series("Held out", points([report.balanced_accuracy for report in reports]))])
        last = reports[-1].confusion if reports else None
        self.confusion.set_counts(last, self._classes)

    @Slot()
    def _on_open(self) -> None:
        if self._best is not None:
            self.open_wanted.emit(self._best)

    @Slot()
    def _on_compare(self) -> None:
        if self._request is not None:
            self.compare_wanted.emit(self._request.out)
