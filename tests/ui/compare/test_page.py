"""The comparison in the window: G shows it, the engine fills it, a cell opens alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from fake_engine import SUMMARY, FakeBackend
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from camviewer.cam.requests import Explanation
from camviewer.images.geometry import Geometry, plan_input
from camviewer.models.records import ClassScore, Layer
from camviewer.project.records import ActivationMap
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import LoadRequest

SIZE = (80, 60)


class Maps(FakeBackend):
    """Answers every request with one map for each method and class; Grad-CAM++ cannot."""

    def compute(self, job, watch):
        self._note(",".join(job.request.methods))
        if "gradcampp" in job.request.methods:
            from camviewer.errors import MethodError

            raise MethodError("Grad-CAM++ cannot be computed here.")
        plan = plan_input(SIZE, mode="squash", input_size=(32, 32))
        geometry = Geometry(SIZE, (32, 32), (4, 4), plan.input_to_image)
        scores = (ClassScore(1, "b", 2.0, 0.8), ClassScore(0, "a", 0.5, 0.2))
        classes = job.request.classes if not isinstance(job.request.classes, str) else (1, 0)
        values = np.arange(16, dtype=np.float32).reshape(4, 4)
        layer = "+".join(job.request.layers) or "layer"
        shift = len(layer) if job.request.layers else 0
        found = [
            ActivationMap(index, method, layer, values + len(method) + shift, geometry)
            for method in job.request.methods
            for index in classes
        ]
        return Explanation(scores, tuple(found), plan)


@pytest.fixture
def window(qtbot, tmp_path: Path):
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(2):
        Image.fromarray(np.full((60, 80, 3), 180 + number, np.uint8)).save(images / f"spot_{number}.png")
    backend = Maps()
    main = MainWindow(SettingsStore(tmp_path / "settings.json"), engine=Engine(make_backend=lambda: backend))
    main.backend = backend
    main.resize(1280, 800)
    main.show()
    main.bench.session.open_folder(images)
    main.bench.computing.load_model(LoadRequest(model="fast"))
    qtbot.waitUntil(lambda: main.bench.computing.class_index is not None and not main.bench.engine.busy, timeout=15_000)
    yield main
    main.close()


def filled(window: MainWindow) -> bool:
    return window.comparing.page.grid.missing() == ((), ()) and bool(window.comparing.page.grid._columns)


def test_g_compares_and_takes_back(window, qtbot) -> None:
    assert SUMMARY.head.reason
    qtbot.keyClick(window.bench.canvas, Qt.Key.Key_G)
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    grid = window.comparing.page.grid
    # CAM needs a head that this network has not; it is left out.
    assert [row.key for row in grid._rows] == ["gradcam", "gradcampp", "layercam"]
    assert [column.name for column in grid._columns] == ["b", "a"]
    assert grid.reading(0, 0) == "max 22.00"
    assert grid.reading(1, 0) == "Grad-CAM++ cannot be computed here."
    assert window.comparing.page.isVisible() and not window.bench.canvas.view.isVisible()
    assert window.bench.session.selected is None
    qtbot.keyClick(grid, Qt.Key.Key_G)
    assert not window.comparing.page.isVisible() and window.bench.canvas.view.isVisible()


def test_a_cell_opens_alone_with_its_method_and_class(window, qtbot) -> None:
    window.bench.actions["compare"].trigger()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    grid = window.comparing.page.grid
    grid.setFocus()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(grid, key)
    assert not window.bench.actions["compare"].isChecked()
    assert window.bench.computing.choice.method == "layercam"
    assert window.bench.computing.class_index == 0
    assert window.bench.method.choice().method == "layercam"
    assert window.bench.session.current.record.status != "reviewed"


def test_the_next_image_is_compared_too(window, qtbot) -> None:
    window.bench.actions["compare"].trigger()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    window.reviewing.step(1)
    qtbot.waitUntil(
        lambda: pixels_shown(window) and not window.bench.engine.busy and filled(window),
        timeout=15_000,
    )
    assert window.comparing.page.isVisible()
    assert window.comparing.page.grid.reading(2, 1) == "max 23.00"


def test_methods_and_classes_are_chosen(window, qtbot) -> None:
    page = window.comparing.page
    window.bench.actions["compare"].trigger()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    page._choices["eigencam"].trigger()
    page._columns.setCurrentIndex(0)
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    assert [row.key for row in page.grid._rows] == ["gradcam", "gradcampp", "layercam", "eigencam"]
    assert len(page.grid._columns) == 1
    assert not page._choices["cam"].isEnabled()


def test_closing_the_project_leaves_the_comparison(window, qtbot) -> None:
    window.bench.actions["compare"].trigger()
    window.bench.session.close_project()
    assert not window.bench.actions["compare"].isChecked()
    assert not window.comparing.page.isVisible()


def test_layers_are_compared_by_one_method(window, qtbot) -> None:
    page, computing = window.comparing.page, window.bench.computing
    window.bench.actions["compare"].trigger()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    computing.set_layers(("early", "late"))
    page.kind._buttons["layers"].click()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    assert [(row.key, row.title, row.detail) for row in page.grid.rows()] == [
        ("early", "early", "Grad-CAM"),
        ("late", "late", "Grad-CAM"),
    ]
    # The values of a map say at which layer it was asked for.
    assert [page.grid.reading(row, 0) for row in range(2)] == ["max 27.00", "max 26.00"]
    computing.set_layers(("early", "a third", "late"))
    qtbot.waitUntil(lambda: filled(window) and len(page.grid.rows()) == 3, timeout=15_000)
    assert page.grid.reading(1, 1) == "max 29.00"
    page.grid.setFocus()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Return):
        QTest.keyClick(page.grid, key)
    assert not page.isVisible()
    assert computing.layers == ("a third",) and computing.choice.method == "gradcam"


def test_other_layers_make_the_methods_be_computed_anew(window, qtbot) -> None:
    page = window.comparing.page
    window.bench.actions["compare"].trigger()
    qtbot.waitUntil(lambda: filled(window), timeout=15_000)
    assert page.grid.reading(0, 0) == "max 22.00"
    window.bench.computing.set_layers(("early",))
    qtbot.waitUntil(lambda: filled(window) and page.grid.reading(0, 0) == "max 27.00", timeout=15_000)


def test_without_ticks_the_last_layer_of_each_map_size_is_compared(window) -> None:
    def layer(name: str, side: int, fit: str = "usable") -> Layer:
        return Layer(name, "Conv2d", name.count("."), 1, (8, side, side), None, None, 0, None, fit, "")

    tree = (
        layer("a", 56),
        layer("b", 56),
        layer("c", 28),
        layer("d", 28, "unusable"),
        layer("e", 14, "suggested"),
        layer("e.relu", 14),
    )
    page, computing = window.comparing.page, window.bench.computing
    computing.summary = replace(SUMMARY, layers=tree, suggested="e")
    assert page.layers() == ("b", "c", "e")
    computing.layers = ("a",)
    assert page.layers() == ("a", "b", "c", "e")
    computing.layers = ("a", "c")
    assert page.layers() == ("a", "c")
    # CAM has one layer only, and Score-CAM would take minutes for each.
    for chosen, used in (("cam", "layercam"), ("scorecam", "layercam"), ("eigencam", "eigencam")):
        computing.choice = replace(computing.choice, method=chosen)
        assert page.layer_method() == used
