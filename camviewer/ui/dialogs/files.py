"""Everything that asks: one object, so that tests answer without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from camviewer.project.store import SUFFIX
from camviewer.ui.session import IMAGE_ENDINGS, Session
from camviewer.ui.settings import SettingsStore
from camviewer.workers.jobs import LoadRequest


class FileDialogs:
    """Asks the user; every method returns None or an empty list when nothing was chosen."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent

    def folder(self, title: str, start: str) -> Path | None:
        """Ask for a folder."""
        chosen = QFileDialog.getExistingDirectory(self._parent, title, start)
        return Path(chosen) if chosen else None

    def images(self, title: str, start: str) -> list[Path]:
        """Ask for image files."""
        endings = " ".join(f"*{ending} *{ending.upper()}" for ending in IMAGE_ENDINGS)
        chosen, _ = QFileDialog.getOpenFileNames(self._parent, title, start, f"Images ({endings});;All files (*)")
        return [Path(path) for path in chosen]

    def project(self, title: str, start: str) -> Path | None:
        """Ask for a project file."""
        chosen, _ = QFileDialog.getOpenFileName(self._parent, title, start, f"Projects (*{SUFFIX});;All files (*)")
        return Path(chosen) if chosen else None

    def file(self, title: str, start: str, filters: str) -> Path | None:
        """Ask for a file that is there."""
        chosen, _ = QFileDialog.getOpenFileName(self._parent, title, start, filters)
        return Path(chosen) if chosen else None

    def files(self, title: str, start: str, filters: str) -> list[Path]:
        """Ask for files that are there."""
        chosen, _ = QFileDialog.getOpenFileNames(self._parent, title, start, filters)
        return [Path(path) for path in chosen]

    def new_file(self, title: str, start: str, filters: str) -> Path | None:
        """Ask where a file is to be written."""
        chosen, _ = QFileDialog.getSaveFileName(self._parent, title, start, filters)
        return Path(chosen) if chosen else None

    def model(self, settings: SettingsStore) -> LoadRequest | None:
        """Ask which network to load."""
        from camviewer.ui.dialogs.model import OpenModelDialog

        dialog = OpenModelDialog(settings, self._parent)
        try:
            return dialog.request() if dialog.exec() == QDialog.DialogCode.Accepted else None
        finally:
            dialog.deleteLater()

    def export(self, session: Session, settings: SettingsStore) -> Any:
        """Ask what to export."""
        from camviewer.ui.dialogs.export import ExportDialog

        dialog = ExportDialog(session, settings, self._parent)
        try:
            return dialog.request() if dialog.exec() == QDialog.DialogCode.Accepted else None
        finally:
            dialog.deleteLater()

    def keys(self) -> None:
        """Show the keys page."""
        from camviewer.ui.dialogs.help import KeysDialog

        _show(KeysDialog(self._parent))

    def about(self) -> None:
        """Show the about page."""
        from camviewer.ui.dialogs.help import AboutDialog

        _show(AboutDialog(self._parent))


def _show(dialog: QDialog) -> None:
    dialog.exec()
    dialog.deleteLater()
