"""How long ways to the same result take on this processor."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

ROUNDS = 5


def shortest(*ways: Callable[[], object]) -> list[float]:
    """Return the seconds of each way's fastest run, of `ROUNDS` in turns."""
    found = [math.inf] * len(ways)
    for _ in range(ROUNDS):
        for number, way in enumerate(ways):
            started = time.perf_counter()
            way()
            found[number] = min(found[number], time.perf_counter() - started)
    return found
