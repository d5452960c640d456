"""Image: what is known about the file, flags and a note."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from camviewer.images.geometry import Size
from camviewer.ui.choices import Chip
from camviewer.ui.controls import Button, ElidedLabel, label
from camviewer.ui.panels.flow import FlowLayout
from camviewer.ui.panels.lesion import LesionStrip
from camviewer.ui.sections import EmptyState, Section


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the panel shows of one image.

    Attributes:
        name: file name.
        size: upright (width, height).
        format: for example ``JPEG``.
        file_size: bytes.
        label: known diagnosis or folder label, empty if none.
        metadata: further pairs in order, for example ``("Age", "80")``.
        flags: set flags.
        note: free text.
    """

    name: str
    size: Size
    format: str = ""
    file_size: int = 0
    label: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    note: str = ""


FLAGS: tuple[tuple[str, str], ...] = (
    ("hair", "Hair"),
    ("ruler", "Ruler"),
    ("vignette", "Dark corner"),
    ("ink", "Ink"),
    ("sticker", "Sticker"),
    ("gel", "Gel"),
    ("out of focus", "Out of focus"),
    ("poor map", "Poor map"),
)
"""Flags by the name that files carry, and as shown."""


class ImagePanel(Section):
    """What is known about the image.

    Signals:
        note_changed: the text, at every key, so that no note is lost and none reaches another image.
        flags_changed: tuple of flag names.
    """

    note_changed = Signal(str)
    flags_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__("Image", "image")
        self._facts: ImageFacts | None = None
        self._head = ElidedLabel("", "name")
        self._data = label("", "body", "text-2")
        self._data.setWordWrap(True)
        self._file = label("", "caption", "text-3")
        self._file.setWordWrap(True)
        self._chips: dict[str, Chip] = {}
        self._flags = QWidget()
        flow = FlowLayout(self._flags, spacing=6)
        for name, title in FLAGS:
            chip = Chip(title, tip=f"Flag: {title.lower()}")
            chip.toggled.connect(self._on_flags)
            self._chips[name] = chip
            flow.addWidget(chip)
        self._suggested: tuple[str, ...] = ()
        self._suggestion = QWidget()
        self._found = ElidedLabel("", "caption", "text-2")
        self._set = Button("Set", "link", tip="Set the flags that were found in the image")
        self._set.clicked.connect(self._on_set)
        row = QHBoxLayout(self._suggestion)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._found, 1)
        row.addWidget(self._set)
        self._note = QLineEdit()
        self._note.setPlaceholderText("Add a note")
        self._note.setAccessibleName("Note")
        self._note.setToolTip("Note")
        self._note.textEdited.connect(self._on_note)
        self.lesion = LesionStrip()
        self._empty = EmptyState("image", "No image", "Open a folder or drop images here.")
        for part in (
            self._head,
            self._data,
            self._file,
            self.lesion,
            self._suggestion,
            self._flags,
            self._note,
            self._empty,
        ):
            self.add(part)
        self.set_image(None)

    def set_image(self, facts: ImageFacts | None) -> None:
        """Show `facts`, or an empty section, without emitting."""
        self._facts = facts
        for part in (self._head, self._data, self._file, self._flags, self._note):
            part.setVisible(facts is not None)
        self._empty.setVisible(facts is None)
        if facts is None:
            self._show_suggestion()
            return
        self._head.set_full_text(facts.label or facts.name)
        pairs = ", ".join(value if key.lower() in _PLAIN else f"{key} {value}" for key, value in facts.metadata)
        self._data.setText(pairs)
        self._data.setVisible(bool(pairs))
        parts = [f"{facts.size[0]:,} × {facts.size[1]:,}", facts.format, _bytes(facts.file_size)]
        if facts.label:
            parts.insert(0, facts.name)
        self._file.setText("  ·  ".join(part for part in parts if part))
        for name, chip in self._chips.items():
            chip.blockSignals(True)
            chip.setChecked(name in facts.flags)
            chip.blockSignals(False)
        self._show_suggestion()
        if self._note.text() != facts.note:
            self._note.setText(facts.note)

    def set_suggestions(self, flags: tuple[str, ...]) -> None:
        """Suggest flags; those that are set already are not mentioned."""
        self._suggested = flags
        self._show_suggestion()

    def _show_suggestion(self) -> None:
        missing = [title for name, title in FLAGS if name in self._suggested and not self._chips[name].isChecked()]
        self._suggestion.setVisible(self._facts is not None and bool(missing))
        self._found.set_full_text(f"Found: {', '.join(missing).lower()}")

    def flags(self) -> tuple[str, ...]:
        """Return the flags that are set: those shown here in order, then others that the image carries."""
        others = tuple(f for f in self._facts.flags if f not in self._chips) if self._facts is not None else ()
        return (*(name for name, chip in self._chips.items() if chip.isChecked()), *others)

    @Slot()
    def _on_flags(self) -> None:
        self._show_suggestion()
        self.flags_changed.emit(self.flags())

    @Slot()
    def _on_set(self) -> None:
        for name in self._suggested:
            chip = self._chips[name]
            chip.blockSignals(True)
            chip.setChecked(True)
            chip.blockSignals(False)
        self._on_flags()

    @Slot(str)
    def _on_note(self, text: str) -> None:
        if self._facts is not None:
            self._facts = replace(self._facts, note=text)
            self.note_changed.emit(text)


_PLAIN = {"sex", "age", "place", "localization", "site", "diagnosis", "confirmed"}
"""Fields whose values speak for themselves ("Female, 80, lower extremity")."""


def _bytes(size: int) -> str:
    if size <= 0:
        return ""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:.0f} kB"
    return f"{size / 1_000_000:.1f} MB"
