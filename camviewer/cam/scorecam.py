"""Score-CAM as a generator of partial results: one run serves every class, each pass yields valid maps.

Wang et al. 2020 (arXiv 1910.01279), Algorithm 1: ``s_k = S_c`` of the input as unit k sees it
(`camviewer.cam.masking`), ``alpha = softmax_k(s)``, ``M = ReLU(sum_k alpha_k A_k)``. The subtraction of the baseline's
score shifts every ``s_k`` alike and drops out. SS-CAM and IS-CAM differ in what a unit sees and share the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from camviewer.cam.masking import MaskedForward, Masking, varying
from camviewer.cam.taps import is_out_of_memory

Variant = Literal["softmax", "probability"]
Each = Callable[[Callable[[Tensor], Tensor], Sequence[Tensor]], Iterator[Tensor]]
"""Yields what a function gives for each item, in their order."""


@dataclass(slots=True)
class ScoreRun:
    """The masked passes of one layer of one image, finished or not; maps of any class follow without a pass.

    Attributes:
        A: activations ``[K, h, w]``.
        logits: ``[K, classes]`` of the masked inputs, float32; rows of units not done yet are undefined.
        done: which units have a row, ``[K]``. Constant units share the baseline's.
        order: varying units, strongest (largest standard deviation) first.
        constant: indices of constant units.
        passes: masked inputs that went through the network, the baseline included.
        sampled: units that were left out but looked at, and their logits.
    """

    A: Tensor
    logits: Tensor
    done: Tensor
    order: Tensor
    constant: Tensor
    passes: int = 0
    flags: set[str] = field(default_factory=set)
    sampled: tuple[Tensor, Tensor] | None = None

    @property
    def total(self) -> int:
        """Passes of the whole run: the varying units, and one for all constant ones."""
        return len(self.order) + (1 if len(self.constant) else 0)

    @property
    def complete(self) -> bool:
        return bool(self.done.all())

    @property
    def nbytes(self) -> int:
        return self.A.nbytes + self.logits.nbytes


@dataclass(frozen=True, slots=True)
class Weighing:
    """How logits become unit weights.

    Attributes:
        variant: ``softmax`` over the units of the target's score (Algorithm 1), or the class ``probability`` itself.
        sigmoid: whether probabilities are sigmoids.
        contrast: whether targets are differences of two scores.
    """

    variant: Variant = "softmax"
    sigmoid: bool = False
    contrast: bool = False


def target_scores(logits: Tensor, targets: Tensor, weighing: Weighing) -> Tensor:
    """Return what weighs each unit: ``[n, classes]`` logits and ``[T, classes]`` targets -> ``[T, n]``.

    ``softmax`` takes the target's score itself. ``probability`` takes the class probability: of the softmax, or of
    the sigmoid for sigmoid heads; ``1 - p`` for the target ``-S_c``; ``sigmoid(S_a - S_b)`` for a contrast.
    """
    rows = targets.to(logits)
    if weighing.variant == "softmax":
        return rows @ logits.T
    if weighing.sigmoid or weighing.contrast:
        return torch.sigmoid(rows @ logits.T)
    positive = rows.clamp(min=0) @ torch.softmax(logits, dim=1).T
    negated = (rows.sum(dim=1) < 0)[:, None]
    return torch.where(negated, 1 + rows @ torch.softmax(logits, dim=1).T, positive)


class OnlineSum:
    """``sum_k alpha_k A_k`` over units that arrive in chunks, for T targets: a softmax that needs no second look.

    Keeps the running maximum ``m``, ``sum_k e^(s_k - m)``, its squares and ``sum_k e^(s_k - m) A_k``; the order of
    the chunks changes nothing but rounding. For the variant ``probability`` the scores themselves are the weights.
    """

    def __init__(self, targets: int, cells: tuple[int, ...], *, variant: Variant, like: Tensor) -> None:
        self._softmax = variant == "softmax"
        self._cells = cells
        self._maximum = like.new_full((targets, 1), -math.inf, dtype=torch.float64)
        self._mass = like.new_zeros((targets, 1), dtype=torch.float64)
        self._squares = like.new_zeros((targets, 1), dtype=torch.float64)
        self._map = like.new_zeros((targets, math.prod(cells)), dtype=torch.float64)

    def add(self, scores: Tensor, A: Tensor) -> None:
        """Take in units: `scores` ``[T, n]``, `A` ``[n, h, w]``."""
        scores = scores.double()
        if self._softmax:
            maximum = torch.maximum(self._maximum, scores.amax(dim=1, keepdim=True))
            rescale = torch.exp(self._maximum - maximum)
            weights = torch.exp(scores - maximum)
            self._maximum = maximum
            self._mass *= rescale
            self._squares *= rescale**2
            self._map *= rescale
        else:
            weights = scores
        self._mass += weights.sum(dim=1, keepdim=True)
        self._squares += (weights**2).sum(dim=1, keepdim=True)
        self._map += weights @ A.flatten(1).double()

    def maps(self) -> Tensor:
        """Return the raw maps of the units so far, ``[T, h, w]`` float32."""
        total = self._map / self._mass.clamp(min=1e-300) if self._softmax else self._map
        return total.relu().view(-1, *self._cells).float()

    def effective(self) -> Tensor:
        """Return the effective number of units ``(sum w)^2 / sum w^2`` so far, ``[T]``; near 1, one unit is the map."""
        return (self._mass**2 / self._squares.clamp(min=1e-300)).flatten()


def accumulate(run: ScoreRun, targets: Tensor, weighing: Weighing) -> OnlineSum:
    """Return the sum over a run's units that are done, for any targets ``[T, classes]``; costs no pass."""
    online = OnlineSum(len(targets), tuple(run.A.shape[1:]), variant=weighing.variant, like=run.A)
    if run.done.any():
        done = run.done.to(run.A.device)
        scores = target_scores(run.logits[done], targets, weighing)
        online.add(scores, run.A[done])
    return online


