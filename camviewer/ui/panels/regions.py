"""Regions: the boxes and masks of the image as a table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.images.geometry import Size
from camviewer.ui.canvas.records import Region


class RegionsPanel(QWidget):
    """Signals carry the region's key; `region_shown` (key, bool) is its eye, `regions_shown` the eye of all."""

    region_selected = Signal(object)
    region_deleted = Signal(object)
    region_shown = Signal(object, bool)
    regions_shown = Signal(bool)
    box_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def set_regions(self, regions: Sequence[Region], size: Size, *, selected: Hashable | None = None) -> None:
        """Show `regions` of an image of `size` (width, height), without emitting."""

    def set_selected(self, key: Hashable | None) -> None:
        """Select a row without emitting."""
