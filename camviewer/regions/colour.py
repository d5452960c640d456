"""The map chooses, the colour draws: a lesion's mask from the picture, picked by the map.

A map of 7 x 7 cells knows where a lesion is, not where it ends; colour knows the edge, not which edge matters. So hair
is painted over, dark corners are left out, the blue channel (where pigment is darkest) is split by Otsu, the component
that holds most of the map is kept, and GrabCut moves its border to the colours' (Rother et al. 2004). The map only
selects: weighting colours by it measured worse. All lengths are shares of the picture's longer side.
"""

from __future__ import annotations

import cv2
import numpy as np

from camviewer.images.geometry import FloatMap
from camviewer.regions import grabcut
from camviewer.regions.find import BoolMask
from camviewer.regions.otsu import otsu
from camviewer.regions.shapes import closed, components, enlarged, filled, grown, largest, shrunk
from camviewer.regions.work import Work

_CLOSE = 0.0135
_SURE = 0.02  # how far inside and outside the border GrabCut is free
_FREE = 0.05


def draw(work: Work, *, rounds: int, grow: float) -> BoolMask:
    """Return the mask of the dark area that the map points at, bool ``[H, W]``.

    Args:
        work: image and map; its positive part chooses.
        rounds: of GrabCut.
        grow: how far the mask is widened, in per cent of the longer side.
    """
    seen = ~work.excluded
    blue = work.smooth[:, :, 2]
    if not seen.any() or np.ptp(blue[seen]) == 0:
        return np.zeros(work.full, dtype=np.bool_)
    dark = closed((blue <= otsu(blue[seen])) & seen, work.length(_CLOSE)) & seen
    chosen = _component_of(dark, work.energy)
    if chosen is None:
        return np.zeros(work.full, dtype=np.bool_)
    mask = filled(chosen)
    if rounds > 0:
        mask = _grab_cut(work, mask, rounds=rounds)
    return enlarged(grown(mask, round(grow / 100 * work.side)) & seen, work.full)


def _component_of(mask: BoolMask, energy: FloatMap) -> BoolMask | None:
    """Return the component that holds most of the map, or None where none holds any."""
    count, labels, _ = components(mask)
    held = np.bincount(labels.ravel(), weights=energy.ravel(), minlength=count + 1)[1:]
    if not count or not held.max() > 0:
        return None
    return np.asarray(labels == int(np.argmax(held)) + 1, dtype=np.bool_)


def _grab_cut(work: Work, mask: BoolMask, *, rounds: int) -> BoolMask:
    """Return `mask` with its border moved to where the colours part; unchanged where there is nothing to part."""
    marks = np.full(mask.shape, cv2.GC_BGD, dtype=np.uint8)
    marks[grown(mask, work.length(_FREE)) & ~work.excluded] = cv2.GC_PR_BGD
    marks[mask] = cv2.GC_PR_FGD
    marks[shrunk(mask, work.length(_SURE))] = cv2.GC_FGD
    if not (marks & 1).any() or (marks & 1).all():
        return mask
    grabcut.cut(work.clean, marks, rounds)
    kept = np.asarray(marks & 1, dtype=np.bool_)
    return filled(largest(kept)) if kept.any() else mask
