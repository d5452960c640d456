"""Multinomial logistic regression on a few rows of many features, fast enough to be fitted after every label.

With ``N`` rows of ``K`` features, the rows' span has at most ``N`` dimensions, and the penalised optimum lies in it
(the representer theorem: Schoelkopf, Herbrich and Smola 2001). So the problem is turned into that span first, and
L-BFGS (Liu and Nocedal 1989, doi 10.1007/BF01589116) has ``C * min(N, K)`` unknowns in place of ``C * K``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

MEMORY = 10
ITERATIONS = 200
TOLERANCE = 1e-6
"""Largest component of the gradient at which a fit is done."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearFit:
    """A linear classifier ``scores = X @ weight.T + bias``; `weight` is ``[C, K]``, `bias` ``[C]``."""

    weight: Floats
    bias: Floats

    def probabilities(self, rows: NDArray[np.floating]) -> Floats:
        """Return the softmax of the scores of `rows` ``[N, K]``: ``[N, C]``."""
        return softmax(np.asarray(rows, np.float64) @ self.weight.T + self.bias)


def softmax(scores: Floats) -> Floats:
    """Return ``exp(s_c) / sum exp(s)`` along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def fit_logistic(
    rows: NDArray[np.floating], labels: Labels, shares: Floats, *, classes: int, penalty: float = 1e-3
) -> LinearFit:
    """Return the classifier that minimises the weighted mean log-loss plus ``penalty / 2 * sum(V ** 2)``.

    ``V`` are the weights on standardised features ``(x - mean) / deviation``, whose mean and deviation are weighted by
    `shares`; a feature that never varies counts as zero. Biases are free. The result has both folded in,
    ``w = v / deviation`` and ``b = c - sum(v * mean / deviation)``, so it is meant for features as they are.

    Args:
        rows: features ``[N, K]``.
        labels: class of each row, ``0 .. classes - 1``.
        shares: weight of each row ``[N]``, of any positive sum.
        classes: number of classes.
        penalty: above 0.
    """
    X = np.asarray(rows, np.float64)  # noqa: N806 - the field's own symbol
    shares = np.asarray(shares, np.float64) / shares.sum()
    mean = shares @ X
    deviation = np.sqrt(shares @ (X - mean) ** 2)
    scale = np.where(deviation > 1e-9 * np.maximum(np.abs(mean), 1e-30), 1 / np.maximum(deviation, 1e-30), 0.0)
    Z = (X - mean) * scale  # noqa: N806
    coordinates, basis = _span(Z)
    targets = np.eye(classes)[labels]
    size = coordinates.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        inner = flat.reshape(classes, size + 1)
        weight, bias = inner[:, :size], inner[:, size]
        scores = coordinates @ weight.T + bias
        top = scores.max(axis=1, keepdims=True)
        raised = np.exp(scores - top)
        sums = raised.sum(axis=1, keepdims=True)
        log_p = scores - top - np.log(sums)
        value = -float(shares @ (targets * log_p).sum(axis=1)) + 0.5 * penalty * float((weight**2).sum())
        error = shares[:, None] * (raised / sums - targets)
        gradient = np.concatenate([error.T @ coordinates + penalty * weight, error.sum(axis=0)[:, None]], axis=1)
        return value, gradient.ravel()

    inner = minimise(loss, np.zeros(classes * (size + 1))).reshape(classes, size + 1)
    weight = (inner[:, :size] @ basis) * scale
    return LinearFit(weight, inner[:, size] - weight @ mean)


def _span(rows: Floats) -> tuple[Floats, Floats]:
    """Return coordinates ``[N, r]`` and an orthonormal basis ``[r, K]`` whose product is `rows`."""
    if rows.shape[0] >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    values, vectors = np.linalg.eigh(rows @ rows.T)
    kept = values > values[-1] * 1e-12
    if not kept.any():
        return np.zeros((len(rows), 1)), np.zeros((1, rows.shape[1]))
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, (vectors[:, kept] / lengths).T @ rows


def minimise(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Return the minimum of a smooth convex function by L-BFGS with backtracking.

    Args:
        loss: a point to its value and gradient.
        start: first point.
    """
    point = start
    value, gradient = loss(point)
    steps: list[tuple[Floats, Floats, float]] = []
    for _ in range(ITERATIONS):
        if np.abs(gradient).max() <= TOLERANCE:
            break
        direction = -_inverse_hessian_times(gradient, steps)
        slope = float(gradient @ direction)
        if slope >= 0:  # rounding has spoilt the memory
            steps.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        length = 1.0 if steps else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        while length > 1e-12:
            candidate = point + length * direction
            new_value, new_gradient = loss(candidate)
            if new_value <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break
        moved, turned = candidate - point, new_gradient - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-12 * float(turned @ turned):
            steps = [*steps[-MEMORY + 1 :], (moved, turned, curvature)]
        point, value, gradient = candidate, new_value, new_gradient
    return point


def _inverse_hessian_times(vector: Floats, steps: list[tuple[Floats, Floats, float]]) -> Floats:
    """Return the two-loop product of Nocedal 1980."""
    result = vector.copy()
    factors = []
    for moved, turned, curvature in reversed(steps):
        factor = float(moved @ result) / curvature
        factors.append(factor)
        result -= factor * turned
    if steps:
        moved, turned, curvature = steps[-1]
        result *= curvature / float(turned @ turned)
    for (moved, turned, curvature), factor in zip(steps, reversed(factors), strict=True):
        result += (factor - float(turned @ result) / curvature) * moved
    return result
