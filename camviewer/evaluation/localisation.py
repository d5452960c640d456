"""Measures of maps against true regions: boxes, masks, pointing, energy.

Definitions follow the evaluation that the field compares by (Choe et al. 2020, arXiv 2001.07437), with three traps of
its reference code left out: boxes are half-open, a component is counted in pixels, and truth is never truncated to
integers. Maps are raw and already brought to the image (or to any common grid) with their truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import box_iou

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Half-open pixel edges (x0, y0, x1, y1)."""
Scaling = Literal["positive", "minmax"]

THRESHOLDS = 100
LEVELS = (0.3, 0.5, 0.7)
"""Overlaps over which MaxBoxAccV2 is averaged."""
TOLERANCE = 15.0
"""Pixels within which Zhang et al. 2016 (arXiv 1608.00507) count a point as a hit."""
PXAP_BINS = 1000


def scaled(values: FloatMap, scaling: Scaling = "positive") -> FloatMap:
    """Return the map in 0..1: its positive part over its maximum, or ``minmax`` the signed map stretched.

    A map without anything positive (or, stretched, a constant one) is zero everywhere. What is not finite counts as
    the lowest value.
    """
    values = np.asarray(values, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    low = float(values[finite].min()) if scaling == "minmax" else 0.0
    raised = np.maximum(np.where(finite, values, low) - np.float32(low), 0)
    high = float(raised.max())
    if not high > 0:
        return np.zeros_like(raised)
    return np.asarray(raised / np.float32(high), dtype=np.float32)


def thresholds(count: int = THRESHOLDS) -> Floats:
    """Return the thresholds of every curve: ``0, 1/count, 2/count, ...`` below 1."""
    return np.arange(count) / count


# --- boxes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoxCurve:
    """Best overlap with a true box at each threshold of one map.

    Attributes:
        largest: of the box of the largest component, ``[T]``.
        any: of the best box of all components, ``[T]``.
    """

    largest: Floats
    any: Floats


def box_curve(
    values: FloatMap, truth: Sequence[Box], *, scaling: Scaling = "minmax", count: int = THRESHOLDS
) -> BoxCurve:
    """Return how well the boxes of a map agree with the true ones, at every threshold.

    At threshold t the pixels *above* t (of the map in 0..1) form 8-connected components. ``largest`` follows Zhou et
    al. 2016 and takes the one of most pixels; ``any`` takes the best of all.

    Args:
        values: raw map ``[H, W]``.
        truth: boxes in the same pixels; at least one.
        scaling: ``minmax`` as in Choe et al. 2020.
        count: thresholds.

    Raises:
        ValueError: without a true box.
    """
    if not truth:
        raise ValueError("a box curve needs a true box")
    normalised = scaled(values, scaling)
    largest, best = np.zeros(count), np.zeros(count)
    for index, threshold in enumerate(thresholds(count)):
        kept = (normalised > threshold).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(kept, connectivity=8, ltype=cv2.CV_32S)
        if len(stats) < 2:
            continue
        found = stats[1:]
        overlap = [
            max(box_iou((x, y, x + width, y + height), box) for box in truth) for x, y, width, height, _ in found
        ]
        largest[index] = overlap[int(np.argmax(found[:, cv2.CC_STAT_AREA]))]
        best[index] = max(overlap)
    return BoxCurve(largest, best)


def max_box_acc(curves: Sequence[BoxCurve], *, level: float = 0.5) -> tuple[float, float]:
    """Return MaxBoxAcc and its threshold: the share of images whose largest box reaches `level`, at its maximum."""
    return _peak(np.stack([curve.largest for curve in curves]) >= level)


def max_box_acc_v2(curves: Sequence[BoxCurve], *, levels: Sequence[float] = LEVELS) -> float:
    """Return MaxBoxAccV2: the best of all boxes counts; the mean of the maxima over `levels` of overlap."""
    overlap = np.stack([curve.any for curve in curves])
    return float(np.mean([_peak(overlap >= level)[0] for level in levels]))


def _peak(hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the highest share over the thresholds, and the lowest threshold that has it."""
    share = hits.mean(axis=0)
    best = int(np.argmax(share))
    return float(share[best]), float(thresholds(len(share))[best])


# --- masks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaskCurve:
    """Overlap of the thresholded map with the true mask at each threshold, ``[T]`` each."""

    iou: Floats
    dice: Floats


def mask_curve(
    values: FloatMap, truth: BoolMask, *, scaling: Scaling = "positive", count: int = THRESHOLDS
) -> MaskCurve:
    """Return IoU and Dice of ``map > t`` at every threshold; all components count.

    Where map and truth are both empty the overlap is 1.

    Raises:
        ValueError: when the shapes differ.
    """
    normalised = scaled(values, scaling)
    _same_shape(normalised, truth)
    inside = _histogram(normalised[truth], count)
    outside = _histogram(normalised[~truth], count)
    hits, false = _above(inside), _above(outside)
    true = float(truth.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = np.where(true + false > 0, hits / (true + false), 1.0)
        dice = np.where(true + hits + false > 0, 2 * hits / (true + hits + false), 1.0)
    return MaskCurve(iou, dice)


def _histogram(values: FloatMap, count: int) -> Floats:
    """Return how many values lie in each interval ``(t, t + 1/count]``, and first those at 0: ``[count + 1]``."""
    bins = np.searchsorted(thresholds(count), values.ravel(), side="left")
    return np.bincount(bins, minlength=count + 1).astype(np.float64)


def _above(histogram: Floats) -> Floats:
    """Return how many values lie above each threshold, ``[count]``."""
    return np.cumsum(histogram[::-1])[::-1][1:]


class PixelPrecision:
    """PxAP: average precision of pixels, pooled over all images (Choe et al. 2020).

    Every pixel of every image is one sample with the map's value (``minmax``, in 1000 steps) as its score.
    """

    def __init__(self) -> None:
        self._true = np.zeros(PXAP_BINS + 1)
        self._false = np.zeros(PXAP_BINS + 1)

    def add(self, values: FloatMap, truth: BoolMask, *, ignore: BoolMask | None = None) -> None:
        """Count one image; pixels of `ignore` are left out.

        Raises:
            ValueError: when the shapes differ.
        """
        normalised = scaled(values, "minmax")
        _same_shape(normalised, truth)
        counted = np.ones(truth.shape, dtype=np.bool_) if ignore is None else ~ignore
        self._true += _histogram(normalised[truth & counted], PXAP_BINS)
        self._false += _histogram(normalised[~truth & counted], PXAP_BINS)

    def value(self) -> float:
        """Return the area under precision over recall, 0..1: ``sum of P(t) * (R(t) - R(t + 1))``; NaN without truth."""
        true = float(self._true.sum())
        if true == 0:
            return math.nan
        # From the strictest threshold down; at the end every pixel is kept.
        hits = np.cumsum(self._true[::-1])
        kept = hits + np.cumsum(self._false[::-1])
        gained = np.diff(hits, prepend=0.0) / true
        precision = np.divide(hits, kept, out=np.zeros_like(hits), where=kept > 0)
        return float((precision * gained).sum())


# --- points and energy ------------------------------------------------------------------------------------------------


def pointing(values: FloatMap, truth: BoolMask, *, tolerance: float = 0.0) -> float:
    """Return 1 when a pixel that holds the map's maximum lies in the truth, else 0; NaN where the truth is empty.

    Args:
        values: raw map ``[H, W]``; one without a positive value points nowhere.
        truth: true mask.
        tolerance: distance from the truth in pixels that still counts (`TOLERANCE` in Zhang et al. 2016).

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(values, truth)
    if not truth.any():
        return math.nan
    values = np.nan_to_num(values, nan=-np.inf)
    highest = values.max()
    if not highest > 0:
        return 0.0
    near = truth
    if tolerance > 0:
        distance = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        near = np.asarray(distance <= tolerance)
    return float((near & (values == highest)).any())


def energy_inside(values: FloatMap, region: BoolMask) -> float:
    """Return the share of the map's positive part that lies in `region`; NaN without a positive value.

    The energy-based pointing game of Wang et al. 2020 (arXiv 1910.01279), "relevance mass accuracy" elsewhere.

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(values, region)
    energy = np.maximum(np.nan_to_num(values, nan=0.0, posinf=0.0), 0).astype(np.float64)
    total = float(energy.sum())
    return float(energy[region].sum()) / total if total > 0 else math.nan


def energy_gain(values: FloatMap, region: BoolMask) -> float:
    """Return `energy_inside` divided by the region's share of the area: 1.0 is chance; NaN for an empty region."""
    share = float(region.mean()) if region.size else 0.0
    return energy_inside(values, region) / share if share > 0 else math.nan


def rank_accuracy(values: FloatMap, truth: BoolMask) -> float:
    """Return the share of the ``n`` highest pixels that lie in the truth of ``n`` pixels; NaN where it is empty.

    Relevance rank accuracy (Arras et al. 2022, arXiv 2003.07258). Pixels that tie at the last rank count by the share
    of them that are inside, so that no order of pixels decides.

    Raises:
        ValueError: when the shapes differ.
    """
    _same_shape(values, truth)
    wanted = int(truth.sum())
    if wanted == 0:
        return math.nan
    values = np.nan_to_num(values, nan=-np.inf)
    last = np.partition(values, values.size - wanted, axis=None)[values.size - wanted]
    above, tied = values > last, values == last
    places = wanted - int(above.sum())
    return float((above & truth).sum() + places * (tied & truth).sum() / tied.sum()) / wanted


def tile(index: int, size: tuple[int, int]) -> BoolMask:
    """Return the mask of one tile of a 2x2 mosaic of `size` (width, height): 0 and 1 above, 2 and 3 below."""
    width, height = size
    mask = np.zeros((height, width), dtype=np.bool_)
    row, column = divmod(index, 2)
    mask[row * height // 2 : (row + 1) * height // 2, column * width // 2 : (column + 1) * width // 2] = True
    return mask


def grid_pointing(values: FloatMap, index: int) -> float:
    """Return 1 when the map's maximum lies in tile `index` of a 2x2 mosaic, else 0; chance is 0.25.

    The share of the energy in that tile (Boehle et al. 2021, arXiv 2104.00032) is
    ``energy_inside(values, tile(index, size))``.
    """
    return pointing(values, tile(index, (values.shape[1], values.shape[0])))


# --- doubt ------------------------------------------------------------------------------------------------------------


def roc_auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties half.

    NaN without both.
    """
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    wanted, others = values[labels], np.sort(values[~labels])
    if not wanted.size or not others.size:
        return math.nan
    below = np.searchsorted(others, wanted, side="left")
    upto = np.searchsorted(others, wanted, side="right")
    return float((below + upto).mean() / 2 / others.size)


def risk_coverage(doubts: Sequence[float], overlaps: Sequence[float]) -> Floats:
    """Return the mean overlap of the least doubtful 1, 2, ... n masks, ``[n]``; equal doubts keep their order."""
    order = np.argsort(np.asarray(doubts), kind="stable")
    sorted_overlaps = np.asarray(overlaps, dtype=np.float64)[order]
    return np.asarray(np.cumsum(sorted_overlaps) / np.arange(1, len(sorted_overlaps) + 1), dtype=np.float64)


def _same_shape(values: NDArray[np.generic], truth: BoolMask) -> None:
    if values.shape != truth.shape:
        raise ValueError(f"map of {values.shape} and truth of {truth.shape}")
