"""From pixels to raw maps: one capture serves every method, class and layer of a request."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from camviewer.cam import grids
from camviewer.cam.capture import Capture, CaptureCache
from camviewer.cam.device import Device
from camviewer.cam.layers import Layers
from camviewer.cam.maps import MapMaker
from camviewer.cam.passes import Passes
from camviewer.cam.requests import ClassUnits, Explanation, MapRequest, Records
from camviewer.cam.taps import cancellable
from camviewer.cam.tasks import Check, How, Job, Listeners, Partial, Progress, Settings, Task
from camviewer.cam.units import Pooled, pooled_units, pooling_scores, rank_units
from camviewer.errors import MethodError
from camviewer.models.classifier import Classifier
from camviewer.models.records import ClassScore
from camviewer.project.records import ActivationMap

Pixels = NDArray[np.uint8]

CACHE_BYTES = 256 * 2**20
SCALES = (0.75, 1.25)
"""Besides 1, the input sizes of ``multiscale``."""
MIRRORED = {"flip": ((2,),), "flips": ((2,), (1,), (1, 2))}
"""Axes of the input ``[C, H, W]`` and of maps ``[T, h, w]`` along which the further views are mirrored."""


@dataclass(slots=True, eq=False)
class _Made:
    """Maps of one method at one layer, or fused over several: ``[T, h, w]`` for the job's classes."""

    method: str
    layer: str
    maps: Tensor
    grid: grids.Grid
    flags: list[set[str]]
    seconds: float


