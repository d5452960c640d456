"""Many edges, one vote: the map chooses among the outlines that colour offers, and they agree on the mask.

Five channels that show pigment (`camviewer.regions.channels`) are each cut at Otsu's threshold and at levels between it
and the skin. Of each cut, the three components that the map lies on most become candidates. What is drawn again and
again is rarely an accident, so a candidate scores by a product of powers (`POWERS`) of

    support by other cuts, root of area, 1 - contact with the frame, compactness, distinctness

which colour alone tells, times the map's mean evidence in it. The mask is where the candidates, weighted by the fourth
power of their score, have 35 % of the weight. No term knows where in the picture a lesion should be.

A map may be wrong, and then it is wrong with confidence: high on a ruler, on a corner, beside the lesion. So on a
background of one tone it decides only among outlines that colour alone finds about as good (`CLEAR`) as the best that
stands free of the frame.

The mask is then moved out to where the edge ends (`camviewer.regions.edge`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions.channels import channels
from camviewer.regions.edge import moved_out
from camviewer.regions.find import BoolMask
from camviewer.regions.otsu import otsu
from camviewer.regions.outline import Outline, trace
from camviewer.regions.shapes import closed, components, enlarged, filled, frame, grown, opened
from camviewer.regions.work import Work

Floats = NDArray[np.float64]

LEVELS = (0.6, 0.8, 1.0, 1.2)
"""Cuts: 0 is the skin's median, 1 is Otsu's threshold."""
OFFERED = 3
"""Components of each cut."""
POWERS = {"support": 1.25, "area": 0.5, "inside": 1.0, "compact": 0.5, "distinct": 1.25}
"""How much each measure of a candidate counts for colour."""
CLEAR = 5 / 3
"""How many times as good by colour alone another outline has to be for the map not to overrule it."""
LEANING = 0.1
"""Share of an outline on the frame above which it may be shade towards a corner, and a map may overrule it."""
TRUST = 3
"""Power of the map's evidence where the background has several tones."""
SHARPNESS = 4
VOTE = 0.35
LIKE = 0.3
"""Overlap with the best candidate that makes another one vote."""
AWAY = 0.1
"""Share of a candidate in a mask below which it is another thing."""
NOTICEABLE = 5.0
"""Difference in CIE Lab from which anybody sees two colours (Mokrzycki and Tatol 2011); mottled skin has less."""

_SMALLEST = 0.001
_LARGEST = 0.95
_OPEN = 0.008
_CLOSE = 0.0135
_RING = 0.03

