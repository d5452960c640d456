"""How many inputs share a pass, from what the pass makes of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from camviewer.cam.winograd import is_faster
from camviewer.models.classifier import Classifier

CPU_BATCH, DIRECT_CPU_BATCH = 6, 4
"""Small batches are fastest on a CPU: their activations stay in the cache. The latter where the inputs of a batch share
neither transformed weights (`camviewer.cam.winograd`) nor what masked inputs are mixed from."""
REDUCED_CPU_BATCH = 8
"""In reduced precision each input holds half as much. On two Granite Rapids cores a masked pass of resnet18 takes
3.1 ms in batches of 6 or 8, and 3.5 in batches of 12."""
STAGED_CPU_BATCH = 12
"""Inputs that go together through the second stage of a network in two (`camviewer.cam.stages`)."""
PASS_BYTES = 320 * 2**20
"""Bound on a CPU for what all operations of one pass give, taken together; few of them are held at once."""
CUDA_SHARE = 0.5
"""Share of the free device memory that one chunk may take."""
CUDA_BATCH = 256
OUTPUTS_AT_ONCE = 3
"""Activations that a pass without gradients holds at once on CUDA, in multiples of its largest."""
GRADIENT_OUTPUTS = 12
"""The same of a pass with gradients."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of the tensors that a pass of one input makes, in float32.

    Attributes:
        calls: path of the module and bytes of its result, in the order of the calls; the input first, as path ``""``.
    """

    calls: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, classifier: Classifier, X: Tensor) -> Footprint:
        """Return that of an input like `X` ``[C, H, W]``."""
        calls = classifier.traced((int(X.shape[2]), int(X.shape[1]))).calls
        made = ((call.path, 4 * math.prod(call.node.shape[1:])) for call in calls if call.node is not None)
        return cls((("", 4 * X.numel()), *made))

    @property
    def whole(self) -> int:
        """Return the bytes of all tensors."""
        return sum(size for _, size in self.calls)

    def behind(self, cut: str) -> int:
        """Return the bytes behind a module's last result; all where it is not among them."""
        end = max((place + 1 for place, (path, _) in enumerate(self.calls) if path == cut), default=0)
        return sum(size for _, size in self.calls[end:])


def on_cpu(made: Footprint, *, masked: bool = False) -> int:
    """Return how many inputs, masked or not, share a pass on the CPU; of a network in stages, its first stage."""
    return _fitting(CPU_BATCH if masked or is_faster() else DIRECT_CPU_BATCH, made.whole)


def of_second_stage(made: Footprint, cut: str) -> int:
    """Return how many go at a time through the second stage, behind the module `cut`."""
    return _fitting(STAGED_CPU_BATCH, made.behind(cut))


def reduced(inputs: int) -> int:
    """Return how many inputs share a pass in reduced precision where `inputs` do in float32."""
    return min(2 * inputs, max(inputs, REDUCED_CPU_BATCH))


def on_cuda(made: Footprint, *, free: int, gradients: bool) -> int:
    """Return how many inputs share a pass on a CUDA device.

    Args:
        made: by each.
        free: bytes of its memory.
        gradients: whether the pass keeps what gradients need.
    """
    held = max(size for _, size in made.calls) * (GRADIENT_OUTPUTS if gradients else OUTPUTS_AT_ONCE)
    return int(max(1, min(CUDA_BATCH, free * CUDA_SHARE // held)))


def _fitting(most: int, size: int) -> int:
    return max(1, min(most, PASS_BYTES // max(1, size)))
