"""The measures of many images, taken together: one `Tally` a row of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camviewer.evaluation.localisation import (
    TOLERANCE,
    BoxCurve,
    Floats,
    PixelPrecision,
    box_curve,
    energy_gain,
    energy_inside,
    mask_curve,
    max_box_acc,
    max_box_acc_v2,
    pointing,
    rank_accuracy,
    risk_coverage,
    roc_auc,
    thresholds,
)
from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import dice, iou, thresholded_jaccard

FAILED = 0.65
"""Overlap below which ISIC 2018 counts a mask as a failure."""
KEPT = 0.7
"""Share of the least doubtful masks that is reported by itself."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MaskMeasures:
    """Means over the masks of a row; all 0..1."""

    images: int
    iou: float
    dice: float
    thresholded_jaccard: float
    empty: float


@dataclass(frozen=True, slots=True)
class MapMeasures:
    """Means over the maps of a row; None where only boxes are true (or only masks).

    Attributes:
        pointing: share of maxima inside; `pointing_tolerance` within 15 pixels of the truth.
        energy: share of the positive part inside; `energy_gain` over the share of the area (1.0 = chance).
        best_iou, best_threshold: of the curve over thresholds.
        max_box_acc, box_threshold: of the largest box at IoU 0.5; `max_box_acc_v2` of all boxes at 0.3, 0.5, 0.7.
        pxap: average precision of pixels, 0..1.
    """

    images: int
    pointing: float | None
    pointing_tolerance: float | None
    energy: float | None
    energy_gain: float | None
    rank_accuracy: float | None
    pxap: float | None
    best_iou: float | None
    best_threshold: float | None
    max_box_acc: float | None
    box_threshold: float | None
    max_box_acc_v2: float | None
    curve_threshold: tuple[float, ...] = ()
    curve_iou: tuple[float, ...] = ()
    curve_dice: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TriageMeasures:
    """How well the doubt scores find bad masks.

    Attributes:
        auc: of finding masks below 0.65; None where all or none are.
        kept_iou, kept_failed: mean IoU of the least doubtful 70 %, and the share of them below 0.65.
        risk_coverage: mean IoU of the least doubtful 10 %, 20 %, ... 100 %.
    """

    images: int
    auc: float | None
    kept_iou: float
    kept_failed: float
    risk_coverage: tuple[float, ...]


class Tally:
    """Collects the images of one row."""

    def __init__(self) -> None:
        self.overlaps: list[float] = []
        self._dices: list[float] = []
        self._empty = 0
        self._doubts: list[tuple[float, float]] = []
        self._maps = 0
        self._shares: dict[str, list[float]] = {
            name: [] for name in ("pointing", "pointing_tolerance", "energy", "energy_gain", "rank_accuracy")
        }
        self._boxes: list[BoxCurve] = []
        self._iou: list[Floats] = []
        self._dice: list[Floats] = []
        self._precision = PixelPrecision()

    def add_mask(self, mask: BoolMask, truth: BoolMask, *, doubt: float | None = None) -> None:
        """Count a drawn mask, at the image's size.

        Raises:
            ValueError: when the shapes differ.
        """
        overlap = iou(mask, truth)
        self.overlaps.append(overlap)
        self._dices.append(dice(mask, truth))
        self._empty += not mask.any()
        if doubt is not None:
            self._doubts.append((doubt, overlap))

    def add_map(self, values: FloatMap, truth: BoolMask | None, boxes: Sequence[Box], *, scale: float = 1.0) -> None:
        """Count a map.

        Args:
            values: raw map on any grid over the image.
            truth: true mask on the same grid, or None where only boxes are known.
            boxes: true boxes on the same grid.
            scale: pixels of that grid for one of the image, for the tolerance of pointing.

        Raises:
            ValueError: when the shapes differ.
        """
        self._maps += 1
        if boxes:
            self._boxes.append(box_curve(values, boxes))
        if truth is None:
            truth = _union(boxes, (values.shape[0], values.shape[1]))
        else:
            curve = mask_curve(values, truth)
            self._iou.append(curve.iou)
            self._dice.append(curve.dice)
            self._precision.add(values, truth)
            self._shares["rank_accuracy"].append(rank_accuracy(values, truth))
        self._shares["pointing"].append(pointing(values, truth))
        self._shares["pointing_tolerance"].append(pointing(values, truth, tolerance=TOLERANCE * scale))
        self._shares["energy"].append(energy_inside(values, truth))
        self._shares["energy_gain"].append(energy_gain(values, truth))

    def masks(self) -> MaskMeasures | None:
        """Return the means over masks, or None without one."""
        count = len(self.overlaps)
        if not count:
            return None
        return MaskMeasures(
            count,
            float(np.mean(self.overlaps)),
            float(np.mean(self._dices)),
            float(np.mean([thresholded_jaccard(overlap) for overlap in self.overlaps])),
            self._empty / count,
        )

    def maps(self) -> MapMeasures | None:
        """Return the means over maps, or None without one."""
        if not self._maps:
            return None
        means = {name: _mean(values) for name, values in self._shares.items()}
        best, at = max_box_acc(self._boxes) if self._boxes else (None, None)
        mean_iou = np.mean(self._iou, axis=0) if self._iou else np.zeros(0)
        mean_dice = np.mean(self._dice, axis=0) if self._dice else np.zeros(0)
        levels = thresholds(len(mean_iou)) if len(mean_iou) else np.zeros(0)
        peak = int(np.argmax(mean_iou)) if len(mean_iou) else -1
        precision = self._precision.value()
        return MapMeasures(
            images=self._maps,
            pointing=means["pointing"],
            pointing_tolerance=means["pointing_tolerance"],
            energy=means["energy"],
            energy_gain=means["energy_gain"],
            rank_accuracy=means["rank_accuracy"],
            pxap=None if math.isnan(precision) else precision,
            best_iou=float(mean_iou[peak]) if peak >= 0 else None,
            best_threshold=float(levels[peak]) if peak >= 0 else None,
            max_box_acc=best,
            box_threshold=at,
            max_box_acc_v2=max_box_acc_v2(self._boxes) if self._boxes else None,
            curve_threshold=tuple(levels.tolist()),
            curve_iou=tuple(mean_iou.tolist()),
            curve_dice=tuple(mean_dice.tolist()),
        )

    def triage(self) -> TriageMeasures | None:
        """Return what the doubt scores are worth, or None without one."""
        if not self._doubts:
            return None
        doubts, overlaps = (list(column) for column in zip(*self._doubts, strict=True))
        auc = roc_auc(doubts, [overlap < FAILED for overlap in overlaps])
        curve = risk_coverage(doubts, overlaps)
        kept = max(1, round(KEPT * len(doubts)))
        best = np.asarray(overlaps)[np.argsort(doubts, kind="stable")[:kept]]
        return TriageMeasures(
            len(doubts),
            None if math.isnan(auc) else auc,
            float(best.mean()),
            float((best < FAILED).mean()),
            tuple(float(curve[max(1, round(share / 10 * len(curve))) - 1]) for share in range(1, 11)),
        )


def _union(boxes: Sequence[Box], shape: tuple[int, int]) -> BoolMask:
    """Return the pixels whose centres lie in a box."""
    mask = np.zeros(shape, dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        left, top, right, bottom = (max(0, math.ceil(edge - 0.5)) for edge in (x0, y0, x1, y1))
        mask[top:bottom, left:right] = True
    return mask


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of what is defined, None where nothing is."""
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else None
