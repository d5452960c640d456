"""Writing that leaves either the whole file or nothing, and says in one sentence what went wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from camviewer.errors import ExportError

STALE_SECONDS = 86_400
PARTIAL = ".camviewer-partial-"
"""Prefix of everything unfinished; hidden, so that folder scans skip it."""

_SENTENCES = {
    errno.ENOSPC: "The disk is full; free some space or choose another folder.",
    errno.EDQUOT: "The disk quota is used up; free some space or choose another folder.",
    errno.EFBIG: "The file is too large for this disk; choose another folder.",
    errno.EACCES: "Writing there is not allowed; choose another folder.",
    errno.EPERM: "Writing there is not allowed; choose another folder.",
    errno.EROFS: "The disk is read-only; choose another folder.",
    errno.ENAMETOOLONG: "A file name is too long for this disk; choose a folder with a shorter path.",
    errno.EEXIST: "A file stands where a folder is needed; choose another folder.",
    errno.ENOTDIR: "A file stands where a folder is needed; choose another folder.",
    errno.EISDIR: "A folder stands where a file is needed; choose another folder.",
    errno.EIO: "The disk reports an error; choose another folder.",
}


def cannot_write(path: Path, error: OSError) -> ExportError:
    """Return the sentence for an `error` met while writing `path`."""
    reason = _SENTENCES.get(error.errno or 0, f"{error.strerror or error}; choose another folder.")
    return ExportError(f"{path.name or path} cannot be written. {reason}", details=f"{path}: {error!r}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn every `OSError` of the block into one sentence about `path`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def partial_folder(parent: Path) -> Path:
    """Create and return a hidden, empty folder in `parent` (created as well) for unfinished files.

    What a killed process left there more than a day ago is removed.
    """
    with writing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f"{PARTIAL}*"):
            if left.is_dir() and time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = parent / f"{PARTIAL}{uuid.uuid4().hex[:12]}"
        folder.mkdir()
    return folder


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, folders included; the file is there whole or not at all.

    Raises:
        ExportError: with one sentence; an earlier file of that name is then unchanged.
    """
    temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:12]}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def flush(path: Path) -> None:
    """Ask the system to put `path` on the disk, so that a rename after it cannot outlive its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove an unfinished folder; what cannot be removed stays hidden."""
    shutil.rmtree(folder, ignore_errors=True)
