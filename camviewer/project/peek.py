"""A look into a project file that nobody opens: no lock, no journal, nothing written beside it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path


def first_images(project: Path, count: int) -> list[Path]:
    """Return the files of the first `count` images of a project; none where it cannot be read.

    What another process has not yet written into the file itself is not seen.
    """
    project = project.absolute()
    with contextlib.suppress(sqlite3.Error, OSError, ValueError):
        uri = f"{project.as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            (root,) = connection.execute("SELECT value FROM meta WHERE key = 'root'").fetchone() or (".",)
            query = "SELECT path FROM images WHERE status != 'failed' ORDER BY id LIMIT ?"
            rows = connection.execute(query, (count,)).fetchall()
        return [Path(os.path.normpath(project.parent / str(root) / str(path))) for (path,) in rows]
    return []
