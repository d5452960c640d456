"""Where the program keeps its own files, and where it finds what it ships. No Qt: it works without a display."""

from __future__ import annotations

import os
import sys
from pathlib import Path

APP = "camviewer"


def _home_folder(variable: str, unix: str, mac: str, windows: str) -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get(windows) or Path.home() / "AppData" / "Local") / APP
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / APP
    given = os.environ.get(variable, "")
    # The XDG specification: a relative path is invalid and must be ignored.
    return (Path(given) if given.startswith("/") else Path.home() / unix) / APP


def config_dir() -> Path:
    """Folder of settings; it may not exist yet."""
    return _home_folder("XDG_CONFIG_HOME", ".config", "Preferences", "APPDATA")


def data_dir() -> Path:
    """Folder of projects whose image folder is not writable; it may not exist yet."""
    return _home_folder("XDG_DATA_HOME", ".local/share", "Application Support", "LOCALAPPDATA")


def cache_dir() -> Path:
    """Folder of thumbnails, private to the user; it may not exist yet."""
    return _home_folder("XDG_CACHE_HOME", ".cache", "Caches", "LOCALAPPDATA")


def log_dir() -> Path:
    """Folder of log files; it may not exist yet."""
    return _home_folder("XDG_STATE_HOME", ".local/state", "Logs", "LOCALAPPDATA")


def resources_dir() -> Path:
    """Folder of icons and the demo: inside the package when installed or frozen, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "resources"
    return inside if inside.is_dir() else package.parent / "resources"
