"""Threads that compute give way to the window: where cores are few, it would wait for its turn like any of them."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from PySide6.QtCore import QThread

NICE = 5
"""On Linux: about a third of the share of a thread that does not give way, where both want the same core."""


def give_way() -> None:
    """Let the calling thread, and all that it starts, run after the window's.

    On Linux Qt's priorities have no effect, and each thread has a nice value of its own, which its children inherit.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
                os.setpriority(os.PRIO_PROCESS, thread, NICE)
    else:
        QThread.currentThread().setPriority(QThread.Priority.LowPriority)
