"""Training of masks that learn: step after step, watched, cancelled and continued after a kill.

All randomness of a step comes from the seed and the step's number, and the state is written whole now and then. A
training that was killed therefore goes on from there and ends with the same weights as one that was not (on the same
processor with the same number of threads).
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from camviewer.errors import Cancelled, CheckpointError, UsageError
from camviewer.images.geometry import Size
from camviewer.regions.shapes import grown, shrunk
from camviewer.training.precision import best_precision
from camviewer.training.segmentation.losses import mask_loss
from camviewer.training.segmentation.predict import Outlook, predict
from camviewer.training.segmentation.settings import CurvePoint, LearnSettings
from camviewer.training.segmentation.unet import UNet
from camviewer.training.segmentation.views import IGNORED, sized, view

Pixels = NDArray[np.uint8]
Labels = NDArray[np.uint8]

log = logging.getLogger(__name__)

WATCHED = 48
"""Confident automatic masks, at most, that are kept aside to see how the training goes."""
POINTS = 20
"""Points of the curve."""
FULL_SHARE = 12
"""Reviewed pictures from which on they have `LearnSettings.reviewed_share` of each batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A picture with its mask, reduced to what the training looks at.

    Attributes:
        pixels: RGB ``[h, w, 3]``.
        labels: of each pixel ``[h, w]``: 0 or a class from 1.
        reviewed: whether a person vouches for the labels.
        doubt: in labels that nobody reviewed, 0..1.
    """

    pixels: Pixels
    labels: Labels
    reviewed: bool
    doubt: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained network, its weights averaged over the last steps, and how it went."""

    network: UNet
    points: tuple[CurvePoint, ...]


class _Run:
    """What changes during a training: network, running mean, optimiser, teacher, and the curve."""

    def __init__(self, settings: LearnSettings, classes: int, device: torch.device, start: UNet | None) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = UNet(classes, base=settings.base, levels=settings.levels)
        if start is not None:
            network.load_state_dict(start.state_dict())
        # Convolutions on most devices are faster when the channels lie side by side.
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.network).eval()
        self.teacher: UNet | None = None
        weights = list(self.network.parameters())
        groups = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)
        self.step = 0
        self.points: list[CurvePoint] = []

    def average(self, decay: float) -> None:
        """Move the running mean towards the network; early steps count more, so that it forgets the start."""
        share = 1 - min(decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            pairs = zip(self.mean.state_dict().values(), self.network.state_dict().values(), strict=True)
            for mean, now in pairs:
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, share)
                else:
                    mean.copy_(now)


