"""The one life of the features' long jobs: told while they run, ended once, silent once they are replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from fake_engine import FakeBackend
from pytestqt.qtbot import QtBot

from camviewer.errors import UsageError
from camviewer.ui.job_board import JobBoard
from camviewer.ui.long_job import LongJob
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import JobKind, Work

KIND = JobKind("Working", "The work stopped", lane="work", rank=0)


class Heard:
    """What a feature hears of its job."""

    def __init__(self, job: LongJob) -> None:
        self.told: list[tuple[str, object]] = []
        for name in ("part_found", "finished", "failed"):
            getattr(job, name).connect(lambda what, name=name: self.told.append((name, what)))
        job.cancelled.connect(lambda: self.told.append(("cancelled", None)))
        job.progressed.connect(lambda progress, left: self.told.append(("progressed", progress.done)))

    def ends(self) -> list[tuple[str, object]]:
        return [entry for entry in self.told if entry[0] in ("finished", "failed", "cancelled")]


@pytest.fixture
def job(qtbot: QtBot) -> Iterator[LongJob]:
    engine = Engine(make_backend=FakeBackend)
    yield LongJob(engine, JobBoard(engine, engine), engine)
    engine.close()


def work(run: Callable) -> Work:
    return Work(run, KIND)


def test_parts_progress_and_result_are_told_in_order(job: LongJob, qtbot: QtBot) -> None:
    heard = Heard(job)

    def run(watch):
        watch.part("half")
        watch.progress(1, 2)
        return "whole"

    assert not job.running
    job.start(work(run))
    assert job.running
    qtbot.waitUntil(lambda: not job.running)
    assert heard.told == [("part_found", "half"), ("progressed", 1), ("finished", "whole")]


def test_a_failure_is_one_sentence(job: LongJob, qtbot: QtBot) -> None:
    heard = Heard(job)

    def run(_watch):
        raise UsageError("Too few images.")

    job.start(work(run))
    qtbot.waitUntil(lambda: not job.running)
    assert heard.told == [("failed", "Too few images.")]


def test_a_cancelled_job_ends_once(job: LongJob, qtbot: QtBot) -> None:
    heard, entered = Heard(job), threading.Event()

    def run(watch):
        entered.set()
        while True:
            watch.raise_if_cancelled()

    job.start(work(run))
    assert entered.wait(5)
    job.cancel()
    qtbot.waitUntil(lambda: not job.running)
    job.cancel()  # nothing runs any more
    assert heard.told == [("cancelled", None)]


def test_of_a_replaced_job_nothing_is_told(job: LongJob, qtbot: QtBot) -> None:
    heard, entered = Heard(job), threading.Event()

    def first(watch):
        watch.part("first")
        entered.set()
        while True:
            watch.raise_if_cancelled()

    job.start(work(first))
    assert entered.wait(5)
    job.start(work(lambda _watch: "second"))
    qtbot.waitUntil(lambda: not job.running)
    assert heard.ends() == [("finished", "second")]
