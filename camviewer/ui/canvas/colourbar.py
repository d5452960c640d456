"""The row below the canvas: colour map, colour bar in raw numbers, opacity."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFontMetricsF, QIcon, QImage, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QWidget

from camviewer.images.colormaps import table as colour_table
from camviewer.ui.canvas.heatmap import HeatMap
from camviewer.ui.canvas.numbers import percent, raw, tick_label, ticks
from camviewer.ui.choices import LabelledSlider
from camviewer.ui.controls import name_control
from camviewer.ui.painting import painting
from camviewer.ui.qimage import rgb_image
from camviewer.ui.theme import theme

COLOUR_MAPS: tuple[tuple[str, str], ...] = (
    ("viridis", "Viridis"),
    ("cividis", "Cividis"),
    ("magma", "Magma"),
    ("jet", "Jet"),
)
"""Colour maps by name, and as shown. Jet is there because papers use it; it makes edges where the map has none."""

_TIPS = {
    "viridis": "Equal steps look equal, also with colour blindness",
    "cividis": "Made for red-green colour blindness",
    "magma": "From black to white: also readable in grey",
    "jet": "As in many papers; shows edges where the map has none",
}


@lru_cache(maxsize=16)
def strip(name: str) -> QImage:
    """Return a colour map as an image one pixel high, from the smallest positive value to the largest."""
    return rgb_image(np.ascontiguousarray(np.asarray(colour_table(name))[np.newaxis, 1:, :]))


class ColourBar(QWidget):
    """The raw values of the map from smallest to largest: grey below zero, a tick for the threshold, a caret."""

    def __init__(self) -> None:
        super().__init__()
        self._low, self._high = 0.0, 0.0
        self._name = "viridis"
        self._level: float | None = None
        self._value: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colour bar")
        self.setToolTip("Raw values of the map. The tick is the threshold, the caret the value under the pointer.")

    def set_range(self, low: float, high: float) -> None:
        """Show the raw values `low` to `high`; equal numbers mean that there is no map."""
        self._low, self._high = min(low, 0.0), max(high, 0.0)
        self._describe()

    def set_colour_map(self, name: str) -> None:
        """Show another colour map."""
        self._name = name
        self.update()

    def set_level(self, level: float | None) -> None:
        """Show the threshold's raw value."""
        self._level = level
        self._describe()

    def set_value(self, value: float | None) -> None:
        """Show the raw value under the pointer."""
        if value != self._value:
            self._value = value
            self.update()

    def _describe(self) -> None:
        text = "No map" if self._high <= self._low else f"From {raw(self._low)} to {raw(self._high)}"
        if self._level is not None:
            text += f", threshold {raw(self._level)}"
        self.setAccessibleDescription(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, theme().px(46))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, theme().px(46))

    def x_of(self, value: float) -> float:
        """Return where a raw value lies, in pixels from the left."""
        bar = self._bar()
        return bar.left() + bar.width() * (value - self._low) / (self._high - self._low)

    def _bar(self) -> QRectF:
        height = theme().px(8)
        return QRectF(14, (self.height() - height) / 2, max(1.0, self.width() - 28.0), height)

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the colour bar") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        bar = self._bar()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("track"))
        painter.drawRoundedRect(bar, 2, 2)
        if self._high <= self._low:
            return
        if self._high > 0:
            zero = self.x_of(0.0)
            positive = QRectF(zero, bar.top(), bar.right() - zero, bar.height())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(positive, strip(self._name))
        self._paint_scale(painter, bar)
        self._paint_marks(painter, bar)

    def _paint_scale(self, painter: QPainter, bar: QRectF) -> None:
        """Write both ends, then every round number that does not touch its neighbours."""
        colors = theme()
        painter.setFont(colors.font("caption"))
        metrics = QFontMetricsF(painter.font())
        baseline = bar.bottom() + 3 + metrics.ascent() + 2
        values = ticks(self._low, self._high, most=max(2, int(bar.width() / 60)))
        step = min((b - a for a, b in pairwise(values)), default=self._high - self._low)
        labels = [(self._low, raw(self._low)), (self._high, raw(self._high)), (0.0, "0")]
        labels += [(value, tick_label(value, step)) for value in values if value != 0]
        used: list[tuple[float, float]] = []
        for value, text in labels:
            width = metrics.horizontalAdvance(text)
            left = min(max(self.x_of(value) - width / 2, 0.0), self.width() - width)
            if any(left < end + 6 and left + width > start - 6 for start, end in used):
                continue
            used.append((left, left + width))
            ends = value in (self._low, self._high)
            painter.setPen(colors.color("text-2" if ends else "text-3"))
            painter.drawText(QPointF(left, baseline), text)
            painter.setPen(QPen(colors.color("outline"), 1))
            x = round(self.x_of(value)) + (0.5 if value < self._high else -0.5)
            painter.drawLine(QPointF(x, bar.bottom()), QPointF(x, bar.bottom() + 3))

    def _paint_marks(self, painter: QPainter, bar: QRectF) -> None:
        colors = theme()
        painter.setFont(colors.font("column"))
        metrics = QFontMetricsF(painter.font())
        baseline = bar.top() - 7
        free = QRectF()
        if self._level is not None and self._low <= self._level <= self._high:
            x = round(self.x_of(self._level)) + 0.5
            painter.setPen(QPen(colors.color("casing", 0.85), 4))
            painter.drawLine(QPointF(x, bar.top() - 3), QPointF(x, bar.bottom() + 3))
            painter.setPen(QPen(QColor("#FFFFFF"), 2))
            painter.drawLine(QPointF(x, bar.top() - 3), QPointF(x, bar.bottom() + 3))
            text = f"t = {raw(self._level)}"
            width = metrics.horizontalAdvance(text)
            left = min(max(x - width / 2, 0.0), self.width() - width)
            painter.setPen(colors.color("text"))
            painter.drawText(QPointF(left, baseline), text)
            free = QRectF(left - 6, 0, width + 12, bar.top())
        if self._value is not None and self._low <= self._value <= self._high:
            x = self.x_of(self._value)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color("text"))
            top = bar.top() - 5
            painter.drawPolygon(QPolygonF([QPointF(x - 4, top), QPointF(x + 4, top), QPointF(x, top + 4.5)]))
            text = raw(self._value)
            width = metrics.horizontalAdvance(text)
            left = min(max(x - width / 2, 0.0), self.width() - width)
            if not free.intersects(QRectF(left, 0, width, bar.top())):
                painter.setPen(colors.color("text"))
                painter.drawText(QPointF(left, baseline), text)


