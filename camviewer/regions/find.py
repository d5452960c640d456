"""A raw map, brought to the image's size, becomes thresholded regions with boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.errors import UsageError
from camviewer.images.geometry import FloatMap
from camviewer.regions.measures import mask_box
from camviewer.regions.rules import RegionRule

BoolMask = NDArray[np.bool_]

NO_EVIDENCE = "no positive evidence"
NOT_FINITE = "the map holds no finite value"

OTSU_BINS = 256


@dataclass(frozen=True, slots=True)
class FoundBox:
    """The tight box of one region: half-open pixel edges ``[x0, y0, x1, y1)`` in the upright image.

    Attributes:
        score: mean of M / max M over the box, 0..1, where M is the normalised map of the rule.
        area: pixels of the region, not of the box.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    area: int

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """What a rule finds in a map.

    Attributes:
        level: threshold as a value of the raw map: what lies above it is kept, the level itself included. NaN where
            there is no evidence.
        labels: int32 ``[H, W]``, ``i + 1`` where the region of ``boxes[i]`` lies and 0 elsewhere; None without one.
        mask: all kept regions, bool ``[H, W]``.
        boxes: largest region first.
        reason: why there is none, for example ``no positive evidence``; else empty.
    """

    level: float
    labels: NDArray[np.int32] | None
    mask: BoolMask
    boxes: tuple[FoundBox, ...]
    reason: str = ""


def find_regions(values: FloatMap, rule: RegionRule) -> Regions:
    """Return the regions of a raw map that is already upsampled to the image.

    ``fraction`` keeps ``M >= t * max M`` (Zhou et al. 2016, arXiv 1512.04150, with t = 0.2); ``percentile`` keeps the
    top ``t`` of all pixels; ``otsu`` maximises the variance between the classes over 256 bins of ``[0, max M]``
    (Otsu 1979). M is the positive part of the map, or with ``minmax`` the map stretched to 0..1. A pixel where M is
    not above 0 is never kept. Components are 8-connected; the largest is that of most pixels, of equal ones that
    with the higher sum of M. A value that is not finite counts as no evidence.

    Args:
        values: raw map ``[H, W]``.
        rule: threshold rule.

    Raises:
        UsageError: when the threshold lies outside 0..1.
    """
    if not 0 <= rule.threshold <= 1:
        raise UsageError(f"Threshold needs a number between 0 and 1, not {rule.threshold:g}.")
    values = np.asarray(values, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        if not finite.any():
            return _nothing(values.shape, NOT_FINITE)
        lowest = np.float32(0) if rule.normalise == "positive" else values[finite].min()
        values = np.where(finite, values, lowest)
    normalised, low, span = _normalise(values, rule)
    peak = float(normalised.max())
    if not peak > 0:
        return _nothing(values.shape, NO_EVIDENCE)
    threshold = _threshold(normalised, peak, rule)
    kept = normalised >= threshold if threshold > 0 else normalised > 0
    return _components(kept, normalised, peak, rule, level=low + threshold * span)


def box_of(mask: BoolMask, values: FloatMap, rule: RegionRule) -> FoundBox | None:
    """Return the tight box of a mask that was drawn by whatever means, scored as those of `find_regions`.

    Args:
        mask: bool ``[H, W]``.
        values: raw map of the same size; what is not finite counts as no evidence.
        rule: how the map is normalised.

    Returns:
        None for an empty mask.
    """
    edges = mask_box(mask)
    if edges is None:
        return None
    x0, y0, x1, y1 = edges
    finite = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    normalised, _, _ = _normalise(finite, rule)
    peak = float(normalised.max())
    score = float(normalised[y0:y1, x0:x1].mean(dtype=np.float64)) / peak if peak > 0 else 0.0
    return FoundBox(x0, y0, x1, y1, min(1.0, score), int(mask.sum()))


def _normalise(values: FloatMap, rule: RegionRule) -> tuple[FloatMap, float, float]:
    """Return M, and the shift and scale that take M back to raw values."""
    if rule.normalise == "positive":
        return np.maximum(values, 0), 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    span = high - low
    if not span > 0:
        return np.zeros_like(values), low, 1.0
    return ((values - np.float32(low)) / np.float32(span)).astype(np.float32, copy=False), low, span


def _threshold(normalised: FloatMap, peak: float, rule: RegionRule) -> float:
    """Return the threshold in units of M; 0 means everything above 0."""
    if rule.rule == "fraction":
        # As float32, so that at 1.0 the maximum itself is kept and the level reported is the level used.
        return float(np.float32(rule.threshold * peak))
    if rule.rule == "otsu":
        return otsu_threshold(normalised, peak)
    count = max(1, math.floor(rule.threshold * normalised.size + 0.5))
    return float(np.partition(normalised, normalised.size - count, axis=None)[normalised.size - count])


def otsu_threshold(normalised: FloatMap, peak: float) -> float:
    """Return Otsu's threshold of a map in ``[0, peak]``: the lower edge of the first bin of the upper class."""
    # Bins as a table of bytes: several times faster than np.histogram on megapixels.
    bins = np.minimum(normalised / np.float32(peak) * OTSU_BINS, OTSU_BINS - 1).astype(np.uint8)
    counts = cv2.calcHist([bins], [0], None, [OTSU_BINS], [0, OTSU_BINS]).ravel().astype(np.float64)
    centres = np.arange(OTSU_BINS) + 0.5
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
        between = below * above * distance**2
    between[(below == 0) | (above == 0)] = -1
    if between.max() < 0:
        return 0.0  # one bin holds all, so nothing divides it
    return float(np.float32((int(np.argmax(between)) + 1) * peak / OTSU_BINS))


def _components(kept: BoolMask, normalised: FloatMap, peak: float, rule: RegionRule, *, level: float) -> Regions:
    count, found, table, _ = cv2.connectedComponentsWithStats(kept.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels, stats = np.asarray(found, dtype=np.int32), np.asarray(table, dtype=np.int32)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    if rule.components == "largest":
        chosen = np.flatnonzero(areas == areas.max())
        if len(chosen) > 1:
            sums = np.array([_sum(normalised, labels, stats, int(i) + 1) for i in chosen])
            chosen = chosen[[int(np.argmax(sums))]]
        order = chosen
    else:
        order = np.argsort(-areas, kind="stable")
    if count == 2:
        kept_labels = labels
    else:
        renumbered = np.zeros(count, dtype=np.int32)
        renumbered[order + 1] = np.arange(1, len(order) + 1, dtype=np.int32)
        kept_labels = renumbered[labels]
    boxes = []
    for index in order:
        left, top, width, height = (int(v) for v in stats[index + 1, : cv2.CC_STAT_AREA])
        inside = normalised[top : top + height, left : left + width]
        score = float(inside.mean(dtype=np.float64)) / peak
        box = FoundBox(left, top, left + width, top + height, min(1.0, score), int(areas[index]))
        boxes.append(box)
    mask = kept if len(order) == count - 1 else kept_labels > 0
    return Regions(level, kept_labels, mask, tuple(boxes))


def _sum(normalised: FloatMap, labels: NDArray[np.int32], stats: NDArray[np.int32], label: int) -> float:
    left, top, width, height = (int(v) for v in stats[label, : cv2.CC_STAT_AREA])
    window = np.s_[top : top + height, left : left + width]
    return float(normalised[window].sum(where=labels[window] == label, dtype=np.float64))


def _nothing(shape: tuple[int, ...], reason: str) -> Regions:
    return Regions(math.nan, None, np.zeros(shape, dtype=np.bool_), (), reason)
