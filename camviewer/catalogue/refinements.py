"""How a mask is drawn from a map: the refinements as a table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from camviewer.catalogue.parameters import Parameter
from camviewer.errors import UsageError


@dataclass(frozen=True, slots=True)
class RefinementSpec:
    """One refinement.

    Attributes:
        name: identifier on the command line and in files.
        title: name on screen, sentence case.
        help: one sentence on what it draws.
        parameters: typed parameters.
        paper: authors, year, arXiv number; empty where there is none.
    """

    name: str
    title: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    paper: str = ""


_INSIDE = Parameter(
    "inside",
    "Surely inside",
    "float",
    0.6,
    minimum=0.05,
    maximum=1.0,
    help="From which fraction of the map's maximum a pixel surely belongs to the region.",
)
_OUTSIDE = Parameter(
    "outside",
    "Surely outside",
    "float",
    0.1,
    minimum=0.0,
    maximum=0.9,
    help="Below which fraction of the map's maximum a pixel surely does not.",
)
_ROUNDS = Parameter(
    "rounds",
    "GrabCut rounds",
    "int",
    3,
    minimum=1,
    maximum=10,
    help="How often the border moves to where the colours part.",
)
_GROW = Parameter(
    "grow",
    "Grow",
    "float",
    0.0,
    minimum=0.0,
    maximum=10.0,
    help="How far the mask is widened beyond where the colours have become those of the surroundings.",
    unit="% of the longer side",
)

REFINEMENTS: tuple[RefinementSpec, ...] = (
    RefinementSpec(
        "auto",
        "Automatic",
        "Agreement of outlines where the background is even, as skin is; GrabCut from the map in any other photograph.",
        (_GROW,),
    ),
    RefinementSpec(
        "outlines",
        "Agreement of outlines",
        "The outline on which several colour channels and thresholds agree, where the map is high; hair is painted "
        "over, dark corners, ink and stickers are left out.",
        (_GROW,),
        "Otsu 1979; the vote is camviewer's own, docs/pseudo-masks.md",
    ),
    RefinementSpec(
        "none",
        "Threshold",
        "The mask is what the threshold keeps of the map; its edge follows the map's cells, not the picture.",
        paper="Zhou et al. 2016, arXiv 1512.04150",
    ),
    RefinementSpec(
        "colour",
        "Map chooses, colour draws",
        "The dark area that holds most of the map, cut out along its colours; hair and dark corners are left out.",
        (
            Parameter(
                "rounds",
                "GrabCut rounds",
                "int",
                2,
                minimum=0,
                maximum=10,
                help="How often the border moves to where the colours part; 0 keeps the border of the blue channel.",
            ),
            replace(
                _GROW, default=0.8, help="How far the mask is widened, since experts draw outside the colour's edge."
            ),
        ),
        "Otsu 1979; Rother et al. 2004, doi 10.1145/1015706.1015720",
    ),
    RefinementSpec(
        "grabcut",
        "GrabCut from the map",
        "The object whose colours the map's peak has, cut out against the colours where the map is low.",
        (_INSIDE, _OUTSIDE, _ROUNDS),
        "Rother et al. 2004, doi 10.1145/1015706.1015720",
    ),
    RefinementSpec(
        "watershed",
        "Watershed from the map",
        "What the map's peak floods before it meets the flood from where the map is low; the dam is the mask's edge.",
        (_INSIDE, _OUTSIDE),
        "Meyer 1992",
    ),
    RefinementSpec(
        "pamr",
        "Map along edges (PAMR)",
        "The map itself, after its values moved between neighbours that look alike; what remains above a fraction of "
        "its maximum.",
        (
            Parameter(
                "rounds",
                "Rounds",
                "int",
                10,
                minimum=1,
                maximum=50,
                help="How often values move to neighbours of a similar colour.",
            ),
            Parameter(
                "level",
                "Level",
                "float",
                0.4,
                minimum=0.01,
                maximum=1.0,
                help="Which fraction of the maximum is kept afterwards.",
            ),
        ),
        "Araslanov and Roth 2020, arXiv 2005.08104",
    ),
)

BY_NAME = {spec.name: spec for spec in REFINEMENTS}


def refinement(name: str) -> RefinementSpec:
    """Return the refinement called `name`.

    Raises:
        UsageError: when there is none.
    """
    try:
        return BY_NAME[name]
    except KeyError:
        raise UsageError(f"There is no refinement {name!r}; there are: {', '.join(BY_NAME)}.") from None
