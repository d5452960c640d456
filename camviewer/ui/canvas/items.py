"""What lies in the scene: the image and the heat map over it. One scene unit is one image pixel."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from camviewer.ui.canvas.heatmap import HeatMap, colours, step_of
from camviewer.ui.canvas.pyramid import Pyramid
from camviewer.ui.canvas.records import ViewMode
from camviewer.ui.qimage import indexed_image, screen_image, set_table
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)

NEAREST_FROM = 2.0
"""From this zoom on, pixels are shown as squares."""

DIM = 0.62
"""How dark the image gets under *No positive evidence*."""

_MARGIN, _MARGIN_LARGE, _LARGE = 0.25, 0.03, 2_500_000
"""Part of the visible area that is converted around it, so that small moves need no further conversion; the smaller
part where the visible area has more than `_LARGE` pixels."""


@dataclass(slots=True)
class _Patch:
    """A part of one level, ready to be painted; `area` in image pixels."""

    level: int
    area: QRectF
    image: QImage


class ImageItem(QGraphicsItem):
    """The image, from the level of its pyramid that suits the zoom."""

    def __init__(self) -> None:
        super().__init__()
        self._pyramid: Pyramid | None = None
        self._patch: _Patch | None = None
        self._dim = 0.0
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def set_pyramid(self, pyramid: Pyramid | None) -> None:
        """Show another image, or none."""
        self.prepareGeometryChange()
        self._pyramid, self._patch = pyramid, None
        self.update()

    def refresh(self) -> None:
        """Forget what was converted, because better levels have arrived."""
        self._patch = None
        self.update()

    def set_dim(self, dim: float) -> None:
        """Darken the image by this much, 0..1."""
        self._dim = dim
        self.update()

    def boundingRect(self) -> QRectF:
        if self._pyramid is None:
            return QRectF()
        return QRectF(0, 0, *self._pyramid.size)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        try:
            self._paint(painter, option.exposedRect)
        except Exception:
            log.exception("the image could not be painted")

    def _paint(self, painter: QPainter, exposed: QRectF) -> None:
        if self._pyramid is None:
            return
        zoom = QStyleOptionGraphicsItem.levelOfDetailFromTransform(painter.worldTransform())
        zoom *= painter.device().devicePixelRatioF()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < NEAREST_FROM)
        patch = self._patch_for(exposed & self.boundingRect(), zoom)
        if patch is not None:
            painter.drawImage(patch.area, patch.image)
        if self._dim > 0:
            painter.fillRect(self.boundingRect(), theme().color("readout", self._dim))

    def _patch_for(self, wanted: QRectF, zoom: float) -> _Patch | None:
        """Return a converted part that holds `wanted`; whole pixels of the level, with a margin."""
        if self._pyramid is None or wanted.isEmpty():
            return None
        pixels, px, py = self._pyramid.level(zoom)
        key = pixels.shape[1]
        if self._patch is not None and self._patch.level == key and self._patch.area.contains(wanted):
            return self._patch
        large = wanted.width() * wanted.height() / (px * py) > _LARGE
        margin = _MARGIN_LARGE if large else _MARGIN
        more_x, more_y = wanted.width() * margin, wanted.height() * margin
        grown = wanted.adjusted(-more_x, -more_y, more_x, more_y) & self.boundingRect()
        x0, y0 = max(0, int(grown.left() / px) - 1), max(0, int(grown.top() / py) - 1)
        x1 = min(pixels.shape[1], int(np.ceil(grown.right() / px)) + 1)
        y1 = min(pixels.shape[0], int(np.ceil(grown.bottom() / py)) + 1)
        area = QRectF(x0 * px, y0 * py, (x1 - x0) * px, (y1 - y0) * py)
        self._patch = _Patch(key, area, screen_image(pixels[y0:y1, x0:x1]))
        return self._patch


class HeatItem(QGraphicsItem):
    """The heat map: an indexed image of at most 1024 pixels a side, whose 256 colours carry all its looks."""

    def __init__(self) -> None:
        super().__init__()
        self._heat: HeatMap | None = None
        self._indexed: QImage | None = None
        self._ready: QImage | None = None
        self._mode: ViewMode = "blend"
        self._colour_map = "viridis"
        self._opacity = 0.6
        self._cut: float | None = None
        self._swipe: float | None = None

    def set_heat(self, heat: HeatMap | None) -> None:
        """Show another map, or none."""
        self.prepareGeometryChange()
        self._heat, self._indexed, self._ready = heat, None, None
        self.update()

    def set_look(
        self, *, mode: ViewMode, colour_map: str, opacity: float, cut: float | None = None, swipe: float | None = None
    ) -> None:
        """Change the colours alone.

        Args:
            mode: of the view; ``original`` shows nothing, ``heatmap`` is opaque.
            colour_map: name of the table.
            opacity: of the strongest value, 0..1.
            cut: raw value below which nothing is shown; None shows all.
            swipe: x in image pixels from which the map is shown, in the mode ``swipe``.
        """
        if cut != self._cut:
            self._indexed = None
        self._mode, self._colour_map, self._opacity, self._cut, self._swipe = mode, colour_map, opacity, cut, swipe
        self._ready = None
        self.update()

    def indexed(self) -> QImage | None:
        """Return the indexed image with its present colours."""
        if self._heat is None:
            return None
        heat = self._heat
        step = None if self._cut is None else (step_of(self._cut, heat.high) if self._cut <= heat.high else 256)
        table = colours(self._colour_map, self._opacity, alone=self._mode == "heatmap", cut=step)
        if self._indexed is None:
            indices = heat.indices if self._cut is None else heat.indices_from(self._cut)
            self._indexed = indexed_image(indices, table)
        else:
            set_table(self._indexed, table)
        return self._indexed

    def boundingRect(self) -> QRectF:
        if self._heat is None:
            return QRectF()
        return QRectF(0, 0, *self._heat.image_size)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        try:
            self._paint(painter)
        except Exception:
            log.exception("the heat map could not be painted")

    def _paint(self, painter: QPainter) -> None:
        if self._heat is None or self._mode == "original" or not self._heat.positive:
            return
        if self._ready is None:
            image = self.indexed()
            if image is None:
                return
            self._ready = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        x0, y0, x1, y1 = self._heat.geometry.frame
        seen = QRectF(x0, y0, x1 - x0, y1 - y0)
        if self._mode == "swipe" and self._swipe is not None:
            seen.setLeft(max(x0, min(self._swipe, x1)))
        if seen.isEmpty():
            return
        painter.save()
        painter.setClipRect(seen, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._mode == "heatmap":
            painter.fillRect(seen, QColor(0, 0, 0))
        painter.drawImage(self.boundingRect(), self._ready)
        painter.restore()
