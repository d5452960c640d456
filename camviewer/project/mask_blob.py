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
    return _pack_at(mask, (0, 0), (width, height))


def _pack_at(pixels: BoolMask, corner: tuple[int, int], size: Size) -> MaskBlob:
    """Return the mask that is `pixels` from its upper left `corner` on, and empty elsewhere."""
    rows = np.flatnonzero(pixels.any(axis=1))
    if rows.size == 0:
        return MaskBlob(size, (0, 0, 0, 0), 0, b"")
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(pixels[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1
    inside = pixels[y0:y1, x0:x1]
    data = zlib.compress(np.packbits(inside, axis=1).tobytes(), _LEVEL)
    left, top = corner
    return MaskBlob(size, (left + x0, top + y0, left + x1, top + y1), int(np.count_nonzero(inside)), data)


def unpack(blob: MaskBlob) -> BoolMask:
    """Return the mask of `pack`, bool ``[height, width]``.

    Raises:
        ValueError: when the bytes do not hold what the bounds promise.
    """
    return _unpack_part(blob, (0, 0, *blob.size))


def _unpack_part(blob: MaskBlob, part: tuple[int, int, int, int]) -> BoolMask:
    """Return the pixels of a part of the image; what lies outside of the mask's bounds is False."""
    left, top, right, bottom = part
    mask = np.zeros((bottom - top, right - left), dtype=np.bool_)
    x0, y0, x1, y1 = blob.bounds
    if x1 <= x0 or y1 <= y0:
        return mask
    width, height = blob.size
    columns = (x1 - x0 + 7) // 8
    expected = (y1 - y0) * columns
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(blob.data, expected + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) != expected or not (x0 >= 0 and x1 <= width and y0 >= 0 and y1 <= height):
        raise ValueError("the mask's bytes do not fit its bounds")
    first, last = max(x0, left), min(x1, right)
    upper, lower = max(y0, top), min(y1, bottom)
    if first >= last or upper >= lower:
        return mask
    rows = np.frombuffer(raw, np.uint8).reshape(y1 - y0, columns)[upper - y0 : lower - y0]
    bits = np.unpackbits(rows, axis=1, count=last - x0)[:, first - x0 :]
    mask[upper - top : lower - top, first - left : last - left] = bits.astype(np.bool_)
    return mask


def same_pixels(first: MaskBlob, second: MaskBlob) -> bool:
    """Return whether two masks are equal, also when different versions of the compressor packed them."""
    if (first.size, first.bounds, first.area) != (second.size, second.bounds, second.area):
        return False
    return first.data == second.data or bool(
        np.array_equal(_unpack_part(first, first.bounds), _unpack_part(second, second.bounds))
    )


def cut(blob: MaskBlob, bounds: tuple[int, int, int, int]) -> MaskBlob:
    """Return the part of a mask inside half-open `bounds` as a mask of that size."""
    return pack(_unpack_part(blob, bounds))


def paste(blob: MaskBlob, bounds: tuple[int, int, int, int], patch: MaskBlob) -> MaskBlob:
    """Return a mask with the pixels of `bounds` replaced by those of `patch`; only what is touched is unpacked.

    Raises:
        ValueError: when patch and bounds differ in size, or the bounds leave the image.
    """
    x0, y0, x1, y1 = bounds
    width, height = blob.size
    if patch.size != (x1 - x0, y1 - y0) or not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError("the patch does not fit into the mask")
    left, top, right, bottom = bounds
    if blob.area:
        left, top = min(x0, blob.bounds[0]), min(y0, blob.bounds[1])
        right, bottom = max(x1, blob.bounds[2]), max(y1, blob.bounds[3])
    pixels = _unpack_part(blob, (left, top, right, bottom))
    pixels[y0 - top : y1 - top, x0 - left : x1 - left] = unpack(patch)
    return _pack_at(pixels, (left, top), blob.size)
