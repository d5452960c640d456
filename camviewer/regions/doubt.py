"""How doubtful a mask is, without truth: from the image, the map and the mask alone.

Each sign lies in 0..1 and is 1 where nothing speaks against the mask. They are joined by a logistic function whose
weights were fitted once, on half of the lesions of one data set, to whether the mask overlaps an expert's by at
least 0.65 (the limit of ISIC 2018). The score therefore is an estimate of the probability of a failed mask, not a
rank: it means the same in every picture. docs/pseudo-masks.md shows how well it does on the other half.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions import consensus
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import iou
from camviewer.regions.otsu import otsu
from camviewer.regions.outline import trace
from camviewer.regions.shapes import components, filled, frame, grown
from camviewer.regions.work import Work

SHIFT = 0.08
"""Of the blue channel's threshold, as a share of its range, under which a good mask hardly changes."""
IGNORE = 255
"""Of a three-valued mask: where training neither rewards nor punishes."""
HALF_CONTRAST = 10.0
"""Difference in CIE Lab at which the sign of contrast is 0.5."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for a mask, 0..1 each.

    Attributes:
        agreement: mean overlap with the outlines that colour offers where the map is (`camviewer.regions.consensus`).
        stability: overlap of the blue channel's region at a slightly lower and a slightly higher threshold.
        separability: share of the blue channel's variance that Otsu's two classes explain.
        contrast: colour inside against the ring around, ``d / (d + 10)`` with d in CIE Lab.
        inside: one minus the share of the outline on the image's frame or on an artefact.
        compact: root of ``4 pi area / outline^2``.
        distinct: the step of colour across the outline against how much the surroundings vary along it
            (`camviewer.regions.outline`).
        unrivalled: how much better the outlines at the mask score than those elsewhere in the whole picture, by
            colour and map together (`camviewer.regions.consensus`): 0.5 where another one is as good.
    """

    agreement: float
    stability: float
    separability: float
    contrast: float
    inside: float
    compact: float
    distinct: float
    unrivalled: float


WEIGHTS = Signs(
    agreement=1.5,
    stability=2.3,
    separability=0.6,
    contrast=0.6,
    inside=1.2,
    compact=1.5,
    distinct=0.2,
    unrivalled=3.3,
)
OFFSET = 7.2


@dataclass(frozen=True, slots=True)
class Doubt:
    """Probability that a mask is wrong, 0..1, and the signs it comes from."""

    score: float
    signs: Signs


def judge(work: Work, mask: BoolMask, within: tuple[Work, BoolMask] | None = None) -> Doubt:
    """Return how doubtful a mask ``[H, W]`` of an image and its map is; an empty one is 1.

    Args:
        work: image and map, or a window of them.
        mask: of the same size.
        within: the whole image and the mask in it, where `work` is a window.
    """
    small = _reduced(mask, work)
    if not small.any():
        return Doubt(1.0, Signs(*[0.0] * len(fields(Signs))))
    signs = _signs(work, small, _unrivalled(*(within or (work, mask))))
    evidence = sum(weight * sign for weight, sign in zip(astuple(WEIGHTS), astuple(signs), strict=True))
    return Doubt(1 / (1 + math.exp(evidence - OFFSET)), signs)


def uncertain(work: Work) -> BoolMask:
    """Return where a mask of this image and map is uncertain, bool ``[H, W]``.

    That is where some but not most of the outlines that colour offers lie: between an eighth and seven eighths of
    their weight. Two thresholds with a band between that training ignores are established in weak supervision (Ahn et
    al. 2019, arXiv 1904.05044).
    """
    found = consensus.offered(work)
    height, width = work.full
    if found is None:
        return np.zeros((height, width), dtype=np.bool_)
    soft = cv2.resize(consensus.shares(found), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray((soft > 1 / 8) & (soft < 7 / 8), dtype=np.bool_)


def three_valued(mask: BoolMask, band: BoolMask | None, class_value: int) -> NDArray[np.uint8]:
    """Return a mask and its uncertain band as 0, `class_value` (1..254) and `IGNORE`, uint8 ``[H, W]``.

    Raises:
        ValueError: for a class value that is 0, or that means something else.
    """
    if not 0 < class_value < IGNORE:
        raise ValueError(f"class value {class_value}")
    values = np.where(mask, np.uint8(class_value), np.uint8(0))
    return values if band is None else np.where(band, np.uint8(IGNORE), values)


def _reduced(mask: BoolMask, work: Work) -> BoolMask:
    size = (work.energy.shape[1], work.energy.shape[0])
    return np.asarray(cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_AREA), dtype=np.bool_)


def _unrivalled(work: Work, mask: BoolMask) -> float:
    found = consensus.offered(work)
    return 0.0 if found is None else consensus.unrivalled(found, _reduced(mask, work))


def _signs(work: Work, mask: BoolMask, unrivalled: float) -> Signs:
    seen = ~work.excluded
    found = consensus.offered(work)
    agreement = 0.0 if found is None else consensus.agreement(found, mask)
    blue = work.smooth[:, :, 2]
    stability, separability = _blue(blue, seen, mask)
    difference = consensus.stands_out(work, mask)
    outline, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(outline)[:, 0, :]
    edge = frame((mask.shape[0], mask.shape[1]))
    if work.excluded.any():
        edge |= grown(work.excluded, 2)
    around = sum(cv2.arcLength(part, closed=True) + math.pi for part in outline)
    area = int(mask.sum())
    return Signs(
        agreement=agreement,
        stability=stability,
        separability=separability,
        contrast=difference / (difference + HALF_CONTRAST),
        inside=1 - float(edge[points[:, 1], points[:, 0]].mean()),
        compact=math.sqrt(min(1.0, 4 * math.pi * area / around**2)),
        distinct=trace(mask, edge, seen, work.lab).distinct,
        unrivalled=unrivalled,
    )


def _blue(blue: FloatMap, seen: BoolMask, mask: BoolMask) -> tuple[float, float]:
    """Return stability and separability of the blue channel."""
    values = blue[seen]
    if values.size == 0 or not np.ptp(values) > 0:
        return 0.0, 0.0
    level, spread = otsu(values), float(np.ptp(values))
    dark = values <= level
    share = float(dark.mean())
    between = (
        share * (1 - share) * (float(values[dark].mean()) - float(values[~dark].mean())) ** 2 if 0 < share < 1 else 0.0
    )
    regions = []
    for shift in (-SHIFT, SHIFT):
        kept = (blue <= level + shift * spread) & seen
        count, labels, _ = components(kept)
        shared = np.bincount(labels[mask], minlength=count + 1)
        shared[0] = 0
        regions.append(filled(labels == int(np.argmax(shared))) if shared.any() else np.zeros_like(mask))
    lower, upper = regions
    return (iou(lower, upper) if upper.any() else 0.0), between / max(float(values.var()), 1e-9)
