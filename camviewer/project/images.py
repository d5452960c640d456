"""A project's images: where their files lie, what they are like, and what a person said of each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from camviewer.errors import ProjectError
from camviewer.project.connection import relative_place
from camviewer.project.file import ProjectFile, now
from camviewer.project.records import ImageRecord, Status
from camviewer.project.rows import IMAGE_COLUMNS, flags_text, path_bytes, plain, read_image

DECIDED: tuple[Status, ...] = ("reviewed", "skipped")


class ImageRows(ProjectFile):
    """The images."""

    def add_images(self, records: Iterable[ImageRecord]) -> int:
        """Add images in one transaction; paths that are there already are left as they are.

        Returns:
            how many were new.
        """
        rows = (
            (
                path_bytes(record.path),
                *record.size,
                record.file_size,
                record.sha256,
                record.status,
                json.dumps(record.flags),
                plain(record.note),
                json.dumps(record.top),
                plain(record.error),
                now(),
            )
            for record in records
        )
        with self.transaction():
            before = self._connection.total_changes
            self._connection.executemany(
                "INSERT OR IGNORE INTO images "
                "(path, width, height, file_size, sha256, status, flags, note, top, error, changed_at) "
                "VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            return self._connection.total_changes - before

    def images(self) -> list[ImageRecord]:
        """Return all images in the order they were added."""
        return self.images_after(0)

    def images_after(self, image_id: int) -> list[ImageRecord]:
        """Return the images that were added after the one of this id, in that order; 0 for all."""
        return [
            read_image(row)
            for row in self._all(f"SELECT {IMAGE_COLUMNS} FROM images WHERE id > ? ORDER BY id", (image_id,))
        ]

    def image(self, image_id: int) -> ImageRecord:
        """Return one image.

        Raises:
            ProjectError: when it is not in the project.
        """
        row = self._one(f"SELECT {IMAGE_COLUMNS} FROM images WHERE id = ?", (image_id,))
        if row is None:
            raise ProjectError(f"Image {image_id} is not in {self.path.name}.")
        return read_image(row)

    def image_at(self, path: PurePosixPath) -> ImageRecord | None:
        """Return the image of a relative path, or None."""
        row = self._one(f"SELECT {IMAGE_COLUMNS} FROM images WHERE path = CAST(? AS TEXT)", (path_bytes(path),))
        return None if row is None else read_image(row)

    def file_of(self, record: ImageRecord) -> Path:
        """Return where an image's file is expected."""
        return Path(os.path.normpath(self.root / record.path))

    def relative(self, file: Path) -> PurePosixPath:
        """Return `file` as the project names it: relative to the root, absolute only on another drive."""
        return PurePosixPath(relative_place(file.absolute(), self.root))

    def remove_images(self, image_ids: Iterable[int]) -> None:
        """Take images and all their regions out of the project; the files stay."""
        with self.transaction():
            self._connection.executemany("DELETE FROM images WHERE id = ?", [(i,) for i in image_ids])

    def set_status(self, image_ids: Iterable[int], status: Status, *, reviewer: str = "") -> None:
        """Set the status of images; ``reviewed`` and ``skipped`` keep reviewer and time."""
        when = now()
        who = (reviewer, when) if status in DECIDED else ("", "")
        with self.transaction():
            self._connection.executemany(
                "UPDATE images SET status = ?, reviewer = ?, reviewed_at = ?, changed_at = ? WHERE id = ?",
                [(status, *who, when, i) for i in image_ids],
            )

    def set_flags(self, image_id: int, flags: Iterable[str]) -> None:
        """Replace an image's flags."""
        self._update_image(image_id, "flags", flags_text(flags))

    def set_note(self, image_id: int, note: str) -> None:
        """Replace an image's note."""
        self._update_image(image_id, "note", plain(note))

    def set_file(self, image_id: int, *, path: PurePosixPath, file_size: int, sha256: str) -> None:
        """Say where an image's file lies now, and what it was like."""
        with self.transaction() as run:
            run(
                "UPDATE images SET path = CAST(? AS TEXT), file_size = ?, sha256 = ? WHERE id = ?",
                (path_bytes(path), file_size, sha256, image_id),
            )

    def _update_image(self, image_id: int, column: str, value: str) -> None:
        with self.transaction() as run:
            run(f"UPDATE images SET {column} = ?, changed_at = ? WHERE id = ?", (value, now(), image_id))

    def status_counts(self) -> dict[str, int]:
        """Return how many images have each status that occurs."""
        return dict(self._all("SELECT status, count(*) FROM images GROUP BY status"))

    def _status(self, image_id: int) -> str:
        row = self._one("SELECT status FROM images WHERE id = ?", (image_id,))
        if row is None:
            raise ProjectError(f"Image {image_id} is not in {self.path.name}.")
        return str(row[0])

    def _touch(self, image_id: int) -> None:
        """Note an edit by hand; a reviewed image stays reviewed."""
        self._connection.execute(
            "UPDATE images SET changed_at = ?, status = CASE WHEN status IN ('new', 'computed', 'failed') "
            "THEN 'edited' ELSE status END WHERE id = ?",
            (now(), image_id),
        )
