"""The centre of the window: tools and view above, the canvas, colour bar and opacity below."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from camviewer.project.records import ActivationMap
from camviewer.regions.artefacts import Artefacts
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.artefacts import ArtefactLegend
from camviewer.ui.canvas.colourbar import HeatRow
from camviewer.ui.canvas.readout import ReadOut
from camviewer.ui.canvas.records import (
    CursorReading,
    LiveThreshold,
    PaintClass,
    Region,
    Tool,
    ToolOptions,
    ViewMode,
)
from camviewer.ui.canvas.toolrow import ToolRow
from camviewer.ui.canvas.view import CanvasView
from camviewer.ui.controls import label, rule, surface


class CanvasPanel(QWidget):
    """Tool row, canvas and heat map row. It shows records and emits edits; it never writes the project.

    Signals:
        box_drawn: `BoxDrawn`.
        box_changed: `BoxChanged`.
        mask_edited: `MaskEdited`, once for each stroke, polygon or filling.
        scribbled: `Scribbled`, at the end of each scribble.
        hinted: why a tool did nothing, one sentence.
        region_selected: key of the selected `Region`, or None.
        region_deleted: key of the region whose deletion was asked for.
        cursor_moved: `CursorReading`, or None when the pointer leaves the image.
        zoom_changed: screen pixels per image pixel.
        mode_changed: `ViewMode`.
        tool_changed: `Tool`.
        threshold_found: `LiveThreshold`, after each change of map or rule.
        colour_map_changed: name of the table.
        opacity_changed: 0..1.
    """

    box_drawn = Signal(object)
    box_changed = Signal(object)
    mask_edited = Signal(object)
    scribbled = Signal(object)
    hinted = Signal(str)
    region_selected = Signal(object)
    region_deleted = Signal(object)
    cursor_moved = Signal(object)
    zoom_changed = Signal(float)
    mode_changed = Signal(str)
    tool_changed = Signal(str)
    threshold_found = Signal(object)
    colour_map_changed = Signal(str)
    opacity_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = CanvasView()
        self.tools = ToolRow()
        self.heat_row = HeatRow()
        self._readout = ReadOut(self.view)
        self._cells = label("", "caption", "text-2", parent=self.view)
        self._cells.hide()
        self._legend = ArtefactLegend(self.view)
        self._artefacts_wanted = False
        self._class_name = ""
        self._score: float | None = None
        self._paint_class = PaintClass()
        self._page: QWidget | None = None
        surface(self, "panel")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tools)
        layout.addWidget(self.view, 1)
        self._place_of_page = QVBoxLayout()
        layout.addLayout(self._place_of_page, 1)
        layout.addWidget(rule())
        layout.addWidget(self.heat_row)
        self.setFocusProxy(self.view)
        self._connect()
        self._enable()

    def _connect(self) -> None:
        view = self.view
        view.box_drawn.connect(self.box_drawn)
        view.box_changed.connect(self.box_changed)
        view.mask_edited.connect(self.mask_edited)
        view.scribbled.connect(self.scribbled)
        view.hinted.connect(self.hinted)
        view.region_selected.connect(self._on_selected)
        view.region_deleted.connect(self.region_deleted)
        view.cursor_moved.connect(self._on_cursor)
        view.zoom_changed.connect(self._on_zoom)
        view.view_changed.connect(self._place)
        view.threshold_found.connect(self._on_threshold)
        view.tool_left.connect(self._on_tool_left)
        self.tools.mode_chosen.connect(self._on_mode)
        self.tools.tool_chosen.connect(self._on_tool)
        self.tools.options.options_changed.connect(view.set_options)
        self.tools.zoom_chosen.connect(view.zoom_to)
        self.tools.fit_chosen.connect(view.fit)
        self.heat_row.colour_map_changed.connect(self._on_colour_map)
        self.heat_row.opacity_changed.connect(self._on_opacity)

    # --- what is shown --------------------------------------------------------------------------------------------

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show upright RGB `pixels` ``[H, W, 3]``, or nothing. The array must not change afterwards.

        The view (zoom and centre) of each `name` is remembered. Map and regions of the image before are removed.
        """
        self._class_name, self._score = "", None
        self.view.set_image(pixels, name)
        self._legend.set_found(None)
        self._after_heat()
        self._enable()

    def set_map(
        self, shown: ActivationMap | None, *, class_name: str = "", score: float | None = None, live: bool = True
    ) -> None:
        """Show the heat map of one class; `score` is its probability, for the read-out.

        Without `live` the threshold waits until `find_live` is called.
        """
        self._class_name, self._score = class_name, score
        self.view.set_map(shown, live=live)
        self._after_heat()
        self._enable()

    def find_live(self) -> None:
        """Find the live threshold of the map on screen."""
        self.view.find_live()

    def set_partial(self, shown: ActivationMap) -> None:
        """Show a map that still grows. The live threshold waits for the whole one, so that this costs one frame."""
        self.view.set_map(shown, live=False)
        self._after_heat()

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` and select the one with the key `selected`, without emitting."""
        self.view.set_regions(regions, selected=selected)
        self._show_class()

    def set_selected(self, key: Hashable | None) -> None:
        """Select a region without emitting."""
        self.view.set_selected(key)
        self._show_class()

    def set_paint_class(self, paint_class: PaintClass) -> None:
        """Set the class of new masks."""
        self._paint_class = paint_class
        self.view.set_paint_class(paint_class)
        self._show_class()

    @Slot(bool)
    def settle_scribbles(self, kept: bool) -> None:
        """Keep the scribble that changed nothing, or take it back."""
        self.view.settle_scribbles(kept)

    def set_tool_options(self, options: ToolOptions) -> None:
        """Set what the tools for masks are set to."""
        self.tools.options.set_options(options)
        self.view.set_options(options)

    def resize_brush(self, steps: int) -> None:
        """Make brush and eraser larger, or smaller with negative `steps`."""
        self.set_tool_options(self.view.resized(steps))

    def set_rule(self, rule: RegionRule) -> None:
        """Set the rule of the live outline; answers with `threshold_found` in the same frame."""
        self.view.set_rule(rule)

    def set_live_visible(self, visible: bool) -> None:
        """Show or hide the live threshold outline."""
        self.view.set_live_visible(visible)

    def set_mode(self, mode: ViewMode) -> None:
        """Choose original, heat map, blend or swipe."""
        self.tools.set_mode(mode)
        self._on_mode(mode)

    def show_heat(self) -> None:
        """Show the map to whoever asks for it, or works on it, while the image is shown alone."""
        if self.view.mode() == "original":
            self.set_mode("blend")

    def toggle_heat(self) -> None:
        """Show the map over the image, or the image alone."""
        self.set_mode("blend" if self.view.mode() == "original" else "original")

    def set_tool(self, tool: Tool) -> None:
        """Choose a tool."""
        self.tools.set_tool(tool)
        self._on_tool(tool)

    def set_colour_map(self, name: str) -> None:
        """Choose viridis, cividis, magma or jet."""
        self.heat_row.set_colour_map(name)
        self.view.set_colour_map(name)

    def set_opacity(self, opacity: float) -> None:
        """Set the heat map's opacity, 0..1."""
        self.heat_row.set_opacity(opacity)
        self.view.set_opacity(opacity)

    def set_cut(self, cut: bool) -> None:
        """Show the heat map only from the threshold on."""
        self.view.set_cut(cut)

    def set_overlays_hidden(self, hidden: bool) -> None:
        """Hide heat map and regions while a key is held (H)."""
        self.view.set_overlays_hidden(hidden)

    def set_regions_visible(self, visible: bool) -> None:
        """Show or hide all regions (T)."""
        self.view.set_regions_visible(visible)

    def set_fill(self, opacity: float) -> None:
        """Fill masks with this opacity, 0..1; outlines stay as they are."""
        self.view.set_fill(opacity)

    def set_cells_shown(self, shown: bool) -> None:
        """Show or hide the borders of the map's cells."""
        self.view.set_cells_shown(shown)

    def set_artefacts(self, found: Artefacts | None) -> None:
        """Set the artefacts of the image; None while they are not known."""
        self.view.set_artefacts(found)
        self._legend.set_found(found)
        self._place()

    def set_artefacts_visible(self, visible: bool) -> None:
        """Show or hide the artefacts and what their hatchings mean."""
        self._artefacts_wanted = visible
        self.view.set_artefacts_visible(visible)
        self._place()

    def set_page(self, page: QWidget | None) -> None:
        """Show a page in the place of tools and image, or the image again; the colour map stays below."""
        if self._page is not None:
            self._page.hide()
            self._place_of_page.removeWidget(self._page)
        self._page = page
        for part in (self.tools, self.view):
            part.setVisible(page is None)
        if page is not None:
            self._place_of_page.addWidget(page)
            page.show()
        self.setFocusProxy(self.view if page is None else page)
        self._after_heat()
        self._enable()

    def set_message(self, title: str, text: str = "") -> None:
        """Show two lines in the middle of an empty canvas ("ISIC_1.jpg cannot be read.", "The file is cut short.")."""
        self.view.set_message(title, text)

    def fit(self) -> None:
        """Show the whole image (F)."""
        self.view.fit()

    def zoom_to(self, zoom: float) -> None:
        """Zoom about the centre of the view; 1.0 is one screen pixel per image pixel (Ctrl+0)."""
        self.view.zoom_to(zoom)

    def zoom_by(self, factor: float) -> None:
        """Zoom in or out about the centre of the view."""
        self.view.zoom_to(self.view.zoom() * factor)

    # --- answers of the parts -------------------------------------------------------------------------------------

    @Slot(object)
    def _on_cursor(self, reading: CursorReading | None) -> None:
        self._readout.set_reading(reading, class_name=self._class_name, score=self._score)
        self.heat_row.bar.set_value(None if reading is None else reading.value)
        self._place()
        self.cursor_moved.emit(reading)

    @Slot(object)
    def _on_selected(self, key: Hashable | None) -> None:
        self._show_class()
        self.region_selected.emit(key)

    def _show_class(self) -> None:
        """Show the class that painting goes to: that of the selected mask, else that of new ones."""
        target = self.view.mask_target()
        shown = self._paint_class if target is None else PaintClass(0, target.name, target.colour)
        self.tools.options.set_class(shown)

    @Slot(float)
    def _on_zoom(self, zoom: float) -> None:
        self.tools.set_zoom(zoom)
        self.zoom_changed.emit(zoom)

    @Slot(object)
    def _on_threshold(self, live: LiveThreshold) -> None:
        self.heat_row.bar.set_level(live.level if self._page is None else None)
        self.tools.options.set_level(live.level)
        self.threshold_found.emit(live)

    @Slot(str)
    def _on_mode(self, mode: ViewMode) -> None:
        self.view.set_mode(mode)
        self.mode_changed.emit(mode)

    @Slot(str)
    def _on_tool(self, tool: Tool) -> None:
        self.view.set_tool(tool)
        self.tool_changed.emit(tool)

    @Slot()
    def _on_tool_left(self) -> None:
        self.set_tool("select")

    @Slot(str)
    def _on_colour_map(self, name: str) -> None:
        self.view.set_colour_map(name)
        self.colour_map_changed.emit(name)

    @Slot(float)
    def _on_opacity(self, opacity: float) -> None:
        self.view.set_opacity(opacity)
        self.opacity_changed.emit(opacity)

    def _after_heat(self) -> None:
        heat = self.view.heat()
        self.heat_row.set_heat(heat)
        if self._page is not None:
            # Each map on its own scale: the bar shows shares of the maximum.
            self.heat_row.bar.set_range(0.0, 1.0)
            self.heat_row.bar.set_level(None)
        if heat is None:
            self.heat_row.bar.set_level(None)
            self.tools.options.set_level(None)
        self._cells.setVisible(heat is not None)
        if heat is not None:
            across, down = heat.cell
            self._cells.setText(f"1 map cell = {across:.0f} × {down:.0f} px")
        self._place()

    def _enable(self) -> None:
        self.tools.set_image_shown(self.view.has_image())
        self.tools.set_map_shown(self.view.heat() is not None)
        self.heat_row.setEnabled(self.view.heat() is not None or self._page is not None)

    @Slot()
    def _place(self) -> None:
        """Put the read-out under the image where there is room, else along the lower edge of the canvas."""
        image = self.view.image_rect()
        room = self.view.rect()
        self._legend.setVisible(self._artefacts_wanted and not image.isEmpty())
        self._legend.move(12, 12)
        if image.isEmpty():
            self._readout.hide()
            return
        self._cells.adjustSize()
        self._readout.adjustSize()
        height = max(self._readout.height(), self._cells.height())
        y = round(min(image.bottom() + 10, room.bottom() - height - 9))
        left = round(min(max(image.left(), 16), max(16, room.right() - 16 - self._readout.width())))
        self._readout.move(left, y)
        right = round(max(min(image.right(), room.right() - 16), left))
        cells_left = right - self._cells.width()
        on_image = y < image.bottom()
        taken = self._readout.geometry().right() + 12 if self._readout.isVisible() else 16
        self._cells.move(cells_left, y + (height - self._cells.height()) // 2)
        # Over the image its grey would not be readable, and it must not meet the read-out.
        self._cells.setVisible(self.view.heat() is not None and not on_image and cells_left >= taken)
