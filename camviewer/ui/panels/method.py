"""Method: which map is computed, as a form built from the method's typed parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.catalogue.parameters import Value
from camviewer.ui.choices import Switch
from camviewer.ui.controls import IconButton, label, name_control
from camviewer.ui.panels.fields import ParameterForm, form_grid
from camviewer.ui.sections import Section


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method of the catalogue, values of its parameters, and whether measured cell positions are used."""

    method: str = "cam"
    parameters: dict[str, Value] = field(default_factory=dict)
    offset: bool = True


class MethodPanel(Section):
    """The method, its parameters and how long it took.

    Signals:
        choice_changed: `MethodChoice`.
        recompute_requested: the same map is wanted again.
    """

    choice_changed = Signal(object)
    recompute_requested = Signal()

    def __init__(self) -> None:
        super().__init__("Method", "method")
        self._kept: dict[str, dict[str, Value]] = {}
        self._method = QComboBox()
        self._method.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        name_control(self._method, "Method", tip="Method", key="M for the next one")
        self._again = IconButton("refresh", "Compute again", key="I")
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._method, 1)
        top.addWidget(self._again)
        self._form = ParameterForm()
        self._offset = Switch("Cell offset", tip="Place cells where the layers' kernels and paddings put them")
        self._offset.setChecked(True)
        caption = label("Cell offset", "body", "text-2")
        caption.setBuddy(self._offset)
        grid = form_grid()
        grid.addWidget(caption, 0, 0)
        grid.addWidget(self._offset, 0, 1, Qt.AlignmentFlag.AlignRight)
        self._note = label("", "caption", "warn")
        self._note.setWordWrap(True)
        self._note.hide()
        self.add(top)
        self.add(self._form)
        self.add(grid)
        self.add(self._note)
        self.set_methods([spec.name for spec in METHODS])
        self._method.currentIndexChanged.connect(self._on_method)
        self._form.changed.connect(self._emit)
        self._offset.toggled.connect(self._emit)
        self._again.clicked.connect(self.recompute_requested)

    def choice(self) -> MethodChoice:
        """Return what is chosen."""
        return MethodChoice(str(self._method.currentData()), self._form.values(), self._offset.isChecked())

    def set_choice(self, choice: MethodChoice) -> None:
        """Show `choice` without emitting."""
        self._kept[choice.method] = dict(choice.parameters)
        for part in (self._method, self._offset):
            part.blockSignals(True)
        self._method.setCurrentIndex(max(0, self._method.findData(choice.method)))
        self._offset.setChecked(choice.offset)
        for part in (self._method, self._offset):
            part.blockSignals(False)
        self._show_form()

    def set_methods(self, names: Sequence[str]) -> None:
        """Offer these methods of the catalogue (all by default)."""
        chosen = self._method.currentData()
        self._method.blockSignals(True)
        self._method.clear()
        for name in names:
            spec = BY_NAME[name]
            self._method.addItem(spec.title, name)
            self._method.setItemData(self._method.count() - 1, _tip(name), Qt.ItemDataRole.ToolTipRole)
        self._method.setCurrentIndex(max(0, self._method.findData(chosen)))
        self._method.blockSignals(False)
        self._show_form()

    def set_unavailable(self, reasons: Mapping[str, str]) -> None:
        """Disable methods, each with the reason that its tooltip shows."""
        model = self._method.model()
        assert isinstance(model, QStandardItemModel)
        for row in range(self._method.count()):
            name = str(self._method.itemData(row))
            item = model.item(row)
            item.setEnabled(name not in reasons)
            item.setToolTip(reasons.get(name) or _tip(name))

    def next_method(self) -> None:
        """Choose the next method that can be used (M)."""
        model = self._method.model()
        assert isinstance(model, QStandardItemModel)
        for step in range(1, self._method.count() + 1):
            row = (self._method.currentIndex() + step) % self._method.count()
            if model.item(row).isEnabled():
                self._method.setCurrentIndex(row)
                return

    def set_result(self, seconds: float | None, precision: str = "exact", flags: Sequence[str] = ()) -> None:
        """Show time and precision of the map on screen ("0.12 s, exact") and its flags; None clears."""
        self.set_qualifier("" if seconds is None else f"{_duration(seconds)}, {precision}")
        self._note.setText(", ".join(flags).capitalize())
        self._note.setVisible(bool(flags))

    def set_busy(self, text: str) -> None:
        """Show that a map is being computed ("Partial map, 212 of 498 channels"); empty ends it."""
        if text:
            self.set_qualifier(text)
        elif self.qualifier() and not self.qualifier()[0].isdigit():
            self.set_qualifier("")

    def _show_form(self) -> None:
        name = self._method.currentData()
        if name is None:
            return
        spec = BY_NAME[str(name)]
        self._method.setToolTip(f"{_tip(spec.name)}\nNext method  (M)")
        self._form.set_parameters(spec.parameters, self._kept.get(spec.name, {}))

    @Slot()
    def _on_method(self) -> None:
        self._show_form()
        self._emit()

    @Slot()
    def _emit(self) -> None:
        choice = self.choice()
        self._kept[choice.method] = dict(choice.parameters)
        self.choice_changed.emit(choice)


def _tip(name: str) -> str:
    spec = BY_NAME[name]
    return f"{spec.shows}\n{spec.formula}\n{spec.paper}"


def _duration(seconds: float) -> str:
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
