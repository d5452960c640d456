"""The strip of thumbnails, and the row of progress, filters, search and order above it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from camviewer.ui.choices import Chip
from camviewer.ui.controls import label, name_control, surface
from camviewer.ui.gallery.delegate import CELL_HEIGHT, GalleryDelegate
from camviewer.ui.gallery.model import UNREVIEWED, Filter, GalleryItem, GalleryModel, SortKey
from camviewer.ui.gallery.pictures import THUMB, PictureCache
from camviewer.ui.icons import icon
from camviewer.ui.theme import BAR, EDGE, set_property, theme

SORTS: tuple[tuple[SortKey, str], ...] = (
    ("name", "Name"),
    ("surest", "Most confident"),
    ("doubtful", "Least confident"),
)
CHIPS: tuple[tuple[Filter, str], ...] = (
    ("all", "All"),
    ("unreviewed", "Unreviewed"),
    ("edited", "Edited"),
    ("reviewed", "Reviewed"),
    ("skipped", "Skipped"),
    ("failed", "Failed"),
)


class ThumbnailStrip(QListView):
    """One row of thumbnails, spread so that a whole number fits."""

    def __init__(self, model: GalleryModel, pictures: PictureCache) -> None:
        super().__init__()
        self._model = model
        self._pictures = pictures
        self._cells = GalleryDelegate(self)
        self._goal: int | None = None
        self.setModel(model)
        self.setItemDelegate(self._cells)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(200)
        self.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setSpacing(0)
        self.setFixedHeight(CELL_HEIGHT + 12)
        name_control(self, "Images", tip="Images of the project", key="D, A")
        self.setToolTip("")
        self._ask = QTimer(self)
        self._ask.setSingleShot(True)
        self._ask.setInterval(0)
        self._ask.timeout.connect(self._request_visible)
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.setInterval(20)
        self._retry.timeout.connect(self._reach_goal)
        self.horizontalScrollBar().valueChanged.connect(self._schedule)
        model.pictures_wanted.connect(self._schedule)
        model.modelReset.connect(self._schedule)
        self._spread()

    def show_row(self, row: int) -> None:
        """Scroll until a row is visible; waits for the batched layout to get there."""
        self._goal = row
        self._reach_goal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Letters belong to the window's actions, not to the list's search for names.
        if event.text().strip() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # One row scrolls sideways, whichever way the wheel turns.
        delta = event.pixelDelta() if not event.pixelDelta().isNull() else event.angleDelta()
        step = delta.x() if abs(delta.x()) > abs(delta.y()) else delta.y()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - step)
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._spread()
        super().resizeEvent(event)
        self._schedule()

    def _spread(self) -> None:
        width = max(1, self.viewport().width())
        count = max(1, width // (THUMB.width() + 8))
        self._cells.cell_width = width // count
        self.setGridSize(QSize(self._cells.cell_width, CELL_HEIGHT))

    @Slot()
    def _schedule(self) -> None:
        if not self._ask.isActive():
            self._ask.start()

    @Slot()
    def _request_visible(self) -> None:
        cell = max(1, self._cells.cell_width)
        first = self.horizontalScrollBar().value() // cell
        count = self.viewport().width() // cell + 2
        visible = range(first, first + count)
        ahead = range(first + count, first + 2 * count)
        behind = range(first - 1, first - count, -1)
        rows = [*visible, *ahead, *behind]
        paths = [item.path for row in rows if (item := self._model.item_at(row)) is not None]
        self._pictures.request(paths, density=self.devicePixelRatioF())

    @Slot()
    def _reach_goal(self) -> None:
        if self._goal is None or self._goal >= self._model.rowCount():
            self._goal = None
            return
        index = self._model.index(self._goal)
        bar = self.horizontalScrollBar()
        if self.visualRect(index).isEmpty() or bar.maximum() < self._goal * self._cells.cell_width - self.width():
            self._retry.start()
            return
        self.scrollTo(index, QListView.ScrollHint.EnsureVisible)
        self._goal = None


class Gallery(QWidget):
    """Filters, search and thumbnails.

    Signals:
        image_chosen: id of the image that the user chose.
    """

    image_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        surface(self, "panel")
        self.setAccessibleName("Gallery")
        self.pictures = PictureCache(self)
        self.model = GalleryModel(self.pictures, self)
        self.strip = ThumbnailStrip(self.model, self.pictures)
        self._current: int | None = None
        self._progress_words = label("0 of 0 reviewed", "section")
        self._progress = QProgressBar()
        self._progress.setFixedWidth(48)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Share reviewed")
        set_property(self._progress, "tint", "ok")
        self._chips: dict[Filter, Chip] = {}
        group = QButtonGroup(self)
        chips = QHBoxLayout()
        chips.setSpacing(6)
        for value, text in CHIPS:
            chip = Chip(text, count=0, tip=f"Show {text.lower()} images" if value != "all" else "Show all images")
            chip.setProperty("filter", value)
            group.addButton(chip)
            self._chips[value] = chip
            chips.addWidget(chip)
        self._chips["all"].setChecked(True)
        group.buttonClicked.connect(self._on_filter)
        self._shown = label("", "body", "text-2")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search names")
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(theme().px(84))
        self.search.setMaximumWidth(theme().px(150))
        name_control(self.search, "Search names", tip="Show images whose name holds every word", key="Ctrl+F")
        set_property(self.search, "leading", "icon")
        magnifier = self.search.addAction(icon("search", "text-3"), QLineEdit.ActionPosition.LeadingPosition)
        theme().bind(magnifier, lambda action: action.setIcon(icon("search", "text-3")))  # type: ignore[attr-defined]
        self._search_delay = QTimer(self)
        self._search_delay.setSingleShot(True)
        self._search_delay.setInterval(120)
        self._search_delay.timeout.connect(self._apply_search)
        self.search.textChanged.connect(self._search_delay.start)
        self._sort = QComboBox()
        self._sort.setFixedWidth(theme().px(128))
        for key, text in SORTS:
            self._sort.addItem(text, key)
        name_control(self._sort, "Order", tip="Order of the images")
        self._sort.currentIndexChanged.connect(self._on_sort)

        bar = QHBoxLayout()
        bar.setContentsMargins(EDGE, 4, EDGE, 0)
        bar.setSpacing(10)
        bar.addWidget(self._progress_words)
        bar.addWidget(self._progress)
        bar.addLayout(chips)
        bar.addStretch(1)
        for widget in (self._shown, self.search, self._sort):
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
        self.model.counts_changed.connect(self._on_counts)
        self.model.modelReset.connect(self._reselect)
        self.strip.selectionModel().selectionChanged.connect(self._on_selected)
        self._on_counts()

    def set_current(self, image_id: int | None) -> None:
        """Mark the image that is on the canvas and bring it into view, without emitting."""
        self._current = image_id
        self._reselect()

    def focus_search(self) -> None:
        """Put the cursor into the search field."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def set_folded(self, folded: bool) -> None:
        """Hide the thumbnails; the row above stays."""
        self.strip.setVisible(not folded)

    def neighbour(self, direction: int, *, wanted: Callable[[GalleryItem], bool]) -> int | None:
        """Return the id of the next wanted image in the shown order."""
        return self.model.step(self._current, direction, wanted=wanted)

    @Slot()
    def _reselect(self) -> None:
        selection = self.strip.selectionModel()
        selection.blockSignals(True)
        row = self.model.row_of(self._current) if self._current is not None else None
        if row is None:
            selection.clear()
        else:
            index = self.model.index(row)
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.strip.show_row(row)
        selection.blockSignals(False)
        self.strip.viewport().update()

    @Slot(QItemSelection, QItemSelection)
    def _on_selected(self, _new: QItemSelection, _old: QItemSelection) -> None:
        rows = self.strip.selectionModel().selectedIndexes()
        item = self.model.item_at(rows[0].row()) if rows else None
        if item is not None and item.id != self._current:
            self._current = item.id
            self.image_chosen.emit(item.id)

    @Slot()
    def _on_counts(self) -> None:
        counts = self.model.counts()
        total = self.model.total()
        reviewed = counts["reviewed"]
        self._progress_words.setText(f"{reviewed:,} of {total:,} reviewed")
        self._progress.setRange(0, max(1, total))
        self._progress.setValue(reviewed)
        for value, chip in self._chips.items():
            if value == "all":
                number = total
            elif value == "unreviewed":
                number = sum(counts[status] for status in UNREVIEWED)
            else:
                number = counts[value]
            chip.set_count(number)
            chip.setVisible(value in ("all", "unreviewed") or number > 0 or chip.isChecked())
        shown = self.model.rowCount()
        self._shown.setText("" if shown == total else f"{shown:,} shown")
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Give up, where the row is narrow, first the bar, then the number of shown images, then the chips' counts."""
        row = self._bar_row
        parts = [self._progress, self._shown, *self._chips.values()]
        self._progress.show()
        self._shown.setVisible(bool(self._shown.text()))
        for chip in self._chips.values():
            chip.set_compact(False)
        room = self.width()
        for part in parts:
            row.invalidate()
            if row.minimumSize().width() <= room:
                return
            if isinstance(part, Chip):
                part.set_compact(not part.isChecked())
            else:
                part.hide()

    @Slot(object)
    def _on_filter(self, chip: Chip) -> None:
        self.model.set_filter(chip.property("filter"))

    @Slot()
    def _apply_search(self) -> None:
        self.model.set_search(self.search.text())

    @Slot(int)
    def _on_sort(self, index: int) -> None:
        self.model.set_sort(self._sort.itemData(index))
