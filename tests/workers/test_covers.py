"""Pictures of projects on the welcome page: of what is kept anyway, without opening a project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camviewer.project.peek import first_images
from camviewer.project.records import ImageRecord
from camviewer.project.store import Project
from camviewer.workers.covers import PICTURES, read_covers
from camviewer.workers.thumbnail_cache import DiskCache

SIDE = 32


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of six images, closed; the first cannot be read, the files of the others exist."""
    path = tmp_path / "study.camviewer"
    (tmp_path / "images").mkdir()
    with Project.create(path, root=tmp_path / "images") as made:
        made.add_images([ImageRecord(Path("0.jpg"), (0, 0), status="failed", error="It is cut short.")])
        for number in range(1, 6):
            (tmp_path / "images" / f"{number}.jpg").write_bytes(b"x" * number)
            made.add_images([ImageRecord(Path(f"{number}.jpg"), (8, 8))])
    return path


def picture(number: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 30 * number, np.uint8)


def test_the_first_images_are_found_and_nothing_is_left_beside_the_project(project: Path) -> None:
    before = {path.name: path.read_bytes() for path in project.parent.iterdir() if path.is_file()}
    found = first_images(project, 3)
    assert [path.name for path in found] == ["1.jpg", "2.jpg", "3.jpg"] and all(path.is_file() for path in found)
    assert {path.name: path.read_bytes() for path in project.parent.iterdir() if path.is_file()} == before


def test_what_is_no_project_has_no_images(tmp_path: Path) -> None:
    (tmp_path / "words.camviewer").write_text("these are words")
    for name in ("words.camviewer", "gone.camviewer", "."):
        assert first_images(tmp_path / name, 3) == []


def test_covers_are_what_is_kept_of_the_first_images(project: Path, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "kept")
    assert read_covers([project], cache, SIDE) == {project: ()}
    images = first_images(project, 9)
    for number in (1, 3):
        cache.put(images[number], SIDE, picture(number))
    (found,) = read_covers([project], cache, SIDE).values()
    assert [round(int(part.mean()) / 30) for part in found] == [1, 3]
    for number, image in enumerate(images):
        cache.put(image, SIDE, picture(number))
    (found,) = read_covers([project], cache, SIDE).values()
    assert len(found) == PICTURES
    cache.enabled = False
    assert read_covers([project], cache, SIDE) == {project: ()}
