"""The images of a batch that could not be computed: file and reason, one list however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from camviewer.ui.controls import name_control
from camviewer.ui.dialogs.base import PanelDialog

if TYPE_CHECKING:
    from camviewer.ui.batch import Failure


class FailuresDialog(PanelDialog):
    """Lists what failed.

    Signals:
        image_chosen: id of the image of a line that was double-clicked or entered.
    """

    image_chosen = Signal(int)

    def __init__(self, failures: Sequence[Failure], parent: QWidget | None = None) -> None:
        super().__init__("Images that failed", f"{len(failures):,} of the last batch", parent=parent)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["File", "Reason"])
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        name_control(self.list, "Images that failed", tip="Enter or a double click shows the image")
        for failure in failures:
            item = QTreeWidgetItem([failure.name, failure.sentence])
            item.setData(0, Qt.ItemDataRole.UserRole, failure.image_id)
            item.setToolTip(1, failure.sentence)
            self.list.addTopLevelItem(item)
        self.list.itemActivated.connect(self._on_activated)
        self.body.addWidget(self.list, 1)
        self.add_close()

    def sizeHint(self) -> QSize:
        return QSize(720, 420)

    @Slot(QTreeWidgetItem, int)
    def _on_activated(self, item: QTreeWidgetItem, _column: int) -> None:
        self.image_chosen.emit(item.data(0, Qt.ItemDataRole.UserRole))
