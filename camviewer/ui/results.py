"""Keeping what the engine found: maps, regions and the run that made them go into the project in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from camviewer.errors import CamviewerError
from camviewer.project.facts import DISAGREEMENT, set_facts
from camviewer.project.learnt import has_learnt_mask
from camviewer.project.records import ActivationMap, Box, Mask, Run
from camviewer.project.store import Project
from camviewer.regions.disagreement import disagreement
from camviewer.ui.session import Session

if TYPE_CHECKING:
    from camviewer.workers.tasks import MapResult


def keep_result(
    session: Session,
    image_id: int,
    *,
    run: Run,
    top: Sequence[tuple[int, float, float]],
    maps: Sequence[ActivationMap],
    found: Sequence[MapResult],
) -> None:
    """Store the result of one image and show it; regions of a reviewed image stay as they are.

    Learnt masks cost minutes of training: new maps leave them, and only a changed rule draws others in their place.

    Args:
        run: what computed it, as the engine reports it, with the rule that found the regions.
        top: (model class, logit, probability), best first.
        maps: new raw maps; none when only the rule changed.
        found: boxes and mask of each map.
    """
    project = session.project
    if project is None:
        return
    probability = {index: share for index, _logit, share in top}
    boxes, masks = [], []
    for result in found:
        index = result.map.class_index
        class_id = session.class_id_of(index)
        boxes += [
            Box(box.x0, box.y0, box.x1, box.y1, class_id, "auto", box.score, probability.get(index))
            for box in result.boxes
        ]
        masks.append(Mask(result.mask, class_id, "auto", result.refine, result.reason))
    try:
        with project.transaction():  # one wait for the disk
            run_id = project.add_run(run)
            keeps_masks = bool(maps) and has_learnt_mask(project, image_id)
            shown = found[0] if found and not keeps_masks else None
            project.store_result(
                image_id,
                run_id=run_id,
                top=top,
                maps=maps,
                boxes=boxes,
                masks=None if keeps_masks else masks,
                doubt=None if shown is None else shown.doubt,
                findings=() if shown is None else shown.findings,
            )
            if shown is not None:
                set_facts(project, image_id, {"attention": shown.attention})
            if maps:
                set_facts(project, image_id, {DISAGREEMENT: _disagreement(project, image_id, maps[0].class_index)})
    except CamviewerError as error:
        session.said.emit(error.message, "The result is not kept", "bad")
        return
    session.reload(image_id)


def _disagreement(project: Project, image_id: int, class_index: int) -> float | None:
    """Return how differently the methods whose maps are kept see a class."""
    by_method = {found.method: found.values for found in project.maps(image_id) if found.class_index == class_index}
    return disagreement(list(by_method.values()))
