"""Undo and redo for the window: a `History` of the open project, with signals for buttons and menus."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import CamviewerError
from camviewer.project.edits import Edit, EditConflictError, apply
from camviewer.project.file import now
from camviewer.project.history import History, Step
from camviewer.project.store import Project


class Undo(QObject):
    """The edits of one project at a time.

    Args:
        on_error: takes what could not be done, taken back or done again.

    Signals:
        changed: what can be taken back or done again is another step.
        done: (`Step`, direction), after an edit was written: ``do``, ``undo`` or ``redo``.
    """

    changed = Signal()
    done = Signal(object, str)

    def __init__(self, parent: QObject, *, on_error: Callable[[CamviewerError], None]) -> None:
        super().__init__(parent)
        self._history: History | None = None
        self._on_error = on_error
        self._unwritten: list[Edit] = []

    def set_project(self, project: Project | None) -> None:
        """Begin anew with another project, or none."""
        self._history = History(project) if project is not None else None
        self._unwritten.clear()
        self.changed.emit()

    def do(self, make: Callable[[], Edit | None], label: str, *, merge: Hashable = None) -> bool:
        """Make an edit and write it; return whether it is written or nothing was to change.

        An edit that the project does not take, because its disk is full or gone, is kept for `write_into`.
        """
        history = self._history
        if history is None:
            return False
        edit: Edit | None = None
        try:
            edit = make()
            if edit is None:
                return True
            step = history.do(edit, label, merge=merge)
        except CamviewerError as error:
            if edit is not None and not isinstance(error, EditConflictError):
                self._unwritten.append(edit)
            self._on_error(error)
            return False
        self.done.emit(step, "do")
        self.changed.emit()
        return True

    @property
    def unwritten(self) -> int:
        """How many edits are kept that the project did not take."""
        return len(self._unwritten)

    def write_into(self, copy: Project) -> int:
        """Write the edits that the project did not take into a copy of it; return how many fit.

        The newest come first: of several tries at the same region the last one counts.

        Raises:
            ProjectError: when the copy does not take them either.
        """
        written = 0
        for edit in reversed(self._unwritten):
            try:
                apply(copy, edit, now=now())
                written += 1
            except EditConflictError:
                continue  # an earlier try at what is written already
        return written

    def end_merging(self) -> None:
        """Let the next edit be a step of its own."""
        if self._history is not None:
            self._history.end_merging()

    @property
    def to_undo(self) -> Step | None:
        """The step that is taken back next, or None."""
        return self._history.to_undo if self._history is not None else None

    @property
    def to_redo(self) -> Step | None:
        """The step that is done again next, or None."""
        return self._history.to_redo if self._history is not None else None

    @Slot()
    def undo(self) -> None:
        """Take the newest step back."""
        if self._history is not None:
            self._turn(self._history.undo, "undo")

    @Slot()
    def redo(self) -> None:
        """Do the step again that was taken back last."""
        if self._history is not None:
            self._turn(self._history.redo, "redo")

    def _turn(self, turn: Callable[[], Step | None], direction: str) -> None:
        try:
            step = turn()
        except CamviewerError as error:
            self._on_error(error)
            self.changed.emit()
            return
        if step is not None:
            self.done.emit(step, direction)
            self.changed.emit()
