"""PAMR (Araslanov and Roth 2020, arXiv 2005.08104): a map that follows the edges of its picture."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from camviewer.images.geometry import FloatMap

DILATIONS = (1, 2, 4, 8, 12, 24)
"""Distances of the eight neighbours, in pixels, as in the paper."""
_FLOOR = 1e-4  # of the variance: an even neighbourhood has none


def spread(pixels: NDArray[np.uint8], values: FloatMap, *, rounds: int) -> FloatMap:
    """Return the map after each value was replaced, `rounds` times, by a mean of its neighbours that look alike.

    The weight of neighbour j of pixel i is ``softmax_j(mean_c -|I_i - I_j| / s_i^2)`` over eight neighbours at six
    distances, where ``s_i^2`` is the variance of channel c among them and the pixel itself (intensities 0..1). The
    picture goes on beyond its border as it is there.

    Args:
        pixels: RGB uint8 ``[h, w, 3]``.
        values: map of the same size, float32 ``[h, w]``.
        rounds: how often.
    """
    with torch.inference_mode():
        picture = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255
        around = _neighbours(picture)  # [3, n, h, w]
        variance = torch.cat([around, picture[:, None]], dim=1).var(dim=1, correction=0)
        alike = -((around - picture[:, None]).abs() / (variance[:, None] + _FLOOR)).mean(dim=0)
        weight = torch.softmax(alike, dim=0)
        current = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        for _ in range(rounds):
            current = (weight * _neighbours(current[None])[0]).sum(dim=0)
        return cast(FloatMap, current.numpy())


def _neighbours(planes: Tensor) -> Tensor:
    """Return the neighbours of all pixels of ``[c, h, w]`` as ``[c, 8 * distances, h, w]``."""
    height, width = planes.shape[1:]
    reach = max(DILATIONS)
    wide = functional.pad(planes[None], (reach,) * 4, mode="replicate")[0]
    steps = [(y * d, x * d) for d in DILATIONS for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    parts = [wide[:, reach + y : reach + y + height, reach + x : reach + x + width] for y, x in steps]
    return torch.stack(parts, dim=1)
