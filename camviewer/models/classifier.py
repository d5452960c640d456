"""A loaded network with everything that gives its outputs a meaning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camviewer.errors import LayerError, ModelError
from camviewer.images.geometry import CellPositions, InputPlan, Size
from camviewer.models import preprocessing as prepare_module
from camviewer.models.heads import Head, recognise_head
from camviewer.models.layers import judge, layer_tree, measure_seconds, suggest
from camviewer.models.layout import Layout
from camviewer.models.outputs import pick_logits
from camviewer.models.positions import positions_of
from camviewer.models.records import ModelIdentity, ModelSummary, Preprocessing
from camviewer.models.trace import Trace, trace

_KEPT_TRACES = 8


@dataclass(frozen=True, slots=True)
class Tap:
    """A layer that maps can be made of.

    Attributes:
        name: as given, ``relu#2`` for a further call.
        path: dotted path of the module.
        call: which call of the module in one pass, from 0.
        layout: how its output holds the cells.
        channels: units of the layer.
        positions: where the cells lie in the network's input, or None when the path is not known.
    """

    name: str
    path: str
    call: int
    layout: Layout
    channels: int
    positions: CellPositions | None


class Classifier:
    """A network in evaluation mode, frozen, on its device, with classes and preprocessing.

    Attributes:
        network: the module; `DataParallel` is unwrapped.
        identity: which network this is.
        preprocessing: from image bytes to its input.
        head: how it ends.
        device: where it computes.
        warnings: sentences the user should see.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        identity: ModelIdentity,
        preprocessing: Preprocessing,
        device: torch.device | str = "cpu",
        warnings: Sequence[str] = (),
    ) -> None:
        """Freeze `network`, move it to `device` and look at one pass of it.

        Raises:
            ModelError: when it does not run on its input size or gives no class scores.
        """
        while isinstance(network, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            network = network.module
        self.device = torch.device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.identity = identity
        self.preprocessing = preprocessing
        self.warnings = tuple(warnings)
        self._traces: OrderedDict[Size, Trace] = OrderedDict()
        traced = self.traced()
        if traced.logits is None:
            raise ModelError("The network gives no class scores: its output holds no tensor [images, classes].")
        outputs = traced.logits.shape[1]
        if not identity.classes:
            self.identity = replace(identity, classes=tuple(f"class {i}" for i in range(outputs)))
        elif len(identity.classes) != outputs:
            raise ModelError(f"The network has {outputs} outputs, but {len(identity.classes)} classes are named.")
        self.head: Head = recognise_head(self.network, traced, channels=preprocessing.channels)
        self._seconds: dict[str, float] = {}

    def prepare(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, InputPlan]:
        """Return the input ``[1, C, h, w]`` (float32, CPU) of upright RGB `pixels`, and how it was made."""
        return prepare_module.prepare(pixels, self.preprocessing)

    def logits(self, batch: Tensor) -> Tensor:
        """Return the class scores ``[N, C]`` of inputs ``[N, C, h, w]``, on the classifier's device.

        Gradients follow the caller's grad mode.

        Raises:
            ModelError: when the network refuses the input's size.
        """
        try:
            output = self.network(batch.to(self.device))
        except (RuntimeError, AssertionError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise self._refused((int(batch.shape[-1]), int(batch.shape[-2])), error) from error
        logits = pick_logits(output)
        if logits is None:
            raise ModelError("The network gives no class scores: its output holds no tensor [images, classes].")
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities of the same shape: softmax over the classes, or a sigmoid for each."""
        values = logits.float()
        return values.sigmoid() if self.identity.activation == "sigmoid" else values.softmax(-1)

    def traced(self, input_size: Size | None = None) -> Trace:
        """Return what a pass of (width, height) does; kept for the sizes used last.

        Raises:
            ModelError: when the network refuses the size.
        """
        size = input_size or self.preprocessing.input_size
        if size in self._traces:
            self._traces.move_to_end(size)
            return self._traces[size]
        try:
            found = trace(self.network, input_size=size, channels=self.preprocessing.channels)
        except Exception as error:
            raise self._refused(size, error) from error
        self._traces[size] = found
        while len(self._traces) > _KEPT_TRACES:
            self._traces.popitem(last=False)
        return found

    def tap(self, name: str = "", *, input_size: Size | None = None) -> Tap:
        """Return how to read the layer `name` (the suggested one when empty) for an input of (width, height).

        Raises:
            LayerError: when there is no such layer, or it has no spatial map; the message says why.
        """
        traced = self.traced(input_size)
        name = name or self.suggested
        for call in traced.calls:
            if call.name == name:
                break
        else:
            if name.partition("#")[0] in dict(self.network.named_modules()):
                raise LayerError(f"{name} cannot be used. It does not run in a forward pass.")
            raise LayerError(f"There is no layer {name!r}. camviewer-cli layers lists them.")
        fit, reason, layout = judge(call.node)
        if fit == "unusable" or call.node is None or layout is None:
            raise LayerError(f"{name} cannot be used. {reason}")
        channels = call.node.shape[-1 if layout.kind in ("nhwc", "tokens") else 1]
        return Tap(name, call.path, call.index, layout, channels, positions_of(call.node))

    @cached_property
    def suggested(self) -> str:
        """Name of the layer that maps are made of by default; empty if no layer has a map."""
        return suggest(self.network, self.traced(), self.head)

    def summary(self, *, measure: bool = False) -> ModelSummary:
        """Return everything a panel shows, without the network.

        Args:
            measure: whether to take the layers' times by two more passes; once taken they stay.
        """
        if measure and not self._seconds:
            width, height = self.preprocessing.input_size
            kind = next((p.dtype for p in self.network.parameters() if p.is_floating_point()), torch.float32)
            image = torch.zeros(1, self.preprocessing.channels, height, width, device=self.device, dtype=kind)
            self._seconds = measure_seconds(self.network, image)
        suggested = self.suggested
        return ModelSummary(
            identity=self.identity,
            preprocessing=self.preprocessing,
            head=self.head.summary(),
            layers=layer_tree(self.network, self.traced(), suggested=suggested, seconds=self._seconds),
            suggested=suggested,
            parameters=sum(p.numel() for p in self.network.parameters()),
            device=str(self.device),
            device_name=device_name(self.device),
            warnings=self.warnings,
        )

    def _refused(self, size: Size, error: Exception) -> ModelError:
        text = str(error).strip().splitlines()
        return ModelError(
            f"{self.identity.architecture} cannot take an input of {size[0]} x {size[1]} pixels. "
            f"Use its own size, {self.preprocessing.input_size[0]} x {self.preprocessing.input_size[1]}, "
            "with the resize mode squash."
            if size != self.preprocessing.input_size
            else f"{self.identity.architecture} cannot run on an input of {size[0]} x {size[1]} pixels: "
            f"{text[0] if text else type(error).__name__}.",
            details=repr(error),
        )


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; ``auto`` is CUDA, MPS or the CPU, the first that is there.

    Raises:
        ModelError: when the device is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device {name!r}. Use auto, cpu, cuda or mps.", details=str(error)) from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        raise ModelError(f"This machine has no device {name!r}. Use auto or cpu.")
    return device


def device_name(device: torch.device) -> str:
    """Return the device as its maker calls it, ``CPU`` for the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def set_precision(precision: str) -> None:
    """Set what float32 means on CUDA: ``exact`` has TF32 and cuDNN benchmarking off."""
    exact = precision == "exact"
    torch.backends.cuda.matmul.allow_tf32 = not exact
    torch.backends.cudnn.allow_tf32 = not exact
    torch.backends.cudnn.benchmark = not exact
