"""The comparison of checkpoints, in the place of the canvas."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench
from camviewer.ui.compare.checkpoints import CheckpointPage, counted
from camviewer.ui.dialogs.checkpoints import CheckpointsDialog
from camviewer.ui.session import ShownImage
from camviewer.workers.tasks import TaskDone, TaskPool
from camviewer.workers.training import Comparison, ComparisonRequest, RowDone, compare_work, save_comparison


class Checkpoints(QObject):
    """Asks what to compare, measures it in the background, and shows it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._job = bench.long_job(self)
        self.page = CheckpointPage()
        self.dialog: CheckpointsDialog | None = None
        self._tasks = TaskPool(self, threads=1)
        self._tasks.done.connect(self._on_saved)
        bench.closing.connect(self._close)
        bench.actions.connect("compare_checkpoints", self._toggle)
        self.page.choose_wanted.connect(self.choose)
        self.page.save_wanted.connect(self._save)
        self.page.left.connect(self._leave)
        bench.session.image_shown.connect(self._on_image)
        self._job.part_found.connect(self._on_part)
        self._job.finished.connect(self._on_finished)
        self._job.failed.connect(self.page.end)
        self._job.cancelled.connect(self._on_cancelled)

    @Slot()
    def _toggle(self) -> None:
        """Show the last comparison, or ask for one."""
        if self.page.comparison is None and not self._job.running:
            self.choose()
        else:
            self._bench.stage.toggle(self.page)

    @Slot()
    def choose(self) -> None:
        """Ask which checkpoints are compared, and on what."""
        self.choose_of([])

    @Slot(object)
    def choose_training(self, folder: Path) -> None:
        """Ask, with the checkpoints of a training in the list."""
        self.choose_of([folder])

    def choose_of(self, paths: list[Path]) -> None:
        """Ask, with these checkpoints in the list."""
        project = self._bench.session.project
        self.dialog = CheckpointsDialog(
            self._bench.dialogs, project.path if project is not None else None, parent=self._bench.window
        )
        if paths:
            self.dialog.add(paths)
        self.dialog.accepted.connect(self._on_chosen)
        self.dialog.finished.connect(self._forget)
        self.dialog.open()

    @Slot()
    def _on_chosen(self) -> None:
        if self.dialog is not None:
            self.compare(self.dialog.request())

    @Slot()
    def _forget(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None

    def compare(self, request: ComparisonRequest) -> None:
        """Measure in the background and show what there is so far."""
        self.page.begin()
        self._bench.stage.show_page(self.page)
        self._job.start(compare_work(request))

    # --- answers --------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_part(self, part: object) -> None:
        if isinstance(part, RowDone):
            self.page.add_row(part.row)

    @Slot(object)
    def _on_finished(self, comparison: Comparison) -> None:
        self.page.set_comparison(comparison)
        count = sum(not row.name.control for row in comparison.rows)
        words = f"{counted(count, 'checkpoint')} measured on {counted(comparison.measured, 'image')}."
        self._bench.say(words, "", "ok")

    @Slot()
    def _on_cancelled(self) -> None:
        self.page.end("Cancelled. The rows that are shown are complete.")

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        if shown is not None:
            self.page.show_path(shown.path)

    @Slot()
    def _save(self) -> None:
        comparison = self.page.comparison
        out = self._bench.dialogs.folder("Folder for the comparison", "") if comparison is not None else None
        if out is not None and comparison is not None:
            self._tasks.submit("save", out, lambda _reporter: save_comparison(comparison, out))

    @Slot(object)
    def _on_saved(self, answer: TaskDone) -> None:
        if answer.error:
            self._bench.say(answer.error, "", "bad")
        else:
            names = ", ".join(path.name for path in answer.result)
            self._bench.say(f"The comparison is written to {answer.subject.name}.", names, "ok")

    @Slot()
    def _leave(self) -> None:
        self._bench.stage.show_page(None)

    @Slot()
    def _close(self) -> None:
        self._tasks.close()
        self.page.close_tasks()
