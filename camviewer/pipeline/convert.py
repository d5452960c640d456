"""Giving a network the end that class activation maps need, and writing it as a checkpoint of its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from camviewer.catalogue.architectures import BY_NAME
from camviewer.errors import ModelError
from camviewer.images.geometry import Size
from camviewer.models.checkpoint import ModelInfo, read_checkpoint, save_checkpoint
from camviewer.models.classifier import Classifier
from camviewer.models.converted import Converted, convert, pooling
from camviewer.models.heads import Head
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest

TOLERANCE = 1e-3
"""Of the logits' deviation: how far the kept linear layer may be from the network's own scores."""


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """Which network, and which end.

    Attributes:
        load: the network.
        out: checkpoint to write (safetensors).
        head: ``gap`` (mean) or ``gmp`` (maximum) before the linear layer.
        finer: how many of the last halvings of the resolution are undone.
        classes: names; the network's own when empty.
    """

    load: LoadRequest
    out: Path
    head: Literal["gap", "gmp"] = "gap"
    finer: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """What was written.

    Attributes:
        path: the checkpoint.
        layer: that enters the pooling.
        before, after: (columns, rows) of the last map, (0, 0) where there was none.
        kept_classes: whether the linear layer kept its weights; else it is random and has to be trained.
        note: what that means, one sentence.
    """

    path: Path
    layer: str
    before: tuple[int, int]
    after: tuple[int, int]
    kept_classes: bool
    note: str


def convert_checkpoint(request: ConvertRequest) -> ConvertReport:
    """Convert the network and write it.

    What lies up to the last convolution keeps its weights. A network that already ends in global pooling and one
    linear layer keeps that layer too, as long as its classes stay; with the other pooling its scores then change, and
    training goes on from a better start than chance.

    Raises:
        ModelError: when the network cannot have such an end.
        CheckpointError: when the weights cannot be read or the file cannot be written.
    """
    classifier = load_classifier(replace(request.load, device="cpu"))
    name = classifier.identity.architecture
    if name not in BY_NAME:
        raise ModelError("Only torchvision's architectures and camviewer's own can be converted.")
    before, head = _cells(classifier), classifier.head
    classes = request.classes or classifier.identity.classes
    prepared = classifier.preprocessing
    # Asked before the conversion, which takes the old network apart.
    kept = classes == classifier.identity.classes and _fits(classifier, prepared.input_size)
    network, options = _converted(classifier, request, len(classes))
    kept = kept and _copy_linear(network, head)
    info = ModelInfo(
        arch=name,
        head=request.head,
        classes=classes,
        mean=prepared.mean,
        std=prepared.std,
        input_size=prepared.input_size,
        interpolation=prepared.interpolation,
        activation=classifier.identity.activation,
        transform_input=True if getattr(network, "transform_input", False) else None,
        channels=prepared.channels,
        options=options,
    )
    save_checkpoint(request.out, network, info=info)
    written = load_classifier(LoadRequest(weights=request.out, device="cpu"))
    return ConvertReport(request.out, written.head.layer, before, _cells(written), kept, _note(request, head, kept))


def _converted(classifier: Classifier, request: ConvertRequest, outputs: int) -> tuple[nn.Module, dict[str, object]]:
    network, spec = classifier.network, BY_NAME[classifier.identity.architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.load.seed)
        if isinstance(network, Converted) or spec.own:
            if request.finer:
                raise ModelError(f"{spec.title} cannot be made finer here. Convert the original network.")
            options = _options(request.load.weights)
            _replace(network, request.head, outputs)
            return network, options
        channels = classifier.preprocessing.channels
        made = convert(
            network,
            outputs,
            head=request.head,
            finer=request.finer,
            input_size=classifier.preprocessing.input_size,
            channels=channels,
        )
    return made, {"converted": True, "finer": request.finer}


def _options(weights: Path | str | None) -> dict[str, object]:
    """Return the builder's options of a network that was saved by this program."""
    return dict(read_checkpoint(weights).info.options) if isinstance(weights, Path) else {}


def _replace(network: nn.Module, head: Literal["gap", "gmp"], outputs: int) -> None:
    """Exchange ``pool``, and ``fc`` where the number of classes changes; camnet and converted networks have both."""
    network.pool = pooling(head)
    linear = network.fc
    if isinstance(linear, nn.Linear) and linear.out_features != outputs:
        network.fc = nn.Linear(linear.in_features, outputs)


def _fits(classifier: Classifier, size: Size) -> bool:
    """Return whether the old linear layer, behind the old pooling of the new features, gives the old scores."""
    head = classifier.head
    if head.kind not in ("gap_linear", "gmp_linear") or head.weight is None:
        return False
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(2, classifier.preprocessing.channels, size[1], size[0], generator=generator)
    with torch.no_grad():
        old = classifier.logits(picture)
        network = copy.deepcopy(classifier.network)
        if not hasattr(network, "fc") or not hasattr(network, "pool"):
            network = convert(network, len(old[0]), input_size=size, channels=classifier.preprocessing.channels)
        network.pool = pooling("gap" if head.kind == "gap_linear" else "gmp")
        return _copy_linear(network, head) and bool(
            (network.eval()(picture) - old).abs().max() <= TOLERANCE * max(float(old.std()), 1e-6)
        )


def _copy_linear(network: nn.Module, head: Head) -> bool:
    """Put the weights of `head` into ``fc``; return whether they have its shape."""
    linear = network.fc
    if not isinstance(linear, nn.Linear) or head.weight is None or head.weight.shape != linear.weight.shape:
        return False
    with torch.no_grad():
        linear.weight.copy_(head.weight)
        if linear.bias is not None and head.bias is not None:
            linear.bias.copy_(head.bias)
    return True


def _cells(classifier: Classifier) -> tuple[int, int]:
    if not classifier.suggested:
        return 0, 0
    for layer in classifier.summary().layers:
        if layer.name == classifier.suggested and len(layer.output_shape) >= 3:
            return layer.output_shape[2], layer.output_shape[1]
    return 0, 0


def _note(request: ConvertRequest, head: Head, kept: bool) -> str:
    title = request.head.upper()
    if not kept:
        return "The linear layer is new and random: train the network before its classes mean anything."
    if head.kind == f"{request.head}_linear":
        return "The linear layer kept its weights; at the same resolution the scores are those of the original."
    was = "mean" if head.kind == "gap_linear" else "maximum"
    return (
        f"The linear layer was trained on the {was} of each channel. {title} scores of it are another network's: "
        "train it before they are compared."
    )
