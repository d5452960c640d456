"""What cannot be loaded, or has no such layer, is one sentence that says what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from probe import probe_network
from safetensors.torch import save_file
from torch import Tensor, nn

from camviewer.catalogue.architectures import architecture
from camviewer.errors import CheckpointError, LayerError, ModelError
from camviewer.models import architectures, checkpoint
from camviewer.models.classifier import choose_device
from camviewer.models.labels import names_of, read_labels
from camviewer.models.load import load_classifier
from camviewer.models.outputs import pick_logits
from camviewer.models.records import LoadRequest
from camviewer.models.user_network import read_sidecar


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (LoadRequest(), "There is no model"),
        (LoadRequest(model="resnet18", resize_mode="stretch"), "no resize mode 'stretch'"),  # type: ignore[arg-type]
        (LoadRequest(model="resnet18", input_size=0), "An input of 0 pixels is not possible"),
        (LoadRequest(model="resnet18", input_size=10**6), "is not possible. Choose 1 to"),
        (LoadRequest(model="resnet18", std=(0.2, 0.0, 0.2)), "A standard deviation of 0"),
        (LoadRequest(model="resnet18", device="cuda:99"), "This machine has no device 'cuda:99'"),
        (LoadRequest(model="vit_b_16", input_size=64), "takes inputs of 224 x 224 pixels only"),
        (LoadRequest(model="timm:no_such_network"), "timm"),
    ],
)
def test_a_request_that_cannot_be(request_: LoadRequest, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_classifier(request_)
    assert "\n" not in caught.value.message


def test_a_device_of_another_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="There is no device 'abacus'"):
        choose_device("abacus")


def save(path: Path, state: dict[str, Tensor], **said: object) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    if said:
        path.with_suffix(".json").write_text(json.dumps(said))
    return path


def test_weights_given_as_the_model_are_weights(tmp_path: Path) -> None:
    path = save(tmp_path / "net.safetensors", probe_network("squeezenet1_1", classes=3).state_dict())
    assert load_classifier(LoadRequest(model=str(path), device="cpu")).identity.weights == path.name


def test_weights_of_nothing_known(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.safetensors", {"weight": torch.zeros(2, 3)})
    with pytest.raises(CheckpointError, match=r"fits none of the \d+ known architectures"):
        load_classifier(LoadRequest(weights=path))
    save(tmp_path / "mine.safetensors", {"stem.0.weight": torch.zeros(4, 3, 3, 3)}, arch="camnet")
    with pytest.raises(CheckpointError, match="holds no class layer"):
        load_classifier(LoadRequest(weights=path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: {name: t for name, t in state.items() if not name.startswith("fc.")}, "holds no class layer"),
        (lambda state: {**state, "conv1.weight": torch.zeros(64, 5, 7, 7)}, "images of 5 channels"),
        (lambda state: {**state, "more.weight": torch.zeros(1)}, r"unexpected: more\.weight"),
        (lambda state: {**state, "bn1.weight": torch.zeros(3)}, "of another shape: bn1.weight is 3, not 64"),
    ],
)
def test_weights_that_do_not_fit_name_what_is_wrong(tmp_path: Path, change, words: str) -> None:
    path = save(tmp_path / "resnet.safetensors", change(probe_network("resnet18", classes=3).state_dict()))
    with pytest.raises(CheckpointError, match=words):
        load_classifier(LoadRequest(model="resnet18", weights=path, device="cpu"))


def test_complex_numbers_are_no_weights(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    state = {"weight": torch.zeros(2, 2, dtype=torch.complex64), "bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match="complex numbers"):
        architectures.compare(network, state, file="net.pth", title="Linear")


def test_a_maximum_needs_a_pooling_layer() -> None:
    with pytest.raises(ModelError, match="no global pooling layer"):
        architectures.set_pooling(nn.Sequential(nn.Linear(2, 2)), "gmp")
    with pytest.raises(ModelError, match="has no such option"):
        architectures.build("camnet", architectures.Plan(2, options=(("wings", 2),)))


def test_the_pooling_becomes_what_the_head_says_and_stays_where_it_is_that() -> None:
    network = probe_network("resnet18")
    pooling = network.avgpool
    architectures.set_pooling(network, "gap")
    assert network.avgpool is pooling
    architectures.set_pooling(network, "gmp")
    assert isinstance(network.avgpool, nn.AdaptiveMaxPool2d)
    x = torch.randn(1, 3, 5, 5)
    assert torch.equal(network.avgpool(x).flatten(1), x.amax((2, 3)))


def test_a_file_that_the_system_does_not_give_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(b"weights")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint, "file_sha256", refuse)
    with pytest.raises(CheckpointError, match=r"net\.pth cannot be read: Permission denied\."):
        load_classifier(LoadRequest(weights=file))


def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.eye(3).to_sparse(), "fc.bias": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"fc\.weight in a form that is not plain numbers"):
        load_classifier(LoadRequest(weights=tmp_path / "net.pth"))


@pytest.mark.parametrize(
    ("said", "size"),
    [("224", (224, 224)), ([3, 96, 128], (128, 96)), ("[320, 240]", (320, 240)), ("{broken", None), (True, None),
     ([0, 5], None), ("[1, 2, 3, 4]", None)],
)  # fmt: skip
def test_the_input_size_of_a_checkpoint_is_read_in_any_dress(said: object, size: tuple[int, int] | None) -> None:
    """A number, height and width as timm has them, JSON text; what cannot be a size is not one."""
    assert checkpoint.parse_info({"input_size": said}).input_size == size


def test_a_stem_may_take_other_channels_and_a_head_lie_deeper() -> None:
    spec = architecture("resnet18")
    state = probe_network("resnet18", classes=3).state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :1]
    state["fc.1.weight"], state["fc.1.bias"] = state.pop("fc.weight"), state.pop("fc.bias")
    plan = architectures.plan_for(spec, state, file="net.pth")
    assert (plan.outputs, plan.channels, plan.replaced) == (3, 1, ("fc", "1"))
    network = architectures.build("resnet18", plan)
    architectures.load_weights(network, state, file="net.pth", title=spec.title)
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 3)


NETWORK = """
import torch
from torch import nn

