"""What is on its way through the engine: an image, and one method at one layer of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from camviewer.cam.capture import Capture
from camviewer.cam.layers import LayerView
from camviewer.cam.requests import MapRequest, select_classes
from camviewer.cam.targets import Target, finer_target, make_targets
from camviewer.catalogue.parameters import Value
from camviewer.project.records import ActivationMap

Progress = Callable[[int, int], None]
Partial = Callable[[ActivationMap], None]
Check = Callable[[], bool]
Settings = dict[str, Value]
How = Literal["as is", "scaled"] | tuple[int, ...]
"""How a view was made of the input; numbers are the axes of ``[C, H, W]`` it is mirrored along."""


@dataclass(slots=True)
class Listeners:
    """Who is told how far the passes are, and asked whether to go on."""

    progress: Progress | None = None
    partial: Partial | None = None
    cancelled: Check | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One image on its way: its views, and what is explained once its logits are known.

    Attributes:
        ranked: all class indices, best first.
        classes: of `ranked`, a map each.
    """

    base: Capture
    key: Hashable
    views: list[tuple[Capture, How]] = field(default_factory=list)
    ranked: list[int] = field(default_factory=list)
    classes: tuple[int, ...] = ()
    targets: dict[str, Sequence[Target]] = field(default_factory=dict)
    seconds: float = 0.0

    def settle(self, logits: Tensor, request: MapRequest, parameters: dict[str, Settings]) -> None:
        """Fix classes and targets from the logits of the image as it is; further views take the same."""
        if self.classes:
            return
        self.ranked = ranking(logits)
        self.classes = select_classes(request.classes, self.ranked)
        for name in request.methods:
            if name == "finercam":
                similar, gamma = int(parameters[name]["similar"]), float(parameters[name]["gamma"])
                self.targets[name] = [
                    finer_target(c, request.target, logits, similar=similar, gamma=gamma) for c in self.classes
                ]
            else:
                self.targets[name] = make_targets(self.classes, request.target)


def ranking(logits: Tensor) -> list[int]:
    """Return class indices, best first; equal scores keep the order of the classes."""
    order: list[int] = torch.argsort(logits.cpu(), descending=True, stable=True).tolist()
    return order


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One method at one layer of one view of an image.

    Attributes:
        capture: of the view.
        method: identifier.
        view: the layer.
        classes: indices of logits, a map each.
        targets: what is explained for each class.
        request: the whole of it.
        settings: the method's parameters, complete.
        listeners: of the request.
        flags: notes on each class's map; added to.
    """

    capture: Capture
    method: str
    view: LayerView
    classes: tuple[int, ...]
    targets: Sequence[Target]
    request: MapRequest
    settings: Settings
    listeners: Listeners
    flags: list[set[str]]
