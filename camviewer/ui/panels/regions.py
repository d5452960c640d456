"""Regions: the boxes and masks of the image as a table."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from camviewer.images.geometry import Size
from camviewer.project.records import Mask
from camviewer.ui.canvas.numbers import percent
from camviewer.ui.canvas.records import Region
from camviewer.ui.controls import IconButton
from camviewer.ui.icons import icon_pixmap, set_icon
from camviewer.ui.sections import EmptyState, MessageBar, Section
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

Index = QModelIndex | QPersistentModelIndex

MOST_ROWS = 7
NAME, ORIGIN, SCORE, AREA, EYE = range(5)
_TITLES = ("Region", "Origin", "Score", "Area", "")
_REGION = Qt.ItemDataRole.UserRole


def origin_of(region: Region) -> str:
    """Return the word for where a region comes from."""
    if isinstance(region.shape, Mask):
        return "Edited" if region.touched else "Auto"
    return {"auto": "Auto", "manual": "Drawn", "edited": "Edited"}[region.shape.origin]


class _Model(QAbstractTableModel):
    """One row a region."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._regions: tuple[Region, ...] = ()
        self._shares: tuple[float, ...] = ()

    def set_regions(self, regions: Sequence[Region], size: Size) -> None:
        known = {id(r.shape): share for r, share in zip(self._regions, self._shares, strict=True)}
        shares = tuple(known.get(id(r.shape), -1.0) for r in regions)
        shares = tuple(s if s >= 0 else r.share(size) for r, s in zip(regions, shares, strict=True))
        if len(regions) == len(self._regions):
            self._regions, self._shares = tuple(regions), shares
            if regions:
                self.dataChanged.emit(self.index(0, 0), self.index(len(regions) - 1, EYE))
            return
        self.beginResetModel()
        self._regions, self._shares = tuple(regions), shares
        self.endResetModel()

    def region(self, row: int) -> Region | None:
        return self._regions[row] if 0 <= row < len(self._regions) else None

    def row_of(self, key: Hashable | None) -> int:
        return next((row for row, region in enumerate(self._regions) if region.key == key), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._regions)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return len(_TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(_TITLES):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right = section in {SCORE, AREA}
            side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return {SCORE: "Mean of the map inside, as a share of its maximum", AREA: "Share of the image"}.get(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        region = self.region(index.row())
        if region is None:
            return None
        if role == _REGION:
            return region
        column = index.column()
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            if column == NAME:
                kind = "mask" if isinstance(region.shape, Mask) else "box"
                return region.name if role == Qt.ItemDataRole.DisplayRole else f"{region.name}, {kind}"
            if column == ORIGIN:
                return origin_of(region)
            if column == SCORE:
                return "–" if region.score is None else f"{region.score:.2f}"
            if column == AREA:
                return percent(self._shares[index.row()], decimals=1)
            return "" if role == Qt.ItemDataRole.DisplayRole else ("shown" if region.visible else "hidden")
        if role == Qt.ItemDataRole.ToolTipRole:
            if column == EYE:
                return "Hide this region" if region.visible else "Show this region"
            return region.hint or (region.name if column == NAME else None)
        return None


class _Delegate(QStyledItemDelegate):
    """Text, shape and eye; the row's ground is painted by the view."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(24, theme().px(28))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        try:
            region = index.data(_REGION)
            if isinstance(region, Region):
                self._paint(painter, option, index, region)
        except Exception:
            log.exception("a region could not be painted")
        finally:
            painter.restore()

    def _paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index, region: Region) -> None:
        colors = theme()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        column = index.column()
        density = painter.device().devicePixelRatioF()
        if column == EYE:
            name, token = ("eye", "text" if chosen else "text-2") if region.visible else ("eye-off", "text-3")
            pixmap = icon_pixmap(name, token, size=16, density=density)
            painter.drawPixmap(QPointF(rect.center().x() - 8, rect.center().y() - 8), pixmap)
            return
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        font = colors.font("body" if column != NAME else "section" if chosen else "name")
        painter.setFont(font)
        painter.setPen(colors.color("text" if chosen or column == NAME else "text-2"))
        text = str(index.data() or "")
        if column == NAME:
            shape = "mask" if isinstance(region.shape, Mask) else "box"
            pixmap = icon_pixmap(shape, _readable(region.colour), size=16, density=density)
            painter.drawPixmap(QPointF(rect.left() + 6, rect.center().y() - 8), pixmap)
            rect.setLeft(rect.left() + 28)
            text = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width() - 4)
            painter.drawText(rect, left, text)
            return
        numbers = column in {SCORE, AREA}
        painter.drawText(rect.adjusted(4, 0, -4, 0), right if numbers else left, text)


def _readable(colour: str | None) -> str:
    """Return a class's colour as an icon's stroke; a pale one is darkened on the light theme."""
    if colour is None:
        return "text-2"
    if theme().dark:
        return colour
    tint = QColor(colour)
    # Annotation colours are made for a dark casing, which an icon does not have.
    tint.setHslF(tint.hslHueF(), tint.hslSaturationF(), min(tint.lightnessF(), 0.42))
    return tint.name()


class _Table(QTreeView):
    """Rounded rows; a click on the eye does not select."""

    eye_clicked = Signal(int)
    delete_pressed = Signal()
    menu_wanted = Signal(QPoint)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer the classes for the row under the pointer, or for the selected one from the keyboard."""
        current = self.currentIndex()
        if event.reason() == QContextMenuEvent.Reason.Keyboard and current.isValid():
            self.menu_wanted.emit(self.viewport().mapToGlobal(self.visualRect(current).center()))
        elif self.indexAt(event.pos()).isValid():
            self.menu_wanted.emit(event.globalPos())
        event.accept()

    def drawRow(self, painter: QPainter, options: QStyleOptionViewItem, index: Index) -> None:
        colors = theme()
        row = QRectF(options.rect).adjusted(0, 0.5, 0, -0.5)
        model = self.selectionModel()
        chosen = model is not None and model.isRowSelected(index.row(), QModelIndex())
        hovered = self.indexAt(self.viewport().mapFromGlobal(self.cursor().pos())).row() == index.row()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if chosen or (hovered and self.underMouse()):
            painter.setBrush(colors.color("accent-soft" if chosen else "hover"))
            painter.drawRoundedRect(row, 6, 6)
        if self.hasFocus() and self.currentIndex().row() == index.row():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.drawRoundedRect(row.adjusted(1, 1, -1, -1), 5, 5)
        painter.restore()
        for column in range(len(_TITLES)):
            cell = index.sibling(index.row(), column)
            option = QStyleOptionViewItem(options)
            option.rect = self.visualRect(cell)
            if chosen:
                option.state |= QStyle.StateFlag.State_Selected
            else:
                option.state &= ~QStyle.StateFlag.State_Selected
            self.itemDelegate().paint(painter, option, cell)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and index.column() == EYE and event.button() == Qt.MouseButton.LeftButton:
            self.eye_clicked.emit(index.row())
            return
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.delete_pressed.emit()
        elif event.key() == Qt.Key.Key_Space and self.currentIndex().isValid():
            self.eye_clicked.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


class RegionsPanel(Section):
    """The table of regions.

    Signals:
        region_selected: key of the row that was chosen, or None.
        region_deleted: key of the region to delete.
        region_shown: (key, whether it is to be drawn).
        regions_shown: whether any region is to be drawn.
        box_requested: the user wants to draw a box.
        menu_wanted: global position at which the classes are to be offered for the selected region.
    """

    region_selected = Signal(object)
    region_deleted = Signal(object)
    region_shown = Signal(object, bool)
    regions_shown = Signal(bool)
    box_requested = Signal()
    menu_wanted = Signal(QPoint)

    def __init__(self) -> None:
        self._eye = IconButton("eye", "Hide all regions", key="T")
        self._delete = IconButton("trash", "Delete region", key="Delete")
        super().__init__("Regions", "regions", actions=(self._eye, self._delete))
        self._all_shown = True
        self._hinted: Hashable | None = None
        self._model = _Model(self)
        self._table = _Table()
        self._table.setModel(self._model)
        self._table.setItemDelegate(_Delegate(self._table))
        self._table.setAccessibleName("Regions")
        self._table.setRootIsDecorated(False)
        self._table.setUniformRowHeights(True)
        self._table.setAllColumnsShowFocus(True)
        self._table.setMouseTracking(True)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._shape_header()
        self._message = MessageBar("warn", "", "", "Remove")
        self._message.hide()
        self._empty = EmptyState("mask", "No regions yet", "Lower the threshold or draw a box.", "Draw a box  W")
        for part in (self._table, self._message, self._empty):
            self.add(part)
        margins = self.content().contentsMargins()
        self.content().setContentsMargins(8, 0, 8, margins.bottom())
        self._table.selectionModel().currentRowChanged.connect(self._on_row)
        self._table.eye_clicked.connect(self._on_eye)
        self._table.menu_wanted.connect(self.menu_wanted)
        self._table.delete_pressed.connect(self._on_delete)
        self._eye.clicked.connect(self._on_all)
        self._delete.clicked.connect(self._on_delete)
        self._message.action_triggered.connect(self._on_hint)
        self._empty.link_triggered.connect(self.box_requested)
        self.set_regions((), (1, 1))

    def _shape_header(self) -> None:
        header = self._table.header()
        header.setFont(theme().font("column"))
        header.setSectionsMovable(False)
        header.setSectionsClickable(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(28)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in ((ORIGIN, 56), (SCORE, 48), (AREA, 56), (EYE, 32)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, theme().px(width))

    def set_regions(self, regions: Sequence[Region], size: Size, *, selected: Hashable | None = None) -> None:
        """Show `regions` of an image of `size` (width, height), without emitting."""
        self._table.selectionModel().blockSignals(True)
        self._model.set_regions(regions, size)
        self._table.selectionModel().blockSignals(False)
        self.set_qualifier(str(len(regions)) if regions else "")
        rows = min(len(regions), MOST_ROWS)
        head = self._table.header().sizeHint().height()
        self._table.setFixedHeight(head + rows * theme().px(28) + 2)
        self._table.setVisible(bool(regions))
        self._empty.setVisible(not regions)
        self._eye.setEnabled(bool(regions))
        hint = next((region for region in regions if region.hint), None)
        self._hinted = hint.key if hint is not None else None
        self._message.setVisible(hint is not None)
        if hint is not None:
            self._message.show_message("warn", hint.hint, "", "Remove")
        self.set_selected(selected)

    def set_selected(self, key: Hashable | None) -> None:
        """Select a row without emitting."""
        selection = self._table.selectionModel()
        row = self._model.row_of(key) if key is not None else -1
        selection.blockSignals(True)
        if row < 0:
            selection.clear()
        else:
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            selection.setCurrentIndex(self._model.index(row, 0), flags)
            self._table.scrollTo(self._model.index(row, 0))
        selection.blockSignals(False)
        self._delete.setEnabled(row >= 0)
        self._table.viewport().update()

    def selected(self) -> Hashable | None:
        """Return the key of the selected row."""
        rows = self._table.selectionModel().selectedRows()
        region = self._model.region(rows[0].row()) if rows else None
        return region.key if region is not None else None

    @Slot(QModelIndex, QModelIndex)
    def _on_row(self, current: QModelIndex, _before: QModelIndex) -> None:
        region = self._model.region(current.row())
        self._delete.setEnabled(region is not None)
        self._table.viewport().update()
        self.region_selected.emit(region.key if region is not None else None)

    @Slot(int)
    def _on_eye(self, row: int) -> None:
        region = self._model.region(row)
        if region is not None:
            self.region_shown.emit(region.key, not region.visible)

    @Slot()
    def _on_all(self) -> None:
        self.set_all_shown(not self._all_shown)
        self.regions_shown.emit(self._all_shown)

    def set_all_shown(self, shown: bool) -> None:
        """Show the state of the eye of all regions, without emitting."""
        self._all_shown = shown
        set_icon(self._eye, "eye" if shown else "eye-off")
        self._eye.setAccessibleName("Hide all regions" if shown else "Show all regions")
        self._eye.setToolTip(f"{self._eye.accessibleName()}  (T)")

    @Slot()
    def _on_delete(self) -> None:
        key = self.selected()
        if key is not None:
            self.region_deleted.emit(key)

    @Slot()
    def _on_hint(self) -> None:
        if self._hinted is not None:
            self.region_deleted.emit(self._hinted)
