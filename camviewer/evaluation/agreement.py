"""How alike two maps are: methods, layers, checkpoints or classes on the same image. Raw maps, never normalised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions.find import find_regions
from camviewer.regions.measures import iou
from camviewer.regions.rules import RegionRule

Floats = NDArray[np.float64]


def pearson(first: FloatMap, second: FloatMap) -> float:
    """Return the linear correlation of two maps, -1..1; NaN where one is constant.

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(first, second)
    return _correlation(np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel())


def spearman(first: FloatMap, second: FloatMap) -> float:
    """Return the correlation of the pixels' ranks, -1..1; equal values share their mean rank; NaN where constant.

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(first, second)
    return _correlation(ranks(first), ranks(second))


def ranks(values: FloatMap) -> Floats:
    """Return the rank of each value, from 1, flat; equal values share their mean rank."""
    _, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse.ravel()], dtype=np.float64)


def region_overlap(first: FloatMap, second: FloatMap, *, rule: RegionRule | None = None) -> float:
    """Return the IoU of what the rule keeps of both maps; by default the top 20 % of the pixels, so areas are equal.

    Two maps without evidence agree (1.0).

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(first, second)
    rule = rule or RegionRule(rule="percentile", threshold=0.2, components="all")
    return iou(find_regions(first, rule).mask, find_regions(second, rule).mask)


def peak_distance(first: FloatMap, second: FloatMap) -> float:
    """Return the distance between the maxima, as a share of the diagonal; of equal maxima their centroid counts.

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(first, second)
    (y1, x1), (y2, x2) = _peak(first), _peak(second)
    return math.hypot(y1 - y2, x1 - x2) / math.hypot(*first.shape)


def _peak(values: FloatMap) -> tuple[float, float]:
    rows, columns = np.nonzero(values == values.max())
    return float(rows.mean()), float(columns.mean())


def _correlation(first: Floats, second: Floats) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = math.sqrt(float(first @ first) * float(second @ second))
    return max(-1.0, min(1.0, float(first @ second) / norm)) if norm > 0 else math.nan


def _same_shape(first: FloatMap, second: FloatMap) -> None:
    if first.shape != second.shape:
        raise ValueError(f"maps of {first.shape} and {second.shape}")
