"""Many edges, one vote: the map chooses among the outlines that colour offers, and they agree on the mask.

Four channels that show pigment (blue, green, saturation, distance from the skin's colour) are each cut at Otsu's
threshold and at levels between it and the skin. Of each cut, the component that the map lies on becomes a candidate.
What is drawn again and again is rarely an accident, so a candidate scores by

    agreement with the others x energy per root of area x (1 - contact with the frame) x root of compactness

and the mask is where the candidates, weighted by the fourth power of their score, have 35 % of the weight. No term
knows where in the picture a lesion should be. The mask is then widened a little, since experts draw outside the
colour's edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask
from camviewer.regions.shapes import closed, components, enlarged, filled, frame, grown, opened
from camviewer.regions.work import Work

Floats = NDArray[np.float64]

CHANNELS = ("blue", "green", "saturation", "distance")
LEVELS = (0.6, 0.8, 1.0, 1.2)
"""Cuts: 0 is the skin's median, 1 is Otsu's threshold."""
SHARPNESS = 4
VOTE = 0.35
LIKE = 0.3
"""Overlap with the best candidate that makes another one vote."""
NOTICEABLE = 2.3
"""Just noticeable difference of two colours in CIE Lab (Mahy et al. 1994)."""

_OPEN = 0.008
_CLOSE = 0.0135
_RING = 0.03

EVEN = 12.0
"""Distance in CIE Lab within which 80 % of an even background lie from its tone; dermoscopic skin has 4 to 11."""

NOTHING = "nothing stands out where the map is high"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Outlines offered for one region.

    Attributes:
        masks: bool ``[N, h, w]`` at the working size.
        overlap: IoU of each with each, ``[N, N]``.
        score: of each, ``[N]``; see the module.
        border: share of each outline that lies on the frame or on what is left out, ``[N]``.
    """

    masks: NDArray[np.bool_]
    overlap: Floats
    score: Floats
    border: Floats

    @property
    def best(self) -> int:
        return int(np.argmax(self.score))

    @property
    def agreement(self) -> float:
        """Mean overlap of the best candidate with all."""
        return float(self.overlap[self.best].mean())


def draw(work: Work, *, grow: float) -> BoolMask:
    """Return the mask of what the map points at, bool ``[H, W]``; empty where nothing stands out.

    With the rule's ``components: all`` further regions are drawn as long as the map, outside of those drawn, still
    reaches the rule's threshold and their colour stands out at least half as much as the first one's.

    Args:
        work: image and map.
        grow: how far the mask is widened, in per cent of the longer side.
    """
    total = np.zeros(work.energy.shape, dtype=np.bool_)
    energy = work.energy
    first = 0.0
    for _ in range(8 if work.rule.components == "all" else 1):
        found = offered(work) if energy is work.energy else offer(work, energy)
        mask = None if found is None else vote(found)
        if mask is None or (mask & total).sum() > 0.2 * mask.sum():
            break
        contrast = stands_out(work, mask)
        if contrast < max(NOTICEABLE, first / 2):
            break
        first = first or contrast
        total |= mask
        energy = np.where(grown(mask, work.length(0.05)), np.float32(0), energy)
        if energy.max() < max(work.rule.threshold, 1e-6):
            break
    if not total.any():
        return np.zeros(work.full, dtype=np.bool_)
    wide = grown(total, round(grow / 100 * work.side)) & ~work.excluded
    return enlarged(wide, work.full)


def offered(work: Work) -> Candidates | None:
    """Return the candidates for the whole map; computed once."""
    if not work.offered:
        work.offered.append(offer(work, work.energy))
    return work.offered[0]


def even_background(work: Work) -> bool:
    """Return whether the lighter part of the image has one tone; only then colours part at one level."""
    seen = ~work.excluded
    if not seen.any():
        return True
    blue = work.smooth[:, :, 2]
    lighter = seen & (blue > otsu(blue[seen]))
    if not lighter.any():
        return True
    tones = work.lab[lighter]
    away = np.linalg.norm(tones - np.median(tones, axis=0), axis=1)
    return bool(np.percentile(away, 80) <= EVEN)


def channels(work: Work, seen: BoolMask) -> dict[str, FloatMap]:
    """Return the four channels at the working size; more is more like a lesion."""
    smooth, lab = work.smooth, work.lab
    blue = smooth[:, :, 2]
    skin = seen & (blue > otsu(blue[seen]))
    tone = np.median(lab[skin] if skin.any() else lab[seen], axis=0)
    lowest, highest = smooth.min(axis=2), smooth.max(axis=2)
    return {
        "blue": 255 - blue,
        "green": 255 - smooth[:, :, 1],
        "saturation": (highest - lowest) / (highest + 1),
        "distance": np.linalg.norm(lab - tone, axis=2).astype(np.float32),
    }


