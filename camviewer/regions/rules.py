"""The rule that turns a map into regions, as a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Rule = Literal["fraction", "percentile", "otsu"]
Normalise = Literal["positive", "minmax"]
Components = Literal["largest", "all"]


@dataclass(frozen=True, slots=True)
class RegionRule:
    """How a map becomes regions.

    Attributes:
        rule: ``fraction`` keeps ``M >= threshold * max M``; ``percentile`` keeps the top `threshold` x 100 % of all
            pixels; ``otsu`` splits 256 bins of the positive part.
        threshold: of `rule`, in 0..1; unused by ``otsu``.
        components: the largest 8-connected component by pixel count, or all.
        normalise: ``positive`` takes the positive part; ``minmax`` stretches the signed map to 0..1 first.
        refine: name of the refinement that draws masks, ``none`` for the threshold itself.
        refine_parameters: values of that refinement's parameters.
    """

    rule: Rule = "fraction"
    threshold: float = 0.2
    components: Components = "largest"
    normalise: Normalise = "positive"
    refine: str = "none"
    refine_parameters: dict[str, Any] = field(default_factory=dict)


START = RegionRule(refine="auto")
"""Until another one is chosen: boxes by the 20 % rule, masks by the refinement that measures best."""
