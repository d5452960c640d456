"""Edges grown from the map's own certainty: GrabCut and watershed, for any photograph."""

from __future__ import annotations

import importlib

import cv2
import numpy as np

from camviewer.regions import grabcut
from camviewer.regions.find import BoolMask
from camviewer.regions.shapes import components, enlarged, filled, largest
from camviewer.regions.work import Work


def grab_cut(work: Work, *, inside: float, outside: float, rounds: int) -> BoolMask:
    """Return what GrabCut (Rother et al. 2004) cuts out, bool ``[H, W]``.

    Args:
        work: image and map.
        inside: fraction of the map's maximum from which a pixel surely belongs to it.
        outside: fraction below which it surely does not.
        rounds: of GrabCut.
    """
    energy = work.energy
    sure, never = _certain(work, inside, outside)
    marks = np.full(energy.shape, cv2.GC_PR_BGD, dtype=np.uint8)
    marks[energy >= (inside + outside) / 2] = cv2.GC_PR_FGD
    marks[never] = cv2.GC_BGD
    marks[sure] = cv2.GC_FGD
    if not sure.any() or not never.any():
        return enlarged(sure, work.full)
    grabcut.cut(work.clean, marks, rounds)
    return _finished(work, np.asarray(marks & 1, dtype=np.bool_), sure)


def watershed(work: Work, *, inside: float, outside: float) -> BoolMask:
    """Return the basin of the map's certain part, flooded over the colours' gradient (Meyer 1992), bool ``[H, W]``.

    Arguments as of `grab_cut`.
    """
    sure, never = _certain(work, inside, outside)
    if not sure.any() or not never.any():
        return enlarged(sure, work.full)
    marks = np.zeros(work.energy.shape, dtype=np.int32)
    marks[never], marks[sure] = 1, 2
    bgr = cv2.cvtColor(np.clip(work.smooth, 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    cv2.watershed(bgr, marks)
    basin = np.asarray(marks == 2, dtype=np.bool_)
    # The dam between the basins is one pixel wide and belongs to neither.
    dam = cv2.dilate(basin.view(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_) & (marks == -1)
    dam[0], dam[-1], dam[:, 0], dam[:, -1] = basin[0], basin[-1], basin[:, 0], basin[:, -1]
    return _finished(work, basin | dam, sure)


def along_edges(work: Work, *, level: float, rounds: int) -> BoolMask:
    """Return where the map, spread over pixels that look alike, keeps a fraction `level` of its maximum.

    The spreading (PAMR, Araslanov and Roth 2020) needs torch; it is loaded here, on first use.
    """
    spread = importlib.import_module("camviewer.cam.pamr").spread
    found = spread(work.clean, work.energy, rounds=rounds)
    kept = np.asarray((found >= level * found.max()) & (found > 0) & ~work.excluded)
    return _finished(work, kept, kept)


def _certain(work: Work, inside: float, outside: float) -> tuple[BoolMask, BoolMask]:
    """Return what surely is inside and what surely is not."""
    energy = work.energy
    sure = (energy >= inside) & (energy > 0) & ~work.excluded
    # A broad map leaves nothing below `outside`; its lowest tenth then has to do.
    never = (energy <= max(outside, float(np.percentile(energy, 10)))) & ~sure | work.excluded
    return np.asarray(sure), np.asarray(never)


def _finished(work: Work, mask: BoolMask, sure: BoolMask) -> BoolMask:
    mask = mask & ~work.excluded
    if work.rule.components == "largest":
        mask = largest(mask)
    else:
        # Only regions that grew from a certain part.
        count, labels, _ = components(mask)
        touched = np.bincount(labels[sure & mask], minlength=count + 1) > 0
        touched[0] = False
        mask = np.asarray(touched[labels], dtype=np.bool_)
    return enlarged(filled(mask) & ~work.excluded, work.full)
