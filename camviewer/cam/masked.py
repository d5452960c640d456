"""Methods that run the network again on changed inputs or changed units: Score-CAM and its like, Ablation-CAM."""

from __future__ import annotations

from contextlib import closing

import torch
from torch import Tensor

from camviewer.cam import closed, further, grids, methods, sampling, scorecam
from camviewer.cam.allocator import return_freed
from camviewer.cam.device import Device
from camviewer.cam.masking import MaskedForward, Masking, Perturbation, baseline_input
from camviewer.cam.requests import contrast_class
from camviewer.cam.targets import rows
from camviewer.cam.tasks import Settings, Task
from camviewer.errors import Cancelled
from camviewer.models.classifier import Classifier
from camviewer.project.records import ActivationMap

SAMPLED_AT_ONCE = 2
"""Masked inputs of a sample that share a pass in float32: what other passes hold is there beside them."""


def masked_maps(task: Task, device: Device) -> Tensor:
    """Return the maps ``[T, h, w]`` of Score-CAM, SS-CAM or IS-CAM; a run that was finished before costs no pass.

    Raises:
        Cancelled: between passes, and inside them.
        ModelError: when memory runs out on the CPU too.
    """
    masking = _masking(task.method, task.settings, task.request.seed)
    variant: scorecam.Variant = "probability" if task.settings.get("variant") == "probability" else "softmax"
    sigmoid = device.classifier.identity.activation == "sigmoid"
    weighing = scorecam.Weighing(variant, sigmoid, contrast_class(task.request.target) is not None)
    key = (task.view.name, masking, device.precision)
    run = task.capture.runs.get(key)
    while not isinstance(run, scorecam.ScoreRun):
        run = device.attempt(lambda: _masked_run(task, device, masking, weighing))
        if run is None:
            device.fall_back()
    task.capture.runs[key] = run
    online = scorecam.accumulate(run, _target_rows(task, device, run.A), weighing)
    flags = _left_out_flags(task, device, run, masking, weighing)
    for flag, measured in zip(task.flags, flags, strict=True):
        flag.update(measured)
    for flag, effective in zip(task.flags, online.effective().tolist(), strict=True):
        flag.update(run.flags)
        flag.add(f"effective units {effective:.1f} of {len(run.A)}")
    return online.maps()


def _masked_run(task: Task, device: Device, masking: Masking, weighing: scorecam.Weighing) -> scorecam.ScoreRun:
    capture, listeners = task.capture, task.listeners
    A = task.view.activations(capture).to(device.where)
    device.warm_for_masks(capture, {task.view.tap: task.view.layout})
    passes = _passes(task, device, A, masking)
    return_freed()
    steps = scorecam.score_cam(
        passes,
        A,
        masking=masking,
        classes=len(device.classifier.identity.classes),
        batch=device.masked_batch(capture.X),
        each=device.each,
    )
    targets = _target_rows(task, device, A)
    online = scorecam.OnlineSum(len(targets), tuple(A.shape[1:]), variant=weighing.variant, like=A)
    cells = task.view.cells if task.request.offset else None
    grid = grids.make_grid((A.shape[2], A.shape[1]), capture.size, cells)
    geometry = grid.geometry(capture.plan)
    run = None
    with closing(steps):
        for run, part in steps:
            if listeners.cancelled is not None and listeners.cancelled():
                raise Cancelled
            if listeners.progress is not None:
                listeners.progress(run.passes, run.total * masking.samples)
            if listeners.partial is not None and task.request.fuse == "none":
                online.add(scorecam.target_scores(run.logits[part], targets, weighing), A[part])
                flags = (f"partial {int(run.done.sum())}/{len(run.A)}",)
                for class_index, values in zip(task.classes, online.maps().cpu().numpy(), strict=True):
                    precision = device.masked_precision
                    listeners.partial(
                        ActivationMap(class_index, task.method, task.view.name, values, geometry, 0.0, precision, flags)
                    )
    assert run is not None
    if device.masked_precision == "fast":
        run.flags.update(_precision_flags(task, device, run, masking, weighing))
    return run


def _precision_flags(
    task: Task, device: Device, run: scorecam.ScoreRun, masking: Masking, weighing: scorecam.Weighing
) -> set[str]:
    """Return what a run in bfloat16 has to say; how far it agrees is measured once for a network on its device."""
    if device.agreement is None:
        units = sampling.spread(run.order, sampling.CHECKED_UNITS)
        exact = _sampled(task, device, run, units, masking)
        if exact is not None:
            targets = _target_rows(task, device, run.A)
            device.agreement = sampling.precision_agreement(run, units, exact, targets, weighing)
    if device.agreement is None:
        return {"bfloat16"}
    return {"bfloat16", f"agrees {device.agreement:.4f} with float32 on a sample of units"}


