"""The pictures of the gallery: a cache bounded in bytes between the thumbnail pool and the view."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPixmap

from camviewer.ui.qimage import rgb_image
from camviewer.workers.thumbnails import Thumbnail, ThumbnailPool

THUMB = QSize(116, 87)
CACHE_BYTES = 96 << 20


class PictureCache(QObject):
    """Thumbnails as pixmaps, cut to the gallery's frame; the least recently shown go first.

    Signals:
        picture_changed: path of a thumbnail that arrived.
    """

    picture_changed = Signal(object)

    def __init__(self, parent: QObject | None = None, *, limit: int = CACHE_BYTES) -> None:
        super().__init__(parent)
        self.pool = ThumbnailPool(self)
        self.pool.ready.connect(self._on_ready)
        self._limit = limit
        self._bytes = 0
        self._density = 1.0
        self._pictures: OrderedDict[Path, QPixmap] = OrderedDict()
        self._errors: dict[Path, str] = {}

    @property
    def used(self) -> int:
        """Bytes held."""
        return self._bytes

    def get(self, path: Path) -> QPixmap | None:
        """Return a picture that is there."""
        picture = self._pictures.get(path)
        if picture is not None:
            self._pictures.move_to_end(path)
        return picture

    def failed(self, path: Path) -> str:
        """Return why there is no picture; empty if it was not tried or is there."""
        return self._errors.get(path, "")

    def side(self, density: float) -> int:
        """Return the longer side that thumbnails are asked for, in pixels of a screen of this density."""
        # The frame is filled, so a picture up to twice as wide as it is high stays sharp.
        return round(THUMB.height() * 2 * density)

    def request(self, paths: Iterable[Path], *, density: float) -> None:
        """Read the pictures of `paths` that are not there, first ones first."""
        if density != self._density:
            self.clear()
            self._density = density
        missing = [path for path in paths if path not in self._pictures and path not in self._errors]
        if missing:
            self.pool.request(missing, side=self.side(density))

    def clear(self) -> None:
        """Drop everything: another folder was opened, or the screen's density changed."""
        self.pool.clear()
        self._pictures.clear()
        self._errors.clear()
        self._bytes = 0

    def close(self) -> bool:
        """End the pool; return whether it ended in time."""
        return self.pool.close()

    @Slot(object)
    def _on_ready(self, result: object) -> None:
        if not isinstance(result, Thumbnail):
            return
        if result.pixels is None:
            self._errors[result.path] = result.error
        else:
            size = THUMB * self._density
            image = rgb_image(result.pixels).scaled(
                size,
                Qt.AspectRatioMode.KeepAspectRatioByExpanding,
                Qt.TransformationMode.SmoothTransformation,
            )
            left, top = (image.width() - size.width()) // 2, (image.height() - size.height()) // 2
            picture = QPixmap.fromImage(image.copy(QRect(left, top, size.width(), size.height())))
            picture.setDevicePixelRatio(self._density)
            old = self._pictures.pop(result.path, None)
            if old is not None:
                self._bytes -= _bytes(old)
            self._pictures[result.path] = picture
            self._bytes += _bytes(picture)
            while self._bytes > self._limit and len(self._pictures) > 1:
                _, dropped = self._pictures.popitem(last=False)
                self._bytes -= _bytes(dropped)
        self.picture_changed.emit(result.path)


def _bytes(picture: QPixmap) -> int:
    return picture.width() * picture.height() * 4


def frame_of(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return what part of an image of `size` the frame shows: left, top, width, height as shares of the image."""
    width, height = size
    scale = max(THUMB.width() / width, THUMB.height() / height)
    shown_w, shown_h = THUMB.width() / scale / width, THUMB.height() / scale / height
    return (1 - shown_w) / 2, (1 - shown_h) / 2, shown_w, shown_h
