"""The labels of a project: the class of an image is the one class that a person's regions in it carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camviewer.errors import UsageError
from camviewer.project.records import ImageRecord
from camviewer.project.store import SUFFIX, Project
from camviewer.training.datasets import Files, LabelledImages


def is_project(path: Path) -> bool:
    """Return whether `path` looks like a project file."""
    return path.suffix == SUFFIX and path.is_file()


def image_label(project: Project, record: ImageRecord) -> tuple[int, ...]:
    """Return the class ids that people have given an image: of reviewed masks and of drawn or corrected boxes.

    In a reviewed image the automatic regions count too, since a person has let them stand. A region without a class
    says nothing.
    """
    if record.id is None or record.status in ("skipped", "failed"):
        return ()
    accepted = record.status == "reviewed"
    found = {
        mask.class_id
        for mask in (project.final_masks(record.id) if accepted else project.masks(record.id, slot="reviewed"))
        if mask.pixels.any()
    }
    found |= {box.class_id for box in project.boxes(record.id) if accepted or box.origin != "auto"}
    return tuple(sorted(found - {0}))


def read_project(path: Path) -> LabelledImages:
    """Return the labelled images of a project, classes in the order of their ids.

    Images without a label, with several classes, or without their file are named in `skipped`.

    Raises:
        ProjectError: when the project cannot be read.
        UsageError: when fewer than two classes occur.
    """
    names: list[str] = []
    files: list[Path] = []
    ids: list[int] = []
    several: list[str] = []
    missing: list[str] = []
    unlabelled = 0
    with Project.open(path) as project:
        table = project.class_table()
        for record in project.images():
            found = image_label(project, record)
            file = project.file_of(record)
            if not found:
                unlabelled += 1
            elif len(found) > 1:
                several.append(record.path.name)
            elif not file.is_file():
                missing.append(record.path.name)
            else:
                names.append(str(record.path))
                files.append(file)
                ids.append(found[0])
    used = sorted(set(ids))
    if len(used) < 2:
        raise UsageError(
            f"The regions of {path.stem} carry fewer than two classes. Draw boxes or masks of two classes, "
            "or train from a folder or a CSV file."
        )
    skipped = []
    if unlabelled:
        skipped.append(f"{unlabelled} {'image has' if unlabelled == 1 else 'images have'} no label and stay out.")
    for left, words in ((several, "regions of several classes"), (missing, "no file")):
        if left:
            shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            verb = ("has", "is") if len(left) == 1 else ("have", "are")
            skipped.append(f"{shown} {verb[0]} {words} and {verb[1]} left out.")
    place = {class_id: index for index, class_id in enumerate(used)}
    return LabelledImages(
        tuple(names),
        np.array([place[class_id] for class_id in ids], np.int64),
        tuple(table[class_id].name for class_id in used),
        np.arange(len(names), dtype=np.int64),
        Files(tuple(files)),
        tuple(skipped),
    )
