"""Small networks of every kind that a tap has to cope with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import Explanation, MapRequest
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing

CLASSES = 5


class Small(nn.Module):
    """Two convolutions, a ReLU that is used twice, pooling (`pool`: mean, max or flat) and a linear layer."""

    def __init__(self, *, inplace: bool = False, pool: str = "mean", classes: int = CLASSES) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, classes)
        self.hidden = nn.Linear(8, 8) if pool == "deep" else nn.Identity()
        self.pool = pool

    def features(self, x: Tensor) -> Tensor:
        return self.relu(self.third(self.relu(self.second(self.first(x)))))

    def forward(self, x: Tensor) -> Tensor:
        a = self.features(x)
        pooled = a.amax((2, 3)) if self.pool == "max" else a.mean((2, 3))
        return self.fc(torch.tanh(self.hidden(pooled)) if self.pool == "deep" else pooled)


def seeded(make: object, *, seed: int = 0, gain: float = 2.0) -> nn.Module:
    """Return ``make()`` with weights drawn from `seed`, large enough that logits differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()  # type: ignore[operator]
        for parameter in network.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=gain / parameter[0].numel() ** 0.5)
            else:
                nn.init.normal_(parameter, std=0.2)
    return network.eval()


def classifier(network: nn.Module, *, size: tuple[int, int] = (32, 32), activation: str = "softmax") -> Classifier:
    identity = ModelIdentity("toy", "random", "", (), activation)  # type: ignore[arg-type]
    return Classifier(network, identity=identity, preprocessing=Preprocessing(input_size=size))


def explain(network: nn.Module, pixels: np.ndarray, **request: object) -> Explanation:
    return Explainer(classifier(network)).explain(pixels, MapRequest(**request))  # type: ignore[arg-type]


def values(found: Explanation) -> np.ndarray:
    """Return all maps of one grid, ``[n, h, w]``."""
    return np.stack([m.values for m in found.maps])
