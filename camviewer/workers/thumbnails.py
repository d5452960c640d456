"""Thumbnails in a thread pool of their own: what is visible first, the newest request first, nothing twice."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThreadPool, Signal

from camviewer.errors import CamviewerError
from camviewer.workers.priority import give_way
from camviewer.workers.thumbnail_cache import DiskCache

log = logging.getLogger(__name__)

MAX_WAITING = 400
"""Requests kept waiting; older ones have long been scrolled away."""


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A small picture of a file.

    Attributes:
        path: the image file.
        side: requested longer side in device pixels.
        pixels: RGB ``[h, w, 3]``, or None when the file cannot be read.
        error: the sentence then.
    """

    path: Path
    side: int
    pixels: NDArray[np.uint8] | None
    error: str = ""


class ThumbnailPool(QObject):
    """Reads thumbnails off the GUI thread.

    Signals:
        ready: `Thumbnail`; arrives in the thread of this object when connected to a bound method of a QObject.
    """

    ready = Signal(object)

    def __init__(self, parent: QObject | None = None, *, threads: int | None = None) -> None:
        super().__init__(parent)
        self.cache = DiskCache()
        self._pool = QThreadPool(self)
        # Two cores decode twice as fast as one; more than four only keep the disk busy.
        self._limit = threads or max(1, min(4, os.cpu_count() or 1))
        self._pool.setMaxThreadCount(self._limit)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[tuple[Path, int], None] = OrderedDict()
        self._running = 0
        self._closed = False

    def request(self, paths: Iterable[Path], *, side: int) -> None:
        """Ask for thumbnails, the most wanted first; they go before everything asked for earlier."""
        with self._lock:
            if self._closed:
                return
            for path in reversed(list(paths)):
                self._waiting[(path, side)] = None
                self._waiting.move_to_end((path, side))
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
            missing = min(self._limit - self._running, len(self._waiting))
            self._running += missing
        for _ in range(missing):
            self._pool.start(self._work)

    def clear(self) -> None:
        """Forget what waits: another folder was opened."""
        with self._lock:
            self._waiting.clear()

    def close(self, *, timeout_ms: int = 3000) -> bool:
        """Forget what waits and wait for what runs; return whether it ended in time."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
        return self._pool.waitForDone(timeout_ms)

    def _work(self) -> None:
        from camviewer.images.thumbnails import read_thumbnail

        give_way()
        while True:
            with self._lock:
                if self._closed or not self._waiting:
                    self._running -= 1
                    return
                (path, side), _ = self._waiting.popitem(last=True)
            try:
                pixels = self.cache.get(path, side)
                if pixels is None:
                    pixels = read_thumbnail(path, side=side)
                    self.cache.put(path, side, pixels)
                result = Thumbnail(path, side, pixels)
            except CamviewerError as error:
                result = Thumbnail(path, side, None, error.message)
            except Exception:
                # One odd file must not take a thread of the pool with it.
                log.exception("thumbnail of %s", path)
                result = Thumbnail(path, side, None, f"{path.name} cannot be read.")
            if not self._closed:
                self.ready.emit(result)
