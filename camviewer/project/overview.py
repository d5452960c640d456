"""What lists show of masks, without unpacking one."""

from __future__ import annotations

from dataclasses import dataclass

from camviewer.project.records import Slot
from camviewer.project.rows import MASK_COLUMNS, StoredMask, read_stored_mask
from camviewer.project.store import Project


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """The masks of an image, added up.

    Attributes:
        area: pixels of the final masks; pixels of two classes count twice.
        run: what made the automatic masks, None where there are none.
    """

    area: int
    run: int | None


def mask_figures(project: Project, image_id: int | None = None) -> dict[int, MaskFigures]:
    """Return the figures of one image, or of all that have masks, by image id."""
    rows = project.read_rows(
        "SELECT image_id, class_id, slot, area, run_id FROM masks WHERE ?1 IS NULL OR image_id = ?1 "
        "ORDER BY image_id, class_id, slot",
        (image_id,),
    )
    final: dict[int, dict[int, int]] = {}
    runs: dict[int, int] = {}
    for image, class_id, slot, area, run in rows:  # "auto" sorts before "reviewed", so the latter wins
        final.setdefault(image, {})[class_id] = area
        if slot == "auto" and run is not None:
            runs[image] = run
    return {image: MaskFigures(sum(areas.values()), runs.get(image)) for image, areas in final.items()}


def packed_final_masks(project: Project, image_id: int) -> dict[int, tuple[Slot, StoredMask]]:
    """Return an image's final masks by class: the reviewed one where there is one, else the automatic one."""
    rows = project.read_rows(
        f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? ORDER BY class_id, slot", (image_id,)
    )
    return {row[0]: (row[1], read_stored_mask(row)) for row in rows}  # "auto" sorts before "reviewed"
