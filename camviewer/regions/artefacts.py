"""What lies on the skin and is not skin: hair, dark corners, rulers, ink, coloured stickers, gel bubbles.

Detectors are rules on colour and shape, relative to the picture's own skin, and know nothing of any data set. A mask
may be wrong; `Artefacts.flags` names only what covers a noticeable share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions.find import BoolMask
from camviewer.regions.shapes import closed, components, disc, enlarged, frame, grown, opened

Pixels = NDArray[np.uint8]
Kind = Literal["hair", "dark corner", "ruler", "ink", "sticker", "gel bubble"]
KINDS: tuple[Kind, ...] = ("hair", "dark corner", "ruler", "ink", "sticker", "gel bubble")

SIDE = 512
"""Longer side at which artefacts are looked for; hair and ticks are lost in a smaller copy."""

_HAIR = 0.05  # width of the black-hat, above the width of a hair
_HAIR_DEPTH = 12  # grey levels a hair is darker than the skin on both sides
_LINE_DEPTH = 12
_CORNER_MARGIN = 0.02
_CORNER_LEVEL = 0.35
_FLAG: dict[Kind, float] = {
    "hair": 0.015,
    "dark corner": 0.01,
    "ruler": 0.0005,
    "ink": 0.002,
    "sticker": 0.01,
    "gel bubble": 0.002,
}
"""Share of the picture from which a kind is named."""


@dataclass(frozen=True, slots=True, eq=False)
class Artefacts:
    """Artefacts of one image.

    Attributes:
        masks: bool ``[H, W]`` by kind; kinds that were not found are missing.
        flags: kinds that cover a noticeable share.
    """

    masks: dict[Kind, BoolMask]
    flags: tuple[Kind, ...]

    def union(self, shape: tuple[int, int]) -> BoolMask:
        """Return all of them together, bool ``[H, W]``."""
        mask = np.zeros(shape, dtype=np.bool_)
        for found in self.masks.values():
            mask |= found
        return mask


def find_artefacts(pixels: Pixels) -> Artefacts:
    """Return the artefacts of an upright RGB image."""
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    corners = dark_corners(small)
    ink, stickers = _stains(small)
    # The weave of a sticker is full of lines.
    lines = _thin_dark(small) & ~corners & ~grown(stickers, round(0.01 * SIDE))
    ruler = _ruler(lines)
    found: dict[Kind, BoolMask] = {
        "hair": _long(lines & ~grown(ruler, 2)),
        "dark corner": corners,
        "ruler": ruler,
        "ink": ink & ~corners,
        "sticker": stickers & ~corners,
        "gel bubble": _bubbles(small) & ~corners,
    }
    masks = {kind: enlarged(mask, (height, width)) for kind, mask in found.items() if mask.any()}
    flags = tuple(kind for kind in KINDS if found[kind].mean() >= _FLAG[kind])
    return Artefacts(masks, flags)


def dark_corners(pixels: Pixels) -> BoolMask:
    """Return the black frame of a dermatoscope: dark components that touch a corner, with a margin."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), max(0.5, 0.01 * max(pixels.shape)))
    # Against the picture's own brightness, so that dark skin is not a frame.
    dark = (grey < _CORNER_LEVEL * np.median(grey)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=8)
    touching = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    found = np.isin(labels, list(touching))
    return grown(found, max(1, round(_CORNER_MARGIN * max(pixels.shape)))) if found.any() else found


def stained(pixels: Pixels) -> BoolMask:
    """Return ink and stickers that come in from the frame, with a margin.

    What lies free in the picture is left alone, however strange its colour: blue and violet lesions exist.
    """
    ink, stickers = _stains(pixels)
    both = _from_frame(ink | stickers)
    return grown(both, max(1, round(0.01 * max(pixels.shape)))) if both.any() else both


