"""What stands in the centre of the window: the canvas, or a page that takes its place for a while."""

from __future__ import annotations

from typing import Protocol, cast

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QWidget

from camviewer.ui.canvas.panel import CanvasPanel


class Page(Protocol):
    """What a widget answers to that may stand in the place of the canvas."""

    def set_active(self, active: bool) -> None:
        """Show and compute, or rest."""

    def fit(self) -> None:
        """Show everything (F)."""


class Stage(QObject):
    """Shows one page at a time; showing another one, or leaving, lets the present one rest.

    Signals:
        changed: the page that is shown now, or None for the canvas.
    """

    changed = Signal(object)

    def __init__(self, canvas: CanvasPanel) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.page: QWidget | None = None

    def show_page(self, page: QWidget | None) -> None:
        """Show a page (a `Page`), or the canvas again with None."""
        if page is self.page:
            return
        before, self.page = self.page, page
        self._canvas.set_page(page)
        if before is not None:
            cast(Page, before).set_active(False)
        if page is not None:
            cast(Page, page).set_active(True)
        self.changed.emit(page)
        self._canvas.setFocus(Qt.FocusReason.OtherFocusReason)

    def toggle(self, page: QWidget) -> None:
        """Show a page, or the canvas where it is shown already."""
        self.show_page(None if self.page is page else page)

    def fit(self) -> None:
        """Show everything there is on the page or the canvas."""
        if self.page is not None:
            cast(Page, self.page).fit()
        else:
            self._canvas.fit()
