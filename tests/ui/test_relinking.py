"""Missing images of the window: noticed on opening, found in a folder, linked, and shown again."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from camviewer.project.records import Box, ImageRecord
from camviewer.project.store import Project
from camviewer.ui.dialogs.locate import LocateDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.relinking import Relinking
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def session(qtbot):
    made = Session()
    relinking = Relinking(made)
    yield made, relinking
    assert relinking.close()
    assert made.close()


def known(session: Session, folder: Path, qtbot) -> Path:
    """Open a folder, wait until the content of its files is kept, and return the project file."""
    session.open_folder(folder)
    qtbot.waitUntil(
        lambda: session.project is not None and [bool(r.sha256) for r in session.project.images()] == [True] * 4
    )
    session.project.add_box(2, Box(0, 0, 5, 5, 1))
    path = session.project.path
    session.close_project()
    return path


def test_moved_images_are_noticed_found_and_linked(session, images: Path, tmp_path: Path, qtbot) -> None:
    made, relinking = session
    path = known(made, images, qtbot)
    (tmp_path / "new" / "deep").mkdir(parents=True)
    for i in range(3):
        (images / f"{i}.png").rename(tmp_path / "new" / "deep" / f"other {i}.png")
    with qtbot.waitSignal(relinking.missing_changed) as noticed:
        made.open_project(path)
    assert [record.id for record in noticed.args[0]] == [1, 2, 3]
    dialog = LocateDialog(relinking, start=tmp_path)
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.link.isEnabled()
    with qtbot.waitSignal(relinking.proposed):
        dialog.search(tmp_path / "new")
    assert dialog.link.text().startswith("Link 3 images")
    dialog.link.click()
    assert dialog.result() == LocateDialog.DialogCode.Accepted
    assert made.project.file_of(made.project.image(2)) == tmp_path / "new" / "deep" / "other 1.png"
    assert len(made.project.boxes(2)) == 1
    qtbot.waitUntil(lambda: made.current is not None and made.current.pixels is not None)
    assert relinking.missing == []


def test_a_folder_without_them_says_so_and_changes_nothing(session, images: Path, tmp_path: Path, qtbot) -> None:
    made, relinking = session
    path = known(made, images, qtbot)
    (images / "0.png").rename(tmp_path / "0.png")
    with qtbot.waitSignal(relinking.missing_changed):
        made.open_project(path)
    dialog = LocateDialog(relinking, start=tmp_path)
    qtbot.addWidget(dialog)
    (tmp_path / "empty").mkdir()
    with qtbot.waitSignal(relinking.proposed):
        dialog.search(tmp_path / "empty")
    assert not dialog.link.isEnabled()
    with qtbot.waitSignal(relinking.failed):
        dialog.search(tmp_path / "nowhere")
    with Project.open(path) as project:
        assert project.image(1).path.as_posix() == "0.png"


def test_the_window_says_what_is_missing_and_offers_to_locate_it(
    images: Path, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)
    with Project.create(images / "p.camviewer") as project:
        project.add_images([ImageRecord(PurePosixPath(f"{i}.png"), (30, 20)) for i in (0, 1, 9)])
    said = []
    window = MainWindow(SettingsStore(tmp_path / "settings.json"))
    monkeypatch.setattr(window.bench.status, "show_message", lambda text, detail, tone: said.append((text, tone)))
    window.show()
    window.bench.session.open_project(images / "p.camviewer")
    qtbot.waitUntil(lambda: ("1 image is not where it was.", "warn") in said)
    window.bench.actions["locate_images"].trigger()
    (dialog,) = window.findChildren(LocateDialog)
    assert dialog.isVisible() and dialog.parent() is window
    dialog.reject()
    qtbot.waitUntil(lambda: not window.findChildren(LocateDialog))
    window.bench.session.open_folder(images)
    window.close()
