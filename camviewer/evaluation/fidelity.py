"""Faithfulness of many maps of one network: the measures of `faithfulness`, taken as means."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camviewer.evaluation.faithfulness import Causal, baseline, confidence, deletion_insertion, mask_input
from camviewer.images.geometry import Affine, FloatMap, Geometry
from camviewer.models.classifier import Classifier

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Means over the images: what the network does when only the map's part is left, or goes first."""

    images: int
    average_drop: float
    increase: float
    average_gain: float
    deletion_auc: float
    insertion_auc: float


class FaithfulnessTally:
    """Collects the maps of one row; every map costs ``2 + 2 * steps`` inputs.

    Args:
        classifier: whose probabilities count.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._whole: list[float] = []
        self._masked: list[float] = []
        self._curves: list[Causal] = []

    def add(self, pixels: Pixels, values: FloatMap, geometry: Geometry, class_index: int) -> None:
        """Count a raw map ``[rows, columns]`` of the upright RGB image `pixels`."""
        picture = self._classifier.prepare(pixels)[0][0]
        on_input = replace(geometry, image_size=geometry.input_size, input_to_image=Affine()).upsample(values)
        shown = torch.from_numpy(np.ascontiguousarray(on_input))
        pair = torch.stack([picture, mask_input(picture, shown)])
        whole, masked = self._probabilities(pair)[:, class_index].tolist()
        self._whole.append(min(1.0, whole))
        self._masked.append(min(1.0, masked))
        self._curves.append(
            deletion_insertion(self._probabilities, picture, shown, class_index, fill=baseline(picture, "blur"))
        )

    def value(self) -> Faithfulness | None:
        """Return the means, or None without a map."""
        if not self._curves:
            return None
        kept = confidence(self._whole, self._masked)
        return Faithfulness(
            len(self._curves),
            kept.average_drop,
            kept.increase,
            kept.average_gain,
            float(np.mean([curve.deletion_auc for curve in self._curves])),
            float(np.mean([curve.insertion_auc for curve in self._curves])),
        )

    def _probabilities(self, batch: Tensor) -> Tensor:
        with torch.no_grad():
            return self._classifier.probabilities(self._classifier.logits(batch)).cpu()
