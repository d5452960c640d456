"""Masks by others that a project is compared with; they are not its regions, and nothing exports or edits them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camviewer.errors import ProjectError
from camviewer.project.mask_blob import MaskBlob, pack, unpack
from camviewer.project.records import BoolMask
from camviewer.project.store import Project


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A true mask of one class, bool ``[height, width]``; `origin` says where it was read."""

    class_id: int
    pixels: BoolMask
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the final mask of a class agrees with the true one.

    Attributes:
        iou: shared pixels over pixels of either; 1 when both are empty.
        dice: twice the shared pixels over the sum of both; 1 when both are empty.
        area, true_area: pixels.
    """

    image_id: int
    class_id: int
    iou: float
    dice: float
    area: int
    true_area: int


def set_truths(project: Project, image_id: int, truths: list[Truth]) -> None:
    """Replace the true masks of an image, in one transaction.

    Raises:
        ProjectError: when a mask has another size than its image.
    """
    size = project.image(image_id).size
    with project.transaction() as run:
        run("DELETE FROM truths WHERE image_id = ?", (image_id,))
        for truth in truths:
            blob = pack(truth.pixels)
            if blob.size != size:
                raise ProjectError(
                    f"The mask has {blob.size[0]} x {blob.size[1]} pixels, the image {size[0]} x {size[1]}."
                )
            run(
                "INSERT INTO truths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (image_id, truth.class_id, *blob.size, *blob.bounds, blob.area, blob.data, truth.origin),
            )


def truths(project: Project, image_id: int) -> list[Truth]:
    """Return the true masks of an image, by class.

    Raises:
        ProjectError: when one is damaged.
    """
    rows = project.read_rows("SELECT * FROM truths WHERE image_id = ? ORDER BY class_id", (image_id,))
    try:
        return [Truth(row[1], unpack(MaskBlob(row[2:4], row[4:8], row[8], row[9])), row[10]) for row in rows]
    except ValueError as error:
        raise ProjectError(
            f"{project.path.name} holds a damaged region; the others can still be read.", details=repr(error)
        ) from error


def images_with_truth(project: Project) -> list[int]:
    """Return the ids of the images that have a true mask."""
    return [int(row[0]) for row in project.read_rows("SELECT DISTINCT image_id FROM truths ORDER BY image_id")]


def compare(project: Project, image_id: int) -> list[Agreement]:
    """Return the agreement of each class that has a true or a final mask in an image with truth, by class."""
    true = {truth.class_id: truth.pixels for truth in truths(project, image_id)}
    if not true:
        return []
    mine = {mask.class_id: mask.pixels for mask in project.final_masks(image_id)}
    rows = []
    for class_id in sorted(true | mine):
        first, second = mine.get(class_id), true.get(class_id)
        area = 0 if first is None else int(np.count_nonzero(first))
        true_area = 0 if second is None else int(np.count_nonzero(second))
        shared = 0 if first is None or second is None else int(np.count_nonzero(first & second))
        either = area + true_area - shared
        iou = shared / either if either else 1.0
        dice = 2 * shared / (area + true_area) if either else 1.0
        rows.append(Agreement(image_id, class_id, iou, dice, area, true_area))
    return rows
