"""How long a job will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

SMOOTHING = 0.15
"""Weight of the newest unit in the running mean: some ten units set the estimate, so a change of pace shows."""


class Pace:
    """Estimates the time left from the time the finished units took.

    Args:
        total: units of the whole job.
        clock: seconds, monotonic; replaced in tests.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._mean: float | None = None
        self._mark = clock()

    def resume(self) -> None:
        """Start the clock again after an interruption, whose time must not count."""
        self._mark = self._clock()

    def advance(self, done: int, total: int | None = None) -> None:
        """Note that `done` units are finished by now (and that there are `total`, where that changed)."""
        if total is not None:
            self.total = total
        now = self._clock()
        units = done - self.done
        if units <= 0:
            return
        seconds = (now - self._mark) / units
        if self._mean is None:
            self._mean = seconds
        else:
            weight = 1 - (1 - SMOOTHING) ** units
            self._mean += weight * (seconds - self._mean)
        self.done, self._mark = done, now

    @property
    def seconds_left(self) -> float | None:
        """Estimate in seconds, or None before the first unit is finished."""
        if self._mean is None:
            return None
        return self._mean * max(0, self.total - self.done)
