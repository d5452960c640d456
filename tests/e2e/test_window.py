"""The main job through the window: real photographs and a real checkpoint go in, a training set comes out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from drive import Condition, press, run
from pycocotools.coco import COCO
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QWidget

from camviewer.images.decode import read_header
from camviewer.project.store import Project
from camviewer.ui.dialogs.cards import ChoiceCard
from camviewer.ui.dialogs.export import ExportDialog
from camviewer.ui.main_window import MainWindow

IMAGES = 8


@pytest.fixture
def folder(data_dir: Path, tmp_path: Path) -> Path:
    """Some of the real photographs, in two sizes, beside a file that is cut short."""
    target = tmp_path / "dermoscopy"
    target.mkdir()
    large = sorted((data_dir / "ham10000_600x450" / "images").iterdir())[: IMAGES - 2]
    small = sorted((data_dir / "ham10000_200x150" / "images").iterdir())[:2]
    for path in (*large, *small):
        shutil.copy(path, target / path.name)
    whole = large[0].read_bytes()
    (target / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return target


def picture(window: QWidget, name: str) -> None:
    """Keep a screenshot where CAMVIEWER_REPORT says, for a person to look at."""
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        window.grab().save(str(Path(report) / f"{name}.png"))


@pytest.mark.data
def test_from_a_folder_and_a_checkpoint_to_a_training_set(folder: Path, data_dir: Path, tmp_path: Path, qapp) -> None:
    out = tmp_path / "training set"
    checkpoint = data_dir / "checkpoints" / "squeezenet1_1_skin9.pth"

    def script(window: MainWindow) -> Generator[Condition]:
        window.resize(1600, 1000)
        yield lambda: window.bench.gallery.model.total() == IMAGES + 1
        yield lambda: window.bench.computing.summary is not None
        # The first file is the broken one: the window says so, and the person goes on.
        yield lambda: window.bench.gallery.model.counts().get("failed") == 1
        picture(window, "broken")
        shown = []
        window.bench.computing.map_shown.connect(lambda found, *_: shown.append(found))
        press(window.bench.canvas, Qt.Key.Key_D)
        # Look at the map, change the method, go on and back.
        yield lambda: any(found is not None for found in shown)
        window.bench.actions["view_blend"].trigger()
        picture(window, "blend")
        shown.clear()
        press(window.bench.canvas, Qt.Key.Key_M)
        yield lambda: any(found is not None and found.method != "cam" for found in shown)
        press(window.bench.canvas, Qt.Key.Key_D)
        yield lambda: window.bench.session.current.position == 3
        press(window.bench.canvas, Qt.Key.Key_A)
        yield lambda: window.bench.session.current.position == 2
        # Compute everything; the broken file does not end it.
        press(window.bench.canvas, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
        yield lambda: window.bench.gallery.model.counts()["computed"] == IMAGES and not window.bench.engine.open_jobs()
        assert window.bench.gallery.model.counts()["failed"] == 1
        # Review three images by the keyboard alone.
        for reviewed in (1, 2, 3):
            press(window.bench.canvas, Qt.Key.Key_Return)
            yield lambda n=reviewed: window.bench.gallery.model.counts()["reviewed"] == n
            yield lambda: window.bench.session.current.pixels is not None
        picture(window, "reviewed")
        # Export what is reviewed, through the dialog.
        press(window.bench.canvas, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
        yield lambda: any(isinstance(w, ExportDialog) and w.isVisible() for w in QApplication.topLevelWidgets())
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog) and w.isVisible()]
        (card,) = [card for card in dialog.findChildren(ChoiceCard) if card.accessibleName().startswith("COCO")]
        QTest.mouseClick(card, Qt.MouseButton.LeftButton)
        (place,) = [field for field in dialog.findChildren(QLineEdit) if field.accessibleName() == "Folder"]
        place.setText(str(out))
        (write,) = [button for button in dialog.findChildren(QPushButton) if button.text().startswith("Export")]
        yield lambda: write.text() == "Export 3 images" and write.isEnabled()
        picture(dialog, "export")
        assert dialog.isActiveWindow()
        QTest.mouseClick(write, Qt.MouseButton.LeftButton)
        yield lambda: (out / "run.json").is_file() and not window.bench.engine.open_jobs()
        picture(window, "exported")

    assert run(["--safe-mode", str(folder), "--model", str(checkpoint)], script) == 0

    coco = COCO(str(out / "instances.json"))
    with Project.open(folder / f"{folder.name}.camviewer") as project:
        records = {record.path.name: record for record in project.images()}
        reviewed = {name for name, record in records.items() if record.status == "reviewed"}
        assert len(reviewed) == 3
        assert {entry["file_name"].rsplit("/")[-1] for entry in coco.imgs.values()} == reviewed
        for image_id, entry in coco.imgs.items():
            record = records[entry["file_name"].rsplit("/")[-1]]
            assert (entry["width"], entry["height"]) == read_header(folder / record.path).size
            masks = project.final_masks(record.id)
            found = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
            pixels = sum(coco.annToMask(a).astype(int) for a in found if a.get("segmentation")) > 0
            assert np.array_equal(pixels, np.any([mask.pixels for mask in masks], axis=0))
            assert pixels.any()
    manifest = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert "squeezenet1_1_skin9.pth" in json.dumps(manifest)
