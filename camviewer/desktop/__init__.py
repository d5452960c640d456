"""What makes a double click start camviewer: an entry among the desktop's applications, made and taken away.

`linux` is tested here by the desktop's own tools. `windows` and `macos` have been written from the systems'
documentation and tested for what they write only: nobody has pressed their icons yet.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

APP_ID = "io.github.camviewer.Camviewer"
SENTENCE = "See what an image classifier looks at, and turn it into masks"


def start_command() -> list[str]:
    """Return the command that starts the window: the built program, the installed script, or the module."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    name = "camviewer.exe" if os.name == "nt" else "camviewer"
    for folder in (Path(sys.executable).parent, Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")):
        script = folder / name
        if script.is_file() and os.access(script, os.X_OK):
            return [str(script)]
    return [sys.executable, "-m", "camviewer"]


def install() -> list[Path]:
    """Add camviewer to this user's applications; return the files that were written.

    Raises:
        CamviewerError: when the folder cannot be written.
    """
    files: list[Path] = _system().install(start_command())
    return files


def remove() -> list[Path]:
    """Take back what `install` wrote; return the files that were there.

    Raises:
        CamviewerError: when one cannot be removed.
    """
    files: list[Path] = _system().remove()
    return files


def _system() -> ModuleType:
    if sys.platform == "win32":
        from camviewer.desktop import windows as system
    elif sys.platform == "darwin":
        from camviewer.desktop import macos as system
    else:
        from camviewer.desktop import linux as system
    return system
