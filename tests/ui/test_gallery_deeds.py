"""The gallery's deeds through the window: batches, reasons, acceptance, blindness, labels, settings, narrow windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from fake_engine import FakeBackend
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication

from camviewer.project.facts import LABEL, REASON, set_facts
from camviewer.ui.dialogs.accept import AUDIT, AcceptDialog, choose
from camviewer.ui.dialogs.reason import ReasonDialog
from camviewer.ui.dialogs.settings import SettingsDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine

IMAGES = 6


@pytest.fixture
def window(qtbot, tmp_path: Path):
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(IMAGES):
        Image.fromarray(np.full((60, 80, 3), 200 - number * 20, np.uint8)).save(images / f"spot_{number}.png")
    rows = [f"L{n // 2},spot_{n},{'mel' if n % 2 else 'nv'},{50 + n}" for n in range(IMAGES)]
    (images / "labels.csv").write_text("\n".join(["lesion_id,image_id,dx,age", *rows]))
    main = MainWindow(SettingsStore(tmp_path / "settings.json"), engine=Engine(make_backend=FakeBackend))
    main.resize(1400, 850)
    main.show()
    main.opening.open_paths([images])
    qtbot.waitUntil(lambda: main.bench.gallery.model.total() == IMAGES and pixels_shown(main), timeout=10_000)
    qtbot.waitUntil(lambda: main.bench.session.facts(1).get(LABEL) == "nv", timeout=10_000)
    yield main
    main.close()


def statuses(window: MainWindow) -> list[str]:
    return [record.status for record in window.bench.session.records()]


def test_selected_images_are_decided_in_one_step(window, qtbot) -> None:
    gallery = window.bench.gallery
    assert not window.bench.actions["review_selected"].isEnabled()
    for _ in range(2):
        qtbot.keyClick(gallery.strip, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert window.bench.actions["review_selected"].isEnabled()
    window.bench.actions["review_selected"].trigger()
    assert statuses(window) == ["reviewed"] * 3 + ["new"] * 3
    assert "3 images: marked reviewed" in window.bench.status.message()
    window.bench.actions["undo"].trigger()
    assert statuses(window) == ["new"] * IMAGES


def test_a_reason_is_kept_shown_and_found(window, qtbot) -> None:
    window.bench.actions["skip_because"].trigger()
    (dialog,) = window.findChildren(ReasonDialog)
    dialog._choose("Out of focus")
    assert statuses(window)[0] == "skipped" and window.bench.session.facts(1)[REASON] == "Out of focus"
    window.bench.gallery.model.set_search("reason:focus")
    assert window.bench.gallery.model.rowCount() == 1


def test_accepting_holds_a_random_sample_back(window, qtbot) -> None:
    window.bench.actions["accept_sure"].trigger()
    assert "No mask has a doubt yet" in window.bench.status.message()
    dialog = AcceptDialog([(n, n / 10) for n in range(1, IMAGES + 1)], window)
    qtbot.addWidget(dialog)
    dialog._limit.set_value(0.4)
    dialog._count()
    found = dialog.acceptance()
    assert len(found.accepted) == 3 and len(found.audit) == 1 and set(found.accepted + found.audit) == {1, 2, 3, 4}
    dialog.chosen.connect(window.reviewing._accept)
    dialog._accept.click()
    assert [status == "reviewed" for status in statuses(window)].count(True) == 3
    window.bench.gallery.model.set_search("flag:audit")
    assert window.bench.gallery.model.item_at(0).id == found.audit[0]


def test_the_sample_is_five_per_cent_and_the_same_for_the_same_draw() -> None:
    doubts = [(n, n / 1000) for n in range(1000)]
    found = choose(doubts, 0.5, seed=3)
    assert len(found.audit) == round(AUDIT * 501) and len(found.accepted) + len(found.audit) == 501
    assert choose(doubts, 0.5, seed=3) == found and choose(doubts, 0.5, seed=4).audit != found.audit
    assert choose([(1, 0.9)], 0.5, seed=1).accepted == ()


def test_blind_review_shows_no_name_anywhere(window, qtbot) -> None:
    bench = window.bench
    window.blinding.set_blind(True)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    assert bench.header._name.full_text().startswith("Image ")
    assert not bench.classes.isVisible() and bench.actions["blind"].isChecked()
    texts = " ".join(w.text() for w in window.bench.image.findChildren(type(bench.image._head)) if w.isVisible())
    assert "spot" not in texts and "nv" not in texts
    window.blinding.set_blind(False)
    assert bench.header._name.full_text().startswith("spot_") and bench.classes.isVisible()


def test_labels_come_from_the_table_and_one_key_shows_the_lesion(window, qtbot) -> None:
    assert window.bench.session.facts(2) == {"label": "mel", "lesion": "L0", "age": "51"}
    window.bench.actions["same_lesion"].trigger()
    qtbot.waitUntil(lambda: window.bench.gallery.model.rowCount() == 2)
    window.bench.actions["same_lesion"].trigger()
    qtbot.waitUntil(lambda: window.bench.gallery.model.rowCount() == IMAGES)


def only_picture(strip, qtbot) -> QAbstractButton:
    """Return the one picture of the strip, once the layout shows it."""

    def seen() -> list[QAbstractButton]:
        return [button for button in strip.findChildren(QAbstractButton) if button.isVisible()]

    qtbot.waitUntil(lambda: len(seen()) == 1)
    return seen()[0]


def test_the_other_images_of_the_lesion_stand_beside_the_image_and_lead_there(window, qtbot) -> None:
    bench = window.bench
    strip = bench.image.lesion
    assert [item.name for item in strip.items()] == ["spot_1.png"]
    assert strip.isVisible() and strip._head.text() == "1 more of this lesion"
    bench.session.decide([2], "reviewed")
    button = only_picture(strip, qtbot)
    assert button.accessibleName() == "Same lesion: spot_1.png, reviewed, labelled mel"
    qtbot.waitUntil(lambda: bench.gallery.pictures.get(button.item.path) is not None, timeout=10_000)
    assert button.grab().toImage().pixelColor(40, 40).red() == 180  # its own picture
    # By the keyboard: Tab reaches it, Space goes there, and the focus is on the image again.
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bench.session.current.position == 2 and pixels_shown(window), timeout=10_000)
    assert [item.name for item in strip.items()] == ["spot_0.png"]
    assert bench.canvas.view.hasFocus()
    # By the mouse, back again.
    button = only_picture(strip, qtbot)
    assert button.accessibleName().startswith("Same lesion: spot_0")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bench.session.current.position == 1, timeout=10_000)
    window.blinding.set_blind(True)
    assert strip.items() == [] and not strip.isVisible()


def test_an_image_without_a_lesion_has_no_strip_and_many_have_a_way_to_all(window, qtbot) -> None:
    bench = window.bench
    project = bench.session.project
    set_facts(project, 1, {"lesion": None})
    bench.session.refresh_items()
    assert not bench.image.lesion.isVisible()
    item = next(iter(bench.gallery.model.items()))
    bench.image.lesion.set_items([replace(item, id=number) for number in range(20)])
    assert len(bench.image.lesion.items()) == 8
    assert bench.image.lesion._all.isVisible() and bench.image.lesion._head.text() == "20 more of this lesion"


def test_labels_that_hardly_agree_are_said(window, qtbot) -> None:
    session = window.bench.session
    session.set_model_classes(("nv", "melanoma"))
    for record in session.records():
        session.project.store_result(record.id, run_id=None, top=[(1, 2.0, 0.9), (0, 0.1, 0.1)])
    session.reload_all()
    wrong = [item.values["wrong"] for item in window.bench.gallery.model.items()]
    assert wrong == [1.0, 0.0] * (IMAGES // 2)
    set_facts(session.project, 2, {LABEL: "nv"})
    session.reload_all()
    window.bench.gallery.show_filter("wrong")
    assert window.bench.gallery.model.rowCount() == 4


def test_labels_are_not_wrong_where_the_model_has_other_classes(window, qtbot) -> None:
    session = window.bench.session
    session.set_model_classes(("nv", "melanoma"))
    session.set_model_classes(("rough", "smooth"))  # of another model, opened later in the same project
    for record in session.records():
        session.project.store_result(record.id, run_id=None, top=[(1, 2.0, 0.9), (0, 0.1, 0.1)])
    session.reload_all()
    assert not any("wrong" in item.values for item in window.bench.gallery.model.items())


def test_thumbnails_on_the_disk_are_cleared_by_the_switch(window, qtbot) -> None:
    cache = window.bench.gallery.pictures.pool.cache
    qtbot.waitUntil(lambda: cache.used() > 0, timeout=10_000)
    window.bench.actions["settings"].trigger()
    (dialog,) = window.findChildren(SettingsDialog)
    assert dialog._clear.isEnabled()
    dialog._keep.setChecked(False)
    assert cache.used() == 0 and not cache.enabled and not window.bench.settings.value.keep_thumbnails
    assert not dialog._clear.isEnabled()
    dialog.close()


def test_without_settings_no_thumbnails_are_kept(qtbot, tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 80, 3), 200, np.uint8)).save(tmp_path / "spot.png")
    main = MainWindow(SettingsStore(None), engine=Engine(make_backend=FakeBackend))
    main.show()
    main.opening.open_paths([tmp_path])
    pictures = main.bench.gallery.pictures
    qtbot.waitUntil(lambda: pictures.get(tmp_path / "spot.png") is not None, timeout=10_000)
    assert pictures.pool.cache.used() == 0
    main.close()


def test_in_a_narrow_window_the_panel_lies_over_the_image_and_can_be_put_away(window, qtbot) -> None:
    right, toggle = window.places.right, window.bench.actions["toggle_panel"]
    wide = window.bench.canvas.width()
    assert right.isVisible() and toggle.isChecked()
    window.resize(1100, 800)
    QApplication.processEvents()
    assert not right.isVisible() and not toggle.isChecked()
    toggle.trigger()
    QApplication.processEvents()
    assert right.isVisible() and right.geometry().right() == window.places._work.width() - 1
    assert right.geometry().left() < window.bench.canvas.geometry().right() + window.bench.canvas.x()
    window.resize(1400, 850)
    QApplication.processEvents()
    assert right.isVisible() and toggle.isChecked() and window.bench.canvas.width() == wide
