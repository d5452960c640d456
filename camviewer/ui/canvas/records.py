"""What the canvas shows and reports: plain records, all coordinates pixel edges of the upright image."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from camviewer.images.geometry import Size
from camviewer.project.records import Box, Mask
from camviewer.regions.rules import RegionRule

ViewMode = Literal["original", "heatmap", "blend", "swipe"]
VIEW_MODES: tuple[ViewMode, ...] = ("original", "heatmap", "blend", "swipe")

Tool = Literal["select", "box"]
TOOLS: tuple[Tool, ...] = ("select", "box")


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
            return float(self.shape.pixels.sum()) / pixels
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
