"""A project: one SQLite file that is its own autosave.

Its parts are modules of their own: the file, the classes, the images, the regions, the results. Two rules protect a
person's work: automatic results go through `store_result`, which writes only the ``auto`` slot and ``auto`` boxes and
leaves the regions of reviewed images alone; everything a person does writes the ``reviewed`` slot.
"""

from __future__ import annotations

from camviewer.project.classes import ClassRows
from camviewer.project.file import SUFFIX
from camviewer.project.images import DECIDED
from camviewer.project.results import ResultRows

__all__ = ["DECIDED", "SUFFIX", "Project"]


class Project(ClassRows, ResultRows):
    """An open project, in all its parts; made by `create` and `open`."""
