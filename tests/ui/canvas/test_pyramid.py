"""Levels by area means, the right one for each zoom, large images without waiting."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.ui.canvas.pyramid import AT_ONCE, SMALLEST, Pyramid, halved


def test_levels_are_area_means() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 1600, 3), dtype=np.uint8)
    levels = halved(pixels)
    assert levels[0] is pixels
    expected = pixels.reshape(300, 2, 800, 2, 3).astype(np.float64).mean(axis=(1, 3))
    assert np.abs(levels[1] - expected).max() <= 0.51
    assert max(levels[-1].shape[:2]) <= SMALLEST


@pytest.mark.parametrize(("zoom", "factor"), [(64.0, 1), (1.0, 1), (0.6, 1), (0.5, 2), (0.26, 2), (0.25, 4), (0.02, 4)])
def test_the_level_still_has_a_pixel_for_each_of_the_screen(zoom: float, factor: int) -> None:
    pyramid = Pyramid(np.zeros((1200, 1600, 3), dtype=np.uint8))
    pixels, px, py = pyramid.level(zoom)
    assert (px, py) == (factor, factor)
    assert pixels.shape == (1200 // factor, 1600 // factor, 3)


def test_odd_sizes_cover_the_whole_image() -> None:
    pyramid = Pyramid(np.zeros((701, 1003, 3), dtype=np.uint8))
    pixels, px, py = pyramid.level(0.3)
    assert pixels.shape[1] * px == pytest.approx(1003)
    assert pixels.shape[0] * py == pytest.approx(701)


def test_a_large_image_is_shown_before_its_levels_are_there(qtbot) -> None:
    pixels = np.zeros((2200, 2000, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    assert pixels.shape[0] * pixels.shape[1] > AT_ONCE
    pyramid = Pyramid(pixels)
    early, px, py = pyramid.level(0.2)
    assert (early[..., 0] == 200).all()
    assert early.shape[1] * px >= 2000
    assert early.shape[0] * py >= 2200
    qtbot.waitUntil(pyramid.ready, timeout=5000)
    late, px, _ = pyramid.level(0.2)
    assert px == 4.0
    assert (late[..., 0] == 200).all()
    assert pyramid.pixels is pixels


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5000, 3), (5000, 1, 3)])
def test_extreme_shapes(shape: tuple[int, int, int]) -> None:
    pyramid = Pyramid(np.full(shape, 7, dtype=np.uint8))
    for zoom in (0.02, 1.0, 64.0):
        pixels, px, py = pyramid.level(zoom)
        assert min(pixels.shape) >= 1
        assert pixels.shape[1] * px == pytest.approx(shape[1])
        assert pixels.shape[0] * py == pytest.approx(shape[0])


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_rgb_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="RGB"):
        Pyramid(pixels)
