"""Asks the engine for the units behind the map on screen, while someone looks at them."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from camviewer.ui.computing import Computing
from camviewer.ui.session import Session
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ComputeUnits, JobCancelled, JobFailed, UnitsReady

WAIT_MS = 60
"""Wait before asking, so that the maps of the image go first and browsing asks for nothing."""


class UnitSource(QObject):
    """Keeps the units of image and class on screen up to date.

    Signals:
        units_ready: `ClassUnits`, or None when what was shown is not of the image or class any more.
        refused: sentence that says why there are none; empty when there may be some.
    """

    units_ready = Signal(object)
    refused = Signal(str)

    def __init__(self, session: Session, computing: Computing, engine: Engine, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._computing, self._engine = session, computing, engine
        self._wanted = False
        self._shown: tuple[object, ...] | None = None
        self._asked: dict[int, tuple[object, ...]] = {}
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(WAIT_MS)
        self._wait.timeout.connect(self._ask)
        computing.map_shown.connect(self._on_map)
        computing.model_changed.connect(self._on_model)
        engine.units_ready.connect(self._on_units)
        engine.failed.connect(self._on_failed)
        engine.cancelled.connect(self._on_cancelled)

    def set_wanted(self, wanted: bool) -> None:
        """Say whether anyone looks."""
        self._wanted = wanted
        if wanted:
            self._wait.start()

    def _key(self) -> tuple[object, ...] | None:
        """Return what the units are of: network, image, class, cell positions; None where there are none."""
        summary, current = self._computing.summary, self._session.current
        index = self._computing.class_index
        if summary is None or current is None or current.pixels is None or index is None or summary.head.reason:
            return None
        return id(summary), current.path, index, self._computing.choice.offset

    @Slot()
    def _on_map(self) -> None:
        if self._shown is not None and self._shown != self._key():
            self._shown = None
            self.units_ready.emit(None)
        self._wait.start()

    @Slot(object)
    def _on_model(self, _summary: object) -> None:
        self._shown = None
        summary = self._computing.summary
        self.refused.emit(summary.head.reason if summary is not None else "")
        self.units_ready.emit(None)
        self._wait.start()

    @Slot()
    def _ask(self) -> None:
        key, current = self._key(), self._session.current
        index = self._computing.class_index
        if not self._wanted or key is None or key == self._shown or key in self._asked.values():
            return
        if current is None or index is None:
            return
        job = ComputeUnits(current.path, index, offset=self._computing.choice.offset)
        self._asked[job.token] = key
        try:
            self._engine.submit(job)
        except RuntimeError:
            del self._asked[job.token]  # the engine is closed

    @Slot(object)
    def _on_units(self, ready: UnitsReady) -> None:
        key = self._asked.pop(ready.token, None)
        if key is not None and key == self._key():
            self._shown = key
            self.refused.emit("")
            self.units_ready.emit(ready.units)

    @Slot(object)
    def _on_failed(self, end: JobFailed) -> None:
        if self._asked.pop(end.token, None) is not None:
            self.refused.emit(end.message)

    @Slot(object)
    def _on_cancelled(self, end: JobCancelled) -> None:
        self._asked.pop(end.token, None)
