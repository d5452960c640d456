"""Versions of what computes results, for `Run.versions` and the self-check."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from camviewer import __version__

_DISTRIBUTIONS = {
    "torch": ("torch",),
    "torchvision": ("torchvision",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
}


def versions() -> dict[str, str]:
    """Return the versions of camviewer, python, torch, torchvision, numpy and opencv; empty for what is absent.

    Nothing is imported for it. Where a package is loaded already, its own word counts, since it names the build too
    (``2.15.0+cpu``).
    """
    found = {"camviewer": __version__, "python": platform.python_version()}
    for name, distributions in _DISTRIBUTIONS.items():
        found[name] = next(filter(None, map(_installed, distributions)), "")
        module = sys.modules.get({"opencv": "cv2"}.get(name, name))
        found[name] = str(getattr(module, "__version__", found[name]))
    return found


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
