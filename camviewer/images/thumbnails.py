"""Small pictures of image files, fast enough to fill a gallery while it is scrolled."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from camviewer.images.decode import Pixels, flatten, open_image, orient, read_image
from camviewer.images.geometry import Size


def read_thumbnail(path: Path, *, side: int) -> Pixels:
    """Return an image file upright and small, RGB uint8 ``[h, w, 3]`` whose longer side is at most `side`.

    A JPEG is decoded at a half, a quarter or an eighth of its size where that is still at least twice `side`, which
    is several times faster. An image that is smaller than `side` stays as it is.

    Raises:
        ImageError: as `camviewer.images.decode.read_image`.
    """
    with open_image(path) as source:
        if source.format == "JPEG" and source.image is not None:
            width, height = source.size if source.orientation < 5 else source.size[::-1]
            target = thumbnail_size((width, height), side)
            # Twice the size, so that the reduction below still averages and lines do not alias.
            source.image.draft(None, (2 * target[0], 2 * target[1]))
            source.image.load()
            small = _reduced(flatten(source.image), target)
            return np.require(orient(small, source.orientation), requirements=("C", "W"))
    pixels = read_image(path)
    return _reduced(pixels, thumbnail_size((pixels.shape[1], pixels.shape[0]), side))


def thumbnail_size(size: Size, side: int) -> Size:
    """Return `size` reduced to fit a square of `side`, its aspect kept, each side at least 1; never enlarged."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _reduced(pixels: Pixels, size: Size) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    # The mean over the area of each pixel: no aliasing, no overshoot.
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
