#!/usr/bin/env python3
"""What a double click starts. Uses the environment that scripts/run.sh made, and says what is missing otherwise."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEEDED = {"PySide6": "PySide6-Essentials", "numpy": "numpy", "cv2": "opencv-python-headless", "torch": "torch"}


def tell(message: str) -> None:
    """Show `message` in a plain window if there is one to be had, and on standard error."""
    if sys.stderr is not None:
        print(message, file=sys.stderr)
    try:
        from tkinter import Tk, messagebox

        root = Tk()
        root.withdraw()
        messagebox.showerror("camviewer", message)
        root.destroy()
    except Exception:  # no tkinter or no display: the message on standard error has to do
        return


def main() -> int:
    """Start the program; return its exit status."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    script = "scripts\\run.bat" if os.name == "nt" else "sh scripts/run.sh"
    if missing:
        scripts = HERE / ".venv" / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / ("python.exe" if os.name == "nt" else "python")
        if python.exists() and Path(sys.prefix) != HERE / ".venv":
            os.execv(python, [str(python), str(HERE / "main.py"), *sys.argv[1:]])
        tell(f"camviewer cannot start: {', '.join(missing)} missing. Run '{script}' in {HERE} once; it installs them.")
        return 1
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever double-clicks may have an older one
        tell(f"camviewer needs Python 3.11 or newer. Run '{script}' in {HERE}; it finds one.")
        return 1
    sys.path.insert(0, str(HERE))
    from camviewer.__main__ import main as start

    return start()


if __name__ == "__main__":
    sys.exit(main())
