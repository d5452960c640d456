"""Numbers as the canvas writes them: true minus, few digits, thin and readable ticks."""

from __future__ import annotations

import math


def raw(value: float) -> str:
    """Return a raw map value with three significant digits, at most two decimals from 1 on, with a true minus."""
    if value == 0 or not math.isfinite(value):
        text = "0" if value == 0 else "–"
    elif abs(value) >= 1e5 or abs(value) < 1e-4:
        text = f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    elif abs(value) >= 100:
        text = f"{value:.0f}"
    elif abs(value) >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.{2 - math.floor(math.log10(abs(value)))}f}"
    return text.replace("-", "−")


def percent(share: float, *, decimals: int = 0) -> str:
    """Return a share in 0..1 as per cent, with the space that belongs before the sign; never 100 % for less."""
    value = share * 100
    rounded = round(value, decimals)
    if rounded >= 100 and share < 1:
        rounded = 100 - 10**-decimals
    return f"{rounded:.{decimals}f} %".replace("-", "−")


def ticks(low: float, high: float, *, most: int) -> list[float]:
    """Return round values strictly between `low` and `high`, zero among them if it lies there; at most `most`."""
    if not high > low or most < 1:
        return []
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20):
        first, last = math.ceil(low / (step * factor)), math.floor(high / (step * factor))
        if last - first + 1 <= most:
            return [n * step * factor for n in range(first, last + 1) if low < n * step * factor < high]
    return []


def tick_label(value: float, step: float) -> str:
    """Return a tick's label with the decimals that its `step` needs."""
    if value == 0:
        return "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    if abs(value) >= 1e5 or decimals > 4:
        return raw(value)
    return f"{value:.{decimals}f}".replace("-", "−")
