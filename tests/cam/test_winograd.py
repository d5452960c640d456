"""Wide convolutions of batches by fewer multiplications, where the processor gains by it."""

from __future__ import annotations

import copy
import time

import pytest
import torch
from cam_toys import seeded
from torch import Tensor, nn

from camviewer.cam import winograd
from camviewer.cam.fast import batch_copy, fast_copy


class Wide(nn.Module):
    """A residual pair of wide convolutions, as in a residual network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=bias) for bias in (True, False))

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.stem(x))
        return torch.relu(self.second(torch.relu(self.first(a))) + a).mean((2, 3))


@pytest.mark.usefixtures("filtering")
@pytest.mark.parametrize("size", [(14, 14), (17, 9), (3, 26), (50, 34)])
@pytest.mark.parametrize("channels", [64, 256])
@pytest.mark.parametrize("block_bytes", [1, 2**17, 2**20])
def test_wide_convolutions_of_batches(
    size: tuple[int, int], channels: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "BLOCK_BYTES", block_bytes)
    network = seeded(lambda: Wide(channels))
    made = batch_copy(fast_copy(network), inputs=6)
    assert made is not None
    convolutions = [m for m in made.network.modules() if isinstance(m, winograd.WinogradConv2d)]
    assert len(convolutions) == 2
    x = torch.randn(9, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = copy.deepcopy(network).double()(x.double())
        torch.testing.assert_close(made.network(x).double(), expected, atol=5e-6, rtol=0)
        # Few tiles go the direct way, bit by bit.
        assert torch.equal(made.network(x[:1, :, :14, :9]), fast_copy(network).network(x[:1, :, :14, :9]))


@pytest.mark.usefixtures("filtering")
def test_transformed_weights_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fast_copy(seeded(lambda: Wide(256)))
    monkeypatch.setattr(winograd, "WEIGHT_BYTES", 256 * 256 * 36 * 4)
    (conv,) = winograd.chosen(made.network, inputs=1)
    assert len(winograd.chosen(made.network, inputs=2)) == 2
    assert conv is made.network.get_submodule("first")
    monkeypatch.setattr(winograd, "WEIGHT_BYTES", 0)
    assert batch_copy(made, inputs=6) is None


@pytest.mark.parametrize("slow", [winograd.PackedConv2d, winograd.WinogradConv2d])
def test_it_is_left_out_where_it_is_no_faster(slow: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    computed = slow.forward

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        time.sleep(0.2)
        return computed(self, x)

    monkeypatch.setattr(slow, "forward", forward)
    winograd.is_faster.cache_clear()
    try:
        faster = winograd.is_faster()
        assert faster == (slow is winograd.PackedConv2d)
        assert (batch_copy(fast_copy(seeded(lambda: Wide(64))), inputs=6) is not None) == faster
    finally:
        winograd.is_faster.cache_clear()
