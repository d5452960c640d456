"""Classes: the network's answer, ranked, and the class whose map is shown."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.project.records import ClassTable
from camviewer.workers.jobs import ClassScore


class ClassesPanel(QWidget):
    """Ranked classes with score bars. `class_chosen` carries the model class index, `class_pinned` it or None."""

    class_chosen = Signal(int)
    class_pinned = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def set_scores(self, scores: Sequence[ClassScore], table: ClassTable, *, calibrated: bool = False) -> None:
        """Show `scores`, best first; colours come from `table`. An empty sequence empties the panel."""

    def set_current(self, class_index: int | None) -> None:
        """Mark the class whose map is shown, without emitting."""
