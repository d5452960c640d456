"""What a wrong mask costs while learning: overlap and pixels, for labels that are partly wrong."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from camviewer.training.segmentation.views import IGNORED


def mask_loss(logits: Tensor, labels: Tensor, trust: Tensor) -> Tensor:
    """Return the mean cost of a batch.

    Of each picture: soft Dice (Milletari et al., arXiv 1606.04797) plus the cross-entropy of region against
    background, whose targets are ``trust * label + (1 - trust) * p`` with the network's own probability p (soft
    bootstrapping, Reed et al., arXiv 1412.6596); of several classes also the cross-entropy of the class inside the
    regions. Pixels labelled `IGNORED` cost nothing.

    Args:
        logits: ``[N, outputs, h, w]`` of `UNet`.
        labels: ``[N, h, w]``: 0, a class from 1, or `IGNORED`.
        trust: in the labels of each picture, 0..1, ``[N]``.
    """
    counted = (labels != IGNORED).float()
    inside = ((labels > 0) & (labels != IGNORED)).float()
    region = logits[:, 0]
    probability = region.sigmoid()
    own = probability.detach()
    believed = trust[:, None, None]
    target = believed * inside + (1 - believed) * own
    pixels = counted.sum((1, 2)).clamp_min(1)
    entropy = F.binary_cross_entropy_with_logits(region, target, reduction="none")
    cost = (entropy * counted).sum((1, 2)) / pixels
    both = (probability * inside).sum((1, 2))
    either = ((probability + inside) * counted).sum((1, 2))
    cost = cost + 1 - (2 * both + 1) / (either + 1)
    if logits.shape[1] > 1:
        wanted = torch.where(inside > 0, labels.long() - 1, -100)
        each = F.cross_entropy(logits[:, 1:], wanted, ignore_index=-100, reduction="none")
        cost = cost + each.sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)
    return cost.mean()
