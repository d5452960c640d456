"""Thumbnails are the image, upright and small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camviewer.errors import ImageError
from camviewer.images.decode import read_image
from camviewer.images.thumbnails import read_thumbnail, thumbnail_size


def picture(width: int, height: int) -> np.ndarray:
    """A smooth picture whose corners all differ."""
    corners = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 250]]], np.uint8)
    return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_equals_the_reduced_image(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture(640, 360)).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    whole = read_image(path)
    thumbnail = read_thumbnail(path, side=96)
    assert thumbnail.shape == ((54, 96, 3) if orientation < 5 else (96, 54, 3))
    assert thumbnail.flags.c_contiguous and thumbnail.flags.writeable
    expected = cv2.resize(whole, thumbnail.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(thumbnail.astype(int) - expected).max() <= 6


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(400, 300)).convert(mode).save(path, quality=95)
    expected = cv2.resize(read_image(path), (80, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(read_thumbnail(path, side=80).astype(int) - expected).max() <= 6


def test_small_images_stay(tmp_path: Path) -> None:
    for name, size in {"a.png": (7, 5), "b.png": (1, 1), "c.jpg": (90, 20)}.items():
        Image.new("RGB", size, "red").save(tmp_path / name)
        assert read_thumbnail(tmp_path / name, side=96).shape == (size[1], size[0], 3)


def test_extreme_shapes(tmp_path: Path) -> None:
    Image.new("RGB", (30_000, 3), "blue").save(tmp_path / "wide.jpg")
    thumbnail = read_thumbnail(tmp_path / "wide.jpg", side=128)
    assert thumbnail.shape == (1, 128, 3) and thumbnail[0, 60, 2] > 200


def test_errors_are_those_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(640, 360)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ImageError, match=r"a\.jpg cannot be read\. The file is cut short\."):
        read_thumbnail(path, side=96)


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.integers(1, 512))
def test_size(width: int, height: int, side: int) -> None:
    w, h = thumbnail_size((width, height), side)
    assert min(w, h) >= 1 and max(w, h) == min(side, max(width, height))
    assert (w, h) == (width, height) or abs(w * height / width - h) <= 1 + height / width
