"""Masks as bytes: the bits of the bounding box, packed row by row and deflated."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask

# Level 1 packs a 50-megapixel mask in tens of milliseconds; higher levels save little on solid regions.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class MaskBlob:
    """A stored mask.

    Attributes:
        size: of the image (width, height).
        bounds: half-open pixel bounds (x0, y0, x1, y1) of the region; all 0 when it is empty.
        area: pixels inside.
        data: deflated bits of `bounds`, rows padded to whole bytes.
    """

    size: Size
    bounds: tuple[int, int, int, int]
    area: int
    data: bytes


def pack(mask: BoolMask) -> MaskBlob:
    """Return bool ``[height, width]`` as bytes."""
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return MaskBlob((width, height), (0, 0, 0, 0), 0, b"")
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1
    inside = mask[y0:y1, x0:x1]
    data = zlib.compress(np.packbits(inside, axis=1).tobytes(), _LEVEL)
    return MaskBlob((width, height), (x0, y0, x1, y1), int(np.count_nonzero(inside)), data)


def unpack(blob: MaskBlob) -> BoolMask:
    """Return the mask of `pack`, bool ``[height, width]``.

    Raises:
        ValueError: when the bytes do not hold what the bounds promise.
    """
    width, height = blob.size
    mask = np.zeros((height, width), dtype=np.bool_)
    x0, y0, x1, y1 = blob.bounds
    if x1 <= x0 or y1 <= y0:
        return mask
    columns = (x1 - x0 + 7) // 8
    expected = (y1 - y0) * columns
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(blob.data, expected + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) != expected or not (x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height):
        raise ValueError("the mask's bytes do not fit its bounds")
    bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(y1 - y0, columns), axis=1, count=x1 - x0)
    mask[y0:y1, x0:x1] = bits.astype(np.bool_)
    return mask
