"""How passes run on a device: batch sizes, the copy for masked passes, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from camviewer.cam.taps import is_out_of_memory
from camviewer.errors import ModelError
from camviewer.models.classifier import Classifier

CPU_BATCH = 8
"""Small batches are fastest on a CPU: their activations stay in the cache."""
MASK_BYTES = 192 * 2**20
"""Bound for the activations of one chunk of masked inputs on the CPU."""
CUDA_SHARE = 0.5
"""Share of the free device memory that one chunk may take."""
ACTIVATIONS_PER_INPUT = 64
"""Peak activation memory of a classifier without gradients, in multiples of its input, rounded up from those of
torchvision (vgg16, the hungriest: 43)."""

Result = TypeVar("Result")


class Device:
    """Where a classifier computes. Falls back to the CPU when the device has no memory left, and says so.

    Attributes:
        notices: sentences for the user about this request.
    """

    def __init__(self, classifier: Classifier, *, precision: str = "exact") -> None:
        self.classifier = classifier
        self.precision = precision
        self.notices: list[str] = []

    @property
    def torch(self) -> torch.device:
        return self.classifier.device

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits ``[N, classes]`` in the network's own precision; follows the caller's grad mode."""
        return self.classifier.logits(self._own_dtype(batch))

    def masked_logits(self, batch: Tensor) -> Tensor:
        """Return logits ``[N, classes]`` of masked inputs; nothing is tapped in such a pass."""
        with torch.inference_mode():
            return self.logits(batch)

    @property
    def masked_precision(self) -> str:
        """Return ``fast`` when masked passes run in reduced precision."""
        return "exact"

    @property
    def masked_flags(self) -> set[str]:
        """Return what maps of masked passes have to say about their precision."""
        return set()

    def _own_dtype(self, batch: Tensor) -> Tensor:
        parameter = next((p for p in self.classifier.network.parameters() if p.is_floating_point()), None)
        return batch.to(self.torch, parameter.dtype if parameter is not None else batch.dtype)

    def batch_size(self, X: Tensor, *, gradients: bool) -> int:
        """Return how many inputs like `X` ``[C, H, W]`` share a forward pass."""
        return self._fitting(X, 4 if gradients else 1)

    def masked_chunk(self, X: Tensor) -> int:
        """Return how many masked inputs like `X` ``[C, H, W]`` share a pass."""
        return self._fitting(X, 1)

    def _fitting(self, X: Tensor, factor: int) -> int:
        need = max(1, X.numel() * 4 * ACTIVATIONS_PER_INPUT * factor)
        if self.torch.type != "cuda":
            return max(1, min(CPU_BATCH, MASK_BYTES // need))
        free, _ = torch.cuda.mem_get_info(self.torch)
        return int(max(1, min(256, free * CUDA_SHARE // need)))

    def attempt(self, work: Callable[[], Result]) -> Result | None:
        """Return the result of `work`, or None when memory ran out.

        The failed pass's tensors, which its exception holds, are released before this returns.
        """
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def fall_back(self) -> None:
        """Move the network to the CPU for the rest of its life here, with a notice.

        Raises:
            ModelError: when it is there already.
        """
        if self.torch.type == "cpu":
            raise ModelError(
                "There is not enough memory for this image. Choose a smaller input size, or close other programs."
            )
        name = self.torch.type.upper()
        self.classifier.network.to("cpu")
        self.classifier.device = torch.device("cpu")
        self.notices.append(f"The {name} device ran out of memory, so the CPU computes from here on; it is slower.")
