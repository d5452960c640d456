"""Units: the channels that speak for the class most, with weight, share of the score and their own map."""

from __future__ import annotations

import logging

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QFontMetricsF,
    QHideEvent,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractButton, QLayout, QLayoutItem, QScrollArea, QSizePolicy, QWidget

from camviewer.images.geometry import Geometry
from camviewer.ui.canvas.heatmap import colours, quantise
from camviewer.ui.canvas.numbers import percent, raw
from camviewer.ui.controls import IconButton, surface
from camviewer.ui.icons import set_icon
from camviewer.ui.qimage import screen_image
from camviewer.ui.sections import EmptyState, Section
from camviewer.ui.theme import theme
from camviewer.workers.jobs import ClassUnit, ClassUnits

log = logging.getLogger(__name__)

TILE = QSize(76, 57)
_WORDS = 34
_GAP = 16
_ROWS_OPEN = 3
_OPACITY = 0.8


def pooling_words(units: ClassUnits) -> str:
    """Return what the class scores when the same features are pooled by their mean and by their maximum."""
    names = {"gap": "Mean pooling (GAP)", "gmp": "max pooling (GMP)"}
    said = [f"{names[found.kind]} of these features: {found.score:.3g}, rank {found.rank}" for found in units.poolings]
    return ("; ".join(said) + ".") if said else ""