class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d({channels}, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        self.idle = nn.Identity()

    def forward(self, x):
        return self.inner(x)

def build():
    torch.manual_seed(0)
    return Wrapped()
"""


def test_weights_without_the_prefix_of_the_users_network_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NETWORK.format(channels=3))
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    weights = save(tmp_path / "w.safetensors", inner.state_dict())
    request = LoadRequest(model=str(path), weights=weights, trust_code=True, input_size=32, device="cpu")
    loaded = load_classifier(request).network.state_dict()
    assert all(torch.equal(loaded[f"inner.{name}"], tensor) for name, tensor in inner.state_dict().items())
    save(weights, {**inner.state_dict(), "more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"unexpected: inner\.more"):
        load_classifier(request)


def test_layers_that_do_not_run_or_do_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NETWORK.format(channels=3))
    request = LoadRequest(model=str(path), trust_code=True, input_size=32, device="cpu")
    classifier = load_classifier(request)
    assert any("build() gave it" in sentence for sentence in classifier.warnings)
    with pytest.raises(LayerError, match=r"idle cannot be used\. It does not run"):
        classifier.tap("idle")
    with pytest.raises(LayerError, match="There is no layer 'nowhere'"):
        classifier.tap("nowhere")
    with pytest.raises(ModelError, match=r"cannot take an input of 1 x 1 pixels\. Use its own size, 32 x 32"):
        classifier.traced((1, 1))
    with pytest.raises(ModelError, match="1 x 1 pixels"):
        classifier.logits(torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NETWORK.format(channels=7), "takes images of 7 channels"),
        ("x = 1", "has no function build"),
        ("def build(): return 3", "returned int, not a torch.nn.Module"),
        ("raise SystemExit('no')", "failed: SystemExit: no"),
        ("def build(:", "failed: SyntaxError"),
        ("from torch import nn\ndef build(): return nn.Conv2d(3, 2, 3)", "gives no class scores"),
        ("from torch import nn\ndef build(): return nn.Linear(3, 2)", "cannot run on an input of 32 x 32"),
    ],
)
def test_a_users_file_that_gives_no_classifier(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(text)
    with pytest.raises(ModelError, match=words):
        load_classifier(LoadRequest(model=str(path), trust_code=True, input_size=32, device="cpu"))


def test_a_users_file_and_published_weights_do_not_go_together(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    with pytest.raises(ModelError, match="cannot be read"):
        load_classifier(LoadRequest(model=str(path), trust_code=True))
    path.write_text(NETWORK.format(channels=3))
    weights = "torchvision:ResNet18_Weights.IMAGENET1K_V1"
    with pytest.raises(ModelError, match="Published weights belong to torchvision's own"):
        load_classifier(LoadRequest(model=str(path), weights=weights, trust_code=True))


def test_the_file_beside_the_weights_must_be_an_object(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("[1]")
    with pytest.raises(ModelError, match="must be an object"):
        read_sidecar(tmp_path / "net.pth")
    (tmp_path / "net.json").write_text("{")
    with pytest.raises(ModelError, match="no valid JSON"):
        read_sidecar(tmp_path / "net.pth")


def test_values_that_are_not_numbers_are_said(tmp_path: Path) -> None:
    state = probe_network("squeezenet1_1", classes=3).state_dict()
    state["features.0.bias"][0] = float("nan")
    classifier = load_classifier(LoadRequest(weights=save(tmp_path / "n.safetensors", state), device="cpu"))
    assert any("not numbers" in sentence for sentence in classifier.warnings)


@dataclass
class Answer:
    extra: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    "output",
    [
        {"features": torch.zeros(2, 9), "logits": torch.ones(2, 3)},
        Answer(torch.zeros(2, 9), torch.ones(2, 3)),
        (torch.zeros(2, 9, dtype=torch.long), [torch.ones(2, 3, 1, 1)]),
        torch.ones(2, 3, 1, 1),
    ],
)
def test_scores_are_found_in_what_a_network_returns(output: object) -> None:
    found = pick_logits(output)
    assert found is not None and torch.equal(found, torch.ones(2, 3))


def test_one_logit_an_image_and_none_at_all() -> None:
    found = pick_logits(torch.ones(4))
    assert found is not None and found.shape == (4, 1)
    for nothing in (torch.ones(4, dtype=torch.long), torch.ones(2, 3, 5, 5), "text", {}, None):
        assert pick_logits(nothing) is None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"classes": ["a", " "]}, ("a", "class 1")),
        ({"0": ["n01", "tench"], "1": ["n02", "shark"]}, ("tench", "shark")),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], ("a", "b")),
        ([{"id": 1}], None),
        ({"a": True}, None),
        ({"a": 0, "b": 2}, None),
        ({"labels": 3, "a": 0}, None),
        ([1, 2], None),
        ("ab", None),
    ],
)
def test_names_in_json(value: object, names: tuple[str, ...] | None) -> None:
    assert names_of(value) == names


def test_lists_of_names_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_labels(tmp_path / "absent.txt")
    for name, content, words in (
        ("large.txt", b"a\n" * (2 * 2**20 + 1), "too large"),
        ("empty.csv", b"\n\n", "holds no class names"),
        ("number.csv", b"index\n0\n1\n", "holds no class names"),
        ("field.csv", b'"' + b"a" * 200_000 + b'"\n', "cannot be read as a table"),
        ("deep.json", b"[" * 100_000, "no valid JSON"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=words):
            read_labels(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.txt", "naïve\nb\n\n".encode("utf-16")),
        ("old.txt", "naïve\nb".encode("cp1252")),
        ("numbered.txt", "0: naïve\n1: b\n".encode()),
        ("order.csv", "id;name\n1;b\n0;naïve\n".encode()),
        ("plain.tsv", "1\tb\n0\tnaïve\n".encode()),
    ],
)
def test_lists_of_names_in_other_dress(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_labels(tmp_path / name) == ("naïve", "b")
