"""The gallery's items, their filter and their order. Sorting and filtering are plain Python on the source rows:
a proxy model with a Python ``data()`` needs 50 times as long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QPixmap

from camviewer.project.records import Status
from camviewer.ui.gallery.pictures import PictureCache

Filter = Literal["all", "unreviewed", "computed", "edited", "reviewed", "skipped", "failed"]
SortKey = Literal["name", "surest", "doubtful"]

STATUS_WORDS: dict[Status, str] = {
    "new": "New",
    "computed": "Computed",
    "edited": "Edited",
    "reviewed": "Reviewed",
    "skipped": "Skipped",
    "failed": "Failed",
}
UNREVIEWED: frozenset[Status] = frozenset({"new", "computed", "edited"})

Outline = tuple[tuple[tuple[float, float], ...], ...]

ITEM_ROLE = Qt.ItemDataRole.UserRole
PICTURE_ROLE = Qt.ItemDataRole.UserRole + 1
OUTLINE_ROLE = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True, slots=True)
class ItemOutline:
    """The outline of an image's largest mask.

    Attributes:
        polygons: corners as shares of the frame that the gallery shows.
        touched: whether a person touched that mask (solid line), else it is automatic (dashed).
        colour: of the mask's class.
    """

    polygons: Outline
    touched: bool = False
    colour: str = "#FFFFFF"


NO_OUTLINE = ItemOutline(())


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One image as the gallery shows it.

    Attributes:
        id: of the image in the project.
        path: absolute path of the file.
        name: file name.
        label: name shown below the thumbnail, without what all names share.
        class_name, class_colour, probability: best class; empty where nothing was computed.
        error: sentence, for a failed image.
    """

    id: int
    path: Path
    name: str
    label: str
    status: Status = "new"
    class_name: str = ""
    class_colour: str = ""
    probability: float | None = None
    error: str = ""

    @property
    def unreviewed(self) -> bool:
        """Whether a person still has to look at it."""
        return self.status in UNREVIEWED


class GalleryModel(QAbstractListModel):
    """Rows that pass the filter, in the chosen order.

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
        self._filter: Filter = "all"
        self._terms: tuple[str, ...] = ()
        self._sort: SortKey = "name"
        self._dirty: set[int] = set()
        self._by_path: dict[Path, int] = {}
        self._flush = QTimer(self)
        self._flush.setSingleShot(True)
        self._flush.setInterval(30)
        self._flush.timeout.connect(self._emit_changed)
        pictures.picture_changed.connect(self._on_picture)

    # --- Qt -----------------------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = index.row()
        if not 0 <= row < len(self._rows):
            return None
        item = self._items[self._rows[row]]
        if role == ITEM_ROLE:
            return item
        if role == PICTURE_ROLE:
            return self._picture(item)
        if role == OUTLINE_ROLE:
            return self.outline_of(item.id) if self.outline_of is not None else NO_OUTLINE
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return describe(item)
        if role == Qt.ItemDataRole.ToolTipRole:
            return item.error or f"{item.path}\n{describe(item)}"
        return None

    def _picture(self, item: GalleryItem) -> QPixmap | None:
        picture = self._pictures.get(item.path)
        if picture is None and item.status != "failed" and not self._pictures.failed(item.path):
            self.pictures_wanted.emit()
        return picture

    # --- content ------------------------------------------------------------------------------------------------------

    def set_items(self, items: Sequence[GalleryItem]) -> None:
        """Replace everything."""
        self.beginResetModel()
        self._items = list(items)
        self._place = {item.id: number for number, item in enumerate(self._items)}
        self._by_path = {item.path: item.id for item in self._items}
        self._arrange()
        self.endResetModel()
        self.counts_changed.emit()

    def add_items(self, items: Sequence[GalleryItem]) -> None:
        """Append images found by a scan; with the standard filter and order no row moves."""
        start = len(self._items)
        self._items.extend(items)
        for number, item in enumerate(items, start):
            self._place[item.id] = number
            self._by_path[item.path] = item.id
        new_rows = [n for n in range(start, len(self._items)) if self._passes(self._items[n])]
        if self._sort != "name":
            self.rearrange()
        elif new_rows:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(new_rows) - 1)
            self._rows.extend(new_rows)
            for row, number in enumerate(new_rows, first):
                self._row_of[self._items[number].id] = row
            self.endInsertRows()
        self.counts_changed.emit()

    def update_item(self, item: GalleryItem) -> None:
        """Replace one image's item. It keeps its place until the filter or the order is chosen anew, so that
        nothing jumps away under the hand that just reviewed it."""
        number = self._place.get(item.id)
        if number is None:
            return
        before = self._items[number]
        self._items[number] = item
        self._dirty.add(item.id)
        if not self._flush.isActive():
            self._flush.start()
        if before.status != item.status:
            self.counts_changed.emit()

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
        return Counter(item.status for item in self._items)

    def total(self) -> int:
        """Return the number of images."""
        return len(self._items)

    # --- filter and order ---------------------------------------------------------------------------------------------

    def set_filter(self, value: Filter) -> None:
        """Show only images of a state."""
        self._filter = value
        self.rearrange()

    def set_search(self, text: str) -> None:
        """Show only images whose name holds every word of `text`."""
        self._terms = tuple(text.casefold().split())
        self.rearrange()

    def set_sort(self, key: SortKey) -> None:
        """Order by name, or by the probability of the best class."""
        self._sort = key
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
        if self._filter == "unreviewed":
            if not item.unreviewed:
                return False
        elif self._filter != "all" and item.status != self._filter:
            return False
        name = item.name.casefold()
        return all(term in name for term in self._terms)

    def _arrange(self) -> None:
        rows = [number for number, item in enumerate(self._items) if self._passes(item)]
        if self._sort != "name":
            sign = -1.0 if self._sort == "surest" else 1.0

            def key(number: int) -> tuple[bool, float]:
                probability = self._items[number].probability
                # What was not computed comes last in both orders.
                return probability is None, sign * (probability or 0.0)

            rows.sort(key=key)
        self._rows = rows
        self._row_of = {self._items[number].id: row for row, number in enumerate(rows)}

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


def describe(item: GalleryItem) -> str:
    """Return an item in words, for screen readers and tooltips."""
    words = [item.name, STATUS_WORDS[item.status].lower()]
    if item.class_name and item.probability is not None:
        words.append(f"{item.class_name} {item.probability * 100:.0f} %")
    return ", ".join(words)


def short_labels(names: Sequence[str]) -> list[str]:
    """Return file names without ending and without the beginning that all share (``ISIC_0024306.jpg``: 0024306)."""
    stems = [Path(name).stem for name in names]
    if len(stems) < 2:
        return stems
    low, high = min(stems), max(stems)
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    # Cut at a separator only, so that numbers stay whole.
    while shared and low[shared - 1] not in "_- .":
        shared -= 1
    return [stem[shared:] or stem for stem in stems]
