"""A loaded network that computes maps, as the command line and the worker hold it. torch comes with the first one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camviewer.cam.requests import Explanation, MapRequest
from camviewer.models.records import LoadRequest, ModelSummary
from camviewer.pipeline.versions import versions
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule

if TYPE_CHECKING:
    from camviewer.cam.explainer import Explainer

Pixels = NDArray[np.uint8]

GPU_BATCH = 16
"""Images in one pass on an accelerator. On a CPU single images are as fast, and memory stays small."""


class Computation:
    """One loaded network.

    Args:
        request: which network.
        on_notice: is told, in one sentence, what the user should know, for example that memory ran out and the CPU
            took over; the same sentence once.

    Raises:
        CheckpointError, ModelError: when the network cannot be loaded.
    """

    def __init__(self, request: LoadRequest, *, on_notice: Callable[[str], None] | None = None) -> None:
        self.request = request
        self.on_notice = on_notice
        self._explainer = _load(request)
        self.summary: ModelSummary = self._explainer.classifier.summary()
        self._told: set[str] = set()

    def batch_size(self, wanted: int | None) -> int:
        """Return how many images go into one pass; `wanted`, or what suits the device when None."""
        if wanted is not None:
            return wanted
        return 1 if self.summary.device.startswith("cpu") else GPU_BATCH

    def explain(
        self,
        pixels: Pixels,
        request: MapRequest,
        *,
        key: Hashable | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        on_partial: Callable[[ActivationMap], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Explanation:
        """Return the maps of one image; arguments and errors as of `Explainer.explain`."""
        explanation = self._explainer.explain(
            pixels, request, key=key, on_progress=on_progress, on_partial=on_partial, cancelled=cancelled
        )
        self._tell(explanation)
        return explanation

    def explain_group(
        self, images: Sequence[Pixels], request: MapRequest, *, cancelled: Callable[[], bool] | None = None
    ) -> list[Explanation]:
        """Return the maps of several images from shared passes."""
        explanations = self._explainer.explain_batch(images, request, cancelled=cancelled)
        for explanation in explanations:
            self._tell(explanation)
        return explanations

    def run_record(self, request: MapRequest, rule: RegionRule) -> Run:
        """Return everything that makes a result of this network reproducible.

        Raises:
            UsageError: for an unknown method or parameter.
        """
        summary = self.summary
        prepared = summary.preprocessing
        return Run(
            architecture=summary.identity.architecture,
            weights=summary.identity.weights,
            weights_sha256=summary.identity.weights_sha256,
            classes=summary.identity.classes,
            preprocessing={
                "input_size": list(prepared.input_size),
                "resize_mode": prepared.resize_mode,
                "resize_size": prepared.resize_size,
                "interpolation": prepared.interpolation,
                "mean": list(prepared.mean),
                "std": list(prepared.std),
                "channels": prepared.channels,
                "activation": summary.identity.activation,
            },
            layers=request.layers or (summary.suggested,),
            methods=request.methods,
            method_parameters={name: dict(values) for name, values in request.checked().items()},
            target=request.target,
            rule=rule,
            offset=request.offset,
            tta=request.tta,
            fuse=request.fuse,
            seed=request.seed,
            device=summary.device,
            precision=self.request.precision,
            versions=versions(),
        )

    def _tell(self, explanation: Explanation) -> None:
        for sentence in explanation.notices:
            if sentence not in self._told and self.on_notice is not None:
                self._told.add(sentence)
                self.on_notice(sentence)


def _load(request: LoadRequest) -> Explainer:
    from camviewer.cam.explainer import Explainer
    from camviewer.models.load import load_classifier

    return Explainer(load_classifier(request), precision=request.precision)
