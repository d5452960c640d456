"""Masks as bytes: tiles of bits, each deflated by itself, so that a stroke on 50 megapixels unpacks and packs but few.

Tiles are the `cells` of an image from the image's upper left corner on; empty ones are left out. Equal masks have
equal tiles, byte for byte, as long as one version of the compressor packs them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from camviewer.images.geometry import Size
from camviewer.project.records import BoolMask
from camviewer.regions.drawing import GRID, Patch, cells

Bounds = tuple[int, int, int, int]

# Level 1 packs a 50-megapixel mask in tens of milliseconds; higher levels save little on solid regions.
_LEVEL = 1
# A zlib stream begins with 0x78: the masks of former versions, one stream of all bits inside the bounds.
_TILED = b"\x01"
_ENTRY = np.dtype([(name, "<u4") for name in ("number", "x0", "y0", "x1", "y1", "area", "length")])


@dataclass(frozen=True, slots=True)
class MaskBlob:
    """A stored mask.

    Attributes:
        size: of the image (width, height).
        bounds: half-open pixel bounds (x0, y0, x1, y1) of the region; all 0 when it is empty.
        area: pixels inside.
        data: the tiles; empty when the mask is.
    """

    size: Size
    bounds: Bounds
    area: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Tile:
    """What a mask has inside one tile.

    Attributes:
        bounds: tight, in pixels of the image.
        area: pixels inside.
        data: deflated bits of `bounds`, rows padded to whole bytes.
    """

    bounds: Bounds
    area: int
    data: bytes


Tiles = Mapping[int, Tile]
"""Tiles by their number on the grid, row by row; those without a pixel are missing."""


def pack(mask: BoolMask) -> MaskBlob:
    """Return bool ``[height, width]`` as bytes."""
    height, width = mask.shape
    size = (width, height)
    return _joined(size, _packed_tiles(mask, size))


def unpack(blob: MaskBlob) -> BoolMask:
    """Return the mask of `pack`, bool ``[height, width]``.

    Raises:
        ValueError: when the bytes do not hold what the bounds promise.
    """
    width, height = blob.size
    mask = np.zeros((height, width), dtype=np.bool_)
    if blob.data.startswith(_TILED):
        for tile in tiles(blob).values():
            _put(mask, (0, 0), tile)
    elif blob.area:
        _put(mask, (0, 0), Tile(_inside(blob.bounds, (0, 0, width, height)), blob.area, blob.data))
    return mask


def thinned(blob: MaskBlob, step: int) -> BoolMask:
    """Return every `step`-th row and column of a mask, as ``unpack(blob)[::step, ::step]``.

    Raises:
        ValueError: as of `unpack`.
    """
    width, height = blob.size
    mask = np.zeros((-(-height // step), -(-width // step)), dtype=np.bool_)
    for tile in tiles(blob).values():
        x0, y0 = tile.bounds[:2]
        row, column = -(-y0 // step), -(-x0 // step)
        part = _bits(tile)[row * step - y0 :: step, column * step - x0 :: step]
        mask[row : row + part.shape[0], column : column + part.shape[1]] = part
    return mask


def same_pixels(first: MaskBlob, second: MaskBlob) -> bool:
    """Return whether two masks are equal, also when different versions packed them."""
    if (first.size, first.bounds, first.area) != (second.size, second.bounds, second.area):
        return False
    return first.data == second.data or bool(np.array_equal(unpack(first), unpack(second)))


def painted(blob: MaskBlob, patches: Iterable[Patch]) -> MaskBlob:
    """Return a mask with the pixels of patches replaced by theirs; only the tiles below them are unpacked.

    Raises:
        ValueError: when a patch leaves the image.
    """
    found = dict(tiles(blob))
    drawn: dict[int, BoolMask] = {}
    for patch in patches:
        x0, y0, x1, y1 = patch.window
        width, height = blob.size
        if patch.pixels.shape != (y1 - y0, x1 - x0) or not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ValueError("the patch does not fit into the mask")
        for number, (left, top, right, bottom) in _grid(blob.size, patch.window):
            if number not in drawn:
                drawn[number] = np.zeros((bottom - top, right - left), dtype=np.bool_)
                if number in found:
                    _put(drawn[number], (left, top), found[number])
            u0, v0, u1, v1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
            drawn[number][v0 - top : v1 - top, u0 - left : u1 - left] = patch.pixels[
                v0 - y0 : v1 - y0, u0 - x0 : u1 - x0
            ]
    places = dict(_grid(blob.size, (0, 0, *blob.size)))
    for number, pixels in drawn.items():
        tile = _packed(pixels, places[number][:2])
        found.pop(number, None)
        if tile is not None:
            found[number] = tile
    return _joined(blob.size, found)


@lru_cache(maxsize=8)
def tiles(blob: MaskBlob) -> Tiles:
    """Return the tiles of a mask; one edit asks for those of the same mask several times.

    Raises:
        ValueError: when the bytes hold no tiles of such an image.
    """
    data = blob.data
    if not data.startswith(_TILED):
        return MappingProxyType(_packed_tiles(unpack(blob), blob.size) if blob.area else {})
    count = int.from_bytes(data[1:5], "little")
    start = 5 + count * _ENTRY.itemsize
    if len(data) < start:
        raise ValueError("the mask's list of tiles is cut short")
    index = np.frombuffer(data, _ENTRY, count, offset=5)
    places = dict(_grid(blob.size, (0, 0, *blob.size)))
    found = {}
    for number, x0, y0, x1, y1, area, length in index.tolist():
        if number not in places or start + length > len(data):
            raise ValueError("the mask's tiles do not fit the image")
        found[number] = Tile(_inside((x0, y0, x1, y1), places[number]), area, data[start : start + length])
        start += length
    return MappingProxyType(found)


def exchanged(blob: MaskBlob, before: Tiles, after: Tiles) -> MaskBlob | None:
    """Return a mask with the tiles `before` taken out and `after` put in; None where it has others than `before`."""
    found = dict(tiles(blob))
    if any(found.get(number) != before.get(number) for number in {*before, *after}):
        return None
    for number in before:
        del found[number]
    return _joined(blob.size, {**found, **after})


def redraw(mask: BoolMask, before: Tiles, after: Tiles) -> None:
    """Make a mask of the tiles `before` that of the tiles `after`, in place; only where they differ.

    Raises:
        ValueError: as of `unpack`; the mask is then neither.
    """
    height, width = mask.shape
    for number, (x0, y0, x1, y1) in _grid((width, height), (0, 0, width, height)):
        if before.get(number) != after.get(number):
            mask[y0:y1, x0:x1] = False
            if number in after:
                _put(mask, (0, 0), after[number])


def _grid(size: Size, window: Bounds) -> list[tuple[int, Bounds]]:
    """Return number and edges of the tiles that `window` touches."""
    across = -(-size[0] // GRID)
    return [(cell[1] // GRID * across + cell[0] // GRID, cell) for cell in cells(window, size)]


def _packed_tiles(mask: BoolMask, size: Size) -> dict[int, Tile]:
    found = {}
    for number, (x0, y0, x1, y1) in _grid(size, (0, 0, *size)):
        tile = _packed(mask[y0:y1, x0:x1], (x0, y0))
        if tile is not None:
            found[number] = tile
    return found


def _packed(pixels: BoolMask, corner: tuple[int, int]) -> Tile | None:
    """Return the tile that is `pixels` from its upper left `corner` on; None without a pixel."""
    rows = np.flatnonzero(pixels.any(axis=1))
    if rows.size == 0:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(pixels[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1
    inside = pixels[y0:y1, x0:x1]
    data = zlib.compress(np.packbits(inside, axis=1).tobytes(), _LEVEL)
    left, top = corner
    return Tile((left + x0, top + y0, left + x1, top + y1), int(np.count_nonzero(inside)), data)


def _joined(size: Size, found: Tiles) -> MaskBlob:
    if not found:
        return MaskBlob(size, (0, 0, 0, 0), 0, b"")
    ordered = sorted(found.items())
    index = np.array(
        [(number, *tile.bounds, tile.area, len(tile.data)) for number, tile in ordered], dtype=_ENTRY
    ).tobytes()
    left, top = (min(tile.bounds[i] for tile in found.values()) for i in (0, 1))
    right, bottom = (max(tile.bounds[i] for tile in found.values()) for i in (2, 3))
    data = b"".join((_TILED, len(ordered).to_bytes(4, "little"), index, *(tile.data for _, tile in ordered)))
    return MaskBlob(size, (left, top, right, bottom), sum(tile.area for tile in found.values()), data)


def _put(mask: BoolMask, corner: tuple[int, int], tile: Tile) -> None:
    """Write a tile into a mask whose upper left pixel is `corner` of the image."""
    x0, y0, x1, y1 = tile.bounds
    mask[y0 - corner[1] : y1 - corner[1], x0 - corner[0] : x1 - corner[0]] = _bits(tile)


def _bits(tile: Tile) -> BoolMask:
    x0, y0, x1, y1 = tile.bounds
    columns = (x1 - x0 + 7) // 8
    expected = (y1 - y0) * columns
    try:
        raw = zlib.decompressobj().decompress(tile.data, expected + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) != expected:
        raise ValueError("the mask's bytes do not fit its bounds")
    rows = np.frombuffer(raw, np.uint8).reshape(y1 - y0, columns)
    return np.unpackbits(rows, axis=1, count=x1 - x0).view(np.bool_)


def _inside(bounds: Bounds, room: Bounds) -> Bounds:
    x0, y0, x1, y1 = bounds
    if not (room[0] <= x0 < x1 <= room[2] and room[1] <= y0 < y1 <= room[3]):
        raise ValueError("the mask's bounds leave the image")
    return bounds
