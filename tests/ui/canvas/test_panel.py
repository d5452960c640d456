"""The canvas as it is used: drawing, moving, keys, map, threshold, read-out."""

from __future__ import annotations

import numpy as np
import pytest
from canvas_scene import blob, picture
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QImage, QPainter, QPainterPath
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from camviewer.project.records import Box, Mask
from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.records import LiveThreshold, Region
from camviewer.ui.qimage import pixels_of

BOX = Box(100, 80, 300, 240, 1, "auto", score=0.7, id=9)


def regions(*, touched: bool = False) -> list[Region]:
    mask = np.zeros((450, 600), dtype=bool)
    mask[300:400, 400:550] = True
    return [
        Region("box", BOX, "Melanoma", "#FF6F3C", touched),
        Region("mask", Mask(mask, 1), "Nevus", "#6EC0FF", touched),
    ]


def screenshot(panel) -> np.ndarray:
    """The canvas in logical pixels, so that places on it are the same at every scale of the screen."""
    image = panel.view.grab()
    step = round(image.devicePixelRatio())
    return pixels_of(image.toImage())[::step, ::step, :3].astype(int)


# --- drawing and editing ----------------------------------------------------------------------------------------------


def test_a_box_is_drawn(panel, view, pointer, collected) -> None:
    drawn = collected(panel.box_drawn)
    panel.set_tool("box")
    pointer.drag(pointer.at(50, 60), pointer.at(250, 200))
    (event,) = drawn
    box = event.box
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((50, 60, 250, 200), abs=0.6)
    assert (box.origin, box.class_id, box.score) == ("manual", 0, None)


def test_a_drawn_box_ends_at_the_border(panel, view, pointer, collected) -> None:
    drawn = collected(panel.box_drawn)
    panel.set_tool("box")
    pointer.drag(pointer.at(500, 300), pointer.at(500, 300) + QPoint(2000, 2000))
    assert (drawn[0].box.x1, drawn[0].box.y1) == (600, 450)


def test_a_click_draws_nothing_and_escape_drops_a_drag(panel, view, pointer, collected) -> None:
    drawn, tools = collected(panel.box_drawn), collected(panel.tool_changed)
    panel.set_tool("box")
    pointer.click(pointer.at(50, 60))
    port = view.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, pointer.at(50, 60))
    QTest.mouseMove(port, pointer.at(200, 200))
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, pointer.at(200, 200))
    assert drawn == []
    assert tools[-1] == "box"
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert tools[-1] == "select"


def test_a_box_can_be_drawn_by_keyboard(panel, view, collected) -> None:
    drawn = collected(panel.box_drawn)
    panel.set_tool("box")
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Return)
    box = drawn[0].box
    assert 0 < box.x0 < box.x1 < 600
    assert 0 < box.y0 < box.y1 < 450


def test_a_click_selects_and_a_click_beside_deselects(panel, pointer, collected) -> None:
    panel.set_regions(regions())
    chosen = collected(panel.region_selected)
    pointer.click(pointer.at(200, 160))
    pointer.click(pointer.at(450, 350))
    pointer.click(pointer.at(50, 420))
    assert chosen == ["box", "mask", None]


def test_a_box_is_moved(panel, pointer, collected) -> None:
    panel.set_regions(regions(), selected="box")
    changed = collected(panel.box_changed)
    pointer.drag(pointer.at(200, 160), pointer.at(240, 190))
    (event,) = changed
    assert event.key == "box"
    assert not event.nudge
    box = event.box
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((140, 110, 340, 270), abs=0.9)
    assert (box.origin, box.score, box.id) == ("edited", None, 9)


def test_a_handle_resizes(panel, pointer, collected) -> None:
    panel.set_regions(regions(), selected="box")
    changed = collected(panel.box_changed)
    pointer.drag(pointer.at(300, 240) + QPoint(4, 4), pointer.at(350, 260) + QPoint(4, 4))
    box = changed[0].box
    assert (box.x0, box.y0) == (100, 80)
    assert (box.x1, box.y1) == pytest.approx((350, 260), abs=0.9)


def test_keys_nudge_resize_and_delete(panel, view, collected) -> None:
    panel.set_regions(regions(), selected="box")
    changed, deleted = collected(panel.box_changed), collected(panel.region_deleted)
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    edges = [(e.box.x0, e.box.y0, e.box.x1, e.box.y1) for e in changed]
    assert edges == [(101, 80, 301, 240), (101, 90, 301, 250), (101, 90, 300, 250)]
    assert all(event.nudge for event in changed)
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert deleted == ["box"]


