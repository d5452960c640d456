"""From a capture to the raw maps of one method, by closed form where the head has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from camviewer.cam import closed, masked, methods
from camviewer.cam.capture import Capture
from camviewer.cam.device import Device
from camviewer.cam.layers import LayerView
from camviewer.cam.passes import GRADIENT_BYTES, Passes
from camviewer.cam.targets import Target, among_all, combined, rows
from camviewer.cam.tasks import Task

CLOSED_BYTES = 32 * 2**20
"""Gradients by closed form of one chunk of targets."""


class MapMaker:
    """Makes the maps of a task; runs passes only for methods that change the input or the units."""

    def __init__(self, device: Device, passes: Passes) -> None:
        self._device = device
        self._passes = passes

    def maps(self, task: Task) -> Tensor:
        """Return the raw maps ``[T, h, w]``, on the device; notes on them are added to the task's flags.

        Raises:
            Cancelled, ModelError, UsageError: as `Explainer.explain`.
        """
        A = task.view.activations(task.capture).to(self._device.where)
        if task.method == "cam":
            return self._of_weights(task.targets, A, lambda weights: (methods.cam(A, weights), None))[0]
        if task.method == "eigencam":
            return methods.eigen_cam(A).expand(len(task.targets), -1, -1)
        if task.method == "random":
            return methods.random_cam(A, list(task.classes), seed=task.request.seed)
        if task.method == "ablationcam":
            return masked.ablation_maps(task, self._device)
        if task.method in closed.GRADIENT_METHODS:
            maps, undefined = self._gradient_maps(task.method, task.capture, task.view, task.targets)
        elif task.method == "smoothgradcampp":
            maps, undefined = self._smooth_maps(task)
        else:
            return masked.masked_maps(task, self._device)
        if undefined is not None:
            for flag, bad in zip(task.flags, undefined.tolist(), strict=True):
                if bad:
                    flag.add("signed tap")
        return maps

    def _rows(self, targets: Sequence[Target], like: Tensor) -> Tensor:
        return rows(targets, len(self._device.classifier.identity.classes), like=like)

    def _of_weights(
        self, targets: Sequence[Target], like: Tensor, make: Callable[[Tensor], closed.Maps]
    ) -> closed.Maps:
        """Return what `make` gives for the head's weights of each target, ``[T, K]``.

        All classes in any order take the weights as they lie; maps are smaller, and change their places instead.
        """
        weight = self._device.classifier.head.weight
        assert weight is not None
        W = weight.to(like)
        places = among_all(targets, len(W))
        if places is None:
            return make(combined(targets, W))
        maps, undefined = make(W)
        return maps[places.to(maps.device)], None if undefined is None else undefined[places.to(undefined.device)]

    def _gradient_maps(self, method: str, capture: Capture, view: LayerView, targets: Sequence[Target]) -> closed.Maps:
        A = view.activations(capture).to(self._device.where)
        head = self._device.classifier.head
        if view.closed and closed.is_uniform(head) and method in closed.UNIFORM_METHODS:
            return self._of_weights(targets, A, partial(closed.UNIFORM_METHODS[method], A))
        keys = [(method, view.tap, target) for target in targets]
        if not view.closed and any(key in capture.maps for key in keys):
            bad = torch.tensor([key in capture.undefined for key in keys])
            return torch.stack([self._kept_map(capture, key, A) for key in keys]), bad
        step = max(1, CLOSED_BYTES // A.nbytes)
        maps, undefined = [], []
        for start in range(0, len(targets), step):
            G = self._gradients(capture, view, targets[start : start + step])
            part, bad_part = closed.GRADIENT_METHODS[method](A, G)
            maps.append(part)
            undefined.append(
                bad_part if bad_part is not None else torch.zeros(len(G), dtype=torch.bool, device=A.device)
            )
        return torch.cat(maps), torch.cat(undefined)

    def _kept_map(self, capture: Capture, key: tuple[str, str, Target], A: Tensor) -> Tensor:
        found = capture.maps.get(key)
        if found is not None:
            return found.to(A)
        G = capture.gradients[key[1], key[2]][None].to(A)
        return closed.GRADIENT_METHODS[key[0]](A, G)[0][0]

    def _gradients(self, capture: Capture, view: LayerView, targets: Sequence[Target]) -> Tensor:
        """Return ``G`` ``[T, K, h, w]``, by closed form or from the capture."""
        A = view.activations(capture).to(self._device.where)
        if view.closed:
            return closed.head_gradients(self._device.classifier.head, A, self._rows(targets, A))
        return torch.stack([capture.gradients[view.tap, target].to(A) for target in targets])

    def _smooth_maps(self, task: Task) -> tuple[Tensor, Tensor]:
        """SmoothGrad-CAM++: one pass with gradients for each noisy copy of the input.

        Where the gradient is the same for every input, as behind a GAP head, the image alone will do.
        """
        capture, view = task.capture, task.view
        A = view.activations(capture).to(self._device.where)
        constant = view.closed and closed.is_uniform(self._device.classifier.head)
        noisy = [capture] if constant else self._noisy(task)
        maps, undefined = [], []
        step = max(1, GRADIENT_BYTES // (A.nbytes * len(noisy)))
        for start in range(0, len(task.targets), step):
            part = task.targets[start : start + step]
            if not constant:
                self._noisy_gradients(noisy, view, part)
            weights, bad = methods.smooth_grad_cam_pp_weights(A, [self._gradients(held, view, part) for held in noisy])
            maps.append(methods.weighted_sum(A, weights).relu())
            undefined.append(bad)
            if not constant:
                for held in noisy:
                    held.gradients.clear()
        return torch.cat(maps), torch.cat(undefined)

    def _noisy(self, task: Task) -> list[Capture]:
        X = task.capture.X
        generator = torch.Generator().manual_seed(task.request.seed)
        deviation = float(task.settings["noise"]) * float(X.amax() - X.amin())
        return [
            Capture(X + deviation * torch.randn(X.shape, generator=generator), task.capture.plan)
            for _ in range(int(task.settings["samples"]))
        ]

    def _noisy_gradients(self, noisy: Sequence[Capture], view: LayerView, targets: Sequence[Target]) -> None:
        def sink(held: Capture, found: Sequence[Target], gradients: dict[str, Tensor]) -> None:
            held.gradients.update({(view.tap, t): g for t, g in zip(found, gradients[view.tap], strict=True)})

        through = [] if view.closed else [view.tap]
        self._passes.capture(noisy, {view.tap: view}, through, lambda _c, _l: targets, sink, original=True)
