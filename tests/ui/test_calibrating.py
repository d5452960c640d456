"""A temperature in the window: fitted on labels, shown beside every probability, taken away again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from drive import pixels_shown
from fake_engine import SUMMARY
from labelled import RUN, labelled_project

from camviewer import cli
from camviewer.models.records import ModelIdentity
from camviewer.project.temperature import network_of, temperatures, tempered
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore

IDENTITY = ModelIdentity(RUN.architecture, RUN.weights, RUN.weights_sha256, RUN.classes)


@pytest.fixture
def window(qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("camviewer.ui.job_board.JobBoard.start", lambda self: None)  # torch is not needed here
    main = MainWindow(SettingsStore(tmp_path / "settings.json"))
    main.show()
    yield main
    main.close()


def opened(window: MainWindow, project: Path, qtbot) -> None:
    window.bench.session.open_project(project)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    window.bench.computing.summary = replace(SUMMARY, identity=IDENTITY)
    window.bench.computing.model_changed.emit(window.bench.computing.summary)
    window.enabling.update()


def test_fitted_shown_and_taken_away(window: MainWindow, tmp_path: Path, qtbot) -> None:
    opened(window, labelled_project(tmp_path), qtbot)
    bench = window.bench
    action, session = bench.actions["calibrate"], bench.session
    assert action.isEnabled() and not action.isChecked()
    assert bench.classes.qualifier() == "uncalibrated"
    raw = {item.id: item.probability for item in bench.gallery.model.items()}
    spread = [item.values["entropy"] for item in bench.gallery.model.items()]
    action.trigger()
    qtbot.waitUntil(lambda: session.temperature(network_of(RUN)) is not None, timeout=20_000)
    found = session.temperature(network_of(RUN))
    assert found.value > 1.5
    assert action.isChecked()
    assert bench.classes.qualifier() == f"T = {found.value:.2f}"
    assert f"{found.images} labelled images" in bench.status.message()
    # The gallery, the panel and the sort keys follow; the project's own figures do not.
    current = session.current.record
    assert bench.computing._scores[0].probability == pytest.approx(tempered(current.top, found.value)[0][2])
    for item in bench.gallery.model.items():
        top = session.record(item.id).top
        assert top[0][2] == raw[item.id]
        assert item.probability == pytest.approx(tempered(top, found.value)[0][2])
    assert [item.values["entropy"] for item in bench.gallery.model.items()] > spread
    action.trigger()
    assert session.temperature(network_of(RUN)) is None
    assert temperatures(session.project) == {}
    assert {item.id: item.probability for item in bench.gallery.model.items()} == raw
    assert bench.classes.qualifier() == "uncalibrated"


def test_a_project_without_its_network_is_shown_at_its_temperature(window, tmp_path: Path, qtbot) -> None:
    project = labelled_project(tmp_path)
    assert cli.main(["calibrate", str(project)]) == 0
    window.bench.session.open_project(project)
    qtbot.waitUntil(lambda: pixels_shown(window), timeout=10_000)
    found = window.bench.session.temperature(network_of(RUN))
    assert window.bench.classes.qualifier() == f"T = {found.value:.2f}"
    record = window.bench.session.current.record
    assert window.bench.computing._scores[0].probability == pytest.approx(tempered(record.top, found.value)[0][2])


def test_too_few_labels_leave_it_off_and_say_why(window: MainWindow, tmp_path: Path, qtbot) -> None:
    opened(window, labelled_project(tmp_path, labelled=30), qtbot)
    action = window.bench.actions["calibrate"]
    action.trigger()
    qtbot.waitUntil(lambda: not action.isChecked(), timeout=20_000)
    assert "30 images have a label that the model knows" in window.bench.status.message()


def test_a_network_of_other_weights_is_uncalibrated(window: MainWindow, tmp_path: Path, qtbot) -> None:
    opened(window, labelled_project(tmp_path), qtbot)
    bench = window.bench
    bench.actions["calibrate"].trigger()
    qtbot.waitUntil(lambda: bench.session.temperature(network_of(RUN)) is not None, timeout=20_000)
    other = replace(SUMMARY, identity=replace(IDENTITY, weights_sha256="cd" * 32))
    bench.computing.summary = other
    bench.computing.model_changed.emit(other)
    assert not bench.actions["calibrate"].isChecked()
    assert bench.classes.qualifier() == "uncalibrated"
