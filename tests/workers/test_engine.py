"""The protocol of the engine, on a backend whose steps the test holds: ends, order, latest wins, stale answers."""

from __future__ import annotations

import ast
import gc
import logging
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_engine import MAPS, SUMMARY, FakeBackend, Recorder, load, maps

import camviewer.workers
from camviewer.regions.rules import RegionRule
from camviewer.workers import engine as engine_module
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ComputeBatch, Export, StartEngine

TIMEOUT = 10_000


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def engine(qapp, backend):
    engine = Engine(make_backend=lambda: backend)
    yield engine
    backend.gate.set()
    assert engine.close()


@pytest.fixture
def seen(engine):
    return Recorder(engine)


def batch(*stems: str, size: int = 1) -> ComputeBatch:
    return ComputeBatch(tuple(Path(f"{stem}.png") for stem in stems), MAPS, RegionRule(), size)


def wait_idle(qtbot, engine) -> None:
    qtbot.waitUntil(lambda: not engine.busy, timeout=TIMEOUT)


def test_each_job_gives_its_result_and_then_its_end(qtbot, engine, seen, backend):
    jobs = [StartEngine(), load(), maps("a")]
    for job in jobs:
        engine.submit(job)
    wait_idle(qtbot, engine)
    assert [seen.names(job.token) for job in jobs] == [
        ["engine_started", "finished"],
        ["model_loaded", "finished"],
        ["maps_ready", "finished"],
    ]
    assert seen.payloads("model_loaded")[0].summary is SUMMARY
    assert seen.payloads("maps_ready")[0].path == Path("a.png")


def test_jobs_run_in_one_thread_and_answers_arrive_in_the_gui_thread(qtbot, engine, seen, backend):
    for job in (StartEngine(), load(), maps("a"), batch("b", "c")):
        engine.submit(job)
    wait_idle(qtbot, engine)
    assert len(backend.threads) == 1
    assert threading.get_ident() not in backend.threads
    assert seen.threads == {threading.get_ident()}


def test_nothing_is_emitted_from_inside_submit_and_cancel(qtbot, engine, seen, backend):
    token = engine.submit(maps("slow"))
    engine.submit(maps("a"))
    engine.cancel(token)
    assert seen.seen == []
    wait_idle(qtbot, engine)


def test_the_newest_maps_win(qtbot, engine, seen, backend):
    first = maps("slow")
    engine.submit(first)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    later = [*(maps(f"slow{i}") for i in range(50)), maps("last")]
    for job in later:
        engine.submit(job)
    wait_idle(qtbot, engine)
    assert seen.names(first.token) == ["cancelled"]
    assert all(seen.names(job.token) == ["cancelled"] for job in later[:-1])
    assert seen.names(later[-1].token) == ["maps_ready", "finished"]
    assert backend.ran[-1] == "last"


def test_a_result_that_comes_too_late_is_dropped(qtbot, engine, seen, backend):
    """The worker has emitted its answer, the GUI thread has not received it, and a newer request comes."""
    stale, fresh = maps("a"), maps("b")
    engine.submit(stale)
    while "a" not in backend.ran:  # without the event loop, so that nothing is received meanwhile
        pass
    engine.submit(fresh)
    wait_idle(qtbot, engine)
    assert seen.names(stale.token) == ["cancelled"]
    assert seen.names(fresh.token) == ["maps_ready", "finished"]


def test_a_load_cancels_what_belongs_to_the_old_network(qtbot, engine, seen, backend):
    running, waiting, loading = batch("slow", "x"), maps("a"), load()
    engine.submit(running)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    engine.submit(waiting)
    engine.submit(loading)
    wait_idle(qtbot, engine)
    assert seen.names(running.token) == ["cancelled"]
    assert seen.names(waiting.token) == ["cancelled"]
    assert seen.names(loading.token) == ["model_loaded", "finished"]


def test_a_load_that_cannot_be_stopped_keeps_its_word(qtbot, engine, seen, backend):
    """The network was swapped before the cancel was received: the window has to hear of it."""
    job = load()
    engine.submit(job)
    while "load fast" not in backend.ran:
        pass
    with qtbot.waitSignal(engine.finished, timeout=TIMEOUT):
        engine._lanes["maps"].worker.thread().msleep(50)
        engine.cancel(job.token)
    assert seen.names(job.token) == ["model_loaded", "finished"]


