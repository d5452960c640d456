"""The CAM family as pure functions of activations and gradients.

Symbols: ``A`` activations ``[K, h, w]``; ``G`` gradients of the target score by ``A``, one for each of T targets,
``[T, K, h, w]``; ``W`` linear weights of the targets ``[T, K]``; ``Z = h * w``. Results are raw maps ``[T, h, w]`` in
the dtype of ``A``, at the layer's resolution, never normalised. A target is any linear combination of logits:
``S_c``, ``-S_c`` or ``S_a - S_b``.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNDEFINED_BELOW = 1e-6
"""Grad-CAM++ denominators at or below this are treated as undefined (they are at least 2 where A >= 0)."""

CANCELLING_BELOW = 1e-6
"""XGrad-CAM: a unit whose activations cancel to less than this share of their absolute sum has no defined weight."""


def weighted_sum(A: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum_k weights_tk A_k``, signed: `A` ``[K, h, w]``, `weights` ``[T, K]`` -> ``[T, h, w]``."""
    return (weights @ A.flatten(1)).view(-1, *A.shape[1:])


def cam(A: Tensor, W: Tensor) -> Tensor:
    """Class activation map, Zhou et al. 2016 (arXiv 1512.04150): ``M_c = sum_k w_k^c A_k``, signed, no bias.

    On a head of global average pooling and one linear layer, ``mean(M_c) + b_c = S_c`` exactly.

    Args:
        A: activations that enter the pooling, ``[K, h, w]``.
        W: linear weights of the targets, ``[T, K]``.
    """
    return weighted_sum(A, W)


def grad_cam(A: Tensor, G: Tensor) -> Tensor:
    """Grad-CAM, Selvaraju et al. 2017 (arXiv 1610.02391).

    ``alpha_k = mean_ij G_kij``; ``M = ReLU(sum_k alpha_k A_k)``.
    """
    return weighted_sum(A, G.mean(dim=(2, 3))).relu()


