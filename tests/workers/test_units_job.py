"""Ranking units as a job: it answers, a newer one replaces it, and maps go first."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_engine import FakeBackend, Recorder, maps

from camviewer.workers.engine import Engine
from camviewer.workers.inbox import urgency
from camviewer.workers.jobs import ComputeUnits


def units(stem: str, class_index: int = 1) -> ComputeUnits:
    return ComputeUnits(Path(f"{stem}.png"), class_index)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def engine(qtbot, backend):
    made = Engine(make_backend=lambda: backend)
    yield made
    backend.gate.set()
    made.close()


def test_units_answer_before_they_end(engine, backend, qtbot) -> None:
    seen = Recorder(engine)
    job = units("a", 3)
    with qtbot.waitSignal(engine.finished, timeout=10_000):
        engine.submit(job)
    assert seen.names(job.token) == ["units_ready", "finished"]
    assert seen.payloads("units_ready")[0].units == "units"
    assert backend.ran == ["units 3 of a"]


def test_a_newer_one_replaces_it_and_nothing_late_arrives(engine, backend, qtbot) -> None:
    seen = Recorder(engine)
    first, second = units("slow"), units("b")
    engine.submit(first)
    qtbot.waitUntil(backend.entered.is_set, timeout=10_000)
    engine.submit(second)
    qtbot.waitUntil(lambda: not engine.busy, timeout=10_000)
    assert seen.names(first.token) == ["cancelled"]
    assert seen.names(second.token) == ["units_ready", "finished"]


def test_maps_go_before_units() -> None:
    assert urgency(maps("a")) < urgency(units("a"))
