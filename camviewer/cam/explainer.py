"""From pixels to raw maps: one capture serves every method, class and layer of a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from camviewer.cam import closed, further, grids, methods, scorecam
from camviewer.cam.capture import RELU_SUFFIX, Capture, CaptureCache, LayerView, run_pass
from camviewer.cam.device import Device
from camviewer.cam.requests import ClassUnits, Explanation, MapRequest, contrast_class, select_classes
from camviewer.cam.taps import cancellable
from camviewer.cam.targets import Target, finer_target, make_target, rows
from camviewer.cam.units import Pooled, pooled_units, rank_units
from camviewer.catalogue.methods import method as method_spec
from camviewer.catalogue.parameters import Value
from camviewer.errors import Cancelled, MethodError
from camviewer.images.geometry import Geometry, InputPlan, Size
from camviewer.models.classifier import Classifier
from camviewer.models.records import ClassScore
from camviewer.project.records import ActivationMap

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]
Partial = Callable[[ActivationMap], None]
Check = Callable[[], bool]
Settings = dict[str, Value]

CACHE_BYTES = 256 * 2**20
GRADIENT_BYTES = 64 * 2**20
"""Gradients of one chunk of targets, and what one capture keeps of them."""
CLOSED_BYTES = 32 * 2**20
SCALES = (0.75, 1.25)
"""Besides 1, the input sizes of ``multiscale``."""


@dataclass(slots=True, eq=False)
class _Job:
    """One image on its way: its views, and what is explained once its logits are known."""

    base: Capture
    key: Hashable
    views: list[tuple[Capture, str]] = field(default_factory=list)
    classes: tuple[int, ...] = ()
    targets: dict[str, list[Target]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Made:
    """Maps of one method at one layer, or fused over several: ``[T, h, w]`` for the job's classes."""

    method: str
    layer: str
    maps: Tensor
    grid: grids.Grid
    flags: list[set[str]]
    seconds: float


