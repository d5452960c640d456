"""The session: what a person does with the image on the canvas, each deed one step of undo."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from camviewer.project import changes
from camviewer.project.edits import Edit, several
from camviewer.project.history import Step
from camviewer.project.records import ActivationMap, BoolMask, Box, Mask, Status
from camviewer.regions.drawing import Patch, box_mask, resized_mask
from camviewer.regions.measures import mask_box
from camviewer.ui.canvas.records import MaskEdited, Region, Scribbled
from camviewer.ui.opened import IMAGE_ENDINGS, WEIGHT_ENDINGS, OpenProject, ShownImage
from camviewer.workers.tasks import TaskDone, cut_out_mask, snap_mask

__all__ = ["IMAGE_ENDINGS", "WEIGHT_ENDINGS", "Session", "ShownImage"]


MANY = 100
"""From so many images on, reading all of them again is quicker than one after the other."""


class Session(OpenProject):
    """An open project and a person's edits of it.

    Signals:
        scribbles_idle: the newest scribble changed nothing; whether it still counts for the next ones.
    """

    scribbles_idle = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo.done.connect(self._on_edited)
        self.tasks.done.connect(self._on_snapped)
        self.tasks.done.connect(self._on_cut_out)
        self._reviewer = _user_name()

    def add_box(self, box: Box) -> None:
        """Keep a box that was drawn."""
        project, image_id = self._editable()
        if project is None or not self._do(lambda: changes.add_boxes(project, image_id, [box]), "Box drawn."):
            return
        self._select_newest_box()

    def change_box(self, key: Hashable, box: Box, *, merge: bool = False) -> None:
        """Keep a box that was moved, resized or given another class."""
        project, image_id = self._editable()
        region = self.find_region(key)
        if project is None or region is None or not isinstance(region.shape, Box):
            return
        after = replace(box, id=region.shape.id)
        self._do(
            lambda: changes.change_box(project, image_id, after),
            "Box changed.",
            merge=("box", image_id, key) if merge else None,
        )

    def edit_mask(self, edited: MaskEdited, class_id: int) -> None:
        """Keep a stroke, a polygon or a filling; without a region it goes to the mask of `class_id`."""
        region = self.find_region(edited.key)
        if region is not None and isinstance(region.shape, Mask):
            class_id = region.shape.class_id
        self._paint(class_id, edited.patches, edited.words)

    def _paint(self, class_id: int, patches: Sequence[Patch], words: str) -> None:
        project, image_id = self._editable()
        if project is None:
            return
        key = ("mask", class_id, "reviewed")
        # Selected first, so that the answer is one drawing.
        self.selected = key
        if self._do(lambda: changes.paint_mask(project, image_id, class_id, patches), words):
            self.selected = key if self.find_region(key) is not None else None
            self.selection_changed.emit(self.selected)

    def set_mask(self, pixels: BoolMask, class_id: int, words: str) -> None:
        """Keep `pixels` as the mask of a class, and select it."""
        project, image_id = self._editable()
        if project is None:
            return
        mask = Mask(pixels, class_id, "reviewed")
        # Selected first, so that the answer is one drawing.
        self.selected = ("mask", class_id, "reviewed") if pixels.any() else None
        if self._do(lambda: changes.set_mask(project, image_id, mask), words):
            self.selection_changed.emit(self.selected)

    def change_mask(self, change: Callable[[BoolMask], BoolMask], words: str) -> None:
        """Tidy the selected mask, or the only one."""
        region = self.selected_mask()
        if region is None or not isinstance(region.shape, Mask):
            self.said.emit("No mask is selected.", "Click one, or press Tab on the image", "info")
            return
        after = change(region.shape.pixels)
        if np.array_equal(after, region.shape.pixels):
            self.said.emit("Nothing to change.", "The mask is like that already", "info")
            return
        self.set_mask(after, region.shape.class_id, words)

    def selected_mask(self) -> Region | None:
        """Return the selected mask, or the image's only one when nothing is selected."""
        masks = [region for region in self.regions() if isinstance(region.shape, Mask)]
        chosen = next((region for region in masks if region.key == self.selected), None)
        return masks[0] if chosen is None and self.selected is None and len(masks) == 1 else chosen

    def snap_mask(self, found: ActivationMap | None) -> None:
        """Move the outline of the selected mask to the colours' edge; the peak of `found` stays inside."""
        region, current = self.selected_mask(), self.current
        if region is None or not isinstance(region.shape, Mask) or current is None or current.pixels is None:
            self.said.emit("No mask is selected.", "Click one, or press Tab on the image", "info")
            return
        mask, pixels = region.shape, current.pixels
        subject = (current.record.id, mask)
        self.tasks.submit("snap", subject, lambda _reporter: snap_mask(pixels, mask.pixels, found))

    @Slot(object)
    def _on_snapped(self, answer: TaskDone) -> None:
        if answer.key != "snap":
            return
        image_id, before = answer.subject
        if answer.error:
            self.said.emit(answer.error, "", "bad")
            return
        region = self.find_region(("mask", before.class_id, before.slot))
        shown = self.current is not None and self.current.record.id == image_id
        if not shown or region is None or not isinstance(region.shape, Mask):
            return
        if not np.array_equal(region.shape.pixels, before.pixels):
            self.said.emit("The mask was changed meanwhile.", "It stays as you left it", "info")
        elif np.array_equal(answer.result, before.pixels):
            self.said.emit("Nothing to change.", "The colours do not part near the outline", "info")
        else:
            self.set_mask(answer.result, before.class_id, "Mask snapped to the colours.")

    def cut_out(self, scribbled: Scribbled, class_id: int, found: ActivationMap | None) -> None:
        """Cut a mask out anew by scribbles; a new one of `class_id` starts from the map `found`."""
        current = self.current
        if current is None or current.pixels is None:
            return
        region = self.find_region(scribbled.key)
        if region is not None and isinstance(region.shape, Mask):
            class_id = region.shape.class_id
        pixels, base, strokes = current.pixels, self._final_mask(class_id), scribbled.scribbles
        subject = (current.record.id, class_id, base)
        self.tasks.submit("scribble", subject, lambda _reporter: cut_out_mask(pixels, base, strokes, found))

    @Slot(object)
    def _on_cut_out(self, answer: TaskDone) -> None:
        if answer.key != "scribble":
            return
        image_id, class_id, before = answer.subject
        if self.current is None or self.current.record.id != image_id:
            return
        if answer.error:
            self.said.emit(answer.error, "", "bad")
            self.scribbles_idle.emit(False)
        elif not np.array_equal(self._final_mask(class_id), before):
            self.said.emit("The mask was changed meanwhile.", "It stays as you left it", "info")
            self.scribbles_idle.emit(False)
        elif not answer.result:
            first = "The colours say the same as the mask" if before.any() else "Mark something inside first"
            self.said.emit("Nothing to change.", first, "info")
            self.scribbles_idle.emit(True)
        else:
            self._paint(class_id, answer.result, "Mask cut out by scribbles.")

    def mask_from_box(self) -> None:
        """Add the inside of the selected box to the mask of its class."""
        region = self.find_region(self.selected)
        current = self.current
        if region is None or not isinstance(region.shape, Box) or current is None:
            self.said.emit("No box is selected.", "Click one, or press Tab on the image", "info")
            return
        box = region.shape
        inside = box_mask((box.x0, box.y0, box.x1, box.y1), current.record.size)
        self.set_mask(self._final_mask(box.class_id) | inside, box.class_id, "Mask made from the box.")

    def box_from_mask(self) -> None:
        """Snap the selected box to the mask of its class, or draw the tight box of the selected mask."""
        project, image_id = self._editable()
        region = self.find_region(self.selected) or self.selected_mask()
        if project is None or region is None:
            self.said.emit("No region is selected.", "Click one, or press Tab on the image", "info")
            return
        class_id = region.shape.class_id
        window = mask_box(self._final_mask(class_id))
        if window is None:
            self.said.emit(f"{region.name} has no mask to snap to.", "Paint one, or give the box another class", "info")
            return
        x0, y0, x1, y1 = (float(edge) for edge in window)
        if isinstance(region.shape, Box):
            after = replace(region.shape, x0=x0, y0=y0, x1=x1, y1=y1, score=None)
            if after == region.shape:
                self.said.emit("Nothing to change.", "The box fits already", "info")
                return
            self._do(lambda: changes.change_box(project, image_id, after), "Box snapped to the mask.")
        else:
            box = Box(x0, y0, x1, y1, class_id, "manual")
            if self._do(lambda: changes.add_boxes(project, image_id, [box]), "Box drawn around the mask."):
                self._select_newest_box()

    def copy_regions(self, image_id: int) -> bool:
        """Copy all regions of the image on the canvas to another one, in one step; return whether any were copied.

        Boxes and masks keep their place in the frame. A class that has a mask there already keeps it.
        """
        project, _here = self._editable()
        current, other = self.current, self._records.get(image_id)
        if project is None or current is None or other is None:
            return False
        regions = [region for region in self.regions() if region.visible]
        if not regions or other.size == (0, 0):
            self.said.emit("No regions to copy.", "" if regions else "Draw a box or paint a mask first", "info")
            return False
        kept = []

        def make() -> Edit | None:
            scale_x, scale_y = other.size[0] / current.record.size[0], other.size[1] / current.record.size[1]
            taken = {mask.class_id for mask in project.masks(image_id, slot="reviewed")}
            edits: list[Edit | None] = []
            boxes = []
            for region in regions:
                shape = region.shape
                if isinstance(shape, Box):
                    boxes.append(
                        replace(
                            shape,
                            x0=shape.x0 * scale_x,
                            x1=shape.x1 * scale_x,
                            y0=shape.y0 * scale_y,
                            y1=shape.y1 * scale_y,
                            origin="manual",
                            score=None,
                            probability=None,
                            run=None,
                            id=None,
                        )
                    )
                elif shape.class_id in taken:
                    kept.append(region.name)
                else:
                    copy = Mask(resized_mask(shape.pixels, other.size), shape.class_id, "reviewed")
                    edits.append(changes.set_mask(project, image_id, copy))
            return several([*edits, changes.add_boxes(project, image_id, boxes)])

        if not self._do(make, "Regions copied."):
            return False
        if kept:
            self.said.emit("Regions copied.", f"{', '.join(kept)}: the mask there stays as it is", "warn")
        return True

    def assign_class(self, class_id: int) -> bool:
        """Give the selected region another class; return whether there is one to give it to."""
        region = self.find_region(self.selected)
        if region is None or not self.has_class(class_id):
            return False
        shape = region.shape
        if isinstance(shape, Box):
            self.change_box(region.key, replace(shape, class_id=class_id))
            return True
        project, image_id = self._editable()
        if project is None or shape.class_id == class_id:
            return True
        self.selected = ("mask", class_id, "reviewed")
        if self._do(lambda: changes.change_mask_class(project, image_id, shape, class_id), "Class changed."):
            self.selection_changed.emit(self.selected)
        return True

    def delete_region(self, key: Hashable | None = None) -> None:
        """Delete a region, the selected one by default."""
        region = self.find_region(self.selected if key is None else key)
        project, image_id = self._editable()
        if region is None or project is None:
            return
        shape = region.shape
        if isinstance(shape, Box):
            box_id = shape.id or 0
            self._do(lambda: changes.remove_boxes(project, image_id, [box_id]), "Box deleted.")
        else:
            # Empty and reviewed: the class has no region here, and no automatic run brings it back.
            self._do(lambda: changes.clear_mask(project, image_id, shape.class_id), "Mask deleted.")
        self.select(None)

    def set_status(self, status: Status, *, reason: str = "") -> None:
        """Decide about the image on the canvas; `reason` says why it is skipped."""
        project, image_id = self._editable()
        if project is not None:
            self.decide([image_id], status, reason=reason)

    def decide(self, image_ids: Sequence[int], status: Status, *, reason: str = "") -> bool:
        """Decide about images, in one step of undo; return whether it is written."""
        project, who = self.project, self._reviewer
        if project is None or not image_ids:
            return False
        words = {"reviewed": "Marked reviewed.", "skipped": "Skipped."}.get(status, "Review taken back.")
        if len(image_ids) > 1:
            words = f"{len(image_ids):,} images: {words[0].lower()}{words[1:]}"
        return self._do(lambda: changes.set_status(project, image_ids, status, reviewer=who, reason=reason), words)

    def add_flag(self, image_ids: Sequence[int], flag: str) -> None:
        """Set one more flag on images, in one step of undo."""
        project = self.project
        if project is None or not image_ids:
            return

        def make() -> Edit | None:
            return several(
                changes.set_flags(project, image_id, {*project.image(image_id).flags, flag}) for image_id in image_ids
            )

        self._do(make, f"Flagged {flag}.")

    def status_without_decision(self) -> Status:
        """Return what the image on the canvas would be without its decision."""
        regions = self.regions()
        if any(region.touched for region in regions):
            return "edited"
        return "computed" if self.current is not None and self.current.record.top else "new"

    def set_note(self, text: str) -> None:
        """Keep the note of the image on the canvas."""
        project, image_id = self._editable()
        if project is not None:
            self._do(lambda: changes.set_note(project, image_id, text), "Note saved.")

    def set_flags(self, flags: tuple[str, ...]) -> None:
        """Keep the flags of the image on the canvas."""
        project, image_id = self._editable()
        if project is not None:
            self._do(lambda: changes.set_flags(project, image_id, flags), "Flags saved.")

    def _final_mask(self, class_id: int) -> BoolMask:
        """Return the pixels of a class's mask on the canvas; empty where it has none."""
        region = next((r for r in self.regions() if isinstance(r.shape, Mask) and r.shape.class_id == class_id), None)
        if region is not None and isinstance(region.shape, Mask):
            return region.shape.pixels
        width, height = self.current.record.size if self.current is not None else (0, 0)
        return np.zeros((height, width), dtype=np.bool_)

    def _select_newest_box(self) -> None:
        boxes = [region for region in self.regions() if isinstance(region.shape, Box)]
        if boxes:
            self.select(boxes[-1].key)

    def _do(self, make: Callable[[], Edit | None], words: str, *, merge: Hashable = None) -> bool:
        """Write an edit as one step of undo; a project that cannot be written is said."""
        return self.undo.do(make, words, merge=merge)

    @Slot(object, str)
    def _on_edited(self, step: Step, direction: str) -> None:
        """Show what an edit, or its way back, changed."""
        images = [image_id for image_id in step.images if image_id in self._records]
        shown = self.current.record.id if self.current is not None else None
        if direction != "do" and images and shown not in images:
            self.show_image(images[0])
        if len(images) > MANY:
            self.reload_all()
        else:
            for image_id in images:
                self.reload(image_id)
        if direction == "do":
            self.said.emit(step.label, "Ctrl+Z takes it back", "ok")
        elif direction == "undo":
            self.said.emit(f"Taken back: {step.label.lower()}", "", "info")
        else:
            self.said.emit(f"{step.label.rstrip('.')} again.", "", "info")


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
