"""Where a writer puts its files: below a folder, or nowhere, when an export is only rehearsed. Both count."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from camviewer.formats import disk

_PARTS = ("", "train", "val", "test")
FileKind = Literal["annotations", "images", "about"]


@dataclass(slots=True)
class FileRow:
    """A file of the result, or the files of one folder.

    Attributes:
        path: POSIX, below the result; a folder ends with ``/``, ``*`` stands for the image's name.
        kind: ``annotations``, copies of ``images``, or files ``about`` the whole.
        files, size: how many, and their bytes; both are extrapolated where `exact` is False.
        images: images that have something there, `empty` of them no region.
        regions: of these images.
        parts: of the split whose images went there.
    """

    path: str
    kind: FileKind = "about"
    files: int = 0
    size: int = 0
    images: int = 0
    empty: int = 0
    regions: int = 0
    parts: tuple[str, ...] = ()
    exact: bool = True

    @property
    def is_folder(self) -> bool:
        """Whether it stands for many files."""
        return self.path.endswith("/") or self.path.startswith("*")


class Output:
    """Takes the files of one result, and keeps the rows of the table that shows them.

    Args:
        folder: where the files go; None only counts.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.rows: dict[str, FileRow] = {}
        self._begun: set[str] = set()
        self._stems: tuple[str, ...] = ()
        self._part = ""
        self._touched: list[FileRow] = []

    def begin(self, stems: tuple[str, ...] = (), part: str = "") -> None:
        """Say which image the next files are of, by the stems it is written under; none for files of the whole."""
        # The longest first: a flat stem may end like another.
        self._stems, self._part, self._touched = tuple(sorted(set(stems), key=len, reverse=True)), part, []

    def end(self, regions: int) -> None:
        """Count the image that `begin` named, and its regions."""
        for row in self._touched:
            row.images += 1
            if row.kind == "annotations":
                row.regions += regions
                row.empty += not regions

    def write(self, path: str, data: bytes, *, kind: FileKind = "annotations") -> None:
        """Put a whole file at `path`, POSIX and relative.

        Raises:
            ExportError: when the disk does not take it.
        """
        if self.folder is not None:
            disk.write_bytes(self.folder / path, data)
        self._count(path, len(data), kind)

    def append(self, path: str, data: bytes) -> None:
        """Put bytes behind what `path` holds already.

        Raises:
            ExportError: when the disk does not take it.
        """
        if self.folder is not None:
            target = self.folder / path
            with disk.writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("ab" if path in self._begun else "wb") as handle:
                    handle.write(data)
            self._begun.add(path)
        self._count(path, len(data), "annotations", whole=False)

    def link(self, path: str, source: Path) -> None:
        """Make `path` a symbolic link.

        Raises:
            ExportError: when the file system has none.
        """
        if self.folder is not None:
            target = self.folder / path
            with disk.writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source.absolute())
        self._count(path, 0, "images")

    def copy(self, path: str, source: Path) -> None:
        """Copy a file byte by byte.

        Raises:
            ExportError: when it cannot be read or the disk does not take it.
        """
        with disk.writing(Path(path)):
            size = source.stat().st_size
            data = b"" if self.folder is None else source.read_bytes()
        if self.folder is not None:
            disk.write_bytes(self.folder / path, data)
        self._count(path, size, "images")

    def spool(self) -> IO[bytes]:
        """Return an open file without a name for what belongs behind something that is not known yet."""
        if self.folder is None:
            return tempfile.SpooledTemporaryFile(1 << 24)
        with disk.writing(self.folder):
            return tempfile.TemporaryFile(dir=self.folder)

    def spill(self, path: str, spool: IO[bytes], data: bytes) -> None:
        """Put bytes that will end in `path` into a spool.

        Raises:
            ExportError: when the disk does not take it.
        """
        with disk.writing(Path(path)):
            spool.write(data)
        self._count(path, len(data), "annotations", whole=False)

    def unspool(self, path: str, spool: IO[bytes]) -> None:
        """Put what a spool holds behind `path`, and close it.

        Raises:
            ExportError: when the disk does not take it.
        """
        if self.folder is not None:
            target = self.folder / path
            with disk.writing(target), target.open("ab") as handle:
                spool.seek(0)
                shutil.copyfileobj(spool, handle, 1 << 20)
        spool.close()

    def extrapolate(self, part: str, images: int, *, regions: int, empty: int) -> None:
        """Count images of a part that were not rehearsed as if their files were like those of the others."""
        for row in self.rows.values():
            if not row.images or part not in row.parts:
                continue
            share = images / row.images
            row.size += round(row.size * share)
            if row.is_folder:
                row.files += round(row.files * share)
            row.images += images
            if row.kind == "annotations":
                row.regions += regions
                row.empty += empty
            row.exact = False

    def table(self) -> tuple[FileRow, ...]:
        """Return the rows: folder by folder, their parts in order, last what is about the whole."""

        def place(row: FileRow) -> tuple[bool, str, int]:
            part = row.parts[0] if len(row.parts) == 1 else ""
            return row.kind == "about", row.path.replace(part, "") if part else row.path, _PARTS.index(part)

        return tuple(sorted(self.rows.values(), key=place))

    def path(self, relative: str) -> Path:
        """Return where a file lies that was written."""
        assert self.folder is not None
        return self.folder / relative

    def _count(self, path: str, size: int, kind: FileKind, *, whole: bool = True) -> None:
        key = self._row_path(path)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = FileRow(key)
        # Appended pieces are one file.
        row.files = row.files + 1 if whole else 1
        row.size += size
        if self._stems and all(row is not touched for touched in self._touched):
            self._touched.append(row)
            row.kind = kind
            if self._part not in row.parts:
                row.parts = (*row.parts, self._part)

    def _row_path(self, path: str) -> str:
        """Return the row that shows a file: the folder before the image's name, or the file itself."""
        for stem in self._stems:
            # From the right, and only at the start of a name: "e" is not the end of "e_mask.png".
            at = f"/{path}".rfind(f"/{stem}")
            if at >= 0 and "/" not in path[at + len(stem) :]:
                return path[:at] or "*" + PurePosixPath(path).suffix
        # Lists deep down (VOC's ImageSets) share a row.
        return path if path.count("/") < 2 else path.rpartition("/")[0] + "/"
