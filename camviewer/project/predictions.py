"""Stored predictions when another model comes: class indices mean something to one list of classes alone."""

from __future__ import annotations

import json
from collections.abc import Mapping

from camviewer.project.store import Project


def translate_predictions(project: Project, before: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Bring all stored predictions from the class indices of one model to those of another.

    Classes that the other model does not have are left out. Where it lacks the predicted class nothing remains: the
    image then counts as not computed by this model.

    Args:
        before, now: annotation class id by model class index, as `ClassTable.by_model`.

    Returns:
        how many images changed.

    Raises:
        ProjectError: when the project cannot be written.
    """
    index_of = {class_id: index for index, class_id in now.items()}
    moved = {index: index_of.get(class_id) for index, class_id in before.items()}
    if all(index == other for index, other in moved.items()):
        return 0
    changed = 0
    with project.transaction() as execute:
        for image_id, text in execute("SELECT id, top FROM images WHERE top != '[]'").fetchall():
            rows = json.loads(text)
            known = [[moved[row[0]], *row[1:]] for row in rows if moved.get(row[0]) is not None]
            kept = known if moved.get(rows[0][0]) is not None else []
            if kept != rows:
                execute("UPDATE images SET top = ? WHERE id = ?", (json.dumps(kept), image_id))
                changed += 1
    return changed
