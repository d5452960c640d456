"""The threshold between two classes of values (Otsu 1979)."""

from __future__ import annotations

import cv2
import numpy as np

from camviewer.images.geometry import FloatMap


def otsu(values: FloatMap) -> float:
    """Return Otsu's threshold of any values, from 256 bins between their extremes."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return low
    bins = ((values - low) * np.float32(255 / (high - low))).astype(np.uint8).reshape(1, -1)
    level, _ = cv2.threshold(bins, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (float(level) + 0.5) * (high - low) / 255
