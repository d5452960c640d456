"""Tasks about images that were moved: which are missing, where they are now, and what their files are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camviewer.project.records import ImageRecord
from camviewer.project.relink import Proposal, digest, find_missing, search
from camviewer.workers.tasks import Reporter

_CHUNK = 25


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a search is."""

    done: int
    total: int


def missing_images(files: Sequence[tuple[ImageRecord, Path]], _reporter: Reporter) -> list[ImageRecord]:
    """Return the images whose file is gone."""
    return find_missing(files)


def digest_files(files: Sequence[tuple[int, Path]], reporter: Reporter) -> None:
    """Report (image id, bytes, SHA-256) of files in chunks, so that they can be found again when they are moved."""
    chunk: list[tuple[int, int, str]] = []
    for image_id, file in files:
        if not reporter.wanted():
            return
        try:
            chunk.append((image_id, file.stat().st_size, digest(file, cancelled=lambda: not reporter.wanted())))
        except OSError:
            continue  # missing files are listed, not hashed
        if len(chunk) >= _CHUNK:
            reporter.report(tuple(chunk))
            chunk.clear()
    if chunk:
        reporter.report(tuple(chunk))


def search_images(missing: Sequence[ImageRecord], folder: Path, taken: Sequence[Path], reporter: Reporter) -> Proposal:
    """Return where missing images are below `folder`; reports `Compared`."""
    return search(
        missing,
        folder,
        taken=taken,
        on_progress=lambda done, total: reporter.report(Compared(done, total)),
        cancelled=lambda: not reporter.wanted(),
    )
