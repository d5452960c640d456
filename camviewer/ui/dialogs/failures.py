"""The images of a batch that could not be computed: file and reason, one list however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QTreeWidgetItem, QWidget

from camviewer.ui.controls import name_control
from camviewer.ui.dialogs.named_reasons import NamedReasonsDialog

if TYPE_CHECKING:
    from camviewer.ui.batch import Failure


class FailuresDialog(NamedReasonsDialog):
    """Lists what failed.

    Signals:
        image_chosen: id of the image of a line that was double-clicked or entered.
    """

    image_chosen = Signal(int)

    def __init__(self, failures: Sequence[Failure], parent: QWidget | None = None) -> None:
        rows = [(failure.name, failure.sentence) for failure in failures]
        super().__init__("Images that failed", f"{len(failures):,} of the last batch", rows, parent)
        self._failures = failures
        name_control(self.list, "Images that failed", tip="Enter or a double click shows the image")
        self.list.itemActivated.connect(self._on_activated)

    @Slot(QTreeWidgetItem, int)
    def _on_activated(self, item: QTreeWidgetItem, _column: int) -> None:
        self.image_chosen.emit(self._failures[self.list.indexOfTopLevelItem(item)].image_id)
