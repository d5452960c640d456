"""Finding or making the project of a folder, without asking where."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import tempfile
from pathlib import Path

from camviewer.errors import ProjectError
from camviewer.paths import data_dir, resources_dir
from camviewer.project.connection import check_header, copy_to, guard
from camviewer.project.store import SUFFIX, Project


def project_for_folder(folder: Path) -> Path:
    """Return where the project of an image folder is or belongs.

    The first project file in the folder; else one kept for it in the program's data folder; else, where a new one
    goes: into the folder when that is writable and not a part of the program, into the data folder otherwise.

    Raises:
        ProjectError: when the folder does not exist.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise ProjectError(f"{folder.name or folder} is not there. Choose where the folder lies now.")
    name = folder.name or "images"
    beside = _beside(folder)
    writable = _writable(folder)
    if beside is not None and writable and os.access(beside, os.W_OK):
        return beside
    # The digest keeps folders of the same name apart.
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    kept = data_dir() / "projects" / f"{name}-{digest}{SUFFIX}"
    if kept.is_file() or beside is not None or not writable:
        return kept
    return folder / (name + SUFFIX)


def open_folder(folder: Path) -> Project:
    """Open the project of an image folder, or make it; image paths are relative to the folder.

    A project that lies in a folder that cannot be written is copied to the data folder first, with everything in it.

    Raises:
        ProjectError: when the folder does not exist or the project cannot be opened or made.
    """
    folder = folder.absolute()
    path = project_for_folder(folder)
    if not path.is_file():
        locked = _beside(folder)
        if locked is None:
            return Project.create(path, root=folder)
        check_header(locked)
        with guard(locked), contextlib.closing(_read_only(locked)) as connection:
            copy_to(connection, path, root=folder)
    return Project.open(path)


def _beside(folder: Path) -> Path | None:
    preferred = folder / ((folder.name or "images") + SUFFIX)
    if preferred.is_file():
        return preferred
    return min((path for path in folder.glob("*" + SUFFIX) if path.is_file()), default=None)


def _read_only(path: Path) -> sqlite3.Connection:
    # `immutable`: a folder that cannot be written has no room for the files that sharing needs.
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def _writable(folder: Path) -> bool:
    """Return whether a project may lie in `folder`: the program's own resources stay as they were installed.

    Permission bits alone do not tell on network drives, so a file is really made.
    """
    if folder.resolve().is_relative_to(resources_dir().resolve()):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".camviewer-partial-"):
            return True
    except OSError:
        return False
