"""macOS: an application in the user's own folder that starts camviewer. Untested on macOS.

It is a stub: a shell script with an icon. A script is handed no files by the Finder, so images are opened from the
window, or dropped on it.
"""

from __future__ import annotations

import plistlib
import shlex
import shutil
from pathlib import Path

from camviewer import __version__, paths
from camviewer.desktop import APP_ID
from camviewer.errors import CamviewerError


def bundle_path() -> Path:
    """Return where the application lies: this user's own applications."""
    return Path.home() / "Applications" / "camviewer.app"


def information() -> bytes:
    """Return the bundle's Info.plist."""
    return plistlib.dumps(
        {
            "CFBundleIdentifier": APP_ID,
            "CFBundleName": "camviewer",
            "CFBundleDisplayName": "camviewer",
            "CFBundleExecutable": "camviewer",
            "CFBundleIconFile": "camviewer.icns",
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": __version__,
            "CFBundleVersion": __version__,
            "NSHighResolutionCapable": True,
        }
    )


def install(command: list[str]) -> list[Path]:
    """Write the bundle; return its files.

    Raises:
        CamviewerError: when the folder cannot be written.
    """
    contents = bundle_path() / "Contents"
    program = contents / "MacOS" / "camviewer"
    icon = contents / "Resources" / "camviewer.icns"
    plist = contents / "Info.plist"
    try:
        for path in (program, icon):
            path.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        shutil.copyfile(paths.resources_dir() / "app" / "camviewer.icns", icon)
        plist.write_bytes(information())
    except OSError as error:
        raise CamviewerError(f"The application cannot be written: {error.strerror}.", details=str(error)) from error
    return [plist, program, icon]


def remove() -> list[Path]:
    """Take the bundle away; return it where it was there.

    Raises:
        CamviewerError: when it cannot be removed.
    """
    bundle = bundle_path()
    if not bundle.exists():
        return []
    try:
        shutil.rmtree(bundle)
    except OSError as error:
        raise CamviewerError(f"The application cannot be removed: {error.strerror}.", details=str(error)) from error
    return [bundle]
