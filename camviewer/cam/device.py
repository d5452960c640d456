"""How passes run on a device: batch sizes, the copy for masked passes, and what happens when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from camviewer.cam.capture import Capture
from camviewer.cam.fast import FastCopy, agrees, batch_copy, fast_copy
from camviewer.cam.taps import is_out_of_memory, tap
from camviewer.errors import Cancelled, ModelError
from camviewer.models.classifier import Classifier
from camviewer.models.layout import Layout, to_grid
from camviewer.models.outputs import pick_logits

CPU_BATCH = 8
"""Small batches are fastest on a CPU: their activations stay in the cache."""
MASK_BYTES = 256 * 2**20
"""Bound for the activations of one chunk of inputs on the CPU."""
CUDA_SHARE = 0.5
"""Share of the free device memory that one chunk may take."""
ACTIVATIONS_PER_INPUT = 48
"""Peak activation memory of a classifier without gradients, in multiples of its input, rounded up from those of
torchvision (vgg16, the hungriest: 43)."""

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


def cpu_has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers itself; where torch cannot tell, whether it may."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return any(found for name, found in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


class Device:
    """Where a classifier computes. Falls back to the CPU when the device has no memory left, and says so.

    Attributes:
        notices: sentences for the user about this request.
        agreement: lowest correlation of reduced with exact maps, measured on a few units; None until it was.
    """

    def __init__(self, classifier: Classifier, *, precision: str = "exact") -> None:
        self.classifier = classifier
        self.precision = precision
        self.notices: list[str] = []
        self._reset()

    def _reset(self) -> None:
        self._warm = self._warm_for_masks = False
        self._exact: FastCopy | None = None
        self._batches: FastCopy | None = None
        self._reduced: FastCopy | None = None
        self.agreement: float | None = None

    @property
    def where(self) -> torch.device:
        return self.classifier.device

    def network(self, taps: Sequence[str]) -> nn.Module:
        """Return the network to tap without gradients: the fast copy, once it is there, if taps see the same in it."""
        if self._exact is not None and self._exact.serves(list(taps)):
            return self._exact.network
        return self.classifier.network

    def logits(self, batch: Tensor, network: nn.Module | None = None) -> Tensor:
        """Return logits ``[N, classes]`` in the network's own precision; follows the caller's grad mode."""
        batch = batch.to(self.where, self._dtype)
        if network is None or network is self.classifier.network:
            return self.classifier.logits(batch)
        logits = pick_logits(network(batch.contiguous(memory_format=self._format)))
        assert logits is not None
        return logits

    def masked_logits(self, batch: Tensor, *, exact: bool = False) -> Tensor:
        """Return logits ``[N, classes]`` of masked inputs; nothing is tapped in such a pass.

        Args:
            batch: ``[N, C, h, w]``.
            exact: in float32 whatever the precision of this device.
        """
        with torch.inference_mode():
            if self._reduced is not None and not exact:
                small = batch.to(self.where, torch.bfloat16, memory_format=torch.channels_last)
                logits = pick_logits(self._reduced.network(small))
                assert logits is not None
                return logits
            best = self._batches or self._exact
            return self.logits(batch, None if best is None else best.network)

    def warm(self, capture: Capture, layouts: dict[str, Layout]) -> None:
        """Make the faster copy once, and check it with a capture of the original network, for one pass.

        A copy that moves the logits, or the activations of a tap that it serves, by more than rounding is not used.

        Args:
            capture: with logits, and activations of the taps.
            layouts: of these taps.
        """
        if self._warm or capture.logits is None or self._dtype != torch.float32:
            return
        network, memory_format = self.classifier.network, self._format
        self._exact = self._copied(
            lambda: fast_copy(network, memory_format=memory_format), lambda copy: self._agrees(copy, capture, layouts)
        )
        self._warm = True

    def warm_for_masks(self, capture: Capture, layouts: dict[str, Layout]) -> None:
        """As `warm`, and make the variant for masked inputs: in reduced precision, or for batches; for two passes."""
        self.warm(capture, layouts)
        if self._warm_for_masks or not self._warm:
            return
        if self.precision == "fast" and self._has_bfloat16():
            network = self.classifier.network
            self._reduced = self._copied(
                lambda: fast_copy(network, dtype=torch.bfloat16), lambda copy: self._is_finite(copy, capture)
            )
        elif self._exact is not None:
            original = self._exact
            self._batches = self._copied(
                lambda: batch_copy(original), lambda copy: self._agree_in_batches(copy, original, capture)
            )
        self._warm_for_masks = True

    def _copied(self, make: Callable[[], FastCopy | None], good: Callable[[FastCopy], bool]) -> FastCopy | None:
        """Return a faster copy that `good` approves of."""
        try:
            with torch.no_grad():
                copy = make()
                if copy is None or good(copy):
                    return copy
        except Cancelled:
            raise
        except Exception as error:  # a network that does not bear being rewritten, in as many ways as there are
            if is_out_of_memory(error):
                return None
            _log.info("the faster copy does not run: %r", error)
            return None
        _log.info("the faster copy deviates, so the network itself runs")
        return None

    def _agrees(self, candidate: FastCopy, capture: Capture, layouts: dict[str, Layout]) -> bool:
        served = {name: layout for name, layout in layouts.items() if candidate.serves([name])}
        with tap(candidate.network, list(served), gradients=False) as taps:
            logits = self.logits(capture.X[None], candidate.network)[0]
        assert capture.logits is not None
        return agrees(capture.logits, logits) and all(
            agrees(capture.activations[name], to_grid(taps[name], layout)[0]) for name, layout in served.items()
        )

    def _agree_in_batches(self, candidate: FastCopy, original: FastCopy, capture: Capture) -> bool:
        dimmed = torch.linspace(1, 0.3, self.masked_chunk(capture.X)).view(-1, 1, 1, 1) * capture.X
        return agrees(self.logits(dimmed, original.network), self.logits(dimmed, candidate.network))

    def _is_finite(self, candidate: FastCopy, capture: Capture) -> bool:
        found = pick_logits(candidate.network(capture.X[None].to(self.where, torch.bfloat16)))
        return found is not None and bool(torch.isfinite(found).all())

    def _has_bfloat16(self) -> bool:
        if self.where.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return self.where.type == "cpu" and cpu_has_bfloat16()

    @property
    def masked_precision(self) -> str:
        """Return ``fast`` when masked passes run in reduced precision."""
        return "exact" if self._reduced is None else "fast"

    @property
    def _dtype(self) -> torch.dtype:
        return next((p.dtype for p in self.classifier.network.parameters() if p.is_floating_point()), torch.float32)

    @property
    def _format(self) -> torch.memory_format:
        """Channels last is the faster layout of float32 convolutions on CPUs, not on CUDA devices."""
        return torch.channels_last if self.where.type == "cpu" else torch.contiguous_format

    def batch_size(self, X: Tensor, *, gradients: bool) -> int:
        """Return how many inputs like `X` ``[C, H, W]`` share a forward pass."""
        return self._fitting(X, 4 if gradients else 1)

    def masked_chunk(self, X: Tensor) -> int:
        """Return how many masked inputs like `X` ``[C, H, W]`` share a pass."""
        return self._fitting(X, 1)

    def _fitting(self, X: Tensor, factor: int) -> int:
        need = max(1, X.numel() * 4 * ACTIVATIONS_PER_INPUT * factor)
        if self.where.type != "cuda":
            return max(1, min(CPU_BATCH, MASK_BYTES // need))
        free, _ = torch.cuda.mem_get_info(self.where)
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
        if self.where.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def fall_back(self) -> None:
        """Move the network to the CPU for the rest of its life here, with a notice.

        Raises:
            ModelError: when it is there already.
        """
        if self.where.type == "cpu":
            raise ModelError(
                "There is not enough memory for this image. Choose a smaller input size, or close other programs."
            )
        name = self.where.type.upper()
        self._reset()
        self.classifier.network.to("cpu")
        self.classifier.device = torch.device("cpu")
        self.notices.append(f"The {name} device ran out of memory, so the CPU computes from here on; it is slower.")
