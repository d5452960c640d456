"""Guiding in the window: reviewed masks in, a curve, before and after, a model that opens."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from drawn_skin import disc, draw
from drive import pixels_shown
from PIL import Image

from camviewer.models.camnet import camnet
from camviewer.models.checkpoint import ModelInfo, save_checkpoint
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.project.records import ClassTable, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore

SIZE = (96, 72)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    with Project.create(tmp_path / "p.camviewer") as project:
        project.set_class_table(ClassTable.for_model(("brown", "red")))
        names = [f"{number:02d}.png" for number in range(12)]
        project.add_images([ImageRecord(PurePosixPath(name), SIZE) for name in names])
        for number, image in enumerate(project.images()):
            mask = disc(SIZE, *rng.uniform(0.35, 0.65, 2), 0.18)
            picture = draw(SIZE, mask, pigment=(120 + 60 * (number % 2), 72, 60))
            Image.fromarray(picture).save(tmp_path / names[number])
            if number < 10:
                project.set_mask(image.id, Mask(mask, number % 2 + 1))
                project.set_status([image.id], "reviewed")
    return tmp_path / "p.camviewer"


@pytest.fixture
def window(qtbot, tmp_path: Path):
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1440, 900)
    main.show()
    yield main
    main.close()


def test_reviewed_masks_guide_the_open_model(window: MainWindow, project: Path, tmp_path: Path, qtbot) -> None:
    torch.manual_seed(0)
    info = ModelInfo(
        arch="camnet", head="gap", classes=("brown", "red"), input_size=SIZE, options={"width": 8, "features": 16}
    )
    save_checkpoint(tmp_path / "net.safetensors", camnet(2, width=8, features=16), info=info)
    bench = window.bench
    bench.session.open_project(project)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    bench.computing.load_model(LoadRequest(weights=tmp_path / "net.safetensors", device="cpu"))
    qtbot.waitUntil(lambda: bench.computing.summary is not None, timeout=60_000)
    bench.actions["guide"].trigger()
    dialog = window.guiding.dialog
    assert "10 images have a reviewed mask" in dialog._state.text()
    window.guiding.start({"epochs": 3, "learning_rate": 1e-3, "mask_weight": 10.0, "mining_weight": 1.0})
    qtbot.waitUntil(lambda: dialog._checkpoint is not None, timeout=60_000)
    assert len(dialog._reports) == 3
    assert "judged on" in dialog._state.text()
    assert dialog._pairs.count() > 3
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        dialog.grab().save(str(Path(report) / "guide.png"))
    assert (tmp_path / "guided" / "guided.json").is_file()
    dialog._open.click()
    qtbot.waitUntil(lambda: bench.computing.summary.identity.weights == "guided.safetensors", timeout=60_000)
    qtbot.waitUntil(lambda: not bench.engine.busy, timeout=60_000)
    guided = load_classifier(LoadRequest(weights=tmp_path / "guided" / "guided.safetensors", device="cpu"))
    assert guided.identity.classes == ("brown", "red")