def test_nudges_stop_at_the_border(panel, view, collected) -> None:
    panel.set_regions([Region("b", Box(0, 0, 50, 50, 1), "x")], selected="b")
    changed = collected(panel.box_changed)
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert changed == []
    for _ in range(8):
        QTest.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert changed[-1].box.x1 == 1


def test_the_owner_can_refuse_a_change(panel, view, pointer, collected) -> None:
    panel.set_regions(regions(), selected="box")
    collected(panel.box_changed)
    pointer.drag(pointer.at(200, 160), pointer.at(240, 190))
    panel.set_regions(regions(), selected="box")
    assert view._layer.rect(view._layer.region("box")).x0 == 100


def test_hidden_regions_are_not_drawn_and_not_hit(panel, pointer, collected) -> None:
    empty = screenshot(panel)
    panel.set_regions(regions())
    assert (screenshot(panel) != empty).any()
    chosen = collected(panel.region_selected)
    panel.set_regions_visible(False)
    assert (screenshot(panel) == empty).all()
    pointer.click(pointer.at(200, 160))
    assert chosen == []
    panel.set_regions_visible(True)
    panel.set_overlays_hidden(True)
    assert (screenshot(panel) == empty).all()


def test_line_style_is_origin(panel, view) -> None:
    def along_the_edge(touched: bool) -> np.ndarray:
        panel.set_regions([Region("b", Box(150, 80, 450, 300, 1), "x", "#FF6F3C", touched)])
        y = round(view.to_screen(QPointF(0, 80)).y())
        x0, x1 = (round(view.to_screen(QPointF(x, 0)).x()) for x in (200, 400))
        return screenshot(panel)[y - 1 : y + 2, x0:x1]

    def is_orange(row: np.ndarray) -> np.ndarray:
        return ((row[..., 0] > 170) & (row[..., 2] < 120) & (row[..., 0] - row[..., 2] > 100)).any(axis=0)

    solid, dashed = is_orange(along_the_edge(True)), is_orange(along_the_edge(False))
    assert solid.all()
    assert 0.4 < dashed.mean() < 0.8
    assert 20 < (np.diff(dashed.astype(int)) == 1).sum() < 40


# --- map and threshold ------------------------------------------------------------------------------------------------


def test_the_live_threshold_is_what_find_regions_finds(panel, view, collected) -> None:
    found = collected(panel.threshold_found)
    rule = RegionRule(threshold=0.35, components="all")
    panel.set_rule(rule)
    shown = blob()
    panel.set_map(shown)
    live = found[-1]
    expected = find_regions(shown.geometry.upsample(shown.values), rule)
    assert isinstance(live, LiveThreshold)
    assert live.rule == rule
    assert live.level == pytest.approx(expected.level)
    assert live.share == pytest.approx(expected.mask.mean())
    assert live.regions == len(expected.boxes)
    assert live.stability is not None
    assert 0 < live.stability < 1
    path = view._live_outline.path(16.0)
    inside = [
        path.contains(QPointF(x + 0.5, y + 0.5)) == expected.mask[y, x]
        for x in range(0, 600, 7)
        for y in range(0, 450, 7)
    ]
    assert np.mean(inside) > 0.99


def test_each_rule_answers_and_no_evidence_says_so(panel, collected) -> None:
    found = collected(panel.threshold_found)
    panel.set_map(blob())
    for rule in (RegionRule("percentile", 0.1), RegionRule("otsu"), RegionRule("fraction", 1.0)):
        panel.set_rule(rule)
        assert found[-1].rule == rule
        assert found[-1].level is not None
    panel.set_rule(RegionRule("percentile", 0.1, components="all"))
    assert found[-1].share == pytest.approx(0.1, abs=0.01)
    panel.set_map(blob(sign=-1))
    assert found[-1].level is None
    assert "evidence" in found[-1].reason


