"""The training loop: one epoch after the other, reported, cancelled and resumed at epochs.

All randomness of an epoch comes from the seed and the epoch's number, and the state at its end is written whole. A
training that was killed therefore goes on from the last finished epoch and ends with the same weights as one that was
not (on the same CPU with the same number of threads).
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from camviewer.cam.taps import cancellable
from camviewer.errors import Cancelled, CheckpointError, UsageError
from camviewer.models.checkpoint import reason
from camviewer.training.augment import augment, surroundings
from camviewer.training.measures import accuracy, balanced_accuracy, confusion_matrix
from camviewer.training.mosaics import TILES, cells_of, join_tiles, mosaic_loss, tile_scores
from camviewer.training.precision import best_precision
from camviewer.training.settings import EpochReport, TrainSettings

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPixels:
    """Pictures in memory at the network's input size, ``[N, h, w, 3]``, with a class index each."""

    pixels: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


def fit(
    network: nn.Module,
    training: LabelledPixels,
    settings: TrainSettings,
    *,
    classes: int,
    validation: LabelledPixels | None = None,
    state_file: Path | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochReport, bool], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[EpochReport, ...]:
    """Train `network` in place and return the reports of all epochs.

    Args:
        network: gives logits ``[N, classes]``.
        training: what it learns from.
        settings: how.
        classes: number of logits.
        validation: what it is judged by after each epoch; also decides on early stopping and on what is best.
        state_file: where the state is kept between epochs; if it is there and fits, training goes on from it.
        device: where to compute.
        on_step: called with (steps done, steps in all).
        on_epoch: called after each epoch with its report and whether it is the best so far; `network` is in
            evaluation mode meanwhile and may be saved.
        cancelled: asked before each step and inside its forward pass.

    Raises:
        Cancelled: when `cancelled` says so; the state of the last finished epoch stays.
        UsageError: when a class is empty or there are fewer pictures than one batch needs.
        CheckpointError: when the state cannot be read or written, or belongs to another training.
    """
    counts = np.bincount(training.labels, minlength=classes)
    if len(training) < 2:
        raise UsageError("Training needs at least two images.")
    if len(counts) > classes:
        raise UsageError(f"A label is {int(training.labels.max())}, but there are {classes} classes.")
    if settings.background:
        counts = np.append(counts, math.ceil(settings.background * len(training)))
    device = torch.device(device)
    # Convolutions on most devices are faster when the channels lie side by side.
    network.to(device).to(memory_format=torch.channels_last)
    trained = trainable(network, settings.scope)
    optimiser = _optimiser(network, trained, settings)
    weights = _class_weights(counts, settings).to(device)
    reports: list[EpochReport] = []
    if state_file is not None and state_file.is_file():
        reports = _read_state(state_file, network, optimiser, settings)
    mixed = settings.mixed_precision and best_precision(device) == torch.bfloat16
    batches = max(1, len(training) // settings.batch_size)
    total = batches * settings.epochs
    best = max((_merit(report) for report in reports), default=None)
    while len(reports) < settings.epochs and not _stopped(reports, settings):
        epoch = len(reports) + 1
        started = time.perf_counter()
        _training_mode(network, settings.scope)
        seed = _seed(settings.seed, epoch)
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(training), generator=generator).numpy()
        loss_sum, right, seen = 0.0, 0, 0
        rate = settings.learning_rate
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # dropout draws from the global state
            for batch in range(batches):
                if cancelled is not None and cancelled():
                    raise Cancelled
                step = (epoch - 1) * batches + batch
                rate = learning_rate(settings, step, total)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                index = order[batch * settings.batch_size : (batch + 1) * settings.batch_size]
                batch_of = _batch(training, index, settings, classes, generator)
                target, tiles = batch_of.labels.to(device), batch_of.tiles.to(device)
                optimiser.zero_grad(set_to_none=True)
                with torch.autocast(device.type, torch.bfloat16, mixed), cancellable(cancelled):
                    given = batch_of.values.to(device, memory_format=torch.channels_last)
                    logits, scores = _scores(network, given, len(target))
                if settings.background:
                    logits, scores = F.pad(logits, (0, 1)), F.pad(scores, (0, 1))  # the ground's score is 0
                loss = weighted_loss(logits, target, weights, settings.label_smoothing)
                placed = mosaic_loss(scores, tiles, weights, settings.label_smoothing) if len(tiles) else 0.0
                (loss + placed).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                loss_sum += float(loss.detach()) * len(target)
                right += int((logits.detach().argmax(1) == target).sum())
                seen += len(target)
                if on_step is not None:
                    on_step(step + 1, total)
        if not math.isfinite(loss_sum):
            raise UsageError("The loss is no longer a number. Choose a smaller learning rate.")
        network.eval()
        judged = _judge(network, validation, settings, classes, weights, device, cancelled)
        report = EpochReport(
            epoch, loss_sum / seen, right / seen, *judged, learning_rate=rate, seconds=time.perf_counter() - started
        )
        merit = _merit(report)
        is_best = best is None or merit > best
        best = merit if best is None else max(best, merit)
        reports.append(report)
        if on_epoch is not None:
            on_epoch(report, is_best)
        if state_file is not None:
            _write_state(state_file, network, optimiser, settings, reports)
    network.eval()
    return tuple(reports)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a step shows.

    Attributes:
        values: normalised, ``[N + M, 3, h, w]``: pictures, then mosaics of them.
        labels: of the pictures, ``[N]``.
        tiles: classes of the mosaics' tiles, ``[M, 4]``.
    """

    values: Tensor
    labels: Tensor
    tiles: Tensor


def _batch(
    training: LabelledPixels,
    index: NDArray[np.int64],
    settings: TrainSettings,
    classes: int,
    generator: torch.Generator,
) -> _Batch:
    values, labels = _values(training.pixels[index]), torch.from_numpy(training.labels[index])
    ground = math.ceil(settings.background * settings.batch_size)
    if ground:
        values = torch.cat([values, surroundings(values, ground, generator)])
    values = augment(values, settings.augmentation, generator)
    mosaics = math.ceil(settings.mosaics * settings.batch_size) if len(index) >= TILES else 0
    joined, tiles = join_tiles(values[: len(index)], labels, mosaics, generator)
    labels = torch.cat([labels, torch.full((ground,), classes)])
    return _Batch(_normalise(torch.cat([values, joined]), settings), labels, tiles)


def _scores(network: nn.Module, values: Tensor, pictures: int) -> tuple[Tensor, Tensor]:
    """Return the scores of the first `pictures` as wholes, and of the mosaics behind them tile by tile."""
    if len(values) == pictures:
        return _plain(network(values)).float(), torch.empty(0)
    with cells_of(network) as cells:
        logits = _plain(network(values))
    return logits[:pictures].float(), tile_scores(network, cells[0][pictures:]).float()


def predict(
    network: nn.Module, pixels: Pixels, settings: TrainSettings, *, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Return the logits ``[N, C]`` of pictures ``[N, h, w, 3]``; `network` is in evaluation mode."""
    device = torch.device(device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), settings.batch_size):
            values = _normalise(_values(pixels[start : start + settings.batch_size]), settings)
            parts.append(_plain(network(values.to(device, memory_format=torch.channels_last))).float().cpu().numpy())
    return np.concatenate(parts)


