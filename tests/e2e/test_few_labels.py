"""New classes through the window, from no label at all to a checkpoint: as a person would, by mouse and keys."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from drawn_skin import disc, draw
from drive import Condition, pixels_shown, run
from PIL import Image
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

from camviewer.evaluation.localisation import pointing
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.paths import resources_dir
from camviewer.training.few_labels import BACKGROUND
from camviewer.ui.choices import Chip
from camviewer.ui.main_window import MainWindow

SIZE = (160, 120)
PIGMENTS = {"brown": (120, 72, 60), "red": (196, 60, 66)}


@pytest.fixture
def skin(tmp_path: Path) -> dict[str, np.ndarray]:
    """A folder of sixteen pictures, brown and red in turn; their masks by name."""
    (tmp_path / "skin").mkdir()
    rng = np.random.default_rng(2)
    masks = {}
    for number in range(16):
        kind = ("brown", "red")[number % 2]
        mask = disc(SIZE, *rng.uniform(0.3, 0.7, 2), rng.uniform(0.12, 0.2))
        name = f"{number:02d}_{kind}.png"
        Image.fromarray(draw(SIZE, mask, pigment=PIGMENTS[kind])).save(tmp_path / "skin" / name)
        masks[name] = mask
    return masks


def picture(window: MainWindow, name: str) -> None:
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        window.grab().save(str(Path(report) / f"{name}.png"))


def test_two_labels_make_a_model_and_every_further_one_refits_it(skin, tmp_path: Path, qapp) -> None:
    model, out = next((resources_dir() / "demo").rglob("*.safetensors")), tmp_path / "skin kinds.safetensors"

    def script(window: MainWindow) -> Generator[Condition]:
        window.resize(1440, 900)
        bench, panel = window.bench, window.teaching.panel
        bench.dialogs.new_file = lambda *_: out  # the file dialog belongs to the system
        yield lambda: bench.gallery.model.total() == len(skin) and pixels_shown(window)
        yield lambda: bench.computing.summary is not None
        assert panel.isHidden()
        bench.actions["new_classes"].trigger()
        assert panel.isVisible()
        image_of = {record.path.name: record.id for record in bench.session.records()}

        def show(name: str) -> Condition:
            bench.session.show_image(image_of[name])
            return lambda: bench.session.current.record.path.name == name and bench.session.current.pixels is not None

        def names() -> tuple[str, ...]:
            return bench.computing.summary.identity.classes

        def type_class(name: str) -> None:
            field = panel.findChild(QLineEdit)
            QTest.keyClicks(field, name)
            QTest.keyClick(field, Qt.Key.Key_Return)

        def chip(name: str) -> Chip:
            return panel._chips[name]

        yield lambda: window.teaching._taught is not None
        yield show("00_brown.png")
        type_class("brown")
        assert chip("brown").isChecked()
        # One class and the border are enough: the model has new classes at once.
        yield lambda: names() == ("brown", BACKGROUND)
        yield show("01_red.png")
        assert not chip("brown").isChecked()
        type_class("red")
        yield lambda: names() == ("brown", "red", BACKGROUND)
        # The image on the canvas is explained by the new classes.
        yield lambda: bench.computing.shown_map is not None and bench.computing.class_index == 1
        picture(window, "few_labels_two")
        # The gallery leads to what is least sure; labels are one press.
        before = window.teaching._result
        least = before.least_sure(without=[m.path for m in window.teaching._marks])[0]
        panel._next.click()
        yield lambda: bench.session.current.path == least.path and bench.session.current.pixels is not None
        QTest.mouseClick(chip(least.path.stem.split("_")[1]), Qt.MouseButton.LeftButton)
        yield lambda: window.teaching._result is not before
        margins = {item.name: item.values.get("margin") for item in bench.gallery.model.items()}
        assert margins["00_brown.png"] is None
        assert margins[least.path.name] is None
        assert sum(value is not None for value in margins.values()) == len(skin) - 3
        # A point of the skin, pressed on the canvas.
        panel._mode._buttons["point"].click()
        QTest.mouseClick(chip(BACKGROUND), Qt.MouseButton.LeftButton)
        view, before = bench.canvas.view, window.teaching._result
        place = view.image_rect().topLeft() + QPointF(6, 6)
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place.toPoint())
        assert window.teaching._marks[-1].name == BACKGROUND
        assert max(window.teaching._marks[-1].point) < 30
        yield lambda: window.teaching._result is not before
        assert window.teaching._result.classes.counts[BACKGROUND] == 1
        panel._mode._buttons["image"].click()
        for name in ("02_brown.png", "03_red.png", "05_red.png"):
            yield show(name)
            before = window.teaching._result
            if chip(name[3:-4]).isChecked():
                continue
            QTest.mouseClick(chip(name[3:-4]), Qt.MouseButton.LeftButton)
            yield lambda before=before: window.teaching._result is not before
        assert window.teaching._result.classes.accuracy is not None
        yield lambda: not bench.engine.busy
        picture(window, "few_labels_six")
        panel._save.click()
        yield out.is_file
        yield lambda: not bench.engine.busy

    assert run([str(tmp_path / "skin"), "--weights", str(model)], script) == 0
    classifier = load_classifier(LoadRequest(weights=out, device="cpu"))
    assert classifier.identity.classes == ("brown", "red", BACKGROUND)
    from camviewer.cam.explainer import Explainer
    from camviewer.cam.requests import MapRequest
    from camviewer.images.decode import read_image

    explainer, right, hits = Explainer(classifier), [], []
    for name, mask in list(skin.items())[6:]:
        found = explainer.explain(read_image(tmp_path / "skin" / name), MapRequest(methods=("cam",)))
        assert found.identity_error < 1e-3
        right.append(found.scores[0].name == name[3:-4])
        full = found.maps[0].geometry.upsample(found.maps[0].values)
        hits.append(pointing(full, mask, tolerance=0.06 * SIZE[0]))
    assert np.mean(right) >= 0.8
    assert np.mean(hits) >= 0.8


def test_labels_are_there_again_when_the_project_is(skin, tmp_path: Path, qapp) -> None:
    model = next((resources_dir() / "demo").rglob("*.safetensors"))

    def label(window: MainWindow) -> Generator[Condition]:
        yield lambda: window.bench.gallery.model.total() == len(skin) and pixels_shown(window)
        window.bench.actions["new_classes"].trigger()
        window.teaching._add_class("brown")
        yield lambda: len(window.teaching._marks) == 1

    assert run([str(tmp_path / "skin")], label) == 0

    def again(window: MainWindow) -> Generator[Condition]:
        yield lambda: window.bench.gallery.model.total() == len(skin) and pixels_shown(window)
        assert [mark.name for mark in window.teaching._marks] == ["brown"]
        window.bench.actions["new_classes"].trigger()
        yield lambda: window.bench.computing.summary is not None
        yield lambda: window.bench.computing.summary.identity.classes == ("brown", BACKGROUND)

    assert run([str(tmp_path / "skin"), "--weights", str(model)], again) == 0
