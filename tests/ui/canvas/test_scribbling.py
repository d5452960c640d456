"""Scribbles on the canvas: which strokes go with which mask, through answers, undo and other edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from canvas_scene import picture
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from camviewer.project.records import Mask
from camviewer.ui.canvas.records import PaintClass, Region, ToolOptions
from camviewer.ui.canvas.scribbling import Scribbles

RIGHT = Qt.MouseButton.RightButton


def mask(*edges: int) -> np.ndarray:
    pixels = np.zeros((450, 600), bool)
    if edges:
        x0, y0, x1, y1 = edges
        pixels[y0:y1, x0:x1] = True
    return pixels


def region(pixels: np.ndarray, slot: str = "reviewed") -> Region:
    return Region(("mask", 1, slot), Mask(pixels, 1, slot), "Melanoma", "#FF6F3C")


def draw(scribbles: Scribbles, x: float, *, inside: bool = True) -> int:
    scribbles.begin(QPointF(x, 10), width=5, inside=inside)
    scribbles.extend(QPointF(x + 30, 10), 1.0)
    return len(scribbles.finish())


def test_undo_and_redo_take_strokes_back_and_bring_them_again() -> None:
    scribbles, first, second = Scribbles(), mask(0, 0, 50, 50), mask(0, 0, 90, 90)
    scribbles.follow(1, None)
    assert draw(scribbles, 0) == 1
    scribbles.follow(1, first)
    assert draw(scribbles, 100, inside=False) == 2
    scribbles.follow(1, second)
    for pixels, count in ((first, 1), (None, 0), (first, 1), (second, 2), (first, 1)):
        scribbles.follow(1, None if pixels is None else pixels.copy())
        assert len(scribbles.strokes) == count
    assert draw(scribbles, 200) == 2


def test_any_other_edit_and_another_class_begin_anew() -> None:
    scribbles = Scribbles()
    scribbles.follow(1, None)
    draw(scribbles, 0)
    scribbles.follow(1, mask(0, 0, 50, 50))
    scribbles.follow(1, mask(0, 0, 50, 60))
    assert scribbles.strokes == ()
    draw(scribbles, 0)
    scribbles.follow(2, mask(0, 0, 50, 60))
    assert scribbles.strokes == ()


def test_a_stroke_that_changed_nothing_is_kept_or_taken_back() -> None:
    scribbles = Scribbles()
    scribbles.follow(1, mask(0, 0, 50, 50))
    draw(scribbles, 0)
    scribbles.settle(True)
    draw(scribbles, 10)
    scribbles.settle(False)
    assert len(scribbles.strokes) == 1
    scribbles.follow(1, mask(0, 0, 50, 50))
    assert len(scribbles.strokes) == 1


def test_pointer_and_buttons_mark_inside_and_outside(panel, pointer, collected) -> None:
    asked = collected(panel.scribbled)
    panel.set_tool("scribble")
    panel.set_tool_options(ToolOptions(size=12))
    panel.set_paint_class(PaintClass(1, "Melanoma", "#FF6F3C"))
    pointer.drag(pointer.at(100, 100), pointer.at(200, 120))
    assert asked[0].key is None
    (stroke,) = asked[0].scribbles
    assert stroke.inside and stroke.width == 12
    assert np.allclose(stroke.points[0], (100, 100), atol=2) and np.allclose(stroke.points[-1], (200, 120), atol=2)
    panel.set_regions([region(mask(50, 50, 250, 200))])
    pointer.drag(pointer.at(300, 100), pointer.at(320, 120), button=RIGHT)
    assert asked[1].key == ("mask", 1, "reviewed")
    assert [scribble.inside for scribble in asked[1].scribbles] == [True, False]
    panel.set_tool_options(replace(ToolOptions(size=12), take_away=True))
    panel.set_regions([region(mask(50, 50, 260, 200))])
    pointer.drag(pointer.at(300, 300), pointer.at(320, 310))
    assert [scribble.inside for scribble in asked[2].scribbles] == [True, False, False]


def test_escape_drops_the_stroke_and_keys_make_a_dab(panel, view, pointer, qtbot, collected) -> None:
    asked = collected(panel.scribbled)
    panel.set_tool("scribble")
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, pointer.at(100, 100))
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, pointer.at(120, 100))
    assert asked == [] and not view.painting()
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    (stroke,) = asked[0].scribbles
    assert len(stroke.points) == 1 and stroke.inside


def test_strokes_are_seen_and_gone_with_the_image(panel, view, pointer) -> None:
    panel.set_tool("scribble")
    before = view.grab().toImage()
    pointer.drag(pointer.at(100, 100), pointer.at(200, 120))
    assert view.grab().toImage() != before
    panel.set_image(picture(), "other")
    assert view._scribbles.strokes == ()
