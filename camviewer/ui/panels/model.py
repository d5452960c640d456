"""Model: the network and its layer tree."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPointF, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QAction, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from camviewer.ui.controls import Button, ElidedLabel, IconButton, label, rule, surface
from camviewer.ui.icons import icon, icon_pixmap
from camviewer.ui.panels.layer_tree import FIT_ICON, LayerTree
from camviewer.ui.panels.layers import TICK, LayerModel
from camviewer.ui.sections import EmptyState, MessageBar
from camviewer.ui.theme import set_property, theme
from camviewer.workers.jobs import ModelSummary

CHECK_LIMIT = 1e-3
"""Largest difference of ``mean(M) + b`` and ``S`` that counts as equal."""

_HEADS = {
    "gap_linear": "GAP head",
    "gmp_linear": "GMP head",
    "conv_gap": "conv and GAP head",
    "none": "no CAM head",
}
_FIT_WORDS = {"suggested": "is suggested", "usable": "can be used", "unusable": "cannot be used"}


class ModelPanel(QWidget):
    """The network: its name, what was checked, and the layers that maps can be made of.

    Signals:
        layers_chosen: tuple of the ticked layers' names in tree order.
        open_requested: the user wants another model.
    """

    layers_chosen = Signal(object)
    open_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._summary: ModelSummary | None = None
        surface(self, "panel")
        self._model = LayerModel(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._head = self._build_head()
        self._notes = QVBoxLayout()
        self._notes.setContentsMargins(16, 0, 16, 0)
        self._notes.setSpacing(6)
        self._filter_row = self._build_filter()
        self._tree = self._build_tree()
        self._reason_row = self._build_reason()
        self._nothing = label("No layer fits the filter", "body", "text-3")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty = EmptyState("model", "No model", "A checkpoint file or a known network.", "Open model")
        self._empty.link_triggered.connect(self.open_requested)
        layout.addWidget(self._head)
        layout.addLayout(self._notes)
        layout.addWidget(self._filter_row)
        layout.addWidget(self._tree, 1)
        layout.addWidget(self._nothing, 1)
        layout.addWidget(self._reason_row)
        layout.addWidget(self._empty, 1)
        self._below = QVBoxLayout()
        layout.addLayout(self._below)
        theme().changed.connect(self._on_theme)
        self._model.ticked.connect(self._on_ticked)
        self._show_parts()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _build_head(self) -> QWidget:
        head = QWidget()
        row = QHBoxLayout(head)
        row.setContentsMargins(16, 8, 10, 10)
        row.setSpacing(12)
        self._plate = QLabel()
        self._plate.setFixedSize(40, 40)
        self._name = ElidedLabel("", "subject", mode=Qt.TextElideMode.ElideRight)
        self._classes = ElidedLabel("", "body", "text-2", mode=Qt.TextElideMode.ElideRight)
        self._weights = ElidedLabel("", "body", "text-2")
        self._check_icon = QLabel()
        self._check = label("", "body", "ok")
        first, second, words = QHBoxLayout(), QHBoxLayout(), QVBoxLayout()
        first.setSpacing(8)
        first.addWidget(self._name)
        first.addWidget(self._classes, 1)
        second.setSpacing(6)
        second.addWidget(self._weights)
        second.addSpacing(4)
        second.addWidget(self._check_icon)
        second.addWidget(self._check)
        second.addStretch(1)
        words.setSpacing(0)
        words.addLayout(first)
        words.addLayout(second)
        self._open = IconButton("folder", "Open model", key="Ctrl+M")
        self._open.clicked.connect(self.open_requested)
        row.addWidget(self._plate)
        row.addLayout(words, 1)
        row.addWidget(self._open, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def _build_filter(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(16, 2, 10, 8)
        row.setSpacing(8)
        self._filter = QLineEdit()
        self._filter.setPlaceholderText("Filter, for example  conv 512")
        self._filter.setAccessibleName("Filter layers")
        self._filter.setToolTip("All words must be found in name, type or shape: conv 512, relu 7x7")
        self._filter.setClearButtonEnabled(True)
        self._glass = QAction(self._filter)
        self._filter.addAction(self._glass, QLineEdit.ActionPosition.LeadingPosition)
        self._usable = Button("Usable", "flat", icon_name="filter", tip="Only layers that a map can be made of")
        self._usable.setCheckable(True)
        self._filter.textChanged.connect(self._on_filter)
        self._usable.toggled.connect(self._on_filter)
        row.addWidget(self._filter, 1)
        row.addWidget(self._usable)
        return box

    def _build_tree(self) -> LayerTree:
        tree = LayerTree(self._model)
        tree.selectionModel().currentRowChanged.connect(self._on_row)
        tree.toggled.connect(self._on_toggled)
        tree.used_alone.connect(self._on_alone)
        return tree

    def _build_reason(self) -> QWidget:
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(10)
        self._reason_icon = QLabel()
        self._reason_icon.setFixedSize(16, 16)
        self._reason_name = label("", "section")
        self._reason = ElidedLabel("", "body", "text-2", mode=Qt.TextElideMode.ElideRight)
        row.addWidget(self._reason_icon)
        row.addWidget(self._reason_name)
        row.addWidget(self._reason, 1)
        column.addWidget(rule())
        column.addLayout(row)
        return box

    def add_below(self, widget: QWidget) -> None:
        """Put a widget under the layer tree."""
        self._below.addWidget(rule())
        self._below.addWidget(widget)

    # --- what is shown --------------------------------------------------------------------------------------------

    def set_summary(self, summary: ModelSummary | None) -> None:
        """Show a network, its suggested layer ticked; None shows how to open one."""
        self._summary = summary
        self._filter.blockSignals(True)
        self._filter.clear()
        self._filter.blockSignals(False)
        self._model.set_filter("", usable=self._usable.isChecked())
        self._model.set_layers(summary.layers if summary is not None else ())
        self.set_check(None)
        self._show_notes(summary.warnings if summary is not None else ())
        self._show_parts()
        if summary is None:
            return
        identity = summary.identity
        count = len(identity.classes)
        self._name.set_full_text(identity.architecture)
        self._classes.set_full_text(
            f"{count:,} {'class' if count == 1 else 'classes'}, {_HEADS[summary.head.kind]}, {summary.device_name}"
        )
        self._weights.set_full_text(identity.weights)
        self._model.set_ticks([summary.suggested])
        self._reveal(summary.suggested)

    def set_check(self, error: float | None) -> None:
        """Show the result of the identity ``mean(M) + b = S``: its largest error, or None where it is not defined."""
        self._check.setVisible(error is not None)
        self._check_icon.setVisible(error is not None)
        if error is None:
            return
        passed = error <= CHECK_LIMIT
        self._check.setText("Self-check passed" if passed else "Self-check failed")
        self._check.setToolTip(f"mean(M) + b = S holds to {error:.1e}".replace("-", "−"))
        set_property(self._check, "tint", "ok" if passed else "bad")
        name = "check" if passed else "alert"
        self._check_icon.setPixmap(icon_pixmap(name, "ok" if passed else "bad", size=14, density=2))

    def set_busy(self, text: str) -> None:
        """Show that a network is being loaded ("Reading ham7.pt"); empty ends it."""
        self._open.setEnabled(not text)
        if text and self._summary is None:
            self._head.show()
            self._name.set_full_text(text)
            self._classes.set_full_text("")
            self._weights.set_full_text("")
            self._empty.hide()
        elif text:
            self._weights.set_full_text(text)
        else:
            self._weights.set_full_text(self._summary.identity.weights if self._summary is not None else "")
            self._show_parts()

    def set_chosen(self, names: Sequence[str]) -> None:
        """Tick these layers without emitting."""
        self._model.set_ticks(names)
        if names:
            self._reveal(names[0])

    def chosen(self) -> tuple[str, ...]:
        """Return the ticked layers' names in tree order."""
        return self._model.ticks()

    def _show_notes(self, warnings: Sequence[str]) -> None:
        while (item := self._notes.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for warning in warnings:
            # The first sentence says what, the rest what it means.
            first, _, rest = warning.partition(". ")
            self._notes.addWidget(MessageBar("warn", first + "." if rest else warning, rest))
        self._notes.setContentsMargins(16, 0, 16, 8 if warnings else 0)

    def _show_parts(self) -> None:
        loaded = self._summary is not None
        for part in (self._head, self._filter_row, self._tree, self._reason_row):
            part.setVisible(loaded)
        self._nothing.setVisible(False)
        self._empty.setVisible(not loaded)
        self._on_theme()

    def _reveal(self, name: str) -> None:
        index = self._model.index_of(name)
        if not index.isValid():
            return
        above = index.parent()
        while above.isValid():
            self._tree.expand(above)
            above = above.parent()
        self._tree.setCurrentIndex(index)
        self._tree.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    @Slot()
    def _on_theme(self) -> None:
        self._glass.setIcon(icon("search", "text-3"))
        self._plate.setPixmap(_plate_pixmap())
        self._on_row(self._tree.currentIndex(), QModelIndex())
        self._tree.viewport().update()

    # --- what the user does ---------------------------------------------------------------------------------------

    @Slot()
    def _on_filter(self) -> None:
        open_before = {name for name in self._model.names() if self._tree.isExpanded(self._model.index_of(name))}
        current = self._model.layer(self._tree.currentIndex())
        was_filtered = self._model.filtered()
        self._model.set_filter(self._filter.text(), usable=self._usable.isChecked())
        if self._model.filtered() and self._filter.text().strip():
            self._tree.expandAll()
        elif not was_filtered or not self._filter.text().strip():
            for name in open_before if not was_filtered else ():
                self._tree.expand(self._model.index_of(name))
        shown = self._model.rowCount() > 0
        self._tree.setVisible(shown)
        self._nothing.setVisible(not shown and self._summary is not None)
        if current is not None:
            self._reveal(current.name)

    @Slot(QModelIndex, QModelIndex)
    def _on_row(self, current: QModelIndex, _before: QModelIndex) -> None:
        layer = self._model.layer(current)
        self._reason_name.setText("" if layer is None else f"{layer.name} {_FIT_WORDS[layer.fit]}")
        self._reason.set_full_text("" if layer is None else layer.reason)
        if layer is None:
            self._reason_icon.setPixmap(QPixmap())
        else:
            name, token = FIT_ICON[layer.fit]
            self._reason_icon.setPixmap(icon_pixmap(name, token, size=16, density=2))

    @Slot(QModelIndex)
    def _on_toggled(self, index: QModelIndex) -> None:
        layer = self._model.layer(index)
        if layer is not None:
            self._model.setData(index.siblingAtColumn(TICK), None, Qt.ItemDataRole.CheckStateRole)

    @Slot(QModelIndex)
    def _on_alone(self, index: QModelIndex) -> None:
        layer = self._model.layer(index)
        if layer is None or index.column() == TICK:
            return
        if layer.fit == "unusable":
            self._tree.setExpanded(index.siblingAtColumn(0), not self._tree.isExpanded(index.siblingAtColumn(0)))
        elif self._model.ticks() != (layer.name,):
            self._model.set_ticks([layer.name])
            self._on_ticked()

    @Slot()
    def _on_ticked(self) -> None:
        self.layers_chosen.emit(self._model.ticks())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tree.fit_columns(self.width())
        self._classes.setVisible(self.width() >= theme().px(260))


def _plate_pixmap() -> QPixmap:
    """Return the model's icon on its plate."""
    density = 2
    pixmap = QPixmap(40 * density, 40 * density)
    pixmap.setDevicePixelRatio(density)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(theme().color("raised-line"))
    painter.setBrush(theme().color("raised"))
    painter.drawRoundedRect(QRectF(0.5, 0.5, 39, 39), 8, 8)
    painter.drawPixmap(QPointF(10, 10), icon_pixmap("model", "text", size=20, density=density))
    painter.end()
    return pixmap
