"""The options of the tool in use; they stand in the row above the canvas, where the view is chosen otherwise."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from camviewer.ui.canvas.numbers import raw
from camviewer.ui.canvas.records import MASK_TOOLS, SIZES, PaintClass, Tool, ToolOptions
from camviewer.ui.choices import LabelledSlider, SegmentedControl
from camviewer.ui.controls import label, name_control
from camviewer.ui.marks import Swatch
from camviewer.ui.theme import theme

_NAME_ROOM = 110
"""Most pixels of a class name."""


class ToolOptionsBar(QWidget):
    """Class, size, tolerance and conditions of the tools for masks.

    Signals:
        options_changed: `ToolOptions` that the user chose; the setters never emit.
    """

    options_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._options = ToolOptions()
        self._tool: Tool = "select"
        self._level: float | None = None
        self._class = PaintClass()
        self._tight = 0
        self._swatch = Swatch()
        self._name = label("", "name")
        self._size = LabelledSlider(
            "Size",
            minimum=0,
            maximum=len(SIZES) - 1,
            value=SIZES.index(self._options.size),
            step=1,
            text=lambda value: f"{SIZES[round(value)]} px",
            tip="Diameter of the brush in image pixels",
            key="[ and ]",
        )
        self._tolerance = LabelledSlider(
            "Tolerance",
            minimum=0,
            maximum=80,
            value=self._options.tolerance,
            step=1,
            text=lambda value: f"{value:.0f}",
            tip="How much a colour may differ from the one under the pointer, 0 to 255 in each channel",
        )
        for slider in (self._size, self._tolerance):
            slider.setFixedWidth(theme().px(140))
        self._deed = SegmentedControl(
            [("add", "Add"), ("cut", "Cut")],
            "Polygon",
            tips=["The polygon joins the mask", "The polygon is cut out of the mask"],
        )
        self._side = SegmentedControl(
            [("inside", "Inside"), ("outside", "Outside")],
            "Scribble",
            tips=["The stroke belongs to the mask", "The stroke does not belong to the mask; so does the right button"],
        )
        self._on_map = QCheckBox()
        self._holes = QCheckBox("Fill holes")
        name_control(self._holes, "Fill holes", tip="A stroke that closes a ring fills it")
        for box in (self._on_map, self._holes):
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._swatch)
        layout.addWidget(self._name)
        layout.addSpacing(8)
        for part in (self._deed, self._side, self._size, self._tolerance):
            layout.addWidget(part)
        layout.addSpacing(10)
        layout.addWidget(self._on_map)
        layout.addSpacing(8)
        layout.addWidget(self._holes)
        self._size.value_changed.connect(self._on_size)
        self._tolerance.value_changed.connect(self._on_tolerance)
        self._deed.chosen.connect(self._on_deed)
        self._side.chosen.connect(self._on_side)
        self._on_map.toggled.connect(self._on_condition)
        self._holes.toggled.connect(self._on_holes)
        self._show()

    def options(self) -> ToolOptions:
        """Return the options as they stand."""
        return self._options

    def set_options(self, options: ToolOptions) -> None:
        """Show other options."""
        self._options = options
        nearest = min(range(len(SIZES)), key=lambda n: abs(SIZES[n] - options.size))
        self._size.set_value(nearest)
        self._tolerance.set_value(options.tolerance)
        self._deed.set_value("cut" if options.take_away else "add")
        self._side.set_value("outside" if options.take_away else "inside")
        for box, state in ((self._on_map, options.on_map), (self._holes, options.fill_holes)):
            box.blockSignals(True)
            box.setChecked(state)
            box.blockSignals(False)

    def set_tool(self, tool: Tool) -> None:
        """Show what this tool can be set to."""
        self._tool = tool
        self._show()

    def set_level(self, level: float | None) -> None:
        """Show the raw value of the threshold; None where there is none."""
        self._level = level
        self._show()

    def set_class(self, paint_class: PaintClass) -> None:
        """Show the class that is painted."""
        self._class = paint_class
        self._show()

    def set_room(self, room: int) -> None:
        """Shorten the words where `room` pixels are not enough for all of them."""
        for self._tight in range(3):
            self._show()
            if self.sizeHint().width() <= room:
                return

    def _show(self) -> None:
        tool = self._tool
        self._swatch.set_color(self._class.colour or "#FFFFFF")
        name = self._class.name or "No class"
        metrics = QFontMetrics(self._name.font())
        self._name.setText(metrics.elidedText(name, Qt.TextElideMode.ElideRight, theme().px(_NAME_ROOM)))
        for part in (self._swatch, self._name):
            part.setToolTip(f"Painted as {name}  (1–9)")
        self._name.setVisible(self._tight < 2)
        self._size.setVisible(tool in {"brush", "eraser", "scribble"})
        self._tolerance.setVisible(tool == "fill")
        self._deed.setVisible(tool == "polygon")
        self._side.setVisible(tool == "scribble")
        self._holes.setVisible(tool == "brush" and self._tight < 2)
        self._on_map.setVisible(tool in MASK_TOOLS and tool != "scribble")
        below = tool == "eraser" or (tool == "polygon" and self._options.take_away)
        value = "t" if self._level is None else raw(self._level)
        if self._tight:
            words = f"Map {'<' if below else '≥'} {value}"
        else:
            words = f"Only where the map is {f'below {value}' if below else f'{value} or more'}"
        self._on_map.setText(words)
        self._on_map.setEnabled(self._level is not None)
        reason = "" if self._level is not None else ". There is no map of this image yet"
        side = "stays below" if below else "reaches"
        name_control(self._on_map, words, tip=f"Change pixels only where the map {side} the threshold{reason}")
        self.updateGeometry()

    def _choose(self, options: ToolOptions) -> None:
        self._options = options
        self._show()
        self.options_changed.emit(options)

    @Slot(float)
    def _on_size(self, value: float) -> None:
        self._choose(replace(self._options, size=SIZES[round(value)]))

    @Slot(float)
    def _on_tolerance(self, value: float) -> None:
        self._choose(replace(self._options, tolerance=round(value)))

    @Slot(str)
    def _on_deed(self, value: str) -> None:
        self._choose(replace(self._options, take_away=value == "cut"))

    @Slot(str)
    def _on_side(self, value: str) -> None:
        self._choose(replace(self._options, take_away=value == "outside"))

    @Slot(bool)
    def _on_condition(self, checked: bool) -> None:
        self._choose(replace(self._options, on_map=checked))

    @Slot(bool)
    def _on_holes(self, checked: bool) -> None:
        self._choose(replace(self._options, fill_holes=checked))
