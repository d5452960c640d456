"""Files and what is to be said of each, one list however many there are."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from camviewer.ui.controls import name_control
from camviewer.ui.dialogs.base import PanelDialog


class NamedReasonsDialog(PanelDialog):
    """Lists (file, reason) pairs."""

    def __init__(
        self, title: str, qualifier: str, rows: Iterable[tuple[str, str]], parent: QWidget | None = None
    ) -> None:
        super().__init__(title, qualifier, parent=parent)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["File", "Reason"])
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        name_control(self.list, title)
        for name, reason in rows:
            item = QTreeWidgetItem([name, reason])
            item.setToolTip(1, reason)
            self.list.addTopLevelItem(item)
        self.body.addWidget(self.list, 1)
        self.add_close()

    def sizeHint(self) -> QSize:
        return QSize(720, 420)
