"""Undo brings back the exact state before, redo the exact state after; nothing is half done."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from explained import a_map, a_run
from hypothesis import given, settings
from hypothesis import strategies as st

from camviewer.errors import ProjectError
from camviewer.project import changes
from camviewer.project.edits import EditConflictError, MaskEdit, MaskPatch, Several, flatten
from camviewer.project.history import History
from camviewer.project.records import Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project

WIDTH, HEIGHT = 23, 17


def make(folder: Path) -> Project:
    project = Project.create(folder / "p.camviewer")
    project._connection.execute("PRAGMA synchronous = OFF")  # the law does not depend on it, the time does
    project.add_images([ImageRecord(PurePosixPath(f"{i}.jpg"), (WIDTH, HEIGHT)) for i in range(3)])
    project.set_class_table(ClassTable.for_model(("a", "b")))
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[3:9, 4:12] = True
    project.store_result(
        1,
        run_id=project.add_run(a_run()),
        top=[(0, 1.0, 0.7)],
        maps=[a_map()],
        boxes=[Box(1, 2, 8, 9, 1, score=0.5)],
        masks=[Mask(pixels, 1, reason="x")],
    )
    return project


def state(project: Project) -> object:
    """Return all that a person edits, byte for byte; the time of the last change is not part of it."""
    rows = project._connection.execute
    return (
        rows("SELECT * FROM boxes ORDER BY id").fetchall(),
        rows("SELECT * FROM masks ORDER BY image_id, class_id, slot").fetchall(),
        rows("SELECT id, path, status, flags, note, reviewer, reviewed_at FROM images ORDER BY id").fetchall(),
        rows("SELECT * FROM classes ORDER BY id").fetchall(),
        rows("SELECT * FROM model_classes ORDER BY model_index").fetchall(),
    )


IMAGES = st.integers(1, 3)
EDGES = st.tuples(st.floats(0, 10), st.floats(0, 10), st.floats(11, 20), st.floats(11, 17))
STROKE = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 9), st.booleans())
ACTIONS = st.one_of(
    st.tuples(st.just("add box"), IMAGES, st.lists(EDGES, min_size=1, max_size=3)),
    st.tuples(st.just("change box"), IMAGES, EDGES),
    st.tuples(st.just("nudge"), IMAGES, st.floats(-3, 3)),
    st.tuples(st.just("class of box"), IMAGES, st.integers(0, 2)),
    st.tuples(st.just("remove box"), IMAGES, st.none()),
    st.tuples(st.just("stroke"), IMAGES, STROKE),
    st.tuples(st.just("random mask"), IMAGES, st.integers(0, 3)),
    st.tuples(st.just("class of mask"), IMAGES, st.integers(1, 3)),
    st.tuples(st.just("restore"), IMAGES, st.none()),
    st.tuples(st.just("clear"), IMAGES, st.integers(1, 2)),
    st.tuples(st.just("status"), IMAGES, st.sampled_from(["new", "edited", "reviewed", "skipped"])),
    st.tuples(st.just("many"), IMAGES, st.sampled_from(["reviewed", "skipped"])),
    st.tuples(st.just("note"), IMAGES, st.text(max_size=5)),
    st.tuples(st.just("flags"), IMAGES, st.lists(st.sampled_from(["hair", "ruler"]))),
    st.tuples(st.just("add class"), IMAGES, st.none()),
    st.tuples(st.just("rename class"), IMAGES, st.text("xyz", max_size=3)),
)


def edit_of(project: Project, action: str, image: int, value):
    boxes, masks = project.boxes(image), project.final_masks(image)
    match action:
        case "add box":
            return changes.add_boxes(project, image, [Box(*edges, 1, "manual") for edges in value])
        case "change box" if boxes:
            return changes.change_box(project, image, Box(*value, 2, boxes[-1].origin, id=boxes[-1].id))
        case "nudge" if boxes:
            return changes.change_box(project, image, replace(boxes[0], x0=boxes[0].x0 + value))
        case "class of box" if boxes:
            return changes.change_box(project, image, replace(boxes[0], class_id=value))
        case "remove box" if boxes:
            return changes.remove_boxes(project, image, [box.id for box in boxes[:2]])
        case "stroke":
            x, y, side, inside = value
            pixels = masks[0].pixels.copy() if masks else np.zeros((HEIGHT, WIDTH), bool)
            pixels[y : y + side, x : x + side] = inside
            return changes.set_mask(project, image, Mask(pixels, 1, "reviewed"))
        case "random mask":
            pixels = np.random.default_rng(value).random((HEIGHT, WIDTH)) > 0.5
            return changes.set_mask(project, image, Mask(pixels, 1 + value % 2, "reviewed", refine="fill"))
        case "class of mask" if masks and any(entry.id == value for entry in project.class_table().classes):
            return changes.change_mask_class(project, image, masks[0], value)
        case "restore":
            return changes.restore_automatic(project, image, 1)
        case "clear":
            return changes.clear_mask(project, image, value)
        case "status":
            return changes.set_status(project, [image], value, reviewer="ab")
        case "many":
            return changes.set_status(project, [1, 2, 3], value)
        case "note":
            return changes.set_note(project, image, value)
        case "flags":
            return changes.set_flags(project, image, value)
        case "add class":
            return changes.add_class(project, "c")
        case "rename class":
            table = project.class_table()
            first = replace(table.classes[0], name=value)
            return changes.set_classes(project, replace(table, classes=(first, *table.classes[1:])))
    return None


def test_a_mask_gets_no_class_that_the_project_lacks(tmp_path: Path) -> None:
    with make(tmp_path) as project:
        mask = Mask(np.ones((HEIGHT, WIDTH), bool), 1, "reviewed")
        with pytest.raises(ProjectError, match="no class 9"):
            changes.change_mask_class(project, 1, mask, 9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(ACTIONS, st.sampled_from(["undo", "redo"])), max_size=14))
def test_undo_and_redo_of_any_sequence_restore_the_exact_state(steps) -> None:
    with tempfile.TemporaryDirectory() as folder, make(Path(folder)) as project:
        history = History(project)
        states, at = [state(project)], 0
        for step in steps:
            if step == "undo":
                assert (history.undo() is None) == (at == 0)
                at = max(at - 1, 0)
            elif step == "redo":
                assert (history.redo() is None) == (at == len(states) - 1)
                at = min(at + 1, len(states) - 1)
            else:
                edit = edit_of(project, *step)
                if edit is None:
                    continue
                assert edit.inverse().inverse() == edit
                history.do(edit, step[0])
                assert state(project) != states[at]
                states[at + 1 :] = [state(project)]
                at += 1
            assert state(project) == states[at]
        for expected in reversed(states[:at]):
            history.undo()
            assert state(project) == expected
        for expected in states[1:]:
            history.redo()
            assert state(project) == expected
        assert history.redo() is None
        history.clear()
        assert history.nbytes == 0


@pytest.fixture
def project(tmp_path: Path):
    with make(tmp_path) as made:
        yield made


def test_a_stroke_keeps_only_what_it_changed(project: Project) -> None:
    history = History(project)
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    first = changes.set_mask(project, 2, Mask(pixels, 1, "reviewed"))
    assert any(isinstance(edit, MaskEdit) for edit in flatten(first))
    history.do(first, "Mask")
    pixels[4:6, 7:10] = True
    (patch,) = flatten(changes.set_mask(project, 2, Mask(pixels, 1, "reviewed")))
    assert isinstance(patch, MaskPatch)
    assert not patch.before
    assert [tile.bounds for tile in patch.after.values()] == [(7, 4, 10, 6)]
    history.do(patch, "Stroke")
    assert changes.set_mask(project, 2, Mask(pixels, 1, "reviewed")) is None


def test_a_run_of_nudges_is_one_step(project: Project) -> None:
    history = History(project)
    before = state(project)
    for _ in range(5):
        (box,) = project.boxes(1)
        history.do(changes.change_box(project, 1, replace(box, x0=box.x0 + 1)), "Box moved", merge="n")
    assert project.boxes(1)[0].x0 == 6
    after, size = state(project), history.nbytes
    history.undo()
    assert state(project) == before
    assert history.to_undo is None
    history.redo()
    assert (state(project), history.nbytes) == (after, size)


@pytest.mark.parametrize("between", ["end_merging", "undo and redo"])
def test_a_nudge_after_a_pause_is_a_step_of_its_own(project: Project, between: str) -> None:
    history = History(project)
    (box,) = project.boxes(1)
    history.do(changes.change_box(project, 1, replace(box, x0=3)), "Box moved", merge="n")
    after = state(project)
    if between == "end_merging":
        history.end_merging()
    else:
        history.undo()
        history.redo()
    (box,) = project.boxes(1)
    history.do(changes.change_box(project, 1, replace(box, x0=9)), "Box moved", merge="n")
    history.undo()
    assert state(project) == after


def test_an_automatic_box_that_was_removed_comes_back_automatic(project: Project) -> None:
    history = History(project)
    (box,) = project.boxes(1)
    history.do(changes.remove_boxes(project, 1, [box.id]), "Box deleted")
    assert project.image(1).status == "edited"
    history.undo()
    assert project.boxes(1) == [box]
    assert project.image(1).status == "computed"


def test_memory_is_bounded_and_the_newest_step_stays(project: Project) -> None:
    history = History(project, max_bytes=6000)
    for seed in range(30):
        pixels = np.random.default_rng(seed).random((HEIGHT, WIDTH)) > 0.5
        history.do(changes.set_mask(project, 2, Mask(pixels, 1, "reviewed")), "Stroke")
        assert history.nbytes <= 6000
    count = 0
    while history.undo():
        count += 1
    assert 2 <= count < 30
    small = History(project, max_bytes=1)
    small.do(changes.set_note(project, 1, "x" * 100), "Note")
    small.do(changes.set_note(project, 1, "y" * 100), "Note")
    small.undo()
    assert project.image(1).note == "x" * 100
    assert small.undo() is None


def test_an_edit_that_fits_no_more_changes_nothing_and_makes_room_for_those_below(project: Project) -> None:
    history = History(project)
    history.do(changes.set_note(project, 1, "kept"), "Note")
    edit = changes.add_boxes(project, 2, [Box(0, 0, 1, 1, 1), Box(0, 0, 2, 2, 1)])
    assert isinstance(edit, Several)
    history.do(edit, "Boxes")
    project.remove_box(2, project.boxes(2)[0].id)
    before = state(project)
    with pytest.raises(EditConflictError):
        history.undo()
    assert state(project) == before
    assert history.undo().label == "Note"
    project.remove_images([1])
    with pytest.raises(EditConflictError):
        history.redo()
    assert history.to_redo is None
    assert history.nbytes == 0


def test_an_edit_that_cannot_be_written_leaves_project_and_history_alone(project: Project) -> None:
    history = History(project)
    history.do(changes.set_note(project, 1, "a"), "Note")
    edit = changes.set_note(project, 1, "b")
    project._connection.execute("PRAGMA query_only = ON")
    for deed in (lambda: history.do(edit, "Note"), history.undo):
        with pytest.raises(ProjectError):
            deed()
    project._connection.execute("PRAGMA query_only = OFF")
    assert history.to_undo.label == "Note"
    history.undo()
    assert project.image(1).note == ""


def test_a_computation_in_between_is_respected(project: Project) -> None:
    history = History(project)
    history.do(changes.set_status(project, [2], "skipped"), "Skipped")
    project.store_result(2, run_id=None, maps=[a_map()], masks=[Mask(np.ones((HEIGHT, WIDTH), bool), 1)])
    history.undo()
    assert project.image(2).status == "computed"
    history.redo()
    assert project.image(2).status == "skipped"


def test_changes_that_change_nothing_are_no_edits(project: Project) -> None:
    (box,) = project.boxes(1)
    assert changes.change_box(project, 1, box) is None
    assert changes.set_status(project, [1], "computed") is None
    assert changes.set_note(project, 1, "") is None
    assert changes.set_flags(project, 1, []) is None
    assert changes.set_classes(project, project.class_table()) is None
    assert changes.restore_automatic(project, 1, 1) is None
    assert changes.add_boxes(project, 1, []) is None
    with pytest.raises(ProjectError, match="not in the image"):
        changes.remove_boxes(project, 1, [77])
    with pytest.raises(ProjectError, match="3 x 2 pixels"):
        changes.set_mask(project, 1, Mask(np.ones((2, 3), bool), 1))


def test_a_reviewed_image_stays_reviewed_when_it_is_edited(project: Project) -> None:
    history = History(project)
    history.do(changes.set_status(project, [1], "reviewed", reviewer="ab"), "Reviewed")
    when = project.image(1).reviewed_at
    history.do(changes.clear_mask(project, 1, 1), "Mask deleted")
    found = project.image(1)
    assert (found.status, found.reviewer, found.reviewed_at) == ("reviewed", "ab", when)


def test_a_class_that_was_added_and_taken_back_keeps_its_id(project: Project) -> None:
    history = History(project)
    history.do(changes.add_class(project, "c"), "Class added")
    history.undo()
    assert len(project.class_table().classes) == 2
    history.redo()
    assert project.class_table()[3].name == "c"
    history.undo()
    assert project.class_table().add("d").classes[-1].id == 3
    with pytest.raises(ProjectError, match="used before"):
        changes.set_classes(project, project.class_table().add("d"))
    assert project.add_class("d").id == 4
