"""Colour maps of heat maps: perceptually uniform ones by default, jet as a choice."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.errors import UsageError
from camviewer.images.geometry import FloatMap

_MAPS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "jet": cv2.COLORMAP_JET,
}

NAMES = tuple(_MAPS)
"""In the order of menus; the first is the default. The first three are perceptually uniform, cividis also to people
who see red and green alike."""


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Return the colours of a map, RGB uint8 ``[256, 3]``, read-only.

    Raises:
        UsageError: when there is no map of that name.
    """
    if name not in _MAPS:
        raise UsageError(f"There is no colour map {name!r}; there are: {', '.join(NAMES)}.")
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    colours = np.array(cv2.applyColorMap(ramp, _MAPS[name])[:, 0, ::-1], dtype=np.uint8)
    colours.flags.writeable = False
    return colours


def colourise(values: FloatMap, low: float, high: float, name: str = "viridis") -> NDArray[np.uint8]:
    """Return the colours of a map, RGB uint8 ``[H, W, 3]``.

    Args:
        values: map ``[H, W]``.
        low, high: values shown in the first and the last colour; beyond them the colour stays. Where they are equal,
            and for values that are not finite, the first colour is shown.
        name: of the colour map.
    """
    colours = table(name)
    span = high - low
    if not span > 0:
        return np.broadcast_to(colours[0], (*values.shape, 3)).copy()
    # NaN and both infinities are low by agreement: they are no evidence anywhere in the program.
    finite = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=low, posinf=low, neginf=low)
    index: NDArray[np.uint8] = np.clip(np.rint((finite - np.float32(low)) * np.float32(255 / span)), 0, 255).astype(
        np.uint8
    )
    picture: NDArray[np.uint8] = colours[index]
    return picture
