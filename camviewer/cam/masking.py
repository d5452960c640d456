"""Masked inputs: what Score-CAM and its relatives put through a network for each unit.

Wang et al. 2020 (arXiv 1910.01279), on the normalised input ``X``: unit k sees ``X * H_k + X_b * (1 - H_k)`` with
``H_k = minmax(upsample(A_k))`` (bilinear, half-pixel centres, then min-max). SS-CAM averages over noisy masks or
inputs, IS-CAM over masks of growing strength.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Baseline = Literal["zero", "black", "blur"]
Perturbation = Literal["none", "activation", "input", "integrate"]

Forward = Callable[[Tensor], Tensor]
"""Inputs ``[N, C, H, W]`` to logits ``[N, classes]``."""

BLUR_SHARE = 0.05
"""Standard deviation of the blurred baseline, as a share of the input's shorter side."""


@dataclass(frozen=True, slots=True)
class Masking:
    """What is put through the network for a unit.

    Attributes:
        baseline: see `baseline_input`.
        perturbation: ``none`` (Score-CAM); ``activation`` or ``input`` (SS-CAM: noise on the unit before min-max, or
            on the masked input); ``integrate`` (IS-CAM: masks ``i / samples * H_k``).
        samples: passes for each unit whose scores are averaged; 1 for ``none``.
        noise: standard deviation of SS-CAM's noise as a share of the unit's (or the input's) range.
        seed: of the noise.
        strongest: only so many of the strongest units, 0 for all (an approximation).
    """

    baseline: Baseline = "zero"
    perturbation: Perturbation = "none"
    samples: int = 1
    noise: float = 0.0
    seed: int = 0
    strongest: int = 0


def baseline_input(X: Tensor, kind: Baseline, *, black: Tensor) -> Tensor:
    """Return what stands where a unit is low, ``[C, H, W]``.

    Args:
        X: normalised input ``[C, H, W]``.
        kind: ``zero`` (0 after normalising: the mean colour), ``black``, or ``blur`` (Gaussian, 5 % of the side).
        black: normalised value of black for each channel, ``[C]``.
    """
    if kind == "zero":
        return torch.zeros_like(X)
    if kind == "black":
        return black.to(X)[:, None, None].expand_as(X).clone()
    sigma = BLUR_SHARE * min(X.shape[1:])
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(X)
    blurred = functional.pad(X[:, None], (radius, radius, radius, radius), mode="replicate")
    blurred = functional.conv2d(blurred, kernel.view(1, 1, 1, -1))
    return functional.conv2d(blurred, kernel.view(1, 1, -1, 1))[:, 0]


def stretched(values: Tensor, low: Tensor, high: Tensor, *, varies: Tensor) -> Tensor:
    """Return `values` ``[n, h, w]`` with `low` at 0 and `high` at 1 (both ``[n, 1, 1]``); 0 unless it `varies`."""
    varies = varies & (high > low)
    return torch.where(varies, (values - low) / torch.where(varies, high - low, 1), 0)


def varying(A: Tensor) -> Tensor:
    """Return which units of `A` ``[n, h, w]`` are not constant, ``[n, 1, 1]``.

    Asked of the units themselves, since enlarging a constant leaves rounding noise.
    """
    return A.amax(dim=(1, 2), keepdim=True) > A.amin(dim=(1, 2), keepdim=True)


def unit_masks(A: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``minmax(upsample(A_k))``: `A` ``[n, h, w]`` -> ``[n, H, W]`` in [0, 1]; a constant unit gives 0."""
    upsampled = functional.interpolate(A[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    low, high = (ends(dim=(1, 2), keepdim=True) for ends in (upsampled.amin, upsampled.amax))
    return stretched(upsampled, low, high, varies=varying(A))


class MaskedForward:
    """Puts an image through a network as units see it.

    Args:
        forward: inputs to logits.
        X: normalised input ``[C, H, W]``.
        background: what stands where a unit is low, ``[C, H, W]``.
    """

    def __init__(self, forward: Forward, X: Tensor, background: Tensor) -> None:
        self._forward = forward
        self._X = X
        self._background = background

    def baseline(self) -> Tensor:
        """Return the logits ``[classes]`` where every unit is low, float32."""
        return self._forward(self._background[None])[0].float()

    def masked(self, values: Tensor, strength: Tensor | None = None) -> Tensor:
        """Return the logits ``[n, classes]`` of the image under the masks of cells `values` ``[n, h, w]``, float32.

        Args:
            values: of units, before enlargement and min-max.
            strength: factor on each mask, ``[n]``; 1 for None.
        """
        return self._forward(self._inputs(values, strength)).float()

    def rows(self, A: Tensor, units: Tensor, masking: Masking, *, batch: int) -> Tensor:
        """Return the logits ``[n, classes]`` of some units of `A` ``[K, h, w]``, means over samples, float32."""
        if masking.samples == 1 and masking.perturbation == "none":
            return self.masked(A[units])
        return torch.stack([self._averaged(A[int(k)], int(k), masking, batch) for k in units])

    def _averaged(self, a: Tensor, unit: int, masking: Masking, batch: int) -> Tensor:
        """Return the mean logits ``[classes]`` over the samples of one unit ``[h, w]``.

        SS-CAM (Wang et al. 2020, arXiv 2006.14255) averages over noise on the unit or on the masked input; IS-CAM
        (Naidu et al. 2020, arXiv 2010.03023) over masks of strength 1/n .. n/n. A unit's noise depends on seed and
        unit alone.
        """
        n = masking.samples
        values = a.expand(n, -1, -1)
        if masking.perturbation == "integrate":
            strength = torch.arange(1, n + 1, device=a.device, dtype=a.dtype) / n
            found = [self.masked(values[i : i + batch], strength[i : i + batch]) for i in range(0, n, batch)]
            return torch.cat(found).mean(dim=0)
        generator = torch.Generator().manual_seed((masking.seed * 1_000_003 + unit) % 2**63)
        X = self._X
        if masking.perturbation == "activation":
            noise = torch.randn((n, *a.shape), generator=generator).to(a) * (a.amax() - a.amin()) * masking.noise
            return torch.cat([self.masked(part) for part in torch.split(values + noise, batch)]).mean(dim=0)
        noise = torch.randn((n, *X.shape), generator=generator).to(X) * (X.amax() - X.amin()) * masking.noise
        inputs = self._inputs(a[None], None) + noise
        return torch.cat([self._forward(part).float() for part in torch.split(inputs, batch)]).mean(dim=0)

    def _inputs(self, values: Tensor, strength: Tensor | None) -> Tensor:
        masks = unit_masks(values, (self._X.shape[1], self._X.shape[2]))
        if strength is not None:
            masks = masks * strength[:, None, None]
        return torch.lerp(self._background[None], self._X[None], masks[:, None])
