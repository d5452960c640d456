"""The four methods of the main job against a float64 brute force, on probe networks and on the real checkpoints."""

from __future__ import annotations

import copy
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
    explainer = Explainer(owner)
    request = MapRequest(methods=methods, classes="top2")
    first = explainer.explain(pixels, request)
    explainer.explain(draw_pixels(2), request)
    # By now the faster copy runs, where it may.
    for found in (first, explainer.explain(pixels, request)):
        check_gradient_methods(name, network, found, ref.activations(trunk, x), head)


def check_gradient_methods(
    name: str, network: torch.nn.Module, found: Explanation, a: np.ndarray, head: ref.Part
) -> None:
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


def brute_force(network: torch.nn.Module, x: torch.Tensor, layer: str, class_index: int) -> dict[str, np.ndarray]:
    """Return maps at an inner layer, by a hook and autograd in the network's own precision, formulas in float64."""
    kept: list[torch.Tensor] = []

    def keep(_m: object, _i: object, out: torch.Tensor) -> torch.Tensor:
        kept.append(out.detach().clone().requires_grad_())
        return kept[0]

    handle = network.get_submodule(layer).register_forward_hook(keep)
    with torch.enable_grad():
        network(x)[0, class_index].backward()
    handle.remove()
    a, g = kept[0].detach()[0].double().numpy(), kept[0].grad[0].double().numpy()
    return {"gradcam": ref.grad_cam(a, g), "gradcampp": ref.grad_cam_pp(a, g), "layercam": ref.layer_cam(a, g)}


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer3"), ("squeezenet1_1", "features.9")])
def test_inner_layers_are_as_exact_as_float32(name: str, layer: str) -> None:
    """A ReLU whose input lies within rounding of 0 may open in float32 and stay shut in float64.

    Its whole entry of the gradient is there or not, so any float32 computation is off by some 1e-3 on such an image.
    The maps have to equal float32's own on every image, and float64's wherever float32's own do.
    """
    network = probe_network(name, side=SIDE)
    owner = classifier(name, network)
    plain = copy.deepcopy(network)
    for module in plain.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    double = copy.deepcopy(plain).double()
    explainer = Explainer(owner)
    near = 0
    for seed in range(5):
        pixels = draw_pixels(seed)
        found = explainer.explain(pixels, MapRequest(("gradcam", "gradcampp", "layercam"), layers=(layer,)))
        x, _ = owner.prepare(pixels)
        class_index = found.scores[0].index
        single = brute_force(plain, x, layer, class_index)
        exact = brute_force(double, x.double(), layer, class_index)
        for m in found.maps:
            assert np.ptp(m.values) > 0
            assert ref.difference(m.values, single[m.method]) < 1e-5
        bound = max(ref.difference(single[method], exact[method]) for method in exact)
        if bound < 1e-4:
            near += 1
            assert max(ref.difference(m.values, exact[m.method]) for m in found.maps) < 1e-4
    assert near >= 3


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
            ref.assert_same_map(values(found, "scorecam", class_index), expected, a)


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
