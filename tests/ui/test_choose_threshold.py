"""Choosing the threshold in the window: curves of what was reviewed, the rest redrawn, reviewed images left alone."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from drawn_skin import blob, draw
from drive import pixels_shown
from explained import a_run
from PIL import Image

from camviewer.images.geometry import Affine, Geometry
from camviewer.project.records import ActivationMap, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore

SIZE = (120, 90)
LEVEL = 0.6


def scene(number: int) -> tuple[ActivationMap, np.ndarray]:
    rng = np.random.default_rng(number)
    cells = blob((20, 15), *rng.uniform(0.3, 0.7, 2), 0.18)
    geometry = Geometry(SIZE, SIZE, (20, 15), Affine())
    full = geometry.upsample(cells)
    return ActivationMap(0, "cam", "last", cells, geometry), full >= LEVEL * full.max()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Twelve images with maps: eight reviewed, four automatic ones with the 20 % rule's far too large masks."""
    with Project.create(tmp_path / "p.camviewer") as project:
        project.set_class_table(ClassTable.for_model(("lesion", "other")))
        names = [f"{number:02d}.png" for number in range(12)]
        project.add_images([ImageRecord(PurePosixPath(name), SIZE) for name in names])
        run = project.add_run(a_run(methods=("cam",), layers=("last",)))
        for number, image in enumerate(project.images()):
            found, mask = scene(number)
            Image.fromarray(draw(SIZE, mask)).save(tmp_path / names[number])
            full = found.geometry.upsample(found.values)
            automatic = Mask(full >= 0.2 * full.max(), 1, "auto")
            project.store_result(image.id, run_id=run, top=[(0, 1.0, 0.9)], maps=[found], masks=[automatic])
            if number < 8:
                project.set_mask(image.id, Mask(mask, 1))
                project.set_status([image.id], "reviewed")
    return tmp_path / "p.camviewer"


@pytest.fixture
def window(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)  # torch is not needed here
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1440, 900)
    main.show()
    yield main
    main.close()


def test_the_rest_is_redrawn_by_what_was_reviewed(window: MainWindow, project: Path, qtbot) -> None:
    window.bench.session.open_project(project)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    window.bench.actions["choose_threshold"].trigger()
    dialog = window.thresholding.dialog
    qtbot.waitUntil(lambda: dialog._choice is not None, timeout=20_000)
    assert dialog.chosen().rule.threshold == pytest.approx(LEVEL)
    assert "at 0.60 of the maximum" in dialog._state.text()
    assert "8 images with a true mask are few" in dialog._notes.accessibleDescription()
    assert dialog._plot._marked == pytest.approx(LEVEL)
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        dialog.grab().save(str(Path(report) / "choose_threshold.png"))
    dialog._use.click()
    qtbot.waitUntil(lambda: "4 images redrawn" in window.bench.status.message(), timeout=20_000)
    assert window.bench.computing.rule.threshold == pytest.approx(LEVEL)
    assert window.bench.threshold.rule() == window.bench.computing.rule
    with Project.open(project) as opened:
        for number, image in enumerate(opened.images()):
            _, mask = scene(number)
            automatic = opened.masks(image.id, slot="auto")[0].pixels
            assert (np.mean(automatic == mask) > 0.99) == (number >= 8)
            assert image.status == ("reviewed" if number < 8 else "computed")


def test_without_reviewed_masks_it_says_what_to_do(window: MainWindow, project: Path, qtbot) -> None:
    with Project.open(project) as opened:
        opened.set_status([image.id for image in opened.images()], "computed")
    window.bench.session.open_project(project)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    window.bench.actions["choose_threshold"].trigger()
    dialog = window.thresholding.dialog
    qtbot.waitUntil(lambda: "Review some masks first" in dialog._state.text(), timeout=20_000)
    assert not dialog._use.isEnabled()
    dialog.reject()
    assert window.thresholding.dialog is None
