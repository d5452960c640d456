"""Giving the open network a GAP or GMP head: which one, how fine, and where it is written."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QWidget

from camviewer.catalogue.architectures import BY_NAME
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import Button, label, name_control, number_box
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.sections import MessageBar
from camviewer.ui.theme import set_property
from camviewer.workers.jobs import ModelSummary

HEADS = {"gap_linear": "GAP and one linear layer", "gmp_linear": "GMP and one linear layer"}
FINEST = 3


class ConvertDialog(PanelDialog):
    """Collects the choice; nothing is converted here."""

    def __init__(self, summary: ModelSummary, dialogs: FileDialogs, *, parent: QWidget | None = None) -> None:
        super().__init__("Convert to GAP or GMP", summary.identity.architecture, parent=parent)
        self._dialogs, self._summary = dialogs, summary
        spec = BY_NAME.get(summary.identity.architecture)
        now = HEADS.get(summary.head.kind, "layers that give no exact map")
        words = label(
            f"The network ends in {now}. Converted, its last convolution is followed by global pooling and one linear "
            "layer; everything before keeps its weights. The layer tree shows the change.",
            "body",
            "text-2",
        )
        words.setWordWrap(True)
        self._head = SegmentedControl(
            [("gap", "GAP"), ("gmp", "GMP")],
            "Head",
            tips=["Mean of each channel: maps cover the object", "Maximum of each channel: maps show the telling part"],
        )
        self._finer = number_box(
            0, FINEST, "Finer by", tip="Undo so many of the last halvings of the resolution", zero="As it is"
        )
        self._finer.setEnabled(spec is not None and not spec.own)
        self._path = QLineEdit()
        self._path.setPlaceholderText("Where the converted checkpoint is written")
        name_control(self._path, "Checkpoint", tip="File to write, .safetensors")
        choose = Button("Choose…", tip="Choose the file to write")
        choose.clicked.connect(self._choose)
        self._problem = MessageBar("warn")
        self._problem.hide()
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(10)
        grid.setColumnStretch(1, 1)
        for row, (title, widgets) in enumerate(
            (("Head", (self._head,)), ("Finer by", (self._finer,)), ("Checkpoint", (self._path, choose)))
        ):
            grid.addWidget(label(title, "body", "text-2"), row, 0)
            line = QHBoxLayout()
            line.setSpacing(8)
            for widget in widgets:
                line.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
            if row < 2:
                line.addStretch(1)
            grid.addLayout(line, row, 1)
        self.body.addWidget(words)
        self.body.addLayout(grid)
        self.body.addWidget(self._problem)
        self.body.addStretch(1)
        self.add_close("Cancel")
        self._convert = Button("Convert", "primary", icon_name="model")
        self._convert.setDefault(True)
        self._convert.clicked.connect(self._on_convert)
        self.add_buttons(self._convert)
        self.resize(560, 320)
        if spec is None:
            self._problem.show_message("warn", "Only torchvision's architectures and camviewer's own can be converted.")
            self._problem.show()
            self._convert.setEnabled(False)

    def choice(self) -> tuple[str, int, Path]:
        """Return the head, how often finer, and the file to write."""
        path = Path(self._path.text().strip()).expanduser()
        return self._head.value(), self._finer.value(), path.with_suffix(".safetensors")

    def set_path(self, path: Path) -> None:
        """Name the file to write."""
        self._path.setText(str(path))

    @Slot()
    def _choose(self) -> None:
        name = f"{self._summary.identity.architecture}_{self._head.value()}.safetensors"
        start = self._path.text() or name
        path = self._dialogs.new_file("Converted checkpoint", start, "Checkpoints (*.safetensors)")
        if path is not None:
            self.set_path(path)

    @Slot()
    def _on_convert(self) -> None:
        missing = not self._path.text().strip()
        set_property(self._path, "invalid", missing)
        if missing:
            self._problem.show_message("warn", "Choose where the converted checkpoint is written.")
            self._problem.show()
            return
        self.accept()
