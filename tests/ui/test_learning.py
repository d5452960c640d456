"""Masks that learn, in the window: a round from the dialog, a look at it, the person's word, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from drawn_lesions import lesion
from PIL import Image
from PySide6.QtCore import QPointF
from pytestqt.qtbot import QtBot

from camviewer.project.learnt import REFINE, rounds_of
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.training.segmentation.settings import CurvePoint, LearnSettings
from camviewer.ui.dialogs.before_after import BeforeAfter
from camviewer.ui.dialogs.learn import LearnContext, LearnDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.learning import Drawn, LearnOutcome, Learnt, LearnTask, Phase, PointFound, Preview

QUICK = partial(LearnSettings, pixels=64 * 48, base=4, levels=2, batch_size=4)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Ten drawn lesions with automatic masks; the first one is reviewed."""
    file = tmp_path / "p.camviewer"
    with Project.create(file) as made:
        made.add_class("lesion")
        for seed in range(10):
            pixels, mask = lesion(seed)
            Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
            made.add_images([ImageRecord(PurePosixPath(f"{seed}.png"), (64, 48))])
            made.store_result(seed + 1, run_id=None, masks=[Mask(np.roll(mask, 3, 1), 1)], doubt=0.04 * seed)
        made.set_status([1], "reviewed")
    return file


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path) -> Iterator[MainWindow]:
    monkeypatch.setattr("camviewer.ui.features.learning.LearnSettings", QUICK)
    monkeypatch.setattr("camviewer.ui.dialogs.learn.STEPS", {"quick": 20, "normal": 20, "long": 4000})
    window = MainWindow(SettingsStore(tmp_path / "settings.json"))
    qtbot.addWidget(window)
    window.show()
    window.bench.session.open_project(project)
    qtbot.waitUntil(lambda: window.bench.session.project is not None)
    yield window
    window.close()


def pixels(window: MainWindow, image_id: int) -> Mask:
    project = window.bench.session.project
    assert project is not None
    return project.final_masks(image_id)[0]


def test_a_round_is_learnt_looked_at_used_and_taken_back(window: MainWindow, qtbot: QtBot) -> None:
    bench, learning = window.bench, window.learning
    project = bench.session.project
    before = {image_id: pixels(window, image_id).pixels for image_id in range(1, 11)}
    bench.actions["learn_masks"].trigger()
    dialog = learning.dialog
    assert dialog.isVisible()
    assert dialog.start.isEnabled()
    dialog.start.click()
    assert dialog.cancel.isVisibleTo(dialog)
    qtbot.waitUntil(lambda: dialog.use.isVisibleTo(dialog), timeout=60_000)
    assert len(dialog._points) >= 10
    assert dialog.previews._previews
    assert all((pixels(window, image_id).pixels == mask).all() for image_id, mask in before.items())
    assert rounds_of(project) == []

    dialog.use.click()
    assert (pixels(window, 1).pixels == before[1]).all()
    learnt = [image_id for image_id in range(2, 11) if project.masks(image_id)]
    assert learnt
    assert all(pixels(window, image_id).refine == REFINE for image_id in learnt)
    assert len(rounds_of(project)) == 1
    assert dialog.take_back.isVisibleTo(dialog)

    bench.session.show_image(learnt[0])
    shown: list[object] = []
    bench.canvas.set_regions = lambda regions, **_: shown.append([r.shape.pixels for r in regions])
    bench.actions["masks_before"].trigger()
    assert (shown[-1][0] == before[learnt[0]]).all()
    bench.actions["masks_before"].trigger()
    assert (shown[-1][0] == pixels(window, learnt[0]).pixels).all()

    dialog.take_back.click()
    assert all((pixels(window, image_id).pixels == mask).all() for image_id, mask in before.items())
    assert not dialog.take_back.isVisibleTo(dialog)
    dialog.close()


def test_cancelling_and_discarding_change_nothing(window: MainWindow, qtbot: QtBot) -> None:
    bench, learning = window.bench, window.learning
    bench.actions["learn_masks"].trigger()
    dialog = learning.dialog
    dialog._length.set_value("long")
    dialog.start.click()
    qtbot.waitUntil(lambda: "step" in dialog._state.text(), timeout=60_000)
    dialog.cancel.click()
    qtbot.waitUntil(lambda: dialog.start.isVisibleTo(dialog), timeout=30_000)
    assert rounds_of(bench.session.project) == []
    dialog._length.set_value("quick")
    dialog.start.click()
    qtbot.waitUntil(lambda: dialog.discard.isVisibleTo(dialog), timeout=60_000)
    dialog.discard.click()
    assert rounds_of(bench.session.project) == []
    assert all(pixels(window, image_id).refine == "none" for image_id in range(1, 11))
    dialog.close()


# --- the dialog alone -------------------------------------------------------------------------------------------------


def preview(key: int = 1) -> Preview:
    picture, mask = lesion(key)
    return Preview(key, f"{key}.png", picture, mask, np.roll(mask, 4, 0), 0.7)


def test_the_dialog_says_what_there_is_to_learn_from(qtbot: QtBot) -> None:
    dialog = LearnDialog()
    qtbot.addWidget(dialog)
    dialog.set_context(LearnContext(0, 0, 5, 0, False))
    assert not dialog.start.isEnabled()
    assert not dialog._problem.isHidden()
    dialog.set_context(LearnContext(3, 120, 400, 2, True))
    assert dialog.start.isEnabled()
    assert dialog._figures["confident"].text() == "120"
    assert dialog._go_on.isChecked()
    assert dialog._length.value() == "quick"
    with qtbot.waitSignal(dialog.start_wanted) as started:
        dialog.start.click()
    assert started.args[1] is False or started.args[1] is True


def test_progress_and_outcome_are_told_in_words(qtbot: QtBot) -> None:
    dialog = LearnDialog()
    qtbot.addWidget(dialog)
    dialog.set_context(LearnContext(3, 120, 400, 0, False))
    dialog.show_started(100)
    dialog.show_phase(Phase("Reading images", 50, 120))
    assert dialog._state.text() == "Reading images, 50 of 120"
    for step in (50, 100):
        dialog.show_point(PointFound(CurvePoint(step, 1 / step, 0.8, None, 1.0), (preview(1), preview(2))))
    assert "loss 0.010" in dialog.loss.accessibleDescription()
    drawn = (Drawn(1, {}, 0.7, 0.4), Drawn(2, {}, 0.1, 0.9), Drawn(3, {}, error="3.png cannot be read."))
    dialog.show_outcome(LearnOutcome(LearnTask((), {}), Learnt(b"", "", {}, ()), drawn))
    assert dialog._state.text() == "2 masks are drawn"
    assert dialog.use.isVisibleTo(dialog)
    with qtbot.waitSignal(dialog.use_wanted):
        dialog.use.click()


def test_clicking_a_preview_asks_for_its_image(qtbot: QtBot) -> None:
    row = BeforeAfter()
    qtbot.addWidget(row)
    row.resize(600, 220)
    row.set_previews([preview(3), preview(5), preview(8)])
    row.show()
    assert not row.place(0).intersects(row.place(1))
    assert all(row.rect().contains(row.place(index).toRect()) for index in range(3))
    from PySide6.QtCore import Qt

    with qtbot.waitSignal(row.chosen) as chosen:
        qtbot.mouseClick(row, Qt.MouseButton.LeftButton, pos=row.place(1).center().toPoint())
    assert chosen.args == [5]
    assert row._at(QPointF(599, 219)) is None
    row.grab()
