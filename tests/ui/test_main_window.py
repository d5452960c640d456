"""The window: opening, reviewing, undo, keys, names of all controls, closing."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from canvas_scene import blob
from drive import pixels_shown
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QWidget

from camviewer.project.records import Box
from camviewer.project.store import Project
from camviewer.ui.canvas.records import VIEW_MODES
from camviewer.ui.compare.grid import Column, Row
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(4):
        pixels = np.full((60, 80, 3), 200 - number * 20, np.uint8)
        Image.fromarray(pixels).save(images / f"spot_{number}.png")
    (images / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    return images


@pytest.fixture
def window(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The engine has its own tests; here it must not load torch.
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1280, 800)
    main.show()
    yield main
    main.close()


def open_and_wait(window: MainWindow, folder: Path, qtbot) -> None:
    window.bench.session.open_folder(folder)
    qtbot.waitUntil(lambda: window.bench.gallery.model.total() == 5, timeout=10_000)
    qtbot.waitUntil(
        lambda: pixels_shown(window),
        timeout=10_000,
    )


def test_a_folder_opens_with_its_broken_file_in_place(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    counts = window.bench.gallery.model.counts()
    assert counts["new"] == 4 and counts["failed"] == 1
    assert (folder / "spots.camviewer").is_file()
    assert window.bench.session.current.record.path.name == "spot_0.png"


def test_enter_marks_reviewed_and_goes_on_and_undo_takes_it_back(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_Return)
    assert window.bench.session.current.record.path.name == "spot_1.png"
    assert window.bench.gallery.model.counts()["reviewed"] == 1
    with Project.open(folder / "spots.camviewer") as project:
        assert project.status_counts()["reviewed"] == 1
    window.bench.actions["undo"].trigger()
    assert window.bench.gallery.model.counts()["reviewed"] == 0
    assert window.bench.session.current.record.path.name == "spot_0.png"


def test_boxes_are_kept_changed_deleted_and_come_back(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    session = window.bench.session
    session.add_box(Box(10, 10, 30, 30, 0, "manual"))
    (region,) = session.regions()
    assert session.selected == region.key
    session.change_box(region.key, Box(12, 10, 32, 30, 0, "manual"))
    assert session.regions()[0].shape.x0 == 12
    session.delete_region()
    assert session.regions() == []
    for expected in ([12.0], [10.0], []):
        session.undo.undo()
        assert [entry.shape.x0 for entry in session.regions()] == expected
    session.undo.redo()
    session.undo.redo()
    assert session.regions()[0].shape.x0 == 12


def test_views_are_chosen_by_key_and_each_image_keeps_its_zoom(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    bench, keys = window.bench, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    for key, mode in enumerate(VIEW_MODES, Qt.Key.Key_1.value):
        qtbot.keyClick(bench.canvas, Qt.Key(key), keys)
        assert bench.canvas.view.mode() == mode
        assert [name for name in VIEW_MODES if bench.actions[f"view_{name}"].isChecked()] == [mode]
    fitted = bench.canvas.view.zoom()
    qtbot.keyClick(bench.canvas, Qt.Key.Key_Plus)
    close = bench.canvas.view.zoom()
    assert close > fitted
    qtbot.keyClick(bench.canvas, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: bench.session.current.position == 2 and bench.session.current.pixels is not None)
    assert bench.canvas.view.zoom() < close
    qtbot.keyClick(bench.canvas, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: bench.session.current.position == 1 and bench.session.current.pixels is not None)
    assert bench.canvas.view.zoom() == pytest.approx(close)


def test_next_and_previous_by_key(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_D)
    assert window.bench.session.current.position == 2
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_A)
    assert window.bench.session.current.position == 1


def test_every_focusable_control_has_a_name(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    for workspace in ("review", "model"):
        window.places.set_workspace(workspace)
        nameless = []
        for widget in window.findChildren(QWidget):
            if not (widget.focusPolicy() & Qt.FocusPolicy.TabFocus) or not widget.isVisible():
                continue
            interface = QAccessible.queryAccessibleInterface(widget)
            if interface is not None and not interface.text(QAccessible.Text.Name).strip():
                nameless.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
        assert nameless == []


def test_the_window_is_the_only_one_so_closing_it_ends_the_program(window: MainWindow, qtbot) -> None:
    # A shown widget without a parent is a second window, and Qt does not quit while there is one.
    assert [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()] == [window]


@pytest.mark.parametrize("name", ["classes", "method", "threshold", "regions", "image"])
def test_folding_hides_the_body_of_every_section(window: MainWindow, folder: Path, qtbot, name: str) -> None:
    open_and_wait(window, folder, qtbot)
    panel = getattr(window.bench, name)
    height = panel.sizeHint().height()
    panel.set_folded(True)
    assert panel.sizeHint().height() < height
    assert not panel.content().parentWidget().isVisible()
    panel.set_folded(False)
    assert panel.content().parentWidget().isVisible()


@pytest.mark.parametrize("width", [1024, 1280, 1600])
def test_no_menu_and_no_chip_is_cut(window: MainWindow, folder: Path, qtbot, width: int) -> None:
    open_and_wait(window, folder, qtbot)
    window.resize(width, 800)
    for workspace in ("review", "model"):
        window.places.set_workspace(workspace)
        QApplication.processEvents()
        bar = window.bench.header.menu
        assert all(bar.rect().contains(bar.actionGeometry(action)) for action in bar.actions())
        row = [chip.geometry() for chip in window.bench.gallery._chips.values() if chip.isVisible()]
        assert all(a.right() < b.left() for a, b in itertools.pairwise(row))


@pytest.mark.parametrize("width", [1280, 1440, 1600])
def test_fit_stays_in_the_tool_row_of_every_workspace(window: MainWindow, folder: Path, qtbot, width: int) -> None:
    open_and_wait(window, folder, qtbot)
    window.resize(width, 800)
    for workspace in ("review", "model"):
        window.places.set_workspace(workspace)
        QApplication.processEvents()
        row = window.bench.canvas.tools
        assert row._fit.isVisible() and row.rect().contains(row._fit.geometry())
        assert row._fit.geometry().right() < row.compare.geometry().left()
        assert row._mode.geometry().right() < row._fit.geometry().left()


def test_settings_and_recent_projects_are_remembered(window: MainWindow, folder: Path, qtbot, tmp_path: Path) -> None:
    open_and_wait(window, folder, qtbot)
    window.bench.session.set_status("reviewed")
    window.bench.session.close_project()
    assert window.bench.settings.value.recent[0].reviewed == 1
    window.close()
    value = SettingsStore(tmp_path / "settings.json").value
    assert value.recent[0].path == str(folder / "spots.camviewer")
    assert (value.recent[0].images, value.recent[0].reviewed) == (5, 1)


def test_numbers_stand_beside_the_comparison_alone(window: MainWindow, folder: Path, qtbot) -> None:
    open_and_wait(window, folder, qtbot)
    bench, page = window.bench, window.comparing.page
    assert not bench.agreement.isVisible()
    bench.stage.show_page(page)
    assert bench.agreement.isVisibleTo(bench.window)
    height, width = bench.session.current.pixels.shape[:2]
    page.grid.set_grid([Row("cam", "CAM"), Row("gradcam", "Grad-CAM")], [Column(4, 1, "Spot", "#FF6F3C", 0.7)])
    for method in ("cam", "gradcam"):
        page.grid.set_map(replace(blob((width, height)), method=method))
    qtbot.waitUntil(lambda: bench.agreement.values().get((1, 0), 0) > 0.99)
    bench.stage.show_page(None)
    assert not bench.agreement.isVisibleTo(bench.window)


def test_damaged_settings_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for text in ("{", "[]", '{"recent": [1, {"path": 2}, {"path": "a", "images": "x"}], "opacity": "high"}'):
        path.write_text(text)
        value = SettingsStore(path).value
        assert value.recent == [] and value.opacity == 0.6


def test_thumbnails_of_patients_are_not_kept_where_it_is_not_known_whether_they_may_be(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert SettingsStore(path).value.keep_thumbnails  # the first start
    for text in ("{", "[]", '{"keep_thumbnails": "no"}', '{"keep_thumbnails": null}', '{"keep_thumbnails": false}'):
        path.write_text(text)
        assert not SettingsStore(path).value.keep_thumbnails
    path.write_text('{"opacity": 0.5}')  # of a version that did not ask
    assert SettingsStore(path).value.keep_thumbnails


def test_torch_is_not_loaded_when_the_window_has_been_painted() -> None:
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "from camviewer.ui.main_window import MainWindow\n"
        "from camviewer.ui.settings import SettingsStore\n"
        "window = MainWindow(SettingsStore(None))\n"
        "window.painted_first.connect(lambda: (print('torch' in sys.modules), setattr(window, '_closed', True)))\n"
        "window.painted_first.connect(app.quit)\n"
        "window.show()\n"
        "app.exec()\n"
        "window.bench.engine.close(); window.bench.gallery.pictures.close(); window.bench.session.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "False", done.stderr
    assert done.returncode == 0, done.stderr
