"""The fixture that watches for what tests leave running sees it."""

from __future__ import annotations

import threading

from leaks import left_running
from PySide6.QtCore import QThread, QThreadPool, QTimer


def test_threads_timers_and_jobs_are_seen(qapp) -> None:
    assert left_running() == []
    timer = QTimer(interval=100_000)
    timer.start()
    assert left_running() == ["a timer of 100000 ms in NoneType"]
    timer.stop()
    thread = QThread()
    thread.setObjectName("busy")
    thread.start()
    assert left_running() == ["thread busy"]
    thread.quit()
    assert thread.wait(5000)
    gate, pool = threading.Event(), QThreadPool()
    pool.start(gate.wait)
    assert left_running() == ["a job in a pool"]
    gate.set()
    assert pool.waitForDone(5000)
    assert left_running() == []
