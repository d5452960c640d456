"""Classes: the network's answer, ranked, and the class whose map is shown."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from camviewer.project.records import ClassTable
from camviewer.project.temperature import Temperature
from camviewer.ui.canvas.numbers import percent, raw
from camviewer.ui.controls import Button, ElidedLabel, IconButton, label
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.marks import paint_bar
from camviewer.ui.sections import EmptyState, Section
from camviewer.ui.theme import theme
from camviewer.workers.jobs import ClassScore

log = logging.getLogger(__name__)

Index = QModelIndex | QPersistentModelIndex

TOP = 5
MOST_ROWS = 10
"""Rows shown at once when all classes are shown; more of them scroll."""

_ENTRY = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class _Entry:
    rank: int
    score: ClassScore
    colour: str
    current: bool
    pinned: bool


class _Model(QAbstractListModel):
    """Rows of `_Entry`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._entries: list[_Entry] = []

    def set_entries(self, entries: list[_Entry]) -> None:
        if len(entries) == len(self._entries):
            self._entries = entries
            if entries:
                self.dataChanged.emit(self.index(0), self.index(len(entries) - 1))
            return
        self.beginResetModel()
        self._entries = entries
        self.endResetModel()

    def entry(self, row: int) -> _Entry | None:
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def row_of(self, class_index: int | None) -> int:
        return next((row for row, e in enumerate(self._entries) if e.score.index == class_index), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        entry = self.entry(index.row())
        if entry is None:
            return None
        score = entry.score
        if role == _ENTRY:
            return entry
        if role == Qt.ItemDataRole.DisplayRole:
            return score.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.rank}, {score.name}, {percent(score.probability, decimals=1)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            key = f"  (Alt+{entry.rank})" if entry.rank <= 9 else ""
            return f"{score.name}: {percent(score.probability, decimals=2)}, logit {raw(score.logit)}{key}"
        return None


class _Delegate(QStyledItemDelegate):
    """Rank, swatch, name, score bar, percentage."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, theme().px(28))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        try:
            entry = index.data(_ENTRY)
            if isinstance(entry, _Entry):
                _paint_row(painter, option, entry)
        except Exception:
            log.exception("a class could not be painted")
        finally:
            painter.restore()


def _paint_row(painter: QPainter, option: QStyleOptionViewItem, entry: _Entry) -> None:
    colors = theme()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    state = option.state
    row = QRectF(option.rect).adjusted(0, 0.5, 0, -0.5)
    painter.setPen(Qt.PenStyle.NoPen)
    if entry.current:
        painter.setBrush(colors.color("accent-soft"))
        painter.drawRoundedRect(row, 6, 6)
    elif state & QStyle.StateFlag.State_MouseOver:
        painter.setBrush(colors.color("hover"))
        painter.drawRoundedRect(row, 6, 6)
    if state & QStyle.StateFlag.State_HasFocus:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colors.color("accent-text"), 2))
        painter.drawRoundedRect(row.adjusted(1, 1, -1, -1), 5, 5)
    left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
    right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
    caption = colors.font("caption")
    rank_width = max(14.0, QFontMetricsF(caption).horizontalAdvance(str(entry.rank)))
    painter.setFont(caption)
    painter.setPen(colors.color("text-3" if not entry.current else "text-2"))
    painter.drawText(QRectF(row.left() + 8, row.top(), rank_width, row.height()), left, str(entry.rank))
    x = row.left() + 8 + rank_width + 6
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(entry.colour) if entry.colour else colors.color("track"))
    painter.drawRoundedRect(QRectF(x, row.center().y() - 4.5, 9, 9), 2, 2)
    x += 17
    number_width = QFontMetricsF(colors.font("section")).horizontalAdvance("00.0 %") + 4
    bar_width = min(72.0, row.width() * 0.23)
    number = QRectF(row.right() - 8 - number_width, row.top(), number_width, row.height())
    bar = QRectF(number.left() - 8 - bar_width, row.center().y() - 2, bar_width, 4)
    strong = colors.font("section" if entry.current else "name")
    name = QFontMetricsF(strong).elidedText(
        entry.score.name, Qt.TextElideMode.ElideMiddle, bar.left() - 10 - x - (16 if entry.pinned else 0)
    )
    painter.setFont(strong)
    painter.setPen(colors.color("text"))
    painter.drawText(QRectF(x, row.top(), bar.left() - x, row.height()), left, name)
    if entry.pinned:
        density = painter.device().devicePixelRatioF()
        at = x + QFontMetricsF(strong).horizontalAdvance(name) + 4
        painter.drawPixmap(
            QRectF(at, row.center().y() - 6, 12, 12).topLeft(),
            icon_pixmap("pin", "accent-text", size=12, density=density),
        )
    paint_bar(painter, bar, entry.score.probability, "accent-line" if entry.current else "bar")
    painter.setFont(strong if entry.current else colors.font("body"))
    painter.setPen(colors.color("text" if entry.current else "text-2"))
    painter.drawText(number, right, percent(entry.score.probability, decimals=1))


class _List(QListView):
    """A list as high as its rows; Enter and Space choose like a click."""

    chosen = Signal(QModelIndex)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space} and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())
            return
        super().keyPressEvent(event)


class ClassesPanel(Section):
    """Ranked classes with score bars.

    Signals:
        class_chosen: model class index whose map is wanted.
        class_pinned: model class index whose map stays chosen from image to image, or None.
    """

    class_chosen = Signal(int)
    class_pinned = Signal(object)

    def __init__(self) -> None:
        self._search_button = IconButton("search", "Search classes", checkable=True)
        self._pin_button = IconButton(
            "pin", "Pin class", tip="Keep this class's map when the image changes", checkable=True
        )
        super().__init__("Classes", "classes", actions=(self._search_button, self._pin_button))
        self._scores: tuple[ClassScore, ...] = ()
        self._table = ClassTable()
        self._current: int | None = None
        self._pinned: int | None = None
        self._all = False
        self._search = QLineEdit()
        self._search.setPlaceholderText("Search classes")
        self._search.setClearButtonEnabled(True)
        self._search.setAccessibleName("Search classes")
        self._search.hide()
        self._model = _Model(self)
        self._list = _List()
        self._list.setModel(self._model)
        self._list.setItemDelegate(_Delegate(self._list))
        self._list.setAccessibleName("Classes")
        self._list.setUniformItemSizes(True)
        self._list.setMouseTracking(True)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._more = Button("All", "link")
        self._empty = EmptyState("units", "No scores yet", "Open a model and an image.")
        self._nothing = label("No class of this name", "body", "text-3")
        self._nothing.hide()
        self._temperature: Temperature | None = None
        self._calibration = ElidedLabel("", "caption", "text-3")
        self._calibration.hide()
        for part in (self._search, self._list, self._nothing, self._more, self._calibration, self._empty):
            self.add(part)
        self.content().setAlignment(self._more, Qt.AlignmentFlag.AlignLeft)
        margins = self.content().contentsMargins()
        self.content().setContentsMargins(8, margins.top(), 8, 8)
        self.content().setSpacing(4)
        self._search_button.toggled.connect(self._on_search_shown)
        self._pin_button.toggled.connect(self._on_pin)
        self._search.textChanged.connect(self._fill)
        self._list.clicked.connect(self._on_chosen)
        self._list.chosen.connect(self._on_chosen)
        self._more.clicked.connect(self._on_more)
        self._fill()

    def set_scores(self, scores: Sequence[ClassScore], table: ClassTable) -> None:
        """Show `scores`, best first; colours come from `table`. An empty sequence empties the panel."""
        self._scores, self._table = tuple(scores), table
        self._show_temperature()
        self._fill()

    def set_temperature(self, temperature: Temperature | None) -> None:
        """Say at which temperature the probabilities are shown, or that none has been fitted."""
        self._temperature = temperature
        self._show_temperature()

    def _show_temperature(self) -> None:
        found = self._temperature
        self.set_qualifier(("uncalibrated" if found is None else f"T = {found.value:.2f}") if self._scores else "")
        if found is None:
            self.setToolTip("Probabilities are the network's own; no temperature has been fitted.")
        else:
            self._calibration.set_full_text(
                f"{found.images:,} labels, ECE {found.ece_before:.3f} before, {found.ece_after:.3f} after"
            )
            self.setToolTip(
                f"All logits are divided by {found.value:.3f}, fitted on {found.images:,} labelled images.\n"
                f"Expected calibration error on them: {found.ece_before:.3f} before, {found.ece_after:.3f} after "
                "(10 bins of equal mass)."
            )
        self._calibration.setVisible(found is not None and bool(self._scores))

    def set_current(self, class_index: int | None) -> None:
        """Mark the class whose map is shown, without emitting."""
        self._current = class_index
        self._fill()

    def set_pinned(self, class_index: int | None) -> None:
        """Pin a class, or none, without emitting."""
        self._pinned = class_index
        self._pin_button.blockSignals(True)
        self._pin_button.setChecked(class_index is not None)
        self._pin_button.blockSignals(False)
        self._fill()

    def shown(self) -> tuple[int, ...]:
        """Return the model class indices of the rows on screen."""
        entries = (self._model.entry(row) for row in range(self._model.rowCount()))
        return tuple(entry.score.index for entry in entries if entry is not None)

    @Slot()
    def _fill(self) -> None:
        words = self._search.text().lower().split() if self._search_button.isChecked() else []
        entries = []
        for rank, score in enumerate(self._scores, start=1):
            if words and not all(word in score.name.lower() for word in words):
                continue
            mine = score.index in {self._current, self._pinned}
            if not words and not self._all and rank > TOP and not mine:
                continue
            entries.append(
                _Entry(
                    rank, score, self._colour(score.index), score.index == self._current, score.index == self._pinned
                )
            )
        self._model.set_entries(entries)
        rows = min(len(entries), MOST_ROWS)
        self._list.setFixedHeight(rows * theme().px(28) + 2)
        self._list.setVisible(rows > 0)
        self._nothing.setVisible(bool(self._scores) and rows == 0)
        self._empty.setVisible(not self._scores)
        self._more.setVisible(len(self._scores) > TOP and not words)
        self._more.set_text(f"Top {TOP}" if self._all else f"All {len(self._scores):,}")
        for button in (self._search_button, self._pin_button):
            button.setEnabled(bool(self._scores))

    def _colour(self, class_index: int) -> str:
        class_id = self._table.by_model.get(class_index)
        return next((entry.colour for entry in self._table.classes if entry.id == class_id), "")

    @Slot(QModelIndex)
    def _on_chosen(self, index: QModelIndex) -> None:
        entry = self._model.entry(index.row())
        if entry is None:
            return
        self._current = entry.score.index
        if self._pinned is not None and self._pinned != entry.score.index:
            self.set_pinned(entry.score.index)
            self.class_pinned.emit(entry.score.index)
        self._fill()
        self.class_chosen.emit(entry.score.index)

    @Slot(bool)
    def _on_pin(self, pinned: bool) -> None:
        self._pinned = self._current if pinned else None
        self._fill()
        self.class_pinned.emit(self._pinned)

    @Slot(bool)
    def _on_search_shown(self, shown: bool) -> None:
        self._search.setVisible(shown)
        if shown:
            self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._fill()

    @Slot()
    def _on_more(self) -> None:
        self._all = not self._all
        self._fill()
