"""What the options take and refuse: values, lists, pairs; every refusal is one sentence and status 2."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from camviewer import cli
from camviewer.commands import arguments
from camviewer.errors import UsageError


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (arguments.whole, "3", 3),
        (arguments.device, "cuda:1", "cuda:1"),
        (arguments.weights, "torchvision:X", "torchvision:X"),
        (arguments.weights, "net.pth", Path("net.pth")),
        (arguments.seed, "0", 0),
        (arguments.seed, str(2**63 - 1), 2**63 - 1),
        (arguments.fraction, "1", 1.0),
        (arguments.numbers, "0.5,-1", (0.5, -1.0)),
        (arguments.deviations, "0.2,0.3", (0.2, 0.3)),
        (arguments.classes, "predicted", "predicted"),
        (arguments.classes, "top3", "top3"),
        (arguments.classes, "4,1,4", (4, 1)),
        (arguments.target, "contrast:2", "contrast:2"),
        (arguments.split, "0.8,0.1,0.1", (0.8, 0.1, 0.1)),
    ],
)
def test_a_value_is_read(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (arguments.whole, "0"),
        (arguments.whole, "many"),
        (arguments.device, "gpu"),
        (arguments.device, "cuda:"),
        (arguments.seed, "-1"),
        (arguments.seed, str(2**63)),
        (arguments.seed, "x"),
        (arguments.fraction, "1.01"),
        (arguments.fraction, "nan"),
        (arguments.fraction, "half"),
        (arguments.numbers, "1,,2"),
        (arguments.numbers, "inf"),
        (arguments.deviations, "0.1,0"),
        (arguments.classes, "top0"),
        (arguments.classes, "-1,2"),
        (arguments.classes, "melanoma"),
        (arguments.target, "contrast:x"),
        (arguments.split, "1"),
        (arguments.split, "0.5,0.4"),
        (arguments.split, "1.5,-0.5"),
    ],
)
def test_what_is_no_such_value_is_shown_back(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"needs|contrast") as caught:
        parse(text)
    assert text in str(caught.value)


def test_new_names_need_an_old_one() -> None:
    assert arguments.name_map(["a=b", "c="]) == {"a": "b", "c": ""}
    for wrong in ("a", "=b"):
        with pytest.raises(UsageError, match="--map needs OLD=NEW"):
            arguments.name_map([wrong])


def test_parameters_of_a_refinement_are_read_with_and_without_its_name() -> None:
    name, parameter = next((spec.name, spec.parameters[0]) for spec in arguments.REFINEMENTS if spec.parameters)
    value = arguments.refinement_parameters(name, [f"{parameter.name}={parameter.default}"])
    assert value == arguments.refinement_parameters(name, [f"{name}.{parameter.name}={parameter.default}"])
    assert set(value) == {parameter.name}
    for wrong in (parameter.name, "=1"):
        with pytest.raises(UsageError, match="--refine-param needs NAME=VALUE"):
            arguments.refinement_parameters(name, [wrong])
    with pytest.raises(UsageError, match="nonsense"):
        arguments.refinement_parameters(name, ["nonsense=1"])


def test_a_checkpoint_may_be_named_as_the_model(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    arguments.add_model_options(parser)
    for name, expected in {"net.pth": (None, tmp_path / "net.pth"), "net.py": (str(tmp_path / "net.py"), None)}.items():
        (tmp_path / name).touch()
        request = arguments.load_request(parser.parse_args(["--model", str(tmp_path / name)]))
        assert (request.model, request.weights) == expected
    with pytest.raises(UsageError, match="Name a model"):
        arguments.load_request(parser.parse_args([]))


EXPLAIN = ["explain", ".", "--out", "out", "--model", "resnet18"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*EXPLAIN, "--method", " , "], "expected a name"),
        ([*EXPLAIN, "--method", "gradcam,camgrad"], "there is no 'camgrad'"),
        ([*EXPLAIN, "--param", "scorecam"], "--param needs METHOD.NAME=VALUE"),
        ([*EXPLAIN, "--param", "scorecam.channels=3"], "which --method does not name"),
        ([*EXPLAIN, "--workers", "2"], "Add --engine ray"),
        (["export", ".", "--format", "masks", "--out", "out", "--param", "x"], "--param needs NAME=VALUE"),
        (["export", ".", "--format", "masks", "--out", "out", "--param", "x=1"], "has no parameter 'x'"),
        (["export", ".", "--format", "masks", "--out", "out", "--groups", "file.csv"], "needs FILE:COLUMN"),
        (["guide", ".", "--model", "resnet18", "--out", "out", "--validation", "1"], "--validation needs a share"),
        (["choose-threshold", ".", "--apply"], "--apply changes a project"),
        (["learn-masks", ".", "--out", "o", "--only-draw"], "--only-draw needs the network"),
        (["learn-masks", ".", "--out", "o", "--reviewed", "r"], "are for explain folders"),
        (["compare", "nowhere", "--images", "x", "--limit", "-1"], "needs a whole number of at least 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.strip().splitlines()) == 1, told
    assert not list(tmp_path.iterdir())
