"""The export dialog: what it offers, what its trial run shows, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pilot import NAMES, choose, close, field, make_pilot, open_pilot
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton

from camviewer.catalogue.formats import FORMATS
from camviewer.ui.dialogs.class_names import ClassNamesDialog
from camviewer.ui.dialogs.export import ExportDialog
from camviewer.ui.dialogs.named_reasons import NamedReasonsDialog
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore


@pytest.fixture
def session(tmp_path: Path, qtbot) -> Iterator[Session]:
    made = open_pilot(make_pilot(tmp_path / "pilot"), qtbot)
    yield made
    close(made)


@pytest.fixture
def dialog(session: Session, tmp_path: Path, qtbot) -> Iterator[ExportDialog]:
    made = ExportDialog(session, SettingsStore(None))
    made.show()
    yield made
    made.close()
    made.deleteLater()


def counted(dialog: ExportDialog, qtbot) -> None:
    qtbot.waitUntil(lambda: dialog._export.isEnabled(), timeout=20_000)


def take(dialog: ExportDialog, name: str) -> None:
    dialog._cards.button([spec.name for spec in FORMATS].index(name)).click()


def shown(dialog: ExportDialog) -> list[str]:
    return [part.accessibleName() or part.text() for part in dialog._table.findChildren(QLabel) if not part.isHidden()]


def test_the_trial_run_shows_every_file_and_what_changes(dialog: ExportDialog, qtbot) -> None:
    take(dialog, "yolo-segmentation")
    choose(dialog, "Split", "80 / 20")
    counted(dialog, qtbot)
    qtbot.waitUntil(lambda: bool(shown(dialog)))  # layouts show what is added once events are processed
    words = shown(dialog)
    for text in ("images/train/", "labels/val/", "data.yaml", "run.json", "Copied upright"):
        assert any(word.startswith(text) for word in words), words
    assert dialog._export.text() == "Export 10 images"
    message = dialog._message.accessibleDescription()
    assert "10 of 2,990 mask pixels change in this format: IoU 0.997" in message
    assert "2 images stay out: 2 not reviewed" in message
    dialog._copy_table.click()
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == ["File or folder", "Images", "Regions", "Size", "Note"]
    assert lines[-1].startswith("22 files\t10\t10\t")


def test_lesions_stay_together_by_a_column_of_a_table_beside_the_images(dialog: ExportDialog, qtbot) -> None:
    # Not the first column: the one whose name says that images belong together; the images' own is not offered.
    together = field(dialog, QComboBox, "Keep together")
    assert [together.itemText(i) for i in range(together.count())] == [
        "Each image alone",
        "lesion_id",
        "age",
        "Choose a table…",
    ]
    assert not together.isEnabled()
    assert dialog.request().groups is None
    choose(dialog, "Split", "70 / 15 / 15")
    assert together.isEnabled()
    request = dialog.request()
    assert (request.groups.name, request.group_column) == ("metadata.csv", "lesion_id")
    counted(dialog, qtbot)
    assert dialog._bars.words().startswith("Train ")


def test_classes_become_one_or_get_other_names(dialog: ExportDialog, qtbot, monkeypatch) -> None:
    choose(dialog, "Class names", "All as one")
    counted(dialog, qtbot)
    assert dialog.request().class_map == {"melanoma": "lesion", "naevus": "lesion"}
    assert dialog._bars.words() == "All 10: lesion 10"
    monkeypatch.setattr(ClassNamesDialog, "ask", staticmethod(lambda *_: {"naevus": ""}))
    choose(dialog, "Class names", "Choose names")
    counted(dialog, qtbot)
    assert dialog._bars.words() == "All 10: melanoma 5"
    choose(dialog, "Class names", "As they are")
    assert dialog.request().class_map == {}


def test_names_of_classes_are_asked_for_in_one_place(session: Session, qtbot) -> None:
    names = [entry.name for entry in session.project.class_table().classes]
    asked = ClassNamesDialog(names, {"naevus": "nv"}, "in the export")
    qtbot.addWidget(asked)
    assert asked.class_map() == {"naevus": "nv"}
    for name in names:
        field(asked, QLineEdit, f"{name} in the export").setText(" ")
    assert not asked._take.isEnabled()
    assert "has to stay" in asked.note.text()
    field(asked, QLineEdit, "melanoma in the export").setText("melanoma")
    assert asked._take.isEnabled()
    assert asked.class_map() == {"naevus": ""}


def test_image_files_and_metadata_are_a_choice(dialog: ExportDialog) -> None:
    strip = dialog._choices.strip
    take(dialog, "coco")
    assert dialog.request().images is None and not strip.isEnabled()
    choose(dialog, "Image files", "Copied")
    assert strip.isChecked() and dialog.request().strip is None, "copies lose their metadata unless one asks"
    strip.click()
    assert (dialog.request().images, dialog.request().strip) == ("copy", False)
    choose(dialog, "Image files", "Linked")
    assert dialog.request().images == "link"
    # YOLO's layout needs the images.
    take(dialog, "yolo-detection")
    files = field(dialog, QComboBox, "Image files")
    assert [files.itemText(i) for i in range(files.count())] == ["Copied, upright", "Linked"]
    assert dialog.request().verify


def test_what_stays_out_is_listed(dialog: ExportDialog, qtbot) -> None:
    counted(dialog, qtbot)
    (button,) = [part for part in dialog._message.findChildren(QPushButton) if part.text() == "Show them"]
    button.click()
    (listed,) = dialog.findChildren(NamedReasonsDialog)
    rows = [listed.list.topLevelItem(i) for i in range(listed.list.topLevelItemCount())]
    assert [(row.text(0), row.text(1)) for row in rows] == [(name, "not reviewed") for name in NAMES[10:]]
    listed.close()


def test_a_format_that_holds_nothing_says_so_and_exports_nothing(dialog: ExportDialog, qtbot) -> None:
    take(dialog, "soft-masks")
    qtbot.waitUntil(lambda: "nothing to write" in dialog._message.accessibleDescription(), timeout=10_000)
    assert not dialog._export.isEnabled()
    assert shown(dialog) == []
