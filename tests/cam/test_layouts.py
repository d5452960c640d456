"""Token and channels-last layouts: maps of transformers without a reshape function, against float64."""

from __future__ import annotations

import copy

import cam_reference as ref
import numpy as np
import pytest
import torch
import torchvision
from cam_toys import CLASSES, classifier, seeded
from probe import draw_pixels
from torch import Tensor, nn
from torch.nn import functional

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import LayerError

PIXELS = draw_pixels(6, width=48, height=40)
METHODS = {"gradcam": ref.grad_cam, "hirescam": ref.hires_cam, "layercam": ref.layer_cam, "gradcampp": ref.grad_cam_pp}


def test_vision_transformer() -> None:
    def make() -> torch.nn.Module:
        return torchvision.models.VisionTransformer(
            image_size=48, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=CLASSES
        )

    network = seeded(make)
    owner = classifier(network, size=(48, 48))
    assert owner.suggested == "encoder.layers.encoder_layer_1.ln_1"
    found = Explainer(owner).explain(PIXELS, MapRequest(tuple(METHODS), (0, 3)))
    net = copy.deepcopy(network).double()
    x, _ = owner.prepare(PIXELS)
    with torch.no_grad():
        tokens = net._process_input(x.double())
        tokens = torch.cat([net.class_token, tokens], dim=1) + net.encoder.pos_embedding
        before = net.encoder.layers[0](tokens)
        block = net.encoder.layers[1]
        normed = block.ln_1(before)

    def tail(grid: Tensor) -> Tensor:
        """From the patch tokens ``[1, C, 6, 6]`` of ln_1 to the logits."""
        sequence = torch.cat([normed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
        y = before + block.self_attention(sequence, sequence, sequence, need_weights=False)[0]
        return net.heads(net.encoder.ln(y + block.mlp(block.ln_2(y)))[:, 0])

    a = normed[0, 1:].T.reshape(16, 6, 6).numpy()
    for m in found.maps:
        expected = METHODS[m.method](a, ref.gradients(tail, a, torch.eye(CLASSES)[m.class_index]))
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(m.values, expected, atol=1e-4 * np.abs(expected).max())
        assert m.geometry.cells is not None and m.geometry.cells.step == (8.0, 8.0)


def test_swin_keeps_channels_last() -> None:
    def make() -> torch.nn.Module:
        return torchvision.models.SwinTransformer(
            patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[3, 3], num_classes=CLASSES
        )

    network = seeded(make)
    owner = classifier(network, size=(64, 48))
    found = Explainer(owner).explain(PIXELS, MapRequest((*METHODS, "cam"), (1,)))
    assert owner.head.kind == "gap_linear"
    net = copy.deepcopy(network).double()
    x, _ = owner.prepare(PIXELS)
    with torch.no_grad():
        a = net.norm(net.features(x.double()))[0].permute(2, 0, 1).contiguous().numpy()

    def tail(grid: Tensor) -> Tensor:
        return net.head(grid.mean((2, 3)))

    for m in found.maps:
        g = ref.gradients(tail, a, torch.eye(CLASSES)[1])
        expected = (
            METHODS[m.method](a, g) if m.method != "cam" else np.einsum("k,kij->ij", net.head.weight[1].detach(), a)
        )
        assert m.values.shape == (6, 8)
        np.testing.assert_allclose(m.values, expected, atol=1e-4 * np.abs(expected).max())
    inner = Explainer(owner).explain(PIXELS, MapRequest(tuple(METHODS), (1,), layers=("features.1",)))
    assert inner.maps[0].values.shape == (12, 16)


class Merging(nn.Module):
    """Patches of 2 x 2 joined by reshaping ``[N, h, w, C]``, as timm's Swin does, or by unfolding."""

    def __init__(self, channels: int, how: str) -> None:
        super().__init__()
        self.norm, self.how = nn.LayerNorm(4 * channels), how
        self.reduction = nn.Linear(4 * channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        if self.how == "reshape":
            x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        else:
            x = functional.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2).reshape(n, h // 2, w // 2, 4 * c)
        return self.reduction(self.norm(x))


class Last(nn.Module):
    """Channels last from the patches to the head: blocks with residuals, merging, normalisation, mean, linear."""

    def __init__(self, how: str = "reshape") -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.merging = Merging(6, how)
        self.inner, self.mlp = nn.LayerNorm(12), nn.Linear(12, 12)
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.merging(self.patches(x).permute(0, 2, 3, 1))
        return self.norm(x + functional.gelu(self.mlp(self.inner(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((1, 2)))


@pytest.mark.parametrize("how", ["reshape", "unfold"])
def test_channels_last_behind_merged_patches(how: str) -> None:
    """Of a grid of 8 x 5 cells and 12 channels, none of the three can be taken for another."""
    network = seeded(lambda: Last(how))
    owner = classifier(network, size=(64, 40))
    net = copy.deepcopy(network).double()
    x, _ = owner.prepare(PIXELS)
    with torch.no_grad():
        a = net.features(x.double())[0].permute(2, 0, 1).contiguous().numpy()
    found = Explainer(owner).explain(PIXELS, MapRequest(tuple(METHODS), (1,), layers=("norm",)))
    for m in found.maps:
        expected = METHODS[m.method](a, ref.gradients(lambda g: net.head(g.mean((2, 3))), a, torch.eye(CLASSES)[1]))
        assert m.values.shape == (5, 8)
        np.testing.assert_allclose(m.values, expected, atol=1e-4 * np.abs(expected).max())
    for layer in ("merging", "merging.norm", "inner", "mlp", "norm"):
        assert owner.tap(layer).layout.kind == "nhwc", layer
        assert owner.tap(layer).layout.grid == (8, 5)
    assert owner.suggested == "norm"
    if how == "reshape":  # the cells are followed, not only told from the channels
        assert owner.head.kind == "gap_linear"
        positions = owner.tap("norm").positions
        assert positions is not None and positions.start == (3.5, 3.5) and positions.step == (8.0, 8.0)


class Deepened(nn.Module):
    """Patches of 4 x 4 pixels as 48 channels."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 1, 3, 5, 2, 4).reshape(n, 16 * c, h // 4, w // 4)


def test_patches_folded_into_channels_are_followed() -> None:
    def make() -> nn.Module:
        return nn.Sequential(
            Deepened(), nn.Conv2d(48, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
        )

    owner = classifier(seeded(make), size=(64, 40))
    positions = owner.tap("2").positions
    assert positions is not None and positions.start == (1.5, 1.5) and positions.step == (4.0, 4.0)


def test_a_product_over_all_cells_leaves_no_place() -> None:
    network = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(), nn.Linear(96, 6), nn.Linear(6, 3))
    )
    owner = classifier(network, size=(48, 32))
    with pytest.raises(LayerError, match="has no place"):
        owner.tap("2")


class Mixing(nn.Module):
    """Tokens mixed by weights over all cells, in front of what they are added to."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix, self.norm = nn.Conv2d(3, 6, 8, stride=8), nn.Linear(24, 24), nn.LayerNorm(6)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2)
        x = functional.gelu(self.mix(x)) + x
        return self.head(self.norm(x.transpose(1, 2)).mean(1))


def test_mixed_tokens_stay_where_they_are() -> None:
    owner = classifier(seeded(Mixing), size=(48, 32))
    tap = owner.tap("norm")
    assert owner.head.kind == "gap_linear" and (tap.layout.kind, tap.layout.grid) == ("tokens", (6, 4))
    assert tap.positions is not None and tap.positions.step == (8.0, 8.0)


def test_swin_of_timm() -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model(
        "swin_tiny_patch4_window7_224", embed_dim=12, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2), num_classes=CLASSES
    )
    owner = classifier(network.eval(), size=(224, 224))
    assert (owner.head.kind, owner.suggested) == ("gap_linear", "norm")
    tap = owner.tap()
    assert (tap.layout.kind, tap.layout.grid, tap.channels) == ("nhwc", (7, 7), 96)
    assert tap.positions is not None and tap.positions.start == (15.5, 15.5) and tap.positions.step == (32.0, 32.0)
    found = Explainer(owner).explain(PIXELS, MapRequest(("cam", "gradcam"), (0,)))
    assert [m.values.shape for m in found.maps] == [(7, 7), (7, 7)]
    assert found.identity_error is not None and found.identity_error < 1e-4
