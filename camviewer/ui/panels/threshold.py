"""Threshold: the rule that turns the map into regions."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.project.records import ActivationMap
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.records import LiveThreshold


class ThresholdPanel(QWidget):
    """`rule_changed` comes at every step of the slider, `rule_committed` when it comes to rest; both a `RegionRule`."""

    rule_changed = Signal(object)
    rule_committed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def rule(self) -> RegionRule:
        """Return the rule as set."""
        return RegionRule()

    def set_rule(self, rule: RegionRule) -> None:
        """Show `rule` without emitting."""

    def set_map(self, shown: ActivationMap | None) -> None:
        """Draw the histogram of the map, upsampled to the image."""

    def set_live(self, live: LiveThreshold | None) -> None:
        """Show the four figures: value, area, regions, stability."""
