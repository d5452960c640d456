"""A closer look: in a picture of many things, only the surroundings of what the map points at.

No threshold parts an object from a background of several tones. What is around the object often has one tone, so there
the picture is cut to a window around the map's highest region before outlines are drawn. A map that is peaked on a part
of a large object gives a window that is too small; its mask then runs into the window's edge, and a wider one is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from camviewer.regions.find import BoolMask, find_regions
from camviewer.regions.shapes import components
from camviewer.regions.work import Work

HIGH = 0.5
"""Fraction of the map's maximum (without holes, blurred) above which it points at something."""
AROUND = 0.5
"""What is looked at on each side of it, as a share of its own longer side."""
CUT = 0.2
"""Share of a mask's extent along a window's edge from which the window is too small."""

Place = tuple[slice, slice]
"""Rows and columns of the image."""


def views(work: Work) -> Iterator[tuple[Place, Work]]:
    """Yield what to look at, ever wider, at last the whole image; at once where its background has one tone.

    Yields:
        place in the image, and image and map there.
    """
    whole = everywhere(work)
    if not work.one_tone:
        around = AROUND
        while (place := _around(work, around)) != whole:
            pixels, values = np.ascontiguousarray(work.pixels[place]), np.ascontiguousarray(work.values[place])
            yield place, Work(pixels, values, find_regions(values, work.rule), work.rule)
            around *= 2
    yield whole, work


def everywhere(work: Work) -> Place:
    """Return the place of the whole image."""
    return slice(0, work.full[0]), slice(0, work.full[1])


def placed(mask: BoolMask, place: Place, full: tuple[int, int]) -> BoolMask:
    """Return a mask drawn at `place` in an image of shape `full`."""
    if mask.shape == full:
        return mask
    whole = np.zeros(full, dtype=np.bool_)
    whole[place] = mask
    return whole


def cut_off(mask: BoolMask, place: Place, full: tuple[int, int]) -> bool:
    """Return whether a mask drawn at `place` of an image of shape `full` goes on beyond it."""
    rows, columns = place
    sides = [
        mask[0] if rows.start > 0 else None,
        mask[-1] if rows.stop < full[0] else None,
        mask[:, 0] if columns.start > 0 else None,
        mask[:, -1] if columns.stop < full[1] else None,
    ]
    extent = max(int(mask.any(axis=0).sum()), int(mask.any(axis=1).sum()))
    return any(side is not None and int(side.sum()) > CUT * extent for side in sides)


def _around(work: Work, share: float) -> Place:
    """Return the window around the map's highest region, or around all high ones where all components count."""
    pointed = work.pointed
    if work.rule.components == "all":
        region = pointed >= min(HIGH, max(work.rule.threshold, 1e-6))
    else:
        _, labels, _ = components(np.asarray(pointed >= HIGH))
        region = labels == labels.flat[int(pointed.argmax())]
    if not region.any():
        return everywhere(work)
    found = [np.flatnonzero(region.any(axis=axis)) for axis in (1, 0)]
    margin = share * max(int(indices[-1] - indices[0]) + 1 for indices in found)
    spans = []
    for indices, small, large in zip(found, pointed.shape, work.full, strict=True):
        first, last = max(0.0, indices[0] - margin), min(float(small), indices[-1] + 1 + margin)
        spans.append(slice(int(first * large / small), round(last * large / small)))
    return spans[0], spans[1]
