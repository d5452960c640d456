"""Controls: what a map has to beat."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe import draw_pixels
from torch import nn

from camviewer.evaluation.controls import centre_gaussian, random_weights
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing


class Small(nn.Module):
    """A convolution, a batch norm, a bare parameter, pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.bare = nn.Parameter(torch.linspace(1, 2, 6))
        self.fc = nn.Linear(6, 4)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        A = torch.relu(self.norm(self.conv(X))) * self.bare.view(1, -1, 1, 1)
        return self.fc(A.mean((2, 3)))


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(5)
    identity = ModelIdentity("small", "file.pth", "ab", ("a", "b", "c", "d"))
    return Classifier(Small(), identity=identity, preprocessing=Preprocessing(input_size=(16, 16)))


def test_the_gaussian_is_in_the_middle() -> None:
    for size in ((40, 30), (31, 57)):
        values = centre_gaussian(size)
        assert values.shape == size[::-1]
        assert values.max() == 1
        np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-7)
    assert (centre_gaussian((200, 200)) >= 0.2).mean() == pytest.approx(np.pi * 0.2**2 * 2 * np.log(5), abs=0.005)


def test_random_weights_are_others_and_the_network_stays(classifier: Classifier) -> None:
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    state = torch.random.get_rng_state()
    control = random_weights(classifier, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in classifier.network.state_dict().items():
        assert torch.equal(value, before[name])
    drawn = dict(control.network.named_parameters())
    for name in ("conv.weight", "bare", "fc.weight"):
        assert not torch.allclose(drawn[name], before[name])
    assert control.identity.weights == "random"
    assert control.identity.classes == classifier.identity.classes
    again = random_weights(classifier, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(drawn.values(), again.network.parameters(), strict=True))
    other = random_weights(classifier, seed=2)
    assert not torch.equal(drawn["fc.weight"], dict(other.network.named_parameters())["fc.weight"])


def test_batch_norms_are_calibrated(classifier: Classifier) -> None:
    pictures = [draw_pixels(seed, width=24, height=24) for seed in range(5)]
    control = random_weights(classifier, pictures=pictures)
    network = control.network
    assert isinstance(network, Small)
    batch = torch.cat([control.prepare(pixels)[0] for pixels in pictures])
    with torch.no_grad():
        normed = network.norm(network.conv(batch))
    np.testing.assert_allclose(normed.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(normed.std((0, 2, 3)), 1, atol=1e-2)
    assert not any(module.training for module in network.modules())
    assert network.norm.momentum == 0.1
