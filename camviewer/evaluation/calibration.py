"""Calibration: one temperature for a network, so that its probabilities mean what they say.

A network that is right in 70 of 100 images of which it says 0.9 is overconfident. Dividing all logits by one number,
the temperature, mends most of it and changes no decision (Guo, Pleiss, Sun, Weinberger 2017, arXiv 1706.04599).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENOUGH = 50
"""Labelled images below which a temperature is chance."""
BINS = 10
HOTTEST = 50.0
"""Temperatures are looked for between its inverse and it."""
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and what it changes, all measured on the images that it was fitted on.

    Attributes:
        temperature: above 1 for an overconfident network.
        images: labelled images.
        accuracy: share of images whose most probable class is the label; the same before and after.
        ece_before, ece_after: expected calibration error over `BINS` bins of equal mass, 0 to 1.
        nll_before, nll_after: mean negative log-likelihood of the label, in nats.
    """

    temperature: float
    images: int
    accuracy: float
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float


def calibrate(logits: Floats, labels: Ints) -> Calibration:
    """Fit the temperature of least negative log-likelihood and measure before and after.

    Args:
        logits: raw scores ``[images, classes]``.
        labels: true classes ``[images]``.

    Raises:
        UsageError: with fewer than `ENOUGH` images, or when the scores are probabilities already.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if len(logits) < ENOUGH:
        have = "1 image has" if len(logits) == 1 else f"{len(logits)} images have"
        raise UsageError(f"{have} a label that the model knows. A temperature needs {ENOUGH}.")
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        raise UsageError("The network ends in a softmax of its own. Load it without that layer to fit a temperature.")
    temperature = fit_temperature(logits, labels)
    before, after = probabilities(logits), probabilities(logits, temperature)
    right = logits.argmax(axis=1) == labels
    return Calibration(
        temperature=temperature,
        images=len(logits),
        accuracy=float(right.mean()),
        ece_before=calibration_error(before.max(axis=1), right),
        ece_after=calibration_error(after.max(axis=1), right),
        nll_before=_nll(before, labels),
        nll_after=_nll(after, labels),
    )


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """Return the temperature of least mean negative log-likelihood, within ``[1 / HOTTEST, HOTTEST]``.

    The likelihood is convex in the inverse temperature b: its slope, the mean of ``E[z] - z_label`` with the
    expectation over ``softmax(b z)``, only grows, so that halving finds its zero, or the end of the range.
    """
    true = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    low, high = -np.log(HOTTEST), np.log(HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (probabilities(logits, np.exp(-middle)) * logits).sum(axis=1)
        if (expected - true).mean() < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return ``softmax(logits / temperature)`` over the last axis."""
    scaled = logits / temperature
    shares = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def calibration_error(confidence: Floats, right: NDArray[np.bool_], *, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy over bins of equal mass.

    Args:
        confidence: probability of the predicted class ``[images]``.
        right: whether it is the label ``[images]``.
        bins: each holds as many images as the others, give or take one; empty ones count nothing.
    """
    order = np.argsort(confidence, kind="stable")
    gap = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            gap += len(part) * abs(float(confidence[part].mean()) - float(right[part].mean()))
    return gap / len(order)


def _nll(shares: Floats, labels: Ints) -> float:
    true = np.take_along_axis(shares, labels[:, None], axis=1)
    return float(-np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean())
