"""Brush, eraser, polygon and fill, by pointer and by keyboard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from canvas_scene import blob
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton

from camviewer.project.records import Box, Mask
from camviewer.regions.drawing import patched
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.numbers import raw
from camviewer.ui.canvas.records import MaskEdited, PaintClass, Region, ToolOptions
from camviewer.ui.qimage import pixels_of

NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def mask_region(class_id: int = 1) -> Region:
    pixels = np.zeros((450, 600), bool)
    pixels[100:300, 100:300] = True
    pixels[180:220, 180:220] = False
    return Region(("mask", class_id, "auto"), Mask(pixels, class_id), "Melanoma", "#FF6F3C")


def applied(base: np.ndarray, edit: MaskEdited) -> np.ndarray:
    for patch in edit.patches:
        x0, y0, x1, y1 = patch.window
        assert patch.pixels.shape == (y1 - y0, x1 - x0)
    return patched(base, edit.patches)


def nothing() -> np.ndarray:
    return np.zeros((450, 600), bool)


def test_a_stroke_is_one_edit_of_a_new_mask(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("brush")
    panel.set_tool_options(ToolOptions(size=20))
    pointer.drag(pointer.at(100, 100), pointer.at(300, 200))
    (edit,) = edits
    assert edit.key is None
    after = applied(nothing(), edit)
    for x, y in ((100, 100), (200, 150), (300, 200)):
        assert after[y, x]
    assert not after[150, 100]
    # About the area of a capsule of this length and width.
    assert after.sum() == pytest.approx(20 * np.hypot(200, 100) + np.pi * 100, rel=0.05)


def test_painting_goes_to_the_selected_mask_else_to_that_of_the_class(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("brush")
    panel.set_regions([mask_region(1), replace(mask_region(2), key="second")], selected="second")
    pointer.drag(pointer.at(400, 100), pointer.at(420, 110))
    panel.set_selected(None)
    panel.set_paint_class(PaintClass(1, "Melanoma", "#FF6F3C"))
    pointer.drag(pointer.at(400, 100), pointer.at(420, 110))
    panel.set_paint_class(PaintClass(3, "Other", None))
    pointer.drag(pointer.at(400, 100), pointer.at(420, 110))
    assert [edit.key for edit in edits] == ["second", ("mask", 1, "auto"), None]


def test_the_eraser_takes_away_only_mask_and_says_when_there_is_none(panel, pointer, collected) -> None:
    edits, hints = collected(panel.mask_edited), collected(panel.hinted)
    panel.set_tool("eraser")
    panel.set_tool_options(ToolOptions(size=30))
    pointer.drag(pointer.at(90, 150), pointer.at(150, 150))
    assert edits == [] and "Nothing to erase" in hints[0]
    region = mask_region()
    panel.set_regions([region])
    pointer.drag(pointer.at(60, 150), pointer.at(150, 150))
    after = applied(region.shape.pixels, edits[0])
    assert not after[150, 100:150].any()
    assert not (after & ~region.shape.pixels).any()
    assert edits[0].patches[0].window[0] == 100


def test_the_right_button_does_the_opposite(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    region = mask_region()
    panel.set_regions([region])
    panel.set_tool("brush")
    pointer.drag(pointer.at(150, 150), pointer.at(160, 150), button=Qt.MouseButton.RightButton)
    assert applied(region.shape.pixels, edits[0]).sum() < region.shape.pixels.sum()


def test_a_stroke_over_what_is_painted_already_is_no_edit(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_regions([mask_region()], selected=("mask", 1, "auto"))
    panel.set_tool("brush")
    pointer.drag(pointer.at(140, 140), pointer.at(150, 150))
    assert edits == []


def test_only_where_the_map_reaches_the_threshold(panel, pointer, collected) -> None:
    edits, hints = collected(panel.mask_edited), collected(panel.hinted)
    shown = blob()
    panel.set_map(shown)
    panel.set_rule(RegionRule(threshold=0.5))
    level = panel.view.level()
    assert level == pytest.approx(4, rel=0.02)
    allowed = shown.geometry.upsample(shown.values) >= level
    panel.set_tool("brush")
    panel.set_tool_options(ToolOptions(size=60, on_map=True))
    pointer.drag(pointer.at(20, 160), pointer.at(580, 160))
    after = applied(nothing(), edits[0])
    assert after.any()
    assert not (after & ~allowed).any()
    assert after[160].sum() == allowed[160].sum()
    pointer.drag(pointer.at(20, 400), pointer.at(60, 400))
    assert len(edits) == 1
    assert "below the threshold" in hints[-1]


def test_the_eraser_spares_what_the_map_supports(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    shown = blob()
    panel.set_map(shown)
    panel.set_rule(RegionRule(threshold=0.5))
    kept = shown.geometry.upsample(shown.values) >= panel.view.level()
    everything = Region("all", Mask(np.ones((450, 600), bool), 1), "Melanoma", None)
    panel.set_regions([everything])
    panel.set_tool("eraser")
    panel.set_tool_options(ToolOptions(size=60, on_map=True))
    pointer.drag(pointer.at(20, 160), pointer.at(580, 160))
    after = applied(everything.shape.pixels, edits[0])
    assert (after[160] == kept[160]).all()


def test_a_ring_is_filled_when_asked_for(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("brush")
    panel.set_tool_options(ToolOptions(size=10, fill_holes=True))
    port = view.viewport()
    corners = [(100, 100), (200, 100), (200, 200), (100, 200), (100, 100)]
    QTest.mousePress(port, Qt.MouseButton.LeftButton, NONE, pointer.at(*corners[0]))
    for corner in corners[1:]:
        QTest.mouseMove(port, pointer.at(*corner))
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, NONE, pointer.at(*corners[-1]))
    assert applied(nothing(), edits[0])[110:190, 110:190].all()


def test_shift_draws_a_straight_line_from_the_last_end(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("brush")
    pointer.click(pointer.at(100, 300))
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, SHIFT, pointer.at(400, 300))
    assert applied(nothing(), edits[1])[300, 100:400].all()


def test_the_stroke_shows_while_it_is_drawn_and_escape_drops_it(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("brush")
    panel.set_paint_class(PaintClass(5, "Class", "#00FF00"))
    panel.set_tool_options(ToolOptions(size=60))
    before = pixels_of(view.grab().toImage())
    port = view.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, NONE, pointer.at(200, 200))
    QTest.mouseMove(port, pointer.at(300, 200))
    after = pixels_of(view.grab().toImage())
    place = pointer.at(240, 185)
    ratio = after.shape[0] / view.height()
    x, y = round(place.x() * ratio), round(place.y() * ratio)
    assert int(after[y, x, 1]) > int(before[y, x, 1]) + 10
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, NONE, pointer.at(300, 200))
    assert edits == []
    assert panel.tools._tools["brush"].isChecked()


def test_a_polygon_is_clicked_and_closed_by_its_first_corner(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("polygon")
    for corner in ((100, 100), (300, 100), (300, 300), (100, 300), (102, 101)):
        pointer.click(pointer.at(*corner))
    after = applied(nothing(), edits[0])
    assert after[110:290, 110:290].all()
    assert after.sum() == pytest.approx(200 * 200, rel=0.03)


@pytest.mark.parametrize("end", ["enter", "double"])
def test_a_polygon_is_closed_by_enter_or_double_click(panel, view, pointer, collected, end) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("polygon")
    for corner in ((100, 100), (300, 100), (300, 300), (40, 420)):
        pointer.click(pointer.at(*corner))
    QTest.keyClick(view, Qt.Key.Key_Backspace)
    if end == "enter":
        QTest.keyClick(view, Qt.Key.Key_Return)
    else:
        QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, NONE, pointer.at(300, 300))
    after = applied(nothing(), edits[0])
    assert after[150, 250] and not after[250, 150]


def test_a_polygon_is_drawn_in_one_go(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    panel.set_tool("polygon")
    port = view.viewport()
    turn = [(200 + 100 * np.cos(t), 200 + 100 * np.sin(t)) for t in np.linspace(0, 6.1, 60)]
    QTest.mousePress(port, Qt.MouseButton.LeftButton, NONE, pointer.at(*turn[0]))
    for place in turn[1:]:
        QTest.mouseMove(port, pointer.at(*place))
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, NONE, pointer.at(*turn[-1]))
    assert applied(nothing(), edits[0]).sum() == pytest.approx(np.pi * 100**2, rel=0.04)


def test_a_polygon_is_cut_out(panel, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    region = mask_region()
    panel.set_regions([region])
    panel.set_tool("polygon")
    panel.set_tool_options(ToolOptions(take_away=True))
    for corner in ((50, 50), (140, 50), (140, 350), (50, 350), (50, 50)):
        pointer.click(pointer.at(*corner))
    after = applied(region.shape.pixels, edits[0])
    assert not after[:, 100:139].any()
    assert not (after & ~region.shape.pixels).any()


def test_fill_closes_a_hole_adds_colour_and_removes_a_piece(panel, view, pointer, collected) -> None:
    edits = collected(panel.mask_edited)
    region = mask_region()
    panel.set_regions([region])
    panel.set_paint_class(PaintClass(1, "Melanoma", "#FF6F3C"))
    panel.set_tool("fill")
    pointer.click(pointer.at(200, 200))
    after = applied(region.shape.pixels, edits[0])
    assert after.sum() == 200 * 200
    assert edits[0].words == "Hole filled."
    # Red is x and green is y, so a tolerance of 16 is a square of 33 pixels.
    pointer.click(pointer.at(400.5, 120.5))
    added = applied(region.shape.pixels, edits[1]) & ~region.shape.pixels
    assert added.sum() == pytest.approx(33 * 33, abs=40)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.RightButton, NONE, pointer.at(150, 150))
    assert not applied(region.shape.pixels, edits[2]).any()


def test_all_tools_work_from_the_keyboard(panel, view, collected) -> None:
    edits = collected(panel.mask_edited)
    view.setFocus()
    panel.set_tool("brush")
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Return)
    start = applied(nothing(), edits[0])
    assert start[225, 300]
    for _ in range(4):
        QTest.keyClick(view, Qt.Key.Key_Right, SHIFT)
    QTest.keyClick(view, Qt.Key.Key_Return, SHIFT)
    assert applied(nothing(), edits[1]).any(axis=0).sum() > start.any(axis=0).sum() + 40
    panel.set_tool("polygon")
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left):
        for _ in range(6):
            QTest.keyClick(view, key, SHIFT)
        QTest.keyClick(view, Qt.Key.Key_Return)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert len(edits) == 3
    assert edits[2].words == "Polygon filled."
    panel.set_tool("fill")
    QTest.keyClick(view, Qt.Key.Key_Up)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert len(edits) == 4


def test_enter_is_left_to_the_window_while_the_pointer_paints(panel, view, pointer) -> None:
    panel.set_tool("brush")
    pointer.click(pointer.at(200, 200))
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QKeyEvent

    enter = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Return, NONE)
    assert not view._takes(enter)
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view._takes(enter)


def test_the_size_goes_up_and_down_and_shows(panel, view) -> None:
    panel.set_tool("brush")
    options = panel.tools.options
    before = options.options().size
    panel.resize_brush(1)
    assert options.options().size > before
    panel.resize_brush(-100)
    assert view._options.size == 1
    panel.resize_brush(100)
    assert view._options.size == 500


def test_the_options_replace_the_view_and_name_the_threshold(panel, view, collected) -> None:
    panel.resize(1000, 700)
    options = panel.tools.options
    assert not options.isVisible() and panel.tools._mode.isVisible()
    panel.set_tool("brush")
    assert options.isVisible() and not panel.tools._mode.isVisible()
    assert not options._on_map.isEnabled()
    panel.set_map(blob())
    panel.set_rule(RegionRule(threshold=0.5))
    assert options._on_map.isEnabled()
    assert options._on_map.text() == f"Only where the map is {raw(view.level())} or more"
    options._on_map.click()
    assert view._options.on_map
    panel.set_tool("eraser")
    assert f"below {raw(view.level())}" in options._on_map.text()
    panel.set_tool("select")
    assert panel.tools._mode.isVisible()


def test_nothing_is_cut_in_a_narrow_row(panel, qtbot) -> None:
    panel.set_map(blob())
    panel.set_rule(RegionRule(threshold=0.5))
    panel.set_paint_class(PaintClass(1, "Benign keratosis-like lesion", "#F4E04D"))
    for width in (600, 680, 760, 908, 1200):
        panel.resize(width, 600)
        for tool in ("select", "box", "polygon", "brush", "eraser", "scribble", "fill"):
            panel.set_tool(tool)
            qtbot.wait(1)
            row = panel.tools
            for part in [*row.findChildren(QToolButton), row.options, row._mode, row._zoom]:
                if part.isVisible():
                    right = part.mapTo(row, QPoint(part.width(), 0)).x()
                    assert right <= row.width(), f"{tool} at {width}: {part}"
            for part in (row.options, row._mode):
                if part.isVisible():
                    assert part.width() >= part.minimumSizeHint().width()


def test_a_narrow_row_shortens_words_before_it_leaves_anything_out(panel) -> None:
    panel.set_map(blob())
    panel.set_rule(RegionRule(threshold=0.5))
    panel.set_tool("brush")
    options, stages = panel.tools.options, []
    for room in (900, 500, 300):
        options.set_room(room)
        words = options._on_map.text().partition(" ")[0]
        stages.append((words, options._name.isVisibleTo(options), options._holes.isVisibleTo(options)))
    assert stages == [("Only", True, True), ("Map", True, True), ("Map", False, False)]


def test_tab_goes_from_region_to_region_and_on(panel, view, qtbot, collected) -> None:
    chosen = collected(panel.region_selected)
    second = Region("box", Box(10, 10, 60, 60, 1), "Nevus", None)
    hidden = Region("gone", Box(10, 10, 60, 60, 1), "Nevus", None, visible=False)
    panel.set_regions([mask_region(), second, hidden])
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Tab)
    QTest.keyClick(view, Qt.Key.Key_Tab)
    assert chosen == [("mask", 1, "auto"), "box"]
    QTest.keyClick(view, Qt.Key.Key_Tab, SHIFT)
    assert chosen[-1] == ("mask", 1, "auto")
    QTest.keyClick(view, Qt.Key.Key_Tab)
    QTest.keyClick(view, Qt.Key.Key_Tab)
    assert not view.hasFocus()


def test_hiding_the_canvas_selects_nothing(panel, view, collected) -> None:
    chosen = collected(panel.region_selected)
    panel.set_regions([mask_region()])
    view.setFocus()
    view.hide()
    assert chosen == []
