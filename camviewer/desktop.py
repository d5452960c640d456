"""The desktop entry: what makes a double click on the icon, an image or a project start camviewer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from camviewer import paths
from camviewer.errors import CamviewerError

APP_ID = "io.github.camviewer.Camviewer"
PROJECT_MIME = "application/x-camviewer-project"
IMAGE_MIMES = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp")
ICON_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)

MIME_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{PROJECT_MIME}">
    <comment>camviewer project</comment>
    <sub-class-of type="application/vnd.sqlite3"/>
    <glob pattern="*.camviewer"/>
  </mime-type>
</mime-info>
"""


def quote_exec(argument: str) -> str:
    """Return `argument` quoted for the Exec key (Desktop Entry Specification, "The Exec key").

    Quoting comes first, then the escaping that every string value has, so that a backslash ends up as four.
    """
    escaped = "".join("\\" + c if c in '"`$\\' else c for c in argument)
    return f'"{escaped}"'.replace("\\", "\\\\").replace("%", "%%")


def start_command() -> list[str]:
    """Return the command that starts the window: the installed script, or this Python with main.py or the module."""
    for folder in (Path(sys.executable).parent, Path(sys.prefix) / "bin"):
        script = folder / "camviewer"
        if script.is_file() and os.access(script, os.X_OK):
            return [str(script)]
    return [sys.executable, "-m", "camviewer"]


def desktop_entry(command: list[str]) -> str:
    """Return the text of the desktop entry that runs `command`."""
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        "Name=camviewer",
        "GenericName=Class activation map viewer",
        "Comment=See what an image classifier looks at, and turn it into masks",
        f"Exec={' '.join(quote_exec(part) for part in command)} %F",
        f"TryExec={command[0]}",
        f"Icon={APP_ID}",
        "Categories=Graphics;Viewer;",
        f"MimeType={';'.join((PROJECT_MIME, *IMAGE_MIMES))};",
        "StartupWMClass=camviewer",
        "Terminal=false",
    ]
    return "\n".join(lines) + "\n"


def _data_home() -> Path:
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else Path.home() / ".local" / "share"


def _installed_files() -> dict[Path, Path | str]:
    """Every file of the desktop entry: its place, and its text or the resource that is copied there."""
    home = _data_home()
    icons = home / "icons" / "hicolor"
    marks = paths.resources_dir() / "app"
    files: dict[Path, Path | str] = {
        home / "applications" / f"{APP_ID}.desktop": desktop_entry(start_command()),
        home / "mime" / "packages" / f"{APP_ID}.xml": MIME_XML,
        icons / "scalable" / "apps" / f"{APP_ID}.svg": marks / "camviewer.svg",
    }
    for size in ICON_SIZES:
        files[icons / f"{size}x{size}" / "apps" / f"{APP_ID}.png"] = marks / f"camviewer-{size}.png"
    return files


def _refresh() -> None:
    """Tell the desktop; each tool is optional, since a desktop without it needs no telling."""
    home = _data_home()
    for tool, folder in (("update-desktop-database", "applications"), ("update-mime-database", "mime")):
        if shutil.which(tool):
            subprocess.run([tool, str(home / folder)], check=False, capture_output=True)


def install() -> list[Path]:
    """Write desktop entry, file type and icons for this user; return the files.

    Raises:
        CamviewerError: on a system without desktop entries, or when the folder cannot be written.
    """
    if not sys.platform.startswith("linux"):
        raise CamviewerError("Desktop entries exist on Linux only. On this system, make a shortcut to main.py.")
    files = _installed_files()
    try:
        for place, content in files.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                place.write_text(content, encoding="utf-8")
            else:
                shutil.copyfile(content, place)
    except OSError as error:
        raise CamviewerError(f"The desktop entry cannot be written: {error.strerror}.", details=str(error)) from error
    _refresh()
    return list(files)


def remove() -> list[Path]:
    """Take back what `install` wrote; return the files that were there."""
    found = [place for place in _installed_files() if place.exists()]
    for place in found:
        place.unlink()
    _refresh()
    return found
