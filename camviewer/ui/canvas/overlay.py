"""The regions on the canvas: what is shown, how it is painted, what lies under the pointer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QTransform

from camviewer.images.geometry import Size
from camviewer.project.records import Box, Mask
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.geometry import Grip, Rect, grip_at, near_edge, rect_of
from camviewer.ui.canvas.outline import DOUBLED_UP_TO, MaskOutline
from camviewer.ui.canvas.records import Region

GRIP = 14.0 / 2
"""Reach of a handle around its middle, in screen pixels."""


class RegionLayer:
    """Boxes and masks with one selection. Coordinates come in as image pixels with the transform to the screen.

    Attributes:
        selected: key of the selected region, or None.
        visible: whether any region is shown.
        fill: opacity of the masks' filling, 0..1.
        moving: key and edges of the box that is being dragged.
    """

    def __init__(self) -> None:
        self.selected: Hashable | None = None
        self.visible = True
        self.fill = 0.0
        self.moving: tuple[Hashable, Rect] | None = None
        self._regions: tuple[Region, ...] = ()
        self._outlines: dict[Hashable, MaskOutline] = {}
        self._rasters: dict[Hashable, tuple[tuple[object, ...], QImage]] = {}

    def set_regions(self, regions: Sequence[Region], selected: Hashable | None) -> None:
        """Show `regions`. Outlines of masks that did not change are kept."""
        before = {region.key: region.shape for region in self._regions}
        kept = {}
        for region in regions:
            if isinstance(region.shape, Mask):
                same = _same_pixels(before.get(region.key), region.shape)
                outline = self._outlines.get(region.key) if same else None
                kept[region.key] = outline if outline is not None else MaskOutline(region.shape.pixels)
        self._regions, self._outlines, self.selected = tuple(regions), kept, selected
        self._rasters = {key: found for key, found in self._rasters.items() if key in kept}

    def replace(self, region: Region) -> None:
        """Show `region` in the place of the one with the same key."""
        self._regions = tuple(region if r.key == region.key else r for r in self._regions)

    def region(self, key: Hashable | None) -> Region | None:
        """Return the region of a key."""
        return next((region for region in self._regions if region.key == key), None) if key is not None else None

    def mask_of(self, class_id: int) -> Region | None:
        """Return the mask of a class."""
        masks = (region for region in self._regions if isinstance(region.shape, Mask))
        return next((region for region in masks if region.shape.class_id == class_id), None)

    def only_mask(self) -> Region | None:
        """Return the mask where there is exactly one."""
        masks = [region for region in self._regions if isinstance(region.shape, Mask)]
        return masks[0] if len(masks) == 1 else None

    def mask_at(self, point: QPointF) -> Region | None:
        """Return the smallest shown mask under an image point."""
        best: tuple[int, Region] | None = None
        for region in self._regions:
            if not isinstance(region.shape, Mask) or not region.visible or not self.visible:
                continue
            pixels = region.shape.pixels
            height, width = pixels.shape
            if 0 <= point.x() < width and 0 <= point.y() < height and pixels[int(point.y()), int(point.x())]:
                area = int(np.count_nonzero(pixels))
                best = (area, region) if best is None or area < best[0] else best
        return best[1] if best is not None else None

    def keys(self) -> list[Hashable]:
        """Return the keys of the shown regions, in the order of the table."""
        return [region.key for region in self._regions if region.visible] if self.visible else []

    def selected_box(self) -> Region | None:
        """Return the selected region if it is a box."""
        region = self.region(self.selected)
        return region if region is not None and isinstance(region.shape, Box) else None

    def rect(self, region: Region) -> Rect:
        """Return the edges of a box region, as they are while it is dragged."""
        if self.moving is not None and self.moving[0] == region.key:
            return self.moving[1]
        assert isinstance(region.shape, Box)
        return rect_of(region.shape)

    def grip(self, position: QPointF, to_screen: QTransform) -> Grip | None:
        """Return what of the selected box lies under a point of the screen."""
        region = self.selected_box()
        if region is None or not region.visible or not self.visible:
            return None
        return grip_at(on_screen(self.rect(region), to_screen), position.x(), position.y(), reach=GRIP)

    def hit(
        self, position: QPointF, to_screen: QTransform, size: Size, *, skip: Hashable | None = None
    ) -> Hashable | None:
        """Return the key of the region under a point of the screen: lines first, then insides, the smallest wins."""
        at = to_screen.inverted()[0].map(position)
        insides: list[tuple[float, Hashable]] = []
        for region in reversed(self._regions):
            if not self.visible or not region.visible or (skip is not None and region.key == skip):
                continue
            if isinstance(region.shape, Mask):
                height, width = region.shape.pixels.shape
                if 0 <= at.x() < width and 0 <= at.y() < height and region.shape.pixels[int(at.y()), int(at.x())]:
                    insides.append((region.share(size), region.key))
                continue
            rect = on_screen(rect_of(region.shape), to_screen)
            if near_edge(rect, position.x(), position.y(), reach=GRIP / 2 + 1):
                return region.key
            if rect.x0 <= position.x() <= rect.x1 and rect.y0 <= position.y() <= rect.y1:
                insides.append((region.share(size), region.key))
        return min(insides, key=lambda pair: pair[0])[1] if insides else None

    def paint(self, painter: QPainter, to_screen: QTransform, room: QRectF) -> None:
        """Paint all shown regions in screen pixels, the selected one on top, at least where `room` reaches."""
        if not self.visible:
            return
        shown = [region for region in self._regions if region.visible]
        for region in sorted(shown, key=lambda r: r.key == self.selected):
            chosen = region.key == self.selected
            colour = region.colour or annotate.PLAIN
            if isinstance(region.shape, Mask):
                self._paint_mask(painter, to_screen, region, colour, room)
                continue
            rect = on_screen(self.rect(region), to_screen)
            annotate.paint_box(painter, rect, colour, touched=region.touched)
            if chosen:
                annotate.paint_handles(painter, rect)

    def paint_tag(self, painter: QPainter, to_screen: QTransform, room: QRectF) -> None:
        """Paint the name of the selected region, inside `room`."""
        region = self.region(self.selected)
        if region is None or not region.visible or not self.visible:
            return
        if isinstance(region.shape, Mask):
            corner = self._outlines[region.key].corner
            if corner is None:
                return
            anchor = to_screen.map(QPointF(*corner))
        else:
            rect = on_screen(self.rect(region), to_screen)
            anchor = QPointF(rect.x0, rect.y0)
        annotate.paint_tag(painter, anchor, region.name, region.colour or annotate.PLAIN, room)

    def _paint_mask(self, painter: QPainter, to_screen: QTransform, region: Region, colour: str, room: QRectF) -> None:
        zoom = to_screen.m11() * painter.device().devicePixelRatioF()
        traced = self._outlines[region.key].trace(zoom, to_screen.inverted()[0].mapRect(room))
        painter.save()
        painter.setTransform(to_screen, True)
        if traced.edges is not None:
            look = (traced, colour, region.touched, self.fill)
            if region.key not in self._rasters or self._rasters[region.key][0] != look:
                image = annotate.edges_image(traced.edges, colour, touched=region.touched, fill=self.fill)
                self._rasters[region.key] = (look, image)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            painter.drawImage(traced.raster, self._rasters[region.key][1])
        elif not traced.path.isEmpty():
            if self.fill > 0:
                tint = QColor(colour)
                tint.setAlphaF(self.fill)
                painter.fillPath(traced.path, tint)
            pen = annotate.stroke(colour, annotate.MASK_WIDTH, touched=region.touched)
            annotate.paint_path(painter, traced.path, pen, annotate.MASK_WIDTH)
        painter.restore()


def _same_pixels(before: Box | Mask | None, after: Mask) -> bool:
    """Return whether an outline can be kept; comparing is faster than tracing a whole mask."""
    if before is after or not isinstance(before, Mask):
        return before is after
    small = after.pixels.size <= DOUBLED_UP_TO
    return before.pixels is after.pixels or (small and np.array_equal(before.pixels, after.pixels))


def on_screen(rect: Rect, to_screen: QTransform) -> Rect:
    """Return edges in image pixels as edges on the screen."""
    start, end = to_screen.map(QPointF(rect.x0, rect.y0)), to_screen.map(QPointF(rect.x1, rect.y1))
    return Rect(start.x(), start.y(), end.x(), end.y())
