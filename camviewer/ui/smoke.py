"""``--smoke-test`` and ``--screenshot``: open, load, compute, paint, quit, by itself."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QIODevice, QObject, QSaveFile, QTimer, Slot
from PySide6.QtGui import QPixmap

from camviewer.ui.main_window import MainWindow

log = logging.getLogger(__name__)

TIMEOUT_MS = 120_000


class Smoke(QObject):
    """Drives the window without a person.

    Attributes:
        status: 0 when what was asked for was on the screen at the end, else 1.
    """

    def __init__(self, window: MainWindow, *, screenshot: Path | None, demo: bool) -> None:
        super().__init__(window)
        self.status = 1
        self._window = window
        self._bench = window.bench
        self._screenshot = screenshot
        self._demo = demo
        self._map_seen = False
        self._ended = False
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(600)
        self._settle.timeout.connect(self._finish)
        self._limit = QTimer(self)
        self._limit.setSingleShot(True)
        self._limit.setInterval(TIMEOUT_MS)
        self._limit.timeout.connect(self._give_up)
        self._bench.computing.map_shown.connect(self._on_map)
        self._bench.jobs.idle.connect(self._on_idle)

    @Slot()
    def begin(self) -> None:
        """Start after the first paint."""
        self._limit.start()
        if self._demo and self._bench.session.project is None:
            self._window.opening.open_demo()
            if self._bench.session.project is None:
                log.error("the demo cannot be opened")
                self._give_up()
                return
        self._settle.start()

    @Slot(object, str, object)
    def _on_map(self, found: object, _name: str, _score: object) -> None:
        if found is not None:
            self._map_seen = True
            self._settle.start()

    @Slot()
    def _on_idle(self) -> None:
        self._settle.start()

    @Slot()
    def _finish(self) -> None:
        if self._ended:
            return
        waits_for_map = self._bench.session.current is not None and self._bench.computing.summary is not None
        if self._bench.engine.open_jobs() or (waits_for_map and not self._map_seen):
            self._settle.start()
            return
        picture = self._window.grab()
        if self._screenshot is not None and not _save(picture, self._screenshot):
            log.error("the screenshot cannot be written")
        elif not picture.isNull() and (self._map_seen or not self._demo):
            self.status = 0
        else:
            log.error("no map was shown; the last message: %s", self._bench.status.message())
        self._end()

    @Slot()
    def _give_up(self) -> None:
        if not self._ended:
            log.error("not done in time; the last message: %s", self._bench.status.message())
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._settle.stop()
        self._limit.stop()
        self._window.close()


def _save(picture: QPixmap, path: Path) -> bool:
    """Write the whole picture or nothing: whoever waits for the file never finds half of it."""
    file = QSaveFile(str(path))
    return file.open(QIODevice.OpenModeFlag.WriteOnly) and picture.save(file, "PNG") and file.commit()
