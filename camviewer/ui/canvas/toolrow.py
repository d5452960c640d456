"""The row above the canvas: tools, view, zoom."""

from __future__ import annotations

import re

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QWidget

from camviewer.ui.canvas.options import ToolOptionsBar
from camviewer.ui.canvas.records import MASK_TOOLS, TOOLS, Tool, ViewMode
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import IconButton, name_control
from camviewer.ui.theme import theme

_ZOOMS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_TOOL_LOOKS: dict[Tool, tuple[str, str, str]] = {
    "select": ("select", "Select and move regions", "V"),
    "box": ("box", "Draw a box", "W or R"),
    "polygon": ("polygon", "Draw a polygon: click corners or drag, Enter closes it", "P"),
    "brush": ("brush", "Paint a mask; the right button erases", "B"),
    "eraser": ("eraser", "Erase from a mask; the right button paints", "E"),
    "scribble": (
        "scribble",
        "Scribble on what is inside; the right button marks what is outside, and the outline follows the colours",
        "U",
    ),
    "fill": ("fill", "Fill a hole or an area of similar colour; the right button removes a piece", "K"),
}
_MODES: tuple[tuple[ViewMode, str, str], ...] = (
    ("original", "Original", "The image alone"),
    ("heatmap", "Heat map", "The map alone"),
    ("blend", "Blend", "The map over the image; weak evidence leaves the image untouched"),
    ("swipe", "Swipe", "The image left of the line, the map right of it"),
)


class ToolRow(QWidget):
    """Signals carry what the user chose; the setters never emit."""

    tool_chosen = Signal(str)
    mode_chosen = Signal(str)
    zoom_chosen = Signal(float)
    fit_chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._tools: dict[Tool, IconButton] = {}
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(4)
        for tool in TOOLS:
            icon_name, tip, key = _TOOL_LOOKS[tool]
            button = IconButton(icon_name, tip, key=key, checkable=True)
            button.setProperty("value", tool)
            self._group.addButton(button)
            self._tools[tool] = button
            layout.addWidget(button)
        self._tools["select"].setChecked(True)
        self._group.buttonClicked.connect(self._on_tool)
        self._mode = SegmentedControl(
            [(value, text) for value, text, _ in _MODES], "View", tips=[tip for _, _, tip in _MODES]
        )
        self._mode.set_value("blend")
        self._mode.chosen.connect(self.mode_chosen)
        self.options = ToolOptionsBar()
        self.options.hide()
        self._zoom = QComboBox()
        self._zoom.setEditable(True)
        self._zoom.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._zoom.addItems([_zoom_text(zoom) for zoom in _ZOOMS])
        self._zoom.setFixedWidth(theme().px(88))
        # An editable box leaves the room of its arrow free by itself.
        self._zoom.setStyleSheet("QComboBox, QComboBox:focus { padding-right: 0; }")
        self._zoom.setCompleter(None)  # type: ignore[arg-type]
        name_control(self._zoom, "Zoom", tip="Zoom: choose or type a number", key="Ctrl+wheel")
        edit = self._zoom.lineEdit()
        if edit is not None:
            edit.setAccessibleName("Zoom")
            # The combo box already draws frame and padding.
            edit.setStyleSheet("QLineEdit, QLineEdit:focus { border: none; background: transparent; padding: 0; }")
            edit.editingFinished.connect(self._on_zoom_typed)
        self._zoom.activated.connect(self._on_zoom_picked)
        self._fit = IconButton("fit", "Fit the image", key="F")
        self._fit.clicked.connect(self.fit_chosen)
        self.compare = IconButton(
            "grid", "Compare", key="G", tip="Compare methods and classes on one zoom", checkable=True
        )
        self._shown = 1.0
        layout.addSpacing(8)
        layout.addStretch(1)
        layout.addWidget(self._mode)
        layout.addWidget(self.options)
        layout.addStretch(1)
        layout.addSpacing(8)
        layout.addWidget(self._zoom)
        layout.addWidget(self._fit)
        layout.addWidget(self.compare)
        self.setFixedHeight(theme().px(40))
        self.set_zoom(1.0)

    def set_tool(self, tool: Tool) -> None:
        """Show which tool is in use; the options of a tool that has some replace the choice of the view."""
        self._tools[tool].setChecked(True)
        self.options.set_tool(tool)
        self._mode.setVisible(tool not in MASK_TOOLS)
        self.options.setVisible(tool in MASK_TOOLS)
        self._fit_in()

    def set_mode(self, mode: ViewMode) -> None:
        """Show which view is chosen."""
        self._mode.set_value(mode)

    def set_zoom(self, zoom: float) -> None:
        """Show the zoom."""
        self._shown = zoom
        edit = self._zoom.lineEdit()
        if edit is not None:
            edit.setText(_zoom_text(zoom))

    def set_image_shown(self, shown: bool) -> None:
        """Allow tools and zoom only with an image."""
        for part in (*self._tools.values(), self._zoom, self._fit):
            part.setEnabled(shown)

    def set_map_shown(self, shown: bool) -> None:
        """Allow the views of the heat map only with a map."""
        for value, _, tip in _MODES[1:]:
            self._mode.set_choice_enabled(value, shown, reason=tip if shown else "There is no map of this image yet")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_in()

    def _fit_in(self) -> None:
        """Shorten the options, then leave out the zoom, then fit, where the row is too narrow for all."""
        margins = self.contentsMargins()
        buttons = sum(button.sizeHint().width() + 4 for button in self._tools.values())
        taken = buttons + margins.left() + margins.right() + 24 + 2 * 8 + 8
        fit = self._fit.sizeHint().width() + 4
        zoom = self._zoom.width() + 8 + fit
        room = self.width() - taken - self.compare.sizeHint().width() - 4
        self.options.set_room(room - zoom)
        middle = self.options if self.options.isVisibleTo(self) else self._mode
        wanted = middle.sizeHint().width()
        self._zoom.setVisible(wanted <= room - zoom)
        self._fit.setVisible(
            middle.minimumSizeHint().width() <= room - fit
        )  # the choice of the view gives way a little

    @Slot(object)
    def _on_tool(self, button: object) -> None:
        if isinstance(button, IconButton):
            self.tool_chosen.emit(button.property("value"))

    @Slot(int)
    def _on_zoom_picked(self, index: int) -> None:
        self.zoom_chosen.emit(_ZOOMS[index])

    @Slot()
    def _on_zoom_typed(self) -> None:
        """Take what was typed; what is no number brings the zoom back that was there."""
        zoom = parse_zoom(self._zoom.currentText())
        if zoom is not None and _zoom_text(zoom) != _zoom_text(self._shown):
            self.zoom_chosen.emit(zoom)
        self.set_zoom(self._shown)


def parse_zoom(text: str) -> float | None:
    """Return the zoom of ``122 %``, ``122`` or ``12,5%``; None for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*%?\s*", text)
    return float(match[1].replace(",", ".")) / 100 if match else None


def _zoom_text(zoom: float) -> str:
    return f"{zoom * 100:.1f} %" if zoom < 0.1 else f"{zoom * 100:.0f} %"
