"""Opening: dropped files, the model dialog, the demo's own images, names in every dialog, the smoke test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from fake_engine import FakeBackend
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAccessible, QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QLineEdit, QWidget

from camviewer.catalogue.formats import FORMATS
from camviewer.paths import data_dir, resources_dir
from camviewer.pipeline.export import export
from camviewer.project.store import Project
from camviewer.ui.batch import Failure
from camviewer.ui.dialogs.export import ExportDialog
from camviewer.ui.dialogs.failures import FailuresDialog
from camviewer.ui.dialogs.help import AboutDialog, KeysDialog
from camviewer.ui.dialogs.locate import LocateDialog
from camviewer.ui.dialogs.model import OpenModelDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.ui.welcome import _RecentCard
from camviewer.workers.engine import Engine
from camviewer.workers.exports import count_export

# The overload without the warning exists in the newest Qt alone.
pytestmark = pytest.mark.filterwarnings("ignore:.*QDragEnterEvent:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(2):
        Image.fromarray(np.full((60, 80, 3), 180 + number, np.uint8)).save(images / f"spot_{number}.png")
    return images


@pytest.fixture
def window(qtbot, tmp_path: Path) -> Iterator[MainWindow]:
    main = MainWindow(SettingsStore(None), engine=Engine(make_backend=FakeBackend))
    main.show()
    yield main
    main.close()


def drop(window: MainWindow, *paths: Path) -> bool:
    """Drag files over the window and drop them; return whether the window took them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), copy, data, left, none)
    enter.ignore()
    window.dragEnterEvent(enter)
    assert window._drop.isVisible() == enter.isAccepted()
    release = QDropEvent(QPointF(50, 50), copy, data, left, none)
    release.ignore()
    window.dropEvent(release)
    assert not window._drop.isVisible()
    return release.isAccepted()


def test_a_folder_is_dropped(window, folder: Path, qtbot) -> None:
    assert drop(window, folder)
    qtbot.waitUntil(lambda: window.bench.gallery.model.total() == 2, timeout=10_000)
    assert window.bench.session.project.root == folder


def test_a_recent_project_shows_small_pictures_of_its_images(window, folder: Path, qtbot) -> None:
    gallery = window.bench.gallery
    gallery.pictures.pool.cache.enabled = True
    assert drop(window, folder)
    qtbot.waitUntil(lambda: gallery.model.total() > 0 and gallery.pictures.used > 0, timeout=10_000)
    paths = [item.path for item in (gallery.model.item_at(row) for row in range(gallery.model.total()))]
    qtbot.waitUntil(lambda: all(gallery.pictures.get(path) is not None for path in paths), timeout=10_000)
    window.bench.session.close_project()
    card = window.bench.welcome.findChild(_RecentCard)
    before = card.grab().toImage()
    qtbot.waitUntil(lambda: card.grab().toImage() != before, timeout=10_000)


def test_one_image_is_dropped_and_shown(window, folder: Path, qtbot) -> None:
    assert drop(window, folder / "spot_1.png")
    qtbot.waitUntil(lambda: window.bench.session.current is not None, timeout=10_000)
    assert window.bench.session.current.path == folder / "spot_1.png"
    assert window.bench.gallery.model.total() == 1


def test_a_project_is_dropped(window, folder: Path, qtbot) -> None:
    with Project.create(folder / "kept.camviewer", root=folder):
        pass
    assert drop(window, folder / "kept.camviewer")
    assert window.bench.session.project.path == folder / "kept.camviewer"
    qtbot.wait(50)


def test_a_checkpoint_is_dropped_beside_images(window, folder: Path, tmp_path: Path, qtbot) -> None:
    weights = tmp_path / "net.pth"
    weights.write_bytes(b"weights")
    asked = []
    window.bench.engine.model_loaded.connect(lambda loaded: asked.append(loaded.request.weights))
    assert drop(window, weights, folder)
    qtbot.waitUntil(lambda: asked == [weights] and window.bench.gallery.model.total() == 2, timeout=10_000)
    assert window.bench.computing.summary is not None


def test_what_cannot_be_opened_is_not_taken(window, tmp_path: Path) -> None:
    (tmp_path / "letter.docx").write_bytes(b"")
    assert not drop(window, tmp_path / "letter.docx")
    assert window.bench.session.project is None


def test_images_of_the_installation_open_without_a_trace_there(window, qtbot) -> None:
    demo = resources_dir() / "demo" / "images"
    before = sorted(path.name for path in demo.iterdir())
    window.bench.session.open_folder(demo)
    qtbot.waitUntil(lambda: window.bench.gallery.model.total() > 0, timeout=10_000)
    assert window.bench.session.project.path.is_relative_to(data_dir())
    assert sorted(path.name for path in demo.iterdir()) == before


def field(dialog: QDialog, kind: type, name: str):
    (found,) = [widget for widget in dialog.findChildren(kind) if widget.accessibleName() == name]
    return found


def test_the_model_dialog_asks_for_a_file_that_is_there(qtbot, tmp_path: Path) -> None:
    dialog = OpenModelDialog(SettingsStore(None))
    qtbot.addWidget(dialog)
    dialog.show()
    results = []
    dialog.finished.connect(results.append)
    place = field(dialog, QLineEdit, "Checkpoint")
    for text, said in (("", "Choose a checkpoint."), (str(tmp_path / "gone.pth"), "gone.pth is not there.")):
        place.setText(text)
        dialog._open.click()
        assert dialog._problem.isVisible() and said in dialog._problem.accessibleDescription()
    assert results == []
    weights = tmp_path / "net.pth"
    weights.write_bytes(b"weights")
    place.setText(str(weights))
    field(dialog, QLineEdit, "Class names").setText(str(tmp_path / "names.txt"))
    device = field(dialog, QComboBox, "Device")
    device.setCurrentIndex(device.findData("cpu"))
    dialog._open.click()
    assert results == [QDialog.DialogCode.Accepted.value]
    request = dialog.request()
    assert (request.weights, request.labels, request.device) == (weights, tmp_path / "names.txt", "cpu")
    assert request.model is None and not request.allow_download and not request.trust_code


