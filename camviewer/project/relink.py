"""Images that were moved: find them again by size and content, propose, and write all new places in one edit.

A file counts as the image when its size in bytes and its SHA-256 are the kept ones. Where no hash was kept, its name,
its size in bytes and its size in pixels have to agree, and the link says that it is a likely one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from camviewer.errors import Cancelled, ImageError, ProjectError
from camviewer.images.decode import display_name, read_header
from camviewer.images.scan import SUFFIXES
from camviewer.project.records import ImageRecord
from camviewer.project.rows import path_bytes
from camviewer.project.store import Project

Certainty = Literal["content", "name"]
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """Where an image lies now.

    Attributes:
        certainty: ``content`` when the bytes are the same, ``name`` when only name and sizes agree.
        sha256: of the file, as found.
    """

    record: ImageRecord
    file: Path
    certainty: Certainty
    sha256: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a search found.

    Attributes:
        links: one an image that was found.
        lost: images that were not.
        root: folder to which all links are what they were to the old one, when the whole folder was moved.
        unreadable: files that could be an image but could not be read.
    """

    links: tuple[Link, ...]
    lost: tuple[ImageRecord, ...]
    root: Path | None = None
    unreadable: tuple[Path, ...] = ()

    @property
    def sentence(self) -> str:
        """The result in words."""
        total = len(self.links) + len(self.lost)
        if not self.links:
            return f"None of the {total} missing images is in this folder." if total != 1 else "The image is not here."
        text = f"{len(self.links)} of {total} missing image{'s' if total != 1 else ''} found."
        likely = sum(link.certainty == "name" for link in self.links)
        if likely:
            text += f" {likely} of them by name and size only: the content was not kept."
        return text


