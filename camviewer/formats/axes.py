"""Axes of drawings: round ends and steps."""

from __future__ import annotations

import math


def nice_axis(low: float, high: float) -> tuple[float, float, float]:
    """Return round ends that hold `low` and `high`, and the step between lines: 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-3 * max(1.0, abs(high)))
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9) * step
    last = math.ceil(high / step - 1e-9) * step
    return first, last if last > first else first + step, step
