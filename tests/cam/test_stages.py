"""Networks in two stages: the same results whatever goes together, and a cut where it pays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from cam_toys import classifier, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from probe import draw_pixels
from torch import Tensor, fx, nn

from camviewer.cam import batches, stages
from camviewer.cam.explainer import Explainer
from camviewer.cam.fast import FastCopy, fast_copy, on_stem, staged_copy, stem_of
from camviewer.cam.requests import Explanation, MapRequest
from camviewer.cam.stages import FIRST, Parts, cut_of

WEIGHTS = 4 * 16 * 16 * 9


class Deep(nn.Module):
    """Residual blocks of 16 channels, after a first convolution; a buffer is added before the last."""

    def __init__(self, blocks: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(blocks))
        self.fc = nn.Linear(16, 5)
        self.register_buffer("shift", torch.linspace(0, 0.5, 16).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks[:-1]:
            x = torch.relu(x + block(x))
        x = x + self.shift
        return self.fc(torch.relu(self.blocks[-1](x)).mean((2, 3)))


class Forked(nn.Module):
    """The second convolution's result goes on alone, the first's and the third's do not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3))
        self.fourth = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x)
        b = self.second(a * torch.sigmoid(a))
        return self.fourth(self.third(b) * b)


class Two(nn.Module):
    """Takes a further input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor, factor: float = 1.0) -> Tensor:
        return self.conv(x) * factor


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache for the weights of two blocks."""
    monkeypatch.setattr(stages, "CACHED_WEIGHTS", 2 * WEIGHTS + 3 * 16 * 9 * 4)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def traced(network: nn.Module) -> fx.GraphModule:
    return fx.symbolic_trace(network)


@pytest.mark.usefixtures("room")
def test_the_cut_is_the_last_that_the_cache_bears() -> None:
    made = fast_copy(seeded(Deep))
    found = staged_copy(made, most=2)
    assert found is not None and found.cut == "blocks.1"
    assert found.changed == {"stem", "blocks.0", "blocks.1"} | made.changed
    first = found.network.get_submodule(FIRST)
    assert isinstance(first, Parts) and first.most == 2
    shared = dict(made.network.named_modules())
    assert found.network.get_submodule("blocks.2") is shared["blocks.2"]
    assert first.network.get_submodule("blocks.0") is shared["blocks.0"]


@pytest.mark.parametrize(("most", "cut"), [(80, None), (81, "first"), (10**4, None)])
def test_what_is_read_further_on_goes_through_no_cut(most: int, cut: str | None, monkeypatch) -> None:
    """A convolution of 3 channels has 324 bytes of weights; half of the network's must be left."""
    monkeypatch.setattr(stages, "CACHED_WEIGHTS", 4 * most)
    found = cut_of(traced(Forked()))
    assert (found and found.target) == cut


def test_values_that_two_operations_read_are_cut_where_they_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "CACHED_WEIGHTS", 3 * 324)
    network = nn.Sequential(Forked(), nn.Conv2d(4, 40, 3, bias=False))
    found = staged_copy(FastCopy(traced(network), frozenset()), most=1)
    # Behind the third, the second's result is read again.
    assert found is not None and found.cut == "0.second"
    assert not any(found.serves([name]) for name in ("0.first", "0.second")) and found.serves(["0.third", "1"])


def test_networks_that_have_no_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut_of(fast_copy(seeded(Deep)).network) is None  # all of its weights are in the cache
    monkeypatch.setattr(stages, "CACHED_WEIGHTS", 1)
    assert cut_of(fast_copy(seeded(Deep)).network) is None  # those of the first convolution are not
    monkeypatch.setattr(stages, "CACHED_WEIGHTS", WEIGHTS)
    assert cut_of(traced(Two())) is None
    assert cut_of(seeded(Deep)) is None  # not traced
    assert staged_copy(FastCopy(seeded(Deep), frozenset()), most=1) is None


