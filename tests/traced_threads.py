"""Lets coverage see what runs in Qt's own threads: Python's trace function reaches only threads that Python started."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Slot


def install() -> None:
    """Give every entry into a worker thread the trace function that coverage set for threads."""
    from camviewer.workers.tasks import TaskPool
    from camviewer.workers.thumbnails import ThumbnailPool
    from camviewer.workers.worker import Worker

    # Slots stay slots: only so are they called in the thread of their object.
    Worker.drain = Slot()(_traced(Worker.drain))  # type: ignore[method-assign]
    Worker.close = Slot()(_traced(Worker.close))  # type: ignore[method-assign]
    TaskPool._run = _traced(TaskPool._run)  # type: ignore[method-assign]
    ThumbnailPool._work = _traced(ThumbnailPool._work)  # type: ignore[method-assign]


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def entered(*arguments: Any) -> Any:
        if sys.gettrace() is None:
            sys.settrace(threading.gettrace())
        return function(*arguments)

    return entered