def painted_over(pixels: Pixels) -> Pixels:
    """Return the picture with thin dark lines filled from their surroundings (after Lee et al. 1997).

    The filling is a mean of the neighbours that are no line, weighted by a Gaussian: as good below a mask's edge as
    inpainting, and ten times faster.
    """
    width = max(3, round(_HAIR * max(pixels.shape)) | 1)
    hair = _black_hat(pixels, width) > _HAIR_DEPTH
    if not hair.any():
        return pixels
    sigma = width / 4
    keep = (~hair).astype(np.float32)
    weight = cv2.GaussianBlur(keep, (0, 0), sigma)
    total = cv2.GaussianBlur(pixels * keep[:, :, None], (0, 0), sigma)
    known = hair & (weight > 1e-3)
    painted = pixels.copy()
    painted[known] = np.clip(total[known] / weight[known, None] + 0.5, 0, 255).astype(np.uint8)
    return painted


def _black_hat(pixels: Pixels, width: int) -> NDArray[np.uint8]:
    """Return how much darker each pixel is than its surroundings, for structures thinner than `width`."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel), dtype=np.uint8)


def _thin_dark(pixels: Pixels) -> BoolMask:
    width = max(3, round(0.03 * max(pixels.shape)) | 1)
    return np.asarray(_black_hat(pixels, width) > _LINE_DEPTH, dtype=np.bool_)


def _long(lines: BoolMask) -> BoolMask:
    """Return the components that are much longer than they are wide: hairs, and nets of crossing hairs."""
    count, labels, table = components(lines)
    if not count:
        return lines
    side = max(lines.shape)
    extent = np.hypot(table[1:, cv2.CC_STAT_WIDTH], table[1:, cv2.CC_STAT_HEIGHT])
    thickness = table[1:, cv2.CC_STAT_AREA] / np.maximum(extent, 1)
    keep = np.concatenate([[False], (extent > 0.08 * side) & (thickness < 0.06 * extent + 0.012 * side)])
    return np.asarray(keep[labels], dtype=np.bool_)


def _ruler(lines: BoolMask) -> BoolMask:
    """Return rulers: a long straight line with strokes at even distances beside it."""
    side = max(lines.shape)
    nothing = np.zeros_like(lines)
    segments = cv2.HoughLinesP(
        lines.view(np.uint8) * np.uint8(255),
        1,
        np.pi / 360,
        threshold=round(0.15 * side),
        minLineLength=round(0.25 * side),
        maxLineGap=round(0.03 * side),
    )
    if segments is None:
        return nothing
    ends = [[int(v) for v in row] for row in segments.reshape(-1, 4)]
    ends.sort(key=lambda s: -math.hypot(s[2] - s[0], s[3] - s[1]))
    for x0, y0, x1, y1 in ends[:12]:
        if _has_ticks(lines, (x0, y0), (x1, y1)):
            near = np.zeros(lines.shape, dtype=np.uint8)
            cv2.line(near, (x0, y0), (x1, y1), 1, thickness=max(3, round(0.07 * side)))
            if lines[near > 0].mean() < 0.4:  # a texture has lines everywhere
                return lines & (near > 0)
    return nothing


def _has_ticks(lines: BoolMask, start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Return whether strokes stand at even distances beside a segment."""
    height, width = lines.shape
    side = max(height, width)
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    along = np.array([(end[0] - start[0]) / length, (end[1] - start[1]) / length])
    across = np.array([-along[1], along[0]])
    steps = np.arange(0, length, 0.5)
    middle = np.rint(np.array(start) + steps[:, None] * along).astype(int)
    thick = cv2.dilate(lines.view(np.uint8), disc(1))
    if thick[np.clip(middle[:, 1], 0, height - 1), np.clip(middle[:, 0], 0, width - 1)].mean() < 0.85:
        return False
    for sign in (1, -1):
        # Strokes closer than 2 % of the side may be the steps of a slanting line's own edge.
        counts = []
        for offset in (0.008, 0.011, 0.014, 0.017, 0.02):
            points = np.array(start) + steps[:, None] * along + sign * offset * side * across
            columns = np.clip(np.rint(points[:, 0]).astype(int), 0, width - 1)
            rows = np.clip(np.rint(points[:, 1]).astype(int), 0, height - 1)
            counts.append(_strokes(lines[rows, columns], 0.02 * side))
        if max(counts) >= 6:
            return True
    return False


