"""What checkpoints are compared by: one row a measure. Table, curves, command line and docs are built from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["classes", "truth", "network", "maps"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for a checkpoint, a mean over images.

    Attributes:
        name: identifier, as in JSON.
        title: heading of its column and curve.
        group: ``classes`` needs labels, ``truth`` true or reviewed masks, ``network`` further passes, ``maps`` nothing.
        better: 1 when higher is better, -1 when lower is, 0 when it only describes.
        chance: what a map that knows nothing reaches, None where that depends on the images.
        help: what it is, one sentence.
    """

    name: str
    title: str
    group: Group
    better: int
    help: str
    chance: float | None = None


MEASURES: tuple[Measure, ...] = (
    Measure("accuracy", "Accuracy", "classes", 1, "Share of the images whose class is predicted"),
    Measure("balanced_accuracy", "Balanced", "classes", 1, "Mean recall over the classes that occur"),
    Measure("pointing", "Pointing", "truth", 1, "Share of the maps whose maximum lies inside the mask"),
    Measure("energy_inside", "Inside", "truth", 1, "Share of the map's positive part inside the mask"),
    Measure("energy_gain", "Inside / area", "truth", 1, "That share over the mask's share of the area", 1.0),
    Measure(
        "iou20", "IoU at 20 %", "truth", 1, "Overlap of the mask with the largest region above 20 % of the maximum"
    ),
    Measure("best_iou", "Best IoU", "truth", 1, "Overlap of map and mask at the best threshold for all images"),
    Measure("pxap", "PxAP", "truth", 1, "Average precision of pixels, pooled over all images"),
    Measure(
        "grid_pointing",
        "Grid pointing",
        "classes",
        1,
        "On 2x2 mosaics of different classes, share of the maps whose maximum lies in the tile of their class",
        0.25,
    ),
    Measure(
        "average_drop",
        "Drop",
        "network",
        -1,
        "How much of the probability is lost when only the map's part of the image is left",
    ),
    Measure("increase", "Increase", "network", 1, "Share of the images whose probability rises then"),
    Measure("average_gain", "Gain", "network", 1, "How much of the missing probability is gained then"),
    Measure("deletion", "Deletion", "network", -1, "Area under the probability while the highest pixels go"),
    Measure("insertion", "Insertion", "network", 1, "Area under the probability while the highest pixels come"),
    Measure(
        "stability",
        "Stable",
        "network",
        1,
        "Correlation of the map with that of the mirrored image, mirrored back; mean over both directions",
    ),
    Measure("agreement", "Agreement", "maps", 0, "Correlation of the map with the reference checkpoint's"),
    Measure("overlap", "Overlap", "maps", 0, "IoU of the highest 20 % of the pixels with the reference's"),
    Measure("peak_distance", "Distance", "maps", 0, "Distance of the maxima to the reference's, over the diagonal"),
)

BY_NAME = {measure.name: measure for measure in MEASURES}

CURVES = ("balanced_accuracy", "pointing", "iou20", "insertion", "stability", "agreement")
"""Measures drawn over epochs first, in this order, of those that are known."""
