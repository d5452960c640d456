"""Conversion to a pooling head keeps the weights, cuts behind the last convolution, and can be written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from camviewer.errors import ModelError
from camviewer.models.checkpoint import save_checkpoint
from camviewer.models.converted import convert
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.training.run import build_network, model_info
from camviewer.training.settings import TrainSettings

SMALL = [
    ("alexnet", 256, 13),
    ("resnet18", 512, 7),
    ("squeezenet1_1", 512, 13),
    ("mobilenet_v3_small", 576, 7),
    ("shufflenet_v2_x0_5", 1024, 7),
    ("googlenet", 1024, 7),
]


def published(name: str) -> nn.Module:
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, weights=None, **options).eval()


@pytest.mark.parametrize(("name", "channels", "side"), SMALL)
def test_the_map_before_the_pooling(name: str, channels: int, side: int) -> None:
    network = convert(published(name), 3)
    with torch.no_grad():
        assert network.features(torch.randn(1, 3, 224, 224)).shape == (1, channels, side, side)


def test_features_are_those_of_the_original() -> None:
    torch.manual_seed(0)
    original = published("resnet18")
    seen = []
    handle = original.layer4.register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
    picture = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        original(picture)
        handle.remove()
        converted = convert(original, 4)
        assert torch.equal(converted.features(picture), seen[0])


def test_the_functional_relu_of_densenet_is_kept() -> None:
    torch.manual_seed(0)
    network = convert(published("densenet121"), 2)
    with torch.no_grad():
        assert float(network.features(torch.randn(1, 3, 64, 64)).min()) >= 0


def test_finer_doubles_the_cells_and_keeps_every_second_one() -> None:
    """A network whose stride is undone and whose kernels are dilated gives, at every second cell, what it gave."""
    torch.manual_seed(0)
    coarse = published("resnet18")
    for module in coarse.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
    fine = published("resnet18")
    fine.load_state_dict(coarse.state_dict())
    picture = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        before = convert(coarse, 2).features(picture)
        after = convert(fine, 2, finer=1).features(picture)
    assert before.shape[2:] == (4, 4)
    assert after.shape[2:] == (8, 8)
    assert torch.allclose(after[:, :, ::2, ::2], before, atol=1e-4 * float(before.abs().max()))


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t"])
def test_attention_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="attention"):
        convert(published(name), 2)


def test_too_fine_is_refused() -> None:
    with pytest.raises(ModelError, match="finer"):
        convert(published("resnet18"), 2, finer=9)


@pytest.mark.parametrize("head", ["gap", "gmp"])
def test_a_checkpoint_of_a_converted_network_is_loaded_as_it_was(tmp_path: Path, head: str) -> None:
    settings = TrainSettings(arch="squeezenet1_1", head=head, options={"finer": 1}, input_size=(96, 96))
    network = build_network(settings, 3)
    file = tmp_path / "mine.safetensors"
    save_checkpoint(file, network, info=model_info(settings, ("a", "b", "c")))
    classifier = load_classifier(LoadRequest(weights=file, device="cpu"))
    assert classifier.identity.classes == ("a", "b", "c")
    assert classifier.preprocessing.input_size == (96, 96)
    assert classifier.head.kind == f"{head}_linear"
    batch, _ = classifier.prepare(np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8))
    with torch.no_grad():
        assert torch.equal(classifier.logits(batch), network.eval()(batch))