class HeatRow(QWidget):
    """Colour map, colour bar and opacity.

    Signals:
        colour_map_changed: name of the table.
        opacity_changed: 0..1.
    """

    colour_map_changed = Signal(str)
    opacity_changed = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.bar = ColourBar()
        self._choice = QComboBox()
        name_control(self._choice, "Colour map")
        self._choice.setFixedWidth(theme().px(126))
        for name, title in COLOUR_MAPS:
            self._choice.addItem(_strip_icon(name), title, name)
            self._choice.setItemData(self._choice.count() - 1, _TIPS[name], Qt.ItemDataRole.ToolTipRole)
        self._choice.setIconSize(QSize(20, 10))
        self._choice.currentIndexChanged.connect(self._on_colour_map)
        self._opacity = LabelledSlider(
            "Opacity", minimum=0.0, maximum=1.0, value=0.6, step=0.01, text=percent, tip="Opacity of the heat map"
        )
        self._opacity.setFixedWidth(theme().px(190))
        self._opacity.value_changed.connect(self.opacity_changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 16, 0)
        layout.setSpacing(10)
        layout.addWidget(self._choice)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self._opacity)
        self.setFixedHeight(theme().px(52))

    def set_heat(self, heat: HeatMap | None) -> None:
        """Show the range of another map."""
        self.bar.set_range(heat.low if heat else 0.0, heat.high if heat else 0.0)

    def set_colour_map(self, name: str) -> None:
        """Choose a colour map without emitting."""
        self._choice.blockSignals(True)
        self._choice.setCurrentIndex(max(0, self._choice.findData(name)))
        self._choice.blockSignals(False)
        self.bar.set_colour_map(name)

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity without emitting."""
        self._opacity.set_value(opacity)

    @Slot(int)
    def _on_colour_map(self, _index: int) -> None:
        name = str(self._choice.currentData())
        self.bar.set_colour_map(name)
        self.colour_map_changed.emit(name)


def _strip_icon(name: str) -> QIcon:
    """Return a small picture of a colour map for the list."""
    density = 2
    pixmap = QPixmap(20 * density, 10 * density)
    pixmap.setDevicePixelRatio(density)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
    painter.drawImage(QRectF(0, 0, 20, 10), strip(name))
    painter.end()
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected, QIcon.Mode.Disabled):
        icon.addPixmap(pixmap, mode)
    return icon
