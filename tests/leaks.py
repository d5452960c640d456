"""Finds what a test of the window left running."""

from __future__ import annotations

import gc

from PySide6.QtCore import QCoreApplication, QThread, QThreadPool, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

_KINDS = (QThread, QThreadPool, QTimer)


def left_running() -> list[str]:
    """Return what still runs: threads, jobs of pools, and timers that tick for what is not on the screen any more.

    A single shot ends by itself.
    """
    main = QCoreApplication.instance()
    own = main.thread() if main is not None else None
    shown = {id(widget) for widget in QApplication.topLevelWidgets() if widget.isVisible()}
    found = []
    for thing in gc.get_objects():
        if not issubclass(type(thing), _KINDS) or not isValid(thing):
            continue
        if isinstance(thing, QThread):
            if thing is not own and thing.isRunning():
                found.append(f"thread {thing.objectName()}")
        elif isinstance(thing, QThreadPool):
            if thing.activeThreadCount():
                found.append("a job in a pool")
        elif thing.isActive() and not thing.isSingleShot() and id(_window_of(thing)) not in shown:
            found.append(f"a timer of {thing.interval()} ms in {type(thing.parent()).__name__}")
    return found


def _window_of(timer: QTimer) -> QWidget | None:
    owner = timer.parent()
    while owner is not None and not isinstance(owner, QWidget):
        owner = owner.parent()
    return owner.window() if owner is not None else None
