"""Disagreement of maps: 0 for the same, 1 for disjoint, scale-free, symmetric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camviewer.regions.disagreement import disagreement

maps = arrays(np.float32, (5, 4), elements=st.floats(-1, 1, width=16))


@given(first=maps, second=maps, scale=st.floats(0.01, 100))
def test_it_is_symmetric_scale_free_and_a_share(first, second, scale) -> None:
    found = disagreement([first, second])
    if first.max() <= 0 or second.max() <= 0:
        assert found is None
        return
    assert 0 <= found <= 1
    assert disagreement([second, first]) == pytest.approx(found, abs=1e-6)
    assert disagreement([first * np.float32(scale), second]) == pytest.approx(found, abs=1e-4)
    assert disagreement([first, first]) == pytest.approx(0, abs=1e-6)


def test_disjoint_maps_share_nothing_and_grids_may_differ() -> None:
    left, right = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    left[:, :2], right[:, 2:] = 3, 1
    assert disagreement([left, right]) == 1
    # A third map that equals the first: distances 1, 0, 1.
    assert disagreement([left, right, left]) == pytest.approx(2 / 3)
    flat = np.ones((7, 7), np.float32)
    assert disagreement([flat, np.ones((2, 2), np.float32)]) == pytest.approx(0)
    assert disagreement([flat]) is None
