"""The self-check's page, and the line about a session that did not end as it should."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

from drive import Condition, run
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton, QWidget

from camviewer.paths import log_dir
from camviewer.ui.controls import IconButton
from camviewer.ui.dialogs.selfcheck import CrashDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.sections import MessageBar


def picture(widget: QWidget, name: str) -> None:
    """Keep a screenshot where CAMVIEWER_REPORT says, for a person to look at."""
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        widget.grab().save(str(Path(report) / f"{name}.png"))


def button(widget: QWidget, text: str) -> QPushButton:
    (found,) = [b for b in widget.findChildren(QPushButton) if b.text().strip() == text]
    return found


def test_the_page_tells_what_is_installed_and_copies_it(qapp, qtbot) -> None:
    def script(window: MainWindow) -> Generator[Condition]:
        window.bench.actions["self_check"].trigger()
        dialog = window.checking.dialog
        assert dialog is not None and not dialog.copy.isEnabled()
        yield lambda: dialog.copy.isEnabled()
        picture(dialog, "self-check")
        said = dialog.verdict.accessibleDescription()
        assert "well" in said or "works" in said
        QTest.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
        text = QApplication.clipboard().text()
        assert "camviewer" in text and "torch" in text and "Qt platform" in text
        assert str(Path.home()) not in text and "~" in text
        dialog.reject()
        yield lambda: window.checking.dialog is None

    assert run(["--safe-mode"], script) == 0
    assert not list(log_dir().glob("session-*")), "the session ended, so its file is gone"


def test_the_last_crash_is_told_once(qapp, qtbot) -> None:
    log_dir().mkdir(parents=True)
    left = log_dir() / "session-999999.txt"
    left.write_text("camviewer 0.1.0\nFatal Python error: Segmentation fault\nThread 0x1 (most recent call first):\n")

    def shows(window: MainWindow) -> Generator[Condition]:
        bars = [bar for bar in window.findChildren(MessageBar) if "unexpectedly" in bar.accessibleDescription()]
        assert len(bars) == 1 and bars[0].isVisible()
        yield lambda: bars[0].height() > 10
        picture(window, "crash")
        QTest.mouseClick(button(bars[0], "Show report"), Qt.MouseButton.LeftButton)
        yield lambda: any(isinstance(w, CrashDialog) and w.isVisible() for w in QApplication.topLevelWidgets())
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, CrashDialog) and w.isVisible()]
        assert "Segmentation fault" in dialog.findChild(QPlainTextEdit).toPlainText()
        picture(dialog, "crash-report")
        QTest.mouseClick(button(dialog, "Copy report"), Qt.MouseButton.LeftButton)
        assert "Segmentation fault" in QApplication.clipboard().text()
        dialog.reject()
        yield lambda: not [bar for bar in window.findChildren(MessageBar) if "unexpect" in bar.accessibleDescription()]

    def silent(window: MainWindow) -> Generator[Condition]:
        assert not [bar for bar in window.findChildren(MessageBar) if "unexpect" in bar.accessibleDescription()]
        yield lambda: True

    assert run(["--safe-mode"], shows) == 0
    assert not left.exists() and len(list(log_dir().glob("crash-*.txt"))) == 1
    assert run(["--safe-mode"], silent) == 0


def test_the_line_can_be_closed_unread(qapp, qtbot) -> None:
    log_dir().mkdir(parents=True)
    (log_dir() / "session-999999.txt").write_text("camviewer 0.1.0\n")

    def script(window: MainWindow) -> Generator[Condition]:
        (close,) = [b for b in window.findChildren(IconButton) if b.accessibleName() == "Close this message"]
        QTest.mouseClick(close, Qt.MouseButton.LeftButton)
        yield lambda: not [b for b in window.findChildren(IconButton) if b.accessibleName() == "Close this message"]

    assert run(["--safe-mode"], script) == 0
