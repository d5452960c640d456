"""What a person does with regions and decisions, as edits made from the state that the project is in.

Nothing is written here; `camviewer.project.history.History.do` writes. The rules are those of the store: a box that a
person touches is no longer ``auto``, masks go to the reviewed slot, and an edit makes a new or computed image edited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from camviewer.errors import ProjectError
from camviewer.project.edits import (
    BoxEdit,
    ClassesEdit,
    Decision,
    DecisionEdit,
    Edit,
    FactEdit,
    FlagsEdit,
    MaskEdit,
    MaskPatch,
    NoteEdit,
    several,
)
from camviewer.project.facts import REASON, facts_of
from camviewer.project.file import now
from camviewer.project.mask_blob import MaskBlob, pack, painted, tiles
from camviewer.project.records import (
    CLASS_COLOURS,
    AnnotationClass,
    Box,
    ClassTable,
    ImageRecord,
    Mask,
    Status,
)
from camviewer.project.rows import StoredMask, plain
from camviewer.project.store import DECIDED, Project
from camviewer.regions.drawing import Patch


def add_boxes(project: Project, image_id: int, boxes: Iterable[Box]) -> Edit | None:
    """Return the edit that adds boxes under new ids; an ``auto`` origin becomes ``manual``.

    Returns:
        None when there are no boxes.
    """
    boxes = list(boxes)
    if not boxes:
        return None
    made: list[Edit | None] = [
        BoxEdit(
            image_id, None, replace(_floats(box), id=new_id, origin="manual" if box.origin == "auto" else box.origin)
        )
        for box, new_id in zip(boxes, project.reserve_box_ids(len(boxes)), strict=True)
    ]
    return several([*made, _touched(project, image_id)])


def change_box(project: Project, image_id: int, box: Box) -> Edit | None:
    """Return the edit that replaces the box of the same id; an ``auto`` origin becomes ``edited``.

    Returns:
        None when nothing changes.

    Raises:
        ProjectError: when there is no such box.
    """
    before = _box(project, image_id, box.id)
    after = _floats(box)
    if after == before:
        return None
    if after.origin == "auto":
        after = replace(after, origin="edited")
    return several([BoxEdit(image_id, before, after), _touched(project, image_id)])


def remove_boxes(project: Project, image_id: int, box_ids: Iterable[int]) -> Edit | None:
    """Return the edit that removes boxes.

    Raises:
        ProjectError: when one of them is not there.
    """
    removed: list[Edit | None] = [
        BoxEdit(image_id, _box(project, image_id, box_id), None) for box_id in dict.fromkeys(box_ids)
    ]
    return several([*removed, _touched(project, image_id)]) if removed else None


def set_mask(project: Project, image_id: int, mask: Mask) -> Edit | None:
    """Return the edit that makes `mask` the reviewed one of its class; of a stroke only the changed part is kept.

    Returns:
        None when it is the reviewed mask already.

    Raises:
        ProjectError: when its size is not the image's.
    """
    record = project.image(image_id)
    rows, columns = mask.pixels.shape
    if (columns, rows) != record.size:
        width, height = record.size
        raise ProjectError(f"The mask has {columns} x {rows} pixels, the image {width} x {height}.")
    before = project.stored_mask(image_id, mask.class_id)
    edit = _mask_edit(image_id, mask.class_id, before, _stored(mask))
    return None if edit is None else several([edit, _touched(project, image_id)])


def paint_mask(project: Project, image_id: int, class_id: int, patches: Iterable[Patch]) -> Edit | None:
    """Return the edit that paints patches into the mask of a class; only what lies below them is unpacked.

    The reviewed mask is painted, else the automatic one, else an empty one; the result is the reviewed mask.

    Returns:
        None when nothing changes.
    """
    before = project.stored_mask(image_id, class_id)
    base = before or project.stored_mask(image_id, class_id, slot="auto")
    blob = MaskBlob(project.image(image_id).size, (0, 0, 0, 0), 0, b"") if base is None else base.blob
    after = StoredMask(painted(blob, patches), refine="none", reason="", run=None)
    edit = _mask_edit(image_id, class_id, before, after)
    return None if edit is None else several([edit, _touched(project, image_id)])


def restore_automatic(project: Project, image_id: int, class_id: int) -> Edit | None:
    """Return the edit that takes the reviewed mask of a class away, so that the automatic one counts again."""
    before = project.stored_mask(image_id, class_id)
    if before is None:
        return None
    return several([MaskEdit(image_id, class_id, before, None), _touched(project, image_id)])


def clear_mask(project: Project, image_id: int, class_id: int) -> Edit | None:
    """Return the edit that says a class has no region here: an empty reviewed mask, which no run brings back."""
    width, height = project.image(image_id).size
    return set_mask(project, image_id, Mask(np.zeros((height, width), np.bool_), class_id, "reviewed"))


def change_mask_class(project: Project, image_id: int, mask: Mask, class_id: int) -> Edit | None:
    """Return the edit that gives a mask another class; it joins a mask that the new class has already.

    Raises:
        ProjectError: when the project has no such class.
    """
    if mask.class_id == class_id:
        return None
    if all(entry.id != class_id for entry in project.class_table().classes):
        raise ProjectError(f"The project has no class {class_id}. Add it first.")
    pixels = mask.pixels
    there = next((found for found in project.final_masks(image_id) if found.class_id == class_id), None)
    if there is not None:
        pixels = pixels | there.pixels
    return several(
        [
            set_mask(project, image_id, replace(mask, pixels=pixels, class_id=class_id, slot="reviewed", run=None)),
            clear_mask(project, image_id, mask.class_id),
        ]
    )


def set_status(
    project: Project, image_ids: Iterable[int], status: Status, *, reviewer: str = "", reason: str = ""
) -> Edit | None:
    """Return the edit that decides about images; ``reviewed`` and ``skipped`` keep reviewer and time.

    An image that is to be new but has maps is computed.

    Args:
        reason: why images are skipped; without one, a former reason is forgotten.
    """
    decided = Decision(status, reviewer, now()) if status in DECIDED else Decision(status)
    edits: list[Edit | None] = []
    for image_id in image_ids:
        record = project.image(image_id)
        after = Decision("computed") if status == "new" and project.has_maps(image_id) else decided
        before = facts_of(project, image_id).get(REASON)
        kept = plain(reason) or None
        if record.status != after.status or before != kept:
            edits.append(DecisionEdit(image_id, _decision(record), after))
        if before != kept:
            edits.append(FactEdit(image_id, REASON, before, kept))
    return several(edits)


def set_flags(project: Project, image_id: int, flags: Iterable[str]) -> Edit | None:
    """Return the edit that replaces an image's flags."""
    before, after = project.image(image_id).flags, tuple(sorted(set(flags)))
    return None if before == after else FlagsEdit(image_id, before, after)


