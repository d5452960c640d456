"""Blind review: the images in random order, without name, prediction and diagnosis."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.ui.bench import Bench


class Blinding(QObject):
    """Hides what could sway a reviewer, everywhere at once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._action = bench.actions["blind"]
        bench.actions.connect("blind", lambda: self.set_blind(self._action.isChecked()))
        bench.gallery.blind_changed.connect(self.set_blind)
        bench.session.project_opened.connect(self._on_project)

    @Slot(object)
    def _on_project(self, _project: object) -> None:
        self.set_blind(False)

    @Slot(bool)
    def set_blind(self, blind: bool) -> None:
        """Begin or end blind review."""
        bench = self._bench
        if blind == bench.gallery.model.blind:
            return
        self._action.setChecked(blind)
        bench.session.set_blind(blind)
        bench.gallery.set_blind(blind)
        bench.classes.setVisible(not blind)
        if blind:
            bench.stage.show_page(None)
            bench.canvas.set_mode("original")
            bench.say("Blind review.", "Names, predictions and diagnoses are hidden, the images are shuffled")
        else:
            bench.say("Blind review ends.", "Everything is shown again")