def _strokes(profile: BoolMask, least: float) -> int:
    """Return how many runs a profile (two samples a pixel) has, if they lie at even distances of at least `least`."""
    turns = np.diff(profile.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    if len(starts) < 6 or profile.mean() > 0.6:
        return 0
    gaps = np.diff((starts + ends) / 4)
    step = float(np.median(gaps))
    # A missing stroke makes a gap of two steps.
    even = np.abs(gaps / step - np.maximum(1, np.round(gaps / step))) < 0.25
    return len(starts) if even.mean() >= 0.7 and step > least else 0


def _stains(pixels: Pixels) -> tuple[BoolMask, BoolMask]:
    """Return ink and stickers: strong colours that skin and its pigments do not have.

    In CIE Lab skin, blood and melanin lie between red and yellow. A *cold* stain (green, blue, violet) has such a hue
    and lies 25 away from the skin of the picture in a and b, so that a bluish light makes no stain. A bluish veil over
    a melanoma stays below. A *warm* sticker (orange, red) is far more colourful than the skin, as bright, and enters
    from the frame. Large solid stains are stickers, the others ink.
    """
    side = max(pixels.shape)
    small = cv2.GaussianBlur(pixels, (0, 0), max(0.5, 0.004 * side)).astype(np.float32) / np.float32(255)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    light, a, b = lab[:, :, 0], lab[:, :, 1], lab[:, :, 2]
    seen = light > _CORNER_LEVEL * np.median(light)
    nothing = np.zeros(light.shape, dtype=np.bool_)
    if not seen.any():
        return nothing, nothing
    bright = seen & (light >= np.median(light[seen]))
    skin_light, skin_a, skin_b = (float(np.median(channel[bright])) for channel in (light, a, b))
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    away = np.hypot(a - skin_a, b - skin_b)
    cold = (hue > 115) & (hue < 340) & (chroma > 8) & (away > 25) & (light > 12)
    # Violet markers leave thin pale lines; no pigment is violet.
    cold |= (hue > 280) & (hue < 340) & (chroma > 8) & (away > 15) & (light > 25)
    if cold.mean() > 0.5:  # a picture taken in such a light, not a stain
        cold = nothing
    warm = (chroma > math.hypot(skin_a, skin_b) + 28) & (light > skin_light - 30)
    warm = _from_frame(opened(warm, max(1, round(0.01 * side))))
    sticker_core = closed(cold | warm, max(1, round(0.004 * side)))
    count, labels, table = components(sticker_core)
    solid = cv2.erode(sticker_core.view(np.uint8), disc(max(1, round(0.02 * side)))) > 0
    is_sticker = np.bincount(labels[solid], minlength=count + 1) > 0
    is_sticker[1:] &= table[1:, cv2.CC_STAT_AREA] > 0.005 * cold.size
    is_sticker[0] = False
    stickers = np.asarray(is_sticker[labels], dtype=np.bool_)
    ink = np.asarray((cold | warm) & ~stickers, dtype=np.bool_)
    return ink, stickers


def _from_frame(mask: BoolMask) -> BoolMask:
    """Return the components that touch the image's frame."""
    count, labels, _ = components(mask)
    touched = np.zeros(count + 1, dtype=np.bool_)
    touched[np.unique(labels[frame((mask.shape[0], mask.shape[1]))])] = True
    touched[0] = False
    return np.asarray(touched[labels], dtype=np.bool_)


def _bubbles(pixels: Pixels) -> BoolMask:
    """Return bright rings and glints of immersion gel: small, colourless, far brighter than their surroundings."""
    side = max(pixels.shape)
    brightest = pixels.min(axis=2)  # white is bright in all channels
    kernel = disc(max(1, round(0.02 * side)))
    raised = cv2.morphologyEx(brightest, cv2.MORPH_TOPHAT, kernel)
    bright = np.asarray((raised > 40) & (brightest > np.percentile(brightest, 75)), dtype=np.bool_)
    count, labels, table = components(bright)
    if not count:
        return bright
    keep = np.zeros(count + 1, dtype=np.bool_)
    keep[1:] = table[1:, cv2.CC_STAT_AREA] >= 4
    keep[np.unique(labels[frame((bright.shape[0], bright.shape[1]))])] = False
    return np.asarray(keep[labels], dtype=np.bool_)
