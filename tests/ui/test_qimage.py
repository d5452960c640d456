"""Round trips, odd widths, ownership and the complete colour table."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage, QPainter

from camviewer.ui.qimage import argb_table, indexed_image, pixels_of, rgb_image, screen_image, set_table


def random_pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 13, 64])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_survives_the_round_trip(width: int, channels: int) -> None:
    pixels = random_pixels(7, width, channels)
    back = pixels_of(rgb_image(pixels))
    np.testing.assert_array_equal(back[..., :channels], pixels)


@pytest.mark.parametrize("width", [1, 3, 13])
def test_grey_survives_the_round_trip(width: int) -> None:
    pixels = random_pixels(5, width)
    back = pixels_of(rgb_image(pixels))
    for channel in range(3):
        np.testing.assert_array_equal(back[..., channel], pixels)


def test_a_view_with_strides_is_read_as_it_looks() -> None:
    pixels = random_pixels(20, 30, 3)[::2, ::-3]
    np.testing.assert_array_equal(pixels_of(screen_image(pixels))[..., :3], pixels)


def test_the_image_owns_its_memory() -> None:
    pixels = random_pixels(40, 41, 3)
    expected = pixels.copy()
    image = rgb_image(pixels)
    painter = QPainter(image)
    painter.fillRect(0, 0, 5, 5, QColor("red"))
    painter.end()
    np.testing.assert_array_equal(pixels, expected)
    pixels[:] = 0
    del pixels
    gc.collect()
    np.testing.assert_array_equal(pixels_of(image)[5:, 5:, :3], expected[5:, 5:])


def test_the_array_outlives_the_image() -> None:
    image = rgb_image(random_pixels(30, 30, 3))
    back = pixels_of(image)
    expected = back.copy()
    image.fill(0)
    del image
    gc.collect()
    np.testing.assert_array_equal(back, expected)


def test_indexed_image_always_has_all_colours_and_can_be_drawn() -> None:
    table = argb_table(random_pixels(256, 3), np.linspace(0, 1, 256))
    indices = random_pixels(9, 13)
    image = indexed_image(indices, table)
    assert image.format() == QImage.Format.Format_Indexed8
    assert image.colorCount() == 256
    target = QImage(26, 18, QImage.Format.Format_ARGB32_Premultiplied)
    target.fill(0)
    painter = QPainter(target)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawImage(target.rect(), image)
    painter.end()
    argb = table[indices]
    expected = np.stack([argb >> 16 & 255, argb >> 8 & 255, argb & 255, argb >> 24], axis=-1)
    np.testing.assert_array_equal(pixels_of(image), expected)


def test_a_short_table_is_refused() -> None:
    with pytest.raises(ValueError, match="256"):
        indexed_image(random_pixels(2, 2), np.zeros(255, dtype=np.uint32))
    image = indexed_image(random_pixels(2, 2), np.zeros(256, dtype=np.uint32))
    with pytest.raises(ValueError, match="256"):
        set_table(image, np.zeros((256, 3), dtype=np.uint32))
    assert image.colorCount() == 256


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="needed"):
        rgb_image(pixels)
