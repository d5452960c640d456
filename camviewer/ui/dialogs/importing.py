"""Import: annotations of others as regions, or as the truth to compare with. Tried before it is done."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, QTimer, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QCheckBox, QComboBox, QFileDialog, QGridLayout, QHBoxLayout, QLayout, QLineEdit, QWidget

from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import Button, label, name_control, rule
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.dialogs.class_names import ClassNamesDialog
from camviewer.ui.dialogs.named_reasons import NamedReasonsDialog
from camviewer.ui.sections import MessageBar, Tone
from camviewer.ui.session import Session
from camviewer.workers.exports import ImportReport, ImportRequest, import_into
from camviewer.workers.tasks import TaskDone

FORMATS = (
    ("Recognised by the files", None),
    ("COCO instances", "coco"),
    ("Pascal VOC", "voc"),
    ("YOLO", "yolo"),
    ("LabelMe JSON", "labelme"),
    ("Mask PNG (ISIC)", "masks"),
)
_TITLES = {kind: title for title, kind in FORMATS if kind}
PURPOSES = {
    "reviewed": "They become the images' regions, and the images count as reviewed. Automatic regions there go.",
    "truth": "They are kept apart, to compare with: nothing edits or exports them.",
}
_TRIAL, _DEED = "import-trial", "import"


class ImportDialog(PanelDialog):
    """Asks for annotations, tries them after every change, and imports them: all, or nothing.

    Signals:
        imported: `ImportReport`; the project file has changed and has to be opened anew.
    """

    imported = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None, *, source: Path | None = None) -> None:
        project = session.project
        assert project is not None
        super().__init__("Import annotations", project.path.stem, parent=parent)
        self._session = session
        self._project = project.path
        self._start = project.root
        self._report: ImportReport | None = None
        self._class_map: dict[str, str] = {}
        self._source = QLineEdit("" if source is None else str(source))
        self._source.setPlaceholderText("A file or a folder")
        name_control(self._source, "Annotations", tip="COCO or LabelMe JSON, VOC XML, YOLO, or a folder of masks")
        file, folder = Button("File…", tip="Choose a file"), Button("Folder…", tip="Choose a folder")
        file.clicked.connect(self._choose_file)
        folder.clicked.connect(self._choose_folder)
        self._format = QComboBox()
        for title, kind in FORMATS:
            self._format.addItem(title, kind)
        name_control(self._format, "Format", tip="What the files are")
        self._purpose = SegmentedControl(
            [("reviewed", "Continue the work"), ("truth", "Compare with")],
            "Use",
            tips=[*PURPOSES.values()],
        )
        self._purpose_words = label(PURPOSES["reviewed"], "body", "text-2")
        self._purpose_words.setWordWrap(True)
        self._corners = QComboBox()
        for title, counts in (("From 1, as the devkit", "devkit"), ("From 0", "zero")):
            self._corners.addItem(title, counts)
        name_control(self._corners, "Box corners", tip="How VOC boxes count pixels")
        self._corners_label = label("Box corners", "body", "text-2")
        self._class_name = QLineEdit()
        self._class_name.setPlaceholderText("region")
        name_control(self._class_name, "Class of masks without one", tip="Mask files name no class")
        self._class_label = label("Class of the masks", "body", "text-2")
        self._replace = QCheckBox("Also images that a person worked on here")
        name_control(
            self._replace, "Also images that a person worked on here", tip="Their regions are replaced; off, they stay"
        )
        self._names = Button("Class names…", tip="Give classes other names, or leave some out")
        self._names.clicked.connect(self._ask_names)
        self._state = label("", "body", "text-2")
        self._message = MessageBar("info")
        self._message.action_triggered.connect(self._show_unknown)

        place = QHBoxLayout()
        place.setSpacing(8)
        for part in (self._source, file, folder):
            place.addWidget(part, 1 if part is self._source else 0)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(10)
        grid.setColumnStretch(1, 1)
        rows: tuple[tuple[QWidget, QWidget | QLayout], ...] = (
            (label("Annotations", "body", "text-2"), place),
            (label("Format", "body", "text-2"), self._format),
            (self._corners_label, self._corners),
            (self._class_label, self._class_name),
            (label("Use", "body", "text-2"), self._purpose),
        )
        for row, (caption, item) in enumerate(rows):
            grid.addWidget(caption, row, 0)
            if isinstance(item, QLayout):
                grid.addLayout(item, row, 1)
            else:
                grid.addWidget(item, row, 1)
        grid.addWidget(self._purpose_words, 5, 1)
        grid.addWidget(self._replace, 6, 1)
        self.body.addLayout(grid)
        self.body.addWidget(rule())
        head = QHBoxLayout()
        head.addWidget(label("What will change", "section"))
        head.addWidget(self._state, 1)
        head.addWidget(self._names)
        self.body.addLayout(head)
        self.body.addWidget(self._message)
        self.body.addStretch(1)
        self.note.setText("All of it, or nothing.")
        self.add_close("Cancel")
        self._import = Button("Import", "primary", key="Ctrl+Enter")
        for key in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(key), self).activated.connect(self._import.click)
        self._import.clicked.connect(self._on_import)
        self.add_buttons(self._import)

        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(250)
        self._delay.timeout.connect(self._try)
        for signal in (
            self._source.textChanged,
            self._format.currentIndexChanged,
            self._corners.currentIndexChanged,
            self._class_name.textChanged,
            self._replace.toggled,
            self._purpose.chosen,
        ):
            signal.connect(self._on_changed)
        session.tasks.done.connect(self._on_done)
        session.tasks.partial.connect(self._on_part)
        self.finished.connect(self._on_finished)
        self._on_changed()
        self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:
        return QSize(720, 500)

    def request(self) -> ImportRequest:
        """Return what was chosen."""
        source = Path(self._source.text().strip()).expanduser()
        return ImportRequest(
            source=source,
            format=self._format.currentData(),
            purpose="truth" if self._purpose.value() == "truth" else "reviewed",
            replace=self._replace.isChecked(),
            class_name=self._class_name.text().strip() or None,
            class_map=dict(self._class_map),
            coordinates=self._corners.currentData(),
            reviewer=f"import of {source.name}",
        )

    @Slot()
    def _on_changed(self) -> None:
        self._report = None
        self._import.setEnabled(False)
        # A trial under way is of other choices.
        self._session.tasks.drop(_TRIAL)
        self._purpose_words.setText(PURPOSES[self._purpose.value()])
        kind = self._format.currentData()
        self._show_rows(kind)
        self._names.setEnabled(False)
        if not self._source.text().strip():
            self._delay.stop()
            self._state.setText("")
            self._message.show_message(
                "info", "Choose a file or a folder.", "COCO, Pascal VOC, YOLO, LabelMe or masks."
            )
            return
        self._delay.start()

    def _show_rows(self, kind: str | None) -> None:
        """Show what only some formats need."""
        for only, part in (
            ("voc", self._corners),
            ("voc", self._corners_label),
            ("masks", self._class_name),
            ("masks", self._class_label),
        ):
            part.setVisible(kind == only)

    @Slot()
    def _try(self) -> None:
        request, project = self.request(), self._project
        self._state.setText("Reading…")
        work = lambda reporter: import_into(project, request, reporter, dry_run=True)  # noqa: E731 - one line
        self._session.tasks.submit(_TRIAL, request, work)

    @Slot(object)
    def _on_part(self, answer: TaskDone) -> None:
        if answer.key in {_TRIAL, _DEED}:
            verb = "Reading" if answer.key == _TRIAL else "Importing"
            self._state.setText(f"{verb} image {answer.result + 1:,}")

    @Slot(object)
    def _on_done(self, answer: TaskDone) -> None:
        if answer.key not in {_TRIAL, _DEED}:
            return
        report: ImportReport | None = answer.result
        self._state.setText("Trial run, nothing has changed")
        if report is None:
            first, separator, rest = answer.error.partition(". ")
            self._message.show_message("bad", first + (separator and "."), rest)
            self._import.set_text("Import")
            return
        if answer.key == _DEED:
            self.imported.emit(report)
            self.accept()
            return
        self._report = report
        self._show_rows(report.format)
        self._names.setEnabled(bool(report.met))
        images = f"{report.images:,} image" + ("" if report.images == 1 else "s")
        first, _, rest = report.sentence.partition(". ")
        added = f"New classes: {', '.join(report.classes)}." if report.classes else ""
        kept = "A person worked on them here; tick the box above to replace that." if report.kept else ""
        words = "\n".join(part for part in (f"Read as {_TITLES[report.format]}.", rest, kept, added) if part)
        tone: Tone = "warn" if report.unknown_count or report.kept else "ok"
        self._message.show_message(tone, f"{first.rstrip('.')}.", words, "Show them" if report.unknown else "")
        self._import.set_text(f"Import {images}")
        self._import.setEnabled(report.images > 0)

    @Slot()
    def _on_import(self) -> None:
        if self._report is None:
            return
        request, project = self.request(), self._project
        self._import.setEnabled(False)
        self._session.tasks.submit(_DEED, request, lambda reporter: import_into(project, request, reporter))

    @Slot()
    def _ask_names(self) -> None:
        if self._report is None:
            return
        given = ClassNamesDialog.ask(self._report.met, self._class_map, "in this project", self)
        if given is not None:
            self._class_map = given
            self._on_changed()

    @Slot()
    def _show_unknown(self) -> None:
        if self._report is None:
            return
        rows = [(name, "not in this project") for name in self._report.unknown]
        dialog = NamedReasonsDialog("Annotated, but not here", f"{self._report.unknown_count:,} images", rows, self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _choose_file(self) -> None:
        kinds = "Annotations (*.json *.xml *.yaml *.yml);;All files (*)"
        chosen, _ = QFileDialog.getOpenFileName(self, "Annotations", str(self._start), kinds)
        if chosen:
            self._source.setText(chosen)

    def _choose_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of annotations", str(self._start))
        if chosen:
            self._source.setText(chosen)

    @Slot()
    def _on_finished(self) -> None:
        self._delay.stop()
        for key in (_TRIAL, _DEED):
            self._session.tasks.drop(key)
