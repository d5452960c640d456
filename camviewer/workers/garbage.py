"""Keeps Python's cyclic garbage collection in the GUI thread.

CPython collects in whichever thread crosses the threshold, which here is the one that allocates most: the torch
worker. A QTimer or an animation that sits in a reference cycle is then destroyed outside its thread, and Qt crashes.
"""

from __future__ import annotations

import gc
import logging
import time

from PySide6.QtCore import QObject, QTimer, Slot

INTERVAL_MS = 250
"""Often, so that each collection finds little: what is young is looked at as a whole."""
FULL_SECONDS = 60.0
"""Between two collections of everything, which grow with all that is alive."""

log = logging.getLogger(__name__)


class GarbageGuard(QObject):
    """While it lives, garbage is collected only by a timer of this object's thread, which is the GUI thread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._was_enabled = gc.isenabled()
        gc.disable()
        self._full_at = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    @Slot()
    def collect(self) -> int:
        """Collect the oldest generation whose threshold is exceeded; return it, or -1 for none."""
        thresholds = gc.get_threshold()
        counts = gc.get_count()
        for generation in (2, 1, 0):
            # A threshold of 0 (the oldest generation from Python 3.14 on) means: never by count.
            if not thresholds[generation] or counts[generation] <= thresholds[generation]:
                continue
            if generation == 2:
                if time.monotonic() - self._full_at < FULL_SECONDS:
                    continue
                self._full_at = time.monotonic()
            gc.collect(generation)
            return generation
        return -1

    @Slot()
    def settle(self) -> None:
        """Take what is alive now out of later collections.

        Called once torch is imported: its half a million objects would make every full collection a visible pause.
        """
        gc.collect()
        gc.freeze()

    def stop(self) -> None:
        """Give collection back to Python, with what `settle` took out of it; else libraries report leaks at exit."""
        self._timer.stop()
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()