def score_cam(
    passes: MaskedForward,
    A: Tensor,
    *,
    masking: Masking,
    classes: int,
    batch: int,
    each: Each = map,
) -> Generator[tuple[ScoreRun, Tensor], None, None]:
    """Run the masked passes, strongest units first, and yield after each.

    Passes: one for each unit that varies (times ``masking.samples``), and one for all constant units together (their
    mask is 0, so the network sees the baseline), counted once for each of them in the softmax. With the capture's
    own pass: ``2 + K'``. When memory runs out the batch is halved.

    Args:
        passes: units to logits.
        A: activations ``[K, h, w]`` on the same device, float32.
        masking: what is masked how.
        classes: number of logits.
        batch: inputs of one pass.
        each: how the passes are computed.

    Yields:
        the run, which is updated in place, and the units of this pass.

    Raises:
        Exception: what a pass raises; out of memory only when one input alone does not fit.
    """
    varies = varying(A).flatten()
    strength = A.flatten(1).std(dim=1, correction=0)
    order = torch.argsort(strength, descending=True, stable=True)
    order = order[varies[order]]
    logits = torch.zeros(len(A), classes, device=A.device)
    constant = torch.nonzero(~varies).flatten()
    run = ScoreRun(A, logits, torch.zeros(len(A), dtype=torch.bool), order, constant)
    if 0 < masking.strongest < len(order):
        run.order = order[: masking.strongest]
        run.flags.add(f"strongest {masking.strongest} of {len(order)} units")
    if len(constant):
        run.logits[constant] = passes.baseline()
        run.done[constant.cpu()] = True
        run.passes += 1
        yield run, constant
    rest = run.order
    while len(rest):
        done = 0
        parts = torch.split(rest, max(1, batch // masking.samples))
        for part, rows in zip(parts, _passed(passes, A, parts, masking, batch=batch, each=each), strict=False):
            run.logits[part] = rows
            run.done[part.cpu()] = True
            run.passes += len(part) * masking.samples
            done += len(part)
            yield run, part
        rest = rest[done:]
        # The failed pass is gone by now: its exception, which holds the frames' tensors, ended in _passed.
        if len(rest) and batch == 1:
            raise torch.OutOfMemoryError("out of memory with a single masked input")
        batch = max(1, batch // 2)


def sampled_logits(
    passes: MaskedForward, A: Tensor, units: Tensor, *, masking: Masking, batch: int, each: Each = map
) -> Tensor | None:
    """Return the logits ``[n, classes]`` of some units, to compare with; None when memory ran out."""
    parts = torch.split(units, max(1, batch // masking.samples))
    rows = list(_passed(passes, A, parts, masking, batch=batch, each=each))
    return torch.cat(rows) if len(rows) == len(parts) else None


def _passed(
    passes: MaskedForward, A: Tensor, parts: Sequence[Tensor], masking: Masking, *, batch: int, each: Each
) -> Iterator[Tensor]:
    """Yield the logits of each part's units, averaged over the samples, until all are done or memory runs out."""
    try:
        yield from each(lambda units: passes.rows(A, units, masking, batch=batch), parts)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
