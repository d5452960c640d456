"""Masks in the window: painting is kept, undone exactly, tidied, copied; classes by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from PIL import Image
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from camviewer.project.records import Box, ClassTable, Mask
from camviewer.project.store import Project
from camviewer.ui.canvas.records import ToolOptions
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def window(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)
    images = tmp_path / "spots"
    images.mkdir()
    for number, size in enumerate(((160, 120), (160, 120), (80, 60))):
        pixels = np.full((size[1], size[0], 3), 200, np.uint8)
        pixels[20:40, 20:40] = (90, 60, 50)
        Image.fromarray(pixels).save(images / f"spot_{number}.png")
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1280, 800)
    main.show()
    main.bench.session.open_folder(images)
    qtbot.waitUntil(lambda: main.bench.gallery.model.total() == 3, timeout=10_000)
    shown(main, qtbot)
    main.bench.session.set_model_classes(("Melanoma", "Nevus", "Keratosis"))
    yield main
    main.close()


def shown(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(
        lambda: pixels_shown(window),
        timeout=10_000,
    )


def drag(window: MainWindow, *way: tuple[float, float]) -> None:
    view = window.bench.canvas.view
    port, none = view.viewport(), Qt.KeyboardModifier.NoModifier
    places = [view.to_screen(QPointF(*place)).toPoint() for place in way]
    QTest.mousePress(port, Qt.MouseButton.LeftButton, none, places[0])
    for place in places[1:]:
        QTest.mouseMove(port, place)
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, none, places[-1])


def masks(window: MainWindow) -> dict[int, np.ndarray]:
    current = window.bench.session.current
    found = window.bench.session.project.final_masks(current.record.id)
    return {mask.class_id: mask.pixels for mask in found if mask.pixels.any()}


def same(first: dict[int, np.ndarray], second: dict[int, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)


def test_a_number_chooses_the_class_and_a_stroke_is_kept(window, qtbot) -> None:
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_2)
    assert window.bench.canvas.tools.options._name.text() == "Nevus"
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_B)
    drag(window, (30, 60), (90, 60))
    (class_id,) = masks(window)
    assert class_id == 2
    assert window.bench.session.current.record.status == "edited"
    assert window.bench.session.selected == ("mask", 2, "reviewed")
    with Project.open(window.bench.session.project.path) as stored:
        image_id = window.bench.session.current.record.id
        assert (stored.final_masks(image_id)[0].pixels == masks(window)[2]).all()


def test_a_run_of_strokes_is_undone_and_redone_exactly(window, qtbot) -> None:
    rng = np.random.default_rng(5)
    states = [masks(window)]
    for step in range(14):
        window.bench.actions[("tool_brush", "tool_eraser", "tool_brush", "tool_polygon")[step % 4]].trigger()
        window.bench.canvas.set_tool_options(ToolOptions(size=int(rng.integers(2, 40))))
        if step % 5 == 0:
            window.bench.session.select(None)
            window.annotating.assign_class(int(rng.integers(1, 4)))
        way = [(float(x), float(y)) for x, y in rng.uniform((5, 5), (155, 115), (9, 2))]
        before = window.bench.session.undo.to_undo
        drag(window, *way)
        if window.bench.session.undo.to_undo is not before:
            states.append(masks(window))
    assert len(states) > 8
    for expected in reversed(states[:-1]):
        QTest.keyClick(window.bench.canvas, Qt.Key.Key_Z, CONTROL)
        assert same(masks(window), expected)
    assert window.bench.session.undo.to_undo is None
    assert window.bench.session.current.record.status == "new"
    for expected in states[1:]:
        window.bench.actions["redo"].trigger()
        assert same(masks(window), expected)


def test_undo_of_a_stroke_on_an_automatic_mask_brings_it_back(window, qtbot) -> None:
    session = window.bench.session
    image_id = session.current.record.id
    auto = np.zeros((120, 160), bool)
    auto[10:50, 10:50] = True
    from camviewer.project.records import Mask

    session.project._write_mask(image_id, Mask(auto, 1))
    session.reload(image_id)
    window.bench.actions["tool_eraser"].trigger()
    drag(window, (20, 20), (40, 20))
    assert masks(window)[1].sum() < auto.sum()
    session.undo.undo()
    (region,) = session.regions()
    assert region.key == ("mask", 1, "auto") and not region.touched
    assert (region.shape.pixels == auto).all()


def test_tidying_is_one_step_and_says_when_nothing_changes(window, qtbot) -> None:
    session = window.bench.session
    mask = np.zeros((120, 160), bool)
    mask[10:60, 10:60] = True
    mask[20:30, 20:30] = False
    mask[100:102, 100:104] = True
    session.set_mask(mask, 1, "Mask painted.")
    window.bench.actions["mask_fill"].trigger()
    assert masks(window)[1][20:30, 20:30].all()
    window.bench.actions["mask_largest"].trigger()
    assert masks(window)[1].sum() == 2500
    said = []
    session.said.connect(lambda *words: said.append(words[0]))
    window.bench.actions["mask_largest"].trigger()
    assert said == ["Nothing to change."]
    window.bench.actions["mask_smooth"].trigger()
    assert 2300 < masks(window)[1].sum() < 2500
    for _ in range(3):
        session.undo.undo()
    assert (masks(window)[1] == mask).all()


def test_box_and_mask_follow_each_other(window, qtbot) -> None:
    session = window.bench.session
    session.add_box(Box(20, 30, 60, 70, 2, "manual"))
    window.bench.actions["mask_from_box"].trigger()
    assert masks(window)[2].sum() == 1600
    window.bench.actions["box_from_mask"].trigger()
    boxes = [region.shape for region in session.regions() if isinstance(region.shape, Box)]
    assert [(box.x0, box.y0, box.x1, box.y1) for box in boxes] == [(20, 30, 60, 70)] * 2
    session.change_box(("box", boxes[0].id, ""), Box(1, 1, 9, 9, 2, "manual"))
    session.select(("box", boxes[0].id, ""))
    window.bench.actions["box_from_mask"].trigger()
    box = session.find_region(("box", boxes[0].id, "")).shape
    assert (box.x0, box.y0, box.x1, box.y1) == (20, 30, 60, 70)


def test_a_mask_takes_the_class_of_a_number(window, qtbot) -> None:
    session = window.bench.session
    mask = np.zeros((120, 160), bool)
    mask[10:60, 10:60] = True
    session.set_mask(mask, 1, "Mask painted.")
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_3)
    assert list(masks(window)) == [3]
    assert session.selected == ("mask", 3, "reviewed")
    session.undo.undo()
    assert list(masks(window)) == [1]


def test_regions_are_copied_to_the_next_image_in_one_step(window, qtbot) -> None:
    session = window.bench.session
    window.reviewing.step(1)
    shown(window, qtbot)
    mask = np.zeros((120, 160), bool)
    mask[20:60, 40:100] = True
    session.set_mask(mask, 1, "Mask painted.")
    session.add_box(Box(40, 20, 100, 60, 1, "manual"))
    window.bench.actions["copy_regions"].trigger()
    shown(window, qtbot)
    assert session.current.record.path.name == "spot_2.png"
    # The third image is half as large: everything keeps its place in the frame.
    copied = masks(window)[1]
    assert copied.shape == (60, 80) and copied[10:30, 20:50].all() and copied.sum() == 600
    (box,) = [region.shape for region in session.regions() if isinstance(region.shape, Box)]
    assert (box.x0, box.y0, box.x1, box.y1) == (20, 10, 50, 30)
    session.undo.undo()
    assert session.regions() == []


def test_copying_leaves_a_reviewed_mask_as_it_is(window, qtbot) -> None:
    session = window.bench.session
    first = np.zeros((120, 160), bool)
    first[20:60, 40:100] = True
    window.reviewing.step(1)
    shown(window, qtbot)
    session.set_mask(first, 1, "Mask painted.")
    window.reviewing.step(-1)
    shown(window, qtbot)
    session.set_mask(~first, 1, "Mask painted.")
    session.set_mask(first, 2, "Mask painted.")
    window.bench.actions["copy_regions"].trigger()
    shown(window, qtbot)
    assert (masks(window)[1] == first).all()
    assert (masks(window)[2] == first).all()


def test_without_classes_a_mask_has_none(window, qtbot) -> None:
    window.bench.session.table = ClassTable()
    window.annotating._show_class()
    window.bench.actions["tool_brush"].trigger()
    drag(window, (30, 60), (90, 60))
    assert list(masks(window)) == [0]
    assert window.bench.session.regions()[0].name == "Region 1"


def test_a_mask_snaps_to_the_colours_in_the_background(window, qtbot) -> None:
    session = window.bench.session
    rough = np.zeros((120, 160), bool)
    rough[18:37, 23:43] = True
    session.set_mask(rough, 1, "Mask painted.")
    window.bench.actions["mask_snap"].trigger()
    qtbot.waitUntil(lambda: not (masks(window)[1] == rough).all(), timeout=10_000)
    truth = np.zeros((120, 160), bool)
    truth[20:40, 20:40] = True
    assert (masks(window)[1] ^ truth).sum() < (rough ^ truth).sum() / 2
    session.undo.undo()
    assert (masks(window)[1] == rough).all()


def test_snapping_never_undoes_what_was_painted_meanwhile(window, qtbot) -> None:
    session = window.bench.session
    rough = np.zeros((120, 160), bool)
    rough[18:37, 23:43] = True
    session.set_mask(rough, 1, "Mask painted.")
    window.bench.actions["mask_snap"].trigger()
    session.set_mask(~rough, 1, "Mask painted.")
    said = []
    session.said.connect(lambda *words: said.append(words[0]))
    qtbot.waitUntil(lambda: "The mask was changed meanwhile." in said, timeout=10_000)
    assert (masks(window)[1] == ~rough).all()


def test_a_deleted_mask_stays_deleted_though_the_automatic_one_is_below_it(window, qtbot) -> None:
    session = window.bench.session
    project, image_id = session.project, session.current.record.id
    pixels = np.zeros((120, 160), np.bool_)
    pixels[10:60, 10:60] = True
    project.store_result(image_id, run_id=None, masks=[Mask(pixels, 2, "auto")])
    session.refresh_regions()
    (region,) = session.regions()
    session.select(region.key)
    window.bench.actions["delete_region"].trigger()
    assert session.regions() == [] and session.selected is None
    # Another automatic run does not bring it back.
    project.store_result(image_id, run_id=None, masks=[Mask(pixels, 2, "auto")])
    session.refresh_regions()
    assert session.regions() == []
    session.undo.undo()
    (region,) = session.regions()
    assert np.array_equal(region.shape.pixels, pixels) and region.shape.class_id == 2


def test_scribbles_cut_a_mask_out_and_undo_takes_the_last_one_back(window, qtbot) -> None:
    session, view = window.bench.session, window.bench.canvas.view
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_2)
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_U)
    assert window.bench.actions["tool_scribble"].isChecked()
    window.bench.canvas.set_tool_options(ToolOptions(size=4))
    drag(window, (26, 26), (34, 32))
    qtbot.waitUntil(lambda: bool(masks(window)), timeout=10_000)
    spot = np.zeros((120, 160), bool)
    spot[20:40, 20:40] = True
    first = masks(window)
    (pixels,) = first.values()
    assert list(first) == [2]
    assert (pixels & spot).sum() / (pixels | spot).sum() > 0.9
    # A second stroke, on the skin: it joins, and one step takes it back with its stroke.
    drag(window, (100, 80), (130, 80))
    qtbot.waitUntil(lambda: not same(masks(window), first), timeout=10_000)
    assert masks(window)[2][80, 115] and len(view._scribbles.strokes) == 2
    session.undo.undo()
    assert same(masks(window), first) and len(view._scribbles.strokes) == 1
    session.undo.redo()
    assert masks(window)[2][80, 115] and len(view._scribbles.strokes) == 2
    session.undo.undo()
    session.undo.undo()
    assert masks(window) == {} and view._scribbles.strokes == ()


def test_an_outside_scribble_alone_says_what_is_missing(window, qtbot) -> None:
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_U)
    window.bench.canvas.set_tool_options(ToolOptions(size=4, take_away=True))
    drag(window, (100, 80), (130, 80))
    qtbot.waitUntil(lambda: "Mark something inside" in window.bench.status.message(), timeout=10_000)
    assert masks(window) == {}
