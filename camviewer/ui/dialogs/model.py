"""Opening a model: a checkpoint file or a known network, with class names, device and input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QComboBox, QCompleter, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QWidget

from camviewer.catalogue.architectures import ARCHITECTURES
from camviewer.images.geometry import ResizeMode
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.sections import MessageBar
from camviewer.ui.settings import SettingsStore
from camviewer.ui.theme import set_property
from camviewer.workers.jobs import LoadRequest

WEIGHT_FILTER = "Checkpoints (*.pt *.pth *.safetensors *.ckpt *.bin *.pkl);;All files (*)"
LABEL_FILTER = "Class names (*.txt *.csv *.json);;All files (*)"

RESIZE_WORDS: dict[ResizeMode, str] = {
    "squash": "Whole image, squashed to the input",
    "letterbox": "Whole image, padded",
    "model": "As the model was trained, centre crop",
    "native": "The image's own size",
}
assert set(RESIZE_WORDS) == set(get_args(ResizeMode))

DEVICES = (("auto", "Best available"), ("cpu", "CPU"), ("cuda", "CUDA"), ("mps", "Apple GPU"))


@dataclass(frozen=True, slots=True)
class _Field:
    edit: QLineEdit
    button: Button


class OpenModelDialog(PanelDialog):
    """Collects a `LoadRequest`. Nothing is read here; the engine loads, and says what it finds."""

    def __init__(self, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__("Open model", "weights are read, code is never run", parent=parent)
        self._settings = settings
        self._source = SegmentedControl(
            [("file", "Checkpoint file"), ("known", "Known network")],
            "Source",
            tips=["A file with weights: .pt, .pth, .safetensors", "An architecture of torchvision with its weights"],
        )
        self._source.chosen.connect(self._on_source)
        self._weights = self._file_field("Checkpoint", "Choose a checkpoint", WEIGHT_FILTER)
        self._labels = self._file_field("Class names", "From the checkpoint", LABEL_FILTER)
        self._architecture = QComboBox()
        self._architecture.setEditable(True)
        self._architecture.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        completer = self._architecture.completer()
        if completer is not None:
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        name_control(self._architecture, "Architecture", tip="Network that the weights belong to")
        edit = self._architecture.lineEdit()
        if edit is not None:
            name_control(edit, "Architecture", tip="Type a part of the name to search")
        self._download = QComboBox()
        self._download.addItem("On this computer only", False)
        self._download.addItem("Download when they are missing", True)
        name_control(self._download, "Published weights", tip="Where the published weights come from")
        self._device = QComboBox()
        for value, text in DEVICES:
            self._device.addItem(text, value)
        name_control(self._device, "Device", tip="What computes the maps")
        self._resize = QComboBox()
        for mode, text in RESIZE_WORDS.items():
            self._resize.addItem(text, mode)
        name_control(self._resize, "Input", tip="How an image becomes the network's input")
        self._problem = MessageBar("warn")
        self._problem.hide()

        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(10)
        grid.setColumnStretch(1, 1)
        self._rows: dict[str, list[QWidget]] = {}
        for number, (key, title, widgets) in enumerate(
            (
                ("weights", "Checkpoint", (self._weights.edit, self._weights.button)),
                ("architecture", "Architecture", (self._architecture,)),
                ("download", "Published weights", (self._download,)),
                ("labels", "Class names", (self._labels.edit, self._labels.button)),
                ("resize", "Input", (self._resize,)),
                ("device", "Device", (self._device,)),
            )
        ):
            words = label(title, "body", "text-2")
            words.setBuddy(widgets[0])
            grid.addWidget(words, number, 0)
            row = QHBoxLayout()
            row.setSpacing(8)
            row.addWidget(widgets[0], 1)
            for widget in widgets[1:]:
                row.addWidget(widget)
            grid.addLayout(row, number, 1)
            self._rows[key] = [words, *widgets]
        self.body.addWidget(self._source)
        self.body.addLayout(grid)
        self.body.addWidget(self._problem)
        self.body.addStretch(1)
        self.add_close("Cancel")
        self._open = Button("Open model", "primary", icon_name="model")
        self._open.setDefault(True)
        self._open.clicked.connect(self._on_open)
        self.add_buttons(self._open)
        self.resize(620, 400)
        self._on_source("file")

    def request(self) -> LoadRequest:
        """Return what was chosen."""
        known = self._source.value() == "known"
        name = self._architecture.currentData() if self._architecture.currentIndex() >= 0 else None
        typed = self._architecture.currentText().strip()
        model = next((spec.name for spec in ARCHITECTURES if typed in (spec.name, spec.title)), name)
        labels = self._labels.edit.text().strip()
        weights = self._weights.edit.text().strip()
        return LoadRequest(
            model=model or None,
            weights=None if known else Path(weights).expanduser(),
            labels=Path(labels).expanduser() if labels else None,
            device=self._device.currentData(),
            resize_mode=self._resize.currentData(),
            allow_download=known and bool(self._download.currentData()),
        )

    def _file_field(self, name: str, hint: str, file_filter: str) -> _Field:
        edit = QLineEdit()
        edit.setPlaceholderText(hint)
        name_control(edit, name)
        button = Button("Choose…", tip=f"Choose the file: {name.lower()}")
        button.setAccessibleName(f"Choose file: {name}")
        button.clicked.connect(lambda: self._choose(edit, name, file_filter))
        return _Field(edit, button)

    def _choose(self, edit: QLineEdit, name: str, file_filter: str) -> None:
        start = edit.text() or self._settings.value.last_model_folder
        path, _ = QFileDialog.getOpenFileName(self, name, start, file_filter)
        if path:
            edit.setText(path)
            self._settings.value.last_model_folder = str(Path(path).parent)

    @Slot(str)
    def _on_source(self, source: str) -> None:
        known = source == "known"
        for widget in self._rows["weights"]:
            widget.setVisible(not known)
        for widget in self._rows["download"]:
            widget.setVisible(known)
        self._architecture.clear()
        if not known:
            self._architecture.addItem("Found from the weights", "")
        for spec in ARCHITECTURES:
            if not (known and spec.own):
                self._architecture.addItem(spec.title, spec.name)
        if known:
            place = self._architecture.findData("resnet50")
            self._architecture.setCurrentIndex(max(0, place))
        self._problem.hide()

    @Slot()
    def _on_open(self) -> None:
        if self._source.value() == "file":
            text = self._weights.edit.text().strip()
            missing = not text or not Path(text).expanduser().is_file()
            set_property(self._weights.edit, "invalid", missing)
            if missing:
                title = "Choose a checkpoint." if not text else f"{Path(text).name} is not there."
                self._problem.show_message("warn", title, "A file with the weights of a classifier")
                self._problem.show()
                return
        self.accept()
