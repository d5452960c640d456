"""The tables of a project file, their version, and the steps from one version to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x43414D56
"""``CAMV`` in the SQLite header: tells a project from any other SQLite file."""

VERSION = 6

_TRUTHS = """CREATE TABLE truths (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    class_id INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    area INTEGER NOT NULL,
    data BLOB NOT NULL,  -- see mask_blob
    origin TEXT NOT NULL,
    PRIMARY KEY (image_id, class_id)
)"""

_FACTS = """CREATE TABLE facts (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value NOT NULL,  -- a number or a text
    PRIMARY KEY (image_id, name)
) WITHOUT ROWID"""

_LEARNT = """CREATE TABLE mask_networks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at TEXT NOT NULL,
    record TEXT NOT NULL,
    data BLOB  -- of the last round alone, see camviewer.project.learnt
);
CREATE TABLE earlier_doubts (
    image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
    doubt REAL
);
CREATE TABLE earlier_masks (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    class_id INTEGER NOT NULL,
    slot TEXT NOT NULL,
    run_id INTEGER REFERENCES runs(id),
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    area INTEGER NOT NULL,
    refine TEXT NOT NULL,
    reason TEXT NOT NULL,
    data BLOB NOT NULL,  -- see mask_blob
    PRIMARY KEY (image_id, class_id)
)"""

TABLES = (
    """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE classes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: an id is never used again
    name TEXT NOT NULL,
    colour TEXT NOT NULL
);
CREATE TABLE model_classes (
    model_index INTEGER PRIMARY KEY,
    class_id INTEGER NOT NULL REFERENCES classes(id)
);

CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    file_size INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'new',
    flags TEXT NOT NULL DEFAULT '[]',
    note TEXT NOT NULL DEFAULT '',
    top TEXT NOT NULL DEFAULT '[]',
    error TEXT NOT NULL DEFAULT '',
    reviewer TEXT NOT NULL DEFAULT '',
    reviewed_at TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL DEFAULT '',
    doubt REAL,
    findings TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX images_by_status ON images(status);
CREATE INDEX images_by_hash ON images(file_size, sha256);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at TEXT NOT NULL,
    record TEXT NOT NULL UNIQUE
);

CREATE TABLE maps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    run_id INTEGER REFERENCES runs(id),
    class_index INTEGER NOT NULL,
    method TEXT NOT NULL,
    layer TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    column_count INTEGER NOT NULL,
    data BLOB NOT NULL,  -- little-endian float32, row by row
    geometry TEXT NOT NULL,
    seconds REAL NOT NULL,
    precision TEXT NOT NULL,
    flags TEXT NOT NULL,
    UNIQUE (image_id, class_index, method, layer)
);

CREATE TABLE boxes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    run_id INTEGER REFERENCES runs(id),
    class_id INTEGER NOT NULL,  -- 0 is no class
    origin TEXT NOT NULL,
    x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL,
    score REAL,
    probability REAL
);
CREATE INDEX boxes_by_image ON boxes(image_id);

CREATE TABLE masks (
    image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    class_id INTEGER NOT NULL,
    slot TEXT NOT NULL CHECK (slot IN ('auto', 'reviewed')),
    run_id INTEGER REFERENCES runs(id),
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    area INTEGER NOT NULL,
    refine TEXT NOT NULL,
    reason TEXT NOT NULL,
    data BLOB NOT NULL,  -- see mask_blob
    PRIMARY KEY (image_id, class_id, slot)
);
"""
    + _TRUTHS
    + ";"
    + _FACTS
    + ";"
    + _LEARNT
)
"""Regions of others to compare with (`truths`) are no regions of the project: nothing exports them."""


def _add_findings(connection: sqlite3.Connection) -> None:
    _run(connection, "ALTER TABLE images ADD COLUMN doubt REAL")
    _run(connection, "ALTER TABLE images ADD COLUMN findings TEXT NOT NULL DEFAULT '[]'")


def _add_learnt(connection: sqlite3.Connection) -> None:
    for statement in _LEARNT.split(";"):
        _run(connection, statement)


UPGRADES: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: lambda connection: _run(connection, _TRUTHS),
    2: _add_findings,
    3: lambda connection: _run(connection, _FACTS),
    4: _add_learnt,
    5: lambda _connection: None,  # masks are written in tiles from now on; those there are read as they are
}
"""Step from a version to the next, run inside one transaction; a step never loses a region."""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the current version in an empty file, inside the caller's transaction."""
    for statement in TABLES.split(";"):
        _run(connection, statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _run(connection: sqlite3.Connection, statement: str) -> None:
    if statement.strip():
        connection.execute(statement)


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of an earlier `version` to the current one, inside the caller's transaction."""
    for step in range(version, VERSION):
        UPGRADES[step](connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")
