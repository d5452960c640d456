"""Labelled pictures from wherever they lie: a project, a folder a class, a CSV file, CIFAR-10."""

from __future__ import annotations

import math
import statistics
from contextlib import suppress
from pathlib import Path

from camviewer.catalogue.architectures import ArchitectureSpec
from camviewer.errors import ImageError
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


LOOKED_AT = 101
"""Pictures whose size is read to know how large they are."""


def usual_side(spec: ArchitectureSpec, data: LabelledImages) -> int:
    """Return the side of the square input, in pixels, where none is asked for.

    It is the architecture's own, or less where the pictures have fewer pixels, since enlarging them costs time and adds
    nothing: the next multiple of 32 above a square of the median picture's area, at least half the architecture's own.
    """
    if spec.fixed_size:
        return spec.input_size
    sides = []
    for index in range(0, len(data), max(1, len(data) // LOOKED_AT)):
        with suppress(ImageError):  # named when the pictures are read
            sides.append(math.sqrt(math.prod(data.size(index))))
    if not sides:
        return spec.input_size
    fitting = 32 * math.ceil(statistics.median(sides) / 32)
    return min(spec.input_size, max(fitting, spec.input_size // 2))
