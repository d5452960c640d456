"""How far an approximate Score-CAM run can be trusted, measured on a few of its units.

Two approximations are offered and labelled: masked passes in bfloat16, and masks of the strongest units alone. What
the exact map would have been is known only by making it, so its correlation with the approximate one is measured on a
sample: the same units in float32, or some of those left out, each standing for its share of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from camviewer.cam.scorecam import OnlineSum, ScoreRun, Weighing, accumulate, target_scores

CHECKED_UNITS = 16
"""Units whose masked passes are repeated in float32, once for a network on its device."""
LEFT_OUT_SHARE = 8
"""One left-out unit is looked at for so many that were not left out."""


def spread(units: Tensor, count: int) -> Tensor:
    """Return `count` of `units`, evenly spread over their order; all where there are not so many."""
    if len(units) <= count:
        return units
    return units[torch.linspace(0, len(units) - 1, count).round().long().to(units.device)]


def precision_agreement(run: ScoreRun, units: Tensor, exact: Tensor, targets: Tensor, weighing: Weighing) -> float:
    """Return the lowest Pearson correlation over the targets of the maps of some units, by run and exactly.

    Args:
        run: in reduced precision.
        units: some that are done.
        exact: logits of these in float32, ``[n, classes]``.
        targets: ``[T, classes]``.
        weighing: of the run.
    """
    maps = []
    for logits in (run.logits[units], exact.to(run.logits)):
        online = OnlineSum(len(targets), tuple(run.A.shape[1:]), variant=weighing.variant, like=run.A)
        online.add(target_scores(logits, targets, weighing), run.A[units])
        maps.append(online.maps())
    return min(_pearson(a, b) for a, b in zip(*maps, strict=True))


def completeness(
    run: ScoreRun, units: Tensor, logits: Tensor, left_out: int, targets: Tensor, weighing: Weighing
) -> list[float]:
    """Return by target the Pearson correlation of the strongest units' map with an estimate of all units' map.

    Args:
        run: of the strongest units.
        units: a sample of those left out.
        logits: of the sample, ``[n, classes]``.
        left_out: how many were left out; each of the sample counts for its share.
        targets: ``[T, classes]``.
        weighing: of the run.
    """
    estimate = accumulate(run, targets, weighing)
    found = estimate.maps()
    scores = target_scores(logits, targets, weighing)
    share = left_out / len(units)
    estimate.add(scores + math.log(share) if weighing.variant == "softmax" else scores * share, run.A[units])
    return [_pearson(a, b) for a, b in zip(found, estimate.maps(), strict=True)]


def _pearson(a: Tensor, b: Tensor) -> float:
    """Return the correlation of two maps; 1 for equal ones, 0 where one alone is flat."""
    a, b = a.double().flatten(), b.double().flatten()
    a, b = a - a.mean(), b - b.mean()
    scale = a.norm() * b.norm()
    if float(scale) == 0:
        return 1.0 if float(a.norm()) == float(b.norm()) else 0.0
    return float((a @ b / scale).clamp(-1, 1))
