"""Undo and redo of a project: steps of edits, kept in memory within a bound of bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from camviewer.project.edits import Edit, EditConflictError, apply, images_of, merged
from camviewer.project.file import now
from camviewer.project.store import Project

MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One step of undo.

    Attributes:
        label: what was done, for example ``Box drawn``.
        merge: steps that follow each other with an equal value are one; None never merges.
    """

    label: str
    edit: Edit
    merge: Hashable = None

    @property
    def images(self) -> tuple[int, ...]:
        """Ids of the images that the step changes."""
        return images_of(self.edit)


class History:
    """Does edits and takes them back, each in one transaction.

    The oldest steps are forgotten when all of them hold more than `max_bytes`; the newest one is always kept, however
    large it is.

    Args:
        project: that the edits belong to.
        max_bytes: bound of both stacks together.
    """

    def __init__(self, project: Project, *, max_bytes: int = MAX_BYTES) -> None:
        self._project = project
        self._max_bytes = max_bytes
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes that the steps hold, about."""
        return self._nbytes

    @property
    def to_undo(self) -> Step | None:
        """The step that `undo` takes back, or None."""
        return self._done[-1] if self._done else None

    @property
    def to_redo(self) -> Step | None:
        """The step that `redo` does again, or None."""
        return self._undone[-1] if self._undone else None

    def do(self, edit: Edit, label: str, *, merge: Hashable = None) -> Step:
        """Write an edit and keep it as a step; what was taken back before is forgotten.

        Args:
            label: what was done, for example ``Box drawn``.
            merge: join with the step before when that has an equal value, as a run of nudges does.

        Raises:
            ProjectError: when it cannot be written; the history is then as it was.
        """
        apply(self._project, edit, now=now())
        for forgotten in self._undone:
            self._nbytes -= forgotten.edit.nbytes
        self._undone.clear()
        step = Step(label, edit, merge)
        last = self.to_undo
        if last is not None and merge is not None and last.merge == merge:
            self._nbytes -= self._done.pop().edit.nbytes
            step = Step(label, merged(last.edit, edit), merge)
        self._done.append(step)
        self._nbytes += step.edit.nbytes
        while self._nbytes > self._max_bytes and len(self._done) > 1:
            self._nbytes -= self._done.popleft().edit.nbytes
        return step

    def end_merging(self) -> None:
        """Let the next edit be a step of its own: another image is shown, or a step was taken back or done again."""
        if self._done:
            last = self._done.pop()
            self._done.append(Step(last.label, last.edit))

    def undo(self) -> Step | None:
        """Take the newest step back and return it, or None when there is none.

        Raises:
            EditConflictError: when it does not fit any more; the step is then forgotten, so that those below can be
                taken back.
            ProjectError: when it cannot be written; the step is kept.
        """
        if not self._done:
            return None
        step = self._done[-1]
        try:
            apply(self._project, step.edit.inverse(), now=now())
        except EditConflictError:
            self._nbytes -= self._done.pop().edit.nbytes
            raise
        self._done.pop()
        self._undone.append(step)
        self.end_merging()
        return step

    def redo(self) -> Step | None:
        """Do the step again that was taken back last and return it, or None when there is none.

        Raises:
            EditConflictError: when it does not fit any more; all that was taken back is then forgotten.
            ProjectError: when it cannot be written; the step is kept.
        """
        if not self._undone:
            return None
        step = self._undone[-1]
        try:
            apply(self._project, step.edit, now=now())
        except EditConflictError:
            for forgotten in self._undone:
                self._nbytes -= forgotten.edit.nbytes
            self._undone.clear()
            raise
        self._undone.pop()
        self._done.append(step)
        self.end_merging()
        return step

    def clear(self) -> None:
        """Forget all steps."""
        self._done.clear()
        self._undone.clear()
        self._nbytes = 0
