"""Closed forms behind a recognised head: gradients, ablations and maps of all classes without a backward pass.

Symbols as in `camviewer.cam.methods` and `camviewer.models.heads`. ``A`` is what enters the pooling (``gap_linear``,
``gmp_linear``) or the last convolution (``conv_gap``); ``W`` ``[C, K]`` and ``b`` ``[C]`` are the linear layer's, or
the 1x1 convolution's; ``V`` ``[T, C]`` holds one target a row, as a combination of logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from camviewer.cam import methods
from camviewer.models.heads import Head

Maps = tuple[Tensor, Tensor | None]
"""Maps ``[T, h, w]`` and, where a method can be undefined, which targets were affected ``[T]``."""
GradientMethod = Callable[[Tensor, Tensor], Maps]
"""(A, G) to maps."""


def is_uniform(head: Head) -> bool:
    """Return whether the gradient of every score is the same at each cell: ``w/Z``."""
    return head.kind == "gap_linear" or (head.kind == "conv_gap" and not head.class_relu)


def head_gradients(head: Head, A: Tensor, V: Tensor) -> Tensor:
    """Return ``d(V S)/dA`` ``[T, K, h, w]``.

    ``gap_linear``: ``w/Z`` everywhere; ``gmp_linear``: ``w`` at a unit's first largest cell, 0 elsewhere;
    ``conv_gap``: ``w/Z`` where ``M_c + b_c > 0`` (everywhere without a ReLU behind the convolution).
    """
    assert head.weight is not None and head.bias is not None
    W, b = head.weight.to(A), head.bias.to(A)
    if is_uniform(head):
        return (V @ W / (A.shape[1] * A.shape[2]))[:, :, None, None].expand(-1, -1, *A.shape[1:])
    if head.kind == "gmp_linear":
        peaks = torch.zeros_like(A).flatten(1)
        peaks.scatter_(1, A.flatten(1).argmax(dim=1, keepdim=True), 1.0)
        return (V @ W)[:, :, None, None] * peaks.view_as(A)
    used = torch.nonzero(V.abs().sum(dim=0)).flatten()
    active = (methods.cam(A, W[used]) + b[used, None, None] > 0).to(A)
    cells = A.shape[1] * A.shape[2]
    return torch.einsum("tc,ck,cij->tkij", V[:, used], W[used] / cells, active)


def head_ablations(head: Head, A: Tensor, V: Tensor) -> Tensor:
    """Return the target scores with each unit set to zero, ``[K, T]``, without a pass."""
    assert head.weight is not None and head.bias is not None
    W, b = head.weight.to(A), head.bias.to(A)
    if head.kind == "gmp_linear" or is_uniform(head):
        pooled = A.amax(dim=(1, 2)) if head.kind == "gmp_linear" else A.mean(dim=(1, 2))
        scores = V @ (W @ pooled + b)
        return scores - (V @ W).T * pooled[:, None]
    used = torch.nonzero(V.abs().sum(dim=0)).flatten()
    W, b = W[used], b[used]
    before = methods.cam(A, W) + b[:, None, None]
    rows = [(before - W[:, k, None, None] * A[k]).relu().mean(dim=(1, 2)) @ V[:, used].T for k in range(len(A))]
    return torch.stack(rows)


def _plain(function: Callable[[Tensor, Tensor], Tensor]) -> GradientMethod:
    return lambda A, G: (function(A, G), None)


def _grad_cam_pp(A: Tensor, G: Tensor) -> Maps:
    weights, undefined = methods.grad_cam_pp_weights(A, G)
    return methods.weighted_sum(A, weights).relu(), undefined


def _x_grad_cam(A: Tensor, G: Tensor) -> Maps:
    weights, undefined = methods.x_grad_cam_weights(A, G)
    return methods.weighted_sum(A, weights).relu(), undefined


def _uniform_grad_cam(A: Tensor, weights: Tensor) -> Maps:
    return methods.weighted_sum(A / A[0].numel(), weights).relu_(), None


def _uniform_hires_cam(A: Tensor, weights: Tensor) -> Maps:
    return methods.weighted_sum(A / A[0].numel(), weights), None


def _uniform_layer_cam(A: Tensor, weights: Tensor) -> Maps:
    return methods.weighted_sum(A / A[0].numel(), weights.relu()).relu_(), None


def _uniform_grad_cam_pp(A: Tensor, weights: Tensor) -> Maps:
    found, undefined = methods.grad_cam_pp_cells(A.mean(dim=(1, 2)), weights)
    return methods.weighted_sum(A, found).relu_(), None if undefined is None else undefined.any(dim=1)


def _uniform_x_grad_cam(A: Tensor, weights: Tensor) -> Maps:
    total = A.sum(dim=(1, 2), dtype=torch.float64).abs()
    magnitude = A.abs().sum(dim=(1, 2), dtype=torch.float64)
    defined = total > methods.CANCELLING_BELOW * magnitude
    undefined = (~defined & (magnitude > 0)).any().expand(len(weights))
    return methods.weighted_sum(torch.where(defined[:, None, None], A / A[0].numel(), 0), weights).relu_(), undefined


GRADIENT_METHODS: dict[str, GradientMethod] = {
    "gradcam": _plain(methods.grad_cam),
    "finercam": _plain(methods.grad_cam),
    "gradcampp": _grad_cam_pp,
    "hirescam": _plain(methods.hires_cam),
    "layercam": _plain(methods.layer_cam),
    "xgradcam": _x_grad_cam,
    "eigengradcam": _plain(methods.eigen_grad_cam),
}
"""Every method that needs activations and gradients alone."""
UNIFORM_METHODS: dict[str, Callable[[Tensor, Tensor], Maps]] = {
    "gradcam": _uniform_grad_cam,
    "finercam": _uniform_grad_cam,
    "gradcampp": _uniform_grad_cam_pp,
    "hirescam": _uniform_hires_cam,
    "layercam": _uniform_layer_cam,
    "xgradcam": _uniform_x_grad_cam,
}
"""Of these, from A and weights ``w`` ``[T, K]``, when the gradient is the same at every cell, as on a GAP head.

With ``G_kij = w_k / Z``: Grad-CAM ``ReLU(sum w_k A_k) / Z = ReLU(CAM) / Z``, Grad-CAM++ weights
``ReLU(w_k) / (2 + mean(A_k) w_k)``, HiResCAM ``sum w_k A_k / Z``, LayerCAM ``ReLU(sum ReLU(w_k) A_k) / Z``,
XGrad-CAM ``ReLU(sum w_k A_k) / Z`` over units whose activations do not cancel.
"""
WITH_GRADIENTS = frozenset({*GRADIENT_METHODS, "smoothgradcampp"})
DIVIDING = frozenset({"gradcampp", "smoothgradcampp", "xgradcam"})
"""Methods whose weights are quotients that signed units can bring close to a vanishing denominator."""
