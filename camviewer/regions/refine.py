"""Masks drawn from an image and its map, by name.

Boxes always come from the raw map (`camviewer.regions.find`); a refinement draws the mask. Each is one function of
image, map and parameters, described by a row of `camviewer.catalogue.refinements`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camviewer.catalogue.parameters import Value, complete
from camviewer.catalogue.refinements import refinement
from camviewer.images.geometry import FloatMap
from camviewer.regions import colour, consensus, doubt, focus, seeded
from camviewer.regions.channels import even_background
from camviewer.regions.find import BoolMask, Regions, find_regions
from camviewer.regions.rules import RegionRule
from camviewer.regions.work import Work

Pixels = NDArray[np.uint8]
"""Upright RGB ``[H, W, 3]``."""


@dataclass(frozen=True, slots=True, eq=False)
class RefinedMask:
    """A mask and where it comes from.

    Attributes:
        pixels: bool ``[H, W]``.
        refine: name of the refinement that drew it; for ``auto`` the one it took.
        reason: why it is empty, for example ``no positive evidence``; else empty.
        doubt: how likely it is wrong, 0..1, see `camviewer.regions.doubt`; None when not asked for.
        band: where its outline is uncertain, bool ``[H, W]``; None when not asked for, or without evidence.
    """

    pixels: BoolMask
    refine: str
    reason: str = ""
    doubt: float | None = None
    band: BoolMask | None = None


Draw = Callable[[Work, Mapping[str, Value]], BoolMask]
"""Image, map, rule and regions; every parameter's value."""

REFINEMENTS: dict[str, Draw] = {
    "outlines": lambda work, p: consensus.draw(work, grow=float(p["grow"])),
    "none": lambda work, p: work.regions.mask,
    "colour": lambda work, p: colour.draw(work, rounds=int(p["rounds"]), grow=float(p["grow"])),
    "grabcut": lambda work, p: seeded.grab_cut(
        work, inside=float(p["inside"]), outside=float(p["outside"]), rounds=int(p["rounds"])
    ),
    "watershed": lambda work, p: seeded.watershed(work, inside=float(p["inside"]), outside=float(p["outside"])),
    "pamr": lambda work, p: seeded.along_edges(work, level=float(p["level"]), rounds=int(p["rounds"])),
}
"""One function for each row of the catalogue but ``auto``, which chooses among them."""


def chosen(work: Work) -> str:
    """Return the refinement that ``auto`` takes: ``outlines`` on an even background as skin, else ``grabcut``."""
    return "outlines" if even_background(work) else "grabcut"


def refine_mask(
    pixels: Pixels,
    values: FloatMap,
    rule: RegionRule,
    *,
    regions: Regions | None = None,
    judge: bool = False,
    band: bool = False,
) -> RefinedMask:
    """Return the mask that the rule's refinement draws.

    Args:
        pixels: upright RGB uint8 ``[H, W, 3]``.
        values: raw map upsampled to the image, ``[H, W]``.
        rule: threshold rule with the refinement's name and parameters.
        regions: of the same map and rule, where they are known already.
        judge: whether to say how doubtful the mask is.
        band: whether to say where its outline is uncertain.

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
        return RefinedMask(regions.mask, spec.name, regions.reason, 1.0 if judge else None)
    whole = Work(pixels, values, regions, rule)
    name = chosen(whole) if spec.name == "auto" else spec.name
    if name != spec.name:
        # Parameters that both have keep their values.
        parameters = {p.name: parameters.get(p.name, p.default) for p in refinement(name).parameters}
    for place, work in focus.views(whole) if name == "outlines" else [(focus.everywhere(whole), whole)]:
        mask = REFINEMENTS[name](work, parameters)
        if not focus.cut_off(mask, place, whole.full):
            break
    full = focus.placed(mask, place, whole.full)
    return RefinedMask(
        full,
        name,
        "" if mask.any() else consensus.NOTHING,
        doubt.judge(whole, full).score if judge else None,
        focus.placed(doubt.uncertain(work), place, whole.full) if band else None,
    )


def refine(pixels: Pixels, values: FloatMap, rule: RegionRule, *, regions: Regions | None = None) -> BoolMask:
    """Return the mask of `refine_mask` without its reason."""
    return refine_mask(pixels, values, rule, regions=regions).pixels
