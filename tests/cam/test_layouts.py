"""Token and channels-last layouts: maps of transformers without a reshape function, against float64."""

from __future__ import annotations

import copy

import cam_reference as ref
import numpy as np
import torch
import torchvision
from cam_toys import CLASSES, classifier, seeded
from probe import draw_pixels
from torch import Tensor

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest

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
