"""A window of a map brought to the image is that part of the whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from camviewer.images.geometry import CellPositions, Geometry, plan_input


@given(st.integers(0, 60), st.integers(0, 40), st.integers(0, 60), st.integers(0, 40), st.booleans())
def test_a_window_is_part_of_the_whole(x0: int, y0: int, width: int, height: int, measured: bool) -> None:
    plan = plan_input((90, 70), mode="letterbox", input_size=(64, 64))
    cells = CellPositions((5.0, 6.0), (9.0, 10.0)) if measured else None
    geometry = Geometry((90, 70), (64, 64), (6, 5), plan.input_to_image, cells)
    values = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    window = (x0, y0, min(90, x0 + width), min(70, y0 + height))
    part = geometry.upsample(values, window=window)
    whole = geometry.upsample(values)[window[1] : window[3], window[0] : window[2]]
    assert part.shape == whole.shape
    assert np.allclose(part, whole, atol=1e-5)
