"""How passes run on a device: which copy of the network, how many inputs together, and what if memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from camviewer.cam import batches
from camviewer.cam.allocator import return_freed
from camviewer.cam.batches import Footprint
from camviewer.cam.capture import Capture
from camviewer.cam.fast import TOLERANCE, FastCopy, agrees, batch_copy, fast_copy, on_stem, staged_copy, stem_of
from camviewer.cam.masking import MaskedForward
from camviewer.cam.stem import MaskedStem, StemForward, pays
from camviewer.cam.streams import Streams
from camviewer.cam.taps import is_out_of_memory, tap
from camviewer.errors import Cancelled, ModelError
from camviewer.models.classifier import Classifier
from camviewer.models.layout import Layout, to_grid
from camviewer.models.outputs import pick_logits

REDUCED_TOLERANCE = 0.05
"""How far two ways of computing logits in bfloat16 may be apart, relative to the largest of them."""

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
        streams: run passes side by side on the CPU.
        agreement: lowest correlation of reduced with exact maps, measured on a few units; None until it was.
    """

    def __init__(self, classifier: Classifier, *, precision: str = "exact") -> None:
        self.classifier = classifier
        self.precision = precision
        self.notices: list[str] = []
        self.streams = Streams()
        self._reset()

    def _reset(self) -> None:
        self._warm = self._warm_for_batches = self._warm_for_masks = False
        self._exact: FastCopy | None = None
        self._batches: FastCopy | None = None
        self._reduced: FastCopy | None = None
        self._mixes: dict[Hashable, bool] = {}
        self.agreement: float | None = None

    @property
    def where(self) -> torch.device:
        return self.classifier.device

    def network(self, taps: Sequence[str], *, inputs: int = 1) -> nn.Module:
        """Return the network to tap without gradients: a faster copy, once it is there, if taps see the same in it.

        Args:
            taps: what is tapped.
            inputs: how many share the pass.
        """
        copy = self._batches if inputs > 1 and self._batches is not None else self._exact
        return copy.network if copy is not None and copy.serves(taps) else self.classifier.network

    def logits(self, batch: Tensor, network: nn.Module | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """Return logits ``[N, classes]``, in the network's own precision unless given; grad mode is the caller's."""
        batch = batch.to(self.where, dtype or self._dtype)
        if network is None or network is self.classifier.network:
            return self.classifier.logits(batch)
        # A copy in another precision has its weights channels last on every device.
        memory_format = self._format if dtype is None else torch.channels_last
        logits = pick_logits(network(batch.contiguous(memory_format=memory_format)))
        assert logits is not None
        return logits

    def masked_forward(self, X: Tensor, background: Tensor, A: Tensor, *, exact: bool = False) -> MaskedForward:
        """Return what puts an image through the network as units see it, by the fastest way that is right.

        Args:
            X: normalised input ``[C, H, W]``; nothing is tapped in these passes.
            background: what stands where a unit is low, ``[C, H, W]``.
            A: units ``[K, h, w]``.
            exact: in float32 whatever the precision of this device.
        """
        reduced = self._reduced is not None and not exact
        copy = self._reduced if reduced else self._batches or self._exact
        network = self.classifier.network if copy is None else copy.network
        dtype = torch.bfloat16 if reduced else None

        def forward(batch: Tensor) -> Tensor:
            with torch.inference_mode():
                return self.logits(batch, network, dtype)

        plain = MaskedForward(forward, X, background)
        conv = None if copy is None else stem_of(copy)
        size, cells = (X.shape[1], X.shape[2]), (A.shape[1], A.shape[2])
        if copy is None or conv is None or not pays(conv, size, cells):
            return plain
        stem = MaskedStem(conv, X, background, cells, dtype or torch.float32)
        on_shares = on_stem(copy, conv, stem)

        def mixed(shares: Tensor) -> Tensor:
            with torch.inference_mode():
                logits = pick_logits(on_shares(shares))
            assert logits is not None
            return logits

        mixing = StemForward(forward, X, background, stem, mixed)
        key = (copy, size, cells)
        if key not in self._mixes:
            some = A[A.flatten(1).std(dim=1, correction=0).topk(min(2, len(A))).indices]
            tolerance = REDUCED_TOLERANCE if reduced else TOLERANCE
            self._mixes[key] = agrees(plain.masked(some), mixing.masked(some), tolerance=tolerance)
        return mixing if self._mixes[key] else plain

    def each(self, work: Callable[[Tensor], Tensor], items: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the result of `work` for each item, computed side by side where the CPU computes."""
        return self.streams.each(work, items) if self.lanes > 1 else map(work, items)

    def warm(self, capture: Capture, layouts: dict[str, Layout], *, inputs: int = 1) -> None:
        """Make the faster copy once, and check it with a capture of the original network, for one pass.

        Where inputs share passes, a variant for batches is made as well, for two passes of a batch. A copy that moves
        the logits, or the activations of a tap that it serves, by more than rounding is not used.

        Args:
            capture: with logits, and activations of the taps.
            layouts: of these taps.
            inputs: how many share a pass.
        """
        if capture.logits is None or self._dtype != torch.float32:
            return
        network, memory_format = self.classifier.network, self._format
        if not self._warm:
            self._exact = self._copied(
                lambda: fast_copy(network, memory_format=memory_format),
                lambda copy: self._agrees(copy, capture, layouts),
            )
            self._warm = True
        if inputs > 1 and not self._warm_for_batches and self._exact is not None:
            exact = self._exact
            self._batches = self._copied(
                lambda: self._for_batches(exact, capture.X),
                lambda copy: self._agree_in_batches(copy, exact, capture, layouts),
            )
            self._warm_for_batches = True

    def warm_for_masks(self, capture: Capture, layouts: dict[str, Layout]) -> None:
        """As `warm`, for masked inputs: in reduced precision, or for batches."""
        reduces = self.precision == "fast" and self._has_bfloat16()
        self.warm(capture, layouts, inputs=1 if reduces else self.batch_size(capture.X, gradients=False))
        if reduces and self._warm and not self._warm_for_masks:
            network = self.classifier.network
            plain = self._reduced = self._copied(
                lambda: fast_copy(network, dtype=torch.bfloat16), lambda copy: self._is_finite(copy, capture)
            )
            if plain is not None and self.where.type == "cpu":
                first = batches.reduced(batches.on_cpu(self._footprint(capture.X), masked=True))
                staged = self._copied(
                    lambda: staged_copy(plain, most=first),
                    lambda copy: self._agree_in_batches(copy, plain, capture, {}, dtype=torch.bfloat16),
                )
                self._reduced = staged or plain
            self._warm_for_masks = True

    def _for_batches(self, exact: FastCopy, X: Tensor) -> FastCopy | None:
        """Return a variant for batches of inputs like `X`, None where none is faster."""
        filtered = batch_copy(exact, inputs=self.batch_size(X, gradients=False))
        if self.where.type != "cpu":
            return filtered
        first = batches.on_cpu(self._footprint(X), masked=True)
        return staged_copy(filtered or exact, most=first) or filtered

    def _copied(self, make: Callable[[], FastCopy | None], good: Callable[[FastCopy], bool]) -> FastCopy | None:
        """Return a faster copy that `good` approves of."""
        try:
            with torch.no_grad():
                copy = make()
                return_freed()
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
        served = _served(candidate, layouts)
        logits, *found = self._results(candidate, capture.X[None], served)
        assert capture.logits is not None
        expected = [capture.activations[name] for name in served]
        return agrees(capture.logits, logits[0]) and all(agrees(a, b[0]) for a, b in zip(expected, found, strict=True))

    def _agree_in_batches(
        self,
        candidate: FastCopy,
        original: FastCopy,
        capture: Capture,
        layouts: dict[str, Layout],
        *,
        dtype: torch.dtype | None = None,
    ) -> bool:
        """Return whether two copies do, for more inputs than go at a time through a first stage."""
        inputs, tolerance = (
            (batches.CPU_BATCH, TOLERANCE) if dtype is None else (batches.REDUCED_CPU_BATCH, REDUCED_TOLERANCE)
        )
        dimmed = torch.linspace(1, 0.3, inputs + 1).view(-1, 1, 1, 1) * capture.X
        served = _served(candidate, layouts)
        expected, found = (self._results(copy, dimmed, served, dtype) for copy in (original, candidate))
        return all(agrees(a, b, tolerance=tolerance) for a, b in zip(expected, found, strict=True))

    def _results(
        self, copy: FastCopy, batch: Tensor, layouts: dict[str, Layout], dtype: torch.dtype | None = None
    ) -> list[Tensor]:
        """Return the logits of a batch, and the activations of taps that the copy serves."""
        with tap(copy.network, list(layouts), gradients=False) as taps:
            logits = self.logits(batch, copy.network, dtype)
        return [logits, *(to_grid(taps[name], layout) for name, layout in layouts.items())]

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

    @property
    def lanes(self) -> int:
        """Return how many passes without gradients run side by side."""
        return self.streams.count if self.where.type == "cpu" else 1

    def batch_size(self, X: Tensor, *, gradients: bool, taps: Sequence[str] | None = None) -> int:
        """Return how many inputs like `X` ``[C, H, W]`` share a forward pass.

        Args:
            X: normalised input.
            gradients: whether the pass keeps what gradients need.
            taps: what is tapped, where a faster copy may run; None where the network itself has to.
        """
        made = self._footprint(X)
        if self.where.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.where)
            return batches.on_cuda(made, free=free, gradients=gradients)
        size = batches.on_cpu(made)
        if taps is None or gradients or self._batches is None or not self._batches.serves(taps):
            return size
        return self._in_stages(size, made, self._batches)

    def masked_batch(self, X: Tensor, *, exact: bool = False) -> int:
        """Return how many masked inputs like `X` ``[C, H, W]`` share a pass.

        Args:
            X: normalised input.
            exact: in float32 even where this device is to use reduced precision.
        """
        if self.where.type == "cuda":
            return self.batch_size(X, gradients=False)
        made = self._footprint(X)
        size = batches.on_cpu(made, masked=True)
        if self._reduced is not None and not exact:
            return batches.reduced(self._in_stages(size, made, self._reduced))
        return self._in_stages(size, made, self._batches)

    @staticmethod
    def _in_stages(size: int, made: Footprint, copy: FastCopy | None) -> int:
        """Return how many inputs share a pass of a copy: `size`, or more where it runs in two stages."""
        return size if copy is None or not copy.cut else max(size, batches.of_second_stage(made, copy.cut))

    def _footprint(self, X: Tensor) -> Footprint:
        return Footprint.of(self.classifier, X)

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


def _served(copy: FastCopy, layouts: dict[str, Layout]) -> dict[str, Layout]:
    return {name: layout for name, layout in layouts.items() if copy.serves([name])}
