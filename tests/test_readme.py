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


def test_the_readmes_commands_run_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "resources").symlink_to(ROOT / "resources", target_is_directory=True)
    for line in indented(README)[2:]:
        command = [sys.executable, "-m", "camviewer.cli", *shlex.split(line.removeprefix(CLI), comments=True)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ})
        assert done.returncode == 0, f"{line}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
    assert (tmp_path / "report" / "demo" / "explain.json").is_file()


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
