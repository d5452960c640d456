"""An image under its heat map, with the mask's outline and the boxes, as one picture."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.colormaps import table
from camviewer.images.geometry import FloatMap
from camviewer.project.records import BoolMask

Pixels = NDArray[np.uint8]

FAINT, STRONG = 0.04, 0.55
"""Shares of the maximum: weak evidence below the first leaves the image untouched, from the second on it is full."""

CASING = (20, 20, 20)
LINE = (255, 255, 255)


def overlay(
    pixels: Pixels,
    values: FloatMap,
    *,
    mask: BoolMask | None = None,
    boxes: Iterable[tuple[float, float, float, float]] = (),
    colour_map: str = "viridis",
    opacity: float = 0.6,
    peak: float | None = None,
) -> Pixels:
    """Return the picture, RGB ``[H, W, 3]``.

    Args:
        pixels: upright image ``[H, W, 3]``.
        values: raw map at the image's size ``[H, W]``; what is not above 0 shows the image alone.
        mask: drawn as an outline.
        boxes: half-open pixel edges.
        colour_map: of `camviewer.images.colormaps`.
        opacity: where the map is strong, 0..1.
        peak: value of the last colour, for several maps on one scale; the map's own maximum when None.
    """
    if peak is None:
        peak = float(values.max(initial=0.0))
    picture = pixels.copy()
    if peak > 0:
        steps = np.clip(values * np.float32(255 / peak), 0, 255).astype(np.uint8)
        part = np.clip((np.arange(256) / 255 - FAINT) / (STRONG - FAINT), 0, 1)
        # In 1/256ths, so that large images blend in 16-bit integers.
        alpha = np.round(256 * opacity * part * part * (3 - 2 * part)).astype(np.uint16)
        colours = table(colour_map)
        for channel in range(3):
            weight = alpha[steps]
            blended = pixels[..., channel] * (256 - weight) + colours[:, channel].astype(np.uint16)[steps] * weight
            picture[..., channel] = (blended >> 8).astype(np.uint8)
    width = max(1, round(max(pixels.shape[:2]) / 500))
    if mask is not None and mask.any():
        outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for colour, thickness in ((CASING, width + 2), (LINE, width)):
            cv2.drawContours(picture, outlines, -1, colour, thickness)
    for x0, y0, x1, y1 in boxes:
        corners = (round(x0), round(y0)), (round(x1) - 1, round(y1) - 1)
        for colour, thickness in ((CASING, width + 2), (LINE, width)):
            cv2.rectangle(picture, *corners, colour, thickness)
    return picture
