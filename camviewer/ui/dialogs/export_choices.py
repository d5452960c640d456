"""Which images and classes an export takes, how it parts them, and what becomes of the image files."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QWidget

from camviewer.catalogue.formats import FormatSpec
from camviewer.catalogue.parameters import Value
from camviewer.errors import FormatError
from camviewer.ui.controls import label, name_control
from camviewer.ui.dialogs.class_names import ClassNamesDialog
from camviewer.ui.panels.fields import add_below, wide_grid
from camviewer.ui.session import Session
from camviewer.workers.exports import (
    IMAGE_COLUMNS,
    ExportRequest,
    GroupColumn,
    find_group_columns,
    keeps_together,
    read_columns,
)

SPLITS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("No split", ()),
    ("80 / 10 / 10", (0.8, 0.1, 0.1)),
    ("70 / 15 / 15", (0.7, 0.15, 0.15)),
    ("80 / 20", (0.8, 0.2)),
)
DOUBTS = (0.5, 0.3, 0.2, 0.1)
ONE_CLASS = "lesion"
COLUMNS = 2


class ExportChoices(QWidget):
    """Five choices, two beside each other, and what belongs to copies of images.

    Attributes:
        strip: whether copies are written without metadata.

    Signals:
        changed: one of them was changed.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        project = session.project
        assert project is not None
        records = session.records()
        self._table = project.class_table()
        self._root = project.root
        self._class_map: dict[str, str] = {}
        shown = session.current
        self._shown = shown.record.path.as_posix() if shown is not None else ""
        reviewed = sum(record.status == "reviewed" for record in records)

        self._images = QComboBox()
        self._images.addItem(f"Reviewed only, {reviewed:,}", ("reviewed", None))
        self._images.addItem(f"All with regions, of {len(records):,}", ("all", None))
        doubts = [record.doubt for record in records if record.doubt is not None and record.status != "reviewed"]
        for limit in DOUBTS:
            above = sum(doubt > limit for doubt in doubts)
            if above:
                self._images.addItem(f"All but {above:,} with doubt above {limit:g}", ("all", limit))
        if shown is not None:
            self._images.addItem(f"This image, {shown.record.path.name}", ("this", None))
        self._images.setCurrentIndex(0 if reviewed else 1)
        name_control(self._images, "Images", tip="Which images are written")

        self._classes = QComboBox()
        count = len(self._table.classes)
        self._classes.addItem(f"As they are, {count:,}" if count > 1 else "As they are", "plain")
        if count > 1:
            self._classes.addItem(f"All as one: {ONE_CLASS}", "one")
        self._classes.addItem("Choose names…", "own")
        name_control(self._classes, "Class names", tip="Names of the classes in the export; several may become one")
        self._classes.activated.connect(self._on_classes)

        self._split = QComboBox()
        for text, ratios in SPLITS:
            self._split.addItem(text, ratios)
        name_control(self._split, "Split", tip="Shares of train, val and test, with a fixed seed")

        self._together = QComboBox()
        self._together.addItem("Each image alone", None)
        for found in find_group_columns([self._root, project.path.parent, self._root.parent]):
            self._add_column(found)
        self._together.addItem("Choose a table…", "choose")
        name_control(
            self._together, "Keep together", tip="Images with an equal value in this column never fall on two sides"
        )
        self._together.activated.connect(self._on_together)
        first = self._together.itemData(1)
        if isinstance(first, GroupColumn) and keeps_together(first.column):
            self._together.setCurrentIndex(1)

        self.strip = QCheckBox("Remove metadata from copies")
        self.strip.setChecked(True)
        name_control(self.strip, "Remove metadata from copies", tip="Camera, place and comments; colours stay")
        self.strip.toggled.connect(self._on_changed)
        self._files = QComboBox()
        name_control(self._files, "Image files", tip="Whether the images themselves are written")
        grid = wide_grid(COLUMNS)
        self.setLayout(grid)
        fields = (
            ("Images", self._images),
            ("Class names", self._classes),
            ("Split", self._split),
            ("Keep together", self._together),
            ("Image files", self._files),
        )
        for place, (text, combo) in enumerate(fields):
            add_below(grid, place, label(text, "caption", "text-2"), combo)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(8)
            combo.currentIndexChanged.connect(self._on_changed)
        add_below(grid, len(fields), None, self.strip)
        self._on_changed()

    def set_format(self, spec: FormatSpec) -> None:
        """Offer what a format can do with image files."""
        with QSignalBlocker(self._files):
            self._files.clear()
            if not spec.images:
                self._files.addItem("Referenced", None)
            self._files.addItem("Copied, upright", "copy")
            self._files.addItem("Linked", "link")

    def copies_images(self, spec: FormatSpec) -> bool:
        """Return whether image files are written."""
        return spec.images or self._files.currentData() is not None

    def colours(self) -> dict[str, str]:
        """Return the colour of each class of the export."""
        colours: dict[str, str] = {}
        for entry in self._table.classes:
            colours.setdefault(self._class_map.get(entry.name, entry.name), entry.colour)
        return colours

    def request(
        self, *, source: Path, format_name: str, out: Path, options: dict[str, Value], verify: bool
    ) -> ExportRequest:
        """Return what was chosen, with what the dialog around knows."""
        status, max_doubt = self._images.currentData()
        group = self._together.currentData()
        ratios = tuple(self._split.currentData() or ())
        by_column = isinstance(group, GroupColumn) and ratios
        return ExportRequest(
            source=source,
            format=format_name,
            out=out,
            status="all" if status == "this" else status,
            files=(self._shown,) if status == "this" else None,
            max_doubt=max_doubt,
            options=options,
            ratios=ratios,
            groups=group.path if by_column else None,
            group_column=group.column if by_column else "",
            class_map=dict(self._class_map),
            images=self._files.currentData(),
            strip=None if self.strip.isChecked() else False,
            verify=verify,
        )

    @Slot()
    def _on_changed(self) -> None:
        self._together.setEnabled(bool(self._split.currentData()))
        self.changed.emit()

    @Slot(int)
    def _on_classes(self, _index: int) -> None:
        choice = self._classes.currentData()
        if choice == "one":
            self._class_map = {entry.name: ONE_CLASS for entry in self._table.classes}
        elif choice == "plain":
            self._class_map = {}
        else:
            given = ClassNamesDialog.ask(
                [entry.name for entry in self._table.classes], self._class_map, "in the export", self
            )
            self._class_map = self._class_map if given is None else given
            if not self._class_map:
                self._classes.setCurrentIndex(0)
        self.changed.emit()

    def _add_column(self, column: GroupColumn) -> None:
        at = self._together.findData("choose")
        at = self._together.count() if at < 0 else at
        known = [self._together.itemText(i) for i in range(self._together.count())]
        text = column.column if column.column not in known else f"{column.column}, {column.path.name}"
        self._together.insertItem(at, text, column)
        self._together.setItemData(at, f"Column of {column.path.name}", Qt.ItemDataRole.ToolTipRole)

    @Slot(int)
    def _on_together(self, _index: int) -> None:
        if self._together.currentData() != "choose":
            return
        self._together.setCurrentIndex(0)
        chosen, _ = QFileDialog.getOpenFileName(self, "Table of lesions or patients", str(self._root), "CSV (*.csv)")
        if chosen:
            self.add_table(Path(chosen))

    def add_table(self, path: Path) -> None:
        """Offer the columns of a CSV file, and choose the likeliest."""
        try:
            columns = [name for name in read_columns(path) if name and name not in IMAGE_COLUMNS]
        except FormatError as error:
            self._together.setToolTip(error.message)
            return
        before = self._together.count()
        for name in sorted(columns, key=lambda name: not keeps_together(name)):
            self._add_column(GroupColumn(path, name))
        if columns:
            self._together.setCurrentIndex(before - 1)
