"""Samples of any depth become bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_bytes(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return samples of any type as uint8 of the same shape.

    * 16 bit: ``round(v / 257)``, which takes 65535 to 255 and a widened byte back to itself; no clipping.
    * 32-bit integers: as bytes or 16-bit values where all lie in such a range, else stretched.
    * floating point: 0..1 times 255 where all values lie there, 0..255 as they are, 0..65535 divided by 257, else
      stretched from minimum to maximum. What is not finite counts as the minimum.
    """
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=True)
    if samples.dtype == np.uint16:
        # (v + 128) // 257 rounds to nearest, since 257 is odd.
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.rint(_scaled(samples) * 255).astype(np.uint8)


def over_white(colour: NDArray[Any], alpha: NDArray[Any], *, premultiplied: bool = False) -> NDArray[np.uint8]:
    """Return `colour` ``[H, W, 3]`` laid over white by `alpha` ``[H, W]``, both of one deep type, as uint8.

    Args:
        premultiplied: the colour already carries the factor alpha.
    """
    cover = np.clip(_scaled(alpha), 0, 1)[:, :, None]
    shown = _scaled(colour)
    if not premultiplied:
        shown = shown * cover
    return np.rint(np.clip(shown + (1 - cover), 0, 1) * 255).astype(np.uint8)


def _scaled(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Return the samples as 0..1."""
    values = samples.astype(np.float64)
    if samples.dtype.kind == "u" and samples.dtype.itemsize <= 2:
        return values / np.iinfo(samples.dtype).max
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    values[~finite] = low
    # A picture of integers that never exceed 1 is black, not full scale.
    limits = (1.0, 255.0, 65535.0) if samples.dtype.kind == "f" else (255.0, 65535.0)
    for limit in limits:
        if low >= 0 and high <= limit:
            return values / limit
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
