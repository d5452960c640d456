"""What of a picture shows pigment: five channels in which more is more like a lesion, and where they can part it."""

from __future__ import annotations

import numpy as np

from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask
from camviewer.regions.work import Colours, Work

CHANNELS = ("blue", "green", "saturation", "distance", "even distance")

_SKIN_SHARE = 0.85
_SKIN_TEXTURE = 2.0
_SAMPLE = 7  # every seventh pixel is enough for six coefficients
_OUTLYING = 2.5


def channels(work: Work) -> dict[str, FloatMap]:
    """Return the five channels at the working size, float32 ``[h, w]`` each.

    ``distance`` is that in CIE Lab from the tone of the lighter part, ``even distance`` the same after the light that
    falls unevenly on it was taken out.
    """
    smooth = work.smooth
    lowest, highest = smooth.min(axis=2), smooth.max(axis=2)
    flat = _evenly_lit(work.lab, work.lighter)
    return {
        "blue": 255 - smooth[:, :, 2],
        "green": 255 - smooth[:, :, 1],
        "saturation": (highest - lowest) / (highest + 1),
        "distance": _distance(work.lab, work.lighter),
        "even distance": _distance(flat, work.lighter),
    }


def even_background(work: Work) -> bool:
    """Return whether colours can part an object from the background at one level, as a lesion from skin.

    So where the lighter part of the picture has one tone, or nearly all of it has the hues of skin and little texture.
    """
    if work.one_tone:
        return True
    seen = ~work.excluded
    a, b = work.lab[:, :, 1][seen], work.lab[:, :, 2][seen]
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    like_skin = (hue > -60) & (hue < 95) & (chroma < 60) | (chroma < 5)
    steps = np.linalg.norm(np.diff(work.lab, axis=0), axis=2)
    texture = float(np.percentile(steps, 90)) if steps.size else 0.0
    return bool(like_skin.mean() >= _SKIN_SHARE and texture <= _SKIN_TEXTURE)


def _distance(lab: Colours, lighter: BoolMask) -> FloatMap:
    return np.asarray(np.linalg.norm(lab - np.median(lab[lighter], axis=0), axis=2), dtype=np.float32)


def _evenly_lit(lab: Colours, lighter: BoolMask) -> Colours:
    """Return `lab` less the quadratic trend over the picture that its lighter part follows, outliers left out."""
    height, width = lighter.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = 2 * x / width - 1, 2 * y / height - 1
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    colours = lab.reshape(-1, 3)
    sample = np.flatnonzero(lighter.ravel())[::_SAMPLE]
    used = sample
    trend = np.zeros((6, 3), dtype=np.float32)
    for _ in range(3):
        if len(used) < 10 * len(trend):
            return lab
        trend = np.linalg.lstsq(terms[used], colours[used], rcond=None)[0]
        off = np.linalg.norm(colours[sample] - terms[sample] @ trend, axis=1)
        used = sample[off < _OUTLYING * np.median(off) + 1e-3]
    fall = terms @ trend
    return np.asarray((colours - fall + fall[sample].mean(axis=0)).reshape(lab.shape), dtype=np.float32)
