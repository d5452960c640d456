"""Opening a project file safely: what it is, whether it is whole, how it is journalled, and errors in one sentence."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from camviewer.errors import ProjectError
from camviewer.project import schema

_MAGIC = b"SQLite format 3\x00"
_SMALL = 16 << 20
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ncpfs", "fuse.sshfs", "fuse.davfs2", "davfs", "ceph"}
_WAIT_SECONDS = 2.0


@contextlib.contextmanager
def guard(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors of the block into one sentence about the project `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise ProjectError(_sentence(path, error), details=f"{path}: {error!r}") from error
    except UnicodeDecodeError as error:  # SQLite's own message quotes what it met in a damaged file
        raise ProjectError(
            f"{path.name} is damaged and was left as it is. Open a copy from a backup.", details=f"{path}: {error!r}"
        ) from error
    except OSError as error:
        raise ProjectError(
            f"{path.name} cannot be reached: {error.strerror or error}. Save the project in another folder.",
            details=f"{path}: {error!r}",
        ) from error


def _sentence(path: Path, error: sqlite3.Error) -> str:
    name = path.name
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"The disk of {name} is full. Free some space or save the project on another disk."
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return f"{name} cannot be written. Save the project in another folder."
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"{name} is being written by another program. Try again when it is done."
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}:
        return f"{name} is damaged and was left as it is. Open a copy from a backup."
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}:
        return f"{name} cannot be written or read; its disk is full, gone or faulty. Save the project on another disk."
    return f"{name} does not accept the change. Save the project under another name."


def check_header(path: Path) -> None:
    """Refuse what is no whole project before SQLite touches it.

    Raises:
        ProjectError: when the file is missing, empty, no SQLite file, of another program, or cut short.
    """
    name = path.name
    with guard(path):
        if not path.is_file():
            raise ProjectError(f"{name} is not there. Choose where the project lies now.")
        with path.open("rb") as handle:
            head = handle.read(100)
            length = handle.seek(0, 2)
        journal = any(
            extra.is_file() and extra.stat().st_size
            for extra in (path.with_name(name + "-wal"), path.with_name(name + "-journal"))
        )
    if not head:
        raise ProjectError(f"{name} is empty and no project. Open a copy from a backup.")
    if len(head) < 100 and _MAGIC.startswith(head[:16]):
        raise ProjectError(f"{name} is cut short and was left as it is. Open a copy from a backup.")
    if not head.startswith(_MAGIC):
        raise ProjectError(f"{name} is not a camviewer project.")
    (page_size,) = struct.unpack(">H", head[16:18])
    (pages,) = struct.unpack(">I", head[28:32])
    (application,) = struct.unpack(">I", head[68:72])
    counted = head[24:28] == head[92:96]  # the page count is valid only then
    if not journal and counted and length < pages * (65536 if page_size == 1 else page_size):
        raise ProjectError(f"{name} is cut short and was left as it is. Open a copy from a backup.")
    if application != schema.APPLICATION_ID:
        raise ProjectError(f"{name} is a database of another program, not a camviewer project.")


def connect(path: Path, *, new: bool = False) -> sqlite3.Connection:
    """Return a connection to an existing project, or to an empty file for a `new` one.

    A new file keeps the rollback journal, so that it is whole and recognisable before it gets its name.

    Raises:
        ProjectError: with one sentence.
    """
    if not new:
        check_header(path)
    with guard(path):
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if new else 'rw'}"
        connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            connection.text_factory = _decode
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            # FULL: a completed edit survives the power going off, not only the program.
            connection.execute("PRAGMA synchronous = FULL")
            if not new:
                _check_content(connection, path)
                _set_journal(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # file names need not be UTF-8


def _set_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Use the write-ahead log, or the rollback journal where shared memory does not work."""
    wanted = "DELETE" if on_network_drive(path) else "WAL"
    try:
        (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
    except sqlite3.OperationalError:
        mode = ""
    if mode.lower() != wanted.lower():
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > schema.VERSION:
        raise ProjectError(
            f"{path.name} was made by a newer camviewer (schema {version}; this one reads up to {schema.VERSION}). "
            "Update camviewer."
        )
    if version < 1:
        raise ProjectError(f"{path.name} has an unknown schema ({version}) and was left as it is.")
    if path.stat().st_size <= _SMALL:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise ProjectError(f"{path.name} is damaged and was left as it is. Open a copy from a backup.")
    # Read-only files and folders open without a word; the first edit must not be the one that finds out.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("ROLLBACK")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = {"meta", "classes", "model_classes", "images", "runs", "maps", "boxes", "masks"} - tables
    if missing:
        raise ProjectError(f"{path.name} lacks the table {min(missing)} and was left as it is.")


def on_network_drive(path: Path) -> bool:
    """Return whether `path` lies on a network file system, as far as the system tells."""
    if sys.platform == "win32":
        import ctypes

        drive = path.absolute().drive
        if drive.startswith("\\\\"):
            return True
        return bool(ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") == 4)
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        place = path.absolute().resolve()
    except OSError:
        return False
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = Path(fields[1].replace("\\040", " "))
        if len(mount.parts) >= best and place.is_relative_to(mount):
            best, kind = len(mount.parts), fields[2]
    return kind in _NETWORK


def relative_place(root: Path, base: Path) -> str:
    """Return `root` as a POSIX path relative to `base`, or absolute on another drive."""
    try:
        return Path(os.path.relpath(root, base)).as_posix()
    except ValueError:  # another drive
        return root.absolute().as_posix()


def copy_to(connection: sqlite3.Connection, path: Path, *, root: Path | None = None) -> None:
    """Copy the database to `path`, whole or not at all, through a temporary file beside it."""
    temporary = path.with_name(f".camviewer-partial-{uuid.uuid4().hex[:12]}")
    with guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
                connection.backup(copy)
                # A copy in WAL mode could be renamed away from its log.
                copy.execute("PRAGMA journal_mode = DELETE").fetchone()
                if root is not None:
                    place = relative_place(root, path.parent)
                    copy.execute("UPDATE meta SET value = ? WHERE key = 'root'", (place,))
            temporary.replace(path)
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(OSError):
                    temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
