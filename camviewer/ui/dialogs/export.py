"""Export: choices left, options and trial run right, result and buttons below. Rehearsed before it is written."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from camviewer.catalogue.formats import FORMATS, FormatSpec
from camviewer.paths import data_dir
from camviewer.ui.controls import Button, label, name_control, rule
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.cards import ChoiceCard
from camviewer.ui.dialogs.export_choices import COLUMNS, ExportChoices
from camviewer.ui.dialogs.file_table import FileTable
from camviewer.ui.dialogs.named_reasons import NamedReasonsDialog
from camviewer.ui.dialogs.split_bars import SplitBars
from camviewer.ui.panels.fields import ParameterForm
from camviewer.ui.sections import MessageBar, Tone
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
TRIAL = "Trial run, nothing has been written"


class ExportDialog(PanelDialog):
    """Collects an `ExportRequest`; a trial run follows every change, in a thread."""

    def __init__(self, session: Session, settings: SettingsStore, parent: QWidget | None = None) -> None:
        project = session.project
        assert project is not None
        super().__init__("Export training set", project.path.stem, parent=parent)
        self._session, self._settings = session, settings
        self._source = project.path
        self._report: ExportReport | None = None
        self._choices = ExportChoices(session)
        self._choices.changed.connect(self._recount)
        self._form = ParameterForm(columns=COLUMNS, above=True)
        self._form.changed.connect(self._recount)
        self._form.validity_changed.connect(self._recount)
        self._folder = QLineEdit()
        name_control(self._folder, "Folder", tip="Folder of the result")
        self._folder.textChanged.connect(self._on_folder)
        self._verify = QCheckBox("Read everything back after writing")
        self._verify.setChecked(True)
        name_control(
            self._verify,
            "Read everything back after writing",
            tip="Compares every image with what a reader of the format finds, before the result counts",
        )
        self._bars = SplitBars()
        self._table = FileTable()
        self._state = label(TRIAL, "body", "text-3")
        self._copy_table = Button("Copy table", "flat", icon_name="table", tip="Copy the table as text")
        self._copy_table.clicked.connect(self._table.copy)
        self._message = MessageBar("info")
        self._message.action_triggered.connect(self._show_left_out)
        self._message.hide()

        row = QHBoxLayout()
        row.setSpacing(20)
        row.addWidget(self._make_formats())
        row.addWidget(rule(vertical=True))
        row.addWidget(self._make_options(), 1)
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
        session.tasks.partial.connect(self._on_counting)
        self.finished.connect(self._on_finished)
        self._cards.button(0).setChecked(True)
        self._on_format(0)
        self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:
        return QSize(1080, 740)

    def _make_formats(self) -> QWidget:
        formats = QVBoxLayout()
        formats.setContentsMargins(0, 0, 0, 0)
        formats.setSpacing(2)
        formats.addWidget(label("Format", "section"))
        self._cards = QButtonGroup(self)
        for number, spec in enumerate(FORMATS):
            card = ChoiceCard(spec.title, EXACT_WORDS.get(spec.exactness, ""), tip=spec.shows)
            self._cards.addButton(card, number)
            formats.addWidget(card)
        formats.addStretch(1)
        self._cards.idClicked.connect(self._on_format)
        side = QWidget()
        side.setLayout(formats)
        side.setFixedWidth(theme().px(208))
        area = _scrolling(side)
        area.setFixedWidth(theme().px(224))
        return area

    def _make_options(self) -> QWidget:
        options = QVBoxLayout()
        options.setContentsMargins(0, 0, 8, 0)
        options.setSpacing(10)
        fields = QVBoxLayout()
        fields.setSpacing(4)
        fields.addWidget(self._choices)
        fields.addWidget(self._form)
        parts = QVBoxLayout()
        parts.setSpacing(4)
        parts.addWidget(label("Images and their classes", "caption", "text-2"))
        parts.addWidget(self._bars)
        parts.addStretch(1)
        self._bars.setFixedWidth(theme().px(248))
        top = QHBoxLayout()
        top.setSpacing(24)
        top.addLayout(fields, 1)
        top.addLayout(parts)
        options.addLayout(top)
        place = QHBoxLayout()
        place.setSpacing(8)
        choose = Button("Choose…", tip="Choose the folder")
        choose.clicked.connect(self._choose)
        place.addWidget(label("Folder", "body", "text-2"))
        place.addWidget(self._folder, 1)
        place.addWidget(choose)
        options.addLayout(place)
        options.addWidget(self._verify)
        options.addWidget(rule())
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(label("What will be written", "section"))
        head.addWidget(self._state, 1)
        head.addWidget(self._copy_table)
        options.addLayout(head)
        options.addWidget(self._table)
        options.addWidget(self._message)
        options.addStretch(1)
        inside = QWidget()
        inside.setLayout(options)
        return _scrolling(inside)

    def spec(self) -> FormatSpec:
        """Return the chosen format."""
        return FORMATS[max(0, self._cards.checkedId())]

    def request(self) -> ExportRequest:
        """Return what was chosen."""
        return self._choices.request(
            source=self._source,
            format_name=self.spec().name,
            out=Path(self._folder.text().strip() or ".").expanduser(),
            options=self._form.values(),
            verify=self._verify.isChecked(),
        )

    @Slot(int)
    def _on_format(self, number: int) -> None:
        spec = FORMATS[number]
        self._form.set_parameters(spec.parameters, {})
        self._choices.set_format(spec)
        base = self._settings.value.last_export_folder or str(_beside(self._source))
        self._folder.setText(str(_fresh(Path(base) / f"{self._source.stem}_{spec.name}")))
        self._recount()

    @Slot()
    def _recount(self) -> None:
        self._report = None
        self._export.setEnabled(False)
        # A count under way is of other choices.
        self._session.tasks.drop("export-count")
        self._choices.strip.setEnabled(self._choices.copies_images(self.spec()))
        self._delay.start()

    @Slot()
    def _count(self) -> None:
        request = self.request()
        self._session.tasks.submit("export-count", request, lambda reporter: count_export(request, reporter))

    @Slot(object)
    def _on_counting(self, answer: TaskDone) -> None:
        if answer.key == "export-count":
            done, total = answer.result
            self._state.setText(f"Looking at image {done + 1:,} of {total:,}")

    @Slot(object)
    def _on_counted(self, answer: TaskDone) -> None:
        if answer.key != "export-count":
            return
        self._state.setText(TRIAL)
        report: ExportReport | None = answer.result
        self._report = report
        self._table.show_report(report)
        self._bars.show_report(report, self._choices.colours())
        self._copy_table.setEnabled(report is not None)
        if report is None:
            self._message.show_message("warn", *_title(answer.error))
            self._message.show()
            self._export.set_text("Export")
            return
        self._show_remarks(report)
        self._export.set_text(f"Export {_images(report.images)}")
        self._export.setEnabled(report.images > 0 and self._form.is_valid())

    def _show_remarks(self, report: ExportReport) -> None:
        """Say what a person may not expect: what changes, what stays out, what nobody looked at."""
        remarks = []
        if report.pixels_lost:
            share = f"{report.pixels_lost:,} of {report.pixels:,} mask pixels change in this format"
            remarks.append(f"{share}: IoU {report.iou:.3f}, at worst {report.worst_iou:.3f} ({report.worst})")
        if report.left_out:
            total = sum(report.left_out.values())
            reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(report.left_out.items()))
            remarks.append(f"{_images(total)} {'stays' if total == 1 else 'stay'} out: {reasons}")
        if report.unreviewed:
            are = "is" if report.unreviewed == 1 else "are"
            remarks.append(f"{_images(report.unreviewed)} {are} not reviewed by a person")
        if report.turned:
            remarks.append(report.turned_sentence.rstrip("."))
        listed = "Show them" if report.left_out or report.problems else ""
        if remarks:
            tone: Tone = "warn" if report.pixels_lost or report.turned else "info"
            self._message.show_message(tone, remarks[0], "\n".join(remarks[1:]), listed)
        self._message.setVisible(bool(remarks))

    @Slot()
    def _show_left_out(self) -> None:
        report = self._report
        if report is None:
            return
        rows = [(name, why) for why, names in sorted(report.left_out_files.items()) for name in names]
        rows += [("", sentence) for sentence in report.problems]
        total = sum(report.left_out.values())
        dialog = NamedReasonsDialog("Images that stay out", _images(total), rows, self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

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


def _images(count: int) -> str:
    return f"{count:,} image" + ("" if count == 1 else "s")


def _scrolling(inside: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    return area


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
