from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.io
from exports import item, masks, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camviewer.errors import FormatError
from camviewer.formats.masks import MaskWriter, find_mask, read_mask


@settings(max_examples=60, deadline=None)
@given(mask=masks(), name=st.sampled_from(["a", "ISIC_0000001", "läsion 1", "sub/x.y"]))
def test_every_reader_sees_the_same_pixels(tmp_path_factory: pytest.TempPathFactory, mask, name: str) -> None:
    folder = tmp_path_factory.mktemp("masks")
    write(folder, "masks", [item(name + ".jpg", [mask])])
    path = folder / f"{name}_segmentation.png"
    with Image.open(path) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.where(mask, 255, 0))
    read = skimage.io.imread(path)
    assert read.dtype == np.uint8
    assert np.array_equal(read.reshape(mask.shape), np.where(mask, 255, 0))
    assert np.array_equal(read_mask(path, size=mask.shape[::-1]), mask)


def test_classes_in_one_file_or_in_their_own(tmp_path: Path) -> None:
    one, two = np.zeros((2, 5, 7), bool)
    one[1, 1] = two[3, 4] = True
    write(tmp_path / "one", "masks", [item("a.jpg", [one, two])])
    assert np.array_equal(read_mask(tmp_path / "one" / "a_segmentation.png"), one | two)
    write(tmp_path / "own", "masks", [item("a.jpg", [one, two])], classes="separate")
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == [
        "a_melanoma_segmentation.png",
        "a_naevus_öä_segmentation.png",
    ]
    assert np.array_equal(read_mask(tmp_path / "own" / "a_naevus_öä_segmentation.png"), two)


def test_largest_region_and_filled_holes_count_what_they_lose(tmp_path: Path) -> None:
    mask = np.zeros((12, 12), bool)
    mask[1:7, 1:7] = True
    mask[3:5, 3:5] = False  # a hole of 4
    mask[9, 9] = mask[10, 10] = True  # an island of 2, joined by a corner
    options = {"classes": "union", "largest": True, "fill": True}
    write(tmp_path, "masks", [item("a.jpg", [mask])], **options)
    expected = np.zeros((12, 12), bool)
    expected[1:7, 1:7] = True
    assert np.array_equal(read_mask(tmp_path / "a_segmentation.png"), expected)
    loss = MaskWriter.measure(item("a.jpg", [mask]), options)
    assert (loss.pixels, loss.of, loss.regions) == (6, 34, 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16"])
def test_masks_of_any_mode_are_read(tmp_path: Path, mode: str) -> None:
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:6] = True
    grey = Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))
    if mode == "I;16":
        image = Image.fromarray(np.where(mask, 65535, 0).astype(np.uint16))
    else:
        image = grey.convert(mode)
    image.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)


def test_masks_are_found_whatever_their_case(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "isic_1_Segmentation.png")
    Image.new("L", (2, 2)).save(tmp_path / "b.png")
    assert find_mask(tmp_path, "ISIC_1") == tmp_path / "isic_1_Segmentation.png"
    assert find_mask(tmp_path, "b") == tmp_path / "b.png"
    assert find_mask(tmp_path, "c") is None


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"0" * 40])
def test_what_is_no_mask_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.png").write_bytes(data)
    with pytest.raises(FormatError, match=r"m\.png cannot be read as a mask"):
        read_mask(tmp_path / "m.png")
