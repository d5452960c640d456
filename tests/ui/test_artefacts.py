"""Artefacts in the window: looked for off the GUI thread, shown on request, suggested as flags."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from PIL import Image
from PySide6.QtCore import Qt

from camviewer.ui.features import artefacts as feature
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.tasks import look_for_artefacts


@pytest.fixture
def window(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)
    images = tmp_path / "skin"
    images.mkdir()
    rng = np.random.default_rng(3)
    plain = np.clip(np.array((224, 178, 158)) + rng.normal(0, 4, (300, 400, 3)), 0, 255).astype(np.uint8)
    stained = plain.copy()
    stained[:60, :] = (60, 60, 190)
    Image.fromarray(stained).save(images / "a.png")
    Image.fromarray(plain).save(images / "b.png")
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1280, 800)
    main.show()
    main.bench.session.open_folder(images)
    qtbot.waitUntil(lambda: pixels_shown(main), timeout=10_000)
    yield main
    main.close()


def test_they_are_suggested_as_flags_and_shown_with_a_key(window, qtbot, monkeypatch) -> None:
    threads = []

    def look(pixels):
        threads.append(threading.current_thread())
        return look_for_artefacts(pixels)

    monkeypatch.setattr(feature, "look_for_artefacts", look)
    panel, canvas, session = window.bench.image, window.bench.canvas, window.bench.session
    session.show_image(session.current.record.id)
    qtbot.waitUntil(lambda: panel._suggested == ("sticker",), timeout=10_000)
    assert threads and threads[0] is not threading.main_thread()
    panel._set.click()
    assert session.current.record.flags == ("sticker",)
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert canvas._legend.isVisible() and "Sticker" in canvas._legend.accessibleDescription()
    session.undo.undo()
    assert session.current.record.flags == ()
    session.show_image(session.records()[1].id)
    assert panel._suggested == ()
    qtbot.waitUntil(lambda: "No artefacts" in canvas._legend.accessibleDescription(), timeout=10_000)
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert not canvas._legend.isVisible()


def test_a_large_image_is_looked_at_in_small() -> None:
    pixels = np.full((3000, 4500, 3), (224, 178, 158), np.uint8)
    pixels[:600] = (60, 60, 190)
    found = look_for_artefacts(pixels)
    assert found.flags == ("sticker",)
    assert max(found.masks["sticker"].shape) == 512