def _left_out_flags(
    task: Task, device: Device, run: scorecam.ScoreRun, masking: Masking, weighing: scorecam.Weighing
) -> list[set[str]]:
    """Return for each target how far the strongest units' map agrees with an estimate of all units' map."""
    left_out = torch.nonzero(~run.done).flatten().to(run.A.device)
    if not len(left_out):
        return [set() for _ in task.targets]
    if run.sampled is None:
        units = sampling.spread(left_out, max(4, len(run.order) // sampling.LEFT_OUT_SHARE))
        logits = _sampled(task, device, run, units, masking)
        if logits is None:
            return [set() for _ in task.targets]
        run.sampled = (units, logits)
    units, logits = run.sampled
    targets = _target_rows(task, device, run.A)
    found = sampling.completeness(run, units, logits, len(left_out), targets, weighing)
    return [{f"agrees about {value:.3f} with all units ({len(units)} more looked at)"} for value in found]


def _sampled(task: Task, device: Device, run: scorecam.ScoreRun, units: Tensor, masking: Masking) -> Tensor | None:
    return_freed()
    passes = _passes(task, device, run.A, masking, exact=True)
    batch = min(SAMPLED_AT_ONCE, device.masked_batch(task.capture.X, exact=True))
    return scorecam.sampled_logits(passes, run.A, units, masking=masking, batch=batch, each=device.each)


def _passes(task: Task, device: Device, A: Tensor, masking: Masking, *, exact: bool = False) -> MaskedForward:
    X = task.capture.X.to(A)
    background = baseline_input(X, masking.baseline, black=_black(device.classifier))
    return device.masked_forward(X, background, A, exact=exact)


def ablation_maps(task: Task, device: Device) -> Tensor:
    """Return the maps ``[T, h, w]`` of Ablation-CAM, by the head's closed form or one pass a unit.

    Raises:
        ModelError: when memory runs out on the CPU too.
    """
    A = task.view.activations(task.capture).to(device.where)
    assert task.capture.logits is not None
    V = _target_rows(task, device, A)
    S = V @ task.capture.logits.to(A)
    if task.view.closed:
        ablated = closed.head_ablations(device.classifier.head, A, V)
    else:
        key = (task.view.name, "ablated")
        table = task.capture.runs.get(key)
        if not isinstance(table, Tensor):
            table = task.capture.runs[key] = _ablated(task, device)
        ablated = table.to(A) @ V.T
    return methods.weighted_sum(A, methods.ablation_weights(S, ablated)).relu()


def _ablated(task: Task, device: Device) -> Tensor:
    """Return the logits with each unit set to zero, ``[K, classes]``; units that are zero cost no pass."""
    capture, view, progress = task.capture, task.view, task.listeners.progress
    A = view.activations(capture).cpu()
    assert capture.logits is not None
    table = capture.logits.cpu().expand(len(A), -1).clone()
    rest = units = torch.nonzero(A.abs().amax(dim=(1, 2)) > 0).flatten()
    chunk = device.batch_size(capture.X, gradients=False) * device.lanes
    network = device.classifier.network
    while len(rest):
        part = rest[:chunk]
        logits = device.attempt(
            lambda part=part: further.ablated_logits(  # type: ignore[misc]
                network, device.logits, capture.X, view.tap, view.layout, part
            )
        )
        if logits is not None:
            table[part] = logits.cpu()
            rest = rest[chunk:]
            if progress is not None:
                progress(len(units) - len(rest), len(units))
        elif chunk > 1:
            chunk //= 2
        else:
            device.fall_back()
    return table


def _target_rows(task: Task, device: Device, like: Tensor) -> Tensor:
    return rows(task.targets, len(device.classifier.identity.classes), like=like)


def _black(classifier: Classifier) -> Tensor:
    """Return the normalised value of black, ``[C]``."""
    preprocessing = classifier.preprocessing
    return -torch.tensor(preprocessing.mean) / torch.tensor(preprocessing.std)


def _masking(method: str, settings: Settings, seed: int) -> Masking:
    perturbation: Perturbation = "none"
    if method == "iscam":
        perturbation = "integrate"
    elif method == "sscam":
        perturbation = "input" if settings["where"] == "input" else "activation"
    baseline = str(settings.get("baseline", "zero"))
    return Masking(
        baseline="black" if baseline == "black" else "blur" if baseline == "blur" else "zero",
        perturbation=perturbation,
        samples=int(settings.get("samples", 1)),
        noise=float(settings.get("noise", 0.0)),
        seed=seed if method == "sscam" else 0,
        strongest=int(settings.get("strongest", 0)),
    )
