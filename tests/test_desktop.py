"""The desktop entry is valid, starts what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer import desktop

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="desktop entries exist on Linux only")


def unquote_exec(value: str) -> str:
    """Undo the specification's two steps, written independently of the code."""
    text = value.replace("%%", "%").replace("\\\\", "\\")
    assert text[0] == text[-1] == '"'
    out, escaped = "", False
    for c in text[1:-1]:
        if c == "\\" and not escaped:
            escaped = True
        else:
            out, escaped = out + c, False
    return out


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_exec_quoting_can_be_undone(argument: str) -> None:
    assert unquote_exec(desktop.quote_exec(argument)) == argument


@linux
def test_install_and_remove_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data ü"))
    written = desktop.install()
    assert all(path.is_file() for path in written)
    assert sorted(desktop.remove()) == sorted(written)
    assert not any(path.exists() for path in written)


@linux
@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="desktop-file-validate is not installed")
@pytest.mark.parametrize("command", [["/usr/bin/camviewer"], ["/opt/cam viewer ü/100%/python", "-m", "camviewer"]])
def test_the_entry_is_valid(tmp_path: Path, command: list[str]) -> None:
    entry = tmp_path / f"{desktop.APP_ID}.desktop"
    entry.write_text(desktop.desktop_entry(command), encoding="utf-8")
    result = subprocess.run(["desktop-file-validate", str(entry)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@linux
@pytest.mark.skipif(not shutil.which("gio"), reason="gio is not installed")
def test_gio_launches_the_entry_with_the_file(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    program = tmp_path / "stand in ü" / "start"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" >"{answer}.tmp" && mv "{answer}.tmp" "{answer}"\n')
    program.chmod(0o755)
    entry = tmp_path / "entry.desktop"
    entry.write_text(desktop.desktop_entry([str(program)]), encoding="utf-8")
    image = tmp_path / "photo 1.jpg"
    image.touch()
    subprocess.run(["gio", "launch", str(entry), str(image)], check=True, timeout=30, env={**os.environ})
    for _ in range(200):
        if answer.exists():
            break
        subprocess.run(["sleep", "0.05"], check=True)
    assert answer.read_text() == str(image)
