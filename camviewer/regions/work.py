"""What refinements share of one image and its map: a small copy without hair, what to leave out, the map's energy.

Everything is made on demand and once. All lengths are shares of the longer side, so that a picture and its
enlargement give the same mask.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap
from camviewer.regions.artefacts import dark_corners, painted_over, stained
from camviewer.regions.find import BoolMask, Regions
from camviewer.regions.otsu import otsu
from camviewer.regions.rules import RegionRule
from camviewer.regions.shapes import filled

if TYPE_CHECKING:
    from camviewer.regions.consensus import Candidates

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float32]

SIDE = 256
"""Longer side at which edges are drawn; a finer picture only adds skin texture."""
SMOOTH = 0.01

EVEN = 12.0
"""Distance in CIE Lab within which 80 % of an even background lie from its tone; dermoscopic skin has 4 to 11."""

BLUR = 0.08
"""Of `Work.evidence`, as a share of the longer side."""
EITHER = 0.4
"""Weight in it of what differs from the map's median in either direction."""
ANYWHERE = 0.1
"""Least evidence of any place."""


class Work:
    """One image with its map.

    Args:
        pixels: upright RGB uint8 ``[H, W, 3]``.
        values: raw map upsampled to it, ``[H, W]``.
        regions: what the rule finds in the map.
        rule: threshold rule.
    """

    def __init__(self, pixels: Pixels, values: FloatMap, regions: Regions, rule: RegionRule) -> None:
        self.pixels = pixels
        self.values = values
        self.regions = regions
        self.rule = rule
        height, width = values.shape
        scale = min(1.0, SIDE / max(height, width))
        self._size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self.side: int = max(self._size)
        self.offered: list[Candidates | None] = []

    @property
    def full(self) -> tuple[int, int]:
        """Shape of the image."""
        return self.values.shape[0], self.values.shape[1]

    @cached_property
    def small(self) -> Pixels:
        """The image with its longer side at most `SIDE`."""
        return np.asarray(cv2.resize(self.pixels, self._size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    @cached_property
    def energy(self) -> FloatMap:
        """The map's positive part at the size of `small`, with a maximum of 1."""
        values = np.nan_to_num(self.values, nan=0.0, posinf=0.0, neginf=0.0)
        energy = np.maximum(cv2.resize(values, self._size, interpolation=cv2.INTER_AREA), 0)
        high = float(energy.max())
        return np.asarray(energy / high if high > 0 else energy, dtype=np.float32)

    @cached_property
    def pointed(self) -> FloatMap:
        """The positive part of the map without holes, blurred, at the size of `small`, with a maximum of 1."""
        positive = np.asarray(cv2.GaussianBlur(self.energy, (0, 0), 0.02 * self.side), dtype=np.float32)
        return _blurred(_without_holes(positive), self.side)

    @cached_property
    def evidence(self) -> FloatMap:
        """Where the map says that something is, at the size of `small`, 0..1: for choosing among outlines.

        Maps of trained networks often are high along an object's edge and low inside, or low on the object and high
        around it. So holes in the positive part are filled, what differs from the map's own median in either
        direction counts too, both are blurred, and a little is left everywhere, so that no place is ruled out.
        """
        values = np.nan_to_num(self.values, nan=0.0, posinf=0.0, neginf=0.0)
        small = cv2.resize(values, self._size, interpolation=cv2.INTER_AREA)
        differing = _blurred(np.abs(small - np.median(small)).astype(np.float32), self.side)
        mixed = (1 - EITHER) * self.pointed + EITHER * differing
        return np.asarray(ANYWHERE + (1 - ANYWHERE) * mixed, dtype=np.float32)

    @cached_property
    def corners(self) -> BoolMask:
        """The black frame of a dermatoscope."""
        return dark_corners(self.small)

    @cached_property
    def excluded(self) -> BoolMask:
        """What cannot be lesion: dark corners, ink and stickers."""
        return self.corners | stained(self.small)

    @cached_property
    def clean(self) -> Pixels:
        """`small` with hair painted over."""
        return painted_over(self.small)

    @cached_property
    def lab(self) -> Colours:
        """`clean` in CIE Lab, smoothed, ``[h, w, 3]``."""
        return _lab(self.smooth)

    @cached_property
    def sharp(self) -> Colours:
        """`clean` in CIE Lab as it is, ``[h, w, 3]``."""
        return _lab(self.clean.astype(np.float32))

    @cached_property
    def smooth(self) -> Colours:
        """`clean` as float 0..255, smoothed by a hundredth of its side."""
        sigma = max(0.5, SMOOTH * self.side)
        return np.asarray(cv2.GaussianBlur(self.clean.astype(np.float32), (0, 0), sigma), dtype=np.float32)

    @cached_property
    def lighter(self) -> BoolMask:
        """What lies above Otsu's threshold of the blue channel, mostly skin; all that is seen where nothing does."""
        seen = ~self.excluded
        blue = self.smooth[:, :, 2]
        lighter = np.asarray(seen & (blue > otsu(blue[seen]))) if seen.any() else seen
        return lighter if lighter.any() else seen

    @cached_property
    def one_tone(self) -> bool:
        """Whether the lighter part has one tone."""
        tones = self.lab[self.lighter]
        away = np.linalg.norm(tones - np.median(tones, axis=0), axis=1) if len(tones) else np.zeros(1)
        return bool(np.percentile(away, 80) <= EVEN)

    def length(self, share: float) -> int:
        """Return a share of the longer side in pixels of `small`, at least 1."""
        return max(1, round(share * float(self.side)))


def _lab(rgb: Colours) -> Colours:
    return np.asarray(cv2.cvtColor(rgb / np.float32(255), cv2.COLOR_RGB2LAB), dtype=np.float32)


def _blurred(values: FloatMap, side: int) -> FloatMap:
    blurred = cv2.GaussianBlur(values, (0, 0), BLUR * side)
    high = float(blurred.max())
    return np.asarray(blurred / high if high > 0 else blurred, dtype=np.float32)


def _without_holes(values: FloatMap) -> FloatMap:
    """Return the values with each pit raised to the lowest point of its rim, in twelve steps."""
    raised = values.copy()
    for level in np.linspace(0.05, 1.0, 12, dtype=np.float32) * values.max():
        whole = filled(np.asarray(values >= level))
        raised[whole] = np.maximum(raised[whole], level)
    return raised
