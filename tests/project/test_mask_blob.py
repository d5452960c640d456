from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camviewer.project.mask_blob import MaskBlob, pack, unpack

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
