"""Where across a soft edge an outline belongs: where the colours have become most of the way those of the surroundings.

The votes for a mask meet about half way down the slope from a lesion's colour to the skin's. Experts draw further out,
where they no longer see pigment. How far that is depends on how soft the edge is, so it is read from the picture: the
median profile of colour across the outline, 1 inside and 0 outside, says how far out it has fallen to `LEVEL`. The
median evens out the grain of skin, so the picture is not smoothed for it: a hard edge stays where it is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions.find import BoolMask
from camviewer.regions.outline import outward_normals
from camviewer.regions.shapes import grown
from camviewer.regions.work import Work

LEVEL = 0.3
"""Share of the colour's step that is left where the outline is put."""

_INSIDE = 0.03  # how far the profile reaches, as shares of the longer side
_OUTSIDE = 0.06
_ENDS = 4  # samples at either end whose mean is the colour there
_POINTS = 96
_FEWEST = 12
_USUAL = 0.008  # where the profile cannot be read


def moved_out(work: Work, mask: BoolMask) -> BoolMask:
    """Return a mask at the working size, widened to where the colours across its outline have fallen to `LEVEL`."""
    return grown(mask, widening(work, mask)) & ~work.excluded


def widening(work: Work, mask: BoolMask) -> int:
    """Return by how many pixels of the working size a mask that is not empty falls short of its edge; at least 0."""
    steps = np.arange(-work.length(_INSIDE), work.length(_OUTSIDE) + 1, dtype=np.float32)
    profile = _profile(work, mask, steps)
    if profile is None:
        return round(_USUAL * work.side)
    fallen = np.flatnonzero(profile[steps > 0] < LEVEL)
    # The outline runs through pixel centres, half a pixel inside the mask's edge: a fall within the first step is none.
    return int(fallen[0]) if fallen.size else int(steps[-1])


def _profile(work: Work, mask: BoolMask, steps: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return how much of the colour's step is left at each of `steps` pixels outwards, the median along the outline.

    None where too little of the outline lies free, or where there is no step.
    """
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(outlines, key=len)[:, 0, :].astype(np.float32)
    chosen = np.linspace(0, len(points) - 1, min(len(points), _POINTS)).astype(int)
    across = points[chosen, None] + steps[:, None] * outward_normals(points)[chosen, None]
    x, y = np.ascontiguousarray(across[:, :, 0]), np.ascontiguousarray(across[:, :, 1])
    height, width = mask.shape
    left_out = cv2.remap(work.excluded.view(np.uint8), x, y, cv2.INTER_NEAREST, borderValue=1)
    free = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & (left_out == 0)).all(axis=1)
    if free.sum() < _FEWEST:
        return None
    colours = cv2.remap(work.sharp, x[free], y[free], cv2.INTER_LINEAR)
    outside = colours[:, -_ENDS:].mean(axis=(0, 1))
    step = colours[:, :_ENDS].mean(axis=(0, 1)) - outside
    size = float(step @ step)
    return np.median((colours - outside) @ step / size, axis=0) if size >= 1 else None
