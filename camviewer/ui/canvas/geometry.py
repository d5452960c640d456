"""Boxes under the pointer: where the handles lie, what a drag does, what a key does. No widgets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from camviewer.images.geometry import Size
from camviewer.project.records import Box, Origin

Handle = Literal["nw", "n", "ne", "e", "se", "s", "sw", "w"]
HANDLES: tuple[Handle, ...] = ("nw", "n", "ne", "e", "se", "s", "sw", "w")

Grip = Literal["nw", "n", "ne", "e", "se", "s", "sw", "w", "move"]

MINIMUM = 1.0
"""A box is at least one image pixel wide and high."""


@dataclass(frozen=True, slots=True)
class Rect:
    """Edges of a box in any unit."""

    x0: float
    y0: float
    x1: float
    y1: float

    def handle(self, name: Handle) -> tuple[float, float]:
        """Return where a handle lies."""
        x = self.x0 if "w" in name else self.x1 if "e" in name else (self.x0 + self.x1) / 2
        y = self.y0 if "n" in name else self.y1 if "s" in name else (self.y0 + self.y1) / 2
        return x, y


def rect_of(box: Box) -> Rect:
    """Return the edges of `box`."""
    return Rect(box.x0, box.y0, box.x1, box.y1)


def grip_at(rect: Rect, x: float, y: float, *, reach: float) -> Grip | None:
    """Return what lies under a point: the nearest handle within `reach`, else the edge, else the inside to move.

    All in the same unit (screen pixels). Corners win over edges where a box is small.
    """
    best: Handle | None = None
    nearest = reach
    for name in sorted(HANDLES, key=len, reverse=True):
        hx, hy = rect.handle(name)
        distance = max(abs(x - hx), abs(y - hy))
        if distance < nearest or (distance == nearest and best is None):
            best, nearest = name, distance
    if best is not None:
        return best
    inside_x = rect.x0 - reach / 2 <= x <= rect.x1 + reach / 2
    inside_y = rect.y0 - reach / 2 <= y <= rect.y1 + reach / 2
    if not (inside_x and inside_y):
        return None
    edges: list[tuple[float, Grip]] = [
        (abs(x - rect.x0), "w"),
        (abs(x - rect.x1), "e"),
        (abs(y - rect.y0), "n"),
        (abs(y - rect.y1), "s"),
    ]
    distance, edge = min(edges, key=lambda pair: pair[0])
    return edge if distance <= reach / 2 else "move"


def near_edge(rect: Rect, x: float, y: float, *, reach: float) -> bool:
    """Return whether a point lies within `reach` of the line of a box."""
    inside = rect.x0 - reach <= x <= rect.x1 + reach and rect.y0 - reach <= y <= rect.y1 + reach
    hollow = rect.x0 + reach < x < rect.x1 - reach and rect.y0 + reach < y < rect.y1 - reach
    return inside and not hollow


def normalised(rect: Rect, size: Size) -> Rect:
    """Return the box with its edges in order, inside an image of `size`, and at least `MINIMUM` long."""
    x0, x1 = _span(rect.x0, rect.x1, size[0])
    y0, y1 = _span(rect.y0, rect.y1, size[1])
    return Rect(x0, y0, x1, y1)


def dragged(start: Rect, grip: Grip, dx: float, dy: float, size: Size, *, centred: bool = False) -> Rect:
    """Return `start` after its `grip` was moved by (`dx`, `dy`).

    A moved box keeps its size and stops at the border; a resized one is clamped, and turns over when a handle crosses
    the opposite edge. `centred` resizes both sides at once, about the middle.
    """
    if grip == "move":
        return moved(start, dx, dy, size)
    x0, y0, x1, y1 = start.x0, start.y0, start.x1, start.y1
    if "w" in grip:
        x0, x1 = x0 + dx, x1 - dx if centred else x1
    if "e" in grip:
        x1, x0 = x1 + dx, x0 - dx if centred else x0
    if "n" in grip:
        y0, y1 = y0 + dy, y1 - dy if centred else y1
    if "s" in grip:
        y1, y0 = y1 + dy, y0 - dy if centred else y0
    return normalised(Rect(x0, y0, x1, y1), size)


def moved(rect: Rect, dx: float, dy: float, size: Size) -> Rect:
    """Return `rect` moved as far towards (`dx`, `dy`) as the image of `size` allows."""
    dx = min(max(dx, -rect.x0), max(size[0] - rect.x1, -rect.x0))
    dy = min(max(dy, -rect.y0), max(size[1] - rect.y1, -rect.y0))
    return Rect(rect.x0 + dx, rect.y0 + dy, rect.x1 + dx, rect.y1 + dy)


def edited(box: Box, rect: Rect) -> Box:
    """Return `box` with new edges, marked as touched by a person: its score belonged to the old edges."""
    origin: Origin = "manual" if box.origin == "manual" else "edited"
    return replace(box, x0=rect.x0, y0=rect.y0, x1=rect.x1, y1=rect.y1, origin=origin, score=None)


def _span(a: float, b: float, length: float) -> tuple[float, float]:
    low, high = min(a, b), max(a, b)
    low, high = min(max(low, 0.0), length), min(max(high, 0.0), length)
    if high - low < MINIMUM:
        low = min(low, max(0.0, length - MINIMUM))
        high = min(low + MINIMUM, length)
    return low, high
