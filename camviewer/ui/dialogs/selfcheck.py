"""What this installation is like, and how an earlier session ended: to read, and to copy for whoever helps."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QGridLayout, QLabel, QPlainTextEdit, QScrollArea, QWidget

from camviewer.diagnostics import LastCrash, diagnostics_text, without_home
from camviewer.selfcheck import Finding
from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.sections import MessageBar

_ICONS = {"ok": ("check", "ok"), "warning": ("alert", "warn"), "error": ("alert", "bad")}


class SelfCheckDialog(PanelDialog):
    """The findings of the self-check, each with its cure.

    Signals:
        log_wanted: the log folder is to be opened.
    """

    log_wanted = Signal()

    def __init__(self, crash: LastCrash | None = None, parent: QWidget | None = None) -> None:
        super().__init__("Self-check", "this installation", parent=parent)
        self._crash = crash
        self._findings: tuple[Finding, ...] = ()
        self.verdict = MessageBar("info", "Looking at versions, devices and folders…")
        self.body.addWidget(self.verdict)
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 4, 8, 4)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(2, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName("Findings")
        area.setWidget(self._rows)
        self.body.addWidget(area, 1)
        self.copy = Button("Copy diagnostics", tip="Copy these lines; no image and no file name is among them")
        self.copy.setEnabled(False)
        self.copy.clicked.connect(self._on_copy)
        log_folder = Button("Open the log folder")
        log_folder.clicked.connect(self.log_wanted)
        self.add_buttons(self.copy, log_folder)
        self.add_close()
        self.resize(780, 600)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show what the self-check found; what is wrong stands first."""
        self._findings = tuple(findings)
        wrong = [finding for finding in findings if finding.state != "ok"]
        errors = sum(finding.state == "error" for finding in wrong)
        if errors:
            self.verdict.show_message("bad", "Something does not work.", "The marked lines say what to do.")
        elif wrong:
            self.verdict.show_message("warn", "It works, with one thing to know." if len(wrong) == 1 else
                                      f"It works, with {len(wrong)} things to know.")  # fmt: skip
        else:
            self.verdict.show_message("ok", "All is well.")
        for row, finding in enumerate((*wrong, *(finding for finding in findings if finding.state == "ok"))):
            self._add_row(row, finding)
        self._grid.setRowStretch(len(findings), 1)
        self.copy.setEnabled(True)

    def show_failure(self, sentence: str) -> None:
        """Say why there are no findings."""
        self.verdict.show_message("bad", "The self-check failed.", sentence)

    def _add_row(self, row: int, finding: Finding) -> None:
        name, colour = _ICONS[finding.state]
        mark = QLabel()
        mark.setPixmap(icon_pixmap(name, colour, density=self.devicePixelRatioF()))
        mark.setAccessibleName({"ok": "well", "warning": "warning", "error": "error"}[finding.state])
        top = Qt.AlignmentFlag.AlignTop
        self._grid.addWidget(mark, row, 0, top)
        self._grid.addWidget(label(finding.topic, "body", "text-2"), row, 1, top)
        words = without_home(finding.text + (f"\nCure: {finding.cure}" if finding.cure else ""))
        text = label(words, "body")
        text.setWordWrap(True)
        text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        text.setAccessibleName(f"{finding.topic}: {words}")
        self._grid.addWidget(text, row, 2, top)

    @Slot()
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(diagnostics_text(self._findings, self._crash))
        self.note.setText("Copied.")


class CrashDialog(PanelDialog):
    """The report of a session that did not end as it should."""

    def __init__(self, crash: LastCrash, parent: QWidget | None = None) -> None:
        super().__init__("The last session", "ended unexpectedly", parent=parent)
        words = (
            "This is where the program was. Nothing is sent anywhere; copy the report to show it to somebody. "
            if crash.explained
            else "The program was ended from outside: the computer was switched off, had no memory left, or somebody "
            "ended it. "
        ) + "Every edit is kept in the project at once, so only a stroke that was being drawn can be lost."
        told = label(words, "body", "text-2")
        told.setWordWrap(True)
        self.body.addWidget(told)
        self._text = without_home(crash.text)
        view = QPlainTextEdit(self._text)
        view.setReadOnly(True)
        view.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        name_control(view, "Report")
        self.body.addWidget(view, 1)
        copy = Button("Copy report")
        copy.clicked.connect(self._on_copy)
        self.add_buttons(copy)
        self.add_close()
        self.resize(780, 480)

    @Slot()
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)
        self.note.setText("Copied.")
