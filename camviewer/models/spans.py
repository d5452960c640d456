"""Layout algebra: which tensor dimension carries which image axis, and what part of the image a cell looks at.

A dimension is a product of factors. Reshaping splits and merges factors, permuting moves them, so that windows, tokens
and channels-last maps are followed exactly instead of guessed from shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Axis = Literal["y", "x", "tokens", ""]


@dataclass(frozen=True, slots=True)
class Factor:
    """Part of a dimension: `size` cells of an axis, `stride` cells of that axis apart.

    `axis` is empty for what is no image axis (batch, channels, heads). ``tokens`` is a whole grid with extra tokens in
    front or behind, which cannot be split.
    """

    axis: Axis
    size: int
    stride: int = 1
    prefix: int = 0
    grid: tuple[int, int] = (0, 0)


Dim = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What a cell of one axis looks at: cell ``i`` sees input indices ``lo + step * i`` to ``hi + step * i``."""

    lo: float = 0.0
    hi: float = 0.0
    step: float = 1.0

    @property
    def centre(self) -> float:
        return (self.lo + self.hi) / 2

    @property
    def field(self) -> float:
        return self.hi - self.lo + 1

    def window(self, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> Span:
        """Return the span behind a convolution or pooling."""
        return Span(
            self.lo - self.step * padding,
            self.hi + self.step * ((kernel - 1) * dilation - padding),
            self.step * stride,
        )

    def transposed(self, *, kernel: int, stride: int, padding: int, dilation: int = 1) -> Span:
        """Return the span behind a transposed convolution: output ``o`` meets inputs ``(o + padding - k) / stride``."""
        return Span(
            self.lo + self.step * (padding - (kernel - 1) * dilation) / stride,
            self.hi + self.step * padding / stride,
            self.step / stride,
        )

    def resampled(self, ratio: float) -> Span:
        """Return the span behind a resize in which one output cell covers `ratio` input cells, half-pixel centres."""
        shift = self.step * (ratio - 1) / 2
        spread = max(self.step * (ratio - 1) / 2, 0.0)
        return Span(self.lo + shift - spread, self.hi + shift + spread, self.step * ratio)

    def sliced(self, start: int, step: int) -> Span:
        """Return the span behind ``[start::step]``; a negative start is padding."""
        shift = self.step * start
        return Span(self.lo + shift, self.hi + shift, self.step * step)

    def union(self, other: Span) -> Span:
        """Return the span that covers both; of different steps the one with the larger field stands."""
        if not math.isclose(self.step, other.step):
            return self if self.field >= other.field else other
        return Span(min(self.lo, other.lo), max(self.hi, other.hi), self.step)


def plain(size: int) -> Dim:
    """Return a dimension without an image axis."""
    return () if size == 1 else (Factor("", size),)


def axes(dim: Dim) -> tuple[Axis, ...]:
    """Return the image axes of a dimension, in order."""
    return tuple(factor.axis for factor in dim if factor.axis)


def reshape(dims: Sequence[Dim], shape: Sequence[int]) -> tuple[Dim, ...] | None:
    """Return the dimensions of a row-major reshape to `shape`, or None if a factor would be cut unevenly."""
    left = [factor for dim in dims for factor in dim if factor.size > 1]
    left.reverse()
    result: list[Dim] = []
    for size in shape:
        need = size
        taken: list[Factor] = []
        while need > 1:
            if not left:
                return None
            factor = left.pop()
            if need % factor.size == 0:
                taken.append(factor)
                need //= factor.size
            elif factor.size % need == 0 and factor.axis != "tokens":
                inner = factor.size // need
                taken.append(Factor(factor.axis, need, factor.stride * inner))
                left.append(Factor(factor.axis, inner, factor.stride))
                need = 1
            else:
                return None
        result.append(_merge(taken))
    return None if left else tuple(result)


def _merge(factors: list[Factor]) -> Dim:
    """Join neighbours that are contiguous parts of one axis."""
    merged: list[Factor] = []
    for factor in factors:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.axis == factor.axis
            and last.axis != "tokens"
            and (not last.axis or last.stride == factor.size * factor.stride)
        ):
            merged[-1] = Factor(last.axis, last.size * factor.size, factor.stride)
        else:
            merged.append(factor)
    return tuple(merged)
