"""numpy to QImage and back: the one place that knows about strides, formats and who owns the memory.

Every function copies, so that neither side can be freed or painted on behind the other's back. What PySide6 leaves
to the caller and this module settles: the row length is always given (without it a 32-bit-aligned one is assumed), the
array is contiguous and of the right size (a short buffer is read past its end), and an `Indexed8` image always
carries all 256 colours (drawing one without a table crashes Qt).
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

Bytes = NDArray[np.uint8]


def rgb_image(pixels: Bytes) -> QImage:
    """Return RGB (``[H, W, 3]``), RGBA (``[H, W, 4]``, straight alpha) or grey (``[H, W]``) bytes as a QImage.

    Raises:
        ValueError: for another type or shape, or no pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ValueError(f"uint8 pixels are needed, not {pixels.dtype} {pixels.shape}")
    formats = {3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    if pixels.ndim == 2:
        image_format = QImage.Format.Format_Grayscale8
    elif pixels.shape[2] in formats:
        image_format = formats[pixels.shape[2]]
    else:
        raise ValueError(f"3 or 4 channels are needed, not {pixels.shape[2]}")
    return _copied(pixels, image_format)


def screen_image(pixels: Bytes) -> QImage:
    """Return RGB ``[H, W, 3]`` in the format that is painted fastest (32 bit, opaque).

    Raises:
        ValueError: for another type or shape, or no pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"uint8 RGB pixels are needed, not {pixels.dtype} {pixels.shape}")
    # Blue, green, red, 255 in memory is 0xffRRGGBB on little-endian machines, several times faster than Qt's own way.
    if sys.byteorder == "little":
        quads = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGRA), dtype=np.uint8)
        return _copied(quads, QImage.Format.Format_RGB32)
    return rgb_image(pixels).convertToFormat(QImage.Format.Format_RGB32)


def indexed_image(indices: Bytes, table: NDArray[np.uint32]) -> QImage:
    """Return an `Indexed8` image of `indices` ``[H, W]`` with the colours of `table`.

    Args:
        table: 256 entries ``0xAARRGGBB``, straight alpha.

    Raises:
        ValueError: for another type or shape, no pixels, or a table that is not complete.
    """
    if indices.dtype != np.uint8 or indices.ndim != 2 or indices.size == 0:
        raise ValueError(f"uint8 indices [H, W] are needed, not {indices.dtype} {indices.shape}")
    image = _copied(indices, QImage.Format.Format_Indexed8)
    set_table(image, table)
    return image


def set_table(image: QImage, table: NDArray[np.uint32]) -> None:
    """Replace the 256 colours of an `Indexed8` image.

    Raises:
        ValueError: when `table` does not hold exactly 256 entries.
    """
    if table.shape != (256,):
        raise ValueError(f"256 colours are needed, not {table.shape}")
    image.setColorTable(table.astype(np.uint32).tolist())


def argb_table(colours: Bytes, alpha: NDArray[np.floating]) -> NDArray[np.uint32]:
    """Return ``0xAARRGGBB`` entries of `colours` ``[256, 3]`` and `alpha` ``[256]`` in 0..1."""
    parts = colours.astype(np.uint32)
    opacity = np.rint(np.clip(alpha, 0.0, 1.0) * 255).astype(np.uint32)
    table: NDArray[np.uint32] = (opacity << 24) | (parts[:, 0] << 16) | (parts[:, 1] << 8) | parts[:, 2]
    return table


def pixels_of(image: QImage) -> Bytes:
    """Return a QImage's colours as RGBA ``[H, W, 4]``, straight alpha; a copy."""
    straight = image.convertToFormat(QImage.Format.Format_RGBA8888)
    width, height, row = straight.width(), straight.height(), straight.bytesPerLine()
    flat = np.frombuffer(straight.constBits(), dtype=np.uint8, count=row * height)
    return flat.reshape(height, row)[:, : width * 4].reshape(height, width, 4).copy()


def _copied(pixels: Bytes, image_format: QImage.Format) -> QImage:
    rows = np.ascontiguousarray(pixels)
    height, width = rows.shape[:2]
    return QImage(rows.data, width, height, rows.strides[0], image_format).copy()
