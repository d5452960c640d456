"""Masks that learn, in the project: the network, how its rounds went, and the masks that it replaced.

The masks which a round replaces stay until the next round, so that before and after can be compared and the round can
be taken back. Reviewed masks are never among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from camviewer.errors import ProjectError
from camviewer.project.file import now
from camviewer.project.mask_blob import MaskBlob
from camviewer.project.records import Mask, Run
from camviewer.project.rows import MASK_COLUMNS, StoredMask, mask_values, read_mask, read_stored_mask
from camviewer.project.store import Project


@dataclass(frozen=True, slots=True)
class LearntRound:
    """One round: its number from 1, when it ended (ISO 8601, UTC), and what was learnt and drawn."""

    number: int
    created_at: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class LearntMasks:
    """New automatic masks of an image, packed, by class id, and how doubtful they are."""

    image_id: int
    masks: dict[int, MaskBlob]
    doubt: float
    reason: str = ""


def packed_masks(project: Project) -> dict[int, dict[str, dict[int, MaskBlob]]]:
    """Return all masks without unpacking them: by image id, slot and class id."""
    found: dict[int, dict[str, dict[int, MaskBlob]]] = {}
    for row in project.read_rows(f"SELECT image_id, {MASK_COLUMNS} FROM masks"):
        slots = found.setdefault(int(row[0]), {})
        slots.setdefault(str(row[2]), {})[int(row[1])] = read_stored_mask(row[1:]).blob
    return found


def store_round(
    project: Project, drawn: Iterable[LearntMasks], *, network: bytes, record: dict[str, Any], run: Run
) -> int:
    """Keep a round: its network, its record and its masks, in one transaction.

    The automatic masks of the images become those given, the earlier ones are laid aside; what a person touched and all
    of reviewed and skipped images stays as it is.

    Args:
        drawn: new masks of images.
        network: of `camviewer.training.segmentation.network_file`.
        record: what was learnt and drawn, JSON values.
        run: what computed the masks.

    Returns:
        of how many images the masks were written.

    Raises:
        ProjectError: when the project cannot be written; nothing of the round is then kept.
    """
    written = 0
    with project.transaction() as execute:
        run_id = project.add_run(run)
        execute("DELETE FROM earlier_masks")
        execute("DELETE FROM earlier_doubts")
        execute("UPDATE mask_networks SET data = NULL")
        execute(
            "INSERT INTO mask_networks (created_at, record, data) VALUES (?, ?, ?)",
            (now(), json.dumps(record, allow_nan=False), network),
        )
        for entry in drawn:
            row = execute("SELECT status, doubt, findings FROM images WHERE id = ?", (entry.image_id,)).fetchone()
            if row is None or row[0] in {"reviewed", "skipped"}:
                continue
            execute("INSERT INTO earlier_doubts VALUES (?, ?)", (entry.image_id, row[1]))
            execute(
                f"INSERT INTO earlier_masks (image_id, {MASK_COLUMNS}) "
                f"SELECT image_id, {MASK_COLUMNS} FROM masks WHERE image_id = ? AND slot = 'auto'",
                (entry.image_id,),
            )
            execute("DELETE FROM masks WHERE image_id = ? AND slot = 'auto'", (entry.image_id,))
            for class_id, blob in entry.masks.items():
                _insert(execute, entry.image_id, class_id, StoredMask(blob, REFINE, entry.reason, run_id))
            execute(
                "UPDATE images SET doubt = ?, status = CASE WHEN status IN ('new', 'failed') THEN 'computed' "
                "ELSE status END WHERE id = ?",
                (entry.doubt, entry.image_id),
            )
            written += 1
    return written


REFINE = "learnt"
"""What masks of the network say about how they were drawn."""


def take_back(project: Project) -> int:
    """Put the masks that the last round replaced back in place; return of how many images.

    Of an image that was computed since, or decided on, the masks stay as they are. The network stays.

    Raises:
        ProjectError: when the project cannot be written; nothing is then changed.
    """
    restored = 0
    with project.transaction() as execute:
        rows = execute(
            "SELECT e.image_id, e.doubt FROM earlier_doubts e JOIN images i ON i.id = e.image_id "
            "WHERE i.status NOT IN ('reviewed', 'skipped') AND NOT EXISTS (SELECT 1 FROM masks m "
            "WHERE m.image_id = e.image_id AND m.slot = 'auto' AND m.refine != ?)",
            (REFINE,),
        ).fetchall()
        for image_id, doubt in rows:
            execute("DELETE FROM masks WHERE image_id = ? AND slot = 'auto'", (image_id,))
            execute(
                f"INSERT INTO masks (image_id, {MASK_COLUMNS}) "
                f"SELECT image_id, {MASK_COLUMNS} FROM earlier_masks WHERE image_id = ?",
                (image_id,),
            )
            execute("UPDATE images SET doubt = ? WHERE id = ?", (doubt, image_id))
            restored += 1
        execute("DELETE FROM earlier_masks")
        execute("DELETE FROM earlier_doubts")
    return restored


def earlier_masks(project: Project, image_id: int) -> list[Mask] | None:
    """Return the automatic masks that the last round replaced, or None where it drew nothing."""
    if not project.read_rows("SELECT 1 FROM earlier_doubts WHERE image_id = ?", (image_id,)):
        return None
    rows = project.read_rows(
        f"SELECT {MASK_COLUMNS} FROM earlier_masks WHERE image_id = ? ORDER BY class_id", (image_id,)
    )
    try:
        return [read_mask(row) for row in rows]
    except ValueError as error:
        raise ProjectError(
            f"{project.path.name} holds a damaged region; the others can still be read.", details=repr(error)
        ) from error


def has_learnt_mask(project: Project, image_id: int) -> bool:
    """Return whether a network drew an automatic mask of this image."""
    query = "SELECT 1 FROM masks WHERE image_id = ? AND slot = 'auto' AND refine = ? LIMIT 1"
    return bool(project.read_rows(query, (image_id, REFINE)))


def can_take_back(project: Project) -> bool:
    """Return whether the last round can be taken back."""
    return bool(project.read_rows("SELECT 1 FROM earlier_doubts LIMIT 1"))


def network_of(project: Project) -> bytes | None:
    """Return the network of the last round, or None before the first."""
    rows = project.read_rows("SELECT data FROM mask_networks WHERE data IS NOT NULL ORDER BY id DESC LIMIT 1")
    return bytes(rows[0][0]) if rows else None


def rounds_of(project: Project) -> list[LearntRound]:
    """Return the rounds, oldest first."""
    rows = project.read_rows("SELECT id, created_at, record FROM mask_networks ORDER BY id")
    return [LearntRound(number, row[1], json.loads(row[2])) for number, row in enumerate(rows, start=1)]


def _insert(execute: Any, image_id: int, class_id: int, mask: StoredMask) -> None:
    execute(
        f"INSERT INTO masks (image_id, {MASK_COLUMNS}) VALUES ({', '.join('?' * 14)})",
        (image_id, *mask_values(class_id, "auto", mask)),
    )
