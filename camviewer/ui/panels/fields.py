"""Forms from typed parameters: one row a parameter, checked as the command line checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QLocale, Signal, Slot
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QWidget

from camviewer.catalogue.parameters import Parameter, Value
from camviewer.errors import UsageError
from camviewer.ui.choices import Switch
from camviewer.ui.controls import label, name_control
from camviewer.ui.theme import set_property, set_role, theme

LABEL_WIDTH = 96
_SPAN = 3  # columns of the grid for a field beside its caption: caption, field, gap to the next one


def form_grid(label_width: int = LABEL_WIDTH) -> QGridLayout:
    """Return the two-column grid that all rows of a panel's form share."""
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(8)
    grid.setColumnMinimumWidth(0, theme().px(label_width))
    grid.setColumnStretch(1, 1)
    return grid


def wide_grid(columns: int) -> QGridLayout:
    """Return the grid of a dialog's fields, equally wide, with captions above them."""
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(4)
    for column in range(columns):
        grid.setColumnStretch(column, 1)
        grid.setColumnMinimumWidth(column, theme().px(LABEL_WIDTH))
    return grid


def add_below(grid: QGridLayout, number: int, caption: QWidget | None, field: QWidget) -> None:
    """Put a field into its place in a `wide_grid`, under its caption, with room to the next row."""
    row, column = divmod(number, grid.columnCount())
    if caption is not None:
        grid.addWidget(caption, 3 * row, column)
    grid.addWidget(field, 3 * row + 1, column)
    grid.setRowMinimumHeight(3 * row + 2, 4)


class ParameterForm(QWidget):
    """Fields for `Parameter`s. A value out of range is marked, says what is allowed, and is never reported.

    Signals:
        changed: a value differs from before; only valid values count.
        validity_changed: whether every field holds a valid value.

    Args:
        columns: fields beside each other.
        above: captions stand above their fields, and behind switches, as in a dialog; else before them.
        label_width: least width of captions before their fields, by which several forms line up.
    """

    changed = Signal()
    validity_changed = Signal(bool)

    def __init__(self, *, columns: int = 1, above: bool = False, label_width: int = LABEL_WIDTH) -> None:
        super().__init__()
        self._columns, self._above = columns, above
        self._parameters: tuple[Parameter, ...] = ()
        self._values: dict[str, Value] = {}
        self._fields: dict[str, QWidget] = {}
        self._errors: dict[str, QLabel] = {}
        self._grid = wide_grid(columns) if above else form_grid(label_width)
        for column in range(1, 1 if above else columns):
            self._grid.setColumnMinimumWidth(_SPAN * column - 1, 4)
            self._grid.setColumnMinimumWidth(_SPAN * column, theme().px(label_width))
            self._grid.setColumnStretch(_SPAN * column + 1, 1)
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
            field = self._field(parameter)
            name_control(field, parameter.title, tip=parameter.help)
            unit = f", {parameter.unit}" if parameter.unit else ""
            caption = label(parameter.title + unit, "body", "text-2")
            caption.setBuddy(field)
            caption.setToolTip(parameter.help)
            error = label("", "caption", "bad")
            error.setWordWrap(True)
            error.hide()
            self._place(number, caption, field, error)
            self._fields[parameter.name], self._errors[parameter.name] = field, error
        self.setVisible(bool(parameters))

    def _place(self, number: int, caption: QLabel, field: QWidget, error: QLabel) -> None:
        row, column = divmod(number, self._columns)
        if not self._above:
            self._grid.addWidget(caption, 2 * row, _SPAN * column)
            self._grid.addWidget(field, 2 * row, _SPAN * column + 1)
            self._grid.addWidget(error, 2 * row + 1, _SPAN * column + 1)
            return
        if isinstance(field, Switch):
            line = QWidget()
            inside = QHBoxLayout(line)
            inside.setContentsMargins(0, 0, 0, 0)
            inside.setSpacing(8)
            inside.addWidget(field)
            inside.addWidget(caption, 1)
            add_below(self._grid, number, None, line)
        else:
            set_role(caption, "caption", "text-2")
            add_below(self._grid, number, caption, field)
        self._grid.addWidget(error, 3 * row + 2, column)

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
        line = QLineEdit(
            "" if parameter.zero and not value else f"{value:g}" if isinstance(value, float) else str(value)
        )
        line.setLocale(QLocale.c())
        default = f"{parameter.default:g}" if isinstance(parameter.default, float) else ""
        line.setPlaceholderText(parameter.zero or default)
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
                text = _text_of(field)
                self._values[parameter.name] = parameter.parse(0 if parameter.zero and text == "" else text)
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
