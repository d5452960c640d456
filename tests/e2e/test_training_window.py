"""Training, opening what was trained, converting it and comparing checkpoints: through the window, with the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import spots

from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.training import recall

LONG = 120_000
VALUES = {"epochs": 3, "batch_size": 8, "learning_rate": 0.02, "input_size": 32, "save_every": 1, "background": 0.2}


@pytest.fixture
def window(qtbot, tmp_path: Path):
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.resize(1440, 900)
    main.show()
    yield main
    main.close()


def test_train_open_convert_and_compare(window: MainWindow, qtbot, tmp_path: Path) -> None:
    pictures, masks = spots.write(tmp_path)
    (pictures / "red" / "red_01.png").write_bytes(b"broken")
    out = tmp_path / "training"
    bench, training = window.bench, window.training

    # The form says what is missing, then trains with live curves.
    bench.actions["train"].trigger()
    dialog = training.dialog
    dialog.set_source(tmp_path / "nowhere")
    dialog._start.click()
    assert dialog._problem.isVisibleTo(dialog)
    assert not dialog.running
    dialog.set_values(dict(VALUES))
    dialog.set_source(pictures)
    dialog.set_out(out)
    dialog._start.click()
    assert dialog.running
    assert bench.engine.busy
    qtbot.waitUntil(lambda: len(dialog._reports) == 3, timeout=LONG)
    qtbot.waitUntil(lambda: not dialog.running, timeout=LONG)
    assert dialog.confusion._counts.sum() == 6
    assert dialog.confusion._names == ("green", "red")
    assert "Held out" in dialog.loss.accessibleDescription()
    assert any("red_01.png" in message for message in training._messages)
    assert recall(out)[0] == pictures

    # The network is opened from there.
    dialog._open.click()
    qtbot.waitUntil(lambda: bench.computing.summary is not None, timeout=LONG)
    assert bench.computing.summary.identity.classes == ("green", "red")
    assert bench.computing.summary.head.kind == "gap_linear"

    # Converted to GMP, it takes the place of the open one; the layer tree shows the new pooling.
    bench.actions["convert"].trigger()
    training.converting._head.set_value("gmp")
    training.converting.set_path(tmp_path / "converted")
    training.converting._convert.click()
    qtbot.waitUntil(lambda: bench.computing.summary.head.kind == "gmp_linear", timeout=LONG)
    assert any("Max" in layer.type for layer in bench.computing.summary.layers if layer.name == "pool")

    # Its checkpoints are compared; the page has a row a checkpoint and a map a cell.
    dialog._compare.click()
    chooser = window.checkpoints.dialog
    assert len(chooser.chosen()) == 3
    chooser.set_images(pictures, masks)
    chooser.set_limits(4, 1)
    chooser._compare.click()
    page = window.checkpoints.page
    assert bench.stage.page is page
    qtbot.waitUntil(lambda: page.comparison is not None, timeout=LONG)
    qtbot.waitUntil(lambda: bool(page._cells) and set(page._cells) <= set(page.grid._cells), timeout=LONG)
    titles = [page.table.item(row, 0).text() for row in range(page.table.rowCount())]
    assert titles == ["GAP 1", "GAP 2", "GAP 3", "GAP random", "Centre Gaussian"]
    assert len(page._cells) == 4
    place = page._place
    page.step(1)
    assert page._place == place + 1
    assert page.table_text().count("\n") == 6
    page.scale.set_value("own")
    page._show_maps()
    page.left.emit()
    assert bench.stage.page is None
    dialog.close()


def test_a_cancelled_training_is_gone_on_with(window: MainWindow, qtbot, tmp_path: Path) -> None:
    pictures, _ = spots.write(tmp_path)
    out = tmp_path / "training"
    window.bench.actions["train"].trigger()
    dialog = window.training.dialog
    dialog.set_values({**VALUES, "epochs": 400})
    dialog.set_source(pictures)
    dialog.set_out(out)
    dialog._start.click()
    qtbot.waitUntil(lambda: len(dialog._reports) >= 2, timeout=LONG)
    dialog._cancel.click()
    qtbot.waitUntil(lambda: not dialog.running, timeout=LONG)
    done = dialog._reports[-1].epoch
    assert done < 400
    # Another day: the folder alone brings everything back.
    dialog._back.click()
    dialog.set_values({"epochs": 1})
    dialog.set_out(out)
    assert dialog._start.text() == "Go on"
    assert dialog.request().settings().epochs == 400
    dialog._start.click()
    qtbot.waitUntil(lambda: bool(dialog._reports), timeout=LONG)
    assert dialog._reports[0].epoch > done - 1
    dialog._cancel.click()
    qtbot.waitUntil(lambda: not dialog.running, timeout=LONG)
    dialog.close()


def test_a_training_that_cannot_be_says_why(window: MainWindow, qtbot, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    window.bench.actions["train"].trigger()
    dialog = window.training.dialog
    dialog.set_source(tmp_path / "empty")
    dialog.set_out(tmp_path / "out")
    dialog._start.click()
    qtbot.waitUntil(lambda: not dialog.running, timeout=LONG)
    assert dialog._state.text() == "The training stopped"
    assert dialog._message.isVisibleTo(dialog)
    dialog.close()
