"""What all dialogs share: title row, body, a row of buttons, sizes of the table."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from camviewer.ui.controls import Button, label, rule, surface
from camviewer.ui.theme import theme


class PanelDialog(QDialog):
    """A dialog on a panel surface: title with a quiet qualifier, body, a rule, buttons at the right."""

    def __init__(self, title: str, qualifier: str = "", *, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        surface(self, "panel")
        self.setWindowTitle(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(24, 0, 24, 16)
        self.body.setSpacing(12)
        head = QHBoxLayout()
        head.setContentsMargins(24, 18, 24, 12)
        head.setSpacing(10)
        head.addWidget(label(title, "title"))
        self.qualifier = label(qualifier, "body", "text-2")
        head.addWidget(self.qualifier)
        head.addStretch(1)
        self.note = label("", "body", "text-2")
        self._foot = QHBoxLayout()
        self._foot.setContentsMargins(24, 12, 24, 14)
        self._foot.setSpacing(8)
        self._foot.addWidget(self.note, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addLayout(self.body, 1)
        layout.addWidget(rule())
        layout.addLayout(self._foot)

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() in {QEvent.Type.Show, QEvent.Type.Resize, QEvent.Type.LayoutRequest} and self.isVisible():
            self._keep_height()
        return done

    def _keep_height(self) -> None:
        """Leave room for sentences: Qt asks for the height at the width that it would like, which may not be there."""
        layout = self.layout()
        if layout is not None and layout.hasHeightForWidth():
            self.setMinimumHeight(layout.totalMinimumHeightForWidth(self.width()))

    def add_buttons(self, *buttons: Button) -> None:
        """Put buttons at the right of the lowest row, the primary one last."""
        for button in buttons:
            button.setMinimumHeight(theme().px(32))
            self._foot.addWidget(button)

    def add_close(self, text: str = "Close") -> Button:
        """Add a button that closes without doing anything."""
        button = Button(text, key="Esc")
        button.clicked.connect(self.reject)
        self.add_buttons(button)
        return button
