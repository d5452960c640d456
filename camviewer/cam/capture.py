"""One forward pass, and at most one batched backward pass, kept for every method: the capture of an image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from camviewer.cam.scorecam import ScoreRun
from camviewer.cam.taps import Taps, tap
from camviewer.cam.targets import Target, rows
from camviewer.errors import LayerError
from camviewer.images.geometry import InputPlan, Size
from camviewer.models.layout import Layout, to_grid

HALF_GRADIENT_SCALE = 1024.0
"""Power of two that float16 gradients are scaled by on their way back, so that small ones do not underflow."""


@dataclass(slots=True, eq=False)
class Capture:
    """What one image gave, in float32 on the classifier's device.

    Attributes:
        X: normalised input ``[C, H, W]``, on the CPU.
        plan: how the image reached the input.
        logits: ``[classes]``, None before the pass.
        activations: ``[K, h, w]`` by tap.
        gradients: ``[K, h, w]`` by tap and target.
        maps: maps by method, tap and target where gradients were too many to keep.
        undefined: the same keys, for maps in which a method's weights were partly undefined.
        copied: taps whose activations a faster copy of the network gave, equal up to rounding.
        runs: finished Score-CAM runs, and ablated logits ``[K, classes]``, by tap and settings.
    """

    X: Tensor
    plan: InputPlan
    logits: Tensor | None = None
    activations: dict[str, Tensor] = field(default_factory=dict)
    gradients: dict[tuple[str, Target], Tensor] = field(default_factory=dict)
    maps: dict[tuple[str, str, Target], Tensor] = field(default_factory=dict)
    undefined: set[tuple[str, str, Target]] = field(default_factory=set)
    runs: dict[Hashable, ScoreRun | Tensor] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)

    @property
    def size(self) -> Size:
        """(width, height) of the input."""
        return int(self.X.shape[2]), int(self.X.shape[1])

    def take(self, logits: Tensor, activations: dict[str, Tensor], *, copied: bool) -> None:
        """Keep what a pass gave, tensors of this image alone; what the original network gave is not overwritten."""
        if self.logits is None or not copied:
            self.logits = logits.clone()
        for name, A in activations.items():
            if copied and name in self.activations and name not in self.copied:
                continue
            self.activations[name] = A.clone()
            (self.copied.add if copied else self.copied.discard)(name)

    @property
    def nbytes(self) -> int:
        tensors = [self.X, *self.activations.values(), *self.gradients.values(), *self.maps.values()]
        return sum(t.nbytes for t in tensors) + sum(run.nbytes for run in self.runs.values())


class CaptureCache:
    """Captures by key, the least recently used ones dropped when their bytes pass `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._captures: OrderedDict[Hashable, Capture] = OrderedDict()

    def __len__(self) -> int:
        return len(self._captures)

    @property
    def nbytes(self) -> int:
        return sum(capture.nbytes for capture in self._captures.values())

    def get(self, key: Hashable) -> Capture | None:
        capture = self._captures.get(key)
        if capture is not None:
            self._captures.move_to_end(key)
        return capture

    def put(self, key: Hashable, capture: Capture) -> None:
        """Keep `capture`; one that is larger than the whole limit is not kept."""
        self._captures[key] = capture
        self._captures.move_to_end(key)
        self.trim()

    def trim(self) -> None:
        """Drop the oldest captures until the limit holds; captures grow after they were put."""
        while self._captures and self.nbytes > self.limit:
            self._captures.popitem(last=False)

    def clear(self) -> None:
        self._captures.clear()


Logits = Callable[[Tensor], Tensor]
GradientSink = Callable[[int, Sequence[Target], dict[str, Tensor], dict[str, Tensor]], None]
"""(image in the batch, targets, gradients ``[T, K, h, w]`` by tap, the batch's activations ``[N, K, h, w]`` by tap):
takes one chunk of targets of one image."""


def run_pass(
    network: nn.Module,
    logits_of: Logits,
    X: Tensor,
    layers: dict[str, Layout],
    *,
    through: Sequence[str],
    targets_of: Callable[[int, Tensor], Sequence[Target]],
    sink: GradientSink,
    chunk_bytes: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run one forward pass of a batch, and one batched backward pass a chunk of targets.

    Args:
        network: where the taps are set.
        logits_of: batch ``[N, C, H, W]`` to logits ``[N, classes]`` through `network`.
        X: the batch.
        layers: layout by tap.
        through: taps that need gradients; empty for a forward pass alone.
        targets_of: image number and its logits ``[classes]`` to the targets whose gradients are wanted.
        sink: takes the gradients, chunk by chunk.
        chunk_bytes: bound for the gradients of one chunk of targets.

    Returns:
        logits ``[N, classes]`` and activations ``[N, K, h, w]`` by tap, float32, detached.

    Raises:
        LayerError: when a tap did not run, has no grid, or does not influence the scores.
    """
    grad = bool(through)
    mode = torch.enable_grad() if grad else torch.inference_mode()
    with mode, tap(network, list(layers), gradients=grad) as taps:
        logits = logits_of(X)
        grids = {name: _grid(taps[name], name, layout) for name, layout in layers.items()}
        activations = {name: A.detach().float().contiguous() for name, A in grids.items()}
        found = logits.detach().float()
        if grad:
            targets = [list(targets_of(i, found[i])) for i in range(len(found))]
            _backward(logits, taps, layers, activations, through, targets, sink, chunk_bytes=chunk_bytes)
    return found, activations


def _grid(output: Tensor, name: str, layout: Layout) -> Tensor:
    expected = {"nchw": 4, "nhwc": 4}.get(layout.kind, 3)
    if output.ndim != expected:
        raise LayerError(f"{name} has no spatial map: its output has the shape {list(output.shape)}.")
    return to_grid(output, layout)


def _backward(
    logits: Tensor,
    taps: Taps,
    layers: dict[str, Layout],
    activations: dict[str, Tensor],
    through: Sequence[str],
    targets: list[list[Target]],
    sink: GradientSink,
    *,
    chunk_bytes: int,
) -> None:
    if not logits.requires_grad:
        raise LayerError(f"The class scores do not depend on {', '.join(through)}; choose another layer.")
    tensors = [taps[name] for name in through]
    longest = max(len(t) for t in targets)
    step = max(1, chunk_bytes // max(1, sum(t.nbytes for t in tensors)))
    scale = HALF_GRADIENT_SCALE if logits.dtype == torch.float16 else 1.0
    for start in range(0, longest, step):
        part = [image[start : start + step] for image in targets]
        count = max(len(image) for image in part)
        wanted = torch.stack(
            [rows(image + [()] * (count - len(image)), logits.shape[1], like=logits) for image in part]
        )
        # [N, T, classes] -> [T, N, classes]: rows of other images are zero, and images do not mix in evaluation mode.
        grads = _vjp(logits, tensors, (wanted.transpose(0, 1) * scale).to(logits.dtype), last=start + step >= longest)
        for i, image in enumerate(part):
            if image:
                held = {
                    name: to_grid(g[: len(image), i].float(), layers[name]) / scale
                    for name, g in zip(through, grads, strict=True)
                }
                sink(i, image, held, activations)


def _vjp(logits: Tensor, tensors: list[Tensor], wanted: Tensor, *, last: bool) -> list[Tensor]:
    """Return ``[T, *shape]`` for each tensor: all targets in one backward pass, or one by one where that fails."""
    if len(wanted) > 1:
        try:
            # Not is_grads_batched, which has no rule for convolutions and takes the targets one by one.
            return list(torch.vmap(lambda row: _one_vjp(logits, tensors, row, keep=True))(wanted))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            pass  # an operation without a batching rule, for example a custom autograd function
    single = [
        _one_vjp(logits, tensors, row, keep=not last or number + 1 < len(wanted)) for number, row in enumerate(wanted)
    ]
    return [torch.stack([grads[i] for grads in single]) for i in range(len(tensors))]


def _one_vjp(logits: Tensor, tensors: list[Tensor], row: Tensor, *, keep: bool) -> tuple[Tensor, ...]:
    grads = torch.autograd.grad(logits, tensors, row, retain_graph=keep, allow_unused=True)
    return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(grads, tensors, strict=True))