def last_linear(network: nn.Module) -> nn.Module:
    """Return the layer that gives the logits: the last linear layer or convolution in the order of definition.

    Raises:
        UsageError: when there is none.
    """
    layers = [module for module in network.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    if not layers:
        raise UsageError("The network has no linear layer at its end, so its head cannot be trained.")
    return layers[-1]


def trainable(network: nn.Module, scope: str) -> list[nn.Parameter]:
    """Freeze what `scope` leaves out and return the rest."""
    network.requires_grad_(scope == "all")
    if scope == "head":
        last_linear(network).requires_grad_(True)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def learning_rate(settings: TrainSettings, step: int, total: int) -> float:
    """Return the rate of `step` (from 0) of `total`; see `TrainSettings.learning_rate`."""
    if settings.schedule == "constant":
        return settings.learning_rate
    rise = max(1, round(0.2 * total))
    if step < rise:
        return settings.learning_rate * (0.04 + 0.96 * (step + 1) / rise)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def _optimiser(network: nn.Module, trained: list[nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    exempt = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate)


def _class_weights(counts: NDArray[np.int64], settings: TrainSettings) -> Tensor:
    """Return weights of mean 1 over the pictures; a class without pictures weighs nothing."""
    power = {"balanced": 1.0, "sqrt": 0.5, "none": 0.0}[settings.class_weights]
    raw = np.where(counts > 0, 1.0 / np.maximum(counts, 1) ** power, 0.0)
    return torch.tensor(raw * counts.sum() / (raw * counts).sum(), dtype=torch.float32)


def weighted_loss(logits: Tensor, target: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy with smoothed targets, each picture weighted by its own class.

    torch's own ``label_smoothing`` weighs the spread part of a target by all classes; with weights by inverse frequency
    the rarest class then pulls at every picture.

    Args:
        logits: ``[N, C]``.
        target: class indices ``[N]``.
        weights: per class ``[C]``.
        smoothing: share of the target spread over all classes, 0..1.
    """
    each = F.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    share = weights[target]
    return (each * share).sum() / share.sum()


def _training_mode(network: nn.Module, scope: str) -> None:
    # With only the head trained, the statistics of the frozen norms stay as they are.
    network.train(scope == "all")
    if scope == "head":
        last_linear(network).train()


def _values(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)


def _normalise(values: Tensor, settings: TrainSettings) -> Tensor:
    mean = torch.tensor(settings.mean).reshape(-1, 1, 1)
    std = torch.tensor(settings.std).reshape(-1, 1, 1)
    return (values - mean) / std


def _plain(output: object) -> Tensor:
    """Return the logits; googlenet and inception give further ones in training."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor):
        raise UsageError("The network does not give class scores, so it cannot be trained.")
    return logits


def _judge(
    network: nn.Module,
    validation: LabelledPixels | None,
    settings: TrainSettings,
    classes: int,
    weights: Tensor,
    device: torch.device,
    cancelled: Callable[[], bool] | None,
) -> tuple[float | None, float | None, float | None, NDArray[np.int64] | None]:
    if validation is None or not len(validation):
        return None, None, None, None
    if cancelled is not None and cancelled():
        raise Cancelled
    logits = torch.from_numpy(predict(network, validation.pixels, settings, device=device))
    target = torch.from_numpy(validation.labels)
    # A class that only the validation knows would make the weighted mean 0/0.
    loss = F.cross_entropy(logits, target, weights[:classes].cpu().clamp_min(1e-6))
    confusion = confusion_matrix(validation.labels, logits.argmax(1).numpy(), classes)
    return float(loss), accuracy(confusion), balanced_accuracy(confusion), confusion


def _merit(report: EpochReport) -> tuple[float, float]:
    """Return what makes one epoch better than another: balanced accuracy, then loss; later wins without validation."""
    if report.balanced_accuracy is None or report.validation_loss is None:
        return float(report.epoch), 0.0
    return report.balanced_accuracy, -report.validation_loss


def _stopped(reports: list[EpochReport], settings: TrainSettings) -> bool:
    if not settings.patience or not reports:
        return False
    best = max(range(len(reports)), key=lambda index: _merit(reports[index]))
    return len(reports) - 1 - best >= settings.patience


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _write_state(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: TrainSettings,
    reports: list[EpochReport],
) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimiser.{number}.{key}"] = torch.as_tensor(value)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {
        "settings": settings.fingerprint(),
        "reports": json.dumps([report.to_json() for report in reports]),
    }
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        save_file(tensors, temporary, metadata=metadata)
        Path(temporary).replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The state of the training cannot be written to {path.parent}: {reason(error)}. Nothing written before "
            "is lost.",
            details=repr(error),
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _read_state(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, settings: TrainSettings
) -> list[EpochReport]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        reports = [EpochReport.from_json(values) for values in json.loads(metadata["reports"])]
        known = metadata["settings"]
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise CheckpointError(
            f"{path.name} cannot be read. Remove it to start the training anew.", details=repr(error)
        ) from error
    if known != settings.fingerprint():
        raise CheckpointError(
            f"{path.parent.name} holds a training with other settings. Choose another folder, or remove {path.name}.",
            details=f"{known}\n{settings.fingerprint()}",
        )
    state = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    held: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".")
            held.setdefault(int(number), {})[key] = tensor
    try:
        network.load_state_dict(state)
        current = optimiser.state_dict()
        optimiser.load_state_dict({"state": held, "param_groups": current["param_groups"]})
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} belongs to another network. Remove it to start the training anew.", details=str(error)
        ) from error
    return reports
