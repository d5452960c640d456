"""Outlines stay within half a pixel of the true edge and keep holes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, Qt

from camviewer.ui.canvas.outline import outlines, path_of


def edge_distance(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of points to the nearest side between a true and a false pixel, brute force."""
    padded = np.pad(mask, 1)
    sides = []
    for y, x in zip(*np.nonzero(padded), strict=True):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            if not padded[y + dy, x + dx]:
                cx, cy = x - 1 + 0.5 + dx / 2, y - 1 + 0.5 + dy / 2
                half = np.array([abs(dy), abs(dx)]) / 2
                sides.append((np.array([cx, cy]) - half, np.array([cx, cy]) + half))
    lows = np.array([low for low, _ in sides])
    highs = np.array([high for _, high in sides])
    nearest = np.clip(points[:, None, :], lows, highs)
    return np.linalg.norm(points[:, None, :] - nearest, axis=2).min(axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_no_point_is_further_than_half_a_pixel_from_the_edge(seed: int, smooth: bool) -> None:
    rng = np.random.default_rng(seed)
    mask = cv2.GaussianBlur(rng.normal(size=(24, 31)), (0, 0), rng.uniform(0.5, 3)) > 0.05
    for line in outlines(mask, smooth=smooth):
        assert edge_distance(mask, line).max() <= 0.5 + 1e-9


def test_a_hole_is_a_hole() -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[5:25, 5:25] = True
    mask[10:20, 10:20] = False
    lines = outlines(mask)
    assert len(lines) == 2
    path = path_of(lines)
    assert path.fillRule() == Qt.FillRule.OddEvenFill
    assert path.contains(QPointF(7, 7))
    assert not path.contains(QPointF(15, 15))
    assert not path.contains(QPointF(2, 2))


@pytest.mark.parametrize("smooth", [True, False])
def test_the_filled_path_covers_the_mask(smooth: bool) -> None:
    yy, xx = np.mgrid[0:60, 0:80]
    mask = ((xx - 40) / 25) ** 2 + ((yy - 30) / 18) ** 2 < 1
    path = path_of(outlines(mask, smooth=smooth))
    inside = np.array([[path.contains(QPointF(x + 0.5, y + 0.5)) for x in range(80)] for y in range(60)])
    assert (inside != mask).mean() < 0.01


def test_pixels_may_be_of_any_size() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:8, 3:7] = True
    plain, scaled = outlines(mask)[0], outlines(mask, pixel=(8.0, 4.0))[0]
    np.testing.assert_allclose(scaled, plain * (8.0, 4.0))


def test_nothing_and_one_pixel() -> None:
    assert outlines(np.zeros((5, 5), dtype=bool)) == []
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 3] = True
    (line,) = outlines(mask)
    assert line.min(axis=0).tolist() == [3.25, 2.25]
    assert line.max(axis=0).tolist() == [3.75, 2.75]
