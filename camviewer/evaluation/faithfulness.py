"""Whether a map shows what the network uses, without truth: masked inputs and what they do to the probability.

All measures speak of *probabilities* of one class, as `Probabilities` gives them for a batch of normalised inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Probabilities = Callable[[Tensor], Tensor]
"""Inputs ``[N, C, h, w]`` to probabilities ``[N, classes]``, without gradients."""

Baseline = Literal["mean", "black", "blur", "border"]

STEPS = 10


@dataclass(frozen=True, slots=True)
class Confidence:
    """Means over images of what happens to the probability when only the map's part of the input is left.

    With p of the whole and o of the masked input (Chattopadhay et al. 2018, arXiv 1710.11063; average gain: Zhang et
    al. 2023, arXiv 2301.07002):

    Attributes:
        average_drop: mean of ``max(0, p - o) / p``, 0..1, lower is better.
        increase: share of images with ``o > p``, higher is better.
        average_gain: mean of ``max(0, o - p) / (1 - p)``, 0..1, higher is better.
    """

    average_drop: float
    increase: float
    average_gain: float


def confidence(whole: Sequence[float], masked: Sequence[float]) -> Confidence:
    """Return the three measures of probabilities of the whole and of the masked inputs; NaN without images.

    An image with p = 0 cannot drop, one with p = 1 cannot gain.

    Raises:
        ValueError: when the numbers differ, or one is no probability.
    """
    if len(whole) != len(masked):
        raise ValueError(f"{len(whole)} whole and {len(masked)} masked inputs")
    if not all(0 <= p <= 1 for p in (*whole, *masked)):
        raise ValueError("probabilities lie in 0..1")
    if not whole:
        return Confidence(math.nan, math.nan, math.nan)
    pairs = list(zip(whole, masked, strict=True))
    return Confidence(
        average_drop=sum(max(0.0, p - o) / p if p > 0 else 0.0 for p, o in pairs) / len(pairs),
        increase=sum(o > p for p, o in pairs) / len(pairs),
        average_gain=sum(max(0.0, o - p) / (1 - p) if p < 1 else 0.0 for p, o in pairs) / len(pairs),
    )


def mask_input(X: Tensor, values: Tensor, *, fill: Tensor | None = None) -> Tensor:
    """Return the input where the map is high: ``X * H + fill * (1 - H)`` with H the map stretched to 0..1.

    Args:
        X: normalised input ``[C, h, w]``.
        values: map upsampled to the input, ``[h, w]``; a constant one keeps nothing.
        fill: what takes the place, ``[C, h, w]``; the mean colour (0) when None.
    """
    low, high = values.min(), values.max()
    H = (values - low) / (high - low) if high > low else torch.zeros_like(values)
    return X * H if fill is None else X * H + fill * (1 - H)


def baseline(
    X: Tensor,
    kind: Baseline,
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
) -> Tensor:
    """Return what stands for "removed", ``[C, h, w]``.

    Args:
        X: normalised input ``[C, h, w]``.
        kind: ``mean`` (0 after normalising, the training set's mean colour), ``black``, ``blur`` (a Gaussian of 1/8 of
            the side; keeps colour, loses structure) or ``border`` (the median of the outer tenth, for skin its tone).
            For dermoscopy ``blur`` or ``border``: black is what a dark corner looks like.
        mean, std: of the normalisation, for ``black``.
    """
    if kind == "mean":
        return torch.zeros_like(X)
    if kind == "black":
        level = -torch.tensor(mean, dtype=X.dtype) / torch.tensor(std, dtype=X.dtype)
        return level.to(X.device).view(-1, 1, 1).expand_as(X).contiguous()
    if kind == "border":
        _, height, width = X.shape
        edge_y, edge_x = max(1, height // 10), max(1, width // 10)
        ring = torch.ones(height, width, dtype=torch.bool, device=X.device)
        ring[edge_y : height - edge_y, edge_x : width - edge_x] = False
        return X[:, ring].median(dim=1).values.view(-1, 1, 1).expand_as(X).contiguous()
    sigma = max(X.shape[1:]) / 8
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=X.dtype, device=X.device)
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    channels = X.shape[0]
    # Replicated edges; reflecting is not defined for a kernel wider than the input.
    padded = functional.pad(X[None], (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)[0]


@dataclass(frozen=True, slots=True)
class Causal:
    """Deletion and insertion curves of one map (Petsiuk et al. 2018, arXiv 1806.07421).

    Attributes:
        deletion: probability after the highest 0, 1/n, ... n/n of the pixels were replaced, ``n + 1`` values.
        insertion: probability after that share was put into the baseline, ``n + 1`` values.
    """

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve by trapezoids, lower is better."""
        return area(self.deletion)

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve by trapezoids, higher is better."""
        return area(self.insertion)


def area(curve: Sequence[float]) -> float:
    """Return the area under equally spaced values over 0..1, by trapezoids."""
    return (sum(curve) - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)


def deletion_insertion(
    probabilities: Probabilities, X: Tensor, values: Tensor, class_index: int, *, fill: Tensor, steps: int = STEPS
) -> Causal:
    """Return both curves from one batch of ``2 * steps`` inputs (their ends coincide crosswise).

    Pixels are taken by the map's value, highest first, equal ones in reading order.

    Args:
        probabilities: of the network.
        X: normalised input ``[C, h, w]``.
        values: map upsampled to the input, ``[h, w]``.
        class_index: whose probability.
        fill: `baseline` of the input.
        steps: in which the pixels go.

    Raises:
        ValueError: when map and input differ in size, or for less than one step.
    """
    if values.shape != X.shape[1:]:
        raise ValueError(f"map of {tuple(values.shape)} for an input of {tuple(X.shape[1:])}")
    if steps < 1:
        raise ValueError("at least one step")
    order = torch.argsort(values.flatten(), descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device)
    counts = [round(order.numel() * step / steps) for step in range(steps + 1)]
    taken = torch.stack([(rank < n).view(X.shape[1:]) for n in counts])[:, None]
    deleted = torch.where(taken, fill, X)
    # The whole input and the bare baseline are in `deleted` already.
    inserted = torch.where(taken[1:-1], X, fill)
    with torch.no_grad():
        found = probabilities(torch.cat([deleted, inserted]))[:, class_index].tolist()
    deletion = tuple(found[: steps + 1])
    return Causal(deletion, (deletion[-1], *found[steps + 1 :], deletion[0]))