def test_original_blend_and_heat_map(panel, view) -> None:
    panel.set_map(blob())
    panel.set_live_visible(False)
    peak = view.to_screen(QPointF(300, 160)).toPoint()
    corner = view.to_screen(QPointF(20, 430)).toPoint()

    def colours() -> tuple[tuple[int, ...], tuple[int, ...]]:
        image = screenshot(panel)
        return tuple(image[peak.y(), peak.x()]), tuple(image[corner.y(), corner.x()])

    panel.set_mode("original")
    original = colours()
    panel.set_mode("blend")
    blend = colours()
    panel.set_mode("heatmap")
    alone = colours()
    assert blend[0] != original[0]
    assert blend[1] == original[1]
    assert alone[0] != blend[0]
    assert len(set(alone[1])) <= 2  # grey
    panel.set_mode("blend")
    panel.set_opacity(0.0)
    assert colours() == original


def test_nothing_positive_dims_the_image_and_is_said(panel, view) -> None:
    before = screenshot(panel)
    panel.set_map(blob(sign=-1))
    image = view.image_rect().toRect().adjusted(20, 20, -20, -20)
    after = screenshot(panel)
    area = np.s_[image.top() : image.top() + 80, image.left() : image.left() + 100]
    assert after[area].mean() < 0.6 * before[area].mean()
    middle = image.center()
    words = after[middle.y() - 30 : middle.y() + 30, middle.x() - 100 : middle.x() + 100]
    assert words.max() >= 240


def test_swipe_shows_the_map_right_of_the_line(panel, view, pointer) -> None:
    panel.set_map(blob())
    panel.set_live_visible(False)
    panel.set_mode("original")
    plain = screenshot(panel)
    panel.set_mode("swipe")
    left, right = (view.to_screen(QPointF(x, 160)).toPoint() for x in (270, 330))
    image = screenshot(panel)
    assert (image[left.y(), left.x()] == plain[left.y(), left.x()]).all()
    assert (image[right.y(), right.x()] != plain[right.y(), right.x()]).any()
    pointer.drag(pointer.at(300, 30), pointer.at(360, 30))
    assert (screenshot(panel)[right.y(), right.x()] == plain[right.y(), right.x()]).all()
    for _ in range(6):  # six steps to the left, by the keyboard
        QTest.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    image = screenshot(panel)
    assert (image[right.y(), right.x()] != plain[right.y(), right.x()]).any()
    assert (image[left.y(), left.x()] != plain[left.y(), left.x()]).any()


def test_a_crop_is_framed(panel, view) -> None:
    panel.set_map(blob(mode="model"))
    x0, _, x1, _ = view.heat().geometry.frame
    assert x0 > 0
    assert x1 < 600
    panel.set_mode("original")
    plain = screenshot(panel)
    panel.set_mode("blend")
    framed = screenshot(panel)
    outside = view.to_screen(QPointF(x0 / 2, 225)).toPoint()
    assert framed[outside.y(), outside.x()].sum() < plain[outside.y(), outside.x()].sum()
    edge = view.to_screen(QPointF(x0, 420)).toPoint()
    assert framed[edge.y(), edge.x() - 1 : edge.x() + 2].min(axis=1).max() > 240


def test_a_map_of_another_image_is_not_shown(panel, view) -> None:
    panel.set_map(blob((300, 300)))
    assert view.heat() is None


# --- read-out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.0, 17.0])
def test_the_read_out_names_the_pixel_under_the_pointer(panel, view, zoom) -> None:
    panel.set_map(blob(), class_name="Melanoma", score=0.712)
    panel.zoom_to(zoom)
    full = blob().geometry.upsample(blob().values)
    for place in (QPointF(400, 300), QPointF(371.4, 288.8)):
        at = view.to_image(place)
        reading = view.reading_at(place)
        x, y = int(np.floor(at.x())), int(np.floor(at.y()))
        assert (reading.x, reading.y) == (x, y)
        assert reading.rgb == tuple(int(v) for v in picture()[y, x])
        assert reading.value == pytest.approx(float(full[y, x]), abs=1e-4)
        assert reading.share == pytest.approx(reading.value / full.max(), abs=1e-3)


def test_the_read_out_follows_the_pointer_and_leaves_with_it(panel, view, pointer, collected) -> None:
    readings = collected(panel.cursor_moved)
    panel.set_map(blob(), class_name="Melanoma", score=0.712)
    pointer.hover(pointer.at(300.5, 160.5))
    words = panel._readout.accessibleDescription()
    assert readings[-1].x in {300, 299, 301}
    assert "Melanoma 71.2 %" in words
    assert panel._readout.isVisible()
    assert not panel._readout.geometry().intersects(view.image_rect().toRect())
    pointer.hover(QPoint(2, 2))
    assert readings[-1] is None
    assert not panel._readout.isVisible()