def set_note(project: Project, image_id: int, note: str) -> Edit | None:
    """Return the edit that replaces an image's note."""
    before = project.image(image_id).note
    return None if before == note else NoteEdit(image_id, before, note)


def add_class(project: Project, name: str) -> Edit:
    """Return the edit that adds a class under an id that was never used before."""
    before, new_id = project.class_table(), project.next_class_id()
    colour = CLASS_COLOURS[(new_id - 1) % len(CLASS_COLOURS)]
    return ClassesEdit(before, replace(before, classes=(*before.classes, AnnotationClass(new_id, name, colour))))


def set_classes(project: Project, table: ClassTable) -> Edit | None:
    """Return the edit that replaces the class table.

    Raises:
        ProjectError: when a new class has an id that another one had.
    """
    before, free = project.class_table(), project.next_class_id()
    have = {entry.id for entry in before.classes}
    for entry in table.classes:
        if entry.id not in have and entry.id < free:
            raise ProjectError(f"Class id {entry.id} was used before; give {entry.name} a new one.")
    return None if before == table else ClassesEdit(before, table)


def _box(project: Project, image_id: int, box_id: int | None) -> Box:
    found = next((box for box in project.boxes(image_id) if box.id == box_id), None)
    if found is None:
        raise ProjectError(f"Box {box_id} is not in the image any more.")
    return found


def _floats(box: Box) -> Box:
    """Return the box as it comes back from the file."""
    return replace(box, x0=float(box.x0), y0=float(box.y0), x1=float(box.x1), y1=float(box.y1))


def _stored(mask: Mask) -> StoredMask:
    return StoredMask(pack(mask.pixels), mask.refine, mask.reason, mask.run)


def _mask_edit(image_id: int, class_id: int, before: StoredMask | None, after: StoredMask) -> Edit | None:
    """Return what makes `before` to `after`: the tiles that differ where all else is equal; None where all is."""
    if before is None or replace(before, blob=after.blob) != after:
        return MaskEdit(image_id, class_id, before, after)
    old, new = tiles(before.blob), tiles(after.blob)
    differ = {number for number in {*old, *new} if old.get(number) != new.get(number)}
    if not differ:
        return None
    return MaskPatch(
        image_id,
        class_id,
        {number: old[number] for number in differ & old.keys()},
        {number: new[number] for number in differ & new.keys()},
    )


def _decision(record: ImageRecord) -> Decision:
    return Decision(record.status, record.reviewer, record.reviewed_at)


def _touched(project: Project, image_id: int) -> DecisionEdit | None:
    """Return what an edit of regions does to the review state; a reviewed image stays reviewed."""
    before = _decision(project.image(image_id))
    if before.status not in {"new", "computed", "failed"}:
        return None
    return DecisionEdit(image_id, before, Decision("edited"))