@settings(deadline=None, max_examples=40)
@given(inputs=st.integers(1, 13), most=st.integers(1, 7), kept=st.integers(0, 5), width=st.integers(7, 9))
def test_results_are_those_of_the_network(inputs: int, most: int, kept: int, width: int) -> None:
    network = seeded(Deep)
    made = fast_copy(network)
    assert isinstance(made.network, fx.GraphModule)
    calls = [node for node in made.network.graph.nodes if node.op == "call_module"]
    cut = next(node for node in calls if node.target == ("stem", *(f"blocks.{i}" for i in range(5)))[kept])
    staged, before = stages.in_stages(made.network, cut, most=most)
    assert len(before) == 1 + kept
    x = drawn(inputs, 3, 8, width, seed=inputs)
    with torch.no_grad():
        torch.testing.assert_close(staged(x), network(x), rtol=1e-5, atol=1e-5)


def test_parts_are_even_and_in_order() -> None:
    seen = []

    class Noting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    network = traced(Noting())
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    for inputs, expected in ((1, [1]), (6, [6]), (7, [4, 3]), (12, [6, 6]), (13, [5, 5, 3])):
        seen.clear()
        x = drawn(inputs, 2)
        assert torch.equal(Parts(network, 6)(x), 2 * x) and seen == expected


@pytest.mark.usefixtures("room")
def test_the_first_convolution_is_found_in_the_first_stage() -> None:
    network = seeded(Deep)
    made = staged_copy(fast_copy(network), most=2)
    assert made is not None
    conv = stem_of(made)
    assert conv is not None
    x = drawn(5, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(on_stem(made, conv, network.stem)(x), network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_score_cam_runs_in_stages(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if precision == "fast":
        monkeypatch.setattr(stages, "CACHED_WEIGHTS", stages.CACHED_WEIGHTS // 2)
    owner = classifier(seeded(Deep))
    explainer = Explainer(owner, precision=precision)
    request = MapRequest(("scorecam",), "all")
    found = explainer.explain(draw_pixels(5), request)
    copy = explainer.device._batches if precision == "exact" else explainer.device._reduced
    if copy is None:
        pytest.skip("this processor has no bfloat16")
    assert copy.cut == "blocks.1"
    assert explainer.device.masked_batch(owner.prepare(draw_pixels(5))[0][0]) == batches.STAGED_CPU_BATCH
    expected = Explainer(classifier(seeded(Deep)))
    expected.device.masked_batch = lambda _x, **_: 1  # type: ignore[method-assign]
    _assert_alike(found, expected.explain(draw_pixels(5), request), precision)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_stages_that_deviate_are_not_used(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if precision == "fast":
        monkeypatch.setattr(stages, "CACHED_WEIGHTS", stages.CACHED_WEIGHTS // 2)
    right = Parts.forward
    monkeypatch.setattr(Parts, "forward", lambda *given: right(*given) + 0.5)
    explainer = Explainer(classifier(seeded(Deep)), precision=precision)
    request = MapRequest(("scorecam",), "all")
    found = explainer.explain(draw_pixels(5), request)
    assert not any(copy is not None and copy.cut for copy in (explainer.device._batches, explainer.device._reduced))
    monkeypatch.undo()
    expected = Explainer(classifier(seeded(Deep)), precision=precision).explain(draw_pixels(5), request)
    _assert_alike(found, expected, precision)


def _assert_alike(found: Explanation, expected: Explanation, precision: str) -> None:
    for a, b in zip(found.maps, expected.maps, strict=True):
        if precision == "fast":
            assert np.corrcoef(a.values.ravel(), b.values.ravel())[0, 1] >= 0.999
        else:
            assert np.abs(a.values - b.values).max() <= 1e-5 * np.abs(b.values).max()


@pytest.mark.usefixtures("room")
def test_layers_of_the_first_stage_are_seen_whole() -> None:
    """A tap there sees all inputs of the batch, in a network that runs at once."""
    pictures = [draw_pixels(seed) for seed in range(9)]
    for layer, method in itertools.product(("blocks.0", "blocks.4"), ("eigencam", "cam")):
        if method == "cam" and layer == "blocks.0":
            continue
        request = MapRequest((method,), layers=(layer,))
        warm = Explainer(classifier(seeded(Deep)))
        for _ in range(2):
            together = warm.explain_batch(pictures, request)
        assert warm.device._batches is not None and warm.device._batches.cut
        for pixels, found in zip(pictures, together, strict=True):
            alone = Explainer(classifier(seeded(Deep))).explain(pixels, request)
            limit = 2e-5 * np.abs(alone.maps[0].values).max()
            assert np.abs(alone.maps[0].values - found.maps[0].values).max() <= limit
