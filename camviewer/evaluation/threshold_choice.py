"""Which rule turns maps into masks best, by evidence: overlap with true masks, and what to expect of other images.

The best of many rules on the images at hand looks better than it is. So what is reported beside it is the overlap on
images that had no say: the images are split into parts, and each part is measured with the rule that is best on the
others (nested choice; Stone 1974, doi 10.1111/j.2517-6161.1974.tb00994.x).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.errors import UsageError
from camviewer.images.geometry import FloatMap
from camviewer.regions.find import BoolMask, find_regions
from camviewer.regions.measures import iou
from camviewer.regions.rules import Components, Normalise, RegionRule

Floats = NDArray[np.float64]

STEP = 0.04
FRACTIONS = tuple(round(STEP * i, 2) for i in range(1, 25))
SHARES = tuple(round(STEP * i, 2) for i in range(1, 21))
"""Thresholds of ``fraction`` and of ``percentile``."""
PARTS = 10
ENOUGH = 10
"""Images from which an expectation is worth its name."""
DRAWS = 2000
"""Resamples of the images for an interval of 95 %."""
SIDE = 160
"""Longer side of the grid that rules are compared on."""

Kind = Literal["fraction", "percentile", "otsu"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way from an image to a mask: which map, and which rule."""

    method: str
    layer: str
    rule: RegionRule


@dataclass(frozen=True, slots=True)
class RuleCurve:
    """Mean overlap over the images at every threshold of one kind of rule.

    Attributes:
        threshold, iou: points of the curve; a single one for ``otsu``.
    """

    method: str
    layer: str
    kind: Kind
    components: Components
    normalise: Normalise
    threshold: tuple[float, ...]
    iou: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Best:
    """The best rule of one method and layer.

    Attributes:
        fitted: mean overlap on the images that chose it.
        expected: mean overlap on images that had no say; None with fewer than two images.
        interval: of `expected`, 95 %.
    """

    candidate: Candidate
    fitted: float
    expected: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """What the evidence says.

    Attributes:
        images: with a true or reviewed mask.
        best: over all methods and layers; its `expected` includes the choice among them.
        each: of every method and layer, the best first.
        curves: of every method, layer and kind of rule.
        now: mean overlap of the masks as they are; None where there are none.
        notes: sentences on what the figures are worth.
    """

    images: int
    best: Best
    each: tuple[Best, ...]
    curves: tuple[RuleCurve, ...]
    now: float | None
    notes: tuple[str, ...]


def candidates() -> tuple[RegionRule, ...]:
    """Return every rule that is compared; the masks are what the threshold keeps, without refinement."""
    rules = []
    options: tuple[tuple[Normalise, Components], ...] = tuple(product(("positive", "minmax"), ("largest", "all")))
    for normalise, components in options:
        rules += [RegionRule("fraction", t, components, normalise) for t in FRACTIONS]
        rules.append(RegionRule("otsu", 0.2, components, normalise))
        if normalise == "positive":  # stretching does not change the order of the pixels
            rules += [RegionRule("percentile", t, components, normalise) for t in SHARES]
    return tuple(rules)


class Evidence:
    """Collects the overlap of every rule, image by image."""

    def __init__(self) -> None:
        self.rules = candidates()
        self._rows: dict[tuple[str, str], list[Floats]] = {}
        self._now: list[float] = []
        self.images = 0

    def add(
        self, maps: Mapping[tuple[str, str], FloatMap], truth: BoolMask, *, present: BoolMask | None = None
    ) -> None:
        """Count one image.

        Args:
            maps: by method and layer, raw and upsampled to any grid with the image's aspect.
            truth: true mask at full size; it is brought to the grid of each map.
            present: the mask as it is, of the size of `truth`.
        """
        self.images += 1
        for group, values in maps.items():
            height, width = values.shape
            small = cv2.resize(truth.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
            overlaps = [iou(find_regions(values, rule).mask, np.asarray(small)) for rule in self.rules]
            self._rows.setdefault(group, []).append(np.array(overlaps))
        if present is not None:
            self._now.append(iou(present, truth))

    def choose(self, *, seed: int = 0) -> ThresholdChoice:
        """Return what the evidence says; methods that not every image has a map of are left out.

        Raises:
            UsageError: without an image, or without a method that all images have.
        """
        if not self.images:
            raise UsageError("No image has both a map and a true or reviewed mask. Review some masks first.")
        tables = {group: np.stack(rows) for group, rows in self._rows.items() if len(rows) == self.images}
        if not tables:
            raise UsageError("The images with true masks have maps of different methods. Compute one method for all.")
        notes = [
            f"{method} at {layer} is left out: only {len(rows)} of {self.images} images have its map."
            for (method, layer), rows in self._rows.items()
            if len(rows) < self.images
        ]
        each = sorted((self._best({group: table}, seed) for group, table in tables.items()), key=_merit)
        best = self._best(tables, seed)
        now = float(np.mean(self._now)) if len(self._now) == self.images else None
        if self.images < ENOUGH:
            notes.append(
                f"{_images(self.images)} with a true mask {'is' if self.images == 1 else 'are'} few: the choice may "
                f"change with the next ones. {ENOUGH} or more make it steady."
            )
        expected = best.expected if best.expected is not None else best.fitted
        if now is not None and now >= expected:
            notes.append(
                f"The masks as they are ({now:.2f}) are not worse than what to expect of the best threshold "
                f"({expected:.2f}): there is no reason to change them."
            )
        curves = tuple(curve for group, table in tables.items() for curve in self._curves(group, table.mean(axis=0)))
        return ThresholdChoice(self.images, best, tuple(each), curves, now, tuple(notes))

    def _best(self, tables: Mapping[tuple[str, str], Floats], seed: int) -> Best:
        groups = list(tables)
        whole = np.concatenate([tables[group] for group in groups], axis=1)
        column = int(np.argmax(whole.mean(axis=0)))
        method, layer = groups[column // len(self.rules)]
        candidate = Candidate(method, layer, self.rules[column % len(self.rules)])
        fitted = float(whole[:, column].mean())
        if len(whole) < 2:
            return Best(candidate, fitted, None, None)
        generator = np.random.default_rng(seed)
        part = generator.permutation(len(whole)) % min(PARTS, len(whole))
        held = np.empty(len(whole))
        for number in range(int(part.max()) + 1):
            out = part == number
            held[out] = whole[out, int(np.argmax(whole[~out].mean(axis=0)))]
        drawn = generator.choice(held, (DRAWS, len(held))).mean(axis=1)
        low, high = np.percentile(drawn, (2.5, 97.5))
        return Best(candidate, fitted, float(held.mean()), (float(low), float(high)))

    def _curves(self, group: tuple[str, str], means: Floats) -> list[RuleCurve]:
        points: dict[tuple[Kind, Components, Normalise], list[tuple[float, float]]] = {}
        for rule, mean in zip(self.rules, means, strict=True):
            points.setdefault((rule.rule, rule.components, rule.normalise), []).append((rule.threshold, float(mean)))
        return [
            RuleCurve(*group, kind, components, normalise, tuple(t for t, _ in found), tuple(v for _, v in found))
            for (kind, components, normalise), found in points.items()
        ]


def _merit(best: Best) -> float:
    return -(best.expected if best.expected is not None else best.fitted)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