def digest(file: Path, *, cancelled: Callable[[], bool] | None = None) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    Raises:
        OSError: when it cannot be read.
        Cancelled: when `cancelled` says so.
    """
    result = hashlib.sha256()
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            if cancelled is not None and cancelled():
                raise Cancelled
            result.update(chunk)
    return result.hexdigest()


def find_missing(files: Iterable[tuple[ImageRecord, Path]]) -> list[ImageRecord]:
    """Return the images whose file is not where it is expected.

    Args:
        files: each image and ``Project.file_of`` it, so that this can run in any thread.
    """
    return [record for record, file in files if not file.is_file()]


def untouched(project: Project) -> set[int]:
    """Return the ids of images that hold nothing yet: found by a scan, perhaps at the new place of a missing one."""
    rows = project.read_rows(
        "SELECT id FROM images WHERE status IN ('new', 'failed') AND note = '' AND flags = '[]' "
        "AND NOT EXISTS (SELECT 1 FROM maps WHERE image_id = images.id) "
        "AND NOT EXISTS (SELECT 1 FROM boxes WHERE image_id = images.id) "
        "AND NOT EXISTS (SELECT 1 FROM masks WHERE image_id = images.id) "
        "AND NOT EXISTS (SELECT 1 FROM truths WHERE image_id = images.id)"
    )
    return {int(row[0]) for row in rows}


def keep_digests(project: Project, found: Iterable[tuple[int, int, str]]) -> None:
    """Keep (image id, bytes, SHA-256) of files that are where they are expected, in one transaction."""
    with project.transaction() as run:
        for image_id, file_size, sha256 in found:
            run("UPDATE images SET file_size = ?, sha256 = ? WHERE id = ?", (file_size, sha256, image_id))


def search(
    missing: Sequence[ImageRecord],
    folder: Path,
    *,
    taken: Iterable[Path] = (),
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Proposal:
    """Look for missing images below a folder; nothing is written, and any thread may do it.

    Only files of a wanted size are read. Of several files with the same content, the one whose folders agree best
    with the image's old path is proposed, and none for two images.

    Args:
        taken: files of other images of the project that hold something already.
        on_progress: called with (files compared, files to compare).
        cancelled: asked between files and while a large one is read.

    Raises:
        ImageError: when the folder is not there.
        Cancelled: when `cancelled` says so.
    """
    if not folder.is_dir():
        raise ImageError(f"{display_name(folder) or folder} is not there. Choose the folder with the images.")
    sizes = {record.file_size for record in missing if record.file_size}
    names = {record.path.name.casefold() for record in missing}
    used = {os.path.abspath(path) for path in taken}  # noqa: PTH100 - as text, for speed
    candidates: list[tuple[Path, int]] = []
    for file, size in _files(folder.absolute()):
        if cancelled is not None and cancelled():
            raise Cancelled
        if (size in sizes or file.name.casefold() in names) and str(file) not in used:
            candidates.append((file, size))
    by_hash: dict[str, list[Path]] = {}
    by_name: dict[str, list[tuple[Path, int, str]]] = {}
    unreadable = []
    for done, (file, size) in enumerate(candidates):
        if on_progress is not None:
            on_progress(done, len(candidates))
        try:
            found = digest(file, cancelled=cancelled)
        except OSError:
            unreadable.append(file)
            continue
        by_hash.setdefault(found, []).append(file)
        by_name.setdefault(file.name.casefold(), []).append((file, size, found))
    if on_progress is not None:
        on_progress(len(candidates), len(candidates))

    pairs: list[tuple[int, str, int, Link]] = []
    for number, record in enumerate(missing):
        for link in _links(record, by_hash, by_name):
            pairs.append((-_shared(record.path, link.file), str(link.file), number, link))
    # The best agreement first, so that copies in different folders each find their own.
    given: dict[int, Link] = {}
    spent: set[Path] = set()
    for _, _, number, link in sorted(pairs, key=lambda pair: pair[:3]):
        if number not in given and link.file not in spent:
            given[number] = link
            spent.add(link.file)
    links = tuple(given[number] for number in sorted(given))
    lost = tuple(record for number, record in enumerate(missing) if number not in given)
    return Proposal(links, lost, _common_root(links), tuple(unreadable))


def relink(project: Project, proposal: Proposal) -> int:
    """Write the new places of a proposal in one transaction and return how many images have their file again.

    Where the whole folder was moved, and no image of the project is left at the old place, the project's root changes
    and the relative paths stay. Where a scan has found a file at its new place and made an image of it that holds
    nothing yet, that image goes.

    Raises:
        ProjectError: when an image is not in the project any more, a place belongs to another image, or the file
            cannot be written; nothing is then changed.
    """
    links = proposal.links
    if not links:
        return 0
    linked = {link.record.id for link in links}
    others = [record for record in project.images() if record.id not in linked]
    root = proposal.root
    if root is not None and any(project.file_of(record).is_file() for record in others):
        root = None
    with project.transaction() as run:
        if root is not None:
            project.set_root(root)
        base = project.root
        empty = untouched(project)
        occupied = {record.path: record for record in others}
        places = {link.record.id: _place(project, link.file, base) for link in links}
        for link in links:
            there = occupied.get(places[link.record.id])
            if there is not None and there.id in empty:
                run("DELETE FROM images WHERE id = ?", (there.id,))
            elif there is not None:
                raise ProjectError(f"{link.file.name} belongs to another image of the project already.")
        for link in links:  # two images may have changed places, and a path is never there twice
            changed = run("UPDATE images SET path = '?' || id WHERE id = ?", (link.record.id,)).rowcount
            if not changed:
                raise ProjectError(f"{link.record.path.name} is not in {project.path.name} any more.")
        for link in links:
            run(
                "UPDATE images SET path = CAST(? AS TEXT), file_size = ?, sha256 = ?, "
                "status = CASE WHEN status <> 'failed' THEN status WHEN EXISTS (SELECT 1 FROM maps WHERE image_id = "
                "images.id) THEN 'computed' ELSE 'new' END, error = '' WHERE id = ?",
                (path_bytes(places[link.record.id]), link.file.stat().st_size, link.sha256, link.record.id),
            )
    return len(links)


def _place(project: Project, file: Path, base: Path) -> PurePosixPath:
    try:
        return PurePosixPath(file.relative_to(base).as_posix())
    except ValueError:
        return project.relative(file)


def _links(
    record: ImageRecord, by_hash: dict[str, list[Path]], by_name: dict[str, list[tuple[Path, int, str]]]
) -> Iterator[Link]:
    if record.sha256:
        for file in by_hash.get(record.sha256, ()):
            yield Link(record, file, "content", record.sha256)
        return
    for file, size, found in by_name.get(record.path.name.casefold(), ()):
        if record.file_size in {0, size} and _same_pixels(record, file):
            yield Link(record, file, "name", found)


def _same_pixels(record: ImageRecord, file: Path) -> bool:
    if record.size == (0, 0):  # it could not be read before either
        return True
    try:
        return read_header(file).size == record.size
    except ImageError:
        return False


def _shared(path: PurePosixPath, file: Path) -> int:
    """Return how many parts of the paths agree, from the file name upwards."""
    count = 0
    for first, second in zip(reversed(path.parts), reversed(file.parts), strict=False):
        if first.casefold() != second.casefold():
            break
        count += 1
    return count


def _common_root(links: Sequence[Link]) -> Path | None:
    roots = set()
    for link in links:
        parts = link.record.path.parts
        if ".." in parts or link.record.path.is_absolute() or link.file.parts[-len(parts) :] != parts:
            return None
        roots.add(Path(*link.file.parts[: -len(parts)]))
    return roots.pop() if len(roots) == 1 else None


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the image files below a folder with their size; links to folders are not followed."""
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue  # a folder that may not be opened costs only itself
        for entry in listed:
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                    yield Path(entry.path), entry.stat().st_size
            except OSError:
                continue
