"""The program's own folders are where each system wants them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from camviewer import paths

FOLDERS = (paths.config_dir, paths.data_dir, paths.cache_dir, paths.log_dir)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("linux", [".config", ".local/share", ".cache", ".local/state"]),
        ("darwin", ["Library/Preferences", "Library/Application Support", "Library/Caches", "Library/Logs"]),
        ("win32", ["AppData/Local"] * 4),
    ],
)
def test_each_system_has_its_own(system: str, expected: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert [folder() for folder in FOLDERS] == [home / place / "camviewer" for place in expected]


def test_variables_move_them_unless_they_are_relative(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast/cache")
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert paths.cache_dir() == Path("/fast/cache/camviewer")
    assert paths.data_dir() == home / ".local/share/camviewer"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", "/roaming")
    assert paths.config_dir() == Path("/roaming/camviewer")
