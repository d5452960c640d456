"""The four methods of the main job against a float64 brute force, on probe networks and on the real checkpoints."""

from __future__ import annotations

from pathlib import Path

import cam_reference as ref
import numpy as np
import pytest
import torch
import torchvision
from probe import draw_pixels, probe_network

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import Explanation, MapRequest
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing

NETWORKS = [
    "resnet18",
    "vgg11_bn",
    "densenet121",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "googlenet",
    "efficientnet_b0",
]
WITH_CAM = {"resnet18", "densenet121", "squeezenet1_1", "googlenet", "efficientnet_b0"}
SIDE = 96


def classifier(name: str, network: torch.nn.Module, *, side: int = SIDE, **options: object) -> Classifier:
    identity = ModelIdentity(name, "random", "", ())
    return Classifier(network, identity=identity, preprocessing=Preprocessing(input_size=(side, side), **options))


def values(found: Explanation, method: str, class_index: int) -> np.ndarray:
    return next(m.values for m in found.maps if m.method == method and m.class_index == class_index)


def one_hot(index: int, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(index), classes).double()


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_methods_and_cam(name: str) -> None:
    network = probe_network(name, side=SIDE)
    owner = classifier(name, network)
    pixels = draw_pixels(1)
    x, _ = owner.prepare(pixels)
    trunk, head = ref.split(name, network)
    methods = ("gradcam", "gradcampp", *(("cam",) if name in WITH_CAM else ()))
    found = Explainer(owner).explain(pixels, MapRequest(methods=methods, classes="top2"))
    a = ref.activations(trunk, x)
    for class_index in [s.index for s in found.scores[:2]]:
        g = ref.gradients(head, a, one_hot(class_index, 10))
        ref.assert_same_map(values(found, "gradcam", class_index), ref.grad_cam(a, g), a)
        ref.assert_same_map(values(found, "gradcampp", class_index), ref.grad_cam_pp(a, g), a)
        if name in WITH_CAM:
            expected = np.einsum("k,kij->ij", ref.class_weights(name, network)[class_index].numpy(), a)
            ref.assert_same_map(values(found, "cam", class_index), expected, a)
            np.testing.assert_allclose(values(found, "cam", class_index), expected, atol=1e-4 * np.abs(expected).max())
    assert (found.identity_error is not None) == (name in WITH_CAM)
    if found.identity_error is not None:
        assert found.identity_error < 1e-4


def check_score_cam(name: str, network: torch.nn.Module, pixels: np.ndarray, side: int) -> None:
    owner = classifier(name, network, side=side)
    x, _ = owner.prepare(pixels)
    trunk, head = ref.split(name, network)
    a = ref.activations(trunk, x)
    rows = ref.score_cam_logits(lambda inputs: head(trunk(inputs)), x, a)
    explainer = Explainer(owner)
    for variant in ("softmax", "probability"):
        request = MapRequest(("scorecam",), "top2", parameters={"scorecam": {"variant": variant}})
        found = explainer.explain(pixels, request, key="image")
        for class_index in [s.index for s in found.scores[:2]]:
            target = one_hot(class_index, rows.shape[1]).numpy()
            expected = ref.score_cam(a, rows, target, probability=variant == "probability")
            assert expected.max() > 0
            assert ref.difference(values(found, "scorecam", class_index), expected) < 1e-4


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1"])
def test_score_cam(name: str) -> None:
    check_score_cam(name, probe_network(name, side=96), draw_pixels(2), 96)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "densenet121", "googlenet", "efficientnet_b0"])
def test_score_cam_of_larger_networks(name: str) -> None:
    check_score_cam(name, probe_network(name, side=96), draw_pixels(2), 96)


@pytest.mark.data
@pytest.mark.parametrize("checkpoint", ["squeezenet1_1_imagenet.pth", "squeezenet1_1_skin9.pth"])
def test_real_checkpoints(data_dir: Path, checkpoint: str) -> None:
    from camviewer.images.decode import read_image

    state = torch.load(data_dir / "checkpoints" / checkpoint, weights_only=True)
    state = {key: value.float() for key, value in state.items()}
    classes = len(state["classifier.1.bias"])
    network = torchvision.models.squeezenet1_1(num_classes=classes)
    network.load_state_dict(state)
    network.eval()
    owner = classifier("squeezenet1_1", network, side=112)
    pixels = read_image(data_dir / "photos" / "coral_cat_720p.jpg")
    x, _ = owner.prepare(pixels)
    trunk, head = ref.split("squeezenet1_1", network)
    request = MapRequest(("gradcam", "gradcampp", "cam", "scorecam"), "top2")
    found = Explainer(owner).explain(pixels, request)
    a = ref.activations(trunk, x)
    rows = ref.score_cam_logits(lambda inputs: head(trunk(inputs)), x, a)
    for class_index in [s.index for s in found.scores[:2]]:
        target = one_hot(class_index, classes)
        g = ref.gradients(head, a, target)
        ref.assert_same_map(values(found, "gradcam", class_index), ref.grad_cam(a, g), a)
        ref.assert_same_map(values(found, "gradcampp", class_index), ref.grad_cam_pp(a, g), a)
        expected = np.einsum("k,kij->ij", ref.class_weights("squeezenet1_1", network)[class_index].numpy(), a)
        ref.assert_same_map(values(found, "cam", class_index), expected, a)
        ref.assert_same_map(values(found, "scorecam", class_index), ref.score_cam(a, rows, target.numpy()), a)
