"""Missing images: listed, looked for in a folder, linked again in one step."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Slot
from PySide6.QtWidgets import QFileDialog, QListWidget, QProgressBar, QWidget

from camviewer.project.relink import Proposal
from camviewer.ui.controls import Button, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.relinking import Relinking
from camviewer.ui.sections import MessageBar
from camviewer.workers.relinking import Compared

_LISTED = 2000


class LocateDialog(PanelDialog):
    """Asks for a folder, proposes what was found there, and links it when the person agrees."""

    def __init__(self, relinking: Relinking, *, start: Path, parent: QWidget | None = None) -> None:
        count = len(relinking.missing)
        super().__init__("Locate images", f"{count:,} missing", parent=parent)
        self._relinking, self._start = relinking, start
        self._proposal: Proposal | None = None
        self._list = QListWidget()
        name_control(self._list, "Missing images", tip="Images whose file is not where it was")
        self._list.addItems([record.path.as_posix() for record in relinking.missing[:_LISTED]])
        if count > _LISTED:
            self._list.addItem(f"and {count - _LISTED:,} more")
        self._bar = QProgressBar()
        name_control(self._bar, "Search", tip="Files compared")
        self._bar.hide()
        self._message = MessageBar(
            "info",
            "These images are not where they were.",
            "Choose the folder they were moved to. They are found by their content, also under another name.",
        )
        self.body.addWidget(self._message)
        self.body.addWidget(self._list, 1)
        self.body.addWidget(self._bar)
        self.add_close("Cancel")
        self.choose = Button("Choose folder…", icon_name="folder", tip="Look for the images below a folder")
        self.choose.clicked.connect(self._choose)
        self.link = Button("Link images", "primary", tip="Write the new places into the project")
        self.link.setEnabled(False)
        self.link.clicked.connect(self._link)
        self.add_buttons(self.choose, self.link)
        relinking.progress_changed.connect(self._on_progress)
        relinking.proposed.connect(self._on_proposed)
        relinking.failed.connect(self._on_failed)
        self.finished.connect(relinking.cancel)

    def sizeHint(self) -> QSize:
        return QSize(640, 460)

    def search(self, folder: Path) -> None:
        """Look below a folder."""
        self._proposal = None
        self.link.setEnabled(False)
        self._bar.setRange(0, 0)
        self._bar.show()
        self._message.show_message("info", "Looking for the images.", folder.name)
        self._relinking.search(folder)

    @Slot()
    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder with the images", str(self._start))
        if folder:
            self._start = Path(folder)
            self.search(self._start)

    @Slot(object)
    def _on_progress(self, compared: Compared) -> None:
        self._bar.setRange(0, max(compared.total, 1))
        self._bar.setValue(compared.done)

    @Slot(object)
    def _on_proposed(self, proposal: Proposal) -> None:
        self._bar.hide()
        found = len(proposal.links)
        first, _, rest = proposal.sentence.partition(". ")
        self._message.show_message("info" if found else "warn", first.rstrip(".") + ".", rest)
        self._proposal = proposal
        self.link.setEnabled(found > 0)
        self.link.set_text(f"Link {found:,} image{'' if found == 1 else 's'}" if found else "Link images")
        places = {link.record.id: link.file for link in proposal.links}
        for row, record in enumerate(self._relinking.missing[:_LISTED]):
            place = places.get(record.id)
            text = record.path.as_posix() + (f"  →  {place}" if place is not None else "")
            self._list.item(row).setText(text)

    @Slot(str)
    def _on_failed(self, sentence: str) -> None:
        self._bar.hide()
        first, separator, rest = sentence.partition(". ")
        self._message.show_message("bad", f"{first}." if separator else first, rest)

    @Slot()
    def _link(self) -> None:
        if self._proposal is not None and self._relinking.apply(self._proposal):
            self.accept()
