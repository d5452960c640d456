"""What a map has to beat: a blob in the centre, and the same network without what it learned."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from camviewer.images.geometry import FloatMap, Size
from camviewer.models.classifier import Classifier

SIGMA = 0.2
"""Of the centre Gaussian, as a share of each side. Its 20 % region covers 0.40 of the image."""

CALIBRATION = 16
"""Pictures that normalising layers are calibrated on."""


def centre_gaussian(size: Size, *, sigma: float = SIGMA) -> FloatMap:
    """Return the control without a network (Choe et al. 2020, arXiv 2001.07437): a Gaussian in the middle, maximum 1.

    Args:
        size: (width, height) of the image.
        sigma: share of each side.
    """
    across, down = (np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * sigma**2)) for n in size)
    values = np.outer(down, across)
    return np.asarray(values / values.max(), dtype=np.float32)


def random_weights(classifier: Classifier, *, seed: int = 0, pictures: Sequence[NDArray[np.uint8]] = ()) -> Classifier:
    """Return the same network with freshly drawn weights (Adebayo et al. 2018, arXiv 1810.03292).

    Layers are drawn by their own initialisation; parameters outside of any layer keep mean and deviation. Batch
    norms are then calibrated on `pictures`: without, the values of deep networks fade or overflow, and a control that
    is numerically dead would be too easy to beat.

    Args:
        classifier: left as it is.
        seed: of the draw; torch's global generator is untouched.
        pictures: upright RGB; the first 16 are used.
    """
    network = copy.deepcopy(classifier.network)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network.to("cpu")
        for module in network.modules():
            if callable(getattr(module, "reset_parameters", None)):
                module.reset_parameters()  # type: ignore[operator]
            else:
                for parameter in module.parameters(recurse=False):
                    deviation = float(parameter.std()) if parameter.numel() > 1 else 0.0
                    parameter.normal_(float(parameter.mean()), deviation or 0.02)
    control = Classifier(
        network,
        identity=replace(classifier.identity, weights="random", weights_sha256=""),
        preprocessing=classifier.preprocessing,
        device=classifier.device,
        warnings=(),
    )
    if pictures:
        _calibrate(control, pictures[:CALIBRATION])
    return control


def _calibrate(classifier: Classifier, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Set the running mean and variance of every batch norm to those of `pictures`."""
    norms = [m for m in classifier.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    inputs = [classifier.prepare(pixels)[0] for pixels in pictures]
    if len({tuple(X.shape) for X in inputs}) != 1:
        inputs = inputs[:1]  # `native` gives each picture its own size
    with torch.no_grad():
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over the batches
                norm.train()
            classifier.logits(torch.cat(inputs))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()
