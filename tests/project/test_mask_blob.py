from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camviewer.project.mask_blob import MaskBlob, exchanged, pack, painted, redraw, same_pixels, thinned, tiles, unpack
from camviewer.regions.drawing import GRID, Patch

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(mask=MASKS, top=st.integers(0, 20), left=st.integers(0, 20))
def test_any_mask_comes_back(mask: np.ndarray, top: int, left: int) -> None:
    mask = np.pad(mask, ((top, 3), (left, 9)))
    blob = pack(mask)
    assert np.array_equal(unpack(blob), mask)
    assert blob.area == mask.sum()
    if mask.any():
        y, x = np.nonzero(mask)
        assert blob.bounds == (x.min(), y.min(), x.max() + 1, y.max() + 1)


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_come_back(value: bool) -> None:
    mask = np.full((33, 41), value)
    assert np.array_equal(unpack(pack(mask)), mask)


@pytest.mark.parametrize(
    "blob",
    [
        MaskBlob((10, 10), (0, 0, 8, 8), 5, b"nonsense"),
        MaskBlob((10, 10), (0, 0, 8, 8), 5, zlib.compress(bytes(7))),
        MaskBlob((10, 10), (0, 0, 8, 8), 5, zlib.compress(bytes(1000))),
        MaskBlob((4, 4), (0, 0, 8, 8), 5, zlib.compress(bytes(8))),
    ],
)
def test_bytes_that_do_not_fit_are_refused(blob: MaskBlob) -> None:
    with pytest.raises(ValueError):
        unpack(blob)


LARGE = st.tuples(st.integers(1, 3 * GRID), st.integers(1, 3 * GRID))
SQUARE = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())


def square(shape: tuple[int, int], place: tuple[float, float, float, float, bool]) -> Patch:
    height, width = shape
    x0, y0 = int(place[0] * (width - 1)), int(place[1] * (height - 1))
    x1, y1 = x0 + 1 + int(place[2] * (width - x0 - 1)), y0 + 1 + int(place[3] * (height - y0 - 1))
    return Patch((x0, y0, x1, y1), np.full((y1 - y0, x1 - x0), place[4]))


def drawn(shape: tuple[int, int], patches: list[Patch]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for patch in patches:
        x0, y0, x1, y1 = patch.window
        mask[y0:y1, x0:x1] = patch.pixels
    return mask


@settings(max_examples=60, deadline=None)
@given(shape=LARGE, first=st.lists(SQUARE, max_size=4), then=st.lists(SQUARE, max_size=3), step=st.integers(1, 700))
def test_painting_tiles_is_what_painting_the_whole_is(shape, first, then, step) -> None:
    before = [square(shape, place) for place in first]
    patches = [square(shape, place) for place in then]
    old, new = drawn(shape, before), drawn(shape, before + patches)
    blob = painted(pack(old), patches)
    assert blob == pack(new)
    assert np.array_equal(unpack(blob), new)
    assert np.array_equal(thinned(blob, step), new[::step, ::step])
    assert same_pixels(blob, pack(old)) == np.array_equal(old, new)
    assert exchanged(pack(old), tiles(pack(old)), tiles(blob)) == blob
    redraw(old, tiles(pack(old)), tiles(blob))
    assert np.array_equal(old, new)


def test_tiles_are_exchanged_only_for_those_that_are_there() -> None:
    mask = np.zeros((40, 40), bool)
    mask[3:9, 4:9] = True
    empty, there = tiles(pack(np.zeros_like(mask))), tiles(pack(mask))
    assert exchanged(pack(mask), empty, there) is None
    assert exchanged(pack(mask), there, empty) == pack(np.zeros_like(mask))


def test_a_stroke_touches_only_the_tiles_below_it() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((2 * GRID, 3 * GRID)) < 0.5
    blob = pack(mask)
    found = tiles(painted(blob, [Patch((10, 20, 30, 40), np.ones((20, 20), bool))]))
    differ = {number for number, tile in tiles(blob).items() if found[number] != tile}
    assert differ == {0}


def test_masks_of_former_versions_are_read_and_painted() -> None:
    mask = np.zeros((600, 700), bool)
    mask[100:590, 30:600] = np.random.default_rng(1).random((490, 570)) < 0.5
    y, x = np.nonzero(mask)
    bounds = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
    inside = mask[bounds[1] : bounds[3], bounds[0] : bounds[2]]
    former = MaskBlob((700, 600), bounds, int(mask.sum()), zlib.compress(np.packbits(inside, axis=1).tobytes(), 1))
    assert np.array_equal(unpack(former), mask)
    assert same_pixels(former, pack(mask))
    assert painted(former, []) == pack(mask)
    assert np.array_equal(thinned(former, 7), mask[::7, ::7])


@given(at=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.integers(0, 10**6))
def test_damaged_tiles_are_refused_or_read_as_some_mask(at: int, value: int, cut: int) -> None:
    mask = np.zeros((90, 120), bool)
    mask[20:60, 30:100] = True
    blob = pack(mask)
    data = bytearray(blob.data)
    data[at % len(data)] = value
    for broken in (bytes(data), blob.data[: cut % len(blob.data)]):
        try:
            found = unpack(MaskBlob(blob.size, blob.bounds, blob.area, broken))
        except ValueError:
            continue
        assert found.shape == mask.shape
