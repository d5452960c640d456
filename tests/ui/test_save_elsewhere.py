"""A project that takes no more edits: the person is told, the edit is kept, and saved with a copy elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camviewer.project.store import Project
from camviewer.ui.session import Session

SIZE = (400, 300)


@pytest.fixture
def session(qtbot, tmp_path: Path):
    folder = tmp_path / "drive"
    folder.mkdir()
    Image.new("RGB", SIZE, (200, 160, 150)).save(folder / "a.png")
    found = Session()
    found.open_folder(folder)
    qtbot.waitUntil(lambda: found.current is not None and found.current.pixels is not None, timeout=10_000)
    found.set_model_classes(("lesion", "other"))
    yield found
    assert found.close()
    found.deleteLater()


def noise(seed: int) -> np.ndarray:
    """A mask that does not pack well, so that it needs new pages of the file."""
    return np.random.default_rng(seed).random(SIZE[::-1]) < 0.5


def full_disk(session: Session) -> None:
    (pages,) = session.project._one("PRAGMA page_count")
    session.project._one(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL


def read_only(session: Session) -> None:
    session.project._one("PRAGMA query_only = ON")


def gone(session: Session) -> None:
    shutil.rmtree(session.project.path.parent)


@pytest.mark.parametrize(("trouble", "words"), [(full_disk, "full"), (read_only, "written"), (gone, "reached")])
def test_the_edit_is_kept_and_saved_elsewhere(session: Session, tmp_path: Path, qtbot, trouble, words: str) -> None:
    said: list[tuple[str, str, str]] = []
    session.said.connect(lambda *message: said.append(message))
    blank = np.zeros(SIZE[::-1], bool)
    blank[10:20, 10:20] = True
    session.set_mask(blank, 1, "Mask painted.")
    assert len(session.project.masks(1)) == 1
    trouble(session)
    session.set_mask(noise(2), 1, "Mask painted.")
    assert words in said[-1][0] and said[-1][2] == "bad"
    assert "Save project as" in said[-1][1]
    assert session.undo.unwritten == 1
    session.set_mask(noise(3), 1, "Mask painted.")  # the person tries once more
    session.set_mask(noise(4), 2, "Mask painted.")  # and something else
    place = tmp_path / "elsewhere" / "b.camviewer"
    session.save_as(place)
    assert said[-1] == ("Saved as b.camviewer.", "With 2 edits that could not be written before", "ok")
    assert session.project.path == place and session.undo.unwritten == 0
    with Project.open(place) as copy:
        by_class = {mask.class_id: mask.pixels for mask in copy.masks(1)}
    assert np.array_equal(by_class[1], noise(3))
    assert np.array_equal(by_class[2], noise(4))
    # Work goes on there.
    session.set_mask(noise(5), 2, "Mask painted.")
    assert said[-1][2] == "ok"


def test_a_place_that_is_taken_is_refused_and_nothing_is_lost(session: Session, tmp_path: Path, qtbot) -> None:
    said: list[tuple[str, str, str]] = []
    session.said.connect(lambda *message: said.append(message))
    read_only(session)
    session.set_mask(noise(1), 1, "Mask painted.")
    taken = tmp_path / "taken.camviewer"
    taken.write_bytes(b"mine")
    session.save_as(taken)
    assert "exists already" in said[-1][0]
    assert taken.read_bytes() == b"mine" and session.undo.unwritten == 1
