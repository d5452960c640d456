"""The import dialog: tried first, all or nothing, as regions or as truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_engine import FakeBackend
from pilot import NAMES, choose, close, field, make_pilot, open_pilot, pixels
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPushButton

from camviewer.pipeline.export import ExportRequest, export
from camviewer.project.store import Project
from camviewer.project.truth import truths
from camviewer.ui.dialogs.class_names import ClassNamesDialog
from camviewer.ui.dialogs.importing import ImportDialog
from camviewer.ui.dialogs.named_reasons import NamedReasonsDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_pilot(tmp_path / "pilot")


@pytest.fixture
def annotations(project: Path, tmp_path: Path) -> Path:
    """All twelve images as COCO, one of them under a name that the project does not have."""
    out = tmp_path / "annotations"
    export(ExportRequest(project, "coco", out, status="all"))
    file = out / "instances.json"
    file.write_text(file.read_text().replace(NAMES[11], "elsewhere.jpg"))
    return out


@pytest.fixture
def session(project: Path, qtbot) -> Iterator[Session]:
    made = open_pilot(project, qtbot)
    yield made
    close(made)


@pytest.fixture
def dialog(session: Session) -> Iterator[ImportDialog]:
    made = ImportDialog(session)
    made.show()
    yield made
    made.close()
    made.deleteLater()


def said(dialog: ImportDialog) -> str:
    return dialog._message.accessibleDescription()


def test_a_trial_run_says_what_will_change(dialog: ImportDialog, annotations: Path, project: Path, qtbot) -> None:
    assert said(dialog).startswith("Choose a file or a folder.")
    before = project.read_bytes()
    field(dialog, QLineEdit, "Annotations").setText(str(annotations))
    qtbot.waitUntil(lambda: dialog._import.text() == "Import 1 image", timeout=10_000)
    # Ten were reviewed here, one is new, one is not in the project.
    assert "1 image would be imported as reviewed: 1 mask." in said(dialog)
    assert "Read as COCO instances." in said(dialog)
    assert "10 images stayed as they were." in said(dialog)
    assert "1 annotated image is not in the project." in said(dialog)
    (button,) = [part for part in dialog._message.findChildren(QPushButton) if part.text() == "Show them"]
    button.click()
    (listed,) = dialog.findChildren(NamedReasonsDialog)
    assert listed.list.topLevelItem(0).text(0).endswith("elsewhere.jpg")
    listed.close()
    field(dialog, QCheckBox, "Also images that a person worked on here").click()
    qtbot.waitUntil(lambda: dialog._import.text() == "Import 11 images", timeout=10_000)
    assert project.read_bytes() == before


def test_a_malformed_file_is_named_with_its_field(dialog: ImportDialog, annotations: Path, qtbot) -> None:
    file = annotations / "instances.json"
    file.write_text(file.read_text().replace('"bbox":', '"box":', 1))
    field(dialog, QLineEdit, "Annotations").setText(str(file))
    qtbot.waitUntil(lambda: "bbox" in said(dialog), timeout=10_000)
    assert said(dialog) == "instances.json: annotations[0].bbox is missing."
    assert not dialog._import.isEnabled()


def test_classes_get_other_names(dialog: ImportDialog, annotations: Path, session: Session, qtbot, monkeypatch) -> None:
    field(dialog, QCheckBox, "Also images that a person worked on here").click()
    field(dialog, QLineEdit, "Annotations").setText(str(annotations))
    qtbot.waitUntil(dialog._import.isEnabled, timeout=10_000)
    asked = []
    monkeypatch.setattr(
        ClassNamesDialog, "ask", staticmethod(lambda met, *_: asked.extend(met) or {"naevus": "mole", "melanoma": ""})
    )
    dialog._names.click()
    assert sorted(asked) == ["melanoma", "naevus"]
    assert dialog.request().class_map == {"naevus": "mole", "melanoma": ""}
    qtbot.waitUntil(lambda: "New classes: mole." in said(dialog), timeout=10_000)


def test_only_what_a_format_needs_is_asked(dialog: ImportDialog) -> None:
    corners, name = field(dialog, QComboBox, "Box corners"), field(dialog, QLineEdit, "Class of masks without one")
    choose(dialog, "Format", "Pascal VOC")
    assert corners.isVisible() and not name.isVisible()
    choose(dialog, "Format", "Mask PNG")
    assert name.isVisible() and not corners.isVisible()
    choose(dialog, "Format", "COCO")
    assert not name.isVisible() and not corners.isVisible()


@pytest.fixture
def window(qtbot, project: Path) -> Iterator[MainWindow]:
    main = MainWindow(SettingsStore(None), engine=Engine(make_backend=FakeBackend))
    main.show()
    main.bench.session.open_project(project)
    qtbot.waitUntil(lambda: main.bench.gallery.model.total() == len(NAMES), timeout=10_000)
    yield main
    main.close()


@pytest.mark.parametrize("purpose", ["reviewed", "truth"])
def test_the_window_shows_what_was_imported(window: MainWindow, project: Path, tmp_path: Path, qtbot, purpose) -> None:
    from PIL import Image

    # Somebody else's mask of an image that was not reviewed here.
    theirs = np.zeros((30, 40), np.uint8)
    theirs[2:9, 3:30] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(theirs).save(tmp_path / "masks" / f"{NAMES[10][:-4]}_segmentation.png")
    qtbot.waitUntil(lambda: not window.bench.engine.busy, timeout=10_000)
    window.bench.actions["import_annotations"].trigger()
    (dialog,) = window.findChildren(ImportDialog)
    dialog._purpose.set_value(purpose)
    field(dialog, QLineEdit, "Class of masks without one").setText("melanoma")
    field(dialog, QLineEdit, "Annotations").setText(str(tmp_path / "masks"))
    qtbot.waitUntil(dialog._import.isEnabled, timeout=10_000)
    dialog._import.click()
    qtbot.waitUntil(lambda: "imported" in window.bench.status.message(), timeout=10_000)
    assert not [found for found in window.findChildren(ImportDialog) if found.isVisible()]
    records = {record.path.name: record for record in window.bench.session.records()}
    image_id = records[NAMES[10]].id
    with Project.open(project) as opened:
        masks = {mask.class_id: mask.pixels for mask in opened.final_masks(image_id) if mask.pixels.any()}
        true = truths(opened, image_id)
    if purpose == "truth":
        assert np.array_equal(true[0].pixels, theirs > 0)
        assert np.array_equal(masks[1], pixels(10)[1])
        assert records[NAMES[10]].status != "reviewed"
    else:
        assert not true
        assert list(masks) == [1] and np.array_equal(masks[1], theirs > 0)
        assert records[NAMES[10]].status == "reviewed"
    assert window.bench.session.undo.to_undo is None
