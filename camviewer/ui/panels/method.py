"""Method: which map is computed, as a form built from the method's typed parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.catalogue.parameters import Value


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method of the catalogue, values of its parameters, and whether measured cell positions are used."""

    method: str = "cam"
    parameters: dict[str, Value] = field(default_factory=dict)
    offset: bool = True


class MethodPanel(QWidget):
    """`choice_changed` carries a `MethodChoice`; `recompute_requested` asks for the same map again."""

    choice_changed = Signal(object)
    recompute_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def choice(self) -> MethodChoice:
        """Return what is chosen."""
        return MethodChoice()

    def set_choice(self, choice: MethodChoice) -> None:
        """Show `choice` without emitting."""

    def set_methods(self, names: Sequence[str]) -> None:
        """Offer these methods of the catalogue (all by default)."""

    def set_unavailable(self, reasons: Mapping[str, str]) -> None:
        """Disable methods, each with the reason that its tooltip shows."""

    def set_result(self, seconds: float | None, precision: str = "exact", flags: Sequence[str] = ()) -> None:
        """Show time and precision of the map on screen ("0.12 s, exact") and its flags; None clears."""

    def set_busy(self, text: str) -> None:
        """Show that a map is being computed ("Partial map, 212 of 498 channels"); empty ends it."""
