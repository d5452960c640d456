"""An image in halves: the full size and smaller copies, so that hair and dots do not flicker when zoomed out.

Bilinear drawing below half size skips pixels; area means do not. The full size is the caller's own array, and only
the visible part is ever converted for painting, so 50 megapixels cost a third more memory and no more time.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import Size

Bytes = NDArray[np.uint8]

SMALLEST = 512
"""Halving stops when the longer side is at most this."""

AT_ONCE = 3_000_000
"""Images of up to this many pixels are halved at once (a few milliseconds), larger ones in a thread."""

_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pyramid")


class Pyramid:
    """The levels of one image; level ``k`` is smaller by ``2 ** k``, rounded up."""

    def __init__(self, pixels: Bytes) -> None:
        """Take upright RGB ``[H, W, 3]``, which must not change any more.

        Raises:
            ValueError: when `pixels` is not uint8 RGB, or empty.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(f"uint8 RGB is needed, not {pixels.dtype} {pixels.shape}")
        self._levels = [pixels]
        self._preview: tuple[Bytes, int] | None = None
        self._pending: Future[list[Bytes]] | None = None
        if pixels.shape[0] * pixels.shape[1] <= AT_ONCE:
            self._levels = halved(pixels)
        else:
            # Until the means are there, every n-th pixel stands in for them.
            step = max(1, math.ceil(max(pixels.shape) / 2048))
            self._preview = np.ascontiguousarray(pixels[::step, ::step]), step
            self._pending = _threads.submit(halved, pixels)

    @property
    def size(self) -> Size:
        """(width, height) of the image."""
        height, width = self._levels[0].shape[:2]
        return width, height

    @property
    def pixels(self) -> Bytes:
        """The full size."""
        return self._levels[0]

    def ready(self) -> bool:
        """Return whether all levels are there; takes over those that a thread has finished."""
        if self._pending is not None and self._pending.done():
            self._levels = self._pending.result()
            self._pending, self._preview = None, None
        return self._pending is None

    def level(self, zoom: float) -> tuple[Bytes, float, float]:
        """Return the pixels to draw at `zoom` (screen pixels per image pixel) and the image pixels (x, y) of each.

        It is the smallest level that still has a pixel for each pixel of the screen.
        """
        wanted = max(0, math.floor(math.log2(1 / zoom))) if zoom > 0 else 0
        if not self.ready() and wanted > 0 and self._preview is not None:
            preview, step = self._preview
            return preview, float(step), float(step)
        pixels = self._levels[min(wanted, len(self._levels) - 1)]
        width, height = self.size
        return pixels, width / pixels.shape[1], height / pixels.shape[0]


def halved(pixels: Bytes) -> list[Bytes]:
    """Return `pixels` and its halves by area means, down to `SMALLEST`."""
    levels = [pixels]
    while max(levels[-1].shape[:2]) > SMALLEST:
        height, width = levels[-1].shape[:2]
        size = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return levels
