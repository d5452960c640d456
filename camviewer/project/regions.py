"""A project's regions: boxes, and masks in two slots a class.

What a person does writes the ``reviewed`` slot and boxes of other origins than ``auto``; see `results` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from camviewer.errors import ProjectError
from camviewer.project.images import ImageRows
from camviewer.project.mask_blob import pack
from camviewer.project.records import Box, Mask, Slot
from camviewer.project.rows import (
    BOX_COLUMNS,
    MASK_COLUMNS,
    StoredMask,
    box_values,
    mask_values,
    read_box,
    read_mask,
    read_stored_mask,
)


@dataclass(frozen=True, slots=True)
class MaskSummary:
    """A mask without its pixels, for lists and counts.

    Attributes:
        bounds: half-open pixel bounds; all 0 when empty.
        area: pixels inside.
    """

    image_id: int
    class_id: int
    slot: Slot
    bounds: tuple[int, int, int, int]
    area: int
    refine: str
    reason: str


class RegionRows(ImageRows):
    """The boxes and masks."""

    # Boxes

    def boxes(self, image_id: int) -> list[Box]:
        """Return an image's boxes."""
        rows = self._all(f"SELECT {BOX_COLUMNS} FROM boxes WHERE image_id = ? ORDER BY id", (image_id,))
        return [read_box(row) for row in rows]

    def add_box(self, image_id: int, box: Box) -> Box:
        """Add a box by hand and return it with its id; an ``auto`` origin becomes ``manual``.

        An `id` that is free is kept, so that undoing a deletion brings the same box back.
        """
        box = replace(box, origin="manual") if box.origin == "auto" else box
        with self.transaction():
            box = self._write_box(image_id, box)
            self._touch(image_id)
        return box

    def update_box(self, image_id: int, box: Box) -> Box:
        """Replace the box of the same id; an ``auto`` origin becomes ``edited``.

        Raises:
            ProjectError: when there is no such box.
        """
        box = replace(box, origin="edited") if box.origin == "auto" else box
        with self.transaction() as run:
            changed = run(
                "UPDATE boxes SET run_id = ?, class_id = ?, origin = ?, x0 = ?, y0 = ?, x1 = ?, y1 = ?, score = ?, "
                "probability = ? WHERE id = ? AND image_id = ?",
                (*box_values(box), box.id, image_id),
            ).rowcount
            if not changed:
                raise ProjectError(f"Box {box.id} is not in the image any more.")
            self._touch(image_id)
        return box

    def reserve_box_ids(self, count: int = 1) -> range:
        """Return ids for new boxes that no other box ever had or gets."""
        with self.transaction() as run:
            found = run("SELECT seq FROM sqlite_sequence WHERE name = 'boxes'").fetchone()
            last = int(found[0]) if found else 0
            if found:
                run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'boxes'", (last + count,))
            else:
                run("INSERT INTO sqlite_sequence (name, seq) VALUES ('boxes', ?)", (last + count,))
        return range(last + 1, last + count + 1)

    def remove_box(self, image_id: int, box_id: int) -> None:
        """Remove a box."""
        with self.transaction() as run:
            run("DELETE FROM boxes WHERE id = ? AND image_id = ?", (box_id, image_id))
            self._touch(image_id)

    def _write_box(self, image_id: int, box: Box) -> Box:
        cursor = self._connection.execute(
            "INSERT INTO boxes (id, image_id, run_id, class_id, origin, x0, y0, x1, y1, score, probability) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (box.id, image_id, *box_values(box)),
        )
        return replace(box, id=cursor.lastrowid)

    # Masks

    def masks(self, image_id: int, *, slot: Slot | None = None) -> list[Mask]:
        """Return an image's masks of one slot, or of both, by class."""
        rows = self._all(
            f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? AND (? IS NULL OR slot = ?) ORDER BY class_id, slot",
            (image_id, slot, slot),
        )
        with self._intact():
            return [read_mask(row) for row in rows]

    def stored_mask(self, image_id: int, class_id: int, *, slot: Slot = "reviewed") -> StoredMask | None:
        """Return a mask without unpacking it, or None."""
        row = self._one(
            f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? AND class_id = ? AND slot = ?",
            (image_id, class_id, slot),
        )
        return None if row is None else read_stored_mask(row)

    def final_masks(self, image_id: int) -> list[Mask]:
        """Return one mask a class: the reviewed one where there is one, else the automatic one.

        A reviewed mask without pixels says that the class has no region here, and is returned as such.
        """
        best: dict[int, Mask] = {}
        for mask in self.masks(image_id):  # "auto" sorts before "reviewed", so the latter wins
            best[mask.class_id] = mask
        return list(best.values())

    def mask_summaries(self) -> list[MaskSummary]:
        """Return every mask of the project without its pixels."""
        rows = self._all(
            "SELECT image_id, class_id, slot, x0, y0, x1, y1, area, refine, reason FROM masks "
            "ORDER BY image_id, class_id, slot"
        )
        return [MaskSummary(row[0], row[1], row[2], tuple(row[3:7]), row[7], row[8], row[9]) for row in rows]

    def set_mask(self, image_id: int, mask: Mask) -> None:
        """Keep a mask that a person drew, changed or accepted, in the reviewed slot."""
        with self.transaction():
            self._check_size(image_id, mask)
            self._write_mask(image_id, replace(mask, slot="reviewed"))
            self._touch(image_id)

    def remove_mask(self, image_id: int, class_id: int) -> None:
        """Remove the reviewed mask of a class, so that the automatic one counts again."""
        with self.transaction() as run:
            run("DELETE FROM masks WHERE image_id = ? AND class_id = ? AND slot = 'reviewed'", (image_id, class_id))
            self._touch(image_id)

    def _check_size(self, image_id: int, mask: Mask) -> None:
        width, height = self.image(image_id).size
        if mask.pixels.shape != (height, width):
            rows, columns = mask.pixels.shape
            raise ProjectError(f"The mask has {columns} x {rows} pixels, the image {width} x {height}.")

    def _write_mask(self, image_id: int, mask: Mask) -> None:
        stored = StoredMask(pack(mask.pixels), mask.refine, mask.reason, mask.run)
        self._connection.execute(
            f"INSERT OR REPLACE INTO masks (image_id, {MASK_COLUMNS}) VALUES ({', '.join('?' * 14)})",
            (image_id, *mask_values(mask.class_id, mask.slot, stored)),
        )
