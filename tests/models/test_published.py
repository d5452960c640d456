"""Published weights: from the cache alone unless a download is allowed; networks of timm where it is installed."""

from __future__ import annotations

import hashlib
import shutil
import socket

import numpy as np
import pytest
import torch
import torchvision

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import CheckpointError, ModelError
from camviewer.models import published
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest


class Renamed:
    """An entry of torchvision's weights whose address carries another digest."""

    def __init__(self, entry, digest):
        self.entry = entry
        self.url = f"{entry.url.rpartition('-')[0]}-{digest}.pth"

    def __getattr__(self, name):
        return getattr(self.entry, name)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A cache of its own, and no way to the network."""

    def refuse(*_args, **_options):
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    (tmp_path / "home" / "hub" / "checkpoints").mkdir(parents=True)


def test_weights_in_the_cache_are_used_where_their_digest_is_right(offline, tmp_path, monkeypatch):
    torch.manual_seed(5)
    network = torchvision.models.squeezenet1_1().eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    real = published.of_architecture
    monkeypatch.setattr(
        published,
        "of_architecture",
        lambda name: [published.Published(p.name, p.architecture, Renamed(p.entry, digest[:8])) for p in real(name)],
    )
    shutil.copy(tmp_path / "weights.pth", published.of_architecture("squeezenet1_1")[0].path)
    image = torch.randn(1, 3, 224, 224)
    for request in (LoadRequest(model="squeezenet1_1"), LoadRequest(weights="torchvision:squeezenet1_1")):
        loaded = load_classifier(request)
        assert loaded.identity.weights == "torchvision:SqueezeNet1_1_Weights.IMAGENET1K_V1"
        assert loaded.identity.classes[0] == "tench"
        torch.testing.assert_close(loaded.logits(image).cpu(), network(image).detach(), atol=1e-4, rtol=1e-4)


def test_a_cached_file_with_another_digest_is_not_used(offline):
    entry = published.of_architecture("squeezenet1_1")[0]
    torch.save(torchvision.models.squeezenet1_1().state_dict(), entry.path)
    loaded = load_classifier(LoadRequest(model="squeezenet1_1", device="cpu"))
    assert loaded.identity.weights == "random" and any("damaged" in warning for warning in loaded.warnings)
    request = LoadRequest(model="squeezenet1_1", weights="torchvision:DEFAULT", device="cpu")
    with pytest.raises(CheckpointError, match="damaged"):
        load_classifier(request)
    entry.path.unlink()
    with pytest.raises(CheckpointError, match="not on this machine"):
        load_classifier(request)


@pytest.mark.parametrize(
    ("text", "model", "name"),
    [
        ("torchvision:resnet50", None, "ResNet50_Weights.IMAGENET1K_V2"),
        ("torchvision:IMAGENET1K_V1", "resnet50", "ResNet50_Weights.IMAGENET1K_V1"),
        ("torchvision: ResNet50_Weights.IMAGENET1K_V1 ", None, "ResNet50_Weights.IMAGENET1K_V1"),
        ("torchvision:DEFAULT", "resnet50", "ResNet50_Weights.IMAGENET1K_V2"),
        ("torchvision:", "resnet18", "ResNet18_Weights.IMAGENET1K_V1"),
    ],
)
def test_published_weights_have_several_names(text, model, name):
    assert published.resolve(text, model).name == name


@pytest.mark.parametrize(
    ("text", "model", "words"),
    [
        ("torchvision:IMAGENET1K_V1", None, "Name the model too"),
        ("torchvision:nonsense", None, "publishes no weights 'nonsense'"),
        ("torchvision:IMAGENET1K_V9", "resnet50", "publishes no weights 'IMAGENET1K_V9' for resnet50"),
        ("torchvision:DEFAULT", None, "publishes no weights 'DEFAULT'"),
    ],
)
def test_a_name_that_is_none_or_of_several_is_one_sentence(text, model, words):
    with pytest.raises(ModelError, match=words):
        published.resolve(text, model)


def test_a_file_is_recognised_by_its_digest():
    (entry,) = published.of_architecture("squeezenet1_1")
    assert published.with_sha256("squeezenet1_1", entry.sha256_prefix + "0" * 56) is not None
    assert published.with_sha256("squeezenet1_1", "0" * 64) is None


@pytest.mark.parametrize(("name", "layer"), [("timm:test_resnet", "layer4"), ("timm:test_vit", "blocks.5.norm1")])
def test_networks_of_timm(name, layer, tmp_path):
    pytest.importorskip("timm")
    loaded = load_classifier(LoadRequest(model=name, device="cpu"))
    pixels = np.random.default_rng(0).integers(0, 255, (120, 90, 3), dtype=np.uint8)
    found = Explainer(loaded).explain(pixels, MapRequest(methods=("gradcam",)))
    assert [made.layer for made in found.maps] == [layer]
    assert found.maps[0].values.max() > 0
    torch.save(loaded.network.state_dict(), tmp_path / "weights.pth")
    again = load_classifier(LoadRequest(model=name, weights=tmp_path / "weights.pth", device="cpu"))
    image = torch.randn(1, 3, *loaded.preprocessing.input_size)
    assert torch.equal(loaded.logits(image), again.logits(image))
