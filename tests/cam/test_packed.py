"""Convolutions and linear layers packed for oneDNN compute what the plain ones do."""

from __future__ import annotations

import time

import pytest
import torch
from cam_toys import CLASSES, seeded
from torch import Tensor, nn

from camviewer.cam import fast, packed
from camviewer.cam.fast import fast_copy
from camviewer.cam.taps import tap


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish()])
def test_packed_convolutions(activation: nn.Module) -> None:
    conv = seeded(lambda: nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=4))
    known = packed.activation_of(activation)
    assert known is not None and packed.can_pack(torch.float32)
    x = torch.randn(2, 8, 9, 13, generator=torch.Generator().manual_seed(0)) * 4
    with torch.inference_mode():
        found = packed.PackedConv2d(conv, known)(x)
        torch.testing.assert_close(found, activation(conv(x)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish()])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_of_single_cells(activation: nn.Module | None, stride: int, bias: bool) -> None:
    conv = seeded(lambda: nn.Conv2d(8, 24, 1, stride=stride, bias=bias))
    x = torch.randn(2, 8, 9, 13, generator=torch.Generator().manual_seed(0)) * 4
    known = packed.NOTHING if activation is None else packed.activation_of(activation)
    assert known is not None
    made = packed.PackedConv2d(conv, known)
    assert torch.equal(made.weight, conv.weight)
    with torch.inference_mode():
        expected = conv(x) if activation is None else activation(conv(x))
        torch.testing.assert_close(made(x), expected, atol=1e-5, rtol=1e-5)
        if known in (packed.NOTHING, packed.RELU):
            other = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
            summed = conv(x) + other
            torch.testing.assert_close(made(x, other), summed if known == packed.NOTHING else summed.relu(),
                                       atol=1e-5, rtol=1e-5)  # fmt: skip
            torch.testing.assert_close(other, torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("kernel", [1, 3])
def test_relu_of_bfloat16(kernel: int) -> None:
    """Behind an addition it is taken from the bits; signs, zeros and infinities are those of torch."""
    if not packed.can_pack(torch.bfloat16):
        pytest.skip("torch packs no bfloat16 here")
    conv = seeded(lambda: nn.Conv2d(8, 8, kernel, padding=kernel // 2)).bfloat16()
    x, other = torch.randn(2, 2, 8, 9, 13, generator=torch.Generator().manual_seed(0)).bfloat16()
    other[0, 0, 0, :4] = torch.tensor([float("inf"), -float("inf"), 0.0, -0.0])
    with torch.inference_mode():
        found = packed.PackedConv2d(conv, packed.RELU)(x, other)
        torch.testing.assert_close(found, (conv(x) + other).relu(), atol=5e-2, rtol=2e-2)
        values = torch.tensor([1.5, -1.5, 0.0, -0.0, 3e38, -3e38, 1e-40, -1e-40, float("inf"), -float("inf")])
        for memory_format in (torch.contiguous_format, torch.channels_last):
            given = values.bfloat16().view(1, 5, 1, 2).contiguous(memory_format=memory_format)
            expected = given.relu()
            assert torch.equal(packed.Activated(packed.RELU)(given), expected)


class Tokens(nn.Module):
    """Linear layers: one that is called, one whose weights are used otherwise, one that is seen from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.called, self.used, self.hooked = nn.Linear(16, 48), nn.Linear(48, 24, bias=False), nn.Linear(24, 16)
        self.fc = nn.Linear(16, CLASSES, bias=False)
        self.hooked.register_forward_hook(lambda _m, _i, out: out * 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.relu(self.called(self.stem(x).flatten(2).transpose(1, 2)))
        return self.fc(self.hooked(nn.functional.linear(tokens, self.used.weight)).mean(1))


@pytest.mark.parametrize(("room", "least"), [(10**6, 1), (10**6, 500), (4 * 16 * 48, 1)])
def test_linear_layers_are_packed_where_products_lag(room: int, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "products_keep_up", lambda: False)
    monkeypatch.setattr(fast, "LINEAR_BYTES", room)
    monkeypatch.setattr(fast, "FEWEST_LINEAR_WEIGHTS", least)
    network = seeded(Tokens)
    made = fast_copy(network)
    found = {path for path, module in made.network.named_modules() if isinstance(module, packed.PackedLinear)}
    assert found == ({"called", "fc"} if room == 10**6 and least == 1 else {"called"})
    x = torch.randn(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), tap(made.network, ["called"], gradients=False) as taps:
        torch.testing.assert_close(made.network(x), network(x), atol=1e-6, rtol=1e-5)
        assert taps["called"].shape == (2, 30, 48) and made.serves(["called", "hooked"])
        assert torch.equal(made.network.get_submodule("called").weight, network.called.weight)


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_products_that_lag_behind_are_told_by_timing(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "product", lambda *_: time.sleep(seconds))
    packed.products_keep_up.cache_clear()
    try:
        assert packed.products_keep_up() == (seconds > 0)
    finally:
        packed.products_keep_up.cache_clear()
