"""Weights files: the shapes people save, and everything that is no weights file."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn

from camviewer.errors import CamviewerError, CheckpointError, ModelError
from camviewer.models import architectures
from camviewer.models.checkpoint import ModelInfo, read_checkpoint, save_checkpoint, strip_names
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return torchvision.models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=5).eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def load(path, **options):
    return load_classifier(LoadRequest(weights=path, device="cpu", **options))


def prefixed(prefix):
    return lambda state: OrderedDict((prefix + name, tensor) for name, tensor in state.items())


SHAPES = {
    "bare": lambda s: s,
    "model": lambda s: {"epoch": 3, "model": s},
    "state_dict": lambda s: {"epoch": 3, "arch": "shufflenet_v2_x0_5", "state_dict": s, "optimizer": {"state": {}}},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.1, "args": argparse.Namespace(lr=0.1)},
    "net": lambda s: {"net": s, "acc": 91.0},
    "data parallel": prefixed("module."),
    "lightning": lambda s: {"state_dict": {**prefixed("model.")(s), "criterion.weight": torch.ones(5)}},
    "compiled data parallel": prefixed("_orig_mod.module."),
    "backbone": prefixed("backbone."),
    "half": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "double": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
    "without counters": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_people_save_is_loaded_without_a_name(tmp_path, network, image, shape):
    path = tmp_path / "weights.pth"
    torch.save(SHAPES[shape](network.state_dict()), path)
    classifier = load(path)
    assert classifier.identity.architecture == "shufflenet_v2_x0_5"
    assert classifier.identity.classes == tuple(f"class {i}" for i in range(5))
    with torch.no_grad():
        torch.testing.assert_close(
            classifier.logits(image), network(image), atol=2e-2 if shape == "half" else 1e-5, rtol=1e-2
        )


def test_old_file_format_is_loaded(tmp_path, network):
    path = tmp_path / "old.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    assert load(path).identity.architecture == "shufflenet_v2_x0_5"


def test_own_checkpoint_round_trip(tmp_path, image):
    network = architectures.build("camnet", architectures.Plan(3, options=(("width", 8),)), seed=1).eval()
    info = ModelInfo(
        arch="camnet", head="gap", classes=("a", "b", "ç"), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2),
        input_size=(96, 96), activation="sigmoid", options={"width": 8},
    )  # fmt: skip
    path = tmp_path / "folder" / "net.safetensors"
    save_checkpoint(path, network, info=info)
    assert read_checkpoint(path).info == info
    assert [p.name for p in path.parent.iterdir()] == ["net.safetensors"]
    classifier = load(path)
    assert classifier.identity.classes == ("a", "b", "ç")
    assert classifier.identity.activation == "sigmoid"
    assert classifier.preprocessing.input_size == (96, 96)
    assert classifier.preprocessing.mean == (0.5, 0.4, 0.3)
    torch.testing.assert_close(classifier.logits(image), network(image))
    torch.testing.assert_close(classifier.probabilities(torch.zeros(1, 3)), torch.full((1, 3), 0.5))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("camviewer.models.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(path, nn.Linear(2, 2), info=ModelInfo())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


def write_bad(kind, path, network, marker):
    state = network.state_dict()
    if kind == "missing":
        return
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(b"\x80garbage" * 50)
    elif kind == "text":
        path.write_text("not weights")
    elif kind == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "code":
        torch.save({"state_dict": state, "x": Bomb(str(marker))}, path)
    elif kind == "raw pickle":
        path.write_bytes(pickle.dumps(Bomb(str(marker))))
    elif kind == "old format with code":
        torch.save({"state_dict": state, "x": Bomb(str(marker))}, path, _use_new_zipfile_serialization=False)
    elif kind == "old format, truncated":
        torch.save(state, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "whole module":
        torch.save(network, path)
    elif kind == "TorchScript":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", b"")
            archive.writestr("net/code/net.py", b"raise SystemExit")
            archive.writestr("net/constants.pkl", b"")
    elif kind == "exported":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/archive_format", b"pt2")
    elif kind == "no tensors":
        torch.save({"epoch": 3}, path)
    elif kind == "stretched":
        torch.save({**state, "conv1.0.weight": torch.zeros(1).expand(10**9)}, path)
    elif kind == "other architecture":
        torch.save({"a.weight": torch.zeros(3, 3)}, path)
    elif kind == "huge header":
        header = json.dumps({"w": {"dtype": "F32", "shape": [10**9, 10], "data_offsets": [0, 4 * 10**10]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)


BAD = {
    "missing": "was not found",
    "empty": "is empty",
    "garbage": "cannot be read as weights",
    "text": "cannot be read as weights",
    "truncated": "cannot be read as weights",
    "code": "holds code besides weights",
    "raw pickle": "holds code besides weights",
    "old format with code": "holds code besides weights",
    "old format, truncated": "cut short",
    "whole module": "holds code besides weights",
    "TorchScript": "TorchScript program",
    "exported": "exported program",
    "no tensors": "holds no weights",
    "stretched": "larger than what is stored",
    "other architecture": "fits none",
    "huge header": "cannot be read as weights",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_one_sentence_and_run_nothing(tmp_path, network, kind):
    path, marker = tmp_path / "bad.pth", tmp_path / "ran"
    write_bad(kind, path, network, marker)
    with pytest.raises(CheckpointError, match=BAD[kind]) as error:
        load(path)
    assert "\x1b" not in error.value.message + error.value.details
    assert "\n" not in error.value.message
    assert not marker.exists()
    if kind in ("code", "raw pickle"):
        assert "mkdir" in error.value.details


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder"):
        load(tmp_path)


def test_the_other_architecture_is_named(tmp_path, network):
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match="does not fit ResNet-18: its tensors are those of shufflenet_v2_x0_5"):
        load(path, model="resnet18")


def test_missing_and_unexpected_tensors_are_named(tmp_path, network):
    state = dict(network.state_dict())
    state["extra.weight"] = torch.zeros(2)
    del state["conv1.0.weight"]
    path = tmp_path / "w.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"missing: conv1.0.weight; unexpected: extra.weight"):
        load(path, model="shufflenet_v2_x0_5")


def test_metadata_with_absurd_options_takes_no_memory(tmp_path):
    network = architectures.build("camnet", architectures.Plan(3, options=(("width", 8),)), seed=1)
    path = tmp_path / "n.safetensors"
    save_checkpoint(path, network, info=ModelInfo(arch="camnet", options={"width": 10**6}))
    with pytest.raises(CheckpointError, match="does not fit CamNet"):
        load(path)
    save_checkpoint(path, network, info=ModelInfo(arch="camnet", options={"colour": 1}))
    with pytest.raises(CamviewerError, match="no such option"):
        load(path)


def test_prefixes_that_belong_to_the_network_stay():
    state = {"encoder.a": torch.zeros(1), "heads.head.weight": torch.zeros(1)}
    assert set(strip_names(state)) == set(state)
    assert set(strip_names({"features.module.0.weight": torch.zeros(1)})) == {"features.0.weight"}


HEADS = {
    "resnet18": ("fc", 512),
    "mobilenet_v2": ("classifier.1", 1280),
    "efficientnet_b0": ("classifier", 1280),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_replaced_heads_are_followed(tmp_path, name, wrapped):
    place, width = HEADS[name]
    network = torchvision.models.get_model(name, weights=None).eval()
    linear = nn.Linear(width, 4)
    parent, _, last = place.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Sequential(nn.Dropout(0.4), linear) if wrapped else linear)
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    image = torch.randn(1, 3, 96, 96)
    classifier = load(path, input_size=96)
    torch.testing.assert_close(classifier.logits(image), network.eval()(image))


def test_heads_of_several_layers_are_refused(tmp_path):
    network = torchvision.models.get_model("resnet18", weights=None)
    network.fc = nn.Sequential(nn.Linear(512, 32), nn.Tanh(), nn.Linear(32, 4))
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"fc.0, fc.2.*Python file"):
        load(path)


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_come_from_the_weights(tmp_path, channels):
    network = torchvision.models.get_model("resnet18", weights=None, num_classes=2)
    network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    classifier = load(path, input_size=64)
    assert classifier.preprocessing.channels == channels == len(classifier.preprocessing.mean)
    batch, _ = classifier.prepare(torch.zeros(10, 20, 3, dtype=torch.uint8).numpy())
    assert batch.shape == (1, channels, 64, 64)
    assert classifier.logits(batch).shape == (1, 2)


def test_googlenet_rescaling_follows_the_metadata(tmp_path):
    network = torchvision.models.get_model(
        "googlenet", weights=None, num_classes=3, transform_input=True, init_weights=False
    ).eval()  # with auxiliary heads, as a training run saves it
    image = torch.randn(1, 3, 64, 64)
    path = tmp_path / "g.pth"
    for given in (True, False):
        torch.save({"model": network.state_dict(), "transform_input": given}, path)
        network.transform_input = given
        classifier = load(path, input_size=64)
        assert not classifier.warnings
        torch.testing.assert_close(classifier.logits(image), network(image))
    torch.save(network.state_dict(), path)
    assert "transform_input" in load(path, input_size=64).warnings[0]


def test_nothing_named_is_one_sentence():
    with pytest.raises(ModelError, match="no model"):
        load_classifier(LoadRequest())
    with pytest.raises(ModelError, match="Did you mean resnet18"):
        load_classifier(LoadRequest(model="resnet-18"))
