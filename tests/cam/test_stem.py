"""The first convolution of masked inputs, mixed: against masks that are made and convolved in float64."""

from __future__ import annotations

import cam_reference as ref
import numpy as np
import pytest
import torch
from cam_toys import Small, classifier, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from probe import draw_pixels
from torch import Tensor, nn

from camviewer.cam import stem
from camviewer.cam.explainer import Explainer
from camviewer.cam.fast import fast_copy, on_stem, stem_of
from camviewer.cam.masking import MaskedForward
from camviewer.cam.packed import NOTHING, RELU, PackedConv2d
from camviewer.cam.requests import MapRequest
from camviewer.cam.stem import MaskedStem, StemForward


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolved(conv: nn.Conv2d, X: Tensor, background: Tensor, A: Tensor, strength: Tensor) -> np.ndarray:
    """Return the convolution of each masked input in float64, one after the other."""
    found = []
    with torch.no_grad():
        for a, factor in zip(A.double().numpy(), strength.tolist(), strict=True):
            mask = torch.from_numpy(factor * ref.upsampled_mask(a, (X.shape[1], X.shape[2])))
            inputs = X.double() * mask + background.double() * (1 - mask)
            found.append(conv.double()(inputs[None])[0].numpy())
    conv.float()
    return np.stack(found)


axis = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 2))
"""Kernel, stride, padding and dilation."""


@settings(deadline=None, max_examples=60)
@given(
    rows=axis,
    columns=axis,
    size=st.tuples(st.integers(9, 40), st.integers(9, 40)),
    cells=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    groups=st.sampled_from([1, 3]),
    bias=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_any_convolution_of_any_masks(rows, columns, size, cells, groups, bias, seed) -> None:
    kernel, stride, padding, dilation = zip(rows, columns, strict=True)
    conv = nn.Conv2d(3, 6, kernel, stride, padding, dilation, groups=groups, bias=bias)
    X, background, A = drawn(3, *size, seed=seed), drawn(3, *size, seed=seed + 1), drawn(4, *cells, seed=seed + 2)
    A[1] = 0.5
    strength = torch.tensor([1.0, 1.0, 0.3, 1.0])
    expected = convolved(conv, X, background, A, strength)
    with torch.no_grad():
        mixing = MaskedStem(PackedConv2d(conv), X, background, cells)
        found = mixing(mixing.shares(A, strength))
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5 * max(1, np.abs(expected).max()))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 10**6))
def test_extremes_lie_at_turning_pixels(cells: int, pixels: int, seed: int) -> None:
    weights = stem.enlargement(cells, pixels)
    enlarged = weights @ drawn(cells, seed=seed)
    some = enlarged[stem.turning_pixels(weights)]
    assert float(some.min()) == float(enlarged.min()) and float(some.max()) == float(enlarged.max())
    assert len(some) <= 2 * cells + 2


def test_mixing_has_to_be_less_work_and_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = PackedConv2d(nn.Conv2d(3, 64, 7, stride=2, padding=3))
    assert stem.pays(wide, (224, 224), (7, 7))
    assert not stem.pays(wide, (224, 224), (112, 112))
    assert not stem.pays(PackedConv2d(nn.Conv2d(3, 64, 1)), (64, 64), (7, 7))
    monkeypatch.setattr(stem, "MIXED_BYTES", 2**20)
    assert not stem.pays(wide, (224, 224), (7, 7))


class Twice(Small):
    """The input goes to the first convolution and into a sum."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean()


class Again(Small):
    """The first convolution runs twice."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.first(x)[:, :3])


class Late(Small):
    """Something comes before the first convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * 2)


@pytest.mark.parametrize("kind", [Twice, Again, Late])
def test_networks_without_a_first_convolution_of_their_own(kind: type[Small]) -> None:
    assert stem_of(fast_copy(seeded(kind))) is None


def test_the_rest_goes_on_from_the_convolution() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()).eval()
    made = fast_copy(network)
    conv = stem_of(made)
    assert conv is not None and conv.activation == RELU
    x = drawn(2, 3, 9, 9, seed=1)
    with torch.no_grad():
        found = on_stem(made, conv, network[0])(x)
        torch.testing.assert_close(found, network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_score_cam_goes_this_way(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither masks nor masked inputs are made any more, but for the check."""
    explainer = Explainer(classifier(seeded(Small)), precision=precision)
    pixels = draw_pixels(5, width=50, height=40)
    request = MapRequest(("scorecam",), "all")
    explainer.explain(pixels, request)
    A = drawn(2, 8, 8, seed=2)
    X = explainer.classifier.prepare(pixels)[0][0]
    with torch.no_grad():
        assert type(explainer.device.masked_forward(X, torch.zeros_like(X), A)) is StemForward
    monkeypatch.setattr(MaskedForward, "_inputs", None)
    assert len(explainer.explain(pixels, request).maps) > 0


def test_a_mix_that_deviates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(classifier(seeded(Small)))
    pixels = draw_pixels(5, width=50, height=40)
    expected = Explainer(classifier(seeded(Small))).explain(pixels, MapRequest(("scorecam",))).maps[0].values
    right = MaskedStem.forward
    monkeypatch.setattr(MaskedStem, "forward", lambda *given: right(*given) + 0.1)
    found = explainer.explain(pixels, MapRequest(("scorecam",))).maps[0].values
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


class Pooled(nn.Module):
    """A first convolution before a maximum over windows."""

    def __init__(self, activation: nn.Module, *, indices: bool = False, twice: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.activation = activation
        self.pool = nn.MaxPool2d(3, 2, 1, return_indices=indices)
        self.twice = twice

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.activation(self.conv(x)))
        x = x[0] + x[1] if self.pool.return_indices else x
        return (self.pool(x - 0.5) if self.twice else x).flatten(1)


@pytest.mark.parametrize(
    ("network", "swaps"),
    [
        (lambda: Pooled(nn.ReLU()), True),
        (lambda: Pooled(nn.ReLU6()), True),
        (lambda: Pooled(nn.SiLU()), False),
        (lambda: Pooled(nn.ReLU(), indices=True), False),
        (lambda: Pooled(nn.ReLU(), twice=True), False),
    ],
)
def test_an_activation_that_does_not_decrease_waits_for_the_pooling(network, swaps: bool) -> None:
    made = fast_copy(seeded(network))
    conv = stem_of(made)
    assert conv is not None and conv.activation != NOTHING
    plain = seeded(network).conv
    rest = on_stem(made, conv, plain)
    pooling = rest.get_submodule("pool")
    assert isinstance(pooling, nn.Sequential) == swaps and isinstance(made.network.get_submodule("pool"), nn.MaxPool2d)
    x = drawn(2, 3, 17, 13, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(rest(x), seeded(network)(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.network(x), seeded(network)(x), rtol=1e-5, atol=1e-5)
