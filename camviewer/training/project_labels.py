"""The labels of a project: what others say an image shows, else the one class that a person's regions in it carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from camviewer.errors import UsageError
from camviewer.project.facts import LABEL, LESION, Fact, all_facts
from camviewer.project.records import ImageRecord
from camviewer.project.store import SUFFIX, Project
from camviewer.training.datasets import Files, LabelledImages


def is_project(path: Path) -> bool:
    """Return whether `path` looks like a project file."""
    return path.suffix == SUFFIX and path.is_file()


def image_labels(project: Project, record: ImageRecord, facts: Mapping[str, Fact]) -> tuple[str, ...]:
    """Return the names of the classes that an image has: its label, else those of a person's regions.

    Regions are reviewed masks and drawn or corrected boxes. In a reviewed image the automatic ones count too, since a
    person has let them stand. A region without a class says nothing.
    """
    if record.id is None or record.status in ("skipped", "failed"):
        return ()
    label = facts.get(LABEL)
    if isinstance(label, str) and label:
        return (label,)
    accepted = record.status == "reviewed"
    found = {
        mask.class_id
        for mask in (project.final_masks(record.id) if accepted else project.masks(record.id, slot="reviewed"))
        if mask.pixels.any()
    }
    found |= {box.class_id for box in project.boxes(record.id) if accepted or box.origin != "auto"}
    names = {entry.id: entry.name for entry in project.class_table().classes}
    return tuple(names[class_id] for class_id in sorted(found) if class_id in names)


def read_project(path: Path) -> LabelledImages:
    """Return the labelled images of a project, classes in the order of the project's table, further ones by name.

    Images of one lesion stay on one side of a split.

    Images without a label, with several classes, or without their file are named in `skipped`.

    Raises:
        ProjectError: when the project cannot be read.
        UsageError: when fewer than two classes occur.
    """
    names: list[str] = []
    files: list[Path] = []
    found: list[str] = []
    groups: list[str] = []
    several: list[str] = []
    missing: list[str] = []
    unlabelled = 0
    with Project.open(path) as project:
        order = [entry.name for entry in project.class_table().classes]
        known = all_facts(project)
        for record in project.images():
            facts = known.get(record.id or 0, {})
            labels = image_labels(project, record, facts)
            file = project.file_of(record)
            if not labels:
                unlabelled += 1
            elif len(labels) > 1:
                several.append(record.path.name)
            elif not file.is_file():
                missing.append(record.path.name)
            else:
                names.append(str(record.path))
                files.append(file)
                found.append(labels[0])
                groups.append(str(facts.get(LESION) or f"\0{record.path}"))
    used = sorted(set(found), key=lambda name: (order.index(name) if name in order else len(order), name))
    if len(used) < 2:
        raise UsageError(
            f"The images of {path.stem} carry fewer than two classes. Draw boxes or masks of two classes, "
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
    place = {name: index for index, name in enumerate(used)}
    number = {key: index for index, key in enumerate(dict.fromkeys(groups))}
    return LabelledImages(
        tuple(names),
        np.array([place[name] for name in found], np.int64),
        tuple(used),
        np.array([number[key] for key in groups], np.int64),
        Files(tuple(files)),
        tuple(skipped),
    )
