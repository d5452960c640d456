"""Heads of networks as people write them: further outputs, other inputs, wrappers; maps against float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cam_reference as ref
import numpy as np
import pytest
import torch
from cam_toys import CLASSES, classifier, seeded
from probe import draw_pixels
from torch import Tensor, nn

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing

PIXELS = draw_pixels(4, width=40, height=32)
GRADIENTS = {
    "gradcam": ref.grad_cam,
    "gradcampp": ref.grad_cam_pp,
    "hirescam": ref.hires_cam,
    "layercam": ref.layer_cam,
    "xgradcam": ref.x_grad_cam,
}


@dataclass
class Result:
    """As `transformers` returns it."""

    loss: Tensor
    logits: Tensor


class Wrapped(nn.Module):
    """GAP and a linear layer, and whatever `output` makes of (logits, map, input, network)."""

    def __init__(self, output: Callable[..., Any], *, channels: int = 3, classes: int = CLASSES) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.beside = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, classes)
        self.auxiliary = nn.Linear(8, classes)
        self.output = output

    def features(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(x))))

    def forward(self, x: Tensor) -> Any:
        a = self.features(x)
        return self.output(self.fc(a.mean((2, 3))), a, x, self)


def plain(logits: Tensor, *_: Any) -> Tensor:
    return logits


def auxiliary(a: Tensor, net: Wrapped) -> Tensor:
    return net.auxiliary(net.beside(a).relu().mean((2, 3)))


OUTPUTS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "a mean behind": lambda y, a, x, net: (y, x.mean(), a.mean()),
    "an auxiliary head behind": lambda y, a, x, net: (y, auxiliary(a, net)),
    "an auxiliary head in a list": lambda y, a, x, net: [y, auxiliary(a, net)],
    "features behind": lambda y, a, x, net: (y, a.mean((2, 3))),
    "dict": lambda y, a, x, net: {"aux": auxiliary(a, net), "logits": y},
    "dict of loss": lambda y, a, x, net: {"loss": a.square().mean(), "out": y, "aux": auxiliary(a, net)},
    "nested": lambda y, a, x, net: ({"scores": y}, a.amax((2, 3))),
    "dataclass": lambda y, a, x, net: Result(auxiliary(a, net).sum(), y),
    "a class activation map": lambda y, a, x, net: (y, torch.einsum("ck,nkhw->nchw", net.fc.weight, a)),
    "a map from further layers": lambda y, a, x, net: (y, net.beside(a)),
}


def assert_exact(owner: Classifier, network: Wrapped, pixels: np.ndarray, *, request: str = "all") -> None:
    """Assert that all cheap methods give what float64 gives, from the layer suggested."""
    assert owner.head.kind == "gap_linear", owner.head.reason
    assert owner.suggested == "relu#2"
    found = Explainer(owner).explain(pixels, MapRequest(("cam", *GRADIENTS), request))
    assert found.identity_error is not None and found.identity_error < 1e-4
    net = copy.deepcopy(network).double()
    x, _ = owner.prepare(pixels)
    a = ref.activations(net.features, x)
    weight, bias = net.fc.weight.detach().numpy(), net.fc.bias.detach().numpy()
    logits = weight @ a.mean((1, 2)) + bias
    for score in found.scores:
        np.testing.assert_allclose(score.logit, logits[score.index], atol=1e-4)
    assert len(found.maps) == (1 + len(GRADIENTS)) * (len(weight) if request == "all" else 1)
    for m in found.maps:
        if m.method == "cam":
            expected = np.einsum("k,kij->ij", weight[m.class_index], a)
        else:
            target = torch.eye(len(weight))[m.class_index]
            expected = GRADIENTS[m.method](a, ref.gradients(lambda g: net.fc(g.mean((2, 3))), a, target))
        np.testing.assert_allclose(m.values, expected, atol=1e-4 * max(np.abs(expected).max(), 1e-6))


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_head_is_what_feeds_the_chosen_scores(output: str) -> None:
    network = seeded(lambda: Wrapped(OUTPUTS[output]))
    assert_exact(classifier(network), network, PIXELS)


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_four_channel_inputs(channels: int) -> None:
    network = seeded(lambda: Wrapped(OUTPUTS["an auxiliary head behind"], channels=channels))
    prepared = Preprocessing(input_size=(32, 32), channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels)
    owner = Classifier(network, identity=ModelIdentity("toy", "random", "", ()), preprocessing=prepared)
    assert_exact(owner, network, PIXELS)


@pytest.mark.parametrize(("classes", "activation"), [(1, "sigmoid"), (CLASSES, "sigmoid"), (1, "softmax")])
def test_single_logit_and_sigmoid_heads(classes: int, activation: str) -> None:
    network = seeded(lambda: Wrapped(OUTPUTS["dict"], classes=classes))
    owner = classifier(network, activation=activation)
    assert_exact(owner, network, PIXELS)
    scores = Explainer(owner).explain(PIXELS, MapRequest()).scores
    for score in scores:
        expected = 1 / (1 + np.exp(-score.logit)) if activation == "sigmoid" else 1.0
        np.testing.assert_allclose(score.probability, expected, atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_wrapped_in_data_parallel_frozen_or_not(frozen: bool) -> None:
    network = seeded(lambda: Wrapped(OUTPUTS["a mean behind"])).requires_grad_(not frozen)
    assert_exact(classifier(nn.DataParallel(network)), network, PIXELS)


def test_two_heads_that_are_summed_have_no_map_of_one_layer() -> None:
    network = seeded(lambda: Wrapped(lambda y, a, x, net: y + auxiliary(a, net)))
    owner = classifier(network)
    assert owner.head.kind == "none" and owner.head.reason.endswith(".")
