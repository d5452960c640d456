"""Model: the network and its layer tree."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.workers.jobs import ModelSummary


class ModelPanel(QWidget):
    """`layers_chosen` carries the ticked layers' names in tree order; `open_requested` asks for another model."""

    layers_chosen = Signal(object)
    open_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def set_summary(self, summary: ModelSummary | None) -> None:
        """Show a network, its suggested layer ticked; None shows how to open one."""

    def set_check(self, error: float | None) -> None:
        """Show the result of the identity ``mean(M) + b = S``: its largest error, or None where it is not defined."""

    def set_busy(self, text: str) -> None:
        """Show that a network is being loaded ("Reading ham7.pt"); empty ends it."""

    def set_chosen(self, names: Sequence[str]) -> None:
        """Tick these layers without emitting."""

    def chosen(self) -> tuple[str, ...]:
        """Return the ticked layers' names in tree order."""
        return ()