def test_the_model_dialog_names_a_known_network(qtbot) -> None:
    dialog = OpenModelDialog(SettingsStore(None))
    qtbot.addWidget(dialog)
    dialog.show()
    dialog._source.chosen.emit("known")
    dialog._source.set_value("known")
    assert not field(dialog, QLineEdit, "Checkpoint").isVisible()
    names = [box for box in dialog.findChildren(QComboBox) if box.accessibleName() == "Architecture"]
    names[0].setCurrentIndex(names[0].findData("resnet18"))
    request = dialog.request()
    assert request.model == "resnet18" and request.weights is None and not request.allow_download
    where = field(dialog, QComboBox, "Published weights")
    where.setCurrentIndex(where.findData(True))
    assert dialog.request().allow_download


def test_ctrl_enter_exports_once_the_trial_run_has_counted(window, folder: Path, qtbot, tmp_path: Path) -> None:
    window.bench.session.open_folder(folder)
    qtbot.waitUntil(lambda: pixels_shown(window))
    window.bench.session.set_model_classes(("Melanoma", "class 3"))
    mask = np.zeros((60, 80), np.bool_)
    mask[10:30, 10:30] = True
    window.bench.session.set_mask(mask, 2, "Mask drawn.")
    window.bench.session.set_status("reviewed")
    dialog = ExportDialog(window.bench.session, window.bench.settings, window)
    dialog.show()
    field(dialog, QLineEdit, "Folder").setText(str(tmp_path / "out"))
    qtbot.waitUntil(dialog._export.isEnabled, timeout=10_000)
    assert dialog._bars.words() == "All 1: class 3 1"
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
        results = []
        dialog.finished.connect(results.append)
        dialog.show()
        dialog._recount()
        QTest.keyClick(dialog, key, Qt.KeyboardModifier.ControlModifier)
        assert results == []  # not counted yet
        qtbot.waitUntil(dialog._export.isEnabled, timeout=10_000)
        QTest.keyClick(dialog, key, Qt.KeyboardModifier.ControlModifier)
        assert results == [QDialog.DialogCode.Accepted.value]
        dialog.finished.disconnect(results.append)
        dialog.setResult(0)
    dialog.deleteLater()


def test_the_image_on_screen_is_exported_alone(window, folder: Path, qtbot, tmp_path: Path) -> None:
    window.bench.session.open_folder(folder)
    qtbot.waitUntil(lambda: pixels_shown(window))
    window.bench.session.set_model_classes(("Melanoma",))
    window.bench.session.set_mask(np.ones((60, 80), np.bool_), 1, "Mask drawn.")
    dialog = ExportDialog(window.bench.session, window.bench.settings, window)
    images = field(dialog, QComboBox, "Images")
    images.setCurrentIndex(images.findText("This image", Qt.MatchFlag.MatchStartsWith))
    request = replace(dialog.request(), out=tmp_path / "out")
    dialog.deleteLater()
    name = window.bench.session.current.record.path
    assert request.files == (name.as_posix(),)
    assert count_export(request).images == 1
    export(request)
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == [f"{name.stem}_segmentation.png"]


def test_choices_of_options_are_words_of_the_catalogue() -> None:
    for spec in FORMATS:
        for parameter in spec.parameters:
            assert not parameter.choice_titles or len(parameter.choice_titles) == len(parameter.choices)
            for choice in parameter.choices:
                title = parameter.title_of(choice)
                assert title[:1].isupper() and "Rle" not in title and "_" not in title
    (coco,) = [spec for spec in FORMATS if spec.name == "coco"]
    assert coco.parameters[0].title_of("rle") == "RLE"


@pytest.mark.parametrize("name", ["export", "model", "keys", "about", "locate", "failures"])
def test_every_control_of_a_dialog_has_a_name(window, folder: Path, qtbot, name: str) -> None:
    window.bench.session.open_folder(folder)
    qtbot.waitUntil(lambda: window.bench.gallery.model.total() == 2, timeout=10_000)
    dialog = {
        "export": lambda: ExportDialog(window.bench.session, window.bench.settings, window),
        "model": lambda: OpenModelDialog(window.bench.settings, window),
        "keys": lambda: KeysDialog(window),
        "about": lambda: AboutDialog(window),
        "locate": lambda: LocateDialog(window.bench.relinking, start=folder, parent=window),
        "failures": lambda: FailuresDialog([Failure(1, "a.png", "It is cut short.")], window),
    }[name]()
    dialog.show()
    QApplication.processEvents()
    nameless, seen = [], 0
    for widget in dialog.findChildren(QWidget):
        if not (widget.focusPolicy() & Qt.FocusPolicy.TabFocus) or not widget.isVisible():
            continue
        seen += 1
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is not None and not interface.text(QAccessible.Text.Name).strip():
            nameless.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    assert nameless == [] and seen
    assert dialog.windowTitle()
    dialog.close()
    dialog.deleteLater()


def test_the_smoke_test_shows_a_map_and_writes_nothing_of_its_own(tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "TMPDIR": str(scratch)}
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        env[variable] = str(home)
    demo = resources_dir() / "demo"
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-m", "camviewer", "--smoke-test"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(home.rglob("*")) == []
    # torch makes an empty folder of its own for its compiler.
    assert [path for path in scratch.rglob("*") if not path.name.startswith("torchinductor")] == []
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before
