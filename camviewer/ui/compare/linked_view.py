"""The part of one image that every cell of a comparison shows: one zoom, one middle, one picture."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QTransform

from camviewer.ui.canvas.pyramid import Pyramid
from camviewer.ui.canvas.zoom import ZOOM_MAX, ZOOM_MIN
from camviewer.ui.qimage import screen_image


class LinkedView:
    """Cells are rectangles of equal size in the widget; each shows the same part of `image`.

    Attributes:
        image: what is shown; None for nothing.
        zoom: screen pixels per image pixel.
        fitted: whether the whole image is to be shown, whatever the size of a cell.
    """

    def __init__(self) -> None:
        self.image: Pyramid | None = None
        self.zoom = 1.0
        self.fitted = True
        self._middle = QPointF()
        self._patch: tuple[object, QRectF, QImage] | None = None

    def set_image(self, image: Pyramid | None) -> None:
        """Show another image, or nothing."""
        self.image, self._patch = image, None

    def bounds(self) -> QRectF:
        """Return the rectangle of the image, in its pixels; empty for none."""
        return QRectF() if self.image is None else QRectF(0, 0, *self.image.size)

    def fit(self, cell: QRectF) -> None:
        """Show the whole image in cells of the size of `cell`."""
        self.fitted = True
        image = self.bounds()
        if not image.isEmpty():
            self.zoom = _within(min(cell.width() / image.width(), cell.height() / image.height()))
            self._middle = image.center()

    def to_screen(self, cell: QRectF) -> QTransform:
        """Return what takes image points to the widget, in the cell that lies at `cell`."""
        transform = QTransform.fromTranslate(cell.center().x(), cell.center().y())
        transform.scale(self.zoom, self.zoom)
        return transform.translate(-self._middle.x(), -self._middle.y())

    def to_image(self, position: QPointF, cell: QRectF) -> QPointF:
        """Return the image point under a point of the widget."""
        return self.to_screen(cell).inverted()[0].map(position)

    def zoom_at(self, position: QPointF, cell: QRectF, factor: float) -> None:
        """Zoom; the image point under `position` stays there."""
        anchor = self.to_image(position, cell)
        self.zoom, self.fitted = _within(self.zoom * factor), False
        self._move(anchor - (position - cell.center()) / self.zoom)

    def pan(self, step: QPointF) -> None:
        """Move the image by a step in the widget."""
        self.fitted = False
        self._move(self._middle - step / self.zoom)

    def _move(self, middle: QPointF) -> None:
        """Put an image point into the middle of the cells, or the nearest one that is inside."""
        image = self.bounds()
        self._middle = QPointF(
            min(max(middle.x(), image.left()), image.right()), min(max(middle.y(), image.top()), image.bottom())
        )

    def picture(self, cell: QRectF, density: float) -> tuple[QRectF, QImage]:
        """Return the part in sight, the same for all cells, and where it lies in image pixels.

        Args:
            cell: where one of them lies.
            density: screen pixels per pixel of the widget.
        """
        assert self.image is not None
        key = (self.zoom, self._middle.toTuple(), cell.width(), cell.height(), self.image.ready())
        if self._patch is None or self._patch[0] != key:
            pixels, px, py = self.image.level(self.zoom * density)
            seen = self.to_screen(cell).inverted()[0].mapRect(cell) & self.bounds()
            x0, y0 = max(0, int(seen.left() / px) - 1), max(0, int(seen.top() / py) - 1)
            x1 = min(pixels.shape[1], math.ceil(seen.right() / px) + 1)
            y1 = min(pixels.shape[0], math.ceil(seen.bottom() / py) + 1)
            area = QRectF(x0 * px, y0 * py, (x1 - x0) * px, (y1 - y0) * py)
            self._patch = key, area, screen_image(pixels[y0:y1, x0:x1])
        return self._patch[1], self._patch[2]


def _within(zoom: float) -> float:
    return min(max(zoom, ZOOM_MIN), ZOOM_MAX)
