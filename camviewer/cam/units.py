"""Class-specific units: which channels make a class's score, and which images excite a channel most.

Zhou et al. 2016 (arXiv 1512.04150), section 4: behind a recognised head the score is a sum over units,
``S_c = sum_k w^c_k pool(A_k) + b_c``, so each unit's part of it is known without a further pass.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camviewer.cam import methods
from camviewer.cam.requests import ClassUnit, PoolingScore
from camviewer.errors import UsageError
from camviewer.models.heads import Head

Pooled = NDArray[np.float32]
"""Pooled features of images, ``[N, K]``."""


def pooled_units(head: Head, A: Tensor) -> Tensor:
    """Return what the pooling makes of each unit of `A` ``[K, h, w]``: its mean, or its maximum; ``[K]``."""
    return A.amax(dim=(1, 2)) if head.kind == "gmp_linear" else A.mean(dim=(1, 2))


def contributions(head: Head, A: Tensor, class_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return how a class's score is made up.

    ``S_c = sum_k w^c_k p_k + b`` with ``p_k`` the mean of the unit, its maximum (``gmp_linear``), or, where a ReLU
    follows the class convolution, its mean over the cells with ``M_c + b_c > 0``, the others counting 0; the bias
    counts at those cells alone then.

    Args:
        head: a recognised one.
        A: what enters the head, ``[K, h, w]`` float32.
        class_index: the class.

    Returns:
        weights ``[K]``, pooled units ``p`` ``[K]``, and the bias's part ``[]``, in float64.
    """
    assert head.weight is not None and head.bias is not None
    weights, bias = head.weight[class_index].to(A).double(), head.bias[class_index].to(A).double()
    features = A.double()
    if head.kind == "conv_gap" and head.class_relu:
        active = (methods.cam(features, weights[None])[0] + bias > 0).double()
        return weights, (features * active).mean(dim=(1, 2)), bias * active.mean()
    return weights, pooled_units(head, features), bias


def pooling_scores(head: Head, A: Tensor, class_index: int) -> tuple[PoolingScore, PoolingScore]:
    """Return a class's score with the features pooled by their mean and by their maximum, from the same pass.

    ``S_c = sum_k w^c_k pool(A_k) + b_c`` with the network's own weights; behind a class convolution the class maps
    ``M_c + b_c`` (their ReLU, where one follows) are pooled instead of the units. Max-pooled scoring of a network that
    was trained with mean pooling is not what a network trained with max pooling would say.

    Args:
        head: a recognised one.
        A: what enters the head, ``[K, h, w]`` float32.
        class_index: the class.
    """
    assert head.weight is not None and head.bias is not None
    W, b = head.weight.to(A), head.bias.to(A)
    if head.kind == "conv_gap":
        maps = methods.cam(A, W) + b[:, None, None]
        maps = maps.relu() if head.class_relu else maps
        by_kind = {"gap": maps.mean(dim=(1, 2)), "gmp": maps.amax(dim=(1, 2))}
    else:
        by_kind = {"gap": W @ A.mean(dim=(1, 2)) + b, "gmp": W @ A.amax(dim=(1, 2)) + b}
    first, second = (
        PoolingScore(kind, float(scores[class_index]), 1 + int((scores > scores[class_index]).sum()))
        for kind, scores in by_kind.items()
    )
    return first, second


def rank_units(head: Head, A: Tensor, class_index: int, *, most: int | None = None) -> tuple[list[ClassUnit], float]:
    """Return the units of a class, largest contribution to its score first, and the part of the bias.

    Equal contributions keep the order of the units, so constant zero units come between the ones that speak for and
    against the class.

    Args:
        head: a recognised one.
        A: what enters the head, ``[K, h, w]`` float32.
        class_index: the class.
        most: only so many.
    """
    weights, pooled, bias = contributions(head, A, class_index)
    parts = weights * pooled
    score = float(parts.sum() + bias)
    order = torch.argsort(parts, descending=True, stable=True)[:most]
    values = A[order].float().cpu().numpy()
    columns = (order, weights[order], pooled[order], parts[order])
    listed = zip(*(column.tolist() for column in columns), values, strict=True)
    return [ClassUnit(k, w, p, s, s / abs(score) if score else None, a) for k, w, p, s, a in listed], float(bias)


def most_exciting(pooled: Pooled, unit: int, *, count: int) -> list[tuple[int, float]]:
    """Return the images that excite a unit most, as (row, pooled activation), largest first.

    Equal images keep their order; images whose features are not finite are left out.

    Args:
        pooled: features of the images ``[N, K]``, a row each.
        unit: column.
        count: at most so many images.

    Raises:
        UsageError: when there is no such unit.
    """
    if not 0 <= unit < pooled.shape[1]:
        raise UsageError(f"There is no unit {unit}; the layer has units 0 to {pooled.shape[1] - 1}.")
    column = pooled[:, unit]
    order = np.argsort(-column, kind="stable")
    return [(int(i), float(column[i])) for i in order if np.isfinite(column[i])][: max(0, count)]
