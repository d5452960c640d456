"""Pooled features of pictures, kept on the disk so that a gallery is read once. Losing the file costs time alone."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from camviewer.paths import cache_dir

Vector = NDArray[np.float32]
_Run = Callable[..., sqlite3.Cursor]
_Result = TypeVar("_Result")

LIMIT = 512 * 2**20
"""Bytes of features; 512 features take 4 KB a picture."""
KEPT = 0.8
"""Share of the limit that stays when the least recently used are dropped."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PictureFeatures:
    """What a network's features say of a picture, float32 ``[K]`` each.

    Attributes:
        whole: pooled over all cells, as the class layer receives them.
        border: pooled over the outer ring of cells.
    """

    whole: Vector
    border: Vector


class FeatureCache:
    """Features by space and content.

    A *space* names network, layer and preprocessing; a content is the SHA-256 of the picture's file. Whatever is wrong
    with the file (damaged, not writable, no room), it only means that nothing is found and nothing is kept.

    Args:
        path: of the SQLite file; that of the program's cache when None.
        limit: bytes of features that are kept.
    """

    def __init__(self, path: Path | None = None, *, limit: int = LIMIT) -> None:
        self.path = path or cache_dir() / "features.sqlite"
        self.limit = limit

    def get(self, space: str, contents: Sequence[str]) -> dict[str, PictureFeatures]:
        """Return what is known of `contents`."""

        def find(run: _Run) -> dict[str, PictureFeatures]:
            found: dict[str, PictureFeatures] = {}
            now = time.time()
            for content in contents:
                row = run(
                    "SELECT whole, border FROM features WHERE space = ? AND content = ?", (space, content)
                ).fetchone()
                if row is not None and len(row[0]) == len(row[1]) and len(row[0]) % 4 == 0:
                    whole, border = (np.frombuffer(part, "<f4").astype(np.float32) for part in row)
                    found[content] = PictureFeatures(whole, border)
                    run("UPDATE features SET used = ? WHERE space = ? AND content = ?", (now, space, content))
            return found

        return self._try(find, {})

    def put(self, space: str, features: Mapping[str, PictureFeatures]) -> None:
        """Keep features by content; the least recently used go where the limit is passed."""

        def keep(run: _Run) -> None:
            now = time.time()
            for content, entry in features.items():
                blobs = (entry.whole.astype("<f4").tobytes(), entry.border.astype("<f4").tobytes())
                run("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?, ?)", (space, content, *blobs, now))
            total = _size(run)
            if total <= self.limit:
                return
            oldest = run(f"SELECT rowid, {_BYTES} FROM features ORDER BY used, rowid").fetchall()
            for rowid, size in oldest:
                run("DELETE FROM features WHERE rowid = ?", (rowid,))
                total -= size
                if total <= KEPT * self.limit:
                    break

        self._try(keep, None)

    def size(self) -> int:
        """Return the bytes of features that are kept."""
        return self._try(_size, 0)

    def _try(self, work: Callable[[_Run], _Result], otherwise: _Result) -> _Result:
        """Return what `work` gives inside a transaction; what goes wrong is logged and forgotten."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.path, timeout=5)) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS features (space TEXT, content TEXT, whole BLOB, border BLOB, "
                    "used REAL, PRIMARY KEY (space, content))"
                )
                return work(connection.execute)
        except (OSError, sqlite3.Error) as error:
            log.warning("the cache of features cannot be used: %r", error)
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                with contextlib.suppress(OSError):
                    self.path.unlink()  # damaged: the next one starts anew
            return otherwise


_BYTES = "length(whole) + length(border)"


def _size(run: _Run) -> int:
    return int(run(f"SELECT coalesce(sum({_BYTES}), 0) FROM features").fetchone()[0])
