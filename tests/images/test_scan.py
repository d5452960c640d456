"""What a scan finds, in which order, and what it leaves out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import ImageError
from camviewer.images.scan import ImageFile, natural_key, scan


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(root: Path, *paths: Path) -> list[str]:
    return [entry.relative for entry in scan(paths or [root])]


def test_natural_order_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "a10.jpg", "a2.JPG", "B1.png", "a02.tif", "z/1.bmp", "b/c/2.webp", "b/1.jpeg", "notes.txt", "noext")
    assert names(tmp_path) == ["a2.JPG", "a02.tif", "a10.jpg", "B1.png", "b/1.jpeg", "b/c/2.webp", "z/1.bmp"]


def test_inputs_keep_their_order_and_count_once(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    first, second = tmp_path / "a", tmp_path / "b"
    found = scan([second, first / "1.jpg", first, tmp_path, second / ".." / "b" / "1.jpg"])
    assert found == [ImageFile(second / "1.jpg", second), ImageFile(first / "1.jpg", first)]


def test_a_file_asked_for_is_never_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a_segmentation.png", ".hidden.png", "readme.txt")
    for name in ("a_segmentation.png", ".hidden.png", "readme.txt"):
        assert names(tmp_path, tmp_path / name) == [name]


def test_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("a.jpg", "ATTRIBUTION.txt", "LICENSE.txt", ".DS_Store", "._a.jpg", ".thumbs/a.jpg", "thumbs/a.jpg"),
        *("__MACOSX/a.jpg", "@eaDir/a.jpg", "Thumbs.db", "album.jpg/inside.png"),
    )
    assert names(tmp_path) == ["a.jpg", "album.jpg/inside.png"]


def test_masks_beside_images(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("ISIC_1.jpg", "ISIC_1_segmentation.png", "ISIC_1_superpixels.png", "ISIC_1_Segmentation.PNG"),
        *("ISIC_1_attribute_pigment_network.png", "ISIC_1_mask.png", "ISIC_10.jpg", "truth/ISIC_10_segmentation.png"),
        "ISIC_9_segmentation.png",  # of no image here, so an image itself
        "face_mask.jpg",
    )
    assert names(tmp_path) == ["face_mask.jpg", "ISIC_1.jpg", "ISIC_9_segmentation.png", "ISIC_10.jpg"]


def test_folders_of_masks(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "masks/1.png", "masks/2.jpg", "masks/3.png")
    assert names(tmp_path) == ["images/1.png", "images/2.png", "masks/3.png"]
    # Asked for themselves, masks are pictures like others.
    assert names(tmp_path, tmp_path / "masks") == ["1.png", "2.jpg", "3.png"]
    make(tmp_path / "ISIC2018_Task1_Training_GroundTruth", "1_segmentation.png")
    make(tmp_path / "unmasked", "1.png")
    assert names(tmp_path) == ["images/1.png", "images/2.png", "masks/3.png", "unmasked/1.png"]


def test_own_results(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "out/explain.json", "out/a_overlay.png", "out/masks/x.png")
    assert names(tmp_path) == ["a.jpg"]
    # Written into the folder of the images itself.
    make(tmp_path, "explain.json", "overlays/a_gradcam.png", "maps/a.png", "more/b.jpg")
    assert names(tmp_path) == ["a.jpg", "more/b.jpg"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "real/1.jpg", "real/deep/2.jpg")
    make(tmp_path / "else", "3.jpg")
    (root / "real" / "deep" / "up").symlink_to(root, target_is_directory=True)
    (root / "again").symlink_to(root / "real", target_is_directory=True)
    (root / "other").symlink_to(tmp_path / "else", target_is_directory=True)
    (root / "4.jpg").symlink_to(tmp_path / "else" / "3.jpg")
    (root / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert names(root) == ["4.jpg", "gone.jpg", "real/1.jpg", "real/deep/2.jpg", "other/3.jpg"]


def test_nothing_there(tmp_path: Path) -> None:
    assert scan([]) == []
    assert scan([tmp_path]) == []
    with pytest.raises(ImageError) as caught:
        scan([tmp_path / "gone"])
    assert caught.value.message == "gone is not there. Check the path."


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open everything")
def test_permissions(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        assert names(tmp_path) == ["a.jpg"]
        with pytest.raises(ImageError, match="permissions"):
            scan([tmp_path / "closed"])
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_ten_thousand_files_without_asking_about_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(10_000):
        (tmp_path / f"ISIC_{index:07d}.jpg").touch()
    asked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *a, **k: (asked.append(a), stat(*a, **k))[1])
    found = scan([tmp_path])
    assert [entry.path.name for entry in found] == [f"ISIC_{i:07d}.jpg" for i in range(10_000)]
    assert len(asked) < 10


@given(st.text("aB10_.2 é９²", max_size=8), st.text("aB10_.2 é９²", max_size=8))
def test_any_two_names_have_an_order(first: str, second: str) -> None:
    one, other = natural_key(first), natural_key(second)
    assert (one < other) + (other < one) + (one == other) == 1
    assert (one == other) == (first.casefold() == second.casefold())


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_count_as_numbers(first: int, second: int) -> None:
    assert (natural_key(f"x{first}.jpg") < natural_key(f"X{second}.jpg")) == (first < second)


def test_natural_numbers() -> None:
    assert sorted(["a10", "a9", "a", "10", "9", "A09b"], key=natural_key) == ["9", "10", "a", "a9", "A09b", "a10"]
