"""How differently methods see the same class in the same image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np

from camviewer.images.geometry import FloatMap


def disagreement(maps: Sequence[FloatMap]) -> float | None:
    """Return how much raw maps ``[rows, columns]`` of one class differ, 0 (the same) to 1 (nothing shared).

    The mean over all pairs of 1 - sum min(a, b) / sum max(a, b), with the positive part of each map scaled to a
    maximum of 1 and brought to the finest grid among them (Ruzicka distance).

    Returns:
        None for fewer than two maps with positive evidence.
    """
    parts = [np.maximum(found, 0) for found in maps if found.size and float(found.max()) > 0]
    if len(parts) < 2:
        return None
    rows, columns = max(part.shape[0] for part in parts), max(part.shape[1] for part in parts)
    scaled = [
        cv2.resize((part / part.max()).astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
        for part in parts
    ]
    distances = [
        1 - float(np.minimum(first, second).sum()) / float(np.maximum(first, second).sum())
        for first, second in combinations(scaled, 2)
    ]
    return float(np.mean(distances))
