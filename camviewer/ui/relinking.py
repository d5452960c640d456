"""Missing images of the open project: noticed, looked for, linked again; and the content of files kept for that."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import CamviewerError
from camviewer.project.connection import on_network_drive
from camviewer.project.records import ImageRecord
from camviewer.project.relink import Proposal, keep_digests, relink, untouched
from camviewer.ui.session import Session
from camviewer.workers.relinking import digest_files, missing_images, search_images
from camviewer.workers.tasks import TaskDone, TaskPool


class Relinking(QObject):
    """Looks after the places of a session's images, in a thread of its own.

    Signals:
        missing_changed: list of `ImageRecord` whose file is gone.
        progress_changed: `Compared`, while a folder is searched.
        proposed: `Proposal` of the last search.
        failed: sentence.
    """

    missing_changed = Signal(object)
    progress_changed = Signal(object)
    proposed = Signal(object)
    failed = Signal(str)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.missing: list[ImageRecord] = []
        self._tasks = TaskPool(self, threads=1)
        self._tasks.done.connect(self._on_done)
        self._tasks.partial.connect(self._on_part)
        session.project_opened.connect(self._on_project)
        session.scan_ended.connect(self._on_scanned)

    def search(self, folder: Path) -> None:
        """Look for the missing images below a folder; `proposed` answers."""
        project = self._session.project
        if project is None or not self.missing:
            return
        self._tasks.drop("digest")
        gone = {record.id for record in self.missing}
        missing = tuple(self.missing)
        try:
            empty = untouched(project)
        except CamviewerError as error:
            self.failed.emit(error.message)
            return
        taken = tuple(
            project.file_of(record)
            for record in self._session.records()
            if record.id not in gone and record.id not in empty
        )
        self._tasks.submit("search", folder, lambda reporter: search_images(missing, folder, taken, reporter))

    def cancel(self) -> None:
        """Stop searching."""
        self._tasks.drop("search")

    def apply(self, proposal: Proposal) -> int:
        """Link what was found and open the project anew; return how many images have their file again."""
        project = self._session.project
        if project is None:
            return 0
        try:
            count = relink(project, proposal)
        except CamviewerError as error:
            self.failed.emit(error.message)
            return 0
        self._session.open_project(project.path)
        return count

    def close(self) -> bool:
        """End the thread; return whether it ended in time."""
        return self._tasks.close()

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        for key in ("missing", "search", "digest"):
            self._tasks.drop(key)
        self._set_missing([])

    @Slot(int)
    def _on_scanned(self, _total: int) -> None:
        project = self._session.project
        if project is None:
            return
        files = [(record, project.file_of(record)) for record in self._session.records()]
        self._tasks.submit("missing", project.path, lambda reporter: missing_images(files, reporter))
        # On a network drive every image would travel once more, only for this.
        if not on_network_drive(project.root):
            unknown = [(record.id, file) for record, file in files if record.id is not None and not record.sha256]
            self._tasks.submit("digest", project.path, lambda reporter: digest_files(unknown, reporter))

    @Slot(object)
    def _on_part(self, part: TaskDone) -> None:
        project = self._session.project
        if part.key == "search":
            self.progress_changed.emit(part.result)
        elif part.key == "digest" and project is not None and part.subject == project.path:
            try:
                keep_digests(project, part.result)
            except CamviewerError:
                self._tasks.drop("digest")  # a convenience: the edits say what is wrong with the disk

    @Slot(object)
    def _on_done(self, answer: TaskDone) -> None:
        if answer.key == "missing" and not answer.error:
            self._set_missing(answer.result)
        elif answer.key == "search":
            if answer.error:
                self.failed.emit(answer.error)
            else:
                self.proposed.emit(answer.result)

    def _set_missing(self, missing: list[ImageRecord]) -> None:
        if missing or self.missing:
            self.missing = missing
            self.missing_changed.emit(missing)
