"""What explaining a folder is asked to do, as one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from camviewer.cam.requests import MapRequest
from camviewer.models.records import LoadRequest
from camviewer.regions.rules import RegionRule

SAVE = ("maps", "overlays", "boxes", "masks")
"""What an explain folder holds unless less is asked for."""
THREE_VALUED = "three-valued"
SAVEABLE = (*SAVE, THREE_VALUED)
"""What it can hold."""


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """Which images, which network, which maps, and what to keep of them.

    Attributes:
        inputs: image files and folders.
        out: folder of the results.
        load: which network.
        maps: methods, classes, layers.
        rule: how regions are made of a map.
        save: of `SAVEABLE`; scores and the maps' rows are always written.
        batch_size: images in one pass; what suits the device when None.
        colour_map: of overlays.
        opacity: of overlays where the map is strong, 0..1.
    """

    inputs: tuple[Path, ...]
    out: Path
    load: LoadRequest
    maps: MapRequest = field(default_factory=MapRequest)
    rule: RegionRule = field(default_factory=RegionRule)
    save: tuple[str, ...] = SAVE
    batch_size: int | None = None
    colour_map: str = "viridis"
    opacity: float = 0.6
