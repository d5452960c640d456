"""Unpacked masks follow every edit and its way back, and what did not change is the same object."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from camviewer.project import changes
from camviewer.project.history import History
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.project.unpacked import UnpackedMasks
from camviewer.regions.drawing import GRID, Patch

SIZE = (GRID + 200, GRID + 100)


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.camviewer") as made:
        made.add_images([ImageRecord(PurePosixPath("a.png"), SIZE), ImageRecord(PurePosixPath("b.png"), SIZE)])
        made.add_class("Melanoma")
        made.add_class("Nevus")
        yield made


def patch(x0: int, y0: int, x1: int, y1: int, value: bool = True) -> Patch:
    return Patch((x0, y0, x1, y1), np.full((y1 - y0, x1 - x0), value))


def test_they_follow_strokes_and_their_way_back(project: Project) -> None:
    history, masks = History(project), UnpackedMasks()
    strokes = [patch(5, 5, 90, 40), patch(GRID - 20, 30, GRID + 60, 60), patch(20, 10, 60, 20, False)]
    for stroke in strokes:
        history.do(changes.paint_mask(project, 1, 1, [stroke]), "Stroke")
        check(masks, project)
    for turn in (history.undo, history.undo, history.redo, history.undo, history.undo, history.redo):
        turn()
        check(masks, project)
    history.do(changes.clear_mask(project, 1, 1), "Mask deleted")
    check(masks, project)


def check(masks: UnpackedMasks, project: Project) -> None:
    for image_id in (1, 2, 1):
        found, expected = masks.read(project, image_id), project.final_masks(image_id)
        assert [(m.class_id, m.slot) for m in found] == [(m.class_id, m.slot) for m in expected]
        assert all(np.array_equal(m.pixels, n.pixels) for m, n in zip(found, expected, strict=True))


def test_what_did_not_change_is_the_same_object_and_nothing_changes_in_place(project: Project) -> None:
    history, masks = History(project), UnpackedMasks()
    history.do(changes.paint_mask(project, 1, 1, [patch(5, 5, 90, 40)]), "Stroke")
    history.do(changes.paint_mask(project, 1, 2, [patch(100, 5, 120, 40)]), "Stroke")
    first, second = masks.read(project, 1)
    before = first.pixels.copy()
    history.do(changes.paint_mask(project, 1, 1, [patch(0, 0, 9, 9)]), "Stroke")
    painted, same = masks.read(project, 1)
    assert same is second
    assert painted is not first and np.array_equal(first.pixels, before)


def test_an_array_is_used_again_only_when_nobody_holds_it(project: Project) -> None:
    history, masks = History(project), UnpackedMasks()
    held, seen = [], set()
    for step in range(12):
        history.do(changes.paint_mask(project, 1, 1, [patch(9 * step, 5, 9 * step + 9, 40)]), "Stroke")
        (mask,) = masks.read(project, 1)
        seen.add(mask.pixels.ctypes.data)
        if step % 3 == 0:
            held.append((mask.pixels[:50], mask.pixels[:50].copy()))  # a view holds the whole array
    check(masks, project)
    assert len(seen) < 12
    assert all(np.array_equal(view, copy) for view, copy in held)


def test_the_first_stroke_starts_from_the_automatic_mask(project: Project) -> None:
    auto = np.zeros((SIZE[1], SIZE[0]), bool)
    auto[100:200, 100:300] = True
    project._write_mask(1, Mask(auto, 1, "auto", "auto"))
    history, masks = History(project), UnpackedMasks()
    assert masks.read(project, 1)[0].slot == "auto"
    history.do(changes.paint_mask(project, 1, 1, [patch(0, 0, 10, 10)]), "Stroke")
    (mask,) = masks.read(project, 1)
    expected = auto.copy()
    expected[:10, :10] = True
    assert mask.slot == "reviewed" and np.array_equal(mask.pixels, expected)
    assert changes.paint_mask(project, 1, 1, [patch(0, 0, 10, 10)]) is None
    history.undo()
    (mask,) = masks.read(project, 1)
    assert mask.slot == "auto" and np.array_equal(mask.pixels, auto)