def test_a_batch_steps_aside_for_maps_and_goes_on_where_it_was(qtbot, engine, seen, backend):
    job = batch("one", "slow", "three")
    engine.submit(job)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    interactive = maps("now")
    with qtbot.waitSignal(engine.maps_ready, timeout=TIMEOUT):
        engine.submit(interactive)
    assert seen.ends(job.token) == []
    backend.gate.set()
    wait_idle(qtbot, engine)
    assert backend.ran == ["one", "slow", "now", "slow", "three"]
    images = seen.payloads("image_computed")
    assert [(answer.index, answer.path.stem, answer.result.name) for answer in images] == [
        (0, "one", "result of one"),
        (1, "slow", "result of slow"),
        (2, "three", "result of three"),
    ]
    assert seen.ends(job.token) == ["finished"]


def test_a_batch_reports_progress_in_images_with_the_time_left(qtbot, engine, seen, backend):
    job = batch("a", "b", "c", size=2)
    engine.submit(job)
    wait_idle(qtbot, engine)
    progress = seen.payloads("progress_changed")
    assert [(answer.done, answer.total) for answer in progress] == [(2, 3), (3, 3)]
    assert progress[0].seconds_left >= 0
    assert progress[-1].seconds_left == 0


def test_an_empty_batch_finishes(qtbot, engine, seen, backend):
    job = batch()
    engine.submit(job)
    wait_idle(qtbot, engine)
    assert seen.names(job.token) == ["finished"]


def test_a_cancelled_batch_keeps_what_it_delivered(qtbot, engine, seen, backend):
    job = batch("a", "slow", "c")
    with qtbot.waitSignal(engine.image_computed, timeout=TIMEOUT):
        engine.submit(job)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    engine.cancel(job.token)
    wait_idle(qtbot, engine)
    assert len(seen.payloads("image_computed")) == 1
    assert seen.ends(job.token) == ["cancelled"]
    engine.submit(maps("after"))
    wait_idle(qtbot, engine)
    assert seen.seen[-1][0] == "finished"


def test_a_cancelled_batch_ends_at_once_though_its_thread_does_not_come_back_yet(qtbot, engine, seen, backend):
    job, after = batch("slow", "b"), maps("after")
    backend.deaf = True
    engine.submit(job)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    with qtbot.waitSignal(engine.cancelled, timeout=TIMEOUT):
        engine.cancel(job.token)
    assert not engine.busy and not backend.gate.is_set()
    engine.submit(after)
    backend.gate.set()
    wait_idle(qtbot, engine)
    assert seen.names(job.token) == ["cancelled"]
    assert seen.names(after.token) == ["maps_ready", "finished"]
    assert "b" not in backend.ran


def test_progress_of_maps_carries_the_token(qtbot, engine, seen, backend):
    job = maps("steps")
    engine.submit(job)
    wait_idle(qtbot, engine)
    progress = [answer for answer in seen.payloads("progress_changed") if answer.token == job.token]
    assert [answer.done for answer in progress] == [1, 2, 3, 4, 5]
    assert progress[1].seconds_left > 0


def test_an_export_runs_beside_a_batch(qtbot, engine, seen, backend):
    blocked = batch("slow")
    engine.submit(blocked)
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    job = Export("quick")
    with qtbot.waitSignal(engine.exported, timeout=TIMEOUT) as signal:
        engine.submit(job)
    assert signal.args[0].report == "report"
    assert seen.ends(blocked.token) == []


def test_an_error_reaches_the_user_as_its_sentence(qtbot, engine, seen, backend):
    job = maps("bad")
    engine.submit(job)
    wait_idle(qtbot, engine)
    (failure,) = seen.payloads("failed")
    assert (failure.kind, failure.message, failure.details) == (
        "image",
        "bad.png cannot be read. The file is cut short.",
        "why",
    )
    assert seen.names(job.token) == ["failed"]


@pytest.mark.parametrize(("stem", "words"), [("bug", "The log tells why"), ("full", "not enough memory")])
def test_an_unforeseen_error_becomes_a_sentence_and_its_trace_a_log_entry(qtbot, engine, seen, caplog, stem, words):
    with caplog.at_level(logging.ERROR):
        engine.submit(maps(stem))
        wait_idle(qtbot, engine)
    (failure,) = seen.payloads("failed")
    assert failure.kind == "unexpected"
    assert words in failure.message
    assert "\n" not in failure.message
    assert "Traceback" in failure.details and "\x1b" not in failure.details
    assert "Traceback" in caplog.text
    engine.submit(maps("a"))  # the worker lives on
    wait_idle(qtbot, engine)
    assert seen.seen[-1][0] == "finished"


