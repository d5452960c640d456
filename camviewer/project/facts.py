"""What is known about an image besides its regions: numbers and words under a name (its label, a figure to sort by)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from camviewer.project.rows import plain
from camviewer.project.store import Project

Fact: TypeAlias = float | str

LABEL = "label"
"""What others say the image shows: the folder it lies in, or its row of a table."""

LESION = "lesion"
"""Images of the same lesion share this."""

REASON = "reason"
"""Why an image was skipped."""

DISAGREEMENT = "disagreement"
"""How differently methods see the predicted class, 0 to 1; see `camviewer.regions.disagreement`."""


def set_facts(project: Project, image_id: int, facts: Mapping[str, Fact | None]) -> None:
    """Keep facts of an image; None forgets one, all others stay.

    Raises:
        ProjectError: when the project cannot be written, or has no such image.
    """
    set_many(project, [(image_id, name, value) for name, value in facts.items()])


def set_many(project: Project, rows: Iterable[tuple[int, str, Fact | None]]) -> None:
    """Keep facts of many images, as (image id, name, value), in one transaction."""
    with project.transaction() as run:
        for image_id, name, value in rows:
            if value is None:
                run("DELETE FROM facts WHERE image_id = ? AND name = ?", (image_id, name))
            else:
                kept = plain(value) if isinstance(value, str) else float(value)
                run(
                    "INSERT INTO facts VALUES (?, ?, ?) "
                    "ON CONFLICT (image_id, name) DO UPDATE SET value = excluded.value",
                    (image_id, name, kept),
                )


def facts_of(project: Project, image_id: int) -> dict[str, Fact]:
    """Return the facts of an image."""
    rows = project.read_rows("SELECT name, value FROM facts WHERE image_id = ?", (image_id,))
    return {str(name): value for name, value in rows}


def all_facts(project: Project) -> dict[int, dict[str, Fact]]:
    """Return the facts of all images that have some, by image id."""
    found: dict[int, dict[str, Fact]] = {}
    for image_id, name, value in project.read_rows("SELECT image_id, name, value FROM facts"):
        found.setdefault(int(image_id), {})[str(name)] = value
    return found
