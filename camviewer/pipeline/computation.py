"""A loaded network that computes maps, as the command line and the worker hold it. torch comes with the first one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camviewer.cam.requests import ClassUnits, Explanation, MapRequest, contrast_class
from camviewer.catalogue.methods import method
from camviewer.errors import UsageError
from camviewer.models.records import LoadRequest, ModelSummary
from camviewer.pipeline.versions import versions
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule

if TYPE_CHECKING:
    from camviewer.cam.explainer import Explainer
    from camviewer.models.classifier import Classifier

Pixels = NDArray[np.uint8]

GROUP = 8
GPU_GROUP = 32
"""Images handed over at once, on the CPU and on an accelerator. The explainer divides them by the memory there is."""

_log = logging.getLogger(__name__)


class Computation:
    """One loaded network.

    Args:
        request: which network.
        on_notice: is told, in one sentence, what the user should know, for example that memory ran out and the CPU
            took over; the same sentence once.
        classifier: the network, where it is loaded already.

    Raises:
        CheckpointError, ModelError: when the network cannot be loaded.
    """

    def __init__(
        self,
        request: LoadRequest,
        *,
        on_notice: Callable[[str], None] | None = None,
        classifier: Classifier | None = None,
    ) -> None:
        self.request = request
        self.on_notice = on_notice
        self._explainer = _load(request, classifier)
        self.summary: ModelSummary = self._explainer.classifier.summary()
        self._told: set[str] = set()

    def timed_summary(self) -> ModelSummary:
        """Return the summary with the layers' times, from two more passes; without times where these fail."""
        try:
            self.summary = self._explainer.classifier.summary(measure=True)
        except (RuntimeError, MemoryError) as error:  # memory above all; the first image will say so in its own words
            _log.info("the layers could not be timed: %r", error)
        return self.summary

    def batch_size(self, wanted: int | None, request: MapRequest) -> int:
        """Return how many images go together; `wanted`, or what suits device and methods when None."""
        if wanted is not None:
            return wanted
        if any(method(name).needs == "passes" for name in request.methods):
            return 1  # an image's many masked passes are a batch of their own
        return GROUP if self.summary.device.startswith("cpu") else GPU_GROUP

    def check(self, request: MapRequest) -> tuple[str, ...]:
        """Return the layers that maps will be made at, found on a blank image of the network's input size.

        So a wrong layer or method is one error ahead of all images instead of one for each.

        Raises:
            UsageError, LayerError, MethodError, ModelError: when it cannot.
        """
        count = len(self.summary.identity.classes)
        contrast = contrast_class(request.target)
        named = () if isinstance(request.classes, str) else request.classes
        for index in (*named, *(() if contrast is None else (contrast,))):
            if not 0 <= index < count:
                raise UsageError(f"There is no class {index}; the model has classes 0 to {count - 1}.")
        # Methods of many passes share what can be wrong with Grad-CAM, which needs one.
        methods = dict.fromkeys("gradcam" if method(name).needs == "passes" else name for name in request.methods)
        width, height = self.summary.preprocessing.input_size
        blank = np.full((height, width, 3), 128, np.uint8)
        parameters = {name: values for name, values in request.parameters.items() if name in methods}
        classes = request.classes if named else "predicted"
        explanation = self._explainer.explain(
            blank,
            replace(request, methods=tuple(methods), parameters=parameters, classes=classes, tta="none", fuse="none"),
        )
        return tuple(dict.fromkeys(found.layer for found in explanation.maps))

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

    def units(
        self,
        pixels: Pixels,
        class_index: int,
        *,
        most: int = 24,
        key: Hashable | None = None,
        offset: bool = True,
        cancelled: Callable[[], bool] | None = None,
    ) -> ClassUnits:
        """Return the units that speak for a class most; arguments and errors as of `Explainer.units`."""
        return self._explainer.units(
            pixels, class_index=class_index, most=most, key=key, offset=offset, cancelled=cancelled
        )

    def explain_group(
        self, images: Sequence[Pixels], request: MapRequest, *, cancelled: Callable[[], bool] | None = None
    ) -> list[Explanation]:
        """Return the maps of several images from shared passes."""
        explanations = self._explainer.explain_batch(images, request, cancelled=cancelled)
        for explanation in explanations:
            self._tell(explanation)
        return explanations

    def run_record(self, request: MapRequest, rule: RegionRule, *, layers: tuple[str, ...] = ()) -> Run:
        """Return everything that makes a result of this network reproducible.

        Args:
            request: what was computed.
            rule: how regions were made.
            layers: of `check`; those of the request, or the suggested one, when empty.

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
            layers=layers or request.layers or (summary.suggested,),
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


def _load(request: LoadRequest, classifier: Classifier | None) -> Explainer:
    from camviewer.cam.explainer import Explainer
    from camviewer.models.load import load_classifier

    return Explainer(classifier or load_classifier(request), precision=request.precision)
