"""A project with labels and a network that is too sure."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from explained import a_map, a_run
from PIL import Image

from camviewer.project.facts import LABEL, set_many
from camviewer.project.records import ClassTable, ImageRecord
from camviewer.project.store import Project

CLASSES = ("melanoma", "naevus", "keratosis", "vascular")
RUN = a_run(classes=CLASSES)


def labelled_project(folder: Path, *, images: int = 80, labelled: int = 80, sharpness: float = 3.0) -> Path:
    """Make a project whose network is `sharpness` times too sure."""
    rng = np.random.default_rng(7)
    path = folder / "pilot.camviewer"
    with Project.create(path) as project:
        project.set_class_table(ClassTable.for_model(CLASSES))
        run = project.add_run(RUN)
        project.add_images(ImageRecord(PurePosixPath(f"{i:03d}.png"), (8, 8)) for i in range(images))
        rows = []
        for record in project.images():
            Image.new("RGB", (8, 8)).save(folder / record.path)
            logits = rng.normal(size=len(CLASSES)) * 1.5
            shares = np.exp(logits) / np.exp(logits).sum()
            label = CLASSES[rng.choice(len(CLASSES), p=shares)]
            raw = logits * sharpness
            sure = np.exp(raw - raw.max()) / np.exp(raw - raw.max()).sum()
            order = np.argsort(-raw)
            found = a_map((8, 8), class_index=int(order[0]))
            top = [(int(i), float(raw[i]), float(sure[i])) for i in order]
            project.store_result(record.id, run_id=run, top=top, maps=[found], boxes=[], masks=[])
            if record.id <= labelled:
                rows.append((record.id, LABEL, label))
        set_many(project, rows)
    return path
