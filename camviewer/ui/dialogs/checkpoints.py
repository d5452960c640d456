"""Which checkpoints are compared, on which images, against what."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from camviewer.catalogue.methods import METHODS
from camviewer.errors import CamviewerError
from camviewer.ui.choices import SegmentedControl, Switch
from camviewer.ui.controls import Button, label, name_control, number_box
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.sections import EmptyState, MessageBar
from camviewer.workers.training import ComparisonRequest, find_names

MOST = 100_000
WEIGHTS = "Checkpoints (*.safetensors *.pt *.pth *.ckpt);;All files (*)"


class CheckpointsDialog(PanelDialog):
    """Collects a `ComparisonRequest`; nothing is computed here."""

    def __init__(self, dialogs: FileDialogs, project: Path | None, *, parent: QWidget | None = None) -> None:
        super().__init__("Compare checkpoints", "the same images under each", parent=parent)
        self._dialogs, self._project = dialogs, project
        self._list = QListWidget()
        self._list.setMinimumHeight(150)
        self._list.setSpacing(2)
        self._empty = EmptyState("layers", "No checkpoints yet", "Add the folder of a training, or checkpoint files.")
        name_control(self._list, "Checkpoints", tip="What is ticked is compared")
        self._list.itemChanged.connect(self._tick)
        training, files = Button("Add a training…", tip="All epochs that a training kept"), Button("Add files…")
        clear = Button("Clear")
        training.clicked.connect(self._on_training)
        files.clicked.connect(self._on_files)
        clear.clicked.connect(self._list.clear)
        clear.clicked.connect(self._tick)
        self._images = SegmentedControl(
            [("project", "This project"), ("files", "Folder or CSV file")],
            "Images",
            tips=[
                "Images, labels and reviewed masks of the open project",
                "A folder, one folder a class, or a CSV file",
            ],
        )
        self._images.set_choice_enabled("project", project is not None, reason="No project is open")
        self._images.set_value("project" if project is not None else "files")
        self._images.chosen.connect(self._tick)
        self._path, self._truth = QLineEdit(), QLineEdit()
        self._path.setPlaceholderText("Folder or CSV file of the images")
        self._truth.setPlaceholderText("None: those of the project, or none")
        name_control(self._path, "Images", tip="Folder, folder with one folder a class, or CSV file")
        name_control(self._truth, "True masks", tip="Folder of true masks, found by name, or COCO file")
        folder, table, truth = Button("Folder…"), Button("CSV…"), Button("Choose…", tip="Folder of true masks")
        self._sources = (self._path, folder, table)
        folder.clicked.connect(lambda: self._choose(self._path, "Images"))
        table.clicked.connect(self._on_table)
        truth.clicked.connect(lambda: self._choose(self._truth, "True masks"))
        self._path.textChanged.connect(self._tick)
        self._method = QComboBox()
        self._method.addItem("CAM where all heads allow it", None)
        for spec in METHODS:
            self._method.addItem(spec.title, spec.name)
        name_control(self._method, "Method", tip="Of the maps")
        self._shown = QComboBox()
        self._shown.addItem("True class where it is known", "true")
        self._shown.addItem("Class that each one predicts", "predicted")
        name_control(self._shown, "Class", tip="Whose map is compared")
        self._limit = number_box(200, MOST, "Most images", tip="Drawn evenly over the classes; 0 for all", zero="All")
        self._costly = number_box(
            40, MOST, "Images for faithfulness", tip="They cost some 25 passes each; 0 for none", zero="None"
        )
        self._controls = Switch("Controls", tip="Also random weights, and a Gaussian in the centre")
        self._controls.setChecked(True)
        self._problem = MessageBar("warn")
        self._problem.hide()

        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(10)
        grid.setColumnStretch(1, 1)
        rows: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            ("", (training, files, clear)),
            ("Images", (self._images,)),
            ("", (self._path, folder, table)),
            ("True masks", (self._truth, truth)),
            ("Method", (self._method,)),
            ("Class", (self._shown,)),
            ("Most images", (self._limit,)),
            ("Faithfulness on", (self._costly,)),
            ("Controls", (self._controls,)),
        )
        for number, (title, widgets) in enumerate(rows):
            grid.addWidget(label(title, "body", "text-2"), number, 0)
            line = QHBoxLayout()
            line.setSpacing(8)
            for widget in widgets:
                line.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
            if not any(isinstance(widget, QLineEdit) for widget in widgets):
                line.addStretch(1)
            grid.addLayout(line, number, 1)
        self.body.addWidget(self._empty, 1)
        self.body.addWidget(self._list, 1)
        self.body.addLayout(grid)
        self.body.addWidget(self._problem)
        self.add_close("Cancel")
        self._compare = Button("Compare", "primary", icon_name="grid")
        self._compare.setDefault(True)
        self._compare.clicked.connect(self.accept)
        self.add_buttons(self._compare)
        self.resize(640, 640)
        self._tick()

    def add(self, paths: list[Path]) -> None:
        """Add weight files and training folders to the list, ticked."""
        try:
            names = find_names(tuple(paths))
        except CamviewerError as error:
            self._problem.show_message("warn", error.message)
            self._problem.show()
            return
        self._problem.hide()
        have = {self._list.item(row).data(Qt.ItemDataRole.UserRole) for row in range(self._list.count())}
        for name in names:
            if str(name.path) in have:
                continue
            item = QListWidgetItem(f"{name.title}    {name.path}")
            item.setToolTip(str(name.path))
            item.setData(Qt.ItemDataRole.UserRole, str(name.path))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self._list.addItem(item)
        self._tick()

    def set_images(self, path: Path, truth: Path | None = None) -> None:
        """Name the images, and their true masks."""
        self._images.set_value("files")
        self._path.setText(str(path))
        self._truth.setText("" if truth is None else str(truth))
        self._tick()

    def set_limits(self, limit: int, costly: int) -> None:
        """Choose how many images are measured."""
        self._limit.setValue(limit)
        self._costly.setValue(costly)

    def chosen(self) -> tuple[Path, ...]:
        """Return the ticked checkpoints."""
        items = [self._list.item(row) for row in range(self._list.count())]
        ticked = [item for item in items if item.checkState() == Qt.CheckState.Checked]
        return tuple(Path(item.data(Qt.ItemDataRole.UserRole)) for item in ticked)

    def request(self) -> ComparisonRequest:
        """Return what was chosen."""
        mine = self._images.value() == "project" and self._project is not None
        truth = self._truth.text().strip()
        images = self._project if mine and self._project is not None else Path(self._path.text().strip()).expanduser()
        return ComparisonRequest(
            checkpoints=self.chosen(),
            images=images,
            truth=Path(truth).expanduser() if truth else None,
            method=self._method.currentData(),
            shown=self._shown.currentData(),
            limit=self._limit.value(),
            costly=self._costly.value(),
            mosaics=min(100, self._limit.value() or 100),
            controls=self._controls.isChecked(),
        )

    @Slot()
    def _tick(self) -> None:
        mine = self._images.value() == "project"
        for part in self._sources:
            part.setEnabled(not mine)
        self._list.setVisible(self._list.count() > 0)
        self._empty.setVisible(self._list.count() == 0)
        text = self._path.text().strip()
        ready = bool(self.chosen()) and (mine or (bool(text) and Path(text).expanduser().exists()))
        count = len(self.chosen())
        self._compare.setEnabled(ready)
        self._compare.set_text(f"Compare {count}" if count > 1 else "Compare")
        missing = "Choose the images" if count else "Add checkpoints first"
        self._compare.setToolTip("Measure them and show their maps side by side" if ready else missing)

    @Slot()
    def _on_training(self) -> None:
        found = self._dialogs.folder("Folder of a training", "")
        if found is not None:
            self.add([found])

    @Slot()
    def _on_files(self) -> None:
        found = self._dialogs.files("Checkpoints", "", WEIGHTS)
        if found:
            self.add(found)

    @Slot()
    def _on_table(self) -> None:
        found = self._dialogs.file("Table of images", self._path.text(), "Tables (*.csv);;All files (*)")
        if found is not None:
            self._path.setText(str(found))

    def _choose(self, edit: QLineEdit, title: str) -> None:
        found = self._dialogs.folder(title, edit.text())
        if found is not None:
            edit.setText(str(found))