@dataclass(slots=True)
class _Listeners:
    progress: Progress | None = None
    partial: Partial | None = None
    cancelled: Check | None = None


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
        self._views: dict[tuple[str, Size], LayerView] = {}
        self._passes = 0

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
            MethodError: when a method is not defined for the network or layer.
            LayerError: when a layer does not exist or has no spatial map.
            ModelError: when the network refuses the input, or memory runs out on the CPU too.
            UsageError: for unknown options, classes or parameter values.
        """
        listeners = _Listeners(on_progress, on_partial, cancelled)
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
        return self._explain(images, request, keys, _Listeners(None, on_partial, cancelled), on_progress)

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
        (job,) = self._features([pixels], [key], request, cancelled)
        view, A = self._at_head(job.base)
        chosen = job.classes[0]
        found, bias = rank_units(self.classifier.head, A, chosen)
        listed = tuple(found[: max(0, most)])
        rest = sum(unit.contribution for unit in found[len(listed) :])
        score = sum(unit.contribution for unit in found) + bias
        grid = grids.make_grid((A.shape[2], A.shape[1]), _size(job.base), view.cells if offset else None)
        geometry = self._geometry(job.base.plan, grid, request)
        return ClassUnits(chosen, score, bias, view.name, listed, len(found), rest, geometry)

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
        jobs = self._features(images, keys, MapRequest(()), cancelled)
        rows_ = [pooled_units(self.classifier.head, self._at_head(job.base)[1]).cpu().numpy() for job in jobs]
        return np.stack(rows_) if rows_ else np.zeros((0, 0), dtype=np.float32)

    def _features(
        self,
        images: Sequence[Pixels],
        keys: Sequence[Hashable | None],
        request: MapRequest,
        cancelled: Check | None,
    ) -> list[_Job]:
        """Return the images' captures with what enters the head."""
        head = self.classifier.head
        if head.kind == "none":
            raise MethodError(f"Units have no weights for the classes of this network. {head.reason}")
        self.device.notices.clear()
        with torch.no_grad(), cancellable(cancelled):
            jobs = [self._new_job(pixels, key) for pixels, key in zip(images, keys, strict=True)]
            self._run_passes([(job, job.base) for job in jobs], request, {})
        self._keep(jobs)
        return jobs

    def _at_head(self, capture: Capture) -> tuple[LayerView, Tensor]:
        view = self._view("", _size(capture))
        return view, view.activations(capture)

    # ---- one request ----

    def _explain(
        self,
        images: Sequence[Pixels],
        request: MapRequest,
        keys: Sequence[Hashable | None],
        listeners: _Listeners,
        on_image: Progress | None,
    ) -> list[Explanation]:
        parameters = request.checked()
        self.device.notices.clear()
        jobs = []
        with torch.no_grad(), cancellable(listeners.cancelled):
            started = time.perf_counter()
            for pixels, key in zip(images, keys, strict=True):
                jobs.append(self._new_job(pixels, key))
            self._run_passes([(job, job.base) for job in jobs], request, parameters)
            for job in jobs:
                job.views = [(job.base, "as is"), *self._further_views(job.base, request)]
            others = [(job, capture) for job in jobs for capture, how in job.views if how != "as is"]
            self._run_passes(others, request, parameters)
            shared = (time.perf_counter() - started) / max(1, len(jobs))
            found = []
            for number, job in enumerate(jobs):
                job.seconds = shared
                found.append(self._finish(job, request, parameters, listeners))
                if on_image is not None:
                    on_image(number + 1, len(jobs))
        self._keep(jobs)
        return found

    def _new_job(self, pixels: Pixels, key: Hashable | None) -> _Job:
        full = None if key is None else (key, self.classifier.preprocessing)
        base = self.cache.get(full) if full is not None else None
        if base is None:
            X, plan = self.classifier.prepare(pixels)
            base = Capture(X[0], plan)
        return _Job(base, full)

    def _keep(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if job.key is not None:
                self.cache.put(job.key, job.base)

    def _further_views(self, base: Capture, request: MapRequest) -> list[tuple[Capture, str]]:
        if request.tta == "flip":
            return [(Capture(base.X.flip(-1), base.plan), "mirrored")]
        if request.tta == "none":
            return []
        views = []
        for scale in SCALES:
            size = [max(1, round(side * scale)) for side in base.X.shape[1:]]
            X = functional.interpolate(base.X[None], size=size, mode="bilinear", align_corners=False, antialias=True)
            views.append((Capture(X[0], base.plan), "scaled"))
        return views

    # ---- layers ----

    def _view(self, layer: str, size: Size) -> LayerView:
        """Return how to read `layer`, the suggested one when empty.

        The suggested layer of a recognised head is what the head receives, a functional ReLU included.
        """
        if (layer, size) in self._views:
            return self._views[layer, size]
        classifier, head = self.classifier, self.classifier.head
        wants_relu = layer.endswith(RELU_SUFFIX) or (not layer and head.relu)
        found = classifier.tap(layer.removesuffix(RELU_SUFFIX), input_size=size)
        at_head = bool(head.layer) and self._same_tensor(found.name, head.layer, size)
        if wants_relu and not (at_head and head.relu):
            raise MethodError(
                f"There is no ReLU between {found.name} and the pooling; leave out {RELU_SUFFIX.strip()}."
            )
        closed_here = at_head and head.relu == wants_relu
        name = found.name + RELU_SUFFIX if wants_relu else found.name
        view = LayerView(name, found.name, wants_relu, found.layout, found.positions, closed_here)
        if len(self._views) > 256:
            self._views.clear()
        self._views[layer, size] = view
        return view

    def _same_tensor(self, first: str, second: str, size: Size) -> bool:
        nodes = {call.name: call.node for call in self.classifier.traced(size).calls if call.name in (first, second)}
        return nodes.get(first) is not None and nodes.get(first) is nodes.get(second)

    def _layers_of(self, method: str, request: MapRequest, size: Size) -> list[LayerView]:
        """Return the layers a method is made at.

        Raises:
            MethodError: for CAM away from the head's input, with the reason.
        """
        names = list(dict.fromkeys(request.layers)) or [""]
        views = [self._view(name, size) for name in names]
        if method_spec(method).needs != "head":
            return views
        head = self.classifier.head
        if head.kind == "none":
            raise MethodError(f"CAM is not defined for this network. {head.reason}")
        at_head = [self._view("", size)]
        if any(self._same_tensor(view.tap, head.layer, size) for view in views):
            return at_head
        raise MethodError(
            f"CAM is defined only where the map enters the head, at {head.shown}; choose that layer or another method."
        )

    # ---- captures ----

    def _run_passes(
        self,
        pairs: Sequence[tuple[_Job, Capture]],
        request: MapRequest,
        parameters: dict[str, Settings],
    ) -> None:
        """Give every capture its logits, activations and gradients, with as few passes as possible."""
        for shape in dict.fromkeys(capture.X.shape for _, capture in pairs):
            group = [(job, capture) for job, capture in pairs if capture.X.shape == shape]
            self._run_group(group, request, parameters)

    def _run_group(
        self, pairs: Sequence[tuple[_Job, Capture]], request: MapRequest, parameters: dict[str, Settings]
    ) -> None:
        size = _size(pairs[0][1])
        layers = {name: self._layers_of(name, request, size) for name in request.methods}
        taps = {view.tap: view for views in layers.values() for view in views}
        if self.classifier.head.kind != "none":
            at_head = self._view("", size)
            taps.setdefault(at_head.tap, at_head)
        with_gradients = [name for name in request.methods if name in closed.GRADIENT_METHODS]
        through = list(dict.fromkeys(v.tap for name in with_gradients for v in layers[name] if not v.closed))
        owner = {id(capture): job for job, capture in pairs}

        def wanted(capture: Capture, logits: Tensor) -> list[Target]:
            job = owner[id(capture)]
            self._settle(job, logits, request, parameters)
            return list(
                dict.fromkeys(t for name in with_gradients for t in job.targets[name] if missing(capture, name, t))
            )

        def missing(capture: Capture, name: str, target: Target) -> bool:
            return any(
                (v.tap, target) not in capture.gradients and (name, v.tap, target) not in capture.maps
                for v in layers[name]
                if not v.closed
            )

        def sink(capture: Capture, targets: Sequence[Target], gradients: dict[str, Tensor]) -> None:
            job = owner[id(capture)]
            count = len({t for name in with_gradients for t in job.targets[name]})
            keep = count * sum(g[0].nbytes for g in gradients.values()) <= GRADIENT_BYTES
            for tap, G in gradients.items():
                if keep:
                    for target, g in zip(targets, G, strict=True):
                        capture.gradients[tap, target] = g.clone()
                    continue
                for name in with_gradients:
                    if any(v.tap == tap for v in layers[name]):
                        self._map_at_once(capture, name, tap, job.targets[name], targets, G)

        pending = []
        for job, capture in pairs:
            known = capture.logits is not None and all(tap in capture.activations for tap in taps)
            if not known or (through and capture.logits is not None and wanted(capture, capture.logits)):
                pending.append(capture)
            elif capture.logits is not None:
                self._settle(job, capture.logits, request, parameters)
        self._capture(pending, taps, through, wanted, sink)
        for job, capture in pairs:
            assert capture.logits is not None
            self._settle(job, capture.logits, request, parameters)

    def _map_at_once(
        self, capture: Capture, name: str, tap: str, own: Sequence[Target], targets: Sequence[Target], G: Tensor
    ) -> None:
        """Turn one chunk of gradients that are too many to keep into the maps of a method."""
        chosen = [i for i, target in enumerate(targets) if target in set(own)]
        if not chosen:
            return
        maps, undefined = closed.GRADIENT_METHODS[name](capture.activations[tap].to(G), G[chosen])
        for i, row in zip(chosen, range(len(chosen)), strict=True):
            capture.maps[name, tap, targets[i]] = maps[row].clone()
            if undefined is not None and bool(undefined[row]):
                capture.undefined.add((name, tap, targets[i]))

    def _capture(
        self,
        captures: Sequence[Capture],
        taps: dict[str, LayerView],
        through: Sequence[str],
        wanted: Callable[[Capture, Tensor], Sequence[Target]],
        sink: Callable[[Capture, Sequence[Target], dict[str, Tensor]], None],
    ) -> None:
        """Run the captures, which share one input size, in batches that fit."""
        rest = list(captures)
        batch = self.device.batch_size(rest[0].X, gradients=bool(through)) if rest else 1
        while rest:
            part = rest[:batch]
            if self.device.attempt(lambda part=part: self._pass(part, taps, through, wanted, sink)):  # type: ignore[misc]
                rest = rest[batch:]
            elif batch > 1:
                batch //= 2
            else:
                self.device.fall_back()

    def _pass(
        self,
        part: Sequence[Capture],
        taps: dict[str, LayerView],
        through: Sequence[str],
        wanted: Callable[[Capture, Tensor], Sequence[Target]],
        sink: Callable[[Capture, Sequence[Target], dict[str, Tensor]], None],
    ) -> bool:
        layouts = {name: view.layout for name, view in taps.items()}

        # Gradients are turned into maps in the sink, so activations must be there first.
        def take(i: int, targets: Sequence[Target], gradients: dict[str, Tensor], A: dict[str, Tensor]) -> None:
            for name, found in A.items():
                part[i].activations[name] = found[i].clone()
            sink(part[i], targets, gradients)

        network = self.device.network(list(taps))
        logits, activations = run_pass(
            network,
            lambda X: self.device.logits(X, network),
            torch.stack([capture.X for capture in part]),
            layouts,
            through=through,
            targets_of=lambda i, found: wanted(part[i], found),
            sink=take,
            chunk_bytes=GRADIENT_BYTES,
        )
        for i, capture in enumerate(part):
            capture.logits = logits[i].clone()
            for name, A in activations.items():
                capture.activations[name] = A[i].clone()
        self._passes += 1
        if self._passes == 2:  # from here on the faster copy is worth its making
            self.device.warm(part[0].X, logits[0])
        return True

    def _settle(self, job: _Job, logits: Tensor, request: MapRequest, parameters: dict[str, Settings]) -> None:
        """Fix classes and targets from the logits of the image as it is; further views take the same."""
        if job.classes:
            return
        job.classes = select_classes(request.classes, _ranking(logits))
        for name in request.methods:
            if name == "finercam":
                similar, gamma = int(parameters[name]["similar"]), float(parameters[name]["gamma"])
                job.targets[name] = [
                    finer_target(c, request.target, logits, similar=similar, gamma=gamma) for c in job.classes
                ]
            else:
                job.targets[name] = [make_target(c, request.target) for c in job.classes]

    # ---- maps ----

    def _finish(
        self, job: _Job, request: MapRequest, parameters: dict[str, Settings], listeners: _Listeners
    ) -> Explanation:
        made: list[_Made] = []
        for name in request.methods:
            at_layers = [
                self._at_layer(job, name, i, request, parameters[name], listeners)
                for i in range(len(self._layers_of(name, request, _size(job.base))))
            ]
            made.extend(
                [self._fused(at_layers, request.fuse)] if len(at_layers) > 1 and request.fuse != "none" else at_layers
            )
        assert job.base.logits is not None
        logits = job.base.logits.cpu()
        probabilities = self.classifier.probabilities(logits[None])[0].tolist()
        names = self.classifier.identity.classes
        scores = tuple(ClassScore(i, names[i], float(logits[i]), probabilities[i]) for i in _ranking(logits))
        return Explanation(
            scores,
            self._records(job, made, request),
            job.base.plan,
            self._identity_error(job.base),
            tuple(self.device.notices),
        )

    def _records(self, job: _Job, made: Sequence[_Made], request: MapRequest) -> tuple[ActivationMap, ...]:
        """Return the maps as records, moved off the device in one transfer."""
        flat = torch.cat([m.maps.to(self.device.where, torch.float32).flatten() for m in made]).cpu().numpy()
        records = []
        start, seconds = 0, job.seconds
        for m in made:
            columns, rows_ = m.grid.size
            geometry = self._geometry(job.base.plan, m.grid, request)
            for class_index, flags in zip(job.classes, m.flags, strict=True):
                values = flat[start : start + columns * rows_].reshape(rows_, columns).copy()
                start += columns * rows_
                precision = "fast" if "bfloat16" in flags else "exact"
                records.append(
                    ActivationMap(
                        class_index,
                        m.method,
                        m.layer,
                        values,
                        geometry,
                        seconds + m.seconds,
                        precision,
                        tuple(sorted(flags)),
                    )
                )
                seconds = 0.0
        return tuple(records)

    def _geometry(self, plan: InputPlan, grid: grids.Grid, request: MapRequest) -> Geometry:
        cells = grid.cells if request.offset and grid.measured else None
        return Geometry(plan.image_size, plan.input_size, grid.size, plan.input_to_image, cells)

    def _identity_error(self, capture: Capture) -> float | None:
        head = self.classifier.head
        A = capture.activations.get(head.layer)
        if head.kind == "none" or A is None or capture.logits is None:
            return None
        head_on = replace(head, weight=_like(head.weight, A), bias=_like(head.bias, A))
        return float((head_on.scores(A[None])[0] - capture.logits.to(A)).abs().max())

    def _at_layer(
        self, job: _Job, method: str, index: int, request: MapRequest, settings: Settings, listeners: _Listeners
    ) -> _Made:
        """Return a method's maps at one layer, averaged over the views."""
        started = time.perf_counter()
        maps, sources = [], []
        flags: list[set[str]] = [set() for _ in job.classes]
        base_size = _size(job.base)
        name = ""
        for capture, how in job.views:
            size = _size(capture)
            view = self._layers_of(method, request, size)[index]
            name = name or view.name
            quiet = listeners if len(job.views) == 1 else replace(listeners, partial=None)
            found = self._maps(job, capture, method, view, request, settings, quiet, flags)
            columns, rows_ = found.shape[2], found.shape[1]
            grid = grids.make_grid((columns, rows_), size, view.cells if request.offset else None)
            if how == "mirrored":
                found, grid = found.flip(-1), grid.mirrored(size[0])
            elif how == "scaled":
                grid = grid.scaled((base_size[0] / size[0], base_size[1] / size[1]))
            maps.append(found)
            sources.append(grid)
        target = grids.finest(sources)
        if len(maps) > 1:
            placed = [grids.resample(m, source, target) for m, source in zip(maps, sources, strict=True)]
            mean = torch.stack(placed).mean(dim=0)
        else:
            mean = maps[0]
        return _Made(method, name, mean, target, flags, time.perf_counter() - started)

    def _fused(self, layers: Sequence[_Made], how: str) -> _Made:
        target = grids.finest([made.grid for made in layers])
        maps = grids.fuse([grids.resample(made.maps, made.grid, target) for made in layers], how)
        flags = [set().union(*(made.flags[i] for made in layers)) for i in range(len(layers[0].flags))]
        name = "+".join(made.layer for made in layers)
        return _Made(layers[0].method, name, maps, target, flags, sum(made.seconds for made in layers))

    def _maps(
        self,
        job: _Job,
        capture: Capture,
        method: str,
        view: LayerView,
        request: MapRequest,
        settings: Settings,
        listeners: _Listeners,
        flags: list[set[str]],
    ) -> Tensor:
        """Return the raw maps ``[T, h, w]`` of a method at one layer of one view."""
        A = view.activations(capture).to(self.device.where)
        targets = job.targets[method]
        classes = len(self.classifier.identity.classes)
        if method == "cam":
            weight = self.classifier.head.weight
            assert weight is not None
            return methods.cam(A, rows(targets, classes, like=A) @ weight.to(A))
        if method == "eigencam":
            return methods.eigen_cam(A).expand(len(targets), -1, -1)
        if method == "random":
            return methods.random_cam(A, list(job.classes), seed=request.seed)
        if method in closed.GRADIENT_METHODS:
            maps, undefined = self._gradient_maps(method, capture, view, targets)
        elif method == "ablationcam":
            maps, undefined = self._ablation_maps(capture, view, targets, listeners), None
        elif method == "smoothgradcampp":
            maps, undefined = self._smooth_maps(capture, view, targets, settings, request.seed)
        else:
            return self._masked_maps(job, capture, method, view, request, settings, listeners, flags)
        if undefined is not None:
            for flag, bad in zip(flags, undefined.tolist(), strict=True):
                if bad:
                    flag.add("signed tap")
        return maps

    def _gradient_maps(
        self, method: str, capture: Capture, view: LayerView, targets: Sequence[Target]
    ) -> tuple[Tensor, Tensor | None]:
        A = view.activations(capture).to(self.device.where)
        head = self.classifier.head
        if view.closed and closed.is_uniform(head):
            V = rows(targets, len(self.classifier.identity.classes), like=A)
            found = closed.uniform_maps(method, A, closed.uniform_gradients(head, A, V))
            if found is not None:
                return found
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
        A = view.activations(capture).to(self.device.where)
        if view.closed:
            V = rows(targets, len(self.classifier.identity.classes), like=A)
            return closed.head_gradients(self.classifier.head, A, V)
        return torch.stack([capture.gradients[view.tap, target].to(A) for target in targets])

    # ---- further passes ----

    def _masked_maps(
        self,
        job: _Job,
        capture: Capture,
        method: str,
        view: LayerView,
        request: MapRequest,
        settings: Settings,
        listeners: _Listeners,
        flags: list[set[str]],
    ) -> Tensor:
        masking = _masking(method, settings, request.seed)
        variant: scorecam.Variant = "probability" if settings.get("variant") == "probability" else "softmax"
        sigmoid = self.classifier.identity.activation == "sigmoid"
        weighing = scorecam.Weighing(variant, sigmoid, contrast_class(request.target) is not None)
        key = (view.name, masking, self.precision)
        run = capture.runs.get(key)
        while not isinstance(run, scorecam.ScoreRun):
            run = self.device.attempt(
                lambda: self._masked_run(job, capture, method, view, masking, request, weighing, listeners)
            )
            if run is None:
                self.device.fall_back()
        capture.runs[key] = run
        targets = rows(job.targets[method], len(self.classifier.identity.classes), like=run.A)
        online = scorecam.accumulate(run, targets, weighing)
        total = len(run.A)
        for flag, effective in zip(flags, online.effective().tolist(), strict=True):
            flag.update(run.flags)
            flag.add(f"effective units {effective:.1f} of {total}")
        return online.maps()

    def _masked_run(
        self,
        job: _Job,
        capture: Capture,
        method: str,
        view: LayerView,
        masking: scorecam.Masking,
        request: MapRequest,
        weighing: scorecam.Weighing,
        listeners: _Listeners,
    ) -> scorecam.ScoreRun:
        A = view.activations(capture).to(self.device.where)
        X = capture.X.to(self.device.where)
        assert capture.logits is not None
        self.device.warm(capture.X, capture.logits)
        steps = scorecam.score_cam(
            self.device.masked_logits,
            X,
            A,
            masking=masking,
            black=_black(self.classifier),
            classes=len(self.classifier.identity.classes),
            chunk=self.device.masked_chunk(X),
        )
        targets = rows(job.targets[method], len(self.classifier.identity.classes), like=A)
        online = scorecam.OnlineSum(len(targets), tuple(A.shape[1:]), variant=weighing.variant, like=A)
        grid = grids.make_grid((A.shape[2], A.shape[1]), _size(capture), view.cells if request.offset else None)
        geometry = self._geometry(capture.plan, grid, request)
        run = None
        for run, part in steps:
            if listeners.cancelled is not None and listeners.cancelled():
                raise Cancelled
            if listeners.progress is not None:
                listeners.progress(run.passes, run.total * masking.samples)
            if listeners.partial is not None and request.fuse == "none":
                online.add(scorecam.target_scores(run.logits[part], targets, weighing), A[part])
                flag = f"partial {int(run.done.sum())}/{len(run.A)}"
                for class_index, values in zip(job.classes, online.maps().cpu().numpy(), strict=True):
                    listeners.partial(
                        ActivationMap(
                            class_index, method, view.name, values, geometry, 0.0, self.device.masked_precision, (flag,)
                        )
                    )
        assert run is not None
        run.flags.update(self.device.masked_flags)
        return run

    def _ablation_maps(
        self, capture: Capture, view: LayerView, targets: Sequence[Target], listeners: _Listeners
    ) -> Tensor:
        A = view.activations(capture).to(self.device.where)
        assert capture.logits is not None
        V = rows(targets, len(self.classifier.identity.classes), like=A)
        S = V @ capture.logits.to(A)
        if view.closed:
            return methods.weighted_sum(
                A, methods.ablation_weights(S, closed.head_ablations(self.classifier.head, A, V))
            ).relu()
        key = (view.name, "ablated")
        table = capture.runs.get(key)
        if not isinstance(table, Tensor):
            table = capture.runs[key] = self._ablated(capture, view, listeners)
        return methods.weighted_sum(A, methods.ablation_weights(S, table.to(A) @ V.T)).relu()

    def _ablated(self, capture: Capture, view: LayerView, listeners: _Listeners) -> Tensor:
        """Return the logits with each unit set to zero, ``[K, classes]``; units that are zero cost no pass."""
        A = view.activations(capture).cpu()
        assert capture.logits is not None
        table = capture.logits.cpu().expand(len(A), -1).clone()
        rest = units = torch.nonzero(A.abs().amax(dim=(1, 2)) > 0).flatten()
        chunk = self.device.masked_chunk(capture.X)
        network = self.classifier.network
        while len(rest):
            part = rest[:chunk]
            logits = self.device.attempt(
                lambda part=part: further.ablated_logits(  # type: ignore[misc]
                    network, self.device.logits, capture.X, view.tap, view.layout, part
                )
            )
            if logits is not None:
                table[part] = logits.cpu()
                rest = rest[chunk:]
                if listeners.progress is not None:
                    listeners.progress(len(units) - len(rest), len(units))
            elif chunk > 1:
                chunk //= 2
            else:
                self.device.fall_back()
        return table

    def _smooth_maps(
        self, capture: Capture, view: LayerView, targets: Sequence[Target], settings: Settings, seed: int
    ) -> tuple[Tensor, Tensor]:
        """SmoothGrad-CAM++: one pass with gradients for each noisy copy of the input."""
        A = view.activations(capture).to(self.device.where)
        generator = torch.Generator().manual_seed(seed)
        deviation = float(settings["noise"]) * float(capture.X.amax() - capture.X.amin())
        noisy = [
            Capture(capture.X + deviation * torch.randn(capture.X.shape, generator=generator), capture.plan)
            for _ in range(int(settings["samples"]))
        ]
        maps, undefined = [], []
        step = max(1, GRADIENT_BYTES // (A.nbytes * len(noisy)))
        for start in range(0, len(targets), step):
            part = targets[start : start + step]

            def sink(held: Capture, found: Sequence[Target], gradients: dict[str, Tensor]) -> None:
                held.gradients.update({(view.tap, t): g for t, g in zip(found, gradients[view.tap], strict=True)})

            through = [] if view.closed else [view.tap]
            self._capture(noisy, {view.tap: view}, through, lambda _c, _l, part=part: part, sink)  # type: ignore[misc]
            samples = [self._gradients(held, view, part) for held in noisy]
            weights, bad = methods.smooth_grad_cam_pp_weights(A, samples)
            maps.append(methods.weighted_sum(A, weights).relu())
            undefined.append(bad)
            for held in noisy:
                held.gradients.clear()
        return torch.cat(maps), torch.cat(undefined)


def _size(capture: Capture) -> Size:
    return int(capture.X.shape[2]), int(capture.X.shape[1])


def _like(tensor: Tensor | None, other: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.to(other)


def _ranking(logits: Tensor) -> list[int]:
    """Return class indices, best first; equal scores keep the order of the classes."""
    order: list[int] = torch.argsort(logits.cpu(), descending=True, stable=True).tolist()
    return order


def _black(classifier: Classifier) -> Tensor:
    """Return the normalised value of black, ``[C]``."""
    preprocessing = classifier.preprocessing
    return -torch.tensor(preprocessing.mean) / torch.tensor(preprocessing.std)


def _masking(method: str, settings: Settings, seed: int) -> scorecam.Masking:
    perturbation: scorecam.Perturbation = "none"
    if method == "iscam":
        perturbation = "integrate"
    elif method == "sscam":
        perturbation = "input" if settings["where"] == "input" else "activation"
    baseline = str(settings.get("baseline", "zero"))
    return scorecam.Masking(
        baseline="black" if baseline == "black" else "blur" if baseline == "blur" else "zero",
        perturbation=perturbation,
        samples=int(settings.get("samples", 1)),
        noise=float(settings.get("noise", 0.0)),
        seed=seed if method == "sscam" else 0,
        strongest=int(settings.get("strongest", 0)),
    )
