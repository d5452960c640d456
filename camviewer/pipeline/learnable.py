"""What masks can be learnt from: the images of a project or of an explain folder as one kind of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camviewer.errors import CamviewerError
from camviewer.formats.explain_reader import ExplainFolder, ImageRow, MaskRow
from camviewer.images.geometry import Size
from camviewer.pipeline.truth import TruthFolder
from camviewer.project.learnt import packed_masks
from camviewer.project.mask_blob import MaskBlob, pack
from camviewer.project.records import ClassTable, ImageRecord
from camviewer.project.store import Project
from camviewer.training.segmentation.settings import LearnSettings

Standing = Literal["reviewed", "automatic", "left out"]

UNJUDGED = 0.3
"""Doubt of a mask that nobody judged: it may be learnt from, after those that are surer."""


@dataclass(frozen=True, slots=True, eq=False)
class Learnable:
    """An image with the masks it has.

    Attributes:
        key: id in the project, or row of the explain folder.
        name: for messages.
        path: of the file; None where it is not known.
        size: upright (width, height).
        masks: packed, by class id; empty ones say that there is no region of the class.
        standing: ``reviewed`` masks are learnt from and never drawn anew, ``automatic`` ones are both if they are
            confident; images that were skipped or cannot be read are ``left out``.
        doubt: in automatic masks, 0..1.
        among: class ids that may occur in it; empty where nothing is known.
    """

    key: int
    name: str
    path: Path | None
    size: Size
    masks: dict[int, MaskBlob]
    standing: Standing
    doubt: float = UNJUDGED
    among: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LearnTask:
    """All images, and the classes by id.

    Attributes:
        messages: sentences on images that cannot take part.
    """

    images: tuple[Learnable, ...]
    classes: dict[int, str]
    messages: tuple[str, ...] = ()

    def count(self, standing: Standing) -> int:
        """Return how many images have a standing."""
        return sum(image.standing == standing for image in self.images)

    def confident(self, settings: LearnSettings) -> int:
        """Return how many automatic masks are sure enough to be learnt from."""
        doubts = sorted(
            image.doubt
            for image in self.images
            if image.standing == "automatic" and any(blob.area for blob in image.masks.values())
        )
        return sum(doubt <= settings.most_doubtful for doubt in doubts[: round(settings.confident * len(doubts))])


def of_project(project: Project) -> LearnTask:
    """Return the task of a project; cheap enough for the thread of the window.

    An image that is reviewed, or that a person has drawn in, counts as reviewed; a skipped one is left out.

    Raises:
        ProjectError: when it cannot be read.
    """
    table = project.class_table()
    packed = packed_masks(project)
    images = []
    for record in project.images():
        assert record.id is not None
        slots = packed.get(record.id, {})
        masks = {**slots.get("auto", {}), **slots.get("reviewed", {})}
        standing: Standing = "automatic"
        if record.status in {"skipped", "failed"}:
            standing = "left out"
        elif record.status == "reviewed" or "reviewed" in slots:
            standing = "reviewed"
        images.append(
            Learnable(
                record.id,
                record.path.as_posix(),
                project.file_of(record),
                record.size,
                masks,
                standing,
                UNJUDGED if record.doubt is None else record.doubt,
                _among(record, masks, table),
            )
        )
    return LearnTask(tuple(images), {entry.id: entry.name for entry in table.classes})


def of_explain(folder: ExplainFolder, *, reviewed: Path | None = None) -> LearnTask:
    """Return the task of an explain folder: the mask of the first map of each class, ids one above the class index.

    Args:
        folder: whose masks are learnt from.
        reviewed: masks that a person vouches for, found by the images' names as `TruthFolder` does. They are of the
            image's class.

    Raises:
        UsageError, FormatError: when `reviewed` holds no masks or cannot be read.
    """
    truths = None if reviewed is None else TruthFolder(reviewed)
    images, messages = [], []
    for key, row in enumerate(folder.images):
        if row.error is not None:
            images.append(Learnable(key, row.file, row.source, row.size, {}, "left out"))
            continue
        masks: dict[int, MaskBlob] = {}
        doubts: list[float] = []
        standing: Standing = "automatic"
        among = tuple(sorted({mask.class_index + 1 for mask in first_masks(row)}))
        among = among or tuple(found.class_index + 1 for found in row.maps[:1])
        among = among or tuple(score.index + 1 for score in row.top[:1])
        try:
            truth = None if truths is None else truths.find(row.file, row.size, source=row.source)
            if truth is not None and truth.mask is not None:
                masks, standing = {(among or (1,))[0]: pack(truth.mask)}, "reviewed"
            else:
                for mask in first_masks(row):
                    masks[mask.class_index + 1] = pack(folder.read_mask(row, mask))
                    doubts.append(UNJUDGED if mask.doubt is None else mask.doubt)
        except CamviewerError as error:
            messages.append(f"{row.file} is left out: {error.message}")
            standing = "left out"
        images.append(
            Learnable(key, row.file, row.source, row.size, masks, standing, max(doubts, default=UNJUDGED), among)
        )
    names = dict(enumerate(folder.run.classes, start=1))
    for image in images:
        for class_id in image.among:
            names.setdefault(class_id, f"class {class_id - 1}")
    return LearnTask(tuple(images), names, tuple(messages))


def first_masks(row: ImageRow) -> list[MaskRow]:
    """Return the mask of the first map of each class; those of further methods repeat the same object."""
    found: dict[int, MaskRow] = {}
    for mask in row.masks:
        found.setdefault(mask.class_index, mask)
    return list(found.values())


def _among(record: ImageRecord, masks: dict[int, MaskBlob], table: ClassTable) -> tuple[int, ...]:
    """Return the classes of the masks there are; else what the image's best class means; else the only class."""
    present: Sequence[int] = [class_id for class_id, blob in masks.items() if blob.area] or list(masks)
    if not present:
        present = [table.by_model[index] for index, _, _ in record.top[:1] if index in table.by_model]
    if not present and len(table.classes) == 1:
        present = [table.classes[0].id]
    return tuple(sorted(set(present)))
