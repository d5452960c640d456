"""Giving memory back where the C library can, and nowhere else."""

from __future__ import annotations

import ctypes
import sys

import pytest

from camviewer.cam.allocator import return_freed


@pytest.mark.parametrize("library", ["glibc", "another"])
def test_asked_once_where_the_library_has_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    found = type("Library", (), {"malloc_trim": staticmethod(asked.append)} if library == "glibc" else {})
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: found)
    return_freed()
    assert asked == ([0] if library == "glibc" else [])


def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", None)
    return_freed()
