"""The map chooses, the colour draws: a lesion's mask from the picture, picked by the map.

A map of 7 x 7 cells knows where a lesion is, not where it ends; colour knows the edge, not which edge matters. So hair
is painted over, dark corners are left out, the blue channel (where pigment is darkest) is split by Otsu, the component
that holds most of the map is kept, and GrabCut moves its border to the colours' (Rother et al. 2004). The map only
selects: weighting colours by it measured worse. All lengths are shares of the picture's longer side.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.catalogue.parameters import Value
from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask, Regions

Pixels = NDArray[np.uint8]
Plane = NDArray[np.uint8]

WORKING_SIDE = 256
"""Longer side at which edges are drawn; a finer picture only adds skin texture."""

_HAIR = 0.05  # width of the black-hat, above the width of a hair
_HAIR_DEPTH = 12  # grey levels a hair is darker than the skin on both sides
_SMOOTH = 0.01
_CLOSE = 0.027
_CORNER_MARGIN = 0.02
_SURE = 0.02  # how far inside and outside the border GrabCut is free
_FREE = 0.05


def draw_by_colour(pixels: Pixels, values: FloatMap, regions: Regions, parameters: Mapping[str, Value]) -> BoolMask:
    """Return the mask of the coloured area that the map points at, bool ``[H, W]``.

    Args:
        pixels: upright RGB.
        values: raw map upsampled to `pixels`; its positive part chooses.
        regions: of the map; not used, since the choice needs no threshold.
        parameters: ``rounds`` of GrabCut, ``grow`` in per cent of the longer side.
    """
    height, width = values.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    side = max(size)
    picture = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    energy = np.maximum(cv2.resize(values, size, interpolation=cv2.INTER_AREA), 0)

    corners = dark_corners(picture)
    clean = without_hair(picture)
    dark = _dark_part(clean, corners)
    chosen = _component_of(dark, energy)
    if chosen is None:
        return np.zeros((height, width), dtype=np.bool_)
    mask = _filled(chosen)
    rounds = int(parameters["rounds"])
    if rounds > 0:
        mask = _grab_cut(clean, mask, corners, rounds=rounds)
    grow = round(float(parameters["grow"]) / 100 * side)
    if grow > 0:
        mask = _dilate(mask, grow) & ~corners
    enlarged = cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(enlarged, dtype=np.bool_)


def dark_corners(pixels: Pixels) -> BoolMask:
    """Return the black frame of a dermatoscope: dark components that touch a corner, with a margin."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), max(0.5, _SMOOTH * max(pixels.shape)))
    # Against the picture's own brightness, so that dark skin is not a frame.
    dark = (grey < 0.35 * np.median(grey)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=8)
    touching = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    frame = np.isin(labels, list(touching))
    return _dilate(frame, max(1, round(_CORNER_MARGIN * max(pixels.shape)))) if frame.any() else frame


def without_hair(pixels: Pixels) -> Pixels:
    """Return the picture with thin dark lines painted over from their surroundings (after Lee et al. 1997)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    width = max(3, round(_HAIR * max(pixels.shape)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    hair = (cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel) > _HAIR_DEPTH).astype(np.uint8)
    if not hair.any():
        return pixels
    return np.asarray(cv2.inpaint(pixels, hair, 3, cv2.INPAINT_TELEA), dtype=np.uint8)


def _dark_part(pixels: Pixels, corners: BoolMask) -> BoolMask:
    """Return what Otsu calls dark in the blue channel, outside the corners, closed."""
    side = max(pixels.shape)
    blue = cv2.GaussianBlur(np.ascontiguousarray(pixels[:, :, 2]), (0, 0), max(0.5, _SMOOTH * side))
    seen = blue[~corners]
    if seen.size == 0 or seen.min() == seen.max():
        return np.zeros(corners.shape, dtype=np.bool_)
    level, _ = cv2.threshold(seen.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = ((blue <= level) & ~corners).astype(np.uint8)
    closed = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, _disc(max(1, round(_CLOSE * side / 2))))
    return closed.astype(np.bool_) & ~corners


def _component_of(mask: BoolMask, energy: FloatMap) -> BoolMask | None:
    """Return the 8-connected component that holds most of the map, or None where none holds any."""
    count, found = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    labels = np.asarray(found, dtype=np.int32)
    if count < 2:
        return None
    held = np.bincount(labels.ravel(), weights=energy.ravel(), minlength=count)[1:]
    if not held.max() > 0:
        return None
    return np.asarray(labels == int(np.argmax(held)) + 1, dtype=np.bool_)


def _grab_cut(pixels: Pixels, mask: BoolMask, corners: BoolMask, *, rounds: int) -> BoolMask:
    """Return `mask` with its border moved to where the colours part; unchanged where there is nothing to part."""
    side = max(mask.shape)
    inside = cv2.erode(mask.view(np.uint8), _disc(max(1, round(_SURE * side)))).astype(np.bool_)
    reach = _dilate(mask, max(1, round(_FREE * side))) & ~corners
    marks = np.full(mask.shape, cv2.GC_BGD, dtype=np.uint8)
    marks[reach] = cv2.GC_PR_BGD
    marks[mask] = cv2.GC_PR_FGD
    marks[inside] = cv2.GC_FGD
    if not (marks & 1).any() or (marks & 1).all():
        return mask
    cv2.setRNGSeed(0)  # its colour models start from k-means
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    # The rectangle is not used with GC_INIT_WITH_MASK.
    cv2.grabCut(bgr, marks, (0, 0, 1, 1), background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
    cut = np.asarray(marks & 1, dtype=np.bool_)
    if not cut.any():
        return mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cut.view(np.uint8), connectivity=8)
    largest = int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) + 1
    return _filled(np.asarray(labels == largest, dtype=np.bool_))


def _filled(mask: BoolMask) -> BoolMask:
    """Return the mask without holes: everything that the outside does not reach."""
    outside = cv2.copyMakeBorder((~mask).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0], dtype=np.bool_)


def _dilate(mask: BoolMask, radius: int) -> BoolMask:
    return np.asarray(cv2.dilate(mask.view(np.uint8), _disc(radius)), dtype=np.bool_)


def _disc(radius: int) -> Plane:
    shape = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, shape), dtype=np.uint8)
