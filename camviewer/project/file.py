"""A project's file: made, opened, copied and closed; its transactions, and the few free texts it keeps.

Every method that changes something is one transaction; when it returns, the edit is on the disk, and when it raises
`ProjectError`, nothing of it is. `transaction` groups several into one edit. An open file is used from the one thread
that opened it (the GUI's, or a command's main thread); other threads hand it records.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from camviewer.errors import ProjectError
from camviewer.project import schema
from camviewer.project.connection import connect, copy_to, guard, relative_place

SUFFIX = ".camviewer"


def now() -> str:
    """Return the time as the project keeps it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class ProjectFile:
    """An open file; made by `create` and `open`.

    Attributes:
        path: of the project file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0
        self._root: Path | None = None

    @classmethod
    def create(cls, path: Path, *, root: Path | None = None) -> Self:
        """Make a new project file and open it.

        Args:
            path: file to make; it must not exist.
            root: folder that image paths are relative to; the file's own folder when None.

        Raises:
            ProjectError: when it exists or cannot be written.
        """
        path = path.absolute()
        if path.exists():
            raise ProjectError(f"{path.name} exists already. Open it or choose another name.")
        temporary = path.with_name(f".camviewer-partial-{uuid.uuid4().hex[:12]}")
        with guard(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with guard(path), contextlib.closing(connect(temporary, new=True)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                schema.create(connection)
                connection.execute("INSERT INTO meta VALUES ('created_at', ?)", (now(),))
                place = relative_place(root or path.parent, path.parent)
                connection.execute("INSERT INTO meta VALUES ('root', ?)", (place,))
                connection.execute("COMMIT")
            with guard(path):
                temporary.rename(path)
        except ProjectError as error:
            # SQLite opens files by name, so its error knows the temporary one.
            raise ProjectError(error.message.replace(temporary.name, path.name), details=error.details) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return cls(path, connect(path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a project file; an older schema is brought up to date after a copy of the file was made beside it.

        Raises:
            ProjectError: when it is missing, no project, of a newer schema, damaged or not writable; the file is
                then unchanged.
        """
        path = path.absolute()
        connection = connect(path)
        try:
            with guard(path):
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version < schema.VERSION:
                    copy_to(connection, path.with_name(f"{path.stem}.schema{version}{SUFFIX}"))
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        schema.upgrade(connection, version)
                    except BaseException:
                        connection.execute("ROLLBACK")
                        raise
                    connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the file; nothing needs saving."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_as(self, path: Path) -> Self:
        """Copy the project to `path` and return the opened copy; this one stays open and unchanged.

        Raises:
            ProjectError: when `path` exists or cannot be written; nothing is then left there.
        """
        path = path.absolute()
        if path.exists():
            raise ProjectError(f"{path.name} exists already. Choose another name.")
        root = self.root
        copy_to(self._connection, path, root=root)
        return type(self)(path, connect(path))

    @property
    def root(self) -> Path:
        """Folder that image paths are relative to; it may be gone."""
        if self._root is None:  # asked for at every image
            self._root = Path(os.path.normpath(self.path.parent / (self.meta("root") or ".")))
        return self._root

    def set_root(self, root: Path) -> None:
        """Say that the images lie below `root` now; their relative paths stay."""
        self._root = None
        self.set_meta("root", relative_place(root.absolute(), self.path.parent))

    def meta(self, key: str) -> str | None:
        """Return a free text that was kept under `key`, or None."""
        row = self._one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a free text, for example the last view."""
        with self.transaction() as run:
            run("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """Group several changes into one edit: all of them are kept, or none.

        Yields:
            the connection's ``execute``, for this package's own use.
        """
        with guard(self.path):
            if self._depth == 0:
                self.path.stat()  # a file that was taken away still takes what is written, and nobody finds it again
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection.execute
            except BaseException:
                self._depth -= 1
                self._root = None
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    self._connection.execute("COMMIT")
                except sqlite3.Error:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

    def read_rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query, for this package's own use."""
        return self._all(query, values)

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with guard(self.path):
            return self._connection.execute(query, values).fetchall()

    def _one(self, query: str, values: Sequence[Any] = ()) -> Any:
        with guard(self.path):
            return self._connection.execute(query, values).fetchone()

    @contextlib.contextmanager
    def _intact(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise ProjectError(
                f"{self.path.name} holds a damaged region; the others can still be read.", details=repr(error)
            ) from error