def grad_cam_pp_cells(total: Tensor, G: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return Grad-CAM++'s ``a * ReLU(g)`` for each gradient, and where it is undefined; None where it cannot be.

    With ``Y = exp(S)`` the paper's ``a = g^2 / (2 g^2 + sum(A_k) g^3)`` is ``1 / (2 + sum(A_k) g)`` where ``g != 0``:
    no square, no cube, no epsilon. Units with signed activations can make the denominator vanish or negative; such
    cells count 0.

    Args:
        total: ``sum(A_k)`` of the unit that each gradient belongs to; broadcast to `G`.
        G: gradients.
    """
    g = G.relu()
    denominator = torch.mul(total, g).add_(2)
    if bool(total.amin() >= 0):  # as behind a ReLU
        return g.div_(denominator), None
    undefined = denominator <= UNDEFINED_BELOW
    return g.div_(denominator.masked_fill_(undefined, 1)).masked_fill_(undefined, 0), undefined


def grad_cam_pp_weights(A: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit weights of Grad-CAM++ ``[T, K]`` and whether some cells were undefined ``[T]``.

    ``w_k = sum_ij a_kij ReLU(g_kij)`` of `grad_cam_pp_cells`; the positive factor ``exp(S)`` is left out, so raw
    values are not comparable across classes.
    """
    cells, undefined = grad_cam_pp_cells(A.sum(dim=(1, 2))[:, None, None], G)
    if undefined is None:
        return cells.sum(dim=(2, 3)), torch.zeros(len(G), dtype=torch.bool, device=G.device)
    return cells.sum(dim=(2, 3)), undefined.flatten(1).any(dim=1)


def grad_cam_pp(A: Tensor, G: Tensor) -> Tensor:
    """Grad-CAM++, Chattopadhay et al. 2018 (arXiv 1710.11063).

    ``M = ReLU(sum_k w_k A_k)`` with the weights of `grad_cam_pp_weights`.
    """
    return weighted_sum(A, grad_cam_pp_weights(A, G)[0]).relu()


def hires_cam(A: Tensor, G: Tensor) -> Tensor:
    """HiResCAM, Draelos and Carin 2020 (arXiv 2011.08891): ``M = sum_k G_k * A_k`` cell by cell, signed."""
    return torch.einsum("tkij,kij->tij", G, A)


def layer_cam(A: Tensor, G: Tensor) -> Tensor:
    """LayerCAM, Jiang et al. 2021 (IEEE TIP 30): ``M = ReLU(sum_k ReLU(G_k) * A_k)`` cell by cell."""
    return torch.einsum("tkij,kij->tij", G.relu(), A).relu()


def x_grad_cam_weights(A: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit weights of XGrad-CAM ``[T, K]`` and whether some were undefined ``[T]``.

    ``alpha_k = sum_ij(G_kij A_kij) / sum_ij A_kij``. A unit that is zero everywhere has no part in the map. A unit
    whose signed activations cancel has no defined weight: it counts 0 and the target is reported.
    """
    # Sums in float64: signed activations cancel.
    total = A.sum(dim=(1, 2), dtype=torch.float64)
    magnitude = A.abs().sum(dim=(1, 2), dtype=torch.float64)
    defined = total.abs() > CANCELLING_BELOW * magnitude
    numerator = (G * A).sum(dim=(2, 3), dtype=torch.float64)
    weights = torch.where(defined, numerator / torch.where(defined, total, 1), 0).to(A.dtype)
    cancelling = (~defined & (magnitude > 0)).any()
    return weights, cancelling.expand(len(G))


def x_grad_cam(A: Tensor, G: Tensor) -> Tensor:
    """XGrad-CAM, Fu et al. 2020 (arXiv 2008.02312).

    ``M = ReLU(sum_k alpha_k A_k)`` with the weights of `x_grad_cam_weights`.
    """
    return weighted_sum(A, x_grad_cam_weights(A, G)[0]).relu()


def _first_component(features: Tensor) -> Tensor:
    """Return the projection of ``features [K, Z]``'s columns on their first left singular vector, ``[Z]``.

    Computed in float64 from the smaller Gram matrix. The sign is arbitrary.
    """
    X = features.double()
    if X.shape[0] <= X.shape[1]:
        vectors: Tensor = torch.linalg.eigh(X @ X.T)[1]
        return vectors[:, -1] @ X
    values: Tensor
    values, vectors = torch.linalg.eigh(X.T @ X)
    return vectors[:, -1] * values[-1].clamp(min=0).sqrt()


def eigen_cam(A: Tensor) -> Tensor:
    """Eigen-CAM, Muhammad and Yeasin 2020 (arXiv 2008.00299), the same for every class.

    The first principal component of the activations, not centred, as in the paper: with ``A`` as a matrix
    ``[Z, K] = U Sigma V^T``, ``M = A v_1``. A singular vector's sign is arbitrary; it is fixed so that the map
    agrees with the summed activations (``sum_ij M_ij sum_k A_kij >= 0``).

    Returns:
        signed map ``[1, h, w]``.
    """
    projection: Tensor = _first_component(A.flatten(1))
    agreement = torch.dot(projection, A.double().sum(dim=0).flatten())
    return (projection * _sign(agreement)).to(A.dtype).view(1, *A.shape[1:])


def eigen_grad_cam(A: Tensor, G: Tensor) -> Tensor:
    """EigenGrad-CAM (the ``grad-cam`` library's class-aware form of Eigen-CAM).

    The first principal component of ``G_k * A_k``, not centred. Its sign is fixed so that the map agrees with
    HiResCAM, the sum of the same terms (``sum_ij M_ij sum_k G_kij A_kij >= 0``).

    Returns:
        signed maps ``[T, h, w]``.
    """
    maps = []
    for product in (G * A).flatten(2):
        projection = _first_component(product)
        agreement = torch.dot(projection, product.double().sum(dim=0))
        maps.append((projection * _sign(agreement)).to(A.dtype).view(A.shape[1:]))
    return torch.stack(maps)


def _sign(value: Tensor) -> float:
    return -1.0 if float(value) < 0 else 1.0


def ablation_weights(S: Tensor, ablated: Tensor) -> Tensor:
    """Return the unit weights of Ablation-CAM ``[T, K]``, Desai and Ramaswamy 2020 (WACV).

    ``w_k = (S - S_k) / |S|`` with ``S_k`` the score when unit ``k`` is zero. The paper divides by ``S``; its absolute
    value is the same for positive scores and does not turn the map upside down for negative ones. A score of exactly
    0 leaves the difference undivided.

    Args:
        S: scores of the targets, ``[T]``.
        ablated: scores without each unit, ``[K, T]``.
    """
    scale = torch.where(S == 0, torch.ones_like(S), S.abs())
    return (S[:, None] - ablated.T) / scale[:, None]


def smooth_grad_cam_pp_weights(A: Tensor, samples: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the unit weights of SmoothGrad-CAM++ ``[T, K]`` and whether some were undefined ``[T]``.

    Omeiza et al. 2019 (arXiv 1908.01224): Grad-CAM++ with the derivatives averaged over noisy copies of the input,
    ``a = mean(g^2) / (2 mean(g^2) + sum(A_k) mean(g^3))``, ``w_k = sum_ij a_kij ReLU(mean(g)_kij)``; the activations
    are those of the clean image. Gradients are divided by their largest magnitude before they are squared and cubed,
    and the factor is put back, so nothing underflows.

    Args:
        A: activations of the clean image ``[K, h, w]``.
        samples: gradients of the noisy copies, each ``[T, K, h, w]``.
    """
    scale = torch.stack([G.abs().amax() for G in samples]).amax()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    first = sum((G / scale for G in samples[1:]), samples[0] / scale) / len(samples)
    second = sum(((G / scale) ** 2 for G in samples[1:]), (samples[0] / scale) ** 2) / len(samples)
    third = sum(((G / scale) ** 3 for G in samples[1:]), (samples[0] / scale) ** 3) / len(samples)
    denominator = 2 * second + scale * A.sum(dim=(1, 2))[None, :, None, None] * third
    positive = first > 0
    defined = denominator > UNDEFINED_BELOW * second
    a = torch.where(defined & positive, second / torch.where(defined, denominator, 1), 0)
    weights = (a * first.relu() * scale).sum(dim=(2, 3))
    return weights, (positive & ~defined).flatten(1).any(dim=1)


def random_cam(A: Tensor, targets: list[int], *, seed: int) -> Tensor:
    """Random control: ``ReLU(sum_k u_k A_k)`` with ``u_k`` uniform in [-1, 1], fixed by `seed` and the target.

    A map that says nothing about the class; what a method has to beat.

    Args:
        A: activations ``[K, h, w]``.
        targets: one number for each map, part of its seed.
        seed: of the run.
    """
    rows = []
    for target in targets:
        generator = torch.Generator().manual_seed((seed * 1_000_003 + target) % 2**63)
        rows.append(torch.rand(A.shape[0], generator=generator, dtype=torch.float64) * 2 - 1)
    return weighted_sum(A, torch.stack(rows).to(A)).relu()
