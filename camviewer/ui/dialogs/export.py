"""Export: choices left, options and trial run right, result and buttons below. Counted before it is written."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from camviewer.catalogue.formats import FORMATS, FormatSpec, format_spec
from camviewer.paths import data_dir
from camviewer.ui.controls import Button, label, name_control, rule
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.cards import ChoiceCard
from camviewer.ui.panels.fields import ParameterForm
from camviewer.ui.sections import MessageBar
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore
from camviewer.ui.theme import theme
from camviewer.workers.exports import ExportReport, ExportRequest, count_export
from camviewer.workers.tasks import TaskDone

EXACT_WORDS = {
    "pixels": "Every pixel comes back",
    "polygons": "Holes are lost",
    "boxes": "Boxes only",
    "picture": "A picture for people",
    "values": "Values",
}
SPLITS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("No split", ()),
    ("80 / 10 / 10", (0.8, 0.1, 0.1)),
    ("70 / 15 / 15", (0.7, 0.15, 0.15)),
    ("80 / 20", (0.8, 0.2, 0.0)),
)

CLASSES_LISTED = 6


class ExportDialog(PanelDialog):
    """Collects an `ExportRequest`; a trial run counts after every change, in a thread."""

    def __init__(self, session: Session, settings: SettingsStore, parent: QWidget | None = None) -> None:
        project = session.project
        assert project is not None
        super().__init__("Export training set", project.path.stem, parent=parent)
        self._session, self._settings = session, settings
        self._source = project.path
        self._report: ExportReport | None = None
        records = session.records()
        self._reviewed = sum(record.status == "reviewed" for record in records)
        self._form = ParameterForm(columns=2)
        self._form.changed.connect(self._recount)
        self._form.validity_changed.connect(self._recount)
        self._images = QComboBox()
        self._images.addItem(f"Reviewed only, {self._reviewed:,}", "reviewed")
        self._images.addItem(f"All with regions, of {len(records):,}", "all")
        shown = session.current
        self._shown = shown.record.path.as_posix() if shown is not None else ""
        if shown is not None:
            self._images.addItem(f"This image, {shown.record.path.name}", "this")
        self._images.setCurrentIndex(0 if self._reviewed else 1)
        name_control(self._images, "Images", tip="Which images are written")
        self._split = QComboBox()
        for text, ratios in SPLITS:
            self._split.addItem(text, ratios)
        name_control(self._split, "Split", tip="Shares of train, val and test")
        self._copy = QComboBox()
        for text, mode in (("As the format needs", None), ("Referenced", "reference"), ("Copied", "copy")):
            self._copy.addItem(text, mode)
        name_control(self._copy, "Image files", tip="Whether the images themselves are written")
        for combo in (self._images, self._split, self._copy):
            combo.currentIndexChanged.connect(self._recount)
        self._folder = QLineEdit()
        name_control(self._folder, "Folder", tip="Folder of the result")
        self._folder.textChanged.connect(self._on_folder)
        choose = Button("Choose…", tip="Choose the folder")
        choose.clicked.connect(self._choose)
        self._table = QGridLayout()
        self._table.setHorizontalSpacing(24)
        self._table.setVerticalSpacing(6)
        self._message = MessageBar("info")
        self._message.hide()

        formats = QVBoxLayout()
        formats.setSpacing(2)
        formats.addWidget(label("Format", "section"))
        self._cards = QButtonGroup(self)
        for number, spec in enumerate(FORMATS):
            card = ChoiceCard(spec.title, EXACT_WORDS.get(spec.exactness, ""), tip=spec.shows)
            self._cards.addButton(card, number)
            formats.addWidget(card)
        formats.addStretch(1)
        self._cards.idClicked.connect(self._on_format)

        options = QVBoxLayout()
        options.setSpacing(10)
        top = QGridLayout()
        top.setHorizontalSpacing(16)
        top.setVerticalSpacing(4)
        for column, (text, widget) in enumerate(
            (("Images", self._images), ("Split", self._split), ("Image files", self._copy))
        ):
            top.addWidget(label(text, "caption", "text-2"), 0, column)
            top.addWidget(widget, 1, column)
            top.setColumnStretch(column, 1)
        options.addLayout(top)
        options.addWidget(self._form)
        place = QHBoxLayout()
        place.setSpacing(8)
        place.addWidget(label("Folder", "body", "text-2"))
        place.addWidget(self._folder, 1)
        place.addWidget(choose)
        options.addLayout(place)
        options.addWidget(rule())
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(label("What will be written", "section"))
        head.addWidget(label("Trial run, nothing has been written", "body", "text-3"))
        head.addStretch(1)
        options.addLayout(head)
        options.addLayout(self._table)
        options.addWidget(self._message)
        options.addStretch(1)

        side = QWidget()
        side.setLayout(formats)
        side.setFixedWidth(theme().px(208))
        formats.setContentsMargins(0, 0, 0, 0)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(side)
        area.setFixedWidth(theme().px(224))
        row = QHBoxLayout()
        row.setSpacing(20)
        row.addWidget(area)
        row.addWidget(rule(vertical=True))
        row.addLayout(options, 1)
        self.body.addLayout(row)
        self.note.setText("Goes into a new folder. Nothing is overwritten.")
        self.add_close("Cancel")
        self._export = Button("Export", "primary", icon_name="export", key="Ctrl+Enter")
        # A button forgets its own shortcut whenever its text changes.
        for key in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(key), self).activated.connect(self._export.click)
        self._export.clicked.connect(self._on_export)
        self.add_buttons(self._export)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(150)
        self._delay.timeout.connect(self._count)
        session.tasks.done.connect(self._on_counted)
        self.finished.connect(self._on_finished)
        self._cards.button(0).setChecked(True)
        self._on_format(0)
        self.resize(960, 620)

    def sizeHint(self) -> QSize:
        return QSize(960, 620)

    def spec(self) -> FormatSpec:
        """Return the chosen format."""
        return FORMATS[max(0, self._cards.checkedId())]

    def request(self) -> ExportRequest:
        """Return what was chosen."""
        spec = format_spec(self.spec().name)
        only_shown = self._images.currentData() == "this"
        return ExportRequest(
            source=self._source,
            format=spec.name,
            out=Path(self._folder.text().strip() or ".").expanduser(),
            status="all" if only_shown else self._images.currentData(),
            files=(self._shown,) if only_shown else None,
            options=self._form.values(),
            ratios=tuple(self._split.currentData() or ()),
            images=self._copy.currentData(),
        )

    @Slot(int)
    def _on_format(self, number: int) -> None:
        spec = FORMATS[number]
        self._form.set_parameters(spec.parameters, {})
        base = self._settings.value.last_export_folder or str(_beside(self._source))
        self._folder.setText(str(_fresh(Path(base) / f"{self._source.stem}_{spec.name}")))
        self._recount()

    @Slot()
    def _recount(self) -> None:
        self._report = None
        self._export.setEnabled(False)
        self._delay.start()

    @Slot()
    def _count(self) -> None:
        request = self.request()
        self._session.tasks.submit("export-count", request, lambda _reporter: count_export(request))

    @Slot(object)
    def _on_counted(self, answer: TaskDone) -> None:
        if answer.key != "export-count":
            return
        if answer.error:
            self._message.show_message("warn", *_title(answer.error))
            self._message.show()
            self._clear_table()
            self._export.set_text("Export")
            return
        report: ExportReport = answer.result
        self._report = report
        self._fill(report)
        images = f"{report.images:,} image" + ("" if report.images == 1 else "s")
        self._export.set_text(f"Export {images}")
        self._export.setEnabled(report.images > 0 and self._form.is_valid())

    def _fill(self, report: ExportReport) -> None:
        self._clear_table()
        rows = [("Images", f"{report.images:,}"), ("Regions", f"{report.regions:,}")]
        if report.empty:
            rows.append(("Images without a region", f"{report.empty:,}"))
        if report.unreviewed:
            rows.append(("Not reviewed by a person", f"{report.unreviewed:,}"))
        blocks = [("Total", rows)]
        if len(report.parts) > 1:
            blocks.append(("Parts", [(name, f"{count:,}") for name, count in report.parts.items()]))
        if report.classes:
            classes = [(name, f"{count:,}") for name, count in report.classes.items()]
            if len(classes) > CLASSES_LISTED:
                rest = len(classes) - CLASSES_LISTED
                classes = [*classes[:CLASSES_LISTED], (f"and {rest:,} more", "")]
            blocks.append(("Classes", classes))
        for place, (head, lines) in enumerate(blocks):
            self._table.addWidget(label(head, "caption", "text-2"), 0, 2 * place)
            for number, (words, count) in enumerate(lines, 1):
                self._table.addWidget(label(words, "name"), number, 2 * place)
                value = label(count, "name", "text-2")
                value.setAlignment(Qt.AlignmentFlag.AlignRight)
                self._table.addWidget(value, number, 2 * place + 1)
        self._table.setColumnStretch(2 * 3, 1)
        if report.left_out:
            total = sum(report.left_out.values())
            reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(report.left_out.items()))
            stay = "image stays" if total == 1 else "images stay"
            self._message.show_message("info", f"{total:,} {stay} out", reasons)
        elif report.pixels_lost:
            share = f"{report.pixels_lost:,} of {report.pixels:,} mask pixels change in this format"
            self._message.show_message("warn", share)
        self._message.setVisible(bool(report.left_out or report.pixels_lost))

    def _clear_table(self) -> None:
        while (item := self._table.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    @Slot(str)
    def _on_folder(self, text: str) -> None:
        self._folder.setToolTip(text)
        self._recount()

    @Slot()
    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the export", str(_beside(self._source)))
        if folder:
            self._settings.value.last_export_folder = folder
            self._folder.setText(str(_fresh(Path(folder) / f"{self._source.stem}_{self.spec().name}")))

    @Slot()
    def _on_export(self) -> None:
        if self._report is not None:
            self.done(QDialog.DialogCode.Accepted)

    @Slot()
    def _on_finished(self) -> None:
        self._delay.stop()
        self._session.tasks.drop("export-count")


def _beside(source: Path) -> Path:
    """Return where an export is looked for: beside the project, but not in the program's own data folder."""
    return Path.home() if source.is_relative_to(data_dir()) else source.parent


def _fresh(path: Path) -> Path:
    """Return `path`, or with a number behind it when it exists."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}_{number}")
        number += 1
    return candidate


def _title(sentence: str) -> tuple[str, str]:
    first, separator, rest = sentence.partition(". ")
    return (f"{first}." if separator else first), rest
