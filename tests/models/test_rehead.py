"""A network under new classes: CAM is exact, and what is saved loads to the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from probe import draw_pixels, probe_network

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import ModelError
from camviewer.models.camnet import camnet
from camviewer.models.checkpoint import ModelInfo, save_checkpoint
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.models.rehead import OpenNetwork

NAMES = ("spot", "stripe", "background")


def weights(folder: Path, name: str) -> Path:
    file = folder / f"{name}.safetensors"
    if name.startswith("camnet"):
        torch.manual_seed(0)
        network = camnet(5, width=8, features=16, head=name[-3:], kernel=3)
        info = ModelInfo(
            arch="camnet",
            head=name[-3:],
            classes=tuple("abcde"),
            input_size=(64, 48),
            options={"width": 8, "features": 16, "kernel": 3},
        )
        save_checkpoint(file, network, info=info)
    else:
        file = file.with_suffix(".pth")
        torch.save(probe_network(name, classes=4).state_dict(), file)
    return file


@pytest.mark.parametrize("name", ["camnet_gap", "camnet_gmp", "resnet18", "squeezenet1_1", "vgg11"])
def test_new_classes_have_exact_maps_and_survive_saving(name: str, tmp_path: Path) -> None:
    side = None if name.startswith("camnet") else 96
    opened = OpenNetwork(LoadRequest(weights=weights(tmp_path, name), device="cpu", input_size=side))
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(3, opened.width)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    classifier = opened.set_classes(NAMES, weight, bias)
    assert classifier.identity.classes == NAMES
    assert opened.head.kind == ("gmp_linear" if name.endswith("gmp") else "gap_linear")
    pixels = draw_pixels(3)
    before = Explainer(classifier).explain(pixels, MapRequest(methods=("cam",), classes="all"))
    assert before.identity_error is not None
    assert before.identity_error < 1e-3

    opened.save(tmp_path / "new.safetensors")
    again = load_classifier(LoadRequest(weights=tmp_path / "new.safetensors", device="cpu"))
    assert again.identity.classes == NAMES
    assert again.preprocessing == classifier.preprocessing
    after = Explainer(again).explain(pixels, MapRequest(methods=("cam",), classes="all"))
    assert [score.logit for score in after.scores] == pytest.approx([score.logit for score in before.scores], abs=1e-4)
    for one, other in zip(before.maps, after.maps, strict=True):
        assert np.abs(one.values).max() > 1e-3
        assert other.values == pytest.approx(one.values, abs=1e-4)


def test_refitting_with_as_many_classes_changes_maps_and_identity(tmp_path: Path) -> None:
    opened = OpenNetwork(LoadRequest(weights=weights(tmp_path, "camnet_gap"), device="cpu"))
    rng = np.random.default_rng(0)
    first = opened.set_classes(NAMES, rng.normal(size=(3, 16)).astype(np.float32), np.zeros(3, np.float32))
    identity = first.identity
    weight = rng.normal(size=(3, 16)).astype(np.float32)
    second = opened.set_classes(NAMES, weight, np.zeros(3, np.float32))
    assert second.identity.weights_sha256 != identity.weights_sha256
    found = Explainer(second).explain(draw_pixels(0), MapRequest(methods=("cam",), classes=(1,)))
    assert found.identity_error is not None
    assert found.identity_error < 1e-4
    assert torch.equal(opened.head.weight, torch.from_numpy(weight))


def test_attention_has_no_place_for_new_classes() -> None:
    with pytest.raises(ModelError, match="attention"):
        OpenNetwork(LoadRequest(model="vit_b_32", device="cpu"))
