"""Memory that was freed, back to the system: glibc keeps it, and a network's copy leaves as much behind as it holds."""

from __future__ import annotations

import ctypes
import sys


def return_freed() -> None:
    """Let the C library give up what it holds in reserve; elsewhere than with glibc nothing happens."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
