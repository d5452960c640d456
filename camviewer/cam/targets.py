"""Targets: what a map explains, as a combination of logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from camviewer.cam.requests import contrast_class
from camviewer.errors import UsageError

Target = tuple[tuple[int, float], ...]
"""Sorted (class index, factor) pairs: ``S_3 - S_5`` is ((3, 1.0), (5, -1.0))."""


@dataclass(frozen=True, slots=True)
class ClassTargets(Sequence[Target]):
    """``factor * S_c`` for each of `classes`: targets that are not written down one by one for a thousand classes."""

    classes: tuple[int, ...]
    factor: float

    def __len__(self) -> int:
        return len(self.classes)

    @overload
    def __getitem__(self, place: int) -> Target: ...
    @overload
    def __getitem__(self, place: slice) -> ClassTargets: ...
    def __getitem__(self, place: int | slice) -> Target | ClassTargets:
        if isinstance(place, slice):
            return ClassTargets(self.classes[place], self.factor)
        return ((self.classes[place], self.factor),)

    def __iter__(self) -> Iterator[Target]:
        return (((c, self.factor),) for c in self.classes)


def make_target(class_index: int, target: str) -> Target:
    """Return the combination for a class: ``S_c``, ``-S_c`` or ``S_c - S_J``."""
    other = contrast_class(target)
    if other is not None:
        return _combine({class_index: 1.0}, {other: -1.0})
    return ((class_index, -1.0 if target == "negative" else 1.0),)


def make_targets(classes: Sequence[int], target: str) -> Sequence[Target]:
    """Return `make_target` of each class."""
    if contrast_class(target) is not None:
        return [make_target(c, target) for c in classes]
    return ClassTargets(tuple(classes), -1.0 if target == "negative" else 1.0)


def finer_target(class_index: int, target: str, logits: Tensor, *, similar: int, gamma: float) -> Target:
    """Return ``S_c - gamma * mean_d S_d`` over the `similar` classes whose logits lie closest to ``S_c``.

    Finer-CAM, Zhang et al. 2025 (arXiv 2501.11309). ``contrast:J`` compares with class J alone; ``negative`` turns
    the sign. With a single logit there is nothing to compare with, and the target is ``S_c`` itself.
    """
    other = contrast_class(target)
    if other is not None:
        nearest = [other]
    else:
        distance = (logits - logits[class_index]).abs()
        distance[class_index] = torch.inf
        nearest = torch.argsort(distance, stable=True)[: min(similar, len(logits) - 1)].tolist()
    sign = -1.0 if target == "negative" else 1.0
    return _combine({class_index: sign}, {d: -sign * gamma / len(nearest) for d in nearest})


def _combine(first: dict[int, float], second: dict[int, float]) -> Target:
    total = dict(first)
    for index, factor in second.items():
        total[index] = total.get(index, 0.0) + factor
    return tuple(sorted((index, factor) for index, factor in total.items() if factor))


def rows(targets: Sequence[Target], classes: int, *, like: Tensor | torch.device) -> Tensor:
    """Return the targets as a matrix ``[T, classes]`` on a device (or a tensor's device), in float32.

    Raises:
        UsageError: when a contrast names a class that does not exist.
    """
    row, column, factor = _entries(targets, classes)
    matrix = torch.zeros(len(targets), classes)
    matrix[row, column] = factor
    return matrix.to(like if isinstance(like, torch.device) else like.device)


def combined(targets: Sequence[Target], W: Tensor) -> Tensor:
    """Return ``rows(targets) @ W`` for `W` ``[classes, K]`` without the mostly empty matrix, ``[T, K]``.

    Raises:
        UsageError: as `rows`.
    """
    if isinstance(targets, ClassTargets):
        _check(targets.classes, len(W))
        weights = W[torch.tensor(targets.classes, dtype=torch.long, device=W.device)]
        return weights if targets.factor == 1 else weights * targets.factor
    row, column, factor = (entries.to(W.device) for entries in _entries(targets, len(W)))
    return W.new_zeros(len(targets), W.shape[1]).index_add_(0, row, W[column] * factor[:, None].to(W))


def among_all(targets: Sequence[Target], classes: int) -> Tensor | None:
    """Return the places of the targets among the scores of all classes, ``[T]``.

    None where they are fewer, or not plain scores: then it is less work to compute them alone.

    Raises:
        UsageError: as `rows`.
    """
    if not isinstance(targets, ClassTargets) or targets.factor != 1 or len(targets) < classes:
        return None
    _check(targets.classes, classes)
    return torch.tensor(targets.classes, dtype=torch.long)


def _entries(targets: Sequence[Target], classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, class and factor of every entry that is not 0."""
    row = [number for number, target in enumerate(targets) for _ in target]
    column = [index for target in targets for index, _ in target]
    factor = [factor for target in targets for _, factor in target]
    _check(column, classes)
    return torch.tensor(row, dtype=torch.long), torch.tensor(column, dtype=torch.long), torch.tensor(factor)


def _check(indices: Sequence[int], classes: int) -> None:
    if indices and max(indices) >= classes:
        raise UsageError(f"There is no class {max(indices)}; the model has classes 0 to {classes - 1}.")
