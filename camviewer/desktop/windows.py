"""Windows: a shortcut in the start menu, made by PowerShell, which every Windows has. Untested on Windows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from camviewer import paths
from camviewer.desktop import SENTENCE
from camviewer.errors import CamviewerError


def shortcut_path() -> Path:
    """Return where the shortcut lies: this user's start menu."""
    roaming = os.environ.get("APPDATA")
    base = Path(roaming) if roaming else Path.home() / "AppData" / "Roaming"
    return base / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "camviewer.lnk"


def quote(text: str) -> str:
    """Return `text` as a PowerShell string in which nothing is expanded."""
    return "'" + text.replace("'", "''") + "'"


def shortcut_script(command: list[str], place: Path, icon: Path) -> str:
    """Return the PowerShell lines that make the shortcut at `place`."""
    arguments = subprocess.list2cmdline(command[1:])
    lines = [
        f"$link = (New-Object -ComObject WScript.Shell).CreateShortcut({quote(str(place))})",
        f"$link.TargetPath = {quote(command[0])}",
        f"$link.Arguments = {quote(arguments)}",
        f"$link.WorkingDirectory = {quote(str(Path.home()))}",
        f"$link.IconLocation = {quote(str(icon))}",
        f"$link.Description = {quote(SENTENCE)}",
        "$link.Save()",
    ]
    return "; ".join(lines)


def install(command: list[str]) -> list[Path]:
    """Write the shortcut; return it.

    Raises:
        CamviewerError: when PowerShell does not make it.
    """
    place = shortcut_path()
    script = shortcut_script(command, place, paths.resources_dir() / "app" / "camviewer.ico")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["powershell", "-NoProfile", "-NonInteractive", "-Command", script],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CamviewerError("The shortcut cannot be made: PowerShell does not start.", details=str(error)) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[:200]
        raise CamviewerError(f"The shortcut cannot be made. PowerShell says: {said or 'nothing'}", details=done.stderr)
    return [place]


def remove() -> list[Path]:
    """Take the shortcut away; return it where it was there.

    Raises:
        CamviewerError: when it cannot be removed.
    """
    place = shortcut_path()
    if not place.exists():
        return []
    try:
        place.unlink()
    except OSError as error:
        raise CamviewerError(f"The shortcut cannot be removed: {error.strerror}.", details=str(error)) from error
    return [place]
