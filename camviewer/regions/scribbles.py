"""A mask cut out by a few strokes that say what is inside and what is not: GrabCut with a person's seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions import grabcut
from camviewer.regions.drawing import Window, fill_holes
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import mask_box

WORKING_SIDE = 360
"""Longer side at which the edge is found."""

_MARGIN = 0.5
"""What is seen around mask and strokes, as a share of their longer side: background to learn its colours from."""

_REACH = 0.25
"""How far the edge may move away from mask and strokes, as a share of the longer side of what is seen."""

_SEED, _SURE = 0.4, 0.8
"""Shares of the map's maximum from which a pixel probably and surely is inside, where there is no mask yet."""

_BAND = 0.12
"""How far from its outline a mask is decided anew where no stroke is near, as a share of the root of its area."""

_RELEASED = 0.35
"""How far around an outside stroke it is decided anew, as a share of the root of the area of the piece it is on."""


@dataclass(frozen=True, slots=True)
class Scribble:
    """One stroke.

    Attributes:
        points: its way (x, y), pixel edges of the image; a single one is a dab.
        width: in image pixels.
        inside: whether it marks what belongs to the mask, or what does not.
    """

    points: tuple[tuple[float, float], ...]
    width: float
    inside: bool


def cut_out(
    pixels: NDArray[np.uint8],
    scribbles: Sequence[Scribble],
    *,
    base: BoolMask | None = None,
    energy: FloatMap | None = None,
    rounds: int = 3,
) -> BoolMask:
    """Return the mask that strokes and colours make of `base` (GrabCut, Rother et al. 2004).

    Strokes are certain, later ones over earlier ones. Where there is a mask, colours decide only in a band around its
    outline and near the strokes, so that what is right stays; of several pieces, one that has an outside stroke and
    no inside one is dropped. Where there is none, colours decide everything, starting from the map, else from what
    looks like the strokes. Pieces without an inside stroke or a part of `base` are dropped, and holes are filled where
    no stroke says that they are outside. doi 10.1145/1015706.1015720

    Args:
        pixels: upright RGB ``[H, W, 3]``.
        scribbles: in the order they were drawn.
        base: mask to change, bool ``[H, W]``; None or empty for a new one.
        energy: raw map over the whole image in any resolution ``[h, w]``; used where there is no `base`.
        rounds: of GrabCut.

    Returns:
        bool ``[H, W]``; `base` unchanged (or an empty mask) when nothing says what is inside.
    """
    height, width = pixels.shape[:2]
    start = np.zeros((height, width), dtype=np.bool_) if base is None else base
    box = mask_box(start)
    if energy is not None and (box is not None or not float(energy.max()) > 0):
        energy = None
    if box is None and energy is None and not any(scribble.inside for scribble in scribbles):
        return start.copy()
    x0, y0, x1, y1 = _seen(scribbles, box, (width, height))
    scale = min(1.0, WORKING_SIDE / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    picture = np.asarray(cv2.resize(pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    strokes = _drawn(scribbles, size, (x0, y0), (size[0] / (x1 - x0), size[1] / (y1 - y0)))
    rough = cv2.resize(start[y0:y1, x0:x1].astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    share: FloatMap | None = None
    if energy is not None:
        share = np.asarray(cv2.resize(energy, size, interpolation=cv2.INTER_LINEAR) / float(energy.max()), np.float32)
    cut = _cut(picture, strokes, np.asarray(rough), share, rounds=rounds)
    # Enlarged as a soft mask, so that the edge has no stairs.
    soft = cv2.resize(cut.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    result = np.zeros_like(start)
    exact = _drawn(scribbles, (x1 - x0, y1 - y0), (x0, y0), (1.0, 1.0))
    result[y0:y1, x0:x1] = ((soft >= 0.5) | (exact == cv2.GC_FGD)) & (exact != cv2.GC_BGD)
    return result


def _seen(scribbles: Sequence[Scribble], box: Window | None, size: tuple[int, int]) -> Window:
    """Return the part of the image that is looked at: mask and strokes with a margin, all of it without a mask."""
    width, height = size
    if box is None:
        return 0, 0, width, height
    corners = [point for scribble in scribbles for point in scribble.points]
    corners += [(float(box[0]), float(box[1])), (float(box[2]), float(box[3]))]
    columns, rows = zip(*corners, strict=True)
    margin = _MARGIN * max(max(columns) - min(columns), max(rows) - min(rows), 0.25 * max(size))
    x0, x1 = (int(min(max(edge, 0), width)) for edge in (min(columns) - margin, max(columns) + margin))
    y0, y1 = (int(min(max(edge, 0), height)) for edge in (min(rows) - margin, max(rows) + margin))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _drawn(
    scribbles: Sequence[Scribble], size: tuple[int, int], corner: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Return the strokes as GrabCut's marks, uint8 ``[h, w]``; `GC_PR_BGD` where none is."""
    marks = np.full((size[1], size[0]), cv2.GC_PR_BGD, dtype=np.uint8)
    bits = 4  # positions to a sixteenth of a pixel
    for scribble in scribbles:
        way = (np.asarray(scribble.points, dtype=np.float64) - corner) * scale - 0.5
        points = np.rint(way * 2**bits).astype(np.int32).reshape(-1, 1, 2)
        value = int(cv2.GC_FGD if scribble.inside else cv2.GC_BGD)
        width = max(1, round(scribble.width * min(scale)))
        if len(points) > 1:
            cv2.polylines(marks, [points], False, value, width, cv2.LINE_8, bits)
        x, y = (int(edge) for edge in points[0, 0])
        cv2.circle(marks, (x, y), (width << bits) // 2, value, -1, cv2.LINE_8, bits)
    return marks


def _cut(
    picture: NDArray[np.uint8],
    strokes: NDArray[np.uint8],
    rough: BoolMask,
    share: FloatMap | None,
    *,
    rounds: int,
) -> BoolMask:
    inside, outside = np.asarray(strokes == cv2.GC_FGD), np.asarray(strokes == cv2.GC_BGD)
    reach = _REACH * max(rough.shape)
    if rough.any():
        sure, never = _kept(rough, inside, outside, reach=reach)
        near = rough
    elif share is not None:
        near = np.asarray(share >= _SEED)
        sure = np.asarray((share >= _SURE) & (_distance(outside) > 0.5 * reach))
        never = np.asarray(_distance(near | inside) > reach)
    else:
        near = _alike(picture, inside, outside)
        sure = np.zeros_like(rough)
        never = np.asarray(_distance(inside) > 2 * reach)
    marks = np.where(near, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[never], marks[sure] = cv2.GC_BGD, cv2.GC_FGD
    marks[inside], marks[outside] = cv2.GC_FGD, cv2.GC_BGD
    if not (marks & 1).any():
        return np.zeros_like(rough)
    if (marks & 1).all():
        # Nothing is outside yet: what touches the frame may be.
        marks[[0, -1]] = marks[:, [0, -1]] = cv2.GC_PR_BGD
        marks[inside] = cv2.GC_FGD
    if not (marks & 1).all():
        grabcut.cut(np.asarray(cv2.medianBlur(picture, 5), dtype=np.uint8), marks, rounds)
    cut = np.asarray(marks & 1, dtype=np.bool_)
    _, labels = cv2.connectedComponents(cut.view(np.uint8), connectivity=8)
    held = np.unique(labels[inside | (cut & (rough | sure))])
    return np.asarray(fill_holes(np.isin(labels, held[held > 0])) & ~outside, dtype=np.bool_)


def _alike(picture: NDArray[np.uint8], inside: BoolMask, outside: BoolMask) -> BoolMask:
    """Return what looks more like the inside strokes than like the outside ones and the frame of the picture."""
    lab = cv2.cvtColor(cv2.medianBlur(picture, 5), cv2.COLOR_RGB2LAB).astype(np.float32)
    others = outside.copy()
    others[[0, -1]] = others[:, [0, -1]] = True
    others &= ~inside
    if not inside.any() or not others.any():
        return inside
    apart = [((lab - np.median(lab[there], axis=0)) ** 2).sum(axis=2) for there in (inside, others)]
    return np.asarray(apart[0] < apart[1], dtype=np.bool_)


def _kept(rough: BoolMask, inside: BoolMask, outside: BoolMask, *, reach: float) -> tuple[BoolMask, BoolMask]:
    """Return what of a mask stays inside, and what stays outside of it."""
    count, labels = cv2.connectedComponents(rough.view(np.uint8), connectivity=8)
    depth = cv2.distanceTransform(rough.view(np.uint8), cv2.DIST_L2, 5)
    sure, dropped, band = np.zeros_like(rough), np.zeros_like(rough), 0.0
    for number in range(1, count):
        piece = labels == number
        side = float(np.sqrt(piece.sum()))
        band = max(band, 2.0, _BAND * side)
        struck = outside & piece
        if count > 2 and struck.any() and not (inside & piece).any():
            dropped |= piece
            continue
        # A thin piece has no depth: its middle line stays.
        deep = depth > min(max(2.0, _BAND * side), 0.7 * float(depth[piece].max()))
        sure |= piece & deep & (_distance(struck) > _RELEASED * side)
    never = (_distance(rough) > band) & (_distance(inside) > reach)
    return sure, np.asarray(never | dropped)


def _distance(mask: BoolMask) -> FloatMap:
    """Return the distance of each pixel to `mask`; far away everywhere when it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5), dtype=np.float32)
