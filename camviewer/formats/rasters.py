"""Masks and pictures as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camviewer.errors import FormatError
from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask


def mask_png(mask: BoolMask) -> bytes:
    """Return a bool mask ``[height, width]`` as an 8-bit grey PNG of 0 and 255."""
    return png(np.where(mask, np.uint8(255), np.uint8(0)))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return grey ``[H, W]`` or RGB ``[H, W, 3]`` pixels as PNG."""
    buffer = io.BytesIO()
    # Photographs gain a few per cent from thorough compression and take ten times as long; masks stay small.
    level = 1 if pixels.ndim == 3 else 6
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def read_mask_png(path: Path, *, size: Size | None = None, name: str = "") -> BoolMask:
    """Return an 8-bit (or 1-bit, 16-bit, palette) mask image as bool: everything but 0 is inside.

    Raises:
        FormatError: when it cannot be read, or is not `size` (width, height).
    """
    name = name or path.name
    try:
        with Image.open(path) as image:
            if size is not None and image.size != size:
                raise FormatError(
                    f"{name} is {image.size[0]} x {image.size[1]} pixels, its image {size[0]} x {size[1]}."
                )
            # Published masks carry black and white in a palette.
            values = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    except FormatError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"{name} cannot be read as a mask.", details=repr(error)) from error
    if values.ndim == 3:
        values = values[..., :3].max(axis=2) if values.shape[2] != 2 else values[..., 0]
    inside: BoolMask = values != 0
    return inside
