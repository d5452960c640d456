"""A network under a new class layer: the same features, other classes, saved as an ordinary checkpoint.

A network that ends in global pooling and one linear layer keeps everything up to that layer. Any other convolutional
one is first given that end (`camviewer.models.converted`), so that class activation maps of the new classes are exact.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from camviewer.catalogue.architectures import BY_NAME
from camviewer.errors import ModelError
from camviewer.models.checkpoint import ModelInfo, read_checkpoint, save_checkpoint
from camviewer.models.classifier import Classifier
from camviewer.models.converted import convert
from camviewer.models.heads import Head
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.models.user_network import merged, read_sidecar

Floats = NDArray[np.float32]


class OpenNetwork:
    """A network whose class layer can be exchanged. Not thread-safe: one thread owns it.

    Attributes:
        classifier: with the class layer of now; a new object after each `set_classes`.
        base: SHA-256 of the weights it was loaded from; for random weights a name.
    """

    def __init__(self, request: LoadRequest) -> None:
        """Load the network.

        Raises:
            CheckpointError, ModelError: when it cannot be loaded, or has no place for a new class layer.
        """
        loaded = load_classifier(request)
        self.base = loaded.identity.weights_sha256 or f"{loaded.identity.architecture}-seed-{request.seed}"
        self._name = loaded.identity.weights
        self._info = file_info(request)
        self.classifier = _with_pooling_head(loaded)
        if loaded.head.kind != self.classifier.head.kind:
            self._info = replace(self._info, head="gap", options={"converted": True, "finer": 0})
        elif self.classifier.identity.architecture.endswith(".py"):
            raise ModelError(
                "A network from a Python file cannot be saved with new classes. Open a network that is known by name."
            )

    @property
    def head(self) -> Head:
        """How the network ends: ``gap_linear`` or ``gmp_linear``."""
        return self.classifier.head

    @property
    def width(self) -> int:
        """Features that enter the class layer."""
        assert self.head.weight is not None
        return int(self.head.weight.shape[1])

    def set_classes(self, classes: tuple[str, ...], weight: Floats, bias: Floats) -> Classifier:
        """Exchange the class layer and return the classifier.

        Args:
            classes: a name for each logit.
            weight: ``[C, K]`` on pooled features as they are, with no standardisation left to do.
            bias: ``[C]``.
        """
        old = self.classifier
        with torch.no_grad():
            layer = nn.Linear(self.width, len(classes))
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
        parent, _, name = self.head.class_layer.rpartition(".")
        setattr(old.network.get_submodule(parent), name, layer)
        digest = hashlib.sha256("\0".join((self.base, *classes)).encode())
        digest.update(weight.tobytes() + bias.tobytes())
        identity = replace(
            old.identity,
            weights=f"new classes on {self._name}",
            weights_sha256=digest.hexdigest(),
            classes=classes,
            activation="softmax",
        )
        if len(classes) == len(old.identity.classes):
            # The same shapes, so what a pass does and where cells lie stay known.
            moved = layer.to(old.device).requires_grad_(False)
            old.head = replace(old.head, weight=moved.weight.detach(), bias=moved.bias.detach())
            old.identity = identity
        else:
            self.classifier = Classifier(
                old.network, identity=identity, preprocessing=old.preprocessing, device=old.device
            )
        return self.classifier

    def save(self, path: Path, *, extra: dict[str, str] | None = None) -> None:
        """Write the network with its class layer of now as a checkpoint that loads like any other.

        Args:
            path: of the safetensors file.
            extra: further metadata.

        Raises:
            CheckpointError: when the file cannot be written.
        """
        info = checkpoint_info(self.classifier, self._info)
        save_checkpoint(path, self.classifier.network, info=info, extra=extra)


def checkpoint_info(classifier: Classifier, base: ModelInfo) -> ModelInfo:
    """Return what a checkpoint of a loaded network says about itself.

    Args:
        classifier: as it is to be loaded again.
        base: of the file that it came from, see `file_info`.
    """
    prepared, head = classifier.preprocessing, classifier.head
    transform_input = getattr(classifier.network, "transform_input", None)
    return replace(
        base,
        arch=classifier.identity.architecture,
        head="gmp" if head.kind == "gmp_linear" else "gap" if base.head else None,
        classes=classifier.identity.classes,
        mean=prepared.mean,
        std=prepared.std,
        input_size=prepared.input_size,
        interpolation=prepared.interpolation,
        activation=classifier.identity.activation,
        transform_input=transform_input if isinstance(transform_input, bool) else None,
        channels=prepared.channels,
    )


def file_info(request: LoadRequest) -> ModelInfo:
    """Return what the weights file says beside the weights; nothing for networks that come from none."""
    source = request.weights
    if source is None and request.model is not None and Path(request.model).is_file():
        source = Path(request.model)
    if source is None or str(source).startswith("torchvision:"):
        return ModelInfo()
    checkpoint = read_checkpoint(Path(source))
    return merged(checkpoint.info, read_sidecar(checkpoint.path))


def _with_pooling_head(loaded: Classifier) -> Classifier:
    if loaded.head.kind in ("gap_linear", "gmp_linear"):
        return loaded
    spec = BY_NAME.get(loaded.identity.architecture)
    if spec is None or spec.own:
        raise ModelError(f"{loaded.identity.architecture} cannot take new classes. {loaded.head.reason}")
    network = convert(
        loaded.network.cpu(),
        len(loaded.identity.classes),
        head="gap",
        input_size=(spec.input_size, spec.input_size),
        channels=loaded.preprocessing.channels,
    )
    return Classifier(
        network, identity=loaded.identity, preprocessing=loaded.preprocessing, device=loaded.device, warnings=()
    )
