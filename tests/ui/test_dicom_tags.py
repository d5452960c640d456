"""DICOM images in the window: shown like any, their tags only on request, patient data only on a second one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from fake_engine import FakeBackend
from PIL import Image

from camviewer.ui.dialogs.dicom_tags import HIDDEN, DicomTagsDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine

pytest.importorskip("pydicom", reason="needs the extra dicom")
from dicom_files import PATIENT, photograph, save

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.fixture
def window(qtbot, tmp_path: Path) -> Iterator[MainWindow]:
    save(tmp_path / "images" / "a.dcm", photograph(PIXELS))
    Image.fromarray(PIXELS).save(tmp_path / "images" / "b.png")
    main = MainWindow(SettingsStore(None), engine=Engine(make_backend=FakeBackend))
    main.show()
    main.bench.session.open_folder(tmp_path / "images")
    qtbot.waitUntil(lambda: pixels_shown(main), timeout=10_000)
    yield main
    main.close()


def values(dialog: DicomTagsDialog) -> dict[str, str]:
    rows = [dialog.list.topLevelItem(i) for i in range(dialog.list.topLevelItemCount())]
    return {row.text(0): row.text(1) for row in rows}


def test_tags_on_request_and_patient_data_on_a_second_one(window: MainWindow, qtbot) -> None:
    assert np.array_equal(window.bench.session.current.pixels, PIXELS)
    window.bench.actions["dicom_tags"].trigger()
    qtbot.waitUntil(lambda: bool(window.findChildren(DicomTagsDialog)), timeout=10_000)
    (dialog,) = window.findChildren(DicomTagsDialog)
    assert values(dialog)["Modality"] == "XC"
    assert values(dialog)["Patient's Name"] == HIDDEN
    assert PATIENT not in str(values(dialog))
    dialog.reveal.click()
    assert values(dialog)["Patient's Name"] == PATIENT
    dialog.reveal.click()
    assert PATIENT not in str(values(dialog))
    dialog.close()


def test_other_images_have_none(window: MainWindow, qtbot) -> None:
    window.reviewing.step(1)
    qtbot.waitUntil(lambda: window.bench.session.current.record.path.name == "b.png", timeout=10_000)
    window.bench.actions["dicom_tags"].trigger()
    assert "no DICOM file" in window.bench.status.message()
    assert not window.findChildren(DicomTagsDialog)
