"""One logits tensor out of whatever a network returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

PREFERRED = ("logits", "out", "output", "pred", "predictions", "scores")


def pick_logits(output: Any) -> Tensor | None:
    """Return the class scores ``[N, C]`` of a network's output, or None if there are none.

    A tensor stands for itself; a mapping or an object with fields gives the entry named ``logits``, ``out``,
    ``output``, ``pred``, ``predictions`` or ``scores`` first; otherwise the first floating-point tensor with two axes
    in order of position counts, so that auxiliary outputs, which come behind the main one, are left out. ``[N]``
    counts as one logit an image, ``[N, C, 1, 1]`` as ``[N, C]``.
    """
    for tensor in _candidates(output):
        if not tensor.is_floating_point():
            continue
        if tensor.ndim == 2:
            return tensor
        if tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
            return tensor.flatten(1)
    if isinstance(output, Tensor) and output.ndim == 1 and output.is_floating_point():
        return output.unsqueeze(1)
    return None


def _candidates(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        named = [key for key in PREFERRED if key in output]
        for key in [*named, *(key for key in output if key not in named)]:
            yield from _candidates(output[key])
    elif isinstance(output, (tuple, list)):
        preferred = [getattr(output, name) for name in PREFERRED if hasattr(output, name)]
        for value in [*preferred, *output]:
            yield from _candidates(value)
    elif is_dataclass(output) and not isinstance(output, type):
        yield from _candidates({entry.name: getattr(output, entry.name) for entry in fields(output)})
