"""Image: what is known about the file, flags and a note."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from camviewer.images.geometry import Size


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
    ("gel", "Gel"),
    ("out of focus", "Out of focus"),
    ("poor map", "Poor map"),
)
"""Flags by the name that files carry, and as shown."""


class ImagePanel(QWidget):
    """`note_changed` carries the text when the field is left; `flags_changed` a tuple of flag names."""

    note_changed = Signal(str)
    flags_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

    def set_image(self, facts: ImageFacts | None) -> None:
        """Show `facts`, or an empty section, without emitting."""
