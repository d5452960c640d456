"""What commands report at the end: results on standard output, what went wrong on the other, and their status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from camviewer import cli
from camviewer.paths import resources_dir

DEMO = resources_dir() / "demo"
MODEL = ["--model", str(DEMO / "model.safetensors")]


@pytest.fixture
def here(explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(explained, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def few(*more: str) -> list[str]:
    return ["few-labels", "images", "--marks", "marks.csv", *MODEL, "--out", "new.safetensors", "--no-cache", *more]


def test_a_table_that_cannot_be_written_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(few("--predictions", "nowhere/table.csv")) == 1
    assert "nowhere/table.csv cannot be written: No such file or directory." in capsys.readouterr().err


def test_many_broken_pictures_are_counted_and_not_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        (here / "images" / f"broken_{number:02d}.jpg").write_bytes(b"\xff\xd8\xff")
    assert cli.main(few("--predictions", "table.csv")) == 1
    told = capsys.readouterr()
    assert told.err.count("cannot be read. The file") < 12
    assert "more that cannot be read." in told.err
    assert "Two labels a class or more would tell how good it is." in told.out
    assert len((here / "table.csv").read_text().splitlines()) == 1 + 4


def test_an_evaluation_names_what_could_not_be_measured(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = here / "truth"
    shutil.copytree(DEMO / "masks", truth)
    Image.new("L", (3, 3)).save(truth / "naevus_01_segmentation.png")
    words = ["evaluate", "results", "--truth", "truth", "--attention"]
    assert cli.main(words) == 1
    told = capsys.readouterr()
    assert "naevus_01" in told.err
    assert told.out.startswith("3 images measured")
    assert "centre Gaussian" in told.out
    assert cli.main([*words, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["images"], len(report["problems"])) == (1, 3, 1)


def test_a_chosen_threshold_is_said_as_options_and_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["choose-threshold", "results", "--truth", str(DEMO / "masks")]
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 images with a true or reviewed mask.")
    assert "--method gradcam --layer" in told
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 4


def test_a_trial_export_prints_its_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "results", "--format", "masks", "--out", "new", "--dry-run", "--groups", "marks.csv:label"]
    assert cli.main([*words, "--split", "0.5,0.5"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.split() == ["File", "or", "folder", "Images", "Regions", "Size", "Note"]
    assert len(rest) > 2
    assert not (here / "new").exists()


def test_layers_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["layers", *MODEL]) == 0
    told = capsys.readouterr().out
    assert "CAM is exact at" in told and "Suggested:" in told
    assert cli.main(["layers", *MODEL, "--json"]) == 0
