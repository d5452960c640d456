"""The tags of a DICOM image, on request."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Slot

from camviewer.images.dicom import SUFFIXES, read_tags
from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.dicom_tags import DicomTagsDialog
from camviewer.workers.tasks import TaskDone

_KEY = "dicom-tags"


class DicomTags(QObject):
    """Reads them when a person asks, and at no other time."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        bench.actions.connect("dicom_tags", self.open)
        bench.session.tasks.done.connect(self._on_read)

    def open(self) -> None:
        """Show the tags of the image on the canvas."""
        session = self._bench.session
        if session.current is None or session.project is None:
            return
        path = session.project.file_of(session.current.record)
        if path is None or path.suffix.lower() not in SUFFIXES:
            self._bench.say("This image is no DICOM file.", "Other files have no such tags")
            return
        session.tasks.submit(_KEY, path, lambda _reporter: read_tags(path))

    @Slot(object)
    def _on_read(self, answer: TaskDone) -> None:
        if answer.key != _KEY:
            return
        if answer.error:
            self._bench.say(answer.error, "", "bad")
            return
        path: Path = answer.subject
        dialog = DicomTagsDialog(path.name, answer.result, self._bench.window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
