"""The desktop entry is valid, starts what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camviewer import desktop, paths
from camviewer.desktop import linux
from camviewer.errors import CamviewerError
from camviewer.project.store import Project

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="desktop entries exist on Linux only")
needs_gio = pytest.mark.skipif(not shutil.which("gio"), reason="gio is not installed")


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
    assert unquote_exec(linux.quote_exec(argument)) == argument


def test_install_and_remove_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data ü"))
    written = desktop.install()
    assert all(path.is_file() for path in written)
    assert sorted(desktop.remove()) == sorted(written)
    assert not any(path.exists() for path in written)
    assert desktop.remove() == []


def test_icons_have_the_size_of_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    icons = [path for path in desktop.install() if path.suffix == ".png"]
    assert {f"{s}x{s}" for s in (16, 24, 32, 48, 64, 128, 256, 512)} == {path.parts[-3] for path in icons}
    for path in icons:
        with Image.open(path) as icon:
            assert f"{icon.width}x{icon.height}" == path.parts[-3]
            assert icon.mode == "RGBA"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "applications").write_text("a file where a folder has to be")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(CamviewerError, match="cannot be written"):
        desktop.install()


def test_the_built_program_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert desktop.start_command() == [sys.executable]


@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="desktop-file-validate is not installed")
@pytest.mark.parametrize("command", [["/usr/bin/camviewer"], ["/opt/cam viewer ü/100%/python", "-m", "camviewer"]])
def test_the_entry_is_valid(tmp_path: Path, command: list[str]) -> None:
    entry = tmp_path / f"{desktop.APP_ID}.desktop"
    entry.write_text(linux.desktop_entry(command), encoding="utf-8")
    result = subprocess.run(["desktop-file-validate", str(entry)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    return tmp_path / "answer"


@pytest.fixture
def stand_in(tmp_path: Path, answer: Path) -> Path:
    """A program, at a place with a space and an umlaut, that tells what file it was handed."""
    program = tmp_path / "stand in ü" / "start"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" >"{answer}.tmp" && mv "{answer}.tmp" "{answer}"\n')
    program.chmod(0o755)
    return program


def wait_for(path: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not appear"
        time.sleep(0.05)


@needs_gio
def test_gio_launches_the_entry_with_the_file(tmp_path: Path, stand_in: Path, answer: Path) -> None:
    entry = tmp_path / "entry.desktop"
    entry.write_text(linux.desktop_entry([str(stand_in)]), encoding="utf-8")
    image = tmp_path / "photo 1.jpg"
    image.touch()
    subprocess.run(["gio", "launch", str(entry), str(image)], check=True, timeout=30, env={**os.environ})
    wait_for(answer, 10)
    assert answer.read_text() == str(image)


@needs_gio
@pytest.mark.skipif(
    not (shutil.which("update-mime-database") and shutil.which("update-desktop-database")),
    reason="the desktop's databases cannot be built here",
)
def test_gio_opens_a_project_with_it(
    tmp_path: Path, stand_in: Path, answer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setattr(desktop, "start_command", lambda: [str(stand_in)])
    desktop.install()
    project = tmp_path / "moles 2026.camviewer"
    Project.create(project).close()
    subprocess.run(["gio", "open", str(project)], check=True, timeout=30, env={**os.environ})
    wait_for(answer, 10)
    assert answer.read_text() == str(project)
    told = subprocess.run(
        ["gio", "info", "--attributes=standard::icon,standard::content-type", str(project)],
        check=True, capture_output=True, text=True, timeout=30, env={**os.environ},
    )  # fmt: skip
    assert linux.PROJECT_MIME in told.stdout
    assert desktop.APP_ID in told.stdout


@needs_gio
def test_gio_launches_the_window_itself(tmp_path: Path, pictures: Path) -> None:
    """Not a stand-in: the real program, which takes its own picture with the image it was handed and goes."""
    shot = tmp_path / "shot.png"
    program = tmp_path / "camviewer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m camviewer --safe-mode --screenshot "{shot}" "$@"\n')
    program.chmod(0o755)
    entry = tmp_path / "entry.desktop"
    entry.write_text(linux.desktop_entry([str(program)]), encoding="utf-8")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(["gio", "launch", str(entry), str(pictures / "a.png")], check=True, timeout=30, env=environment)
    wait_for(shot, 60)
    with Image.open(shot) as picture:
        assert min(picture.size) >= 600


def test_the_icons_of_the_other_systems_hold_all_sizes() -> None:
    marks = paths.resources_dir() / "app"
    with Image.open(marks / "camviewer.ico") as icon:
        assert {(16, 16), (32, 32), (48, 48), (256, 256)} <= icon.info["sizes"]
    with Image.open(marks / "camviewer.icns") as icon:
        assert (512, 512, 1) in icon.info["sizes"]
