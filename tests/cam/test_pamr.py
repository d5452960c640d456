"""PAMR against its formula, and what it is for: a map that stops at the picture's edge."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.cam.pamr import DILATIONS, spread


def reference(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One round, pixel by pixel, in float64."""
    picture = pixels.astype(np.float64) / 255
    height, width = values.shape
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            places = [
                (min(max(y + d * dy, 0), height - 1), min(max(x + d * dx, 0), width - 1))
                for d in DILATIONS
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if dy or dx
            ]
            around = np.array([picture[place] for place in places])
            variance = np.var(np.vstack([around, picture[y, x]]), axis=0)
            alike = -(np.abs(around - picture[y, x]) / (variance + 1e-4)).mean(axis=1)
            weight = np.exp(alike - alike.max())
            result[y, x] = (weight * [values[place] for place in places]).sum() / weight.sum()
    return result


@pytest.mark.parametrize("shape", [(9, 13), (1, 1), (1, 7)])
def test_one_round_is_the_formula(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    values = rng.random(shape).astype(np.float32)
    np.testing.assert_allclose(spread(pixels, values, rounds=1), reference(pixels, values), atol=1e-5)


def test_the_map_stops_at_an_edge_and_stays_within_its_range() -> None:
    pixels = np.full((48, 64, 3), 200, np.uint8)
    pixels[14:34, 20:44] = (90, 40, 30)
    values = np.exp(-((np.arange(64) - 26)[None] ** 2 + (np.arange(48) - 20)[:, None] ** 2) / 200).astype(np.float32)
    found = spread(pixels, values, rounds=10)
    assert found.min() >= 0 and found.max() <= values.max() + 1e-5
    inside = found[15:33, 21:43]
    assert inside.std() < 0.35 * values[15:33, 21:43].std()  # even inside,
    assert found[24, 42] - found[24, 46] > 3 * (values[24, 42] - values[24, 46])  # and a step at the edge
