"""Names that classes get on their way out or in: a field a class; an empty one leaves it out, equal ones unite."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtWidgets import QDialog, QGridLayout, QLineEdit, QScrollArea, QWidget

from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog


class ClassNamesDialog(PanelDialog):
    """Asks for the name that each class gets; `where` says in what, for example "in the export"."""

    def __init__(
        self, classes: Sequence[str], names: dict[str, str], where: str, parent: QWidget | None = None
    ) -> None:
        super().__init__("Class names", "Equal names unite, an empty one leaves a class out", parent=parent)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 12, 0)
        grid.setHorizontalSpacing(16)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label("Class", "caption", "text-2"), 0, 0)
        grid.addWidget(label(where[:1].upper() + where[1:], "caption", "text-2"), 0, 1)
        self._fields: dict[str, QLineEdit] = {}
        for row, name in enumerate(classes, 1):
            field = QLineEdit(names.get(name, name))
            field.setPlaceholderText("Left out")
            name_control(field, f"{name} {where}", tip="Its new name; empty leaves the class out")
            field.textChanged.connect(self._check)
            grid.addWidget(label(name, "name"), row, 0)
            grid.addWidget(field, row, 1)
            self._fields[name] = field
        grid.setRowStretch(len(classes) + 1, 1)
        inside = QWidget()
        inside.setLayout(grid)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inside)
        self.body.addWidget(area, 1)
        plain = Button("As they are", "flat", tip="Give every class its own name back")
        plain.clicked.connect(self._reset)
        self.add_buttons(plain)
        self.add_close("Cancel")
        self._take = Button("Use these", "primary")
        self._take.clicked.connect(self.accept)
        self.add_buttons(self._take)

    def sizeHint(self) -> QSize:
        return QSize(520, min(560, 190 + 36 * len(self._fields)))

    def class_map(self) -> dict[str, str]:
        """Return new names by old ones, only where they differ."""
        given = {name: field.text().strip() for name, field in self._fields.items()}
        return {name: new for name, new in given.items() if new != name}

    @Slot()
    def _reset(self) -> None:
        for name, field in self._fields.items():
            field.setText(name)

    @Slot()
    def _check(self) -> None:
        kept = any(field.text().strip() for field in self._fields.values())
        self._take.setEnabled(kept)
        self.note.setText("" if kept else "At least one class has to stay.")

    @staticmethod
    def ask(classes: Sequence[str], names: dict[str, str], where: str, parent: QWidget) -> dict[str, str] | None:
        """Ask; return the map, or None when it stays as it was."""
        dialog = ClassNamesDialog(classes, names, where, parent)
        try:
            return dialog.class_map() if dialog.exec() == QDialog.DialogCode.Accepted else None
        finally:
            dialog.deleteLater()