def fit(
    examples: Sequence[Example],
    settings: LearnSettings,
    *,
    classes: int = 1,
    start: UNet | None = None,
    state_file: Path | None = None,
    save_seconds: float = 20.0,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
    on_point: Callable[[CurvePoint, UNet], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Fitted:
    """Train a network on reviewed masks and on the confident ones of the others.

    Args:
        examples: what there is; doubtful ones are not learnt from at first, and perhaps after the second look.
        settings: how.
        classes: of the labels.
        start: network of an earlier round to go on from; the result lies half way between it and what it became.
        state_file: where the state is kept meanwhile; if it is there and of the same masks and settings, training goes
            on from it, else it is replaced.
        save_seconds: between two states.
        device: where to compute.
        on_step: called with (steps done, steps in all).
        on_point: called with each point of the curve and the averaged network, in evaluation mode.
        cancelled: asked before each step.

    Raises:
        Cancelled: when `cancelled` says so; the state stays.
        UsageError: when there is nothing to learn from.
        CheckpointError: when the state cannot be written.
    """
    device = torch.device(device)
    learnt, watched = choose(examples, settings)
    size = view_size([example.pixels.shape for example in examples], settings)
    run = _Run(settings, classes, device, start)
    key = _key(examples, settings, classes, start)
    if state_file is not None and state_file.is_file() and not _read_state(state_file, run, key):
        run = _Run(settings, classes, device, start)
    active = [_prepared(examples[index], settings) for index in learnt]
    look = round(settings.second_look * settings.steps)
    if run.teacher is not None:
        active = second_look(examples, learnt, watched, run.teacher, settings, device, cancelled)
    every = max(1, settings.steps // POINTS)
    losses: list[float] = []
    started = saved = time.perf_counter()
    precision = best_precision(device)
    while run.step < settings.steps:
        if cancelled is not None and cancelled():
            raise Cancelled
        if run.step == look and run.teacher is None:
            run.teacher = copy.deepcopy(run.mean)
            active = second_look(examples, learnt, watched, run.teacher, settings, device, cancelled)
        losses.append(_step(run, active, size, settings, device, precision))
        run.average(settings.average)
        run.step += 1
        if on_step is not None:
            on_step(run.step, settings.steps)
        if run.step % every == 0 or run.step == settings.steps:
            if not math.isfinite(losses[-1]):
                raise UsageError("The loss is no longer a number. Choose a smaller learning rate.")
            point = CurvePoint(
                run.step,
                float(np.mean(losses)),
                _agreement([examples[index] for index in watched], run.mean, settings, device),
                _agreement([e for e in examples if e.reviewed][:WATCHED], run.mean, settings, device),
                time.perf_counter() - started,
            )
            losses.clear()
            run.points.append(point)
            if on_point is not None:
                on_point(point, run.mean)
            now = time.perf_counter()
            if state_file is not None and (now - saved >= save_seconds or run.step == settings.steps):
                _write_state(state_file, run, key)
                saved = now
    return Fitted(run.mean.eval() if start is None else half_way(start, run.mean), tuple(run.points))


def half_way(first: UNet, second: UNet) -> UNet:
    """Return a network with the means of two networks' weights and statistics, in evaluation mode.

    Trained on a little more, the second draws better what is new and worse what it was sure of; the network between
    them keeps both (Wortsman et al., arXiv 2109.01903).
    """
    between = copy.deepcopy(second).eval()
    others = {name: tensor.to(next(second.parameters()).device) for name, tensor in first.state_dict().items()}
    with torch.no_grad():
        for name, tensor in between.state_dict().items():
            if tensor.dtype.is_floating_point:
                tensor.lerp_(others[name], 0.5)
    return between


def choose(examples: Sequence[Example], settings: LearnSettings) -> tuple[list[int], list[int]]:
    """Return the indices of what is learnt from, reviewed ones first, and of what is watched.

    Raises:
        UsageError: when nothing is reviewed and nothing is confident.
    """
    reviewed = [index for index, example in enumerate(examples) if example.reviewed]
    automatic = [index for index, example in enumerate(examples) if not example.reviewed]
    confident = confident_of(
        {index: examples[index].doubt for index in automatic if examples[index].labels.any()}, settings
    )
    rng = np.random.default_rng(settings.seed)
    aside = min(WATCHED, len(confident) // 10)
    watched = sorted(int(index) for index in rng.permutation(confident)[:aside])
    learnt = reviewed + [index for index in confident if index not in set(watched)]
    if not any(examples[index].labels.any() for index in learnt):
        raise UsageError("There is no confident and no reviewed mask to learn from. Review some masks first.")
    return learnt, watched


def confident_of(doubts: dict[int, float], settings: LearnSettings) -> list[int]:
    """Return the keys of the least doubtful masks that are learnt from, in their own order."""
    order = sorted(doubts, key=lambda index: (doubts[index], index))
    kept = order[: round(settings.confident * len(order))]
    return sorted(index for index in kept if doubts[index] <= settings.most_doubtful)


def second_look(
    examples: Sequence[Example],
    learnt: Sequence[int],
    watched: Sequence[int],
    teacher: UNet,
    settings: LearnSettings,
    device: torch.device,
    cancelled: Callable[[], bool] | None,
) -> list[_Prepared]:
    """Return what is learnt from after the network has drawn the automatic masks anew.

    Reviewed examples stay. Of the others, confident before or not, the network's own least doubtful masks are taken.
    """
    aside = set(watched)
    automatic = [i for i, example in enumerate(examples) if not example.reviewed and i not in aside]
    drawn: dict[int, Outlook] = {}
    pictures = [examples[index].pixels for index in automatic]
    for position, outlook in predict(teacher, pictures, settings.pixels, views=2, device=device, cancelled=cancelled):
        drawn[automatic[position]] = outlook
    doubts = {index: outlook.doubt for index, outlook in drawn.items() if (outlook.region >= 0.5).any()}
    result = [_prepared(examples[index], settings) for index in learnt if examples[index].reviewed]
    for index in confident_of(doubts, settings):
        example = examples[index]
        labels = drawn[index].labels((example.pixels.shape[1], example.pixels.shape[0]), known=example.labels)
        result.append(_prepared(replace(example, labels=labels), settings))
    return result or [_prepared(examples[index], settings) for index in learnt]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An example with the labels that are learnt, `IGNORED` along an automatic outline."""

    pixels: Pixels
    labels: Labels
    reviewed: bool


def _prepared(example: Example, settings: LearnSettings) -> _Prepared:
    labels = example.labels
    radius = round(settings.band * max(labels.shape))
    if not example.reviewed and radius:
        inside = labels > 0
        labels = np.where(grown(inside, radius) & ~shrunk(inside, radius), np.uint8(IGNORED), labels)
    return _Prepared(example.pixels, labels, example.reviewed)


def view_size(shapes: Sequence[tuple[int, ...]], settings: LearnSettings) -> Size:
    """Return (width, height) of views: as many pixels as set, at the pictures' median aspect, multiples of the step."""
    aspect = float(np.median([shape[1] / shape[0] for shape in shapes]))
    return sized(min(2.0, max(0.5, aspect)), settings.pixels, settings.multiple)


def _step(
    run: _Run,
    active: Sequence[_Prepared],
    size: Size,
    settings: LearnSettings,
    device: torch.device,
    precision: torch.dtype,
) -> float:
    rng = np.random.default_rng([settings.seed, run.step])
    rate = learning_rate(settings, run.step)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    chosen = [active[index] for index in _draw(active, settings, rng)]
    seen = [view(example.pixels, example.labels, size, settings.views, rng) for example in chosen]
    pictures = torch.from_numpy(np.stack([values for values, _ in seen])).permute(0, 3, 1, 2).to(device)
    labels = torch.from_numpy(np.stack([known for _, known in seen])).to(device)
    trust = torch.tensor([1.0 if e.reviewed else settings.trust for e in chosen], device=device)
    run.network.train()
    run.optimiser.zero_grad(set_to_none=True)
    with torch.autocast(device.type, torch.bfloat16, precision == torch.bfloat16):
        logits = run.network(pictures)
    loss = mask_loss(logits.float(), labels, trust)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    return float(loss.detach())


def _draw(active: Sequence[_Prepared], settings: LearnSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the indices of a batch; the reviewed have their share, however few they are."""
    reviewed = np.array([example.reviewed for example in active])
    count = int(reviewed.sum())
    natural = count / len(active)
    share = max(natural, settings.reviewed_share * min(1.0, count / FULL_SHARE)) if count < len(active) else 1.0
    odds = np.where(reviewed, share / max(1, count), (1 - share) / max(1, len(active) - count))
    return np.asarray(rng.choice(len(active), settings.batch_size, p=odds / odds.sum()), np.int64)


def learning_rate(settings: LearnSettings, step: int) -> float:
    """Return the rate of `step` (from 0); see `LearnSettings.learning_rate`."""
    rise = max(1, round(0.1 * settings.steps))
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, settings.steps - rise)))


def _agreement(
    examples: Sequence[Example], network: UNet, settings: LearnSettings, device: torch.device
) -> float | None:
    """Return the mean overlap of the network's masks with those of `examples`, or None without any."""
    if not examples:
        return None
    overlaps = []
    pictures = [example.pixels for example in examples]
    for index, outlook in predict(network, pictures, settings.pixels, views=1, device=device):
        inside = examples[index].labels > 0
        region = cv2.resize(outlook.region, (inside.shape[1], inside.shape[0]), interpolation=cv2.INTER_LINEAR) >= 0.5
        either = int((inside | region).sum())
        overlaps.append(int((inside & region).sum()) / either if either else 1.0)
    return float(np.mean(overlaps))


# --- state ------------------------------------------------------------------------------------------------------------


def _write_state(path: Path, run: _Run, key: str) -> None:
    tensors: dict[str, Tensor] = {}
    parts = {"network": run.network, "mean": run.mean, "teacher": run.teacher}
    for part, network in parts.items():
        if network is not None:
            tensors.update({f"{part}.{name}": tensor for name, tensor in network.state_dict().items()})
    for number, values in run.optimiser.state_dict()["state"].items():
        tensors.update({f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in values.items()})
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    said = {"key": key, "step": str(run.step), "points": json.dumps([point.to_json() for point in run.points])}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        save_file(tensors, temporary, metadata=said)
        Path(temporary).replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The state of the training cannot be written to {path.parent}: {error}. Nothing written before is lost.",
            details=repr(error),
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _read_state(path: Path, run: _Run, key: str) -> bool:
    """Go on from a state; return whether that was possible, else `run` is not to be used any more."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            said = file.metadata() or {}
            if said["key"] != key:
                log.info("%s is of other masks or settings: the training starts anew", path.name)
                return False
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        points = [CurvePoint.from_json(values) for values in json.loads(said["points"])]
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        run.network.load_state_dict(parts["network"])
        run.mean.load_state_dict(parts["mean"])
        if "teacher" in parts:
            run.teacher = copy.deepcopy(run.mean)
            run.teacher.load_state_dict(parts["teacher"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimiser"].items():
            number, _, field = name.partition(".")
            state.setdefault(int(number), {})[field] = tensor
        run.optimiser.load_state_dict({**run.optimiser.state_dict(), "state": state})
        run.step, run.points = int(said["step"]), points
    except Exception as error:  # whatever a damaged file makes the readers raise
        log.warning("%s cannot be read, the training starts anew: %r", path.name, error)
        return False
    return True


def _key(examples: Sequence[Example], settings: LearnSettings, classes: int, start: UNet | None) -> str:
    """Return what must be equal for a training to go on: settings, labels, pictures, and the network it began with."""
    digest = hashlib.sha256(f"{settings.fingerprint()} {classes}".encode())
    for example in examples:
        digest.update(f"{example.reviewed} {example.doubt!r} {example.pixels.shape}".encode())
        digest.update(np.ascontiguousarray(example.labels))
        digest.update(np.ascontiguousarray(example.pixels))
    for tensor in start.state_dict().values() if start is not None else ():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
