"""Why an image is skipped: one of a few reasons, or words."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from camviewer.ui.choices import Chip
from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.panels.flow import FlowLayout

REASONS = ("Out of focus", "Lesion cut off", "Hair over the lesion", "No lesion", "Duplicate", "Poor map", "Not sure")


class ReasonDialog(PanelDialog):
    """Asks for a reason.

    Signals:
        chosen: the reason, never empty.
    """

    chosen = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__("Skip with a reason", name, parent=parent)
        self._field = QLineEdit()
        self._field.setPlaceholderText("Or in words of your own")
        name_control(self._field, "Reason", tip="Why the image is left out")
        self._field.textChanged.connect(self._on_text)
        chips = QWidget()
        flow = FlowLayout(chips, spacing=6)
        for number, reason in enumerate(REASONS, 1):
            chip = Chip(reason, tip=f"Skip: {reason.lower()}  (Alt+{number})", checkable=False)
            chip.setShortcut(f"Alt+{number}")
            chip.clicked.connect(lambda _checked=False, reason=reason: self._choose(reason))
            flow.addWidget(chip)
        self.body.addWidget(
            label("It is kept with the image, and the search finds it: reason:blurred", "body", "text-2")
        )
        self.body.addWidget(chips)
        self.body.addWidget(self._field)
        self.body.addStretch(1)
        self.add_close("Cancel")
        self._skip = Button("Skip image", "primary", key="Enter", tip="Skip and go on")
        self._skip.setDefault(True)
        self._skip.clicked.connect(self._on_skip)
        self.add_buttons(self._skip)
        self._on_text("")
        self._field.setFocus(Qt.FocusReason.OtherFocusReason)

    def sizeHint(self) -> QSize:
        return QSize(480, 240)

    @Slot(str)
    def _on_text(self, text: str) -> None:
        self._skip.setEnabled(bool(text.strip()))

    @Slot()
    def _on_skip(self) -> None:
        self._choose(self._field.text().strip())

    def _choose(self, reason: str) -> None:
        if reason:
            self.chosen.emit(reason)
            self.accept()
