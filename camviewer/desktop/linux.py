"""Linux: a desktop entry, icons of all sizes and the ``.camviewer`` file type, after the freedesktop specifications."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from camviewer import paths
from camviewer.desktop import APP_ID, SENTENCE
from camviewer.errors import CamviewerError

PROJECT_MIME = "application/x-camviewer-project"
IMAGE_MIMES = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp")
ICON_SIZES = (16, 24, 32, 48, 64, 128, 256, 512)

MIME_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{PROJECT_MIME}">
    <comment>camviewer project</comment>
    <sub-class-of type="application/vnd.sqlite3"/>
    <icon name="{APP_ID}"/>
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


def desktop_entry(command: list[str]) -> str:
    """Return the text of the desktop entry that runs `command`."""
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        "Name=camviewer",
        "GenericName=Class activation map viewer",
        f"Comment={SENTENCE}",
        f"Exec={' '.join(quote_exec(part) for part in command)} %F",
        f"TryExec={command[0]}",
        f"Icon={APP_ID}",
        "Categories=Graphics;Viewer;",
        f"MimeType={';'.join((PROJECT_MIME, *IMAGE_MIMES))};",
        "StartupWMClass=camviewer",
        "Terminal=false",
    ]
    return "\n".join(lines) + "\n"


def install(command: list[str]) -> list[Path]:
    """Write entry, file type and icons for this user; return the files.

    Raises:
        CamviewerError: when the folder cannot be written.
    """
    files = _files(command)
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
    """Take back what `install` wrote; return the files that were there.

    Raises:
        CamviewerError: when one cannot be removed.
    """
    found = [place for place in _files(["camviewer"]) if place.exists()]
    try:
        for place in found:
            place.unlink()
    except OSError as error:
        raise CamviewerError(f"The desktop entry cannot be removed: {error.strerror}.", details=str(error)) from error
    _refresh()
    return found


def _data_home() -> Path:
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else Path.home() / ".local" / "share"


def _files(command: list[str]) -> dict[Path, Path | str]:
    """Every file of the desktop entry: its place, and its text or the resource that is copied there."""
    home = _data_home()
    icons = home / "icons" / "hicolor"
    marks = paths.resources_dir() / "app"
    files: dict[Path, Path | str] = {
        home / "applications" / f"{APP_ID}.desktop": desktop_entry(command),
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