def test_any_sequence_ends_every_job_exactly_once(qtbot, engine, seen, backend):
    chance = random.Random(3)
    tokens = []
    for step in range(200):
        kind = chance.choice(["maps", "maps", "slow", "batch", "load", "bad", "cancel", "export", "spin"])
        if kind == "cancel":
            if tokens:
                engine.cancel(chance.choice(tokens))
        elif kind == "spin":
            qtbot.wait(1)
        else:
            job = {
                "maps": lambda step=step: maps(f"m{step}"),
                "slow": lambda: maps("slow"),
                "bad": lambda: maps("bad"),
                "batch": lambda: batch("a", "slow", "b"),
                "load": load,
                "export": lambda: Export("quick"),
            }[kind]()
            tokens.append(engine.submit(job))
    backend.gate.set()
    wait_idle(qtbot, engine)
    assert [len(seen.ends(token)) for token in tokens] == [1] * len(tokens)
    for token in tokens:
        assert seen.names(token)[-1] in Recorder.ENDS
        if "cancelled" in seen.ends(token):
            assert "maps_ready" not in seen.names(token)


def test_busy_changes_once_on_each_side(qtbot, engine, backend):
    changes = []
    engine.busy_changed.connect(changes.append)
    engine.submit(maps("a"))
    engine.submit(maps("b"))
    wait_idle(qtbot, engine)
    qtbot.waitUntil(lambda: changes == [True, False], timeout=TIMEOUT)


def test_closing_cancels_what_is_open_and_joins(qapp, qtbot):
    backend = FakeBackend()
    engine = Engine(make_backend=lambda: backend)
    seen = Recorder(engine)
    running, waiting = batch("slow", "b"), Export("slow")
    engine.submit(running)
    engine.submit(waiting)
    qtbot.waitUntil(lambda: len(backend.ran) == 2, timeout=TIMEOUT)
    assert engine.close()
    assert seen.names(running.token) == ["cancelled"]
    assert seen.names(waiting.token) == ["cancelled"]
    assert backend.closed
    assert engine.close()  # a second time does nothing
    with pytest.raises(RuntimeError):
        engine.submit(maps("a"))


def test_closing_gives_up_on_a_thread_that_does_not_come_back(qapp, qtbot):
    backend = FakeBackend()
    release = threading.Event()
    backend.wait = lambda watch: (backend.entered.set(), release.wait(30))
    engine = Engine(make_backend=lambda: backend)
    engine.submit(maps("slow"))
    qtbot.waitUntil(backend.entered.is_set, timeout=TIMEOUT)
    assert not engine.close(timeout_ms=50)
    release.set()
    lane = engine_module._stranded.pop()
    assert lane.thread_.wait(TIMEOUT)


def test_closing_is_clean_in_a_process_of_its_own(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from PySide6.QtCore import QCoreApplication, QTimer
from camviewer.workers.engine import Engine
from fake_engine import FakeBackend, maps
app = QCoreApplication([])
backend = FakeBackend()
engine = Engine(make_backend=lambda: backend)
engine.submit(maps("slow"))
def leave():
    assert backend.entered.wait(10)
    assert engine.close()
    app.quit()
timer = QTimer(app)
timer.setSingleShot(True)
timer.timeout.connect(leave)
timer.start(0)
code = app.exec()
sys.exit(code)
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_garbage_is_collected_in_the_gui_thread_only(qtbot, engine, backend):
    assert not gc.isenabled()
    where: list[int] = []

    def note(phase, _info):
        where.append(threading.get_ident())

    gc.callbacks.append(note)
    try:
        engine._garbage._timer.setInterval(10)
        hold = [[] for _ in range(5000)]  # crosses the threshold of the youngest generation
        engine.submit(batch(*[f"i{i}" for i in range(50)]))
        qtbot.waitUntil(lambda: len(where) > 0, timeout=TIMEOUT)
        wait_idle(qtbot, engine)
        del hold
    finally:
        gc.callbacks.remove(note)
    assert set(where) == {threading.get_ident()}


def test_closing_gives_collection_back(qapp):
    was = gc.isenabled()
    engine = Engine(make_backend=FakeBackend)
    assert not gc.isenabled()
    engine.close()
    assert gc.isenabled() == was


def test_a_token_is_used_once(engine, backend):
    job = maps("slow")
    engine.submit(job)
    with pytest.raises(RuntimeError, match="in use"):
        engine.submit(job)


def test_signals_of_the_workers_are_connected_to_bound_methods_only():
    """A lambda or partial runs in the emitting thread, whatever the connection type says."""
    for path in Path(camviewer.workers.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect":
                assert not any(isinstance(arg, ast.Lambda | ast.Call) for arg in node.args), f"{path}:{node.lineno}"
