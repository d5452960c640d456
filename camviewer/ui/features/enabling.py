"""Enabling: actions can be chosen when what they need is there."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from camviewer.catalogue.actions import Needs
from camviewer.ui.bench import Bench


class Enabling(QObject):
    """Looks after every change, at the state of the session and not at the change."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        session, computing = bench.session, bench.computing
        for signal in (
            session.project_opened,
            session.image_shown,
            session.regions_changed,
            session.selection_changed,
            session.undo.changed,
            bench.gallery.selection_changed,
            computing.map_shown,
            computing.model_changed,
            bench.jobs.job_changed,
        ):
            signal.connect(self.update)
        self.update()

    @Slot()
    def update(self) -> None:
        """Enable what is possible now."""
        session, computing, actions = self._bench.session, self._bench.computing, self._bench.actions
        have: set[Needs] = set()
        if session.project is not None:
            have.add("images")
        if session.current is not None:
            have.add("image")
            if computing.summary is not None:
                have.add("model")
        if len(self._bench.gallery.selected()) > 1:
            have.add("several")
        if computing.shown_map is not None:
            have.add("map")
        if session.selected is not None:
            have.add("region")
        if self._bench.engine.busy:
            have.add("job")
        actions.enable(have)
        actions["undo"].setEnabled(session.undo.to_undo is not None)
        actions["redo"].setEnabled(session.undo.to_redo is not None)
        decided = session.current is not None and session.current.record.status in ("reviewed", "skipped")
        actions["reopen"].setEnabled(decided)
