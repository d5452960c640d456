"""What a person changes, as values: each edit knows the state before and after, so that its inverse is itself turned.

An edit describes; `apply` writes it, in one transaction, after checking that the project is in the state before.
`camviewer.project.changes` makes edits from what a person does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from camviewer.errors import ProjectError
from camviewer.images.geometry import Size
from camviewer.project.facts import Fact, facts_of, set_facts
from camviewer.project.mask_blob import Tiles, exchanged, same_pixels
from camviewer.project.records import Box, ClassTable, Status
from camviewer.project.rows import (
    BOX_COLUMNS,
    MASK_COLUMNS,
    StoredMask,
    box_values,
    flags_text,
    mask_values,
    plain,
    read_box,
    read_flags,
    read_stored_mask,
)
from camviewer.project.store import Project

_OVERHEAD = 400
"""Bytes that a small record takes in memory, roughly."""


class EditConflictError(ProjectError):
    """An edit whose state before is not there any more, for example because images were taken out of the project."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Review state of an image; `reviewer` and `reviewed_at` (ISO 8601, UTC) only of decided ones."""

    status: Status
    reviewer: str = ""
    reviewed_at: str = ""


@dataclass(frozen=True, slots=True)
class BoxEdit:
    """A box is added (no `before`), changed, or removed (no `after`). Both carry the box's id."""

    image_id: int
    before: Box | None
    after: Box | None

    def inverse(self) -> BoxEdit:
        return BoxEdit(self.image_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return 2 * _OVERHEAD


@dataclass(frozen=True, slots=True)
class MaskEdit:
    """The reviewed mask of a class is set, replaced or taken away; None lets the automatic one count again."""

    image_id: int
    class_id: int
    before: StoredMask | None
    after: StoredMask | None

    def inverse(self) -> MaskEdit:
        return MaskEdit(self.image_id, self.class_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + sum(len(mask.blob.data) + _OVERHEAD for mask in (self.before, self.after) if mask)


@dataclass(frozen=True, slots=True)
class MaskPatch:
    """A stroke: the reviewed mask of a class differs only in some of its tiles.

    Attributes:
        before, after: the tiles that differ; those without a pixel are missing.
    """

    image_id: int
    class_id: int
    before: Tiles
    after: Tiles

    def inverse(self) -> MaskPatch:
        return MaskPatch(self.image_id, self.class_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + sum(
            len(tile.data) + _OVERHEAD for tiles in (self.before, self.after) for tile in tiles.values()
        )


@dataclass(frozen=True, slots=True)
class DecisionEdit:
    """The review state of an image changes, by decision or because its regions were edited."""

    image_id: int
    before: Decision
    after: Decision

    def inverse(self) -> DecisionEdit:
        return DecisionEdit(self.image_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return 2 * _OVERHEAD


@dataclass(frozen=True, slots=True)
class FlagsEdit:
    """The flags of an image change."""

    image_id: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    def inverse(self) -> FlagsEdit:
        return FlagsEdit(self.image_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + sum(len(flag) + 60 for flag in (*self.before, *self.after))


@dataclass(frozen=True, slots=True)
class NoteEdit:
    """The note of an image changes."""

    image_id: int
    before: str
    after: str

    def inverse(self) -> NoteEdit:
        return NoteEdit(self.image_id, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + 4 * (len(self.before) + len(self.after))


@dataclass(frozen=True, slots=True)
class FactEdit:
    """A fact of an image changes; None is an unknown one. See `camviewer.project.facts`."""

    image_id: int
    name: str
    before: Fact | None
    after: Fact | None

    def inverse(self) -> FactEdit:
        return FactEdit(self.image_id, self.name, self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + 4 * sum(len(value) for value in (self.before, self.after) if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class ClassesEdit:
    """Classes are added, renamed, coloured, mapped or removed."""

    before: ClassTable
    after: ClassTable

    def inverse(self) -> ClassesEdit:
        return ClassesEdit(self.after, self.before)

    @property
    def nbytes(self) -> int:
        return _OVERHEAD * (2 + len(self.before.classes) + len(self.after.classes))


@dataclass(frozen=True, slots=True)
class Several:
    """Edits that are one: all of them are kept, or none, and one step takes them back."""

    edits: tuple[Edit, ...]

    def inverse(self) -> Several:
        return Several(tuple(edit.inverse() for edit in reversed(self.edits)))

    @property
    def nbytes(self) -> int:
        return _OVERHEAD + sum(edit.nbytes for edit in self.edits)


Edit: TypeAlias = (
    BoxEdit | MaskEdit | MaskPatch | DecisionEdit | FlagsEdit | NoteEdit | FactEdit | ClassesEdit | Several
)


def flatten(edit: Edit) -> tuple[Edit, ...]:
    """Return the single edits of an edit, in order."""
    if isinstance(edit, Several):
        return tuple(single for inner in edit.edits for single in flatten(inner))
    return (edit,)


def images_of(edit: Edit) -> tuple[int, ...]:
    """Return the ids of the images an edit changes, each once, in order."""
    return tuple(
        dict.fromkeys(single.image_id for single in flatten(edit) if not isinstance(single, ClassesEdit | Several))
    )


def merged(first: Edit, second: Edit) -> Edit:
    """Return one edit that does what `first` and then `second` do; a run of changes of one box stays one change."""
    result: list[Edit] = []
    for edit in (*flatten(first), *flatten(second)):
        last = result[-1] if result else None
        if isinstance(edit, BoxEdit) and isinstance(last, BoxEdit) and _continues(last, edit):
            result[-1] = BoxEdit(edit.image_id, last.before, edit.after)
        elif isinstance(edit, NoteEdit) and isinstance(last, NoteEdit) and last.image_id == edit.image_id:
            result[-1] = NoteEdit(edit.image_id, last.before, edit.after)
        else:
            result.append(edit)
    return result[0] if len(result) == 1 else Several(tuple(result))


def _continues(first: BoxEdit, second: BoxEdit) -> bool:
    return first.image_id == second.image_id and first.after is not None and first.after == second.before


# Writing


def apply(project: Project, edit: Edit, *, now: str) -> None:
    """Write an edit in one transaction.

    Args:
        now: time of the edit, ISO 8601, UTC.

    Raises:
        EditConflictError: when the project is not in the state before the edit; nothing is written.
        ProjectError: when it cannot be written.
    """
    with project.transaction() as run:
        for single in flatten(edit):
            try:
                _WRITERS[type(single)](project, run, single)
            except sqlite3.IntegrityError as error:  # an id in use, an image or a run that is gone
                raise _conflict(repr(error)) from error
        for image_id in images_of(edit):
            run("UPDATE images SET changed_at = ? WHERE id = ?", (now, image_id))


def _conflict(details: str) -> EditConflictError:
    return EditConflictError(
        "This step does not fit any more: its region was changed by something else.", details=details
    )


def _check(same: bool, details: str) -> None:
    if not same:
        raise _conflict(details)


def _write_box(_project: Project, run: Callable[..., Any], edit: BoxEdit) -> None:
    before, after = edit.before, edit.after
    box_id = (before or after or _no_box()).id
    row = run(f"SELECT {BOX_COLUMNS} FROM boxes WHERE id = ? AND image_id = ?", (box_id, edit.image_id)).fetchone()
    _check((None if row is None else read_box(row)) == before, f"box {box_id}")
    if after is None:
        run("DELETE FROM boxes WHERE id = ?", (box_id,))
        return
    values = (after.id, edit.image_id, *box_values(after))
    run(
        "INSERT INTO boxes (id, image_id, run_id, class_id, origin, x0, y0, x1, y1, score, probability) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, "
        "class_id = excluded.class_id, origin = excluded.origin, x0 = excluded.x0, y0 = excluded.y0, "
        "x1 = excluded.x1, y1 = excluded.y1, score = excluded.score, probability = excluded.probability",
        values,
    )


def _no_box() -> Box:
    raise ValueError("a box edit needs a box")


def _write_mask(_project: Project, run: Callable[..., Any], edit: MaskEdit) -> None:
    found, before = _stored(run, edit.image_id, edit.class_id), edit.before
    if found is None or before is None:
        same = found is before
    else:
        same = replace(found, blob=before.blob) == before and same_pixels(found.blob, before.blob)
    _check(same, f"mask of class {edit.class_id}")
    _put_mask(run, edit.image_id, edit.class_id, edit.after)


def _write_patch(_project: Project, run: Callable[..., Any], edit: MaskPatch) -> None:
    found = _stored(run, edit.image_id, edit.class_id)
    blob = None if found is None else exchanged(found.blob, edit.before, edit.after)
    if found is None or blob is None:
        raise _conflict(f"mask of class {edit.class_id}")
    _put_mask(run, edit.image_id, edit.class_id, replace(found, blob=blob))


def _stored(run: Callable[..., Any], image_id: int, class_id: int) -> StoredMask | None:
    row = run(
        f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? AND class_id = ? AND slot = 'reviewed'",
        (image_id, class_id),
    ).fetchone()
    return None if row is None else read_stored_mask(row)


def _put_mask(run: Callable[..., Any], image_id: int, class_id: int, mask: StoredMask | None) -> None:
    if mask is None:
        run("DELETE FROM masks WHERE image_id = ? AND class_id = ? AND slot = 'reviewed'", (image_id, class_id))
        return
    size: Size | None = run("SELECT width, height FROM images WHERE id = ?", (image_id,)).fetchone()
    _check(size is not None and tuple(size) == mask.blob.size, f"image {image_id} has the size {size}")
    run(
        f"INSERT OR REPLACE INTO masks (image_id, {MASK_COLUMNS}) VALUES ({', '.join('?' * 14)})",
        (image_id, *mask_values(class_id, "reviewed", mask)),
    )


def _write_decision(_project: Project, run: Callable[..., Any], edit: DecisionEdit) -> None:
    # No check of the state before: a computation may have turned "new" into "computed" meanwhile, and the decision
    # holds all the same.
    after = edit.after
    computed = run("SELECT 1 FROM maps WHERE image_id = ? LIMIT 1", (edit.image_id,)).fetchone()
    status = "computed" if after.status == "new" and computed else after.status
    changed = run(
        "UPDATE images SET status = ?, reviewer = ?, reviewed_at = ? WHERE id = ?",
        (status, after.reviewer, after.reviewed_at, edit.image_id),
    ).rowcount
    _check(changed == 1, f"image {edit.image_id}")


def _write_flags(_project: Project, run: Callable[..., Any], edit: FlagsEdit) -> None:
    row = run("SELECT flags FROM images WHERE id = ?", (edit.image_id,)).fetchone()
    _check(row is not None and read_flags(row[0]) == edit.before, f"flags of image {edit.image_id}")
    run("UPDATE images SET flags = ? WHERE id = ?", (flags_text(edit.after), edit.image_id))


def _write_note(_project: Project, run: Callable[..., Any], edit: NoteEdit) -> None:
    row = run("SELECT note FROM images WHERE id = ?", (edit.image_id,)).fetchone()
    _check(row is not None and row[0] == plain(edit.before), f"note of image {edit.image_id}")
    run("UPDATE images SET note = ? WHERE id = ?", (plain(edit.after), edit.image_id))


def _write_fact(project: Project, _run: Callable[..., Any], edit: FactEdit) -> None:
    _check(facts_of(project, edit.image_id).get(edit.name) == edit.before, f"{edit.name} of image {edit.image_id}")
    set_facts(project, edit.image_id, {edit.name: edit.after})


def _write_classes(project: Project, _run: Callable[..., Any], edit: ClassesEdit) -> None:
    _check(project.class_table() == edit.before, "classes")
    project.set_class_table(edit.after, restore=True)


_WRITERS: dict[type, Callable[[Project, Callable[..., Any], Any], None]] = {
    BoxEdit: _write_box,
    MaskEdit: _write_mask,
    MaskPatch: _write_patch,
    DecisionEdit: _write_decision,
    FlagsEdit: _write_flags,
    NoteEdit: _write_note,
    FactEdit: _write_fact,
    ClassesEdit: _write_classes,
}


def several(edits: Iterable[Edit | None]) -> Edit | None:
    """Return edits as one, without those that are None; None when nothing is left."""
    kept = tuple(single for edit in edits if edit is not None for single in flatten(edit))
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else Several(kept)
