"""What the canvas shows and reports: plain records, all coordinates pixel edges of the upright image."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from camviewer.images.geometry import Size
from camviewer.project.records import Box, Mask
from camviewer.regions.drawing import Patch
from camviewer.regions.rules import RegionRule
from camviewer.regions.scribbles import Scribble

ViewMode = Literal["original", "heatmap", "blend", "swipe"]
VIEW_MODES: tuple[ViewMode, ...] = ("original", "heatmap", "blend", "swipe")

Tool = Literal["select", "box", "polygon", "brush", "eraser", "scribble", "fill"]
TOOLS: tuple[Tool, ...] = ("select", "box", "polygon", "brush", "eraser", "scribble", "fill")
MASK_TOOLS: frozenset[Tool] = frozenset({"polygon", "brush", "eraser", "scribble", "fill"})

SIZES = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86),
    *(103, 124, 148, 178, 214, 256, 308, 370, 443, 500),
)
"""Diameters of the brush in image pixels, each some 20 % above the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One box or mask as canvas and Regions panel show it.

    Attributes:
        key: identifies the region as long as it is shown; whatever the owner likes, for example ``("box", 12)``.
        shape: the record behind it.
        name: class name, or ``Region 3`` without a class.
        colour: of its class, ``#RRGGBB``; None for a region without a class (drawn white).
        touched: whether a person touched it (solid stroke); otherwise it is automatic (dashed).
        visible: whether the canvas draws it.
        hint: one sentence that asks for a look, empty for none ("Region 3 is far from the lesion").
        score: mean of M / max M inside, or None.
    """

    key: Hashable
    shape: Box | Mask
    name: str
    colour: str | None = None
    touched: bool = False
    visible: bool = True
    hint: str = ""
    score: float | None = None

    def share(self, size: Size) -> float:
        """Return the part of an image of `size` (width, height) that the region covers, in 0..1."""
        pixels = size[0] * size[1]
        if pixels == 0:
            return 0.0
        if isinstance(self.shape, Mask):
            return float(np.count_nonzero(self.shape.pixels)) / pixels
        box = self.shape
        return max(0.0, box.x1 - box.x0) * max(0.0, box.y1 - box.y0) / pixels


@dataclass(frozen=True, slots=True)
class BoxDrawn:
    """A person drew `box` (origin ``manual``, class 0: the owner gives it the current class)."""

    box: Box


@dataclass(frozen=True, slots=True)
class BoxChanged:
    """A person moved or resized the box of `key`; `box` is its new state with origin ``edited`` or ``manual``.

    `nudge` marks a key press, so that the owner can merge a run of them into one step of undo.
    """

    key: Hashable
    box: Box
    nudge: bool = False


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What the tools for masks can be set to.

    Attributes:
        size: diameter of brush, eraser and scribble in image pixels.
        on_map: whether tools that add do so only where the map reaches the threshold, and the eraser erases only
            where it does not.
        fill_holes: whether a brush stroke that closes a ring fills it.
        tolerance: largest difference in a colour channel that *fill* follows, 0..255.
        take_away: whether the polygon takes away instead of adding, and a scribble marks what is outside.
    """

    size: int = 24
    on_map: bool = False
    fill_holes: bool = False
    tolerance: int = 16
    take_away: bool = False


@dataclass(frozen=True, slots=True)
class PaintClass:
    """The class of new masks: id (0 for none), name, colour (None for none)."""

    class_id: int = 0
    name: str = ""
    colour: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MaskEdited:
    """A person painted, cut or filled: one edit.

    Attributes:
        key: of the mask region that was edited; None for a new mask of the current `PaintClass`.
        patches: the mask's new pixels where they differ.
        words: what was done, for the status bar.
    """

    key: Hashable | None
    patches: tuple[Patch, ...]
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Scribbled:
    """A person drew a scribble: the mask is to be cut out anew.

    Attributes:
        key: of the mask region; None for a new mask of the current `PaintClass`.
        scribbles: all that the mask is made of, the new one last.
    """

    key: Hashable | None
    scribbles: tuple[Scribble, ...]


@dataclass(frozen=True, slots=True)
class CursorReading:
    """What lies under the pointer.

    Attributes:
        x, y: pixel indices.
        rgb: of the pixel.
        value: raw value of the map there, None without a map or where the network saw nothing.
        share: `value` / the map's maximum, None where there is no positive maximum.
    """

    x: int
    y: int
    rgb: tuple[int, int, int]
    value: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class LiveThreshold:
    """What the current rule makes of the current map, before it becomes a region.

    Attributes:
        rule: the rule.
        level: raw map value from which pixels are kept; None without a map or without positive evidence.
        share: kept part of the image, 0..1.
        regions: number of kept components.
        stability: kept area at 1.1 x level over kept area at 0.9 x level (1 = the outline does not depend on the
            exact threshold), None where it is not defined.
        reason: why nothing is kept, in words; empty otherwise.
    """

    rule: RegionRule
    level: float | None
    share: float = 0.0
    regions: int = 0
    stability: float | None = None
    reason: str = ""
