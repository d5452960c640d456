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
    for name, command in {"python": "", "camviewer-cli": " -m camviewer.cli"}.items():
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


def test_the_readmes_commands_run_one_after_the_other(clone: Path) -> None:
    first, _, *others = indented(README)
    assert "report/demo/explain.json" in paste(first, clone)
    assert (clone / "report" / "demo-coco").is_dir()
    shutil.rmtree(clone / "report")
    for line in others:
        paste(line, clone)
    assert (clone / "report" / "demo" / "explain.json").is_file()
    assert (clone / "report" / "demo-coco").is_dir()


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_long_commands_of_the_readme_run(clone: Path) -> None:
    """Its second line with the tests counted instead of run, and the check of the demo that stands in a sentence."""
    assert "tests collected" in paste(indented(README)[1].partition("#")[0] + "--collect-only -q", clone)
    (inline,) = re.findall(r"`(\.venv/bin/python [^`]+)`", README)
    said = paste(inline, clone)
    assert "99.5 %" in said and "93.0 %" in said, said


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
