"""Positions against numerical receptive fields, preprocessing against torchvision, names, and users' networks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812

from camviewer.catalogue.architectures import architecture
from camviewer.errors import CheckpointError, ModelError
from camviewer.models import architectures, load
from camviewer.models.labels import read_labels
from camviewer.models.load import class_names, load_classifier
from camviewer.models.outputs import pick_logits
from camviewer.models.preprocessing import from_transforms, prepare
from camviewer.models.records import LoadRequest, Preprocessing
from camviewer.models.trace import trace


class Odd(nn.Module):
    """Everything that moves cells: even and dilated kernels, ceil mode, a slice, padding, branches, a resize."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 2, (4, 3), stride=2, padding=(1, 0))
        self.b = nn.Conv2d(2, 2, 3, dilation=2, padding=1)
        self.c = nn.Conv2d(2, 2, 2)
        self.up = nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        x = F.avg_pool2d(F.pad(self.a(x), (1, 0, 2, 0)), 3, 2, ceil_mode=True)[:, :, 1:]
        x = self.b(x)
        x = torch.cat([self.c(x)[:, :1], F.avg_pool2d(x, 2, 1)[:, :1]], 1)
        self.last = self.up(x)
        return self.fc(self.last.mean((2, 3)))


def test_spans_are_the_numerical_receptive_field():
    network = Odd().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    traced = trace(network, input_size=(96, 80))
    spans = next(call for call in traced.calls if call.name == "up").node.spans
    image = torch.ones(1, 3, 80, 96, requires_grad=True)
    network(image)
    rows, columns = network.last.shape[2:]
    low, high = {}, {}
    for axis, size in (("y", rows), ("x", columns)):
        for cell in (size // 2, size // 2 + 1):  # one of each phase of the transposed convolution
            index = (cell, columns // 2) if axis == "y" else (rows // 2, cell)
            (gradient,) = torch.autograd.grad(network.last[0, :, *index].sum(), image, retain_graph=True)
            seen = gradient[0].abs().sum(0).sum(1 if axis == "y" else 0).nonzero()
            low[axis, cell], high[axis, cell] = int(seen.min()), int(seen.max())
            span = spans[axis]
            # A transposed convolution sees a whole number of cells: the span covers them on average over its phases.
            assert span.lo + span.step * cell - low[axis, cell] <= 0.01 + span.step
            assert abs((low[axis, cell] + high[axis, cell]) / 2 - (span.centre + span.step * cell)) <= span.step
        centres = [(low[axis, c] + high[axis, c]) / 2 - spans[axis].step * c for c in (size // 2, size // 2 + 1)]
        assert np.mean(centres) == pytest.approx(spans[axis].centre)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "squeezenet1_1", "shufflenet_v2_x0_5"])
def test_measured_fields_of_real_networks(name):
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):  # the maximum has a gradient at one place only
            module.forward = lambda x, m=module: F.avg_pool2d(x, m.kernel_size, m.stride, m.padding, m.ceil_mode)
        if isinstance(module, nn.ReLU):
            module.forward = lambda x: x
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    side = 1024
    layer = {"resnet18": "layer3", "googlenet": "inception4a", "squeezenet1_1": "features.7"}.get(name, "stage3.0")
    kept = {}
    network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.update(out=out))
    span = next(c for c in trace(network, input_size=(side, side)).calls if c.name == layer).node.spans["x"]
    image = torch.ones(1, 3, 16 * 8, side, requires_grad=True)
    network(image)
    cell = kept["out"].shape[3] // 2
    (gradient,) = torch.autograd.grad(kept["out"][0, :, :, cell].sum(), image)
    seen = gradient[0].abs().sum((0, 1)).nonzero()
    assert (int(seen.min()), int(seen.max())) == (span.lo + span.step * cell, span.hi + span.step * cell)


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0", "swin_t"])
@pytest.mark.parametrize("size", [(500, 333), (100, 180), (224, 224)])
def test_model_mode_is_torchvisions_transform_bit_for_bit(name, size):
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    got, plan = prepare(pixels, Preprocessing(resize_mode="model", **from_transforms(transforms)))
    assert torch.equal(got[0], transforms(Image.fromarray(pixels)))
    assert plan.input_size == (224, 224)


def test_letterbox_is_filled_with_the_mean_colour():
    got, _ = prepare(np.full((10, 40, 3), 255, np.uint8), Preprocessing(input_size=(40, 40), resize_mode="letterbox"))
    assert got[0, :, 0].abs().max() < 1e-6
    assert got[0, :, 20].min() > 1


def test_native_keeps_the_image():
    got, plan = prepare(np.zeros((11, 7, 3), np.uint8), Preprocessing(resize_mode="native"))
    assert got.shape == (1, 3, 11, 7)
    assert plan.input_size == (7, 11)


