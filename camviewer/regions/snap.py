"""A mask that a person drew roughly, moved to the colours' edge: GrabCut in a band around its outline."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions import grabcut
from camviewer.regions.drawing import fill_holes
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import mask_box

WORKING_SIDE = 512
"""Longer side at which the edge is found."""

_BAND = 0.12
"""How far the edge may move, as a share of the mask's own size (the root of its area)."""

_SURE = 0.8
"""Share of the map's maximum from which a pixel in the band surely belongs to the mask."""

_MARGIN = 1.0
"""What is seen around the mask, as a share of its longer side: enough background to learn its colours from."""


def snap_to_colours(
    pixels: NDArray[np.uint8], mask: BoolMask, *, values: FloatMap | None = None, rounds: int = 4
) -> BoolMask:
    """Return `mask` with its edge where the colours part (GrabCut, Rother et al. 2004, doi 10.1145/1015706.1015720).

    What lies deep inside stays inside and what lies far outside stays outside; only a band around the outline is
    decided by colour. A map makes its peak certain as well. A mask that holds nothing or everything is returned
    unchanged, and so is one whose colours do not part from those around it.

    Args:
        pixels: upright RGB ``[H, W, 3]``.
        mask: bool ``[H, W]``.
        values: raw map upsampled to the image ``[H, W]``, or None.
        rounds: of GrabCut.

    Raises:
        ValueError: when the sizes differ.
    """
    if pixels.shape[:2] != mask.shape or (values is not None and values.shape != mask.shape):
        raise ValueError(f"image {pixels.shape[:2]} and mask {mask.shape} differ in size")
    box = mask_box(mask)
    if box is None or mask.all():
        return mask.copy()
    height, width = mask.shape
    margin = round(_MARGIN * max(box[2] - box[0], box[3] - box[1])) + 8
    x0, y0 = max(0, box[0] - margin), max(0, box[1] - margin)
    x1, y1 = min(width, box[2] + margin), min(height, box[3] + margin)
    part = mask[y0:y1, x0:x1]
    scale = min(1.0, WORKING_SIDE / max(part.shape))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    picture = np.asarray(cv2.resize(pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rough = np.asarray(cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5)
    energy: FloatMap | None = None
    if values is not None and float(values.max()) > 0:
        share = cv2.resize(values[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA) / float(values.max())
        energy = np.asarray(share, dtype=np.float32)
    cut = _cut(picture, rough, energy, rounds=rounds)
    if cut is None:
        return mask.copy()
    # Enlarged as a soft mask, so that the edge has no stairs.
    soft = cv2.resize(cut.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    result = np.zeros_like(mask)
    result[y0:y1, x0:x1] = soft >= 0.5
    return result


def _cut(picture: NDArray[np.uint8], rough: BoolMask, energy: FloatMap | None, *, rounds: int) -> BoolMask | None:
    """Return what GrabCut makes of the band around `rough`, or None where there is nothing to decide."""
    band = max(2.0, _BAND * float(np.sqrt(rough.sum())))
    within = cv2.distanceTransform(rough.astype(np.uint8), cv2.DIST_L2, 5)
    beyond = cv2.distanceTransform((~rough).astype(np.uint8), cv2.DIST_L2, 5)
    marks = np.where(rough, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[beyond > band] = cv2.GC_BGD
    # A thin mask has no depth: its middle line stays certain.
    marks[within > min(band, 0.7 * float(within.max()))] = cv2.GC_FGD
    if energy is not None:
        marks[(energy >= _SURE) & (beyond <= band)] = cv2.GC_FGD
    if not (marks == cv2.GC_FGD).any() or not (marks == cv2.GC_BGD).any():
        return None
    grabcut.cut(np.asarray(cv2.medianBlur(picture, 5), dtype=np.uint8), marks, rounds)
    cut = np.asarray(marks & 1, dtype=np.bool_)
    # Crumbs in the band are texture: only pieces that hold something certain stay.
    count, labels = cv2.connectedComponents(cut.view(np.uint8), connectivity=8)
    held = np.bincount(labels[marks == cv2.GC_FGD], minlength=count) > 0
    held[0] = False
    return fill_holes(np.asarray(held[labels], dtype=np.bool_))
