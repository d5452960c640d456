"""The temperature of a project's network: fitted, kept, shown and exported; logits stay as they are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from labelled import RUN, labelled_project

from camviewer import cli
from camviewer.project.store import Project
from camviewer.project.temperature import Temperature, network_of, networks, temperatures, tempered


def test_the_command_fits_and_keeps(tmp_path: Path, capsys) -> None:
    path = labelled_project(tmp_path)
    with Project.open(path) as project:
        before = [record.top for record in project.images()]
    assert cli.main(["calibrate", str(path), "--dry-run"]) == 0
    with Project.open(path) as project:
        assert temperatures(project) == {}
    capsys.readouterr()
    assert cli.main(["calibrate", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 80
    assert 1.5 < told["temperature"] < 6
    with Project.open(path) as project:
        (found,) = temperatures(project).items()
        assert found[0] == network_of(RUN) == (told["architecture"], told["weights_sha256"])
        assert found[1].value == told["temperature"]
        assert [record.top for record in project.images()] == before  # logits and probabilities stay raw
        assert set(networks(project).values()) == {network_of(RUN)}


def test_exports_write_what_the_window_shows(tmp_path: Path) -> None:
    path = labelled_project(tmp_path)
    assert cli.main(["calibrate", str(path)]) == 0
    arguments = ["export", str(path), "--format", "csv", "--status", "all", "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    with Project.open(path) as project:
        (temperature,) = temperatures(project).values()
        expected = {
            record.path.as_posix(): tempered(record.top, temperature.value)[0][2] for record in project.images()
        }
    (table,) = (tmp_path / "out").glob("*.csv")
    with table.open(newline="") as stream:
        shown = {row["file"]: float(row["probability"]) for row in csv.DictReader(stream)}
    assert shown == pytest.approx(expected, abs=1e-5)
    manifest = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert str(temperature.value) in json.dumps(manifest)
    arguments = ["export", str(path), "--format", "report", "--status", "all", "--out", str(tmp_path / "report")]
    assert cli.main(arguments) == 0
    page = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "report").glob("*.html"))
    assert page.count(f"temperature {temperature.value:.2f}") == 80
    assert "uncalibrated" not in page


def test_too_few_labels_say_how_many(tmp_path: Path, capsys) -> None:
    path = labelled_project(tmp_path, labelled=12)
    assert cli.main(["calibrate", str(path)]) == 2
    assert "12 images have a label that the model knows. A temperature needs 50." in capsys.readouterr().err
    with Project.open(path) as project:
        assert temperatures(project) == {}


def test_damaged_temperatures_are_none(tmp_path: Path) -> None:
    with Project.create(tmp_path / "a.camviewer") as project:
        for text in ("[", "{}", "[1]", '[{"value": 2}]', '[{"architecture": "a", "weights_sha256": "", "x": 1}]'):
            project.set_meta("temperatures", text)
            assert temperatures(project) == {}


def test_tempered_keeps_order_and_logits() -> None:
    top = ((2, 4.0, 0.8), (0, 2.0, 0.15), (1, -1.0, 0.05))
    found = tempered(top, 2.0)
    weights = np.exp(np.array([4.0, 2.0, -1.0]) / 2)
    assert [entry[:2] for entry in found] == [entry[:2] for entry in top]
    assert [entry[2] for entry in found] == pytest.approx(weights / weights.sum(), rel=1e-12)
    assert tempered((), 2.0) == ()
    assert Temperature(2.0, 50, 0.2, 0.1).value == 2.0
