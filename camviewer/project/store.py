"""A project: one SQLite file that is its own autosave.

Every method that changes something is one transaction; when it returns, the edit is on the disk, and when it raises
`ProjectError`, nothing of it is. `transaction` groups several into one edit. A `Project` is used from the one thread
that opened it (the GUI's, or a command's main thread); other threads hand it records.

Two rules protect a person's work: automatic results go through `store_result`, which writes only the ``auto`` slot and
``auto`` boxes and leaves the regions of reviewed images alone; everything a person does writes the ``reviewed`` slot.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy as np

from camviewer.errors import ProjectError
from camviewer.project import schema
from camviewer.project.connection import connect, copy_to, guard, relative_place
from camviewer.project.mask_blob import pack
from camviewer.project.records import (
    CLASS_COLOURS,
    ActivationMap,
    AnnotationClass,
    Box,
    ClassTable,
    ImageRecord,
    Mask,
    Run,
    Slot,
    Status,
)
from camviewer.project.rows import (
    BOX_COLUMNS,
    IMAGE_COLUMNS,
    MAP_COLUMNS,
    MASK_COLUMNS,
    StoredMask,
    box_values,
    flags_text,
    geometry_to_json,
    mask_values,
    path_bytes,
    plain,
    read_box,
    read_image,
    read_map,
    read_mask,
    read_stored_mask,
)

SUFFIX = ".camviewer"
DECIDED: tuple[Status, ...] = ("reviewed", "skipped")


@dataclass(frozen=True, slots=True)
class MaskSummary:
    """A mask without its pixels, for lists and counts.

    Attributes:
        bounds: half-open pixel bounds; all 0 when empty.
        area: pixels inside.
    """

    image_id: int
    class_id: int
    slot: Slot
    bounds: tuple[int, int, int, int]
    area: int
    refine: str
    reason: str


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Project:
    """An open project; made by `create` and `open`.

    Attributes:
        path: of the project file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0

    # Opening and closing

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
                connection.execute("INSERT INTO meta VALUES ('created_at', ?)", (_now(),))
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

    def save_as(self, path: Path) -> Project:
        """Copy the project to `path` and return the opened copy; this one stays open and unchanged.

        Raises:
            ProjectError: when `path` exists or cannot be written; nothing is then left there.
        """
        path = path.absolute()
        if path.exists():
            raise ProjectError(f"{path.name} exists already. Choose another name.")
        root = self.root
        copy_to(self._connection, path, root=root)
        return Project(path, connect(path))

    @property
    def root(self) -> Path:
        """Folder that image paths are relative to; it may be gone."""
        text = self.meta("root") or "."
        return Path(os.path.normpath(self.path.parent / text))

    def set_root(self, root: Path) -> None:
        """Say that the images lie below `root` now; their relative paths stay."""
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
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection.execute
            except BaseException:
                self._depth -= 1
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

    # Classes

    def class_table(self) -> ClassTable:
        """Return the annotation classes and what the model's classes mean."""
        classes = tuple(AnnotationClass(*row) for row in self._all("SELECT id, name, colour FROM classes ORDER BY id"))
        by_model = self._all("SELECT model_index, class_id FROM model_classes ORDER BY model_index")
        return ClassTable(classes, {int(index): int(class_id) for index, class_id in by_model})

    def add_class(self, name: str, *, colour: str = "") -> AnnotationClass:
        """Add a class under an id that was never used before."""
        with self.transaction() as run:
            cursor = run("INSERT INTO classes (name, colour) VALUES (?, ?)", (name, colour))
            new_id = int(cursor.lastrowid)
            colour = colour or CLASS_COLOURS[(new_id - 1) % len(CLASS_COLOURS)]
            run("UPDATE classes SET colour = ? WHERE id = ?", (colour, new_id))
        return AnnotationClass(new_id, name, colour)

    def next_class_id(self) -> int:
        """Return the lowest id above all that classes of this project ever had."""
        row = self._one("SELECT seq FROM sqlite_sequence WHERE name = 'classes'")
        return 1 + (int(row[0]) if row else 0)

    def set_class_table(self, table: ClassTable, *, restore: bool = False) -> None:
        """Replace names, colours and the mapping; classes keep their ids.

        Args:
            restore: an edit is taken back, so that an id which was used before means what it meant.

        Raises:
            ProjectError: when a class that regions carry would vanish, or an id that belonged to a removed class
                would come back with another meaning.
        """
        with self.transaction() as run:
            have = {row[0] for row in run("SELECT id FROM classes")}
            free = self.next_class_id()
            for entry in table.classes:
                if entry.id < 1 or (entry.id not in have and entry.id < free and not restore):
                    raise ProjectError(f"Class id {entry.id} was used before; give {entry.name} a new one.")
            run("DELETE FROM model_classes")
            for gone in have - {entry.id for entry in table.classes}:
                used = run(
                    "SELECT 1 FROM masks WHERE class_id = ? UNION ALL SELECT 1 FROM boxes WHERE class_id = ? LIMIT 1",
                    (gone, gone),
                ).fetchone()
                if used:
                    raise ProjectError(f"Class {gone} cannot be removed: regions carry it. Change their class first.")
                run("DELETE FROM classes WHERE id = ?", (gone,))
            for entry in table.classes:
                run(
                    "INSERT INTO classes VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, colour = excluded.colour",
                    (entry.id, entry.name, entry.colour),
                )
            for index, class_id in table.by_model.items():
                if class_id not in {entry.id for entry in table.classes}:
                    raise ProjectError(f"Model class {index} means class {class_id}, which does not exist.")
                run("INSERT INTO model_classes VALUES (?, ?)", (index, class_id))

    # Images

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
                _now(),
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
        return [read_image(row) for row in self._all(f"SELECT {IMAGE_COLUMNS} FROM images ORDER BY id")]

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
        now = _now()
        who = (reviewer, now) if status in DECIDED else ("", "")
        with self.transaction():
            self._connection.executemany(
                "UPDATE images SET status = ?, reviewer = ?, reviewed_at = ?, changed_at = ? WHERE id = ?",
                [(status, *who, now, i) for i in image_ids],
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
            run(f"UPDATE images SET {column} = ?, changed_at = ? WHERE id = ?", (value, _now(), image_id))

    def status_counts(self) -> dict[str, int]:
        """Return how many images have each status that occurs."""
        return dict(self._all("SELECT status, count(*) FROM images GROUP BY status"))

    # Runs and automatic results

    def add_run(self, run_record: Run) -> int:
        """Keep what computed results and return its id; an equal run keeps its id."""
        text = json.dumps(run_record.to_json(), sort_keys=True, allow_nan=False)
        with self.transaction() as run:
            found = run("SELECT id FROM runs WHERE record = ?", (text,)).fetchone()
            if found:
                return int(found[0])
            return int(run("INSERT INTO runs (created_at, record) VALUES (?, ?)", (_now(), text)).lastrowid)

    def run(self, run_id: int) -> Run:
        """Return a run.

        Raises:
            ProjectError: when it is not in the project.
        """
        row = self._one("SELECT record FROM runs WHERE id = ?", (run_id,))
        if row is None:
            raise ProjectError(f"Run {run_id} is not in {self.path.name}.")
        return Run.from_json(json.loads(row[0]))

    def runs(self) -> dict[int, Run]:
        """Return all runs by id, oldest first."""
        rows = self._all("SELECT id, record FROM runs ORDER BY id")
        return {int(run_id): Run.from_json(json.loads(text)) for run_id, text in rows}

    def store_result(
        self,
        image_id: int,
        *,
        run_id: int | None,
        top: Sequence[tuple[int, float, float]] = (),
        maps: Sequence[ActivationMap] = (),
        boxes: Sequence[Box] | None = None,
        masks: Sequence[Mask] | None = None,
        doubt: float | None = None,
        findings: Sequence[str] = (),
    ) -> bool:
        """Keep what a run found in an image, in one transaction.

        Maps replace those of the same class, method and layer. Boxes and masks replace the automatic ones of the
        image; those a person touched stay. Regions of a reviewed image are not changed at all.

        Args:
            boxes, masks: None leaves the automatic ones as they are; an empty list removes them.
            doubt, findings: of these masks, see `ImageRecord`; kept with them alone.

        Returns:
            whether regions were written, False for a reviewed image.
        """
        with self.transaction() as run:
            status = self._status(image_id)
            for found in maps:
                self._write_map(image_id, run_id, found)
            keep = status == "reviewed"
            if boxes is not None and not keep:
                run("DELETE FROM boxes WHERE image_id = ? AND origin = 'auto'", (image_id,))
                for box in boxes:
                    self._write_box(image_id, replace(box, origin="auto", run=run_id))
            if masks is not None and not keep:
                run("DELETE FROM masks WHERE image_id = ? AND slot = 'auto'", (image_id,))
                for mask in masks:
                    self._write_mask(image_id, replace(mask, slot="auto", run=run_id))
                run(
                    "UPDATE images SET doubt = ?, findings = ? WHERE id = ?",
                    (doubt, flags_text(findings), image_id),
                )
            if top:
                run("UPDATE images SET top = ? WHERE id = ?", (json.dumps([list(row) for row in top]), image_id))
            new_status = "computed" if status in {"new", "failed"} else status
            run(
                "UPDATE images SET status = ?, error = '', changed_at = ? WHERE id = ?",
                (new_status, _now(), image_id),
            )
        return not keep

    def store_failure(self, image_id: int, message: str) -> None:
        """Keep the sentence that says why an image could not be computed; regions and decisions stay."""
        with self.transaction() as run:
            status = self._status(image_id)
            new_status = "failed" if status in {"new", "computed", "failed"} else status
            run(
                "UPDATE images SET status = ?, error = ?, changed_at = ? WHERE id = ?",
                (new_status, plain(message), _now(), image_id),
            )

    def _status(self, image_id: int) -> str:
        row = self._one("SELECT status FROM images WHERE id = ?", (image_id,))
        if row is None:
            raise ProjectError(f"Image {image_id} is not in {self.path.name}.")
        return str(row[0])

    # Maps

    def maps(self, image_id: int) -> list[ActivationMap]:
        """Return an image's maps, oldest first; no model is needed to place them."""
        rows = self._all(
            f"SELECT {MAP_COLUMNS} FROM maps WHERE image_id = ? ORDER BY id",
            (image_id,),
        )
        with self._intact():
            return [read_map(row) for row in rows]

    def has_maps(self, image_id: int) -> bool:
        """Return whether an image was computed."""
        return self._one("SELECT 1 FROM maps WHERE image_id = ? LIMIT 1", (image_id,)) is not None

    def _write_map(self, image_id: int, run_id: int | None, found: ActivationMap) -> None:
        values = np.ascontiguousarray(found.values, dtype="<f4")
        self._connection.execute(
            "INSERT OR REPLACE INTO maps (image_id, run_id, class_index, method, layer, row_count, column_count, "
            "data, geometry, seconds, precision, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                image_id,
                run_id,
                found.class_index,
                found.method,
                found.layer,
                *values.shape,
                values.tobytes(),
                json.dumps(geometry_to_json(found.geometry)),
                float(found.seconds),
                found.precision,
                json.dumps(found.flags),
            ),
        )

    # Boxes

    def boxes(self, image_id: int) -> list[Box]:
        """Return an image's boxes."""
        rows = self._all(f"SELECT {BOX_COLUMNS} FROM boxes WHERE image_id = ? ORDER BY id", (image_id,))
        return [read_box(row) for row in rows]

    def add_box(self, image_id: int, box: Box) -> Box:
        """Add a box by hand and return it with its id; an ``auto`` origin becomes ``manual``.

        An `id` that is free is kept, so that undoing a deletion brings the same box back.
        """
        box = replace(box, origin="manual") if box.origin == "auto" else box
        with self.transaction():
            box = self._write_box(image_id, box)
            self._touch(image_id)
        return box

    def update_box(self, image_id: int, box: Box) -> Box:
        """Replace the box of the same id; an ``auto`` origin becomes ``edited``.

        Raises:
            ProjectError: when there is no such box.
        """
        box = replace(box, origin="edited") if box.origin == "auto" else box
        with self.transaction() as run:
            changed = run(
                "UPDATE boxes SET run_id = ?, class_id = ?, origin = ?, x0 = ?, y0 = ?, x1 = ?, y1 = ?, score = ?, "
                "probability = ? WHERE id = ? AND image_id = ?",
                (*box_values(box), box.id, image_id),
            ).rowcount
            if not changed:
                raise ProjectError(f"Box {box.id} is not in the image any more.")
            self._touch(image_id)
        return box

    def reserve_box_ids(self, count: int = 1) -> range:
        """Return ids for new boxes that no other box ever had or gets."""
        with self.transaction() as run:
            found = run("SELECT seq FROM sqlite_sequence WHERE name = 'boxes'").fetchone()
            last = int(found[0]) if found else 0
            if found:
                run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'boxes'", (last + count,))
            else:
                run("INSERT INTO sqlite_sequence (name, seq) VALUES ('boxes', ?)", (last + count,))
        return range(last + 1, last + count + 1)

    def remove_box(self, image_id: int, box_id: int) -> None:
        """Remove a box."""
        with self.transaction() as run:
            run("DELETE FROM boxes WHERE id = ? AND image_id = ?", (box_id, image_id))
            self._touch(image_id)

    def _write_box(self, image_id: int, box: Box) -> Box:
        cursor = self._connection.execute(
            "INSERT INTO boxes (id, image_id, run_id, class_id, origin, x0, y0, x1, y1, score, probability) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (box.id, image_id, *box_values(box)),
        )
        return replace(box, id=cursor.lastrowid)

    # Masks

    def masks(self, image_id: int, *, slot: Slot | None = None) -> list[Mask]:
        """Return an image's masks of one slot, or of both, by class."""
        rows = self._all(
            f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? AND (? IS NULL OR slot = ?) ORDER BY class_id, slot",
            (image_id, slot, slot),
        )
        with self._intact():
            return [read_mask(row) for row in rows]

    def stored_mask(self, image_id: int, class_id: int, *, slot: Slot = "reviewed") -> StoredMask | None:
        """Return a mask without unpacking it, or None."""
        row = self._one(
            f"SELECT {MASK_COLUMNS} FROM masks WHERE image_id = ? AND class_id = ? AND slot = ?",
            (image_id, class_id, slot),
        )
        return None if row is None else read_stored_mask(row)

    def final_masks(self, image_id: int) -> list[Mask]:
        """Return one mask a class: the reviewed one where there is one, else the automatic one.

        A reviewed mask without pixels says that the class has no region here, and is returned as such.
        """
        best: dict[int, Mask] = {}
        for mask in self.masks(image_id):  # "auto" sorts before "reviewed", so the latter wins
            best[mask.class_id] = mask
        return list(best.values())

    def mask_summaries(self) -> list[MaskSummary]:
        """Return every mask of the project without its pixels."""
        rows = self._all(
            "SELECT image_id, class_id, slot, x0, y0, x1, y1, area, refine, reason FROM masks "
            "ORDER BY image_id, class_id, slot"
        )
        return [MaskSummary(row[0], row[1], row[2], tuple(row[3:7]), row[7], row[8], row[9]) for row in rows]

    def set_mask(self, image_id: int, mask: Mask) -> None:
        """Keep a mask that a person drew, changed or accepted, in the reviewed slot."""
        with self.transaction():
            self._check_size(image_id, mask)
            self._write_mask(image_id, replace(mask, slot="reviewed"))
            self._touch(image_id)

    def remove_mask(self, image_id: int, class_id: int) -> None:
        """Remove the reviewed mask of a class, so that the automatic one counts again."""
        with self.transaction() as run:
            run("DELETE FROM masks WHERE image_id = ? AND class_id = ? AND slot = 'reviewed'", (image_id, class_id))
            self._touch(image_id)

    def _check_size(self, image_id: int, mask: Mask) -> None:
        width, height = self.image(image_id).size
        if mask.pixels.shape != (height, width):
            rows, columns = mask.pixels.shape
            raise ProjectError(f"The mask has {columns} x {rows} pixels, the image {width} x {height}.")

    def _write_mask(self, image_id: int, mask: Mask) -> None:
        stored = StoredMask(pack(mask.pixels), mask.refine, mask.reason, mask.run)
        self._connection.execute(
            f"INSERT OR REPLACE INTO masks (image_id, {MASK_COLUMNS}) VALUES ({', '.join('?' * 14)})",
            (image_id, *mask_values(mask.class_id, mask.slot, stored)),
        )

    def _touch(self, image_id: int) -> None:
        """Note an edit by hand; a reviewed image stays reviewed."""
        self._connection.execute(
            "UPDATE images SET changed_at = ?, status = CASE WHEN status IN ('new', 'computed', 'failed') "
            "THEN 'edited' ELSE status END WHERE id = ?",
            (_now(), image_id),
        )

    @contextlib.contextmanager
    def _intact(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise ProjectError(
                f"{self.path.name} holds a damaged region; the others can still be read.", details=repr(error)
            ) from error
