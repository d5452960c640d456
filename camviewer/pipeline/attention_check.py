"""The attention check of many images: where the energy of their maps lies, and how scores move without artefacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camviewer.evaluation.attention import Pixels, Scores, attention, effect
from camviewer.images.geometry import FloatMap
from camviewer.regions.artefacts import KINDS, Artefacts
from camviewer.regions.find import BoolMask


@dataclass(frozen=True, slots=True)
class ArtefactFigures:
    """Of one kind of artefact.

    Attributes:
        kind: see `camviewer.regions.artefacts.KINDS`.
        images: where it covers a noticeable share.
        energy: mean energy of the map on it over its share of the area; 1.0 is chance. None without a positive map.
        favoured: images where that is above chance.
        change: mean change of the class's probability when it is inpainted away; None without the network.
        largest_change: the largest change in either direction.
    """

    kind: str
    images: int
    energy: float | None
    favoured: int
    change: float | None
    largest_change: float | None


@dataclass(frozen=True, slots=True)
class AttentionFigures:
    """Mean energy over share of the area on the true lesion and on the border ring, and the artefacts found."""

    images: int
    lesion: float | None
    border: float | None
    artefacts: tuple[ArtefactFigures, ...]


class AttentionTally:
    """Collects the images of one row of the table."""

    def __init__(self) -> None:
        self._lesion: list[float] = []
        self._border: list[float] = []
        self._energy: dict[str, list[float]] = {}
        self._favoured: dict[str, int] = {}
        self._flagged: dict[str, int] = {}
        self._changes: dict[str, list[float]] = {}
        self._images = 0

    def add(
        self,
        values: FloatMap,
        truth: BoolMask,
        artefacts: Artefacts,
        *,
        pixels: Pixels,
        class_index: int,
        scores: Scores | None = None,
    ) -> None:
        """Count an image.

        Args:
            values: raw map upsampled to the image.
            truth: true mask.
            artefacts: of the image.
            pixels: upright RGB.
            class_index: whose map it is.
            scores: of the network, probabilities; None leaves out what inpainting changes.

        Raises:
            ValueError: when the shapes differ.
        """
        found = attention(values, truth, artefacts)
        self._images += 1
        if found.lesion is not None:
            self._lesion.append(found.lesion)
        if found.border is not None:
            self._border.append(found.border)
        for kind in artefacts.flags:
            self._flagged[kind] = self._flagged.get(kind, 0) + 1
            if kind in found.artefacts:
                self._energy.setdefault(kind, []).append(found.artefacts[kind])
            self._favoured[kind] = self._favoured.get(kind, 0) + (kind in found.flags)
        if scores is not None and artefacts.flags:
            masks = {str(kind): artefacts.masks[kind] for kind in artefacts.flags}
            for name, change in effect(scores, pixels, masks, class_index).items():
                self._changes.setdefault(name, []).append(change)

    def figures(self) -> AttentionFigures | None:
        """Return the means, or None without an image."""
        if not self._images:
            return None
        rows = []
        for kind in KINDS:
            if kind in self._flagged:
                changes = self._changes.get(kind, [])
                rows.append(
                    ArtefactFigures(
                        kind,
                        self._flagged[kind],
                        _mean(self._energy.get(kind, [])),
                        self._favoured[kind],
                        _mean(changes),
                        max(changes, key=abs) if changes else None,
                    )
                )
        return AttentionFigures(self._images, _mean(self._lesion), _mean(self._border), tuple(rows))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
