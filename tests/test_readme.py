"""What the README and the pages show is pasted and run: every command line, every example."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLI = ".venv/bin/camviewer-cli "
patient = pytest.mark.timeout(1800)
"""A guard against a hang: how long a command takes is the machine's affair."""


def indented(text: str) -> list[str]:
    """Return the command lines of a page: its indented lines."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()]


def test_the_readme_shows_commands_of_known_kinds() -> None:
    lines = indented(README)
    assert lines[:2] == [
        "sh scripts/run.sh     # sets up what is missing and opens the window",
        "sh scripts/test.sh    # does the same for the tests and runs them all",
    ]
    assert len(lines) > 5
    assert all(line.startswith(CLI) for line in lines[2:])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a newcomer's folder is after the first start: the project's files, and a `.venv` that is up to date."""
    if os.name == "nt":
        pytest.skip("the README's commands are for a POSIX shell")
    folder = tmp_path / "camviewer"
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", "report"}:
            (folder / path.name).symlink_to(path)
    for name, command in {"python": "", "camviewer-cli": " -m camviewer.cli", "camviewer": " -m camviewer"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{command} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "activate").write_text("")
    wanted = subprocess.run("cat pyproject.toml constraints.txt | cksum", shell=True, cwd=ROOT, capture_output=True)
    for stamp in (".camviewer", ".camviewer-test"):
        (folder / ".venv" / stamp).write_bytes(wanted.stdout)
    return folder


def paste(line: str, folder: Path) -> str:
    """Run a line as it stands in the README, without a display; return what it said."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False, env=environment)
    said = f"{done.stdout[-3000:]}{done.stderr[-1500:]}"
    assert done.returncode == 0, f"{line}: {said}"
    return said


@patient
def test_the_first_command_works_through_the_demo(clone: Path) -> None:
    assert "report/demo/explain.json" in paste(indented(README)[0], clone)
    assert (clone / "report" / "demo" / "explain.json").is_file()
    assert (clone / "report" / "demo-coco").is_dir()


@pytest.mark.nightly
@patient
def test_the_second_command_finds_the_tests(clone: Path) -> None:
    """They are counted, since one of them is this one."""
    assert "tests collected" in paste(indented(README)[1].partition("#")[0] + "--collect-only -q", clone)


@patient
def test_the_commands_without_a_display_run_one_after_the_other(clone: Path) -> None:
    for line in indented(README)[2:]:
        paste(line, clone)
    assert (clone / "report" / "demo" / "explain.json").is_file()
    assert (clone / "report" / "demo-coco").is_dir()


@pytest.mark.nightly
@patient
def test_the_check_of_the_demo_says_what_the_readme_says(clone: Path) -> None:
    (line,) = re.findall(r"`(\.venv/bin/python [^`]+)`", README)
    said = paste(line, clone)
    (claimed,) = re.findall(
        r"right in (\S+) %, and .*?with the true box in (\S+) %; with random weights (\S+) %, a Gaussian .*? (\S+) %",
        README,
        re.DOTALL,
    )
    (measured,) = re.findall(
        r"all +(\S+)% +(\S+)% .*?random weights +(\S+)% .*?Gaussian, sigma 0\.25 +(\S+)% ", said, re.DOTALL
    )
    assert [float(figure) for figure in claimed] == [float(figure) for figure in measured], said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="desktop entries exist on Linux only")
def test_the_icon_of_the_readme_is_installed(clone: Path, isolated_home: Path) -> None:
    (line,) = re.findall(r"`(camviewer --[^`]+)`", README)
    paste(f".venv/bin/{line}", clone)
    assert list((isolated_home / ".local" / "share" / "applications").glob("*.desktop"))


@pytest.mark.parametrize("script", ["run.sh", "test.sh", "setup.sh"])
def test_the_scripts_are_plain_shell(script: str) -> None:
    shell = shutil.which("dash") or shutil.which("sh")
    if shell is None:
        pytest.skip("there is no shell")
    done = subprocess.run([shell, "-n", str(ROOT / "scripts" / script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_examples_of_the_python_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 5
    names: dict[str, object] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for number, example in enumerate(examples, 1):
            exec(compile(example, f"docs/python.md, example {number}", "exec"), names)
    assert "melanoma" in said.getvalue() and "IoU" in said.getvalue()
