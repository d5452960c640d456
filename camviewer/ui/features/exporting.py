"""Exporting what is reviewed."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench


class Exporting(QObject):
    """Asks what to write, and says what was written."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        bench.actions.connect("export", self.choose_export)
        bench.computing.exported.connect(self._on_exported)

    def choose_export(self) -> None:
        """Ask for format and folder, and export in the background."""
        if self._bench.session.project is not None:
            request = self._bench.dialogs.export(self._bench.session, self._bench.settings)
            if request is not None:
                self._bench.computing.export(request)

    @Slot(object)
    def _on_exported(self, report: object) -> None:
        sentence = str(getattr(report, "sentence", "The export is written."))
        first, _, rest = sentence.partition(". ")
        self._bench.say(f"{first.rstrip('.')}.", rest, "ok")
