"""``camviewer-cli layers`` and ``check``, and the command line as a whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from camviewer import __version__, cli
from camviewer.catalogue.architectures import ARCHITECTURES
from camviewer.catalogue.methods import METHODS


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main(list(map(str, arguments)))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_layers_names_the_suggested_one(capsys, checkpoint):
    status, said, _ = run(capsys, "layers", "--weights", checkpoint)
    assert status == 0
    assert said.strip().splitlines()[-1] == "Suggested: features"
    (row,) = [line for line in said.splitlines() if line.startswith("features ")]
    assert "512 x 13 x 13" in row and "suggested" in row
    assert "  ms  " in said.splitlines()[3]


def test_layers_as_json_holds_what_the_table_shows(capsys, checkpoint):
    status, said, _ = run(capsys, "layers", "--model", "squeezenet1_1", "--weights", checkpoint, "--json")
    assert status == 0
    data = json.loads(said)
    assert data["identity"]["architecture"] == "squeezenet1_1"
    assert data["suggested"] == "features"
    assert len(data["identity"]["classes"]) == 4
    layers = {layer["name"]: layer for layer in data["layers"]}
    assert layers["features"]["fit"] == "suggested"
    assert layers["features"]["positions"] == {"start": [15.0, 15.0], "step": [16.0, 16.0]}
    assert layers["features"]["seconds"] >= layers["features.0"]["seconds"] > 0
    assert layers["classifier.3"]["fit"] == "unusable"
    assert layers["classifier.3"]["reason"]


def test_layers_with_random_weights_says_so(capsys):
    status, said, errors = run(capsys, "layers", "--model", "squeezenet1_1")
    assert status == 0
    assert "random" in errors.lower()
    assert "Suggested: features" in said


@pytest.mark.parametrize("command", ["check", "--check"])
def test_check_prints_versions_devices_and_folders(capsys, command):
    status, said, errors = run(capsys, command)
    assert (status, errors) == (0, "")
    for word in ("camviewer", "Python", "torch", "PySide6", "Device", "Qt platform", "Memory", "Settings", "Cache"):
        assert word in said
    assert "All is well." in said


def test_check_leaves_no_folder_behind(capsys, isolated_home):
    before = sorted(isolated_home.rglob("*"))
    run(capsys, "check")
    fonts = isolated_home / ".cache" / "fontconfig"  # the font library's, where the system keeps no cache of its fonts
    left = [path for path in isolated_home.rglob("*") if path not in fonts.parents and not path.is_relative_to(fonts)]
    assert sorted(left) == before


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in cli.SUBCOMMANDS)])
def test_help_needs_no_torch(arguments):
    code = "import sys; from camviewer import cli; s = cli.main(sys.argv[1:]); sys.exit(s or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: camviewer-cli" in done.stdout


def test_help_is_built_from_the_catalogue(capsys):
    _, said, _ = run(capsys, "explain", "--help")
    for spec in METHODS:
        assert spec.name in said
        for parameter in spec.parameters:
            assert f"{spec.name}.{parameter.name}" in said
    _, said, _ = run(capsys, "layers", "--help")
    for architecture in ARCHITECTURES:
        assert architecture.name in said


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"camviewer {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["frob"], ["--frob"], ["explain"], ["layers"], ["layers", "x"], ["export"]])
def test_wrong_use_is_one_sentence_and_status_2(capsys, arguments):
    status, said, errors = run(capsys, *arguments)
    assert (status, said) == (2, "")
    assert len(errors.strip().splitlines()) == 1


def test_a_reader_that_leaves_is_no_error(checkpoint):
    command = f"{sys.executable} -m camviewer layers --weights {checkpoint} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("squeezenet1_1")
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_an_unforeseen_error_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("camviewer.commands.check.self_check", lambda: 1 / 0)
    status, _, errors = run(capsys, "check")
    assert status == 1
    assert "ZeroDivisionError" in errors and len(errors.strip().splitlines()) == 1
