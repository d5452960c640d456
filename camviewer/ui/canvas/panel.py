"""The centre of the window: tools and view above, the canvas, colour bar and opacity below."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.project.records import ActivationMap
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.records import Region, Tool, ViewMode


class CanvasPanel(QWidget):
    """Tool row, canvas and heat map row. It shows records and emits edits; it never writes the project.

    Signals:
        box_drawn: `BoxDrawn`.
        box_changed: `BoxChanged`.
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

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show upright RGB `pixels` ``[H, W, 3]``, or nothing.

        The view (zoom and centre) of each `name` is remembered. Map and regions of the image before are removed.
        """

    def set_map(self, shown: ActivationMap | None, *, class_name: str = "", score: float | None = None) -> None:
        """Show the heat map of one class; `score` is its probability, for the read-out."""

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` and select the one with the key `selected`, without emitting."""

    def set_selected(self, key: Hashable | None) -> None:
        """Select a region without emitting."""

    def set_rule(self, rule: RegionRule) -> None:
        """Set the rule of the live outline; answers with `threshold_found` in the same frame."""

    def set_live_visible(self, visible: bool) -> None:
        """Show or hide the live threshold outline."""

    def set_mode(self, mode: ViewMode) -> None:
        """Choose original, heat map, blend or swipe."""

    def set_tool(self, tool: Tool) -> None:
        """Choose the select or the box tool."""

    def set_colour_map(self, name: str) -> None:
        """Choose viridis, cividis, magma or jet."""

    def set_opacity(self, opacity: float) -> None:
        """Set the heat map's opacity, 0..1."""

    def set_overlays_hidden(self, hidden: bool) -> None:
        """Hide heat map and regions while a key is held (H)."""

    def set_regions_visible(self, visible: bool) -> None:
        """Show or hide all regions (T)."""

    def set_fill(self, opacity: float) -> None:
        """Fill masks with this opacity, 0..1; outlines stay as they are."""

    def set_message(self, title: str, text: str = "") -> None:
        """Show two lines in the middle of an empty canvas ("ISIC_1.jpg cannot be read.", "The file is cut short.")."""

    def fit(self) -> None:
        """Show the whole image (F)."""

    def zoom_to(self, zoom: float) -> None:
        """Zoom about the centre of the view; 1.0 is one screen pixel per image pixel (Ctrl+0)."""

    def zoom_by(self, factor: float) -> None:
        """Zoom in or out about the centre of the view."""
