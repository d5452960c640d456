"""Folders and files become a list of images, fast and in the order a person expects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from camviewer.errors import ImageError
from camviewer.images.decode import display_name

SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".ppm",
        ".pgm", ".dcm", ".dicom",
    }
)  # fmt: skip

_MASK_ENDING = re.compile(
    r"[_-](segmentation|superpixels|mask|masks|gt|groundtruth|label|labels|attribute_[a-z_]+)$", re.IGNORECASE
)
_MASK_FOLDER = re.compile(
    r"(^|[_\- ])(masks?|segmentations?|ground[_\- ]?truths?|annotations?)([_\- ]|$)", re.IGNORECASE
)
_CACHES = frozenset({"thumbs", "thumbnails", "__macosx", "@eadir", "$recycle.bin", "system volume information"})

# What marks a folder as written by this program, and the folders it writes beside that file.
_RESULT_FILE = "explain.json"
_RESULT_FOLDERS = frozenset({"maps", "overlays", "masks", "boxes"})


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image found.

    Attributes:
        path: of the file.
        root: the folder that was asked for and that `path` lies in; of a single file its own folder.
    """

    path: Path
    root: Path

    @property
    def relative(self) -> str:
        """Return the POSIX path below `root`, as written to ``explain.json``."""
        return self.path.relative_to(self.root).as_posix()


def scan(paths: Iterable[Path]) -> list[ImageFile]:
    """Return the image files of folders (with all folders in them) and files, each once, by their names alone.

    Inputs keep their order; within a folder the order is natural (``a2`` before ``a10``) and without regard to case.
    Left out are hidden files and folders, caches of thumbnails, this program's results (a folder with
    ``explain.json``), and masks: files named like ``NAME_segmentation.png`` or lying in a folder called ``masks``,
    where an image ``NAME`` was found too. A file asked for by its own path is never left out. Links are followed,
    each folder once.

    Raises:
        ImageError: when a path is not there or a folder may not be opened.
    """
    found: list[ImageFile] = []
    seen: set[str] = set()
    for path in paths:
        for entry in _scan_one(Path(path)):
            # Compared as text: resolving ten thousand paths costs seconds on a network drive.
            key = os.path.abspath(entry.path)  # noqa: PTH100 - Path.absolute keeps "..", resolve asks the disk
            if key not in seen:
                seen.add(key)
                found.append(entry)
    return found


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sorting key in which numbers count as numbers: ``a2 < a10``."""
    parts = re.split(r"([0-9]+)", text.casefold())
    # Numbers before words; an equal number with fewer leading zeros first.
    return tuple((0, int(p), f"{len(p):09d}") if i % 2 else (1, 0, p) for i, p in enumerate(parts) if p)


def _scan_one(path: Path) -> Iterator[ImageFile]:
    if path.is_dir():
        yield from (ImageFile(Path(name), path) for name in _images_in(path))
    elif path.exists() or path.is_symlink():
        yield ImageFile(path, path.parent)
    else:
        raise ImageError(f"{display_name(path) or path} is not there. Check the path.")


def _images_in(root: Path) -> list[str]:
    """Return the paths of the images below a folder, in order: a folder's own first, then those of its folders."""
    found: list[tuple[str, list[str]]] = []
    visited: set[object] = set()
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        is_root = folder == str(root)
        try:
            listing = _list(folder, visited)
        except OSError as error:
            if is_root:
                name = display_name(root) or str(root)
                raise ImageError(f"{name} cannot be opened. Check its permissions.", details=repr(error)) from error
            continue  # a folder below that may not be opened costs only itself
        if listing is None or (listing.result and not is_root):
            continue
        found.append((folder, sorted(listing.files, key=natural_key)))
        below = [
            (linked, natural_key(name), name)
            for name, linked in listing.folders
            if not (listing.result and name.casefold() in _RESULT_FOLDERS)
        ]
        # A stack, hence backwards; links last, so that a folder is found by its own path first.
        pending += [os.path.join(folder, name) for *_, name in sorted(below, reverse=True)]  # noqa: PTH118 - speed
    return _without_masks(found, root)


@dataclass(frozen=True, slots=True)
class _Listing:
    """A folder's images, its folders (name, whether a link), and whether this program wrote it."""

    files: list[str]
    folders: list[tuple[str, bool]]
    result: bool


def _list(folder: str, visited: set[object]) -> _Listing | None:
    """Return what a folder holds, or None if it was visited; what each entry is comes with the listing itself."""
    status = os.stat(folder)  # noqa: PTH116 - as text, for speed
    identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(folder)
    if identity in visited:
        return None
    visited.add(identity)
    files, folders, result = [], [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            result = result or name == _RESULT_FILE
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - speed
            if suffix in SUFFIXES and not entry.is_dir():
                # A link whose target is gone stays: it becomes a row with an error instead of a silent gap.
                files.append(name)
            elif name.casefold() not in _CACHES and entry.is_dir():
                folders.append((name, entry.is_symlink()))
    return _Listing(files, folders, result)


def _without_masks(found: list[tuple[str, list[str]]], root: Path) -> list[str]:
    """Return the paths of the files that are not masks of others among them."""
    rows = []
    for folder, names in found:
        below = os.path.relpath(folder, root)
        in_masks = below != "." and any(_MASK_FOLDER.search(part) for part in Path(below).parts)
        rows += [(folder, name, os.path.splitext(name)[0].casefold(), in_masks) for name in names]  # noqa: PTH122
    images = {stem for _, _, stem, in_masks in rows if not in_masks}
    kept = []
    for folder, name, stem, in_masks in rows:
        bare = _MASK_ENDING.sub("", stem)
        if (in_masks and stem in images) or (bare != stem and bare in images):
            continue
        kept.append(os.path.join(folder, name))  # noqa: PTH118 - speed
    return kept
