"""A whole training from files: checkpoints that load, a record, messages; and the same from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from camviewer import cli
from camviewer.errors import UsageError
from camviewer.models.checkpoint import read_checkpoint
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.training.datasets import read_dataset
from camviewer.training.run import architecture_of, build_network, train
from camviewer.training.settings import PLAIN, TrainSettings

TINY = TrainSettings(
    options={"width": 4, "features": 8},
    epochs=2,
    batch_size=8,
    learning_rate=1e-2,
    input_size=(32, 32),
    augmentation=PLAIN,
    save_every=1,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label, name in enumerate(("green", "red")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(90, 120, (24, 30, 3)).astype(np.uint8)
            pixels[5:15, 5:15, 1 - label] = 250
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "data" / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path / "data"


def test_checkpoints_load_with_classes_and_preprocessing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    messages: list[str] = []
    result = train(read_dataset(folder), TINY, out, device="cpu", on_message=messages.append)
    assert [path.name for path in result.kept] == ["epoch_001.safetensors", "epoch_002.safetensors"]
    assert any("broken.jpg" in message for message in messages)
    classifier = load_classifier(LoadRequest(weights=result.best, device="cpu"))
    assert classifier.identity.classes == ("green", "red")
    assert classifier.preprocessing.input_size == (32, 32)
    assert classifier.head.kind == "gap_linear"
    record = json.loads((out / "training.json").read_text())
    assert len(record["epochs"]) == 2
    assert record["pictures"] == {"training": 32, "validation": 8}


def test_a_class_without_a_readable_picture_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "blue").mkdir()
    (folder / "blue" / "1.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="blue"):
        train(read_dataset(folder), TINY, tmp_path / "out", device="cpu")


def test_an_own_checkpoint_can_be_gone_on_from(folder: Path, tmp_path: Path) -> None:
    first = train(read_dataset(folder), TINY, tmp_path / "a", device="cpu")
    second = train(read_dataset(folder), TINY, tmp_path / "b", device="cpu", weights=first.best)
    assert second.reports[-1].loss < first.reports[0].loss


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ["--epochs", "1", "--input-size", "32", "--batch-size", "8", "--device", "cpu", "--head", "gmp"]
    assert cli.main(["train", str(folder), *options, "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "green 20, red 21" in told.out
    assert "broken.jpg" in told.err
    assert load_classifier(LoadRequest(weights=out / "last.safetensors", device="cpu")).head.kind == "gmp_linear"
    assert cli.main(["train", str(tmp_path / "none"), "--out", str(out)]) == 2
    assert cli.main(["train", str(folder), "--finer", "1", "--out", str(out)]) == 2


def test_the_architecture_is_that_of_the_weights(folder: Path, tmp_path: Path) -> None:
    sizes = replace(TINY, options={"width": 4, "features": 8, "kernel": 1, "blocks": 0})
    first = train(read_dataset(folder), sizes, tmp_path / "a", device="cpu")
    options = ["--epochs", "1", "--input-size", "32", "--batch-size", "8", "--device", "cpu"]
    weights = ["--weights", str(first.best), "--out", str(tmp_path / "b")]
    assert cli.main(["train", str(folder), *options, *weights]) == 0
    had, got = (read_checkpoint(path) for path in (first.best, tmp_path / "b" / "last.safetensors"))
    assert got.info.options == had.info.options
    assert {name: t.shape for name, t in got.state.items()} == {name: t.shape for name, t in had.state.items()}


def test_a_new_class_layer_behind_learnt_features_is_silent_at_first(tmp_path: Path) -> None:
    file = tmp_path / "squeezenet.pth"
    torch.save(torchvision.models.squeezenet1_1(num_classes=10).state_dict(), file)
    settings = replace(TINY, arch=architecture_of(file), options={}, head="gmp")
    assert settings.arch == "squeezenet1_1"
    before = torch.random.get_rng_state()
    network = build_network(settings, 3, weights=file)
    assert torch.equal(before, torch.random.get_rng_state())
    assert network(torch.randn(2, 3, 64, 64)).abs().max() == 0
    assert network.features(torch.randn(2, 3, 64, 64)).abs().max() > 0
