"""Labelled pictures from folders, tables and CIFAR-10; splits; what is broken is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camviewer.errors import UsageError
from camviewer.training.datasets import (
    LabelledImages,
    Stack,
    load_pixels,
    read_cifar10,
    read_csv,
    read_dataset,
    read_folders,
    split,
)


def picture(path: Path, colour: tuple[int, int, int] = (200, 100, 50), size: tuple[int, int] = (12, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def labelled(labels: list[int], groups: list[int]) -> LabelledImages:
    count = len(labels)
    return LabelledImages(
        tuple(f"{i}" for i in range(count)),
        np.array(labels, np.int64),
        tuple(f"c{i}" for i in range(max(labels) + 1)),
        np.array(groups, np.int64),
        Stack(np.zeros((count, 1, 1, 3), np.uint8)),
    )


def test_a_folder_a_class_in_alphabetical_order(tmp_path: Path) -> None:
    picture(tmp_path / "wart" / "1.png")
    picture(tmp_path / "mole" / "deep" / "2.jpg")
    picture(tmp_path / "mole" / "2_segmentation.png")
    (tmp_path / "empty").mkdir()
    data = read_dataset(tmp_path)
    assert data.classes == ("mole", "wart")
    assert data.labels.tolist() == [0, 1]
    assert "empty" in data.skipped[0]


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    picture(tmp_path / "mole" / "1.png")
    with pytest.raises(UsageError, match="two folders"):
        read_folders(tmp_path)


def test_ham10000_table_groups_by_lesion_and_names_missing_files(tmp_path: Path) -> None:
    for name in ("ISIC_1", "ISIC_2", "ISIC_3"):
        picture(tmp_path / "part_1" / f"{name}.jpg")
    (tmp_path / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx\nL1,ISIC_1,nv\nL1,ISIC_2,nv\nL2,ISIC_3,mel\nL3,ISIC_9,mel\nL4,,nv\n", encoding="utf-8"
    )
    (tmp_path / "other.csv").write_text("a\n1\n", encoding="utf-8")
    data = read_dataset(tmp_path)
    assert data.names == ("ISIC_1", "ISIC_2", "ISIC_3")
    assert data.classes == ("mel", "nv")
    assert data.labels.tolist() == [1, 1, 0]
    assert data.groups[0] == data.groups[1] != data.groups[2]
    assert "ISIC_9" in data.skipped[0]


def test_isic_one_hot_table_and_semicolons(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.png")
    table = tmp_path / "truth.csv"
    table.write_text("\ufeffimage;MEL;NV\na;1.0;0.0\nb;0.0;1.0\nc;0.0;0.0\n", encoding="utf-8")
    data = read_csv(table, images=tmp_path)
    assert data.classes == ("MEL", "NV")
    assert data.labels.tolist() == [0, 1]
    assert "c has no class" in data.skipped[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows"),
        ("x,dx\n1,2\n", "picture"),
        ("image,other\na,2\n", "class"),
        ("image,dx\na,nv\n", "fewer than two"),
    ],
)
def test_tables_that_say_nothing_are_refused(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_csv(table, images=tmp_path)


def cifar_rows(count: int = 4) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 3072), np.uint8), rng.integers(0, 10, count).tolist()


def test_cifar10_binary_and_python_versions_agree(tmp_path: Path) -> None:
    values, labels = cifar_rows()
    binary, pickled = tmp_path / "bin", tmp_path / "py"
    binary.mkdir()
    pickled.mkdir()
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], values], axis=1)
    (binary / "data_batch_1.bin").write_bytes(rows.tobytes())
    with (pickled / "data_batch_1").open("wb") as file:
        pickle.dump({b"data": values, b"labels": labels, b"batch_label": b"x"}, file, protocol=2)
    one, other = read_dataset(binary), read_dataset(pickled)
    assert one.labels.tolist() == other.labels.tolist() == labels
    assert one.read(2).shape == (32, 32, 3)
    assert np.array_equal(one.read(2), other.read(2))
    assert np.array_equal(one.read(2)[:, :, 1].ravel(), values[2][1024:2048])


def test_a_cifar10_pickle_cannot_run_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    with (tmp_path / "data_batch_1").open("wb") as file:
        pickle.dump({b"data": Trap(), b"labels": [0]}, file)
    with pytest.raises(UsageError, match="cannot be read as CIFAR-10"):
        read_cifar10(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_cut_cifar10_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(b"\0" * 5000)
    with pytest.raises(UsageError, match="3,073"):
        read_cifar10(tmp_path)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=4, max_size=80),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
def test_a_split_keeps_groups_together_and_leaves_every_class_something(
    rows: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    data = labelled([0, *[label for label, _ in rows]], [99, *[group for _, group in rows]])
    rest, part = split(data, fraction, seed=seed)
    assert sorted([*rest, *part]) == list(range(len(data)))
    assert not set(data.groups[rest]) & set(data.groups[part])
    assert len(rest) > 0
    again = split(data, fraction, seed=seed)
    assert np.array_equal(again[1], part)


def test_a_split_has_its_share_of_every_class() -> None:
    labels = [0] * 300 + [1] * 60
    data = labelled(labels, list(range(360)))
    _, part = split(data, 0.25)
    assert np.bincount(data.labels[part]).tolist() == [75, 15]


def test_unreadable_pictures_are_named_and_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "2.png", (10, 20, 30))
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    data = read_folders(tmp_path)
    pixels, kept, failed = load_pixels(data, range(len(data)), (6, 4))
    assert pixels.shape == (2, 4, 6, 3)
    assert [data.names[i] for i in kept] == [str(Path("a/1.png")), str(Path("b/2.png"))]
    assert pixels[1, 0, 0].tolist() == [10, 20, 30]
    assert len(failed) == 1
    assert "0.png" in failed[0]