LABELS = {
    "a.txt": ("x, with comma\ny\n\nz\n", ("x, with comma", "y", "class 2", "z")),
    "b.txt": ("0: x\n1: y\n", ("x", "y")),
    "c.csv": ("name,index\nx,1\ny,0\n", ("y", "x")),
    "d.csv": ("x\ny\n", ("x", "y")),
    "e.json": ('["x", "y"]', ("x", "y")),
    "f.json": ('{"x": 1, "y": 0}', ("y", "x")),
    "g.json": ('{"0": ["n1", "x"], "1": ["n2", "y"]}', ("x", "y")),
    "h.json": ('{"id2label": {"1": "y", "0": "x"}}', ("x", "y")),
}


@pytest.mark.parametrize("file", LABELS)
def test_labels(tmp_path, file):
    text, names = LABELS[file]
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / file) == names


@pytest.mark.parametrize(("file", "text"), [("a.txt", ""), ("b.json", "{"), ("c.json", '{"0": "x", "2": "y"}')])
def test_labels_that_are_none(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    with pytest.raises(CheckpointError):
        read_labels(tmp_path / file)


def test_names_are_never_shifted(tmp_path):
    names, warnings = class_names(3, inside=("a", "b"))
    assert names == ("class 0", "class 1", "class 2")
    assert "names 2 classes, but the network has 3 outputs" in warnings[0]
    assert class_names(1, inside=("benign", "malignant"))[0] == ("malignant",)
    weights = tmp_path / "w.pth"
    (tmp_path / "w.labels.txt").write_text("p\nq\n")
    assert class_names(2, file=weights, inside=("a", "b"))[0] == ("p", "q")


SOURCE = """
import pathlib, torch
pathlib.Path(__file__).with_name("ran").touch()
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.fc = torch.nn.Linear(4, 1)
    def forward(self, x):
        a = torch.relu(self.conv(x))
        return {"features": a.flatten(1), "logits": self.fc(a.amax((2, 3)))}
def build():
    return Net()
"""


def test_users_code_runs_only_with_consent(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    (tmp_path / "net.json").write_text(json.dumps({"classes": ["no", "yes"], "input_size": 32, "mean": [0.5]}))
    with pytest.raises(ModelError, match=r"net.py is a program.*SHA-256 [0-9a-f]{64}"):
        load_classifier(LoadRequest(model=str(path)))
    assert not (tmp_path / "ran").exists()
    classifier = load_classifier(LoadRequest(model=str(path), trust_code=True, device="cpu"))
    assert classifier.identity.classes == ("yes",)
    assert classifier.identity.activation == "sigmoid"
    assert classifier.preprocessing.channels == 1
    assert (classifier.head.kind, classifier.head.shown) == ("gmp_linear", "conv (+ReLU)")
    path.write_text("def build():\n    raise ValueError('no luck')\n")
    with pytest.raises(ModelError, match=r"net.py failed: ValueError: no luck"):
        load_classifier(LoadRequest(model=str(path), trust_code=True))


def test_without_weights_the_network_is_random_and_says_so():
    first, second = (load_classifier(LoadRequest(model="squeezenet1_1", device="cpu")) for _ in range(2))
    assert first.identity.weights == "random"
    assert "random weights (seed 0)" in first.warnings[0]
    image = torch.randn(1, 3, 224, 224)
    assert torch.equal(first.logits(image), second.logits(image))


def test_fixed_sizes_are_said():
    with pytest.raises(ModelError, match="224 x 224 pixels only"):
        load_classifier(LoadRequest(model="vit_b_32", input_size=256, device="cpu"))


def test_a_vit_takes_the_size_its_weights_were_made_for(tmp_path, monkeypatch):
    assert architectures.build("vit_b_32", architectures.Plan(2)).image_size == 224
    assert architectures._arguments(architecture("vit_h_14"), architectures.Plan()) == {"image_size": 518}
    path = tmp_path / "small.pth"
    torch.save(torchvision.models.vit_b_32(num_classes=3).state_dict(), path)
    monkeypatch.setattr(load, "from_transforms", lambda entry: from_transforms(entry) | {"input_size": (518, 518)})
    assert load_classifier(LoadRequest(weights=path, device="cpu")).preprocessing.input_size == (224, 224)


def test_logits_are_picked():
    logits, other = torch.zeros(2, 3), torch.ones(2, 5)
    assert pick_logits({"features": other, "logits": logits}) is logits
    assert pick_logits((logits, other)) is logits
    assert pick_logits([torch.zeros(2, 3, 4, 4), logits]) is logits
    assert pick_logits(torch.zeros(4)).shape == (4, 1)
    assert pick_logits(torch.zeros(2, 3, 7, 7)) is None


def test_real_checkpoints(data_dir):
    folder = data_dir / "checkpoints"
    for model in (None, "squeezenet1_1"):
        loaded = load_classifier(
            LoadRequest(
                model=model,
                weights=folder / "squeezenet1_1_skin9.pth",
                labels=folder / "skin9_labels.txt",
                device="cpu",
            )
        )
        assert loaded.identity.architecture == "squeezenet1_1"
        assert len(loaded.identity.classes) == 9
        assert loaded.head.kind == "conv_gap"
