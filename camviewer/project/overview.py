"""What lists show of the masks of all images, without unpacking one."""

from __future__ import annotations

from dataclasses import dataclass

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
