"""File names that are safe on every file system, unique within one result, and still recognisable."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from camviewer.errors import FormatError

LONGEST_PART = 120
"""Bytes of UTF-8 a path part may have, which leaves room for a suffix below the 255 of common file systems."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def safe_part(text: str) -> str:
    """Return `text` as one path part that Linux, macOS and Windows accept; never empty, ``.`` or ``..``."""
    # Bytes that are not UTF-8 reach Python as lone surrogates, which no other program could read back.
    part = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("�", "_")
    part = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", part)).rstrip(". ").lstrip(" ")
    if part.startswith("."):  # hidden files are skipped by folder scans
        part = "_" + part.lstrip(".")
    if not part:
        part = "_"
    if _RESERVED.match(part):
        part = "_" + part
    if len(part.encode()) > LONGEST_PART:
        digest = hashlib.sha256(part.encode()).hexdigest()[:8]
        part = part.encode()[: LONGEST_PART - 9].decode("utf-8", "ignore").rstrip(". ") + "-" + digest
    return part


def safe_stem(file: str) -> str:
    """Return the POSIX path `file` without its suffix, each part made safe; ``..`` and the root are dropped."""
    parts = [part for part in file.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    if not parts:
        return "_"
    *folders, name = parts
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem or not suffix:
        stem = name
    return "/".join(safe_part(part) for part in (*folders, stem))


class UniqueNames:
    """Hands out names that differ even where upper and lower case are the same file."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return `name`, or `name` with ``-2``, ``-3``, ... behind it when it was handed out before."""
        key = name.casefold()
        candidate, number = name, self._next.get(key, 2)
        while candidate.casefold() in self._used:
            candidate = f"{name}-{number}"
            number += 1
        if candidate != name:
            self._next[key] = number
        self._used.add(candidate.casefold())
        return candidate


def check_inside(path: str, *, file: str, field: str) -> str:
    """Return `path` when it is a relative POSIX path without ``..``, as images are named by.

    Raises:
        FormatError: when it is absolute, empty or climbs out with ``..``.
    """
    parts = path.split("/")
    if not path or parts[0] == "" or ".." in parts or "\x00" in path:
        raise FormatError(f"{file}: {field} points outside its folder ({path!r}).")
    return path


def check_relative(path: str, *, file: str, field: str) -> str:
    """Return `path` when it can be joined to a folder on every system without leaving it.

    Raises:
        FormatError: as `check_inside`, and for drive letters and climbing backslashes.
    """
    check_inside(path.replace("\\", "/"), file=file, field=field)
    if re.match(r"[A-Za-z]:", path):
        raise FormatError(f"{file}: {field} points outside its folder ({path!r}).")
    return path
