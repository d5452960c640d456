"""Converting a network: what keeps its weights, what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spots
import torch
from probe import probe_network

from camviewer import cli
from camviewer.errors import ModelError, UsageError
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.pipeline.convert import ConvertRequest, convert_checkpoint
from camviewer.training.datasets import read_dataset
from camviewer.training.run import build_network, model_info, train
from camviewer.training.settings import TrainSettings


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(probe_network("resnet18", classes=4).state_dict(), file)
    return file


def scores(file: Path) -> torch.Tensor:
    classifier = load_classifier(LoadRequest(weights=file, device="cpu"))
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    with torch.no_grad():
        return classifier.logits(classifier.prepare(pixels)[0])


def test_a_gap_network_keeps_its_scores(resnet: Path, tmp_path: Path) -> None:
    out = tmp_path / "gap.safetensors"
    report = convert_checkpoint(ConvertRequest(LoadRequest(weights=resnet, device="cpu"), out))
    assert report.kept_classes
    assert report.layer == "features"
    assert torch.allclose(scores(out), scores(resnet), atol=1e-4)
    assert load_classifier(LoadRequest(weights=out, device="cpu")).head.kind == "gap_linear"


def test_gmp_scores_are_another_networks_and_finer_maps_have_more_cells(resnet: Path, tmp_path: Path) -> None:
    out = tmp_path / "gmp.safetensors"
    report = convert_checkpoint(ConvertRequest(LoadRequest(weights=resnet, device="cpu"), out, "gmp", finer=1))
    assert report.after == (2 * report.before[0], 2 * report.before[1])
    assert report.kept_classes
    assert "train it" in report.note
    written = load_classifier(LoadRequest(weights=out, device="cpu"))
    original = load_classifier(LoadRequest(weights=resnet, device="cpu"))
    assert written.head.kind == "gmp_linear"
    assert torch.equal(written.head.weight, original.head.weight)
    first = next(name for name, _ in original.network.named_parameters())
    kept = dict(original.network.named_parameters())[first]
    assert torch.equal(dict(written.network.named_parameters())[f"features.{first}"], kept)


def test_other_classes_get_a_fresh_layer_that_is_said_to_be_random(resnet: Path, tmp_path: Path) -> None:
    out = tmp_path / "two.safetensors"
    load = LoadRequest(weights=resnet, device="cpu")
    report = convert_checkpoint(ConvertRequest(load, out, classes=("benign", "malignant")))
    assert not report.kept_classes
    assert "random" in report.note
    assert load_classifier(LoadRequest(weights=out, device="cpu")).identity.classes == ("benign", "malignant")


def test_our_own_network_changes_its_pooling_alone(tmp_path: Path) -> None:
    from camviewer.models.checkpoint import save_checkpoint

    settings = TrainSettings(options={"width": 4, "features": 8}, input_size=(48, 40))
    own = tmp_path / "own.safetensors"
    save_checkpoint(own, build_network(settings, 3), info=model_info(settings, ("a", "b", "c")))
    out = tmp_path / "gmp.safetensors"
    report = convert_checkpoint(ConvertRequest(LoadRequest(weights=own, device="cpu"), out, "gmp"))
    before, after = (load_classifier(LoadRequest(weights=file, device="cpu")) for file in (own, out))
    assert (before.head.kind, after.head.kind) == ("gap_linear", "gmp_linear")
    assert after.preprocessing.input_size == (48, 40)
    assert report.kept_classes
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name]), name
    again = convert_checkpoint(ConvertRequest(LoadRequest(weights=out, device="cpu"), tmp_path / "gap.safetensors"))
    assert torch.allclose(scores(again.path), scores(own), atol=1e-5)
    with pytest.raises(ModelError, match="finer"):
        convert_checkpoint(ConvertRequest(LoadRequest(weights=own, device="cpu"), out, finer=1))


def test_the_rescaling_of_published_googlenet_weights_goes_along(tmp_path: Path) -> None:
    from camviewer.models.checkpoint import ModelInfo, save_checkpoint

    source = tmp_path / "googlenet.safetensors"
    info = ModelInfo(arch="googlenet", transform_input=True)
    save_checkpoint(source, probe_network("googlenet", classes=3), info=info)
    report = convert_checkpoint(ConvertRequest(LoadRequest(weights=source, device="cpu"), tmp_path / "g.safetensors"))
    assert torch.allclose(scores(report.path), scores(source), atol=1e-3)


def test_training_goes_on_from_a_converted_network(tmp_path: Path) -> None:
    source = tmp_path / "squeezenet1_1.pth"
    torch.save(probe_network("squeezenet1_1", classes=4).state_dict(), source)
    start = tmp_path / "start.safetensors"
    load = LoadRequest(weights=source, device="cpu")
    convert_checkpoint(ConvertRequest(load, start, finer=1, classes=("green", "red")))
    pictures, _ = spots.write(tmp_path, each=4)
    settings = replace(
        spots.TINY, arch="squeezenet1_1", head="gmp", options={}, epochs=1, input_size=(64, 64), save_every=0
    )
    frozen = replace(settings, scope="head")
    result = train(read_dataset(pictures), frozen, tmp_path / "out", weights=start, device="cpu", validation_share=0.0)
    before, after = (load_classifier(LoadRequest(weights=file, device="cpu")) for file in (start, result.last))
    assert after.head.kind == "gmp_linear"
    for name, tensor in before.network.named_parameters():
        same = torch.equal(tensor, dict(after.network.named_parameters())[name])
        assert same != name.startswith("fc."), name
    with pytest.raises(UsageError, match="converted already"):
        train(
            read_dataset(pictures), replace(frozen, options={"finer": 2}), tmp_path / "x", weights=start, device="cpu"
        )


def test_the_command(resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.safetensors"
    assert cli.main(["convert", "--weights", str(resnet), "--head", "gmp", "--out", str(out)]) == 0
    assert "GMP" in capsys.readouterr().out
    assert out.is_file()
    assert cli.main(["convert", "--weights", str(resnet), "--out", str(tmp_path / "x.pth")]) == 2
    assert cli.main(["convert", "--model", "vit_b_16", "--out", str(out)]) == 2
