"""Which passes a request needs, and running them: every image gets logits, activations and gradients once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import torch
from torch import Tensor

from camviewer.cam import closed
from camviewer.cam.capture import Capture, run_pass
from camviewer.cam.device import Device
from camviewer.cam.layers import Layers, LayerView
from camviewer.cam.requests import MapRequest
from camviewer.cam.streams import shares
from camviewer.cam.targets import Target
from camviewer.cam.tasks import Job, Settings

GRADIENT_BYTES = 64 * 2**20
"""Gradients of one chunk of targets, and what one capture keeps of them."""
PASSES_BEFORE_COPY = 2
"""The faster copy is worth its making from the second pass on."""

Wanted = Callable[[Capture, Tensor], Sequence[Target]]
"""A capture and its logits to the targets whose gradients are missing."""
Sink = Callable[[Capture, Sequence[Target], dict[str, Tensor]], None]
"""Takes the gradients ``[T, K, h, w]`` by tap of some targets of a capture."""


class Passes:
    """Fills captures with as few passes as possible."""

    def __init__(self, device: Device, layers: Layers) -> None:
        self._device = device
        self._layers = layers
        self._signed: dict[str, bool] = {}
        self._count = 0

    def run(
        self,
        pairs: Sequence[tuple[Job, Capture]],
        request: MapRequest,
        parameters: dict[str, Settings],
        *,
        parts_of_scores: bool = False,
    ) -> None:
        """Give every capture its logits, activations and gradients.

        Args:
            pairs: captures, each with the image it belongs to.
            request: what is made of them.
            parameters: complete, by method.
            parts_of_scores: whether the head's score is taken apart unit by unit.
        """
        for shape in dict.fromkeys(capture.X.shape for _, capture in pairs):
            group = [(job, capture) for job, capture in pairs if capture.X.shape == shape]
            _Group(self, group, request, parameters).run(parts_of_scores=parts_of_scores)

    def views(self, request: MapRequest, capture: Capture) -> dict[str, list[LayerView]]:
        """Return by method the layers it is made at."""
        return {name: self._layers.of_method(name, request.layers, capture.size) for name in request.methods}

    def at_head(self, capture: Capture) -> LayerView | None:
        """Return what enters the head, None without a recognised one."""
        return self._layers.view("", capture.size) if self._device.classifier.head.kind != "none" else None

    def original_needed(
        self, methods: Collection[str], taps: Collection[str], through: Collection[str], *, parts_of_scores: bool
    ) -> bool:
        """Return whether a faster copy's rounding could be magnified, so that the original network has to run.

        Rounding turns the gate of a ReLU whose input lies within it of 0, and with that a whole entry of a gradient
        (measured on resnet18: up to 6e-3 of a map at an inner layer, from activations that differ by 3e-6). The same
        goes for the largest cell of a pooling and the positive cells of a class ReLU. Where units are signed,
        denominators of Grad-CAM++ and its like can come close to 0.
        """
        if through:
            return True
        with_gradients = closed.WITH_GRADIENTS.intersection(methods)
        if (with_gradients or parts_of_scores) and not closed.is_uniform(self._device.classifier.head):
            return True
        return bool(closed.DIVIDING.intersection(methods)) and any(self._signed.get(tap, False) for tap in taps)

    def capture(
        self,
        captures: Sequence[Capture],
        taps: dict[str, LayerView],
        through: Sequence[str],
        wanted: Wanted,
        sink: Sink,
        *,
        original: bool,
    ) -> None:
        """Run captures that share one input size, in batches that fit.

        Args:
            captures: get logits and activations.
            taps: layers to keep, by tap.
            through: taps that need gradients.
            wanted: targets of a capture, asked once its logits are known.
            sink: takes the gradients.
            original: whether the faster copy must not be used.
        """
        rest = list(captures)
        lanes = self._device.lanes
        if not rest:
            return
        tapped = None if original else list(taps)
        batch = self._device.batch_size(rest[0].X, gradients=bool(through), taps=tapped)
        while rest:
            now = rest if lanes > 1 else rest[:batch]
            parts = [now[part] for part in shares(len(now), most=batch, lanes=lanes)]
            if self._device.attempt(partial(self._side_by_side, parts, taps, through, wanted, sink, original)):
                rest = rest[len(now) :]
            elif batch > 1:
                batch //= 2
            else:
                self._device.fall_back()

    def _side_by_side(
        self,
        parts: Sequence[Sequence[Capture]],
        taps: dict[str, LayerView],
        through: Sequence[str],
        wanted: Wanted,
        sink: Sink,
        original: bool,
    ) -> bool:
        """Run a pass for each part, side by side where there are several."""
        layouts = {name: view.layout for name, view in taps.items()}
        inputs = len(parts[0])
        own = self._device.classifier.network
        network = own if original else self._device.network(list(taps), inputs=inputs)

        def run(part: Sequence[Capture]) -> tuple[Tensor, dict[str, Tensor]]:
            # Gradients are turned into maps in the sink, so activations must be there first.
            def take(i: int, targets: Sequence[Target], gradients: dict[str, Tensor], A: dict[str, Tensor]) -> None:
                for name, found in A.items():
                    part[i].activations[name] = found[i].clone()
                sink(part[i], targets, gradients)

            return run_pass(
                network,
                lambda X: self._device.logits(X, network),
                torch.stack([capture.X for capture in part]),
                layouts,
                through=through,
                targets_of=lambda i, found: wanted(part[i], found),
                sink=take,
                chunk_bytes=GRADIENT_BYTES,
            )

        for part, (logits, activations) in zip(parts, self._device.streams.map(run, parts), strict=True):
            for i, capture in enumerate(part):
                capture.take(logits[i], {name: A[i] for name, A in activations.items()}, copied=network is not own)
            for name, A in activations.items():
                if name not in self._signed:
                    self._signed[name] = not taps[name].relu and bool(A.amin() < 0)
        self._count += len(parts)
        if self._count >= PASSES_BEFORE_COPY:
            self._device.warm(parts[0][0], layouts, inputs=inputs)
        return True


class _Group:
    """Captures of one input size, and what one request wants of them."""

    def __init__(
        self,
        passes: Passes,
        pairs: Sequence[tuple[Job, Capture]],
        request: MapRequest,
        parameters: dict[str, Settings],
    ) -> None:
        self._passes = passes
        self._pairs = pairs
        self._request = request
        self._parameters = parameters
        self._owner = {id(capture): job for job, capture in pairs}
        self._views = passes.views(request, pairs[0][1])
        self._methods = [name for name in request.methods if name in closed.GRADIENT_METHODS]

    def run(self, *, parts_of_scores: bool) -> None:
        taps = {view.tap: view for views in self._views.values() for view in views}
        at_head = self._passes.at_head(self._pairs[0][1])
        if at_head is not None:
            taps.setdefault(at_head.tap, at_head)
        through = list(dict.fromkeys(v.tap for name in self._methods for v in self._views[name] if not v.closed))
        original = self._passes.original_needed(self._request.methods, taps, through, parts_of_scores=parts_of_scores)
        pending = []
        for job, capture in self._pairs:
            if self._serves(capture, taps, through, original=original):
                assert capture.logits is not None
                job.settle(capture.logits, self._request, self._parameters)
            else:
                pending.append(capture)
        self._passes.capture(pending, taps, through, self._wanted, self._sink, original=original)
        for job, capture in self._pairs:
            assert capture.logits is not None
            job.settle(capture.logits, self._request, self._parameters)

    def _serves(self, capture: Capture, taps: Collection[str], through: Collection[str], *, original: bool) -> bool:
        """Return whether everything is there already."""
        if capture.logits is None or not all(tap in capture.activations for tap in taps):
            return False
        if original and not capture.copied.isdisjoint(taps):
            return False
        return not (through and self._wanted(capture, capture.logits))

    def _wanted(self, capture: Capture, logits: Tensor) -> list[Target]:
        job = self._owner[id(capture)]
        job.settle(logits, self._request, self._parameters)
        return list(
            dict.fromkeys(t for name in self._methods for t in job.targets[name] if self._missing(capture, name, t))
        )

    def _missing(self, capture: Capture, name: str, target: Target) -> bool:
        return any(
            (v.tap, target) not in capture.gradients and (name, v.tap, target) not in capture.maps
            for v in self._views[name]
            if not v.closed
        )

    def _sink(self, capture: Capture, targets: Sequence[Target], gradients: dict[str, Tensor]) -> None:
        job = self._owner[id(capture)]
        count = len({t for name in self._methods for t in job.targets[name]})
        keep = count * sum(g[0].nbytes for g in gradients.values()) <= GRADIENT_BYTES
        for tap, G in gradients.items():
            if keep:
                for target, g in zip(targets, G, strict=True):
                    capture.gradients[tap, target] = g.clone()
                continue
            for name in self._methods:
                if any(v.tap == tap for v in self._views[name]):
                    self._map_at_once(capture, name, tap, targets, G)

    def _map_at_once(self, capture: Capture, name: str, tap: str, targets: Sequence[Target], G: Tensor) -> None:
        """Turn one chunk of gradients that are too many to keep into the maps of a method."""
        own = set(self._owner[id(capture)].targets[name])
        chosen = [i for i, target in enumerate(targets) if target in own]
        if not chosen:
            return
        maps, undefined = closed.GRADIENT_METHODS[name](capture.activations[tap].to(G), G[chosen])
        for row, i in enumerate(chosen):
            capture.maps[name, tap, targets[i]] = maps[row].clone()
            if undefined is not None and bool(undefined[row]):
                capture.undefined.add((name, tap, targets[i]))