class Explainer:
    """Makes raw maps with one classifier. Not thread-safe: one thread owns it and its network.

    Passes through the network (f forward, b backward from the logits to the earliest tap): 1 f for every class, method
    and layer where the head has a closed form; 1 f and one batched b otherwise; ``2 + K'`` f for Score-CAM's all
    classes. Nothing for what was computed before under the same key.

    Args:
        classifier: its network, device and preprocessing are used as they are.
        cache_bytes: bound for the captures that are kept by key.
        precision: ``exact`` (float32) or ``fast`` (bfloat16 in the masked passes of Score-CAM where the device has
            it; maps made that way say so).
    """

    def __init__(self, classifier: Classifier, *, cache_bytes: int = CACHE_BYTES, precision: str = "exact") -> None:
        self.classifier = classifier
        self.cache = CaptureCache(cache_bytes)
        self.precision = precision
        self.device = Device(classifier, precision=precision)
        self._layers = Layers(classifier)
        self._passes = Passes(self.device, self._layers)
        self._maker = MapMaker(self.device, self._passes)

    def explain(
        self,
        pixels: Pixels,
        request: MapRequest,
        *,
        key: Hashable | None = None,
        on_progress: Progress | None = None,
        on_partial: Partial | None = None,
        cancelled: Check | None = None,
    ) -> Explanation:
        """Return the maps of one image.

        Args:
            pixels: upright RGB ``[H, W, 3]``.
            request: what to make.
            key: names the image's content; what was computed under it is used again. None keeps nothing.
            on_progress: passes done and in all, while masked passes run.
            on_partial: Score-CAM maps of the units so far, flagged ``partial n/total``; without averaging or fusion.
            cancelled: asked between and inside forward passes.

        Raises:
            Cancelled: when `cancelled` returned True. What was finished before stays in the cache.
            MethodError: when none of the methods is defined for the network or layer; one of several is left out
                and said in ``refused`` and ``notices``.
            LayerError: when a layer does not exist or has no spatial map.
            ModelError: when the network refuses the input, or memory runs out on the CPU too.
            UsageError: for unknown options, classes or parameter values.
        """
        listeners = Listeners(on_progress, on_partial, cancelled)
        return self._explain([pixels], request, [key], listeners, None)[0]

    def explain_batch(
        self,
        images: Sequence[Pixels],
        request: MapRequest,
        *,
        keys: Sequence[Hashable | None] | None = None,
        on_progress: Progress | None = None,
        on_partial: Partial | None = None,
        cancelled: Check | None = None,
    ) -> list[Explanation]:
        """Return the maps of many images, which share forward and backward passes where their input sizes agree.

        Arguments and errors as in `explain`; `on_progress` counts images.
        """
        keys = keys if keys is not None else [None] * len(images)
        if len(keys) != len(images):
            raise ValueError(f"{len(keys)} keys for {len(images)} images")
        return self._explain(images, request, keys, Listeners(None, on_partial, cancelled), on_progress)

    def units(
        self,
        pixels: Pixels,
        *,
        class_index: int | None = None,
        most: int = 24,
        key: Hashable | None = None,
        offset: bool = True,
        cancelled: Check | None = None,
    ) -> ClassUnits:
        """Return the units that speak for a class most, from one forward pass (none where `key` is known).

        Args:
            pixels: upright RGB ``[H, W, 3]``.
            class_index: None for the predicted class.
            most: at most so many units, largest contribution first.
            key: names the image's content, as in `explain`.
            offset: place cells by their measured positions instead of the even grid.
            cancelled: asked inside the forward pass.

        Raises:
            MethodError: when no weights connect units with classes, with the reason.
            Cancelled, ModelError, UsageError: as in `explain`.
        """
        classes = "predicted" if class_index is None else (class_index,)
        request = MapRequest((), classes, offset=offset)
        (job,) = self._features([pixels], [key], request, cancelled, parts=True)
        view = self._layers.view("", job.base.size)
        A = view.activations(job.base)
        chosen = job.classes[0]
        found, bias = rank_units(self.classifier.head, A, chosen)
        listed = tuple(found[: max(0, most)])
        rest = sum(unit.contribution for unit in found[len(listed) :])
        score = sum(unit.contribution for unit in found) + bias
        grid = grids.make_grid((A.shape[2], A.shape[1]), job.base.size, view.cells if offset else None)
        poolings = pooling_scores(self.classifier.head, A, chosen)
        geometry = grid.geometry(job.base.plan)
        return ClassUnits(chosen, score, bias, view.name, listed, len(found), rest, geometry, poolings)

    def pooled(
        self,
        images: Sequence[Pixels],
        *,
        keys: Sequence[Hashable | None] | None = None,
        cancelled: Check | None = None,
    ) -> Pooled:
        """Return what the head's pooling makes of each unit, ``[N, K]`` float32, for `most_exciting`.

        One forward pass a batch; nothing for images whose key is known. Errors as in `units`.
        """
        keys = keys if keys is not None else [None] * len(images)
        jobs = self._features(images, keys, MapRequest(()), cancelled, parts=False)
        found = []
        for job in jobs:
            A = self._layers.view("", job.base.size).activations(job.base)
            found.append(pooled_units(self.classifier.head, A).cpu().numpy())
        return np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)

    def _features(
        self,
        images: Sequence[Pixels],
        keys: Sequence[Hashable | None],
        request: MapRequest,
        cancelled: Check | None,
        *,
        parts: bool,
    ) -> list[Job]:
        """Return the images with captures of what enters the head."""
        head = self.classifier.head
        if head.kind == "none":
            raise MethodError(f"Units have no weights for the classes of this network. {head.reason}")
        self.device.notices.clear()
        with torch.no_grad(), cancellable(cancelled):
            jobs = self._new_jobs(images, keys)
            self._passes.run([(job, job.base) for job in jobs], request, {}, parts_of_scores=parts)
        self._keep(jobs)
        return jobs

    # ---- one request ----

    def _explain(
        self,
        images: Sequence[Pixels],
        request: MapRequest,
        keys: Sequence[Hashable | None],
        listeners: Listeners,
        on_image: Progress | None,
    ) -> list[Explanation]:
        parameters = request.checked()
        self.device.notices.clear()
        with torch.no_grad(), cancellable(listeners.cancelled):
            started = time.perf_counter()
            jobs = self._new_jobs(images, keys)
            request, refused = self._accepted(request, jobs)
            self._passes.run([(job, job.base) for job in jobs], request, parameters)
            for job in jobs:
                job.views = [(job.base, "as is"), *self._further_views(job.base, request)]
            others = [(job, capture) for job in jobs for capture, how in job.views if how != "as is"]
            self._passes.run(others, request, parameters)
            shared = (time.perf_counter() - started) / max(1, len(jobs))
            found = []
            for number, job in enumerate(jobs):
                job.seconds = shared
                found.append(replace(self._finish(job, request, parameters, listeners), refused=refused))
                if on_image is not None:
                    on_image(number + 1, len(jobs))
        self._keep(jobs)
        return found

    def _accepted(self, request: MapRequest, jobs: Sequence[Job]) -> tuple[MapRequest, dict[str, str]]:
        """Return the request without the methods that network or layer do not have, and why by method.

        Raises:
            MethodError: when no method is left.
        """
        refused: dict[str, str] = {}
        for name in request.methods if jobs else ():
            try:
                self._layers.of_method(name, request.layers, jobs[0].base.size)
            except MethodError as error:
                refused[name] = error.message
                if len(refused) == len(set(request.methods)):
                    raise
        self.device.notices.extend(f"{reason} The other methods go on without it." for reason in refused.values())
        return replace(request, methods=tuple(m for m in request.methods if m not in refused)), refused

    def _new_jobs(self, images: Sequence[Pixels], keys: Sequence[Hashable | None]) -> list[Job]:
        """Return the images, with the captures of those that are known."""
        full = [None if key is None else (key, self.classifier.preprocessing) for key in keys]
        bases = [None if key is None else self.cache.get(key) for key in full]
        missing = [pixels for pixels, base in zip(images, bases, strict=True) if base is None]
        made = iter(self.device.streams.map(self.classifier.prepare, missing))
        jobs = []
        for base, key in zip(bases, full, strict=True):
            if base is None:
                X, plan = next(made)
                base = Capture(X[0], plan)
            jobs.append(Job(base, key))
        return jobs

    def _keep(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.key is not None:
                self.cache.put(job.key, job.base)

    def _further_views(self, base: Capture, request: MapRequest) -> list[tuple[Capture, How]]:
        if request.tta == "none":
            return []
        if request.tta in MIRRORED:
            return [(Capture(base.X.flip(axes), base.plan), axes) for axes in MIRRORED[request.tta]]
        views: list[tuple[Capture, How]] = []
        for scale in SCALES:
            size = [max(1, round(side * scale)) for side in base.X.shape[1:]]
            X = functional.interpolate(base.X[None], size=size, mode="bilinear", align_corners=False, antialias=True)
            views.append((Capture(X[0], base.plan), "scaled"))
        return views

    def _finish(
        self, job: Job, request: MapRequest, parameters: dict[str, Settings], listeners: Listeners
    ) -> Explanation:
        made: list[_Made] = []
        for name in request.methods:
            at_layers = [
                self._at_layer(job, name, i, request, parameters[name], listeners)
                for i in range(len(self._layers.of_method(name, request.layers, job.base.size)))
            ]
            made.extend(
                [self._fused(at_layers, request.fuse)] if len(at_layers) > 1 and request.fuse != "none" else at_layers
            )
        return Explanation(
            self._scores(job),
            self._records(job, made),
            job.base.plan,
            self._identity_error(job.base),
            tuple(self.device.notices),
        )

    def _scores(self, job: Job) -> Records[ClassScore]:
        """Return every class's score, best first."""
        assert job.base.logits is not None
        logits = job.base.logits.cpu()
        order, values = job.ranked, logits.tolist()
        probabilities = self.classifier.probabilities(logits).tolist()
        names = self.classifier.identity.classes

        def score(place: int) -> ClassScore:
            i = order[place]
            return ClassScore(i, names[i], values[i], probabilities[i])

        return Records(len(order), score)

    def _records(self, job: Job, made: Sequence[_Made]) -> Records[ActivationMap]:
        """Return the maps as records, moved off the device in one transfer."""
        flat = torch.cat([m.maps.to(self.device.where, torch.float32).flatten() for m in made]).cpu().numpy()
        classes, shared = job.classes, job.seconds
        parts = []
        start = 0
        for m in made:
            columns, rows_ = m.grid.size
            end = start + columns * rows_ * len(classes)
            own = flat[start:end].reshape(-1, rows_, columns).copy()
            parts.append((m.method, m.layer, own, m.grid.geometry(job.base.plan), m.seconds, m.flags))
            start = end

        def record(place: int) -> ActivationMap:
            part, i = divmod(place, len(classes))
            method, layer, values, geometry, seconds, flags = parts[part]
            if place == 0:
                seconds += shared
            noted = flags[i]
            if not noted:  # in short, since there may be a thousand
                return ActivationMap(classes[i], method, layer, values[i], geometry, seconds)
            precision = "fast" if "bfloat16" in noted else "exact"
            return ActivationMap(
                classes[i], method, layer, values[i], geometry, seconds, precision, tuple(sorted(noted))
            )

        return Records(len(parts) * len(classes), record)

    def _identity_error(self, capture: Capture) -> float | None:
        head = self.classifier.head
        A = capture.activations.get(head.layer)
        if head.kind == "none" or A is None or capture.logits is None:
            return None
        head_on = replace(head, weight=_like(head.weight, A), bias=_like(head.bias, A))
        return float((head_on.scores(A[None])[0] - capture.logits.to(A)).abs().max())

    def _at_layer(
        self, job: Job, method: str, index: int, request: MapRequest, settings: Settings, listeners: Listeners
    ) -> _Made:
        """Return a method's maps at one layer, averaged over the views."""
        started = time.perf_counter()
        maps, sources = [], []
        flags: list[set[str]] = [set() for _ in job.classes]
        quiet = listeners if len(job.views) == 1 else replace(listeners, partial=None)
        name = ""
        for capture, how in job.views:
            view = self._layers.of_method(method, request.layers, capture.size)[index]
            name = name or view.name
            task = Task(capture, method, view, job.classes, job.targets[method], request, settings, quiet, flags)
            found = self._maker.maps(task)
            size = (found.shape[2], found.shape[1])
            grid = grids.make_grid(size, capture.size, view.cells if request.offset else None)
            if isinstance(how, tuple):
                found, grid = found.flip(how), grid.mirrored(capture.size, how)
            elif how == "scaled":
                (width, height), (base_width, base_height) = capture.size, job.base.size
                grid = grid.scaled((base_width / width, base_height / height))
            maps.append(found)
            sources.append(grid)
        target = grids.finest(sources)
        mean = maps[0]
        if len(maps) > 1:
            mean = torch.stack(
                [grids.resample(m, source, target) for m, source in zip(maps, sources, strict=True)]
            ).mean(dim=0)
        return _Made(method, name, mean, target, flags, time.perf_counter() - started)

    def _fused(self, layers: Sequence[_Made], how: str) -> _Made:
        target = grids.finest([made.grid for made in layers])
        maps = grids.fuse([grids.resample(made.maps, made.grid, target) for made in layers], how)
        flags = [set().union(*(made.flags[i] for made in layers)) for i in range(len(layers[0].flags))]
        name = "+".join(made.layer for made in layers)
        return _Made(layers[0].method, name, maps, target, flags, sum(made.seconds for made in layers))


def _like(tensor: Tensor | None, other: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.to(other)
