"""Forms from typed parameters: one row a parameter, checked as the command line checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QLocale, Signal, Slot
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from camviewer.catalogue.parameters import Parameter, Value
from camviewer.errors import UsageError
from camviewer.ui.choices import Switch
from camviewer.ui.controls import label, name_control
from camviewer.ui.theme import set_property, theme

_LABEL_WIDTH = 96


def form_grid() -> QGridLayout:
    """Return the two-column grid that all rows of a panel's form share."""
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(8)
    grid.setColumnMinimumWidth(0, theme().px(_LABEL_WIDTH))
    grid.setColumnStretch(1, 1)
    return grid


class ParameterForm(QWidget):
    """Fields for `Parameter`s. A value out of range is marked, says what is allowed, and is never reported.

    Signals:
        changed: a value differs from before; only valid values count.
        validity_changed: whether every field holds a valid value.

    Args:
        columns: fields beside each other.
    """

    changed = Signal()
    validity_changed = Signal(bool)

    def __init__(self, *, columns: int = 1) -> None:
        super().__init__()
        self._columns = columns
        self._parameters: tuple[Parameter, ...] = ()
        self._values: dict[str, Value] = {}
        self._fields: dict[str, QWidget] = {}
        self._errors: dict[str, QLabel] = {}
        self._grid = form_grid()
        for column in range(1, columns):
            self._grid.setColumnStretch(2 * column + 1, 1)
        self.setLayout(self._grid)

    def set_parameters(self, parameters: Sequence[Parameter], values: Mapping[str, Value]) -> None:
        """Show a field for each parameter; a missing value is the default. Does not emit."""
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._parameters = tuple(parameters)
        self._values = {p.name: values.get(p.name, p.default) for p in parameters}
        self._fields, self._errors = {}, {}
        for number, parameter in enumerate(parameters):
            row, column = number // self._columns, 2 * (number % self._columns)
            field = self._field(parameter)
            name_control(field, parameter.title, tip=parameter.help)
            unit = f", {parameter.unit}" if parameter.unit else ""
            caption = label(parameter.title + unit, "body", "text-2")
            caption.setBuddy(field)
            caption.setToolTip(parameter.help)
            error = label("", "caption", "bad")
            error.setWordWrap(True)
            error.hide()
            self._grid.addWidget(caption, 2 * row, column)
            self._grid.addWidget(field, 2 * row, column + 1)
            self._grid.addWidget(error, 2 * row + 1, column + 1)
            self._fields[parameter.name], self._errors[parameter.name] = field, error
        self.setVisible(bool(parameters))

    def values(self) -> dict[str, Value]:
        """Return the last valid value of every parameter."""
        return dict(self._values)

    def is_valid(self) -> bool:
        """Return whether every field holds a valid value."""
        return all(not error.text() for error in self._errors.values())

    def _field(self, parameter: Parameter) -> QWidget:
        value = self._values[parameter.name]
        if parameter.kind == "bool":
            switch = Switch(parameter.title)
            switch.setChecked(bool(value))
            switch.setObjectName(parameter.name)
            switch.toggled.connect(self._on_edited)
            return switch
        if parameter.kind == "choice":
            box = QComboBox()
            for choice in parameter.choices:
                box.addItem(parameter.title_of(choice), choice)
            box.setCurrentIndex(max(0, box.findData(str(value))))
            box.setObjectName(parameter.name)
            box.currentIndexChanged.connect(self._on_edited)
            return box
        line = QLineEdit(f"{value:g}" if isinstance(value, float) else str(value))
        line.setLocale(QLocale.c())
        line.setPlaceholderText(f"{parameter.default:g}" if isinstance(parameter.default, float) else "")
        line.setObjectName(parameter.name)
        line.textEdited.connect(self._on_edited)
        return line

    @Slot()
    def _on_edited(self) -> None:
        """Read all fields; the valid ones count at once."""
        before, was_valid = dict(self._values), self.is_valid()
        for parameter in self._parameters:
            field = self._fields[parameter.name]
            try:
                self._values[parameter.name] = parameter.parse(_text_of(field))
                message = ""
            except UsageError as error:
                message = error.message
            self._errors[parameter.name].setText(message)
            self._errors[parameter.name].setVisible(bool(message))
            set_property(field, "invalid", bool(message))
        if self._values != before:
            self.changed.emit()
        if self.is_valid() != was_valid:
            self.validity_changed.emit(not was_valid)


def _text_of(field: QWidget) -> Value:
    if isinstance(field, Switch):
        return field.isChecked()
    if isinstance(field, QComboBox):
        return str(field.currentData())
    assert isinstance(field, QLineEdit)
    return field.text().strip().replace(",", ".")
