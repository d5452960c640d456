"""Settings: asked for in one dialog, applied at once, kept."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench
from camviewer.ui.dialogs.settings import SettingsDialog


class Settling(QObject):
    """Opens the settings and applies what is changed."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._cache = bench.gallery.pictures.pool.cache
        self._cache.enabled = bench.settings.value.keep_thumbnails
        bench.actions.connect("settings", self.open)

    def open(self) -> None:
        """Show the settings."""
        dialog = SettingsDialog(self._bench.settings.value, self._cache.used, self._bench.window)
        dialog.theme_chosen.connect(self._on_theme)
        dialog.cache_switched.connect(self._on_cache)
        dialog.cache_cleared.connect(self._cache.clear)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str)
    def _on_theme(self, mode: str) -> None:
        self._bench.actions[f"theme_{mode}"].trigger()

    @Slot(bool)
    def _on_cache(self, keep: bool) -> None:
        self._cache.enabled = keep
        if not keep:
            self._cache.clear()
        self._bench.settings.change(lambda value: setattr(value, "keep_thumbnails", keep))
