"""How doubtful a mask is, without truth: from the image, the map and the mask alone.

Each sign lies in 0..1 and is 1 where nothing speaks against the mask; none may speak the other way. A logistic function
joins them, whose weights were fitted once to whether masks overlap a true one by at least 0.65 (the limit of ISIC
2018). So the score estimates the probability of a failed mask: it means the same in every picture. There are two fits,
as in the choice of a mask (`camviewer.regions.consensus`): on a background of one tone colour tells, elsewhere only the
map knows what is meant, and what is left to ask is whether the mask holds it. docs/pseudo-masks.md has what was fitted,
and how well it does elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions import consensus
from camviewer.regions.find import BoolMask
from camviewer.regions.shapes import grown
from camviewer.regions.work import Work

AROUND = 0.05
"""How far around a mask the map still counts as held by it, as a share of the longer side: maps are coarse."""
IGNORE = 255
"""Of a three-valued mask: where training neither rewards nor punishes."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for a mask, 0..1 each; the first three are asked on a background of one tone, the last one elsewhere.

    Attributes:
        agreement: mean overlap with the outlines that colour offers where the map is, over five channels and four
            thresholds of each (`camviewer.regions.consensus`).
        compact: root of ``4 pi area / outline^2``.
        unrivalled: how much better the outlines at the mask score than those elsewhere in the picture, by
            contrast, contact with the frame and map together (`camviewer.regions.consensus`): 0.5 where another one
            is as good.
        held: share of the map's positive part in the mask or close around, beyond the mask's share of the picture.
    """

    agreement: float = 0.0
    compact: float = 0.0
    unrivalled: float = 0.0
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class Fit:
    """A logistic function of signs.

    Attributes:
        weights: of each sign, at least 0.
        offset: what they have to outweigh.
    """

    weights: Signs
    offset: float

    def doubt(self, signs: Signs) -> float:
        evidence = sum(weight * sign for weight, sign in zip(astuple(self.weights), astuple(signs), strict=True))
        return 1 / (1 + math.exp(evidence - self.offset))


ONE_TONE = Fit(Signs(agreement=3.1, compact=3.4, unrivalled=6.0), offset=9.2)
SEVERAL_TONES = Fit(Signs(held=2.8), offset=1.5)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Probability that a mask is wrong, 0..1, and the signs it comes from."""

    score: float
    signs: Signs


def judge(work: Work, mask: BoolMask) -> Doubt:
    """Return how doubtful a mask ``[H, W]`` of an image and its map is; an empty one is 1."""
    size = (work.energy.shape[1], work.energy.shape[0])
    small = np.asarray(cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_AREA), dtype=np.bool_)
    if not small.any():
        return Doubt(1.0, Signs())
    if work.one_tone:
        signs = _by_outlines(work, small)
        return Doubt(ONE_TONE.doubt(signs), signs)
    signs = Signs(held=_held(work, small))
    return Doubt(SEVERAL_TONES.doubt(signs), signs)


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


def _by_outlines(work: Work, mask: BoolMask) -> Signs:
    found = consensus.offered(work)
    outline, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # Outlines run through pixel centres: half a pixel inside the edge on all sides.
    around = sum(cv2.arcLength(part, closed=True) + math.pi for part in outline)
    return Signs(
        agreement=0.0 if found is None else consensus.agreement(found, mask),
        compact=math.sqrt(min(1.0, 4 * math.pi * int(mask.sum()) / around**2)),
        unrivalled=0.0 if found is None else consensus.unrivalled(found, mask),
    )


def _held(work: Work, mask: BoolMask) -> float:
    energy, chance = work.energy, float(mask.mean())
    share = float(energy[grown(mask, work.length(AROUND))].sum()) / max(float(energy.sum()), 1e-6)
    return max(0.0, share - chance) / max(1 - chance, 1e-6)