def otsu(values: FloatMap) -> float:
    """Return Otsu's threshold of any values, from 256 bins between their extremes."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return low
    bins = ((values - low) * np.float32(255 / (high - low))).astype(np.uint8).reshape(1, -1)
    level, _ = cv2.threshold(bins, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (float(level) + 0.5) * (high - low) / 255


def offer(work: Work, energy: FloatMap) -> Candidates | None:
    """Return the candidates for where `energy` (at the working size) is, or None without one."""
    seen = ~work.excluded
    if seen.sum() < 16 or not energy[seen].any():
        return None
    edge = frame(seen.shape) | (grown(work.excluded, 2) if work.excluded.any() else work.excluded)
    masks: list[BoolMask] = []
    measures: list[tuple[float, float, float]] = []
    for channel in channels(work, seen).values():
        level = otsu(channel[seen])
        below = channel[seen][channel[seen] <= level]
        base = float(np.median(below)) if below.size else level
        for step in LEVELS:
            kept = (channel > base + step * (level - base)) & seen
            kept = closed(opened(kept, work.length(_OPEN)), work.length(_CLOSE)) & seen
            found = _chosen(kept, energy, edge)
            if found is not None:
                masks.append(found[0])
                measures.append(found[1])
    if not masks:
        return None
    stack = np.stack(masks)
    flat = stack.reshape(len(masks), -1).astype(np.float32)
    both = flat @ flat.T
    areas = flat.sum(axis=1)
    overlap = (both / np.maximum(areas[:, None] + areas[None] - both, 1)).astype(np.float64)
    density, border, compact = (np.array(column) for column in zip(*measures, strict=True))
    score = overlap.mean(axis=1) * density / density.max() * (1 - border) * np.sqrt(compact)
    return Candidates(stack, overlap, score, border)


def _chosen(kept: BoolMask, energy: FloatMap, edge: BoolMask) -> tuple[BoolMask, tuple[float, float, float]] | None:
    """Return the component with most energy per root of area, filled, with that, its border contact and compactness.

    Energy alone would choose the largest component, energy per area the smallest.
    """
    count, labels, table = components(kept)
    if not count:
        return None
    held = np.bincount(labels.ravel(), weights=energy.ravel(), minlength=count + 1)[1:]
    density = held / np.sqrt(table[1:, cv2.CC_STAT_AREA])
    if not density.max() > 0:
        return None
    mask = (labels == int(np.argmax(density)) + 1).view(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    drawn = cv2.drawContours(np.zeros_like(mask), [outline], -1, 1, thickness=cv2.FILLED)
    area = int(drawn.sum())
    points = outline[:, 0, :]
    border = float(edge[points[:, 1], points[:, 0]].mean())
    # The outline runs through pixel centres: half a pixel inside the edge on all sides.
    around = cv2.arcLength(outline, closed=True) + math.pi
    compact = min(1.0, 4 * math.pi * area / around**2)
    whole = np.asarray(drawn, dtype=np.bool_)
    return whole, (float(energy[whole].sum()) / math.sqrt(area), min(border, 0.99), compact)


def vote(found: Candidates) -> BoolMask:
    """Return where the candidates that resemble the best one have enough of the weight: one region without holes."""
    best = found.best
    mask = np.asarray(shares(found) >= VOTE, dtype=np.bool_)
    count, labels, _ = components(mask)
    if count > 1:
        held = np.bincount(labels[found.masks[best]], minlength=count + 1)
        held[0] = 0
        mask = np.asarray(labels == int(np.argmax(held)), dtype=np.bool_)
    return filled(mask)


def shares(found: Candidates) -> FloatMap:
    """Return the share of the weight that lies on each pixel, 0..1, float32 ``[h, w]``."""
    best = found.best
    weight = (found.score / found.score[best]) ** SHARPNESS * (found.overlap[best] > LIKE)
    voted = np.tensordot(weight, found.masks.astype(np.float32), axes=1) / weight.sum()
    return np.asarray(voted, dtype=np.float32)


def stands_out(work: Work, mask: BoolMask) -> float:
    """Return how far the mean colour inside lies from that of the ring around, in CIE Lab; 0 without a ring."""
    ring = grown(mask, work.length(_RING)) & ~mask & ~work.excluded
    if not ring.any() or not mask.any():
        return 0.0
    return float(np.linalg.norm(work.lab[mask].mean(axis=0) - work.lab[ring].mean(axis=0)))
