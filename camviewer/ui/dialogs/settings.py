"""Settings: each applies at once, there is nothing to confirm."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from camviewer.ui.choices import SegmentedControl, Switch
from camviewer.ui.controls import Button, label
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.settings import Settings


class SettingsDialog(PanelDialog):
    """Shows what is set and says what is changed.

    Args:
        settings: as they are.
        used: returns the bytes of the thumbnails on the disk.

    Signals:
        theme_chosen: ``system``, ``dark`` or ``light``.
        cache_switched: whether thumbnails are kept on the disk.
        cache_cleared: the kept thumbnails are to be removed.
    """

    theme_chosen = Signal(str)
    cache_switched = Signal(bool)
    cache_cleared = Signal()

    def __init__(self, settings: Settings, used: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__("Settings", "They apply at once", parent=parent)
        self._used = used
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(16)
        self._theme = SegmentedControl([("system", "System"), ("dark", "Dark"), ("light", "Light")], "Surroundings")
        self._theme.set_value(settings.theme if settings.theme in ("dark", "light") else "system")
        self._theme.chosen.connect(self.theme_chosen)
        self._keep = Switch("Keep thumbnails on the disk", tip="Folders open faster the second time")
        self._keep.setChecked(settings.keep_thumbnails)
        self._keep.toggled.connect(self._on_keep)
        self._size = label("", "body", "text-2")
        self._clear = Button("Clear", tip="Remove all kept thumbnails from this computer")
        self._clear.clicked.connect(self._on_clear)
        kept = QHBoxLayout()
        kept.setSpacing(12)
        kept.addWidget(self._keep)
        kept.addWidget(self._size, 1)
        kept.addWidget(self._clear)
        note = label(
            "Thumbnails show the photographs. They lie in this user's own folder and nowhere else; switched off, "
            "what is kept is removed.",
            "body",
            "text-2",
        )
        note.setWordWrap(True)
        grid.addWidget(label("Surroundings", "name"), 0, 0)
        grid.addWidget(self._theme, 0, 1)
        grid.addWidget(label("Keep thumbnails", "name"), 1, 0)
        grid.addLayout(kept, 1, 1)
        grid.addWidget(note, 2, 1)
        grid.setColumnStretch(1, 1)
        self.body.addLayout(grid)
        self.body.addStretch(1)
        self.add_close()
        self._show_size()

    def sizeHint(self) -> QSize:
        return QSize(560, 280)

    @Slot(bool)
    def _on_keep(self, keep: bool) -> None:
        self.cache_switched.emit(keep)
        self._show_size()

    @Slot()
    def _on_clear(self) -> None:
        self.cache_cleared.emit()
        self._show_size()

    def _show_size(self) -> None:
        megabytes = self._used() / 1e6
        self._size.setText(f"{megabytes:,.1f} MB kept" if megabytes else "Nothing kept")
        self._clear.setEnabled(megabytes > 0)
