"""Masks drawn from an image and its map, by name.

Boxes always come from the raw map (`camviewer.regions.find`); a refinement draws the mask. Each is one function of
pixels, values, regions and parameters, described by a row of `camviewer.catalogue.refinements`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camviewer.catalogue.parameters import Value, complete
from camviewer.catalogue.refinements import refinement
from camviewer.images.geometry import FloatMap
from camviewer.regions.colour import draw_by_colour
from camviewer.regions.find import BoolMask, Regions, find_regions
from camviewer.regions.rules import RegionRule

Pixels = NDArray[np.uint8]
"""Upright RGB ``[H, W, 3]``."""


@dataclass(frozen=True, slots=True, eq=False)
class RefinedMask:
    """A mask and where it comes from.

    Attributes:
        pixels: bool ``[H, W]``.
        refine: name of the refinement that drew it.
        reason: why it is empty, for example ``no positive evidence``; else empty.
    """

    pixels: BoolMask
    refine: str
    reason: str = ""


Draw = Callable[[Pixels, FloatMap, Regions, Mapping[str, Value]], BoolMask]
"""Pixels, raw map upsampled to them, regions of the rule in that map, every parameter's value."""


def _threshold(pixels: Pixels, values: FloatMap, regions: Regions, parameters: Mapping[str, Value]) -> BoolMask:
    return regions.mask


REFINEMENTS: dict[str, Draw] = {"none": _threshold, "colour": draw_by_colour}
"""One function for each row of the catalogue."""


def refine_mask(pixels: Pixels, values: FloatMap, rule: RegionRule, *, regions: Regions | None = None) -> RefinedMask:
    """Return the mask that the rule's refinement draws.

    Args:
        pixels: upright RGB uint8 ``[H, W, 3]``.
        values: raw map upsampled to the image, ``[H, W]``.
        rule: threshold rule with the refinement's name and parameters.
        regions: of the same map and rule, where they are known already.

    Raises:
        UsageError: for an unknown refinement or a parameter outside its range.
        ValueError: when image and map differ in size.
    """
    spec = refinement(rule.refine)
    parameters = complete(spec.parameters, rule.refine_parameters, owner=spec.title)
    if pixels.shape[:2] != values.shape:
        raise ValueError(f"map of {values.shape} for an image of {pixels.shape[:2]}")
    if regions is None:
        regions = find_regions(values, rule)
    if not regions.boxes:
        return RefinedMask(regions.mask, spec.name, regions.reason)
    mask = REFINEMENTS[spec.name](pixels, values, regions, parameters)
    return RefinedMask(mask, spec.name, "" if mask.any() else "nothing stands out where the map is high")


def refine(pixels: Pixels, values: FloatMap, rule: RegionRule, *, regions: Regions | None = None) -> BoolMask:
    """Return the mask of `refine_mask` without its reason."""
    return refine_mask(pixels, values, rule, regions=regions).pixels
