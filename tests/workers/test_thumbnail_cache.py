"""Thumbnails on the disk: kept, told from a changed file, bounded, switched off, emptied."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from camviewer.workers.thumbnail_cache import DiskCache


def picture(path: Path, value: int) -> np.ndarray:
    pixels = np.full((60, 80, 3), (value, 90, 30), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_picture_is_kept_until_its_file_changes(tmp_path: Path) -> None:
    cache, file = DiskCache(tmp_path / "cache"), tmp_path / "a.png"
    pixels = picture(file, 200)
    assert cache.get(file, 80) is None
    cache.put(file, 80, pixels)
    kept = cache.get(file, 80)
    assert kept is not None and np.abs(kept.astype(int) - pixels).max() <= 4
    assert cache.get(file, 40) is None
    picture(file, 10)
    os.utime(file, ns=(1, 1))
    assert cache.get(file, 80) is None


def test_switched_off_it_neither_gives_nor_takes(tmp_path: Path) -> None:
    cache, file = DiskCache(tmp_path / "cache"), tmp_path / "a.png"
    cache.put(file, 80, picture(file, 1))
    cache.enabled = False
    assert cache.get(file, 80) is None
    cache.clear()
    cache.put(file, 80, picture(file, 1))
    assert cache.used() == 0


def test_a_picture_on_its_way_is_not_kept_after_the_cache_was_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, file = DiskCache(tmp_path / "cache"), tmp_path / "a.png"
    pixels = picture(file, 1)
    begun, emptied, encode = threading.Event(), threading.Event(), cv2.imencode

    def slow(*args: object) -> object:
        begun.set()
        assert emptied.wait(10)
        return encode(*args)

    monkeypatch.setattr("camviewer.workers.thumbnail_cache.cv2.imencode", slow)
    thread = threading.Thread(target=cache.put, args=(file, 80, pixels))
    thread.start()
    assert begun.wait(10)
    cache.enabled = False
    cache.clear()
    emptied.set()
    thread.join()
    assert cache.used() == 0


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache")
    files = [tmp_path / f"{n}.png" for n in range(6)]
    for number, file in enumerate(files):
        cache.put(file, 80, picture(file, number * 20))
        (newest,) = {entry for entry in cache.folder.iterdir() if entry.stat().st_mtime > 1_000_000}
        os.utime(newest, (1000 + number, 1000 + number))
    bounded = DiskCache(tmp_path / "cache", limit=cache.used() // 2)
    bounded.trim()
    assert bounded.used() <= cache.used() and bounded.get(files[0], 80) is None
    assert bounded.get(files[-1], 80) is not None


def test_a_damaged_picture_and_a_folder_that_cannot_be_made_are_survived(tmp_path: Path) -> None:
    cache, file = DiskCache(tmp_path / "cache"), tmp_path / "a.png"
    cache.put(file, 80, picture(file, 1))
    for entry in cache.folder.iterdir():
        entry.write_bytes(b"\xff\xd8 no picture")
    assert cache.get(file, 80) is None
    (tmp_path / "blocked").write_text("a file")
    DiskCache(tmp_path / "blocked").put(file, 80, picture(file, 1))
