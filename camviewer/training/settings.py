"""What a training is asked to do, and what it reports; no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from camviewer.catalogue.architectures import ArchitectureSpec
from camviewer.errors import UsageError
from camviewer.images.geometry import Size

Scope = Literal["all", "head"]
Weighting = Literal["balanced", "sqrt", "none"]
Schedule = Literal["one_cycle", "constant"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may happen to a picture.

    Attributes:
        flips: mirror left-right and top-bottom, each half the time.
        turns: exchange the axes, half the time; for square inputs.
        crop: smallest share of each side that a random crop keeps; 1 for none. The crop is stretched to the full size.
        colour: deviation of a factor on each channel.
        brightness: deviation of a factor on all channels.
        hide: chance that a random square is hidden, so that the network learns all parts of an object (Singh and Lee,
            Hide-and-Seek, arXiv 1704.04232; DeVries and Taylor, Cutout, arXiv 1708.04552).
        hide_side: side of that square, share of the input.
    """

    flips: bool = True
    turns: bool = True
    crop: float = 0.8
    colour: float = 0.06
    brightness: float = 0.12
    hide: float = 0.3
    hide_side: float = 0.25


PLAIN = Augmentation(flips=False, turns=False, crop=1.0, colour=0.0, brightness=0.0, hide=0.0)
"""Pictures as they are."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train.

    Attributes:
        arch: architecture by name.
        head: ``gap`` or ``gmp`` before the linear layer.
        options: further arguments of the architecture.
        epochs, batch_size: passes over the training pictures, and pictures in a step.
        learning_rate: highest rate; ``one_cycle`` rises to it over the first fifth of the steps and falls to zero along
            a cosine (Smith and Topin, arXiv 1708.07120), ``constant`` stays.
        weight_decay: of AdamW (Loshchilov and Hutter, arXiv 1711.05101); biases and norms are exempt.
        scope: train ``all`` weights or only the ``head``, the linear layer.
        class_weights: of the loss: ``balanced`` (inverse frequency), ``sqrt`` (its root) or ``none``.
        label_smoothing: share of the target spread over all classes.
        input_size: (width, height) that pictures are squashed to.
        mean, std: per channel, on values in 0..1.
        augmentation: random changes of training pictures.
        background: pictures of what surrounds the objects, as a share of the training pictures, made from their corners
            (`camviewer.training.augment.surroundings`). They belong to no class: in the loss they stand for one more,
            whose score is 0 everywhere, so that scores and maps are evidence against the ground. Where every class is
            an object on the same ground, nothing else tells a network that the ground speaks for none of them, and its
            maps point beside the object. For pictures whose corners are mostly ground; 0 for none.
        mosaics: pictures joined two by two from those of the batch and shown beside them, as a share of the batch; each
            class has to be recognised in its own tile (`camviewer.training.mosaics`), so that maps tell where a class
            is and not only that it is there. 0 for none.
        patience: epochs without a better validation before stopping early; 0 for never.
        save_every: epochs between kept checkpoints; 0 keeps the best and the last alone.
        mixed_precision: bfloat16 where the device has instructions for it (`camviewer.training.precision`).
        seed: of weights, order and changes; the same seed on the same CPU and thread count gives the same weights.
    """

    arch: str = "camnet"
    head: Literal["gap", "gmp"] = "gap"
    options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: Schedule = "one_cycle"
    weight_decay: float = 1e-3
    scope: Scope = "all"
    class_weights: Weighting = "balanced"
    label_smoothing: float = 0.0
    input_size: Size = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    augmentation: Augmentation = field(default_factory=Augmentation)
    background: float = 0.0
    mosaics: float = 0.0
    patience: int = 0
    save_every: int = 0
    mixed_precision: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError("Training needs at least one epoch and batches of at least two images.")
        if not 0 < self.learning_rate < 10 or self.weight_decay < 0:
            raise UsageError("The learning rate must lie between 0 and 10, and the weight decay must not be negative.")
        if not (0 <= self.background <= 1 and 0 <= self.mosaics <= 1):
            raise UsageError("The shares of background pictures and of mosaics must lie between 0 and 1.")
        if self.save_every < 0 or self.patience < 0:
            raise UsageError("Epochs between checkpoints and patience must not be negative.")

    def fingerprint(self) -> str:
        """Return what must be equal for a training to be continued."""
        return json.dumps(asdict(replace(self, save_every=0)), sort_keys=True)


def usual_rate(learnt: bool) -> float:
    """Return the highest learning rate where none is asked for: less for a network that has `learnt` before."""
    return 5e-4 if learnt else 1e-3


def new_options(spec: ArchitectureSpec, finer: int = 0) -> dict[str, Any]:
    """Return the options of a network that is trained from random weights.

    Args:
        spec: which one. Our own sees wider context than the demo's: objects are told apart by more than their texture.
        finer: halvings of the resolution that are undone; 0 for our own.
    """
    if spec.own:
        return {"kernel": 3, "dropout": 0.2}
    return {"finer": finer} if finer else {}


@dataclass(frozen=True, slots=True, eq=False)
class EpochReport:
    """How a training stands after an epoch.

    Attributes:
        epoch: from 1.
        loss: mean over the training pictures as they were shown, with their changes.
        accuracy: of the same.
        validation_loss: weighted as the training loss; None without validation pictures.
        confusion: of the validation pictures, rows the true class.
        validation_accuracy, balanced_accuracy: from `confusion`.
        seconds: of the epoch.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    balanced_accuracy: float | None
    confusion: NDArray[np.int64] | None
    learning_rate: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["confusion"] = None if self.confusion is None else self.confusion.tolist()
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> EpochReport:
        """Return the report that `to_json` wrote."""
        confusion = values["confusion"]
        known = {item.name: values[item.name] for item in fields(cls)}
        known["confusion"] = None if confusion is None else np.array(confusion, np.int64)
        return cls(**known)
