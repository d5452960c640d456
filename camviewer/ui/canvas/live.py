"""The live threshold: what the rule on the panel makes of the map on screen, before it becomes a region."""

from __future__ import annotations

import numpy as np

from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.heatmap import HeatMap
from camviewer.ui.canvas.outline import Line, outlines
from camviewer.ui.canvas.records import LiveThreshold

SPREAD = 0.1
"""Stability compares the areas kept at (1 + SPREAD) and (1 - SPREAD) times the level."""


def live_threshold(heat: HeatMap, rule: RegionRule) -> tuple[LiveThreshold, list[Line]]:
    """Return the figures of `rule` on `heat`, and its outlines in image pixels.

    It works on the raster of the screen, so it answers within a frame on an image of any size; the regions that are
    stored come from the full-size map by the same function.
    """
    found = find_regions(heat.values, rule)
    kept = int(found.mask.sum())
    if kept == 0:
        return LiveThreshold(rule, None, reason=found.reason or "Nothing is above the threshold."), []
    live = LiveThreshold(
        rule,
        found.level,
        share=kept / found.mask.size,
        regions=len(found.boxes),
        stability=_stability(heat, found.level),
    )
    return live, outlines(found.mask, pixel=heat.pixel)


def _stability(heat: HeatMap, level: float) -> float | None:
    if level <= 0:
        return None
    below = int(np.count_nonzero(heat.values >= (1 - SPREAD) * level))
    above = int(np.count_nonzero(heat.values >= (1 + SPREAD) * level))
    return above / below if below else None
