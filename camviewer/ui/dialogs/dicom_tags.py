"""The elements of a DICOM file; what may say who the patient is stays hidden until it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Slot
from PySide6.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from camviewer.images.dicom import DicomTag
from camviewer.ui.choices import Switch
from camviewer.ui.controls import name_control
from camviewer.ui.dialogs.base import PanelDialog

HIDDEN = "Hidden"


class DicomTagsDialog(PanelDialog):
    """Lists element and value."""

    def __init__(self, name: str, tags: Sequence[DicomTag], parent: QWidget | None = None) -> None:
        super().__init__("DICOM tags", name, parent=parent)
        self._tags = tuple(tags)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["Element", "Value"])
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        name_control(self.list, "Elements of the file")
        self._items = [QTreeWidgetItem([tag.name, ""]) for tag in self._tags]
        self.list.addTopLevelItems(self._items)
        self.body.addWidget(self.list, 1)
        self.reveal = Switch("Show patient data")
        name_control(self.reveal, "Show patient data", tip="Names, numbers, dates and places; they are never exported")
        self.reveal.toggled.connect(self._fill)
        self.note.setText("Show patient data, which is never exported")
        self._foot.insertWidget(0, self.reveal)
        self.add_close()
        self._fill(False)

    def sizeHint(self) -> QSize:
        return QSize(640, 520)

    @Slot(bool)
    def _fill(self, revealed: bool) -> None:
        for item, tag in zip(self._items, self._tags, strict=True):
            hidden = tag.is_personal and not revealed
            item.setText(1, HIDDEN if hidden else tag.value)
            item.setToolTip(1, "" if hidden else tag.value)
            item.setDisabled(hidden)
