"""Importing annotations of others into the open project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench

if TYPE_CHECKING:
    from camviewer.workers.exports import ImportReport


class Importing(QObject):
    """Asks what to import, and shows the project as it is afterwards."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        bench.actions.connect("import_annotations", self.open)

    def open(self) -> None:
        """Ask for annotations; refused while a job writes its results into the project."""
        bench = self._bench
        if bench.session.project is None:
            return
        if bench.engine.busy:
            bench.say("A job is still running.", "Import when it has ended, or cancel it", "warn")
            return
        # The formats behind it are needed by nobody before.
        from camviewer.ui.dialogs.importing import ImportDialog

        dialog = ImportDialog(bench.session, bench.window)
        dialog.imported.connect(self._on_imported)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _on_imported(self, report: ImportReport) -> None:
        """Open the project anew: every image may have changed, and what could be undone is of before."""
        session = self._bench.session
        project, current = session.project, session.current
        if project is None:
            return
        path, root, shown = project.path, project.root, None if current is None else current.record.id
        if session.synthetic:
            session.open_at(path, root=root, synthetic=True)
        else:
            session.open_project(path)
        if shown is not None:
            session.show_image(shown)
        first, _, rest = report.sentence.partition(". ")
        self._bench.say(f"{first.rstrip('.')}.", rest, "ok")