class UnitsPanel(Section):
    """Thumbnails of the class's units.

    Signals:
        looked_at: whether the panel is on screen and unfolded.
        unit_chosen: (`ClassUnit`, `Geometry`) whose map is to be shown on the canvas, or (None, None).
    """

    unit_chosen = Signal(object, object)
    looked_at = Signal(bool)

    def __init__(self) -> None:
        self._sort = IconButton("sort", "Sort by weight", tip="Sort by weight instead of share", checkable=True)
        self._more = IconButton("chevron-down", "Show more units", checkable=True)
        super().__init__("Units", "units", actions=(self._sort, self._more))
        self._units: ClassUnits | None = None
        self._class_name = ""
        self._pixels: NDArray[np.uint8] | None = None
        self._tiles: list[UnitTile] = []
        self._row = _Grid()
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        holder = surface(QWidget(), "panel")
        holder.setLayout(self._row)
        surface(self._area, "panel")
        self._area.setWidget(holder)
        self._empty = EmptyState("units", "No units yet", "They follow the map of a class.")
        self.add(self._area)
        self.add(self._empty)
        self.folded.connect(self._on_seen)
        self._sort.toggled.connect(self._on_order)
        self._more.toggled.connect(self._on_more)
        self._show()

    def set_image(self, pixels: NDArray[np.uint8] | None) -> None:
        """Set the picture behind the units' maps, upright RGB."""
        self._pixels = pixels

    def set_units(self, units: ClassUnits | None, *, class_name: str = "") -> None:
        """Show the units of a class, or none."""
        self._units, self._class_name = units, class_name
        self.setToolTip(pooling_words(units) if units is not None else "")
        self._build()

    def set_reason(self, reason: str) -> None:
        """Say why there can be no units; empty when there can."""
        self._empty.set_words("No units" if reason else "No units yet", reason or "They follow the map of a class.")

    def units(self) -> list[ClassUnit]:
        """Return the units in the order shown."""
        listed = list(self._units.units) if self._units is not None else []
        return sorted(listed, key=lambda unit: -unit.weight) if self._sort.isChecked() else listed

    def tiles(self) -> list[UnitTile]:
        """Return the tiles, in order."""
        return self._tiles

    def _build(self) -> None:
        while (item := self._row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._tiles = []
        units = self._units
        if units is not None and self._pixels is not None:
            small = _thumbnail(self._pixels)
            for unit in self.units():
                tile = UnitTile(unit, _blended(small, unit, units.geometry), self._class_name)
                tile.toggled.connect(self._on_tile)
                self._row.addWidget(tile)
                self._tiles.append(tile)
        self._show()

    def _show(self) -> None:
        has = bool(self._tiles)
        self._area.setVisible(has)
        self._empty.setVisible(not has)
        self._sort.setEnabled(has)
        self._lay_out()

    def _lay_out(self) -> None:
        across = self._row.across(self._area.viewport().width())
        rows = -(-len(self._tiles) // across) if across else 0
        shown = min(rows, _ROWS_OPEN if self._more.isChecked() else 1)
        height = theme().px(TILE.height() + _WORDS)
        self._area.setFixedHeight(max(1, shown) * height + max(0, shown - 1) * 8 + 4)
        policy = Qt.ScrollBarPolicy
        fits = not self._more.isChecked() or rows <= _ROWS_OPEN
        self._area.setVerticalScrollBarPolicy(policy.ScrollBarAlwaysOff if fits else policy.ScrollBarAsNeeded)
        self._more.setEnabled(rows > 1)
        for number, tile in enumerate(self._tiles):
            # What is folded away is not reached by Tab.
            tile.setVisible(self._more.isChecked() or number < across)
        self._say(across)

    def _say(self, across: int) -> None:
        units = self._units
        if units is None or not self._tiles:
            self.set_qualifier("")
            return
        shown = self._tiles if self._more.isChecked() else self._tiles[:across]
        shares = [tile.unit.share for tile in shown]
        words = f"{len(shown)} of {units.total:,}"
        if all(share is not None for share in shares):
            part = sum(share for share in shares if share is not None)
            score = f"the {self._class_name} score" if self._class_name else "the score"
            words += f" carry {percent(part)} of {score}"
        self.set_qualifier(words)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._on_seen()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.looked_at.emit(False)

    @Slot()
    def _on_seen(self) -> None:
        self.looked_at.emit(self.isVisible() and not self.is_folded())

    @Slot(bool)
    def _on_order(self, _by_weight: bool) -> None:
        self._build()

    @Slot(bool)
    def _on_more(self, opened: bool) -> None:
        name = "Show fewer units" if opened else "Show more units"
        self._more.setAccessibleName(name)
        self._more.setToolTip(name)
        set_icon(self._more, "chevron-up" if opened else "chevron-down")
        self._area.verticalScrollBar().setValue(0)
        self._lay_out()

    @Slot(bool)
    def _on_tile(self, checked: bool) -> None:
        tile = self.sender()
        if not isinstance(tile, UnitTile) or self._units is None:
            return
        if checked:
            for other in self._tiles:
                if other is not tile and other.isChecked():
                    other.blockSignals(True)
                    other.setChecked(False)
                    other.blockSignals(False)
            self.unit_chosen.emit(tile.unit, self._units.geometry)
        else:
            self.unit_chosen.emit(None, None)

    def release(self) -> None:
        """Let go of the chosen unit without emitting, because another map is shown."""
        for tile in self._tiles:
            tile.blockSignals(True)
            tile.setChecked(False)
            tile.blockSignals(False)


class UnitTile(QAbstractButton):
    """One unit; pressing it shows its map on the canvas, pressing again goes back."""

    def __init__(self, unit: ClassUnit, picture: QImage, class_name: str) -> None:
        super().__init__()
        self.unit = unit
        self._picture = picture
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        share = "" if unit.share is None else f", {percent(unit.share, decimals=1)} of the {class_name} score"
        self.setAccessibleName(f"Unit {unit.unit}, weight {raw(unit.weight)}{share}")
        self.setToolTip(
            f"Unit {unit.unit}: weight {raw(unit.weight)} × activation {raw(unit.pooled)} = "
            f"{raw(unit.contribution)}{share}\nIts map is scaled to its own maximum. Press to see it on the image"
        )

    def sizeHint(self) -> QSize:
        return QSize(theme().px(TILE.width()) + 4, theme().px(TILE.height() + _WORDS))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        except Exception:
            log.exception("a unit could not be painted")
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(2, 2, self.width() - 4, colors.px(TILE.height()))
        clip = QPainterPath()
        clip.addRoundedRect(frame, 4, 4)
        painter.save()
        painter.setClipPath(clip)
        size = self._picture.size().scaled(frame.size().toSize(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
        target = QRectF(0, 0, size.width(), size.height())
        target.moveCenter(frame.center())
        painter.drawImage(target, self._picture)
        painter.restore()
        if self.isChecked() or self.hasFocus() or self.underMouse():
            token = "accent-text" if self.isChecked() or self.hasFocus() else "outline"
            painter.setPen(QPen(colors.color(token), 2 if token == "accent-text" else 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame.adjusted(-1, -1, 1, 1), 5, 5)
        strong, quiet = colors.font("section"), colors.font("caption")
        line = QFontMetricsF(strong).height()
        y = frame.bottom() + 3 + QFontMetricsF(strong).ascent()
        painter.setFont(strong)
        painter.setPen(colors.color("text"))
        painter.drawText(QPointF(frame.left(), y), f"#{self.unit.unit}")
        painter.setFont(colors.font("body"))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop
        if self.unit.share is not None:
            painter.setPen(colors.color("text-2"))
            share = QRectF(frame.left(), frame.bottom() + 3, frame.width(), line)
            painter.drawText(share, right, percent(self.unit.share, decimals=1))
        painter.setFont(quiet)
        painter.setPen(colors.color("text-3"))
        painter.drawText(QPointF(frame.left(), y + line), f"w {raw(self.unit.weight)}")


class _Grid(QLayout):
    """Tiles in rows, spread so that a whole number fits."""

    def __init__(self) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def _tile(self) -> QSize:
        # Not the item's own hint, which is nothing while its widget is hidden.
        return QSize(theme().px(TILE.width()) + 4, theme().px(TILE.height() + _WORDS))

    def across(self, width: int) -> int:
        """Return how many tiles stand beside each other."""
        return max(1, (width + _GAP) // (self._tile().width() + _GAP))

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        return self._tile()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        rows = -(-len(self._items) // self.across(width))
        return rows * self._tile().height() + max(0, rows - 1) * 8 + 4

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        across, tile = self.across(rect.width()), self._tile()
        free = rect.width() - across * tile.width()
        gap = min(2 * _GAP, free // (across - 1)) if across > 1 else 0
        for number, item in enumerate(self._items):
            row, column = divmod(number, across)
            place = QPoint(rect.left() + column * (tile.width() + gap), rect.top() + row * (tile.height() + 8))
            item.setGeometry(QRect(place, tile))


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture at twice the tile's size."""
    height, width = pixels.shape[:2]
    scale = min(1.0, max(2 * TILE.width() / width, 2 * TILE.height() / height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _blended(small: NDArray[np.uint8], unit: ClassUnit, geometry: Geometry) -> QImage:
    """Return the thumbnail with the unit's map over it, scaled to the map's own maximum."""
    height, width = small.shape[:2]
    values = geometry.upsample(unit.values, size=(width, height))
    table = colours("viridis", _OPACITY)[quantise(values, max(0.0, float(values.max())))]
    tint = np.stack([(table >> shift) & 255 for shift in (16, 8, 0)], axis=-1).astype(np.float32)
    alpha = (table >> 24).astype(np.float32)[..., None] / 255
    ground = small.astype(np.float32) * 0.75
    return screen_image(np.clip(ground * (1 - alpha) + tint * alpha, 0, 255).astype(np.uint8))
