"""The jobs that wait for a worker thread, and which of them are cancelled. Shared by two threads, free of Qt."""

from __future__ import annotations

import threading

from camviewer.workers.jobs import Job


def urgency(job: Job) -> int:
    """Return the rank of a job; a smaller one goes first."""
    return job.kind.urgency


class Inbox:
    """Jobs by urgency, then by age. Every method is safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Job] = []
        self._cancelled: set[int] = set()
        self._closed = False

    def put(self, job: Job) -> None:
        """Add a job behind those of its urgency."""
        with self._lock:
            self._waiting.append(job)

    def put_back(self, job: Job) -> None:
        """Add a job that was begun, ahead of those of its urgency."""
        with self._lock:
            self._waiting.insert(0, job)

    def take(self) -> Job | None:
        """Return the next job, or None when there is none or the inbox is closed."""
        with self._lock:
            if self._closed or not self._waiting:
                return None
            job = min(self._waiting, key=urgency)  # `min` returns the oldest of equals
            self._waiting.remove(job)
            return job

    def cancel(self, token: int) -> None:
        """Mark a job cancelled. A waiting one is still handed out, so that its end is reported from one place."""
        with self._lock:
            self._cancelled.add(token)

    def forget(self, token: int) -> None:
        """Drop the mark of a job that has ended."""
        with self._lock:
            self._cancelled.discard(token)

    def close(self) -> None:
        """Hand out nothing more; every job counts as cancelled."""
        with self._lock:
            self._closed = True
            self._waiting.clear()

    def is_cancelled(self, token: int) -> bool:
        with self._lock:
            return self._closed or token in self._cancelled

    def should_step_aside(self, job: Job) -> bool:
        """Return whether a more urgent job waits that is not cancelled itself."""
        with self._lock:
            return any(urgency(other) < urgency(job) for other in self._waiting if other.token not in self._cancelled)
