"""The gallery: the strip of thumbnails, and the row of progress, filters, search and order above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from camviewer.ui.choices import Chip
from camviewer.ui.controls import Button, ElidedLabel, IconButton, bind_action, label, name_control, surface
from camviewer.ui.gallery.items import UNREVIEWED, GalleryItem
from camviewer.ui.gallery.model import MARKS, GalleryModel
from camviewer.ui.gallery.pictures import PictureCache
from camviewer.ui.gallery.query import Query, parse
from camviewer.ui.gallery.search import SearchField
from camviewer.ui.gallery.strip import ThumbnailStrip
from camviewer.ui.gallery.traits import ORDERS
from camviewer.ui.theme import BAR, EDGE, set_property, theme

CHIPS: tuple[tuple[str, str, str, bool], ...] = (
    ("all", "All", "", True),
    ("unreviewed", "Unreviewed", "status:unreviewed", True),
    ("edited", "Edited", "status:edited", False),
    ("reviewed", "Reviewed", "status:reviewed", False),
    ("skipped", "Skipped", "status:skipped", False),
    ("failed", "Failed", "status:failed", False),
    ("wrong", "Wrong", "wrong:yes", False),
    ("stale", "Stale", "stale:yes", False),
)
"""Name, text, search, and whether it is shown where no image passes."""


class Gallery(QWidget):
    """Filters, search and thumbnails.

    Signals:
        image_chosen: id of the image that the user chose.
        selection_changed: how many images are selected; 1 is the one on the canvas.
        blind_changed: whether names, predictions and labels are to be hidden.
    """

    image_chosen = Signal(int)
    selection_changed = Signal(int)
    blind_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        surface(self, "panel")
        self.setAccessibleName("Gallery")
        self.pictures = PictureCache(self)
        self.model = GalleryModel(self.pictures, self)
        self.strip = ThumbnailStrip(self.model, self.pictures)
        self.search = SearchField(self.model.items)
        self._current: int | None = None
        self._queries: dict[str, Query] = {name: parse(text) for name, _, text, _ in CHIPS}
        self._batch_menu = QMenu("Selected images", self)
        self._progress_words = label("0 of 0 reviewed", "section")
        self._progress = QProgressBar()
        self._progress.setFixedWidth(48)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Share reviewed")
        set_property(self._progress, "tint", "ok")
        self._shown = ElidedLabel("", "body", "text-2", mode=Qt.TextElideMode.ElideRight)
        self._order = QComboBox()
        self._order.setFixedWidth(theme().px(140))
        for order in ORDERS:
            self._order.addItem(order.text, order)
        self._order.view().setMinimumWidth(theme().px(180))
        self._order.setMaxVisibleItems(len(ORDERS))
        name_control(self._order, "Order", tip="Order of the images")
        self._blind = IconButton(
            "eye-off", "Blind", tip="Shuffle the images and hide names, predictions and diagnoses", checkable=True
        )
        self._build()
        self._connect()
        self._on_counts()

    def _build(self) -> None:
        self._chips: dict[str, Chip] = {}
        self._group = QButtonGroup(self)
        self._filters = QWidget()
        chips = QHBoxLayout(self._filters)
        chips.setContentsMargins(0, 0, 0, 0)
        chips.setSpacing(6)
        for name, text, _, _ in CHIPS:
            chip = Chip(text, count=0, tip=f"Show {text.lower()} images" if name != "all" else "Show all images")
            chip.setProperty("filter", name)
            self._group.addButton(chip)
            self._chips[name] = chip
            chips.addWidget(chip)
        self._chips["all"].setChecked(True)
        chips.addStretch(1)
        self._batch = QWidget()
        self._batch_row = QHBoxLayout(self._batch)
        self._batch_row.setContentsMargins(0, 0, 0, 0)
        self._batch_row.setSpacing(4)
        self._batch_words = label("", "section", "accent-text")
        self._batch_row.addWidget(self._batch_words)
        self._left = QStackedWidget()
        self._left.addWidget(self._filters)
        self._left.addWidget(self._batch)
        bar = QHBoxLayout()
        bar.setContentsMargins(EDGE, 4, EDGE, 0)
        bar.setSpacing(10)
        bar.addWidget(self._progress_words)
        bar.addWidget(self._progress)
        bar.addWidget(self._left, 1)
        bar.addWidget(self._shown)
        for widget in (self.search, self._order, self._blind):
            bar.addWidget(widget)
        self._bar_row = bar
        self.bar = QWidget()
        self.bar.setLayout(bar)
        self.bar.setFixedHeight(theme().px(BAR))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        body = QHBoxLayout()
        body.setContentsMargins(EDGE - 6, 0, EDGE - 6, 0)
        body.addWidget(self.strip)
        layout.addLayout(body)

    def _connect(self) -> None:
        self._group.buttonClicked.connect(self._on_filter)
        self._order.currentIndexChanged.connect(self._on_order)
        self._blind.toggled.connect(self.blind_changed)
        self.search.search_changed.connect(self._on_search)
        self.search.textChanged.connect(self._fit)
        self.search.problem_changed.connect(self._on_problem)
        self.model.counts_changed.connect(self._on_counts)
        self.model.modelReset.connect(self._reselect)
        selection = self.strip.selectionModel()
        selection.currentChanged.connect(self._on_current)
        selection.selectionChanged.connect(self._on_selected)
        self.strip.context_wanted.connect(self._show_menu)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def set_current(self, image_id: int | None) -> None:
        """Mark the image that is on the canvas and bring it into view, without emitting."""
        self._current = image_id
        self._reselect()

    def set_batch_actions(self, actions: Sequence[QAction]) -> None:
        """Say what can be done with several selected images; buttons above them and their menu offer it."""
        for action in actions:
            button = Button(action.text().removesuffix(" selected"), "flat", tip=action.toolTip())
            bind_action(button, action)
            self._batch_row.addWidget(button)
            self._batch_menu.addAction(action)
        clear = IconButton("close", "Clear the selection")
        clear.clicked.connect(self.clear_selection)
        self._batch_row.addWidget(clear)
        self._batch_row.addStretch(1)

    def set_blind(self, blind: bool) -> None:
        """Hide names, predictions and labels, or show them, without emitting."""
        self._blind.blockSignals(True)
        self._blind.setChecked(blind)
        self._blind.blockSignals(False)
        self.search.blind = blind
        self.search.clear()
        self.model.set_blind(blind)
        self._order.setEnabled(not blind)
        self._on_counts()

    def set_folded(self, folded: bool) -> None:
        """Hide the thumbnails; the row above stays."""
        self.strip.setVisible(not folded)

    def focus_search(self) -> None:
        """Put the cursor into the search field."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def show_filter(self, name: str) -> None:
        """Choose a filter chip by its name."""
        self._chips[name].setChecked(True)
        self._on_filter(self._chips[name])

    def neighbour(self, direction: int, *, wanted: Callable[[GalleryItem], bool]) -> int | None:
        """Return the id of the next wanted image in the shown order."""
        return self.model.step(self._current, direction, wanted=wanted)

    def selected(self) -> list[int]:
        """Return the ids of the selected images, in the shown order."""
        rows = sorted(index.row() for index in self.strip.selectionModel().selectedIndexes())
        return [item.id for row in rows if (item := self.model.item_at(row)) is not None]

    @Slot()
    def clear_selection(self) -> None:
        """Select the image on the canvas alone."""
        self.strip.selectionModel().clearSelection()
        self._reselect()

    @Slot()
    def _reselect(self) -> None:
        selection = self.strip.selectionModel()
        row = self.model.row_of(self._current) if self._current is not None else None
        selection.blockSignals(True)
        if row is None:
            selection.clear()
        else:
            index = self.model.index(row)
            several = len(selection.selectedIndexes()) > 1 and selection.isSelected(index)
            flag = QItemSelectionModel.SelectionFlag.NoUpdate if several else _ONLY
            selection.setCurrentIndex(index, flag)
            self.strip.show_row(row)
        selection.blockSignals(False)
        self.strip.viewport().update()
        self._on_selected()

    # --- answers ------------------------------------------------------------------------------------------------------

    @Slot(QModelIndex, QModelIndex)
    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        item = self.model.item_at(index.row()) if index.isValid() else None
        if item is not None and item.id != self._current:
            self._current = item.id
            self.image_chosen.emit(item.id)

    @Slot()
    def _on_selected(self) -> None:
        count = len(self.strip.selectionModel().selectedIndexes())
        several = count > 1
        self._batch_words.setText(f"{count:,} selected")
        if several != (self._left.currentWidget() is self._batch):
            self._left.setCurrentWidget(self._batch if several else self._filters)
            self._fit()
        self.selection_changed.emit(count)

    @Slot(QPoint)
    def _show_menu(self, position: QPoint) -> None:
        self._batch_menu.popup(position)

    @Slot()
    def _on_counts(self) -> None:
        counts = self.model.counts()
        total = self.model.total()
        reviewed = counts["reviewed"]
        self._progress_words.setText(f"{reviewed:,} of {total:,} reviewed")
        self._progress.setRange(0, max(1, total))
        self._progress.setValue(reviewed)
        for name, _, _, always in CHIPS:
            if name == "all":
                number = total
            elif name == "unreviewed":
                number = sum(counts[status] for status in UNREVIEWED)
            elif name in MARKS:
                number = self.model.marked(name) if not (name == "wrong" and self.model.blind) else 0
            else:
                number = counts[name]  # type: ignore[index]
            chip = self._chips[name]
            chip.set_count(number)
            chip.setVisible(always or number > 0 or chip.isChecked())
        shown = self.model.rowCount()
        if not self.search.accessibleDescription():
            self._shown.set_full_text("" if shown == total else f"{shown:,} shown")
        self._fit()

    @Slot(str)
    def _on_search(self, text: str) -> None:
        self.model.set_search(text)

    @Slot(str)
    def _on_problem(self, sentence: str) -> None:
        set_property(self._shown, "tint", "bad" if sentence else "text-2")
        self._shown.set_full_text(sentence)
        self._on_counts()

    @Slot(object)
    def _on_filter(self, chip: Chip) -> None:
        self.model.set_filter(self._queries[chip.property("filter")])

    @Slot(int)
    def _on_order(self, index: int) -> None:
        self.model.set_order(self._order.itemData(index))

    # --- room ---------------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @Slot()
    def _fit(self) -> None:
        """Give up, where the row is narrow, first the bar, then the number of shown images, then the chips' counts.

        What is searched for is read in full, if need be at the price of all of these.
        """
        self.search.set_roomy(bool(self.search.text()))
        problem = bool(self.search.accessibleDescription())
        self._progress.show()
        self._shown.setVisible(bool(self._shown.full_text()))
        for chip in self._chips.values():
            chip.set_compact(False)
        parts = [self._progress, *([] if problem else [self._shown]), *self._chips.values()]
        for part in parts:
            self._filters.layout().invalidate()  # type: ignore[union-attr]
            self._bar_row.invalidate()
            if self._bar_row.minimumSize().width() <= self.width():
                return
            if isinstance(part, Chip):
                part.set_compact(not part.isChecked())
            else:
                part.hide()
        self.search.set_roomy(False)


_ONLY = QItemSelectionModel.SelectionFlag.ClearAndSelect
