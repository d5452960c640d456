"""New classes: label a few images, see at once what the network makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from camviewer.ui.choices import Chip, SegmentedControl, Switch
from camviewer.ui.controls import Button, IconButton, label, name_control
from camviewer.ui.panels.flow import FlowLayout
from camviewer.ui.sections import Section
from camviewer.workers.few_labels import BACKGROUND


class _NameField(QLineEdit):
    """A field that keeps Enter for itself, which is a key of the window."""

    def event(self, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        ):
            event.accept()
            return True
        return super().event(event)


class FewLabelsPanel(Section):
    """The classes as chips: pressing one labels the image on the canvas, or chooses what the next points are.

    Signals:
        class_added: name of a new class.
        class_pressed: name of the class whose chip was pressed.
        points_wanted: whether points are labelled in place of whole images.
        border_changed: whether the border of the images feeds the background.
        next_wanted: show the image that the network is least sure of.
        save_wanted: write the network with its new classes.
        closed: put the panel away.
    """

    class_added = Signal(str)
    class_pressed = Signal(str)
    points_wanted = Signal(bool)
    border_changed = Signal(bool)
    next_wanted = Signal()
    save_wanted = Signal()
    closed = Signal()

    def __init__(self) -> None:
        close = IconButton("close", "Close new classes", tip="Put this panel away; labels are kept")
        super().__init__("New classes", "few_labels", actions=(close,))
        close.clicked.connect(self.closed)
        self._state = label("", "body", "text-2")
        self._state.setWordWrap(True)
        self._mode = SegmentedControl(
            [("image", "Whole image"), ("point", "Points")],
            "What a label is for",
            tips=["A class names what the image shows", "A class names what a point shows: press it, then the image"],
        )
        self._chips: dict[str, Chip] = {}
        self._holder = QWidget()
        self._flow = FlowLayout(self._holder)
        self._name = _NameField()
        self._name.setPlaceholderText("Name of a new class")
        self._name.setMaxLength(80)
        name_control(self._name, "Name of a new class", tip="Enter adds the class and labels this image with it")
        self._add = Button("Add", tip="Add the class and label this image with it")
        self._add.setEnabled(False)
        adding = QHBoxLayout()
        adding.setSpacing(8)
        adding.addWidget(self._name, 1)
        adding.addWidget(self._add)
        self._border = Switch(
            "Border is background", tip="The border of the images shows no object; without it, label points of it"
        )
        self._border.setChecked(True)
        border = QHBoxLayout()
        border.setSpacing(8)
        border.addWidget(label("Border is background", "body", "text-2"), 1)
        border.addWidget(self._border)
        self._figures = label("", "body", "text-2")
        self._figures.setWordWrap(True)
        self._next = Button("Least sure image", tip="Show the image without a label that the network is least sure of")
        self._save = Button("Save as model…", tip="Write the network with its new classes as a checkpoint")
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self._next, self._save):
            row.addWidget(button, 1)
        self.add(self._state)
        self.add(self._mode)
        self.add(self._holder)
        self.add(adding)
        self.add(border)
        self.add(self._figures)
        self.add(row)
        self._mode.chosen.connect(self._on_mode)
        self._name.textChanged.connect(self._on_name)
        self._name.returnPressed.connect(self._on_add)
        self._add.clicked.connect(self._on_add)
        self._border.toggled.connect(self.border_changed)
        self._next.clicked.connect(self.next_wanted)
        self._save.clicked.connect(self.save_wanted)
        self.show_classes({}, current="")
        self.show_result(None, "", fitted=False)

    def focus_name(self) -> None:
        """Put the cursor where a class is named."""
        self._name.setFocus()

    def show_state(self, words: str) -> None:
        """Say what is going on, or what is to be done; empty for nothing."""
        self._state.setText(words)
        self._state.setVisible(bool(words))

    def show_classes(self, counts: Mapping[str, int], *, current: str) -> None:
        """Show a chip for each class.

        Args:
            counts: labels of each class, in the order they came.
            current: class of the image on the canvas, or of the next points; empty for none.
        """
        names = [*(name for name in counts if name != BACKGROUND), BACKGROUND]
        if list(self._chips) != names:
            while self._flow.count():
                item = self._flow.takeAt(0)
                widget = item.widget() if item is not None else None
                if widget is not None:
                    widget.hide()
                    widget.deleteLater()
            self._chips = {}
            for name in names:
                tip = "What is no object: skin, table, sky" if name == BACKGROUND else f"This is {name}"
                chip = Chip(name, count=0, tip=tip)
                chip.clicked.connect(self._on_chip)
                chip.setProperty("class_name", name)
                self._chips[name] = chip
                self._flow.addWidget(chip)
        for name, chip in self._chips.items():
            chip.set_count(counts.get(name, 0))
            chip.setChecked(name == current)
        total = sum(counts.values())
        self.set_qualifier("" if not total else "1 label" if total == 1 else f"{total:,} labels")

    def show_result(self, accuracy: float | None, words: str, *, fitted: bool) -> None:
        """Show how good the classes are."""
        quality = "" if accuracy is None else f"Balanced accuracy {accuracy:.2f}, estimated by leaving labels out. "
        self._figures.setText(quality + words)
        self._figures.setVisible(bool(quality + words))
        self._next.setEnabled(fitted)
        self._save.setEnabled(fitted)

    def points(self) -> bool:
        """Return whether points are labelled."""
        return self._mode.value() == "point"

    def border(self) -> bool:
        """Return whether the border feeds the background."""
        return self._border.isChecked()

    @Slot(str)
    def _on_mode(self, value: str) -> None:
        self.points_wanted.emit(value == "point")

    @Slot(str)
    def _on_name(self, text: str) -> None:
        self._add.setEnabled(bool(text.strip()))

    @Slot()
    def _on_add(self) -> None:
        name = " ".join(self._name.text().split())
        if name:
            self._name.clear()
            self.class_added.emit(name)

    @Slot()
    def _on_chip(self) -> None:
        chip = self.sender()
        if isinstance(chip, Chip):
            self.class_pressed.emit(chip.property("class_name"))
