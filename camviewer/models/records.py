"""What the rest of the program knows about a network, without torch: identity, preprocessing, layers, scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from camviewer.images.geometry import CellPositions, ResizeMode, Size

Fit = Literal["suggested", "usable", "unusable"]
HeadKind = Literal["gap_linear", "gmp_linear", "conv_gap", "none"]
Activation = Literal["softmax", "sigmoid"]
Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From upright RGB bytes to the network's input.

    Attributes:
        input_size: (width, height) of the input; ignored by the resize mode ``native``.
        resize_mode: see `camviewer.images.geometry.plan_input`.
        resize_size: shorter side before the centre crop of ``model``.
        interpolation: Pillow's filter, antialiased, as torchvision's transforms use on Pillow images.
        mean, std: per channel, on values in [0, 1].
        channels: 3 (RGB), 1 (grey by ITU-R 601) or 4 (RGB and an opaque alpha).
    """

    input_size: Size = (224, 224)
    resize_mode: ResizeMode = "squash"
    resize_size: int | None = None
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channels: int = 3


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Which network to load, and how.

    Attributes:
        model: architecture, ``timm:NAME``, or the path of a Python file with ``build()``; None to infer it from the
            weights.
        weights: file, or ``torchvision:NAME`` for published weights; None for those in the local cache, else random.
        labels: file of class names (text, CSV, JSON); None for the names beside or inside the weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``exact`` (float32, no TF32) or ``fast``.
        input_size: side of the square input; None for the model's own.
        resize_mode: see `camviewer.images.geometry.plan_input`.
        mean, std: per channel, on values in [0, 1]; None for the model's own.
        trust_code: whether a Python file named as the model may run.
        seed: of random weights.
        allow_download: whether published weights may be fetched from the network.
    """

    model: str | None = None
    weights: Path | str | None = None
    labels: Path | None = None
    device: str = "auto"
    precision: str = "exact"
    input_size: int | None = None
    resize_mode: ResizeMode = "squash"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    trust_code: bool = False
    seed: int = 0
    allow_download: bool = False


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which network computed a result.

    Attributes:
        architecture: registry name, or the path's file name for a user's own network.
        weights: file name, ``torchvision:NAME`` or ``random``.
        weights_sha256: of the file; empty for random weights.
        classes: names by index of the logits.
        activation: what turns logits into probabilities.
    """

    architecture: str
    weights: str
    weights_sha256: str
    classes: tuple[str, ...]
    activation: Activation = "softmax"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one image."""

    index: int
    name: str
    logit: float
    probability: float


@dataclass(frozen=True, slots=True)
class Layer:
    """One module call in the layer tree.

    Attributes:
        name: dotted path; a further call of a shared module is ``relu#2``.
        type: class name.
        depth: nesting, 0 for the top.
        calls: how often the module ran in one forward pass; 0 means never.
        output_shape: without the batch axis, in channels-first order; empty if it is no tensor.
        positions: where cells lie, when the layer has a spatial map and its path is known.
        receptive_field: side in input pixels, or None when unknown.
        parameters: number of parameters, children included.
        seconds: time of one call in the probing pass, or None when not measured.
        fit: whether a map can be made here.
        reason: why it is suggested or cannot be used, in words.
    """

    name: str
    type: str
    depth: int
    calls: int
    output_shape: tuple[int, ...]
    positions: CellPositions | None
    receptive_field: int | None
    parameters: int
    seconds: float | None
    fit: Fit
    reason: str


@dataclass(frozen=True, slots=True)
class HeadSummary:
    """How the network ends, and whether CAM is defined.

    Attributes:
        kind: recognised structure.
        layer: name of the layer that enters the pooling, as shown (``features (+ReLU)``); empty for ``none``.
        reason: why CAM is refused; empty when it is offered.
    """

    kind: HeadKind
    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Immutable snapshot of a loaded network, for panels and the command line.

    Attributes:
        layers: the module tree in depth-first order.
        suggested: name of the layer that maps are made of by default.
        warnings: sentences the user should see (random weights, class names missing, ...).
    """

    identity: ModelIdentity
    preprocessing: Preprocessing
    head: HeadSummary
    layers: tuple[Layer, ...]
    suggested: str
    parameters: int
    device: str
    device_name: str
    warnings: tuple[str, ...] = field(default=())
