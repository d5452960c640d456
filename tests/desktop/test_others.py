"""What is written for Windows and macOS, as far as that can be told without them."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from camviewer import desktop
from camviewer.desktop import linux, macos, windows
from camviewer.errors import CamviewerError

COMMAND = ["/opt/o'brien ü/camviewer", "-m", "cam viewer"]


def test_the_system_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert all(tmp_path in path.parents for path in desktop.install())
    assert [path.name for path in desktop.remove()] == ["camviewer.app"]


@pytest.mark.parametrize(("system", "name"), [("win32", "windows"), ("darwin", "macos"), ("linux", "linux")])
def test_each_system_has_its_module(system: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert desktop._system().__name__ == f"camviewer.desktop.{name}"


def test_the_installed_program_is_started_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a script, by the script; in a checkout by the module."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    assert desktop.start_command() == [str(folder / "python"), "-m", "camviewer"]
    script = folder / "camviewer"
    script.write_text("#!/bin/sh\n")
    assert desktop.start_command() == [str(folder / "python"), "-m", "camviewer"], "it cannot be started"
    script.chmod(0o755)
    assert desktop.start_command() == [str(script)]


@pytest.mark.parametrize("module", [macos, windows, linux])
def test_what_cannot_be_removed_is_one_sentence(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    place = {
        macos: macos.bundle_path(),
        windows: windows.shortcut_path(),
        linux: tmp_path / "applications" / f"{desktop.APP_ID}.desktop",
    }[module]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("")

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(macos.shutil, "rmtree", refuse)
    with pytest.raises(CamviewerError, match="cannot be removed: Permission denied"):
        module.remove()


def test_the_bundle_runs_the_command_and_can_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    echo = tmp_path / "o'brien ü" / "echo"
    echo.parent.mkdir()
    echo.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    echo.chmod(0o755)
    plist, program, icon = macos.install([str(echo), "-m", "cam viewer"])
    told = plistlib.loads(plist.read_bytes())
    assert program == plist.parent / "MacOS" / told["CFBundleExecutable"]
    assert icon == plist.parent / "Resources" / told["CFBundleIconFile"]
    assert icon.read_bytes()[:4] == b"icns"
    if sys.platform != "win32":
        done = subprocess.run([str(program), "a b"], capture_output=True, text=True, check=True)
        assert done.stdout == "-m|cam viewer|a b|"
    assert macos.remove() == [macos.bundle_path()]
    assert not macos.bundle_path().exists()
    assert macos.remove() == []


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.write_text("a file where a folder has to be")
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(CamviewerError, match="cannot be written"):
        macos.install(COMMAND)


def test_powershell_is_told_quoted_strings() -> None:
    script = windows.shortcut_script(COMMAND, Path("/menu/camviewer.lnk"), Path("/icons/camviewer.ico"))
    lines = script.split("; ")
    assert lines[0].endswith(".CreateShortcut('/menu/camviewer.lnk')")
    assert lines[1] == "$link.TargetPath = '/opt/o''brien ü/camviewer'"
    assert lines[2] == "$link.Arguments = '-m \"cam viewer\"'"
    assert lines[-1] == "$link.Save()"


def test_the_shortcut_is_made_by_powershell_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPDATA", str(tmp_path))
    place = windows.shortcut_path()

    def powershell(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        assert command[0] == "powershell"
        assert str(place) in command[-1]
        place.write_bytes(b"link")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(windows.subprocess, "run", powershell)
    assert windows.install(COMMAND) == [place]
    assert windows.remove() == [place]
    assert windows.remove() == []


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (FileNotFoundError("powershell"), "PowerShell does not start"),
        (subprocess.CompletedProcess([], 1, "", "Zugriff\nverweigert"), "Zugriff verweigert"),
    ],
)
def test_what_powershell_refuses_is_said(
    outcome: Exception | subprocess.CompletedProcess[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APPDATA", str(tmp_path))

    def powershell(*_arguments: object, **_options: object) -> subprocess.CompletedProcess[str]:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(windows.subprocess, "run", powershell)
    with pytest.raises(CamviewerError, match=sentence):
        windows.install(COMMAND)
