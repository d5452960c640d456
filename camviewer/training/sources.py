"""Labelled pictures from wherever they lie: a project, a folder a class, a CSV file, CIFAR-10."""

from __future__ import annotations

from pathlib import Path

from camviewer.training.datasets import LabelledImages, read_dataset
from camviewer.training.project_labels import is_project, read_project


def read_source(path: Path, *, images: Path | None = None, column: str | None = None) -> LabelledImages:
    """Return the labelled pictures at `path`.

    Args:
        path: project file, folder or CSV file.
        images: where the pictures of a CSV file lie; its own folder when None.
        column: of a CSV file that holds the class; the first known one when None.

    Raises:
        UsageError: when nothing there can be read as labelled pictures.
        ProjectError: when a project cannot be read.
    """
    if is_project(path):
        return read_project(path)
    return read_dataset(path, images=images, column=column)
