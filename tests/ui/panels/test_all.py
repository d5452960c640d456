"""What holds for every panel: names, tooltips, no writing, both themes, every width."""

from __future__ import annotations

import numpy as np
import pytest
from canvas_scene import blob
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

from camviewer.project.records import Box, ClassTable
from camviewer.ui.canvas.records import Region
from camviewer.ui.panels.classes import ClassesPanel
from camviewer.ui.panels.image import ImageFacts, ImagePanel
from camviewer.ui.panels.method import MethodPanel
from camviewer.ui.panels.model import ModelPanel
from camviewer.ui.panels.regions import RegionsPanel
from camviewer.ui.panels.threshold import ThresholdPanel
from camviewer.ui.qimage import pixels_of
from camviewer.ui.theme import theme
from camviewer.workers.jobs import ClassScore

PANELS = (ClassesPanel, MethodPanel, ThresholdPanel, RegionsPanel, ImagePanel, ModelPanel)


def filled(kind: type[QWidget]) -> QWidget:
    panel = kind()
    if isinstance(panel, ClassesPanel):
        panel.set_scores([ClassScore(i, f"a long class name {i}", 1.0, 0.9 / (i + 1)) for i in range(7)], ClassTable())
    elif isinstance(panel, ThresholdPanel):
        panel.set_map(blob())
    elif isinstance(panel, RegionsPanel):
        panel.set_regions([Region(1, Box(0, 0, 5, 5, 1), "Melanoma", "#FF6F3C")], (60, 40), selected=1)
    elif isinstance(panel, ImagePanel):
        panel.set_image(ImageFacts("a very long file name that never ends.jpg", (600, 450), "JPEG", 10))
    return panel


@pytest.mark.parametrize("kind", PANELS)
def test_every_control_has_a_name_and_a_tooltip(kind, shown) -> None:
    panel = shown(filled(kind))
    for widget in panel.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or not widget.isVisible():
            continue
        interface = QAccessible.queryAccessibleInterface(widget)
        name = interface.text(QAccessible.Text.Name)
        inside = widget.parentWidget() is not None and widget.parentWidget().accessibleName()
        assert name or inside, (kind, widget)
        if not isinstance(widget, (QLineEdit, QPlainTextEdit)) and "View" not in type(widget).__mro__[1].__name__:
            assert widget.toolTip() or inside, (kind, widget)


@pytest.mark.parametrize("kind", PANELS)
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_panels_can_be_drawn_in_both_themes(kind, mode, shown) -> None:
    colours = theme()
    try:
        colours.set_mode(mode)
        image = pixels_of(shown(filled(kind)).grab().toImage())[..., :3].astype(int)
    finally:
        colours.set_mode("system")
    # Text stands out from its ground, whichever that is.
    assert image.max() - image.min() > 120
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 8


@pytest.mark.parametrize("kind", PANELS)
def test_nothing_needs_more_than_the_smallest_width(kind, shown) -> None:
    panel = shown(filled(kind), 296)
    smallest = 320 if kind is ModelPanel else 296
    assert panel.minimumSizeHint().width() <= smallest
