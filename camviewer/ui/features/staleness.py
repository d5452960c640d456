"""Stale masks: made by another model, layer, method or threshold than the present ones."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from camviewer.errors import CamviewerError
from camviewer.ui.bench import Bench

WAIT_MS = 120
"""While a slider moves, nobody looks at the gallery."""


class Staleness(QObject):
    """Tells the gallery which runs are not what would be computed now."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(WAIT_MS)
        self._wait.timeout.connect(self._compare)
        bench.computing.choices_changed.connect(self._wait.start)
        bench.session.project_opened.connect(self._wait.start)
        bench.jobs.idle.connect(self._wait.start)

    @Slot()
    def _compare(self) -> None:
        project, computing = self._bench.session.project, self._bench.computing
        if project is None or computing.summary is None:
            self._bench.gallery.model.set_stale_runs(frozenset())
            return
        try:
            runs = project.runs()
        except (CamviewerError, KeyError):
            return
        # Learnt masks come from no method; another choice of method does not age them.
        stale = frozenset(run_id for run_id, run in runs.items() if run.methods and not computing.is_current(run))
        self._bench.gallery.model.set_stale_runs(stale)
