"""A whole training: data set in, checkpoints and a record of every epoch out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from camviewer.catalogue.architectures import architecture
from camviewer.errors import CheckpointError, UsageError
from camviewer.models import architectures
from camviewer.models.checkpoint import ModelInfo, read_checkpoint, save_checkpoint
from camviewer.models.classifier import choose_device
from camviewer.models.converted import Converted, convert, pooling
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.training.datasets import LabelledImages, load_pixels, split
from camviewer.training.loop import LabelledPixels, fit
from camviewer.training.settings import EpochReport, TrainSettings

STATE = "training_state.safetensors"
RECORD = "training.json"
BEST = "best.safetensors"
LAST = "last.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class TrainResult:
    """What a training leaves behind.

    Attributes:
        best, last: checkpoints, ready to be loaded.
        kept: checkpoints of every N-th epoch.
        reports: one an epoch.
        messages: sentences on pictures and rows that were left out.
    """

    best: Path
    last: Path
    kept: tuple[Path, ...]
    reports: tuple[EpochReport, ...]
    messages: tuple[str, ...]


def train(
    data: LabelledImages,
    settings: TrainSettings,
    out: Path,
    *,
    weights: Path | str | None = None,
    validation_share: float = 0.2,
    validation: LabelledImages | None = None,
    device: str = "auto",
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_message: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TrainResult:
    """Train a network on `data` and write it to `out`; go on from `out` if a training stopped there.

    Args:
        data: labelled pictures; groups stay on one side of the split.
        settings: how to train.
        out: folder of the checkpoints (created).
        weights: what the network starts from, ``torchvision:NAME`` or a file; None for random weights.
        validation_share: of the pictures, that judge and are not learnt from; 0 for none.
        validation: pictures that judge, in place of a share.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        on_step, on_epoch, on_message: progress.
        cancelled: asked before each picture and each step, and inside forward passes.

    Raises:
        UsageError: when the data leave nothing to learn.
        ModelError, CheckpointError: when the network cannot be built or files cannot be written.
        Cancelled: when `cancelled` says so; what was written stays and can be continued.
    """
    messages = list(data.skipped)
    settings = following(settings, weights)
    if validation is not None and validation.classes != data.classes:
        raise UsageError("The pictures for validation have other classes than those for training.")
    if validation is None:
        learnt, judged = split(data, validation_share, seed=settings.seed)
        judge = data
    else:
        learnt = np.arange(len(data), dtype=np.int64)
        judge, judged = validation, np.arange(len(validation), dtype=np.int64)
    training, failed = _in_memory(data, learnt, settings, cancelled)
    messages += failed
    held_out, failed = _in_memory(judge, judged, settings, cancelled)
    messages += failed
    for name, count in zip(data.classes, np.bincount(training.labels, minlength=len(data.classes)), strict=True):
        if count == 0:
            raise UsageError(f"The class {name} has no picture to learn from. Add some, or remove the class.")
        if count < 2:
            messages.append(f"The class {name} has a single picture to learn from.")
    for message in messages:
        if on_message is not None:
            on_message(message)

    classes = data.classes
    network = build_network(settings, len(classes), weights=weights)
    info = model_info(settings, classes)
    if getattr(network, "transform_input", False):
        info = replace(info, transform_input=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{out} cannot be made: {error.strerror}.", details=repr(error)) from error

    def finish(report: EpochReport, is_best: bool) -> None:
        extra = {"epoch": str(report.epoch)}
        if settings.save_every and report.epoch % settings.save_every == 0:
            save_checkpoint(out / f"epoch_{report.epoch:03d}.safetensors", network, info=info, extra=extra)
        if is_best:
            save_checkpoint(out / BEST, network, info=info, extra=extra)
        save_checkpoint(out / LAST, network, info=info, extra=extra)
        if on_epoch is not None:
            on_epoch(report)

    reports = fit(
        network,
        training,
        settings,
        classes=len(classes),
        validation=held_out if len(held_out) else None,
        state_file=out / STATE,
        device=choose_device(device),
        on_step=on_step,
        on_epoch=finish,
        cancelled=cancelled,
    )
    record = {
        "settings": asdict(settings),
        "classes": list(classes),
        "pictures": {"training": len(training), "validation": len(held_out)},
        "messages": messages,
        "epochs": [report.to_json() for report in reports],
    }
    try:
        (out / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{RECORD} cannot be written: {error.strerror}.", details=repr(error)) from error
    return TrainResult(out / BEST, out / LAST, tuple(sorted(out.glob("epoch_*.safetensors"))), reports, tuple(messages))


def build_network(settings: TrainSettings, num_classes: int, *, weights: Path | str | None = None) -> nn.Module:
    """Return the network to train: our own, or a torchvision architecture converted to a pooling head.

    Args:
        settings: architecture, head and options; ``finer`` is the only option of a converted network.
        num_classes: logits.
        weights: what it starts from; its class layer is replaced.

    Raises:
        ModelError, CheckpointError: when the architecture or the weights are not possible.
    """
    spec = architecture(settings.arch)
    options = tuple(model_info(settings, ()).options.items())
    plan = architectures.Plan(num_classes, head=settings.head, options=options)
    if weights is None:
        return architectures.build(spec.name, plan, seed=settings.seed)
    base = load_classifier(LoadRequest(model=spec.name, weights=weights, device="cpu")).network
    if not spec.own:
        side = (spec.input_size, spec.input_size)
        with torch.random.fork_rng(devices=[]):  # a new layer draws its weights before it is silenced
            if isinstance(base, Converted):
                base.pool = pooling(settings.head)
                if base.fc.out_features != num_classes:
                    base.fc = _silent(nn.Linear(base.fc.in_features, num_classes))
                return base
            finer = int(settings.options.get("finer", 0))
            converted = convert(base, num_classes, head=settings.head, finer=finer, input_size=side)
            _silent(converted.fc)
            return converted
    network = architectures.build(spec.name, plan, seed=settings.seed)
    state = {name: tensor for name, tensor in base.state_dict().items() if not name.startswith("fc.")}
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"{Path(weights).name} has other sizes than the network that is to be trained.", details=str(error)
        ) from error
    return network


def _silent(layer: nn.Linear) -> nn.Linear:
    """Set a new class layer to zero: scores drawn at random would spoil the learnt features in the first steps.

    The maxima behind a GMP head are large, so there the harm was great.
    """
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def architecture_of(weights: Path | str) -> str:
    """Return which architecture `weights` belong to.

    Raises:
        ModelError, CheckpointError: when that cannot be told.
    """
    return load_classifier(LoadRequest(weights=weights, device="cpu")).identity.architecture


def following(settings: TrainSettings, weights: Path | str | None) -> TrainSettings:
    """Return the settings for a network that starts from `weights`: it keeps its sizes, or its resolution.

    Raises:
        UsageError: when another resolution is asked for.
        CheckpointError: when the file cannot be read.
    """
    if not isinstance(weights, Path):
        return settings
    options = read_checkpoint(weights).info.options
    if architecture(settings.arch).own:
        return replace(settings, options=dict(options))
    if not options.get("converted"):
        return settings
    has, wanted = int(options.get("finer", 0)), int(settings.options.get("finer", 0))
    if wanted not in (0, has):
        raise UsageError(f"{weights.name} is converted already, {has} times finer. Start from the original network.")
    return replace(settings, options={"finer": has} if has else {})


def model_info(settings: TrainSettings, classes: tuple[str, ...]) -> ModelInfo:
    """Return what a checkpoint of this training says about itself."""
    options = dict(settings.options)
    if not architecture(settings.arch).own:
        options = {"converted": True, "finer": int(options.get("finer", 0))}
    return ModelInfo(
        arch=settings.arch,
        head=settings.head,
        classes=classes,
        mean=settings.mean,
        std=settings.std,
        input_size=settings.input_size,
        interpolation="bilinear",
        activation="softmax",
        channels=3,
        options=options,
    )


def _in_memory(
    data: LabelledImages,
    indices: NDArray[np.int64],
    settings: TrainSettings,
    cancelled: Callable[[], bool] | None,
) -> tuple[LabelledPixels, list[str]]:
    pixels, kept, failed = load_pixels(data, indices, settings.input_size, cancelled=cancelled)
    return LabelledPixels(pixels, data.labels[kept]), [f"{sentence} It is left out." for sentence in failed]
