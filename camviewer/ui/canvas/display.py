"""The image with everything that lies on it: heat map, regions, live threshold. It shows; it takes no pointer."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QTransform
from PySide6.QtWidgets import QWidget

from camviewer.project.records import ActivationMap
from camviewer.regions.artefacts import Artefacts
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.artefacts import ArtefactLayer
from camviewer.ui.canvas.geometry import Rect
from camviewer.ui.canvas.heatmap import HeatMap
from camviewer.ui.canvas.items import DIM, HeatItem
from camviewer.ui.canvas.live import live_threshold
from camviewer.ui.canvas.outline import Outline
from camviewer.ui.canvas.overlay import RegionLayer, on_screen
from camviewer.ui.canvas.records import CursorReading, LiveThreshold, Region, ViewMode
from camviewer.ui.canvas.zoom import ZoomView
from camviewer.ui.theme import theme

log = logging.getLogger(__name__)


class DisplayView(ZoomView):
    """One image with heat map, regions and live threshold.

    Signals:
        threshold_found: `LiveThreshold`, after each change of map or rule.
    """

    threshold_found = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heat: HeatMap | None = None
        self._layer = RegionLayer()
        self._artefacts = ArtefactLayer()
        self._rule: RegionRule | None = None
        self._live_outline = Outline([])
        self._live_visible = True
        self._mode: ViewMode = "blend"
        self._colour_map = "viridis"
        self._opacity = 0.6
        self._cut = False
        self._level: float | None = None
        self._swipe = 0.5
        self._hidden = False
        self._cells_shown = False
        self._message = ("", "")
        self._drawing: Rect | None = None
        self._ring = False
        self._heat_item = HeatItem()
        self._scene.addItem(self._heat_item)

    def set_image(self, pixels: NDArray[np.uint8] | None, name: str = "") -> None:
        """Show another image. Its heat map and regions are gone until they are set."""
        self._message = ("", "")
        self._set_pixels(pixels, name)
        self._set_heat(None)
        self.set_artefacts(None)
        self.set_regions(())
        self._restore_view()
        self.find_live()

    def set_regions(self, regions: Sequence[Region], *, selected: Hashable | None = None) -> None:
        """Show `regions` without emitting."""
        self._layer.set_regions(regions, selected)
        self.viewport().update()

    def set_artefacts(self, found: Artefacts | None) -> None:
        """Set the artefacts of the image; None while they are not known."""
        self._artefacts.set_found(found, self._pyramid.size if self._pyramid is not None else (0, 0))
        self.viewport().update()

    def set_artefacts_visible(self, visible: bool) -> None:
        """Show or hide the artefacts."""
        self._artefacts.visible = visible
        self.viewport().update()

    def set_map(self, shown: ActivationMap | None, *, live: bool = True) -> None:
        """Show the heat map of `shown`, with its live threshold if `live`; a map of another image size is not shown."""
        fits = shown is not None and self._pyramid is not None and shown.geometry.image_size == self._pyramid.size
        self._set_heat(HeatMap.of(shown) if shown is not None and fits else None)
        if live:
            self.find_live()

    def _set_heat(self, heat: HeatMap | None) -> None:
        self._heat = heat
        self._heat_item.set_heat(heat)
        self._apply_look()

    def set_selected(self, key: Hashable | None) -> None:
        """Select without emitting."""
        self._layer.selected = key
        self.viewport().update()

    def selected(self) -> Hashable | None:
        """Return the key of the selected region."""
        return self._layer.selected

    def set_rule(self, rule: RegionRule) -> None:
        """Set the rule of the live outline and find it."""
        self._rule = rule
        self.find_live()

    def set_live_visible(self, visible: bool) -> None:
        """Show or hide the live outline."""
        self._live_visible = visible
        self.viewport().update()

    def set_mode(self, mode: ViewMode) -> None:
        """Choose the view."""
        self._mode = mode
        self._apply_look()

    def mode(self) -> ViewMode:
        """Return the view that is chosen."""
        return self._mode

    def set_colour_map(self, name: str) -> None:
        """Choose the colour map."""
        self._colour_map = name
        self._apply_look()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the strongest value."""
        self._opacity = opacity
        self._apply_look()

    def set_cut(self, cut: bool) -> None:
        """Show the heat map only from the threshold on."""
        self._cut = cut
        self._apply_look()

    def set_fill(self, opacity: float) -> None:
        """Set the opacity of the masks' filling."""
        self._layer.fill = opacity
        self.viewport().update()

    def set_overlays_hidden(self, hidden: bool) -> None:
        """Hide everything but the image."""
        self._hidden = hidden
        self._apply_look()

    def set_regions_visible(self, visible: bool) -> None:
        """Show or hide all regions."""
        self._layer.visible = visible
        self.viewport().update()

    def set_cells_shown(self, shown: bool) -> None:
        """Show or hide the borders of the map's cells."""
        self._cells_shown = shown
        self.viewport().update()

    def set_message(self, title: str, text: str = "") -> None:
        """Show two lines where no image is."""
        self._message = (title, text)
        self.viewport().update()

    def heat(self) -> HeatMap | None:
        """Return the map on screen."""
        return self._heat

    def level(self) -> float | None:
        """Return the raw value of the live threshold."""
        return self._level

    def _apply_look(self) -> None:
        mode: ViewMode = "original" if self._hidden else self._mode
        width = self._pyramid.size[0] if self._pyramid else 0
        self._heat_item.set_look(
            mode=mode,
            colour_map=self._colour_map,
            opacity=self._opacity,
            cut=self._level if self._cut else None,
            swipe=self._swipe * width,
        )
        self._image_item.set_dim(DIM if self._nothing_positive() else 0.0)
        self.viewport().update()

    def _nothing_positive(self) -> bool:
        return self._heat is not None and not self._heat.positive and self._mode != "original" and not self._hidden

    def find_live(self) -> None:
        """Find what the rule keeps of the map on screen."""
        self._live_outline, self._level = Outline([]), None
        if self._rule is not None and self._heat is not None:
            live, lines = live_threshold(self._heat, self._rule)
            self._level = live.level
            self._live_outline = Outline(lines)
            self.threshold_found.emit(live)
        elif self._rule is not None:
            self.threshold_found.emit(LiveThreshold(self._rule, None))
        if self._cut:
            self._apply_look()
        self.viewport().update()

    def reading_at(self, position: QPointF) -> CursorReading | None:
        """Return what lies under a point of the viewport; None beside the image."""
        if self._pyramid is None:
            return None
        at = self.to_image(position)
        width, height = self._pyramid.size
        if not (0 <= at.x() < width and 0 <= at.y() < height):
            return None
        x, y = int(at.x()), int(at.y())
        red, green, blue = (int(part) for part in self._pyramid.pixels[y, x])
        value = share = None
        if self._heat is not None:
            # The value at the pixel's centre, as every file that is written has it.
            value = self._heat.value_at(x + 0.5, y + 0.5)
            if value is not None and self._heat.positive:
                share = value / self._heat.high
        return CursorReading(x, y, (red, green, blue), value, share)

    # --- painting -----------------------------------------------------------------------------------------------------

    def drawForeground(self, painter: QPainter, rect: QRectF | object) -> None:
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            to_screen = self.viewportTransform()
            painter.resetTransform()
            self._paint_over(painter, to_screen)
        except Exception:
            log.exception("what lies on the image could not be painted")
        finally:
            painter.restore()

    def _paint_over(self, painter: QPainter, to_screen: QTransform) -> None:
        if self._pyramid is None:
            self._paint_message(painter)
        else:
            self._paint_frame(painter, to_screen)
            if not self._hidden:
                self._paint_overlays(painter, to_screen)
        if self._ring and self.hasFocus():
            painter.setPen(QPen(theme().color("accent-text"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.viewport().rect()).adjusted(1, 1, -1, -1))

    def _paint_message(self, painter: QPainter) -> None:
        title, text = self._message
        if title:
            middle = QPointF(self.viewport().rect().center())
            annotate.paint_words(painter, middle, title, text, on_image=False, width=min(480.0, self.width() - 32.0))

    def _paint_frame(self, painter: QPainter, to_screen: QTransform) -> None:
        """Dim what the network does not see, and draw the edge of what it sees."""
        if self._heat is None or self._pyramid is None or self._hidden or self._mode == "original":
            return
        x0, y0, x1, y1 = self._heat.geometry.frame
        width, height = self._pyramid.size
        if (x0, y0, x1, y1) == (0, 0, width, height) or x1 <= x0 or y1 <= y0:
            return
        image = to_screen.mapRect(QRectF(0, 0, width, height))
        seen = to_screen.mapRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        outside = QPainterPath()
        outside.addRect(image)
        outside.addRect(seen)
        painter.fillPath(outside, theme().color("readout", 0.35))
        edge = annotate.snapped(on_screen(Rect(x0, y0, x1, y1), to_screen))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 3))
        painter.drawRect(edge)
        painter.setPen(QPen(QColor(annotate.PLAIN), 1))
        painter.drawRect(edge)

    def _paint_overlays(self, painter: QPainter, to_screen: QTransform) -> None:
        image = self.image_rect()
        room = QRectF(self.viewport().rect())
        if self._nothing_positive():
            width = min(360.0, max(120.0, image.width() - 16))
            annotate.paint_words(
                painter,
                (image & room).center(),
                "No positive evidence",
                "The whole map is zero or below",
                on_image=True,
                width=width,
            )
        elif self._mode == "swipe" and self._heat is not None:
            self._paint_swipe(painter, image)
        if self._cells_shown:
            self._paint_cells(painter, to_screen)
        self._artefacts.paint(painter, to_screen)
        self._layer.paint(painter, to_screen, room)
        if self._live_visible and self._mode != "original" and self._live_outline:
            painter.save()
            painter.setTransform(to_screen, True)
            annotate.paint_path(painter, self._live_outline.path(self.zoom()), annotate.live_pen(), annotate.LIVE_WIDTH)
            painter.restore()
        self._layer.paint_tag(painter, to_screen, room)
        if self._drawing is not None:
            annotate.paint_box(painter, on_screen(self._drawing, to_screen), annotate.PLAIN, touched=True)

    def _paint_cells(self, painter: QPainter, to_screen: QTransform) -> None:
        """Draw the borders half way between the cells' centres, inside what the network sees."""
        if self._heat is None:
            return
        geometry = self._heat.geometry
        rows, columns = self._heat.cells.shape
        x0, y0, x1, y1 = geometry.frame
        seen = to_screen.mapRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        lines = []
        corners = [to_screen.map(QPointF(*geometry.to_image(n - 0.5, n - 0.5))) for n in range(max(rows, columns) + 1)]
        if len(corners) > 1 and min(abs(corners[1].x() - corners[0].x()), abs(corners[1].y() - corners[0].y())) < 4:
            return  # a grid this fine would be a veil
        for corner in corners[: columns + 1]:
            if seen.left() < corner.x() < seen.right():
                x = math.floor(corner.x()) + 0.5
                lines.append(QLineF(x, seen.top(), x, seen.bottom()))
        for corner in corners[: rows + 1]:
            if seen.top() < corner.y() < seen.bottom():
                y = math.floor(corner.y()) + 0.5
                lines.append(QLineF(seen.left(), y, seen.right(), y))
        for token, alpha, width in (("casing", 0.25, 2.0), ("on-image", 0.5, 1.0)):
            painter.setPen(QPen(theme().color(token, alpha), width))
            painter.drawLines(lines)

    def _paint_swipe(self, painter: QPainter, image: QRectF) -> None:
        x = round(image.left() + self._swipe * image.width()) + 0.5
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 3))
        painter.drawLine(QPointF(x, image.top()), QPointF(x, image.bottom()))
        painter.setPen(QPen(QColor(annotate.PLAIN), 1))
        painter.drawLine(QPointF(x, image.top()), QPointF(x, image.bottom()))
        middle = QPointF(x, (image & QRectF(self.viewport().rect())).center().y())
        painter.setPen(QPen(theme().color("casing", annotate.CASING_ALPHA), 1))
        painter.setBrush(QColor(annotate.PLAIN))
        painter.drawEllipse(middle, 9, 9)
        painter.setPen(QPen(theme().color("casing"), 1.4))
        for side in (-1, 1):
            tip = QPointF(middle.x() + side * 5, middle.y())
            painter.drawLine(tip, tip + QPointF(-side * 2.5, -2.5))
            painter.drawLine(tip, tip + QPointF(-side * 2.5, 2.5))