def test_the_cell_size_is_said(panel) -> None:
    panel.set_map(blob())
    assert panel._cells.text() == "1 map cell = 86 × 64 px"
    assert panel._cells.isVisible()


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_an_empty_canvas_shows_its_message(panel) -> None:
    panel.set_image(None)
    blank = screenshot(panel)
    panel.set_message("ISIC_1.jpg cannot be read.", "The file is cut short. The others go on.")
    assert (screenshot(panel) != blank).any()
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Delete, Qt.Key.Key_Space, Qt.Key.Key_Escape):
        QTest.keyClick(panel.view, key)
    panel.zoom_to(2.0)
    panel.fit()


def test_every_control_has_a_name(panel) -> None:
    QApplication.processEvents()
    for widget in panel.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or not widget.isVisible():
            continue
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface.text(QAccessible.Text.Name), widget


def test_setters_do_not_emit_what_only_the_user_may(panel, collected) -> None:
    seen = [collected(s) for s in (panel.region_selected, panel.box_changed, panel.box_drawn, panel.region_deleted)]
    panel.set_regions(regions(), selected="box")
    panel.set_selected("mask")
    panel.set_selected(None)
    panel.set_image(picture(50, 40), "c.jpg")
    assert seen == [[], [], [], []]


def test_colour_map_and_opacity_by_hand(panel, collected) -> None:
    names, opacities = collected(panel.colour_map_changed), collected(panel.opacity_changed)
    panel.set_map(blob())
    panel.set_colour_map("magma")
    panel.set_opacity(0.3)
    assert names == []
    assert opacities == []
    panel.heat_row._choice.setCurrentIndex(3)
    panel.heat_row._opacity.slider.setValue(80)
    assert names == ["jet"]
    assert opacities == [0.8]


def test_light_and_dark_change_the_chrome_but_not_the_picture(panel, view) -> None:
    from camviewer.ui.theme import theme

    panel.set_map(blob())
    panel.set_rule(RegionRule(threshold=0.4))
    panel.set_regions(regions())
    colours = theme()
    shots = {}
    inner = view.image_rect().toRect().adjusted(2, 2, -2, -2)
    try:
        for mode in ("dark", "light"):
            colours.set_mode(mode)
            shots[mode] = screenshot(panel)
    finally:
        colours.set_mode("system")
    part = np.s_[inner.top() : inner.bottom(), inner.left() : inner.right()]
    np.testing.assert_array_equal(shots["dark"][part], shots["light"][part])
    assert (shots["dark"][:10, :10] != shots["light"][:10, :10]).any()


def test_cells_are_drawn_between_their_centres_where_the_network_sees(panel, view) -> None:
    panel.set_mode("original")
    shown = blob()
    panel.set_map(shown)
    before = screenshot(panel)
    panel.set_cells_shown(True)
    changed = (np.abs(screenshot(panel) - before).sum(axis=2) > 20).astype(int)
    to_image = shown.geometry.to_image
    for n in range(1, 7):
        x, y = to_image(n - 0.5, n - 0.5)
        column, row = view.to_screen(QPointF(x, 150)), view.to_screen(QPointF(150, y))
        lines = changed[round(column.y()) - 10 : round(column.y()) + 10, round(column.x()) - 1 : round(column.x()) + 2]
        assert lines.any(axis=1).all()
        lines = changed[round(row.y()) - 1 : round(row.y()) + 2, round(row.x()) - 10 : round(row.x()) + 10]
        assert lines.any(axis=0).all()
    x, y = to_image(3, 3)
    middle = view.to_screen(QPointF(x, y))
    assert not changed[
        round(middle.y()) - 5 : round(middle.y()) + 5, round(middle.x()) - 5 : round(middle.x()) + 5
    ].any()


@pytest.mark.parametrize("density", [1, 2, 3])
def test_strokes_are_as_wide_on_a_dense_screen(density: int) -> None:
    image = QImage(60 * density, 40 * density, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(density)
    image.fill(0x808080)
    painter = QPainter(image)
    painter.scale(3, 3)
    path = QPainterPath(QPointF(2, 6))
    path.lineTo(18, 6)
    annotate.paint_path(painter, path, annotate.stroke("#FFFFFF", annotate.MASK_WIDTH, touched=True), 2.0)
    painter.end()
    column = pixels_of(image)[:, 30 * density, 0].astype(int)
    assert (column > 200).sum() == 2 * density
    assert (column != 0x80).sum() == 4 * density
