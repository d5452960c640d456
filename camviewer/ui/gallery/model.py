"""The gallery's rows: which images pass, in which order. Sorting and filtering are plain Python on the source rows:
a proxy model with a Python ``data()`` needs 50 times as long."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QPixmap

from camviewer.project.records import Status
from camviewer.ui.gallery.items import NO_OUTLINE, GalleryItem, ItemOutline, describe
from camviewer.ui.gallery.pictures import PictureCache
from camviewer.ui.gallery.query import Query, parse
from camviewer.ui.gallery.traits import BY_KEY, ORDERS, Order

ITEM_ROLE = Qt.ItemDataRole.UserRole
PICTURE_ROLE = Qt.ItemDataRole.UserRole + 1
OUTLINE_ROLE = Qt.ItemDataRole.UserRole + 2

MARKS = ("wrong", "stale")
"""Traits that are counted beside the status."""

COUNT_MS = 150
"""How long the window's counts may wait while a scan adds images."""


class GalleryModel(QAbstractListModel):
    """Rows that pass filter and search, in the chosen order.

    In blind mode the rows are shuffled, and items carry neither name nor prediction nor label.

    Signals:
        counts_changed: counts by status changed, or the number of shown rows did.
        pictures_wanted: rows were asked for pictures that are not there.
    """

    counts_changed = Signal()
    pictures_wanted = Signal()

    def __init__(self, pictures: PictureCache, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures = pictures
        self.outline_of: Callable[[int], ItemOutline] | None = None
        self._items: list[GalleryItem] = []
        self._place: dict[int, int] = {}
        self._rows: list[int] = []
        self._row_of: dict[int, int] = {}
        self._filter = Query()
        self._search = Query()
        self._order: Order = ORDERS[0]
        self._blind: list[int] | None = None
        self._stale_runs: frozenset[int] = frozenset()
        self._statuses: Counter[Status] = Counter()
        self._marks: Counter[str] = Counter()
        self._dirty: set[int] = set()
        self._by_path: dict[Path, int] = {}
        self._flush = QTimer(self)
        self._flush.setSingleShot(True)
        self._flush.setInterval(30)
        self._flush.timeout.connect(self._emit_changed)
        self._count_soon = QTimer(self)
        self._count_soon.setSingleShot(True)
        self._count_soon.setInterval(COUNT_MS)
        self._count_soon.timeout.connect(self.counts_changed)
        pictures.picture_changed.connect(self._on_picture)

    # --- Qt -----------------------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = index.row()
        if not 0 <= row < len(self._rows):
            return None
        item = self._items[self._rows[row]]
        if role == PICTURE_ROLE:
            return self._picture(item)
        if role == OUTLINE_ROLE:
            return self.outline_of(item.id) if self.outline_of is not None else NO_OUTLINE
        if role == ITEM_ROLE:
            return self._shown(item, row)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return describe(self._shown(item, row))
        if role == Qt.ItemDataRole.ToolTipRole:
            words = describe(self._shown(item, row))
            return words if self._blind is not None else item.error or f"{item.path}\n{words}"
        return None

    def _picture(self, item: GalleryItem) -> QPixmap | None:
        picture = self._pictures.get(item.path)
        if picture is None and item.status != "failed" and not self._pictures.failed(item.path):
            self.pictures_wanted.emit()
        return picture

    def _shown(self, item: GalleryItem, row: int) -> GalleryItem:
        if self._blind is None:
            return item
        number = f"{row + 1}"
        kept = {key: value for key, value in item.values.items() if key in BY_KEY and not BY_KEY[key].revealing}
        return replace(
            item, name=f"Image {number}", label=number, class_name="", class_colour="", probability=None, values=kept
        )

    # --- content ------------------------------------------------------------------------------------------------------

    def set_items(self, items: Sequence[GalleryItem]) -> None:
        """Replace everything."""
        self.beginResetModel()
        self._items = [self._marked(item) for item in items]
        self._count_anew()
        self._place = {item.id: number for number, item in enumerate(self._items)}
        self._by_path = {item.path: item.id for item in self._items}
        if self._blind is not None:
            self._blind = _shuffled(len(self._items))
        self._arrange()
        self.endResetModel()
        self.counts_changed.emit()

    def add_items(self, items: Sequence[GalleryItem]) -> None:
        """Append images found by a scan; with the standard filter and order no row moves."""
        start = len(self._items)
        self._items.extend(self._marked(item) for item in items)
        for item in self._items[start:]:
            self._count(item, 1)
        for number, item in enumerate(items, start):
            self._place[item.id] = number
            self._by_path[item.path] = item.id
        if self._order.key or self._blind is not None:
            if self._blind is not None:
                self._blind = _shuffled(len(self._items))
            self.rearrange()
            return
        new_rows = [n for n in range(start, len(self._items)) if self._passes(self._items[n])]
        if new_rows:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(new_rows) - 1)
            self._rows.extend(new_rows)
            for row, number in enumerate(new_rows, first):
                self._row_of[self._items[number].id] = row
            self.endInsertRows()
        if start:
            if not self._count_soon.isActive():
                self._count_soon.start()
        else:
            self.counts_changed.emit()

    def update_item(self, item: GalleryItem) -> None:
        """Replace one image's item. It keeps its place until the filter or the order is chosen anew, so that
        nothing jumps away under the hand that just reviewed it."""
        number = self._place.get(item.id)
        if number is None:
            return
        before, item = self._items[number], self._marked(item)
        self._items[number] = item
        self._count(before, -1)
        self._count(item, 1)
        self._dirty.add(item.id)
        if not self._flush.isActive():
            self._flush.start()
        if before.status != item.status or before.values.get("wrong") != item.values.get("wrong"):
            self.counts_changed.emit()

    def set_stale_runs(self, runs: frozenset[int]) -> None:
        """Say which runs are not what would be computed now; masks of theirs are marked stale."""
        if runs != self._stale_runs:
            self._stale_runs = runs
            self._items = [self._marked(item) for item in self._items]
            self._count_anew()
            if self._rows:
                self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))
            self.counts_changed.emit()

    def _marked(self, item: GalleryItem) -> GalleryItem:
        stale = item.run in self._stale_runs and item.unreviewed
        if stale == bool(item.values.get("stale")):
            return item
        return replace(item, values={**item.values, "stale": float(stale)})

    def item(self, image_id: int) -> GalleryItem | None:
        """Return the item of an image, shown or not."""
        number = self._place.get(image_id)
        return None if number is None else self._items[number]

    def items(self) -> Iterable[GalleryItem]:
        """Return all items in the project's order."""
        return iter(self._items)

    def item_at(self, row: int) -> GalleryItem | None:
        """Return the item of a shown row."""
        return self._items[self._rows[row]] if 0 <= row < len(self._rows) else None

    def row_of(self, image_id: int) -> int | None:
        """Return the shown row of an image, None when the filter hides it."""
        return self._row_of.get(image_id)

    def counts(self) -> Counter[Status]:
        """Return how many images have each status."""
        return +self._statuses

    def marked(self, mark: str) -> int:
        """Return how many images carry one of `MARKS`."""
        return self._marks[mark]

    def _count_anew(self) -> None:
        self._statuses.clear()
        self._marks.clear()
        for item in self._items:
            self._count(item, 1)

    def _count(self, item: GalleryItem, by: int) -> None:
        """Keep count of items as they come and go: with ten thousand, counting them all would be felt."""
        self._statuses[item.status] += by
        for mark in MARKS:
            if item.values.get(mark):
                self._marks[mark] += by

    def total(self) -> int:
        """Return the number of images."""
        return len(self._items)

    # --- filter and order ---------------------------------------------------------------------------------------------

    def set_filter(self, query: Query) -> None:
        """Show only images that pass; the search narrows them further."""
        self._filter = query
        self.rearrange()

    def set_search(self, text: str) -> None:
        """Show only images that `text` describes, see `camviewer.ui.gallery.query`.

        Raises:
            UsageError: for text that is not of the grammar; what is shown stays.
        """
        self._search = parse(text, blind=self._blind is not None)
        self.rearrange()

    def set_order(self, order: Order) -> None:
        """Order by a trait, or as the project does."""
        self._order = order
        self.rearrange()

    @property
    def blind(self) -> bool:
        """Whether names, predictions and labels are hidden and the images shuffled."""
        return self._blind is not None

    def set_blind(self, blind: bool) -> None:
        """Hide names, predictions and labels and shuffle the images, or show everything again."""
        if blind != self.blind:
            self._blind = _shuffled(len(self._items)) if blind else None
            self._search = Query()
            self.rearrange()

    def rearrange(self) -> None:
        """Apply filter and order to the present items."""
        self.beginResetModel()
        self._arrange()
        self.endResetModel()
        self.counts_changed.emit()

    def step(self, image_id: int | None, direction: int, *, wanted: Callable[[GalleryItem], bool]) -> int | None:
        """Return the next image id in the shown order from `image_id` that is `wanted`; None at the end."""
        row = self._row_of.get(image_id, -1 if direction > 0 else len(self._rows)) if image_id is not None else -1
        row += direction
        while 0 <= row < len(self._rows):
            item = self._items[self._rows[row]]
            if wanted(item):
                return item.id
            row += direction
        return None

    def _passes(self, item: GalleryItem) -> bool:
        return self._filter.matches(item) and self._search.matches(item)

    def _arrange(self) -> None:
        places = self._blind if self._blind is not None else range(len(self._items))
        rows = [number for number in places if self._passes(self._items[number])]
        if self._order.key and self._blind is None:
            rows = self._sorted(rows, self._order)
        self._rows = rows
        self._row_of = {self._items[number].id: row for row, number in enumerate(rows)}

    def _sorted(self, rows: list[int], order: Order) -> list[int]:
        """Return rows by a trait; what is not known of comes last in both directions, equals keep their order."""
        trait = BY_KEY[order.key]
        values = {number: trait.of(self._items[number]) for number in rows}
        known = [number for number in rows if values[number] is not None]
        unknown = [number for number in rows if values[number] is None]
        known.sort(key=lambda number: values[number], reverse=order.largest_first)  # type: ignore[arg-type, return-value]
        return known + unknown

    # --- change -------------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_picture(self, path: object) -> None:
        image_id = self._by_path.get(path) if isinstance(path, Path) else None
        if image_id is not None:
            self._dirty.add(image_id)
            if not self._flush.isActive():
                self._flush.start()

    @Slot()
    def _emit_changed(self) -> None:
        rows = sorted(row for image_id in self._dirty if (row := self._row_of.get(image_id)) is not None)
        self._dirty.clear()
        for row in rows:
            index = self.index(row)
            self.dataChanged.emit(index, index)


def _shuffled(count: int) -> list[int]:
    places = list(range(count))
    random.shuffle(places)
    return places