NOTHING = "nothing stands out where the map is high"


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Outlines offered for one region.

    Attributes:
        masks: bool ``[N, h, w]`` at the working size.
        cut: which cut each is from, ``[N]``.
        overlap: IoU of each with each, ``[N, N]``.
        colour: what colour alone says for each, ``[N]``.
        meant: mean evidence of the map in each, ``[N]``.
        allowed: which of them the map may choose, bool ``[N]``.
    """

    masks: NDArray[np.bool_]
    cut: NDArray[np.int64]
    overlap: Floats
    colour: Floats
    meant: Floats
    allowed: NDArray[np.bool_]

    @property
    def score(self) -> Floats:
        """Colour and map together; 0 for what the map may not choose."""
        return self.colour * self.meant * self.allowed

    @property
    def best(self) -> int:
        return int(np.argmax(self.score))


def draw(work: Work, *, grow: float) -> BoolMask:
    """Return the mask of what the map points at, bool ``[H, W]``; empty where nothing stands out.

    With the rule's ``components: all`` further regions are drawn as long as the map, outside of those drawn, still
    reaches the rule's threshold and their colour stands out at least half as much as the first one's.

    Args:
        work: image and map.
        grow: how far the mask is widened beyond its edge, in per cent of the longer side.
    """
    total = np.zeros(work.energy.shape, dtype=np.bool_)
    energy, evidence = work.energy, trusted(work)
    first = 0.0
    for _ in range(8 if work.rule.components == "all" else 1):
        found = offered(work) if energy is work.energy else offer(work, evidence)
        mask = None if found is None else vote(found)
        if mask is None or (mask & total).sum() > 0.2 * mask.sum():
            break
        contrast = stands_out(work, mask)
        if contrast < max(NOTICEABLE, first / 2):
            break
        first = first or contrast
        total |= mask
        taken = grown(mask, work.length(0.05))
        energy, evidence = (np.where(taken, np.float32(0), values) for values in (energy, evidence))
        if energy.max() < max(work.rule.threshold, 1e-6):
            break
    if not total.any():
        return np.zeros(work.full, dtype=np.bool_)
    wide = grown(moved_out(work, total), round(grow / 100 * work.side)) & ~work.excluded
    return enlarged(wide, work.full)


def offered(work: Work) -> Candidates | None:
    """Return the candidates for the whole map; computed once."""
    if not work.offered:
        work.offered.append(offer(work, trusted(work)))
    return work.offered[0]


def trusted(work: Work) -> FloatMap:
    """Return the evidence of the map at the working size: the more, the less colour can tell by itself.

    On a background of one tone whatever stands out is a likely object. Where there are several, as in a picture of
    many things, only the map knows which is meant: there its positive part counts alone, to the power of `TRUST`.
    """
    return work.evidence if work.one_tone else np.asarray(work.pointed**TRUST, dtype=np.float32)


def offer(work: Work, evidence: FloatMap) -> Candidates | None:
    """Return the candidates for where `evidence` (at the working size) is, or None without one."""
    seen = ~work.excluded
    if seen.sum() < 16 or not evidence[seen].any():
        return None
    edge = frame(seen.shape) | (grown(work.excluded, 2) if work.excluded.any() else work.excluded)
    masks: list[BoolMask] = []
    cuts: list[int] = []
    outlines: list[Outline] = []
    cut = 0
    for channel in channels(work).values():
        level = otsu(channel[seen])
        below = channel[seen][channel[seen] <= level]
        base = float(np.median(below)) if below.size else level
        for step in LEVELS:
            kept = (channel > base + step * (level - base)) & seen
            kept = closed(opened(kept, work.length(_OPEN)), work.length(_CLOSE)) & seen
            for mask in _most_evident(kept, evidence):
                masks.append(mask)
                cuts.append(cut)
                outlines.append(trace(mask, edge, seen, work.lab))
            cut += 1
    if not masks:
        return None
    stack, numbers = np.stack(masks), np.array(cuts)
    overlap = _overlaps(stack)
    areas = stack.sum(axis=(1, 2))
    terms = {
        "support": support(overlap, numbers) * len(set(cuts)) / cut,
        "area": areas / areas.max(),
        "inside": 1 - np.array([min(o.border, 0.99) for o in outlines]),
        "compact": np.array([o.compact for o in outlines]),
        "distinct": np.array([max(o.distinct, 1e-3) for o in outlines]),
    }
    colour = np.prod([terms[name] ** power for name, power in POWERS.items()], axis=0)
    meant = np.array([float(evidence[mask].mean()) for mask in masks])
    allowed = np.ones(len(colour), dtype=np.bool_)
    if work.one_tone:
        free = np.array([o.border <= LEANING for o in outlines])
        allowed = colour * CLEAR >= colour[free].max(initial=0)
    return Candidates(stack, numbers, overlap, colour, meant, allowed)


def support(overlap: Floats, cut: NDArray[np.int64]) -> Floats:
    """Return how well the best candidate of each cut overlaps with each row of `overlap` ``[R, N]``, on average."""
    return np.asarray(np.mean([overlap[:, cut == number].max(axis=1) for number in np.unique(cut)], axis=0))


def agreement(found: Candidates, mask: BoolMask) -> float:
    """Return how well the best candidate of each cut overlaps with a mask at the working size, on average."""
    return float(support(_overlap(found, mask)[None], found.cut)[0])


def unrivalled(found: Candidates, mask: BoolMask) -> float:
    """Return the best score of the candidates like a mask, over the sum of that and the best one elsewhere, 0..1."""
    away = (found.masks & mask).sum(axis=(1, 2)) < AWAY * found.masks.sum(axis=(1, 2))
    score = found.colour * found.meant
    own = float(score[_overlap(found, mask) > LIKE].max(initial=0))
    other = float(score[away].max(initial=0))
    return own / (own + other) if own > 0 else 0.0


def _overlap(found: Candidates, mask: BoolMask) -> Floats:
    """Return the IoU of each candidate with a mask at the working size, ``[N]``."""
    both = (found.masks & mask).sum(axis=(1, 2))
    either = found.masks.sum(axis=(1, 2)) + mask.sum() - both
    return np.asarray(both / np.maximum(either, 1))


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
    voting = weight > 1e-4
    voted = np.tensordot(weight[voting], found.masks[voting].astype(np.float32), axes=1) / weight[voting].sum()
    return np.asarray(voted, dtype=np.float32)


def stands_out(work: Work, mask: BoolMask) -> float:
    """Return how far the mean colour inside lies from that of the ring around, in CIE Lab; 0 without a ring."""
    ring = grown(mask, work.length(_RING)) & ~mask & ~work.excluded
    if not ring.any() or not mask.any():
        return 0.0
    return float(np.linalg.norm(work.lab[mask].mean(axis=0) - work.lab[ring].mean(axis=0)))


def _most_evident(kept: BoolMask, evidence: FloatMap) -> list[BoolMask]:
    """Return the components with most evidence per root of area, filled.

    Evidence alone would choose the largest component, evidence per area the smallest.
    """
    count, labels, table = components(kept)
    if not count:
        return []
    areas = table[1:, -1]
    held = np.bincount(labels.ravel(), weights=evidence.ravel(), minlength=count + 1)[1:]
    density = np.where(areas > _SMALLEST * kept.size, held / np.sqrt(areas), 0)
    order = np.argsort(-density)[:OFFERED]
    masks = (filled(np.asarray(labels == int(i) + 1)) for i in order if density[i] > 0)
    return [mask for mask in masks if mask.sum() <= _LARGEST * mask.size]


def _overlaps(masks: NDArray[np.bool_]) -> Floats:
    """Return the IoU of each mask with each; every second pixel of every second row is enough to tell."""
    step = 2 if min(masks.shape[1:]) > 32 else 1
    flat = masks[:, ::step, ::step].reshape(len(masks), -1).astype(np.float32)
    both = flat @ flat.T
    areas = flat.sum(axis=1)
    return np.asarray(both / np.maximum(areas[:, None] + areas[None] - both, 1), dtype=np.float64)
