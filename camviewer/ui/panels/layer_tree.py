"""The tree of a network's layers: its rows, its ticks, its keys."""

from __future__ import annotations

import logging

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
)

from camviewer.ui.icons import icon_pixmap
from camviewer.ui.panels.layers import (
    FIELD,
    FIT,
    LAYER_ROLE,
    MS,
    NAME,
    OUTPUT,
    PARAMS,
    STRIDE,
    TICK,
    TYPE,
    LayerModel,
)
from camviewer.ui.theme import theme
from camviewer.workers.jobs import Layer

log = logging.getLogger(__name__)

Index = QModelIndex | QPersistentModelIndex

NARROW, NARROWER = 440, 400
"""Below these widths the columns Type and Params, then Field and ms are hidden."""

FIT_ICON = {"suggested": ("star", "accent-text"), "usable": ("check", "text-2"), "unusable": ("ban", "text-3")}
"""Icon and colour of what a layer is good for."""

_WIDTHS = {TICK: 30, NAME: 96, TYPE: 92, OUTPUT: 88, STRIDE: 42, FIELD: 38, PARAMS: 50, MS: 38, FIT: 36}


class _Delegate(QStyledItemDelegate):
    """Rows of 24; ticks and fits as shapes; what cannot be used is quiet."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(24, theme().px(24))

    def editorEvent(self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index) -> bool:
        # The view ticks on a click anywhere in the cell; the delegate must not tick a second time.
        return False

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        try:
            layer = index.data(LAYER_ROLE)
            if isinstance(layer, Layer):
                self._paint(painter, option, index, layer)
        except Exception:
            log.exception("a layer could not be painted")
        finally:
            painter.restore()

    def _paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index, layer: Layer) -> None:
        colors = theme()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        column = index.column()
        density = painter.device().devicePixelRatioF()
        if column == TICK:
            state = index.data(Qt.ItemDataRole.CheckStateRole)
            if state is not None:
                _paint_tick(painter, rect.center(), state == Qt.CheckState.Checked, density)
            return
        if column == FIT:
            name, token = FIT_ICON[layer.fit]
            pixmap = icon_pixmap(name, token, size=14, density=density)
            painter.drawPixmap(QPointF(rect.center().x() - 7, rect.center().y() - 7), pixmap)
            return
        usable = layer.fit != "unusable"
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        strong = column == NAME and (usable or chosen)
        painter.setFont(colors.font("section" if chosen and column == NAME else "name" if strong else "body"))
        painter.setPen(colors.color("text-3" if not usable else "text" if column == NAME else "text-2"))
        flags = index.data(Qt.ItemDataRole.TextAlignmentRole) or Qt.AlignmentFlag.AlignLeft
        text = painter.fontMetrics().elidedText(
            str(index.data() or ""), Qt.TextElideMode.ElideRight, int(rect.width() - 7)
        )
        painter.drawText(rect.adjusted(4, 0, -4, 0), flags | Qt.AlignmentFlag.AlignVCenter, text)


def _paint_tick(painter: QPainter, centre: QPointF, on: bool, density: float) -> None:
    colors = theme()
    box = QRectF(centre.x() - 6.5, centre.y() - 6.5, 13, 13)
    painter.setPen(Qt.PenStyle.NoPen if on else QPen(colors.color("outline"), 1.2))
    painter.setBrush(colors.color("accent") if on else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(box, 4, 4)
    if on:
        painter.drawPixmap(
            QPointF(centre.x() - 5.5, centre.y() - 5.5), icon_pixmap("check", "on-accent", size=11, density=density)
        )


class LayerTree(QTreeView):
    """Space ticks the row in focus from any column; Enter or a double click uses its layer alone.

    Signals:
        toggled: the index whose layer is to be ticked, or no more.
        used_alone: the index whose layer is to be used and no other.
    """

    toggled = Signal(QModelIndex)
    used_alone = Signal(QModelIndex)

    def __init__(self, model: LayerModel) -> None:
        super().__init__()
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        self.setTreePosition(NAME)
        self.setAccessibleName("Layers")
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setIndentation(14)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setExpandsOnDoubleClick(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.header()
        header.setFont(theme().font("column"))
        header.setSectionsMovable(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, theme().px(width))
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self.used_alone)

    def fit_columns(self, width: int) -> None:
        """Hide what a panel of `width` has no room for."""
        for column in (TYPE, PARAMS):
            self.setColumnHidden(column, width < theme().px(NARROW))
        for column in (FIELD, MS):
            self.setColumnHidden(column, width < theme().px(NARROWER))

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        if index.column() == TICK:
            self.toggled.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        if event.key() == Qt.Key.Key_Space and index.isValid():
            self.toggled.emit(index)
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and index.isValid():
            self.used_alone.emit(index.siblingAtColumn(NAME))
        else:
            super().keyPressEvent(event)

    def drawBranches(self, painter: QPainter, rect: QRect, index: Index) -> None:
        model = self.model()
        if model is None or not model.hasChildren(index):
            return
        name = "chevron-down" if self.isExpanded(index) else "chevron-right"
        density = painter.device().devicePixelRatioF()
        pixmap = icon_pixmap(name, "text-2", size=12, density=density)
        painter.drawPixmap(QPointF(rect.right() - 13, rect.center().y() - 5.5), pixmap)

    def drawRow(self, painter: QPainter, options: QStyleOptionViewItem, index: Index) -> None:
        selection = self.selectionModel()
        if selection is not None and selection.isRowSelected(index.row(), index.parent()):
            painter.fillRect(options.rect, theme().color("accent-soft"))
        super().drawRow(painter, options, index)
        if self.hasFocus() and self.currentIndex().siblingAtColumn(0) == index.sibling(index.row(), 0):
            painter.save()
            painter.setPen(QPen(theme().color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(options.rect).adjusted(1, 1, -1, -1))
            painter.restore()
