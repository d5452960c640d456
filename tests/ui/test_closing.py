"""Closing the window ends the process, whatever it is doing: a process of its own for each case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def idle(window) -> Iterator[Callable[[], object]]:
    yield lambda: window.isVisible()
    assert [w for w in _top_levels() if w.isVisible()] == [window]


def starting(window) -> Iterator[Callable[[], object]]:
    yield lambda: window.bench.engine.open_jobs()


def with_a_dialog(window) -> Iterator[Callable[[], object]]:
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    QTimer.singleShot(0, window, window.bench.dialogs.keys)
    yield lambda: QApplication.activeModalWidget() is not None


def in_scorecam(window) -> Iterator[Callable[[], object]]:
    from camviewer.ui.panels.method import MethodChoice

    window.opening.open_demo()
    yield lambda: window.bench.canvas.view.heat() is not None and not window.bench.engine.open_jobs()
    window.bench.computing.set_choice(MethodChoice("scorecam"))
    yield lambda: window.bench.engine.open_jobs()


def in_a_batch(window) -> Iterator[Callable[[], object]]:
    window.opening.open_demo()
    yield lambda: window.bench.canvas.view.heat() is not None and not window.bench.engine.open_jobs()
    window.bench.batch.compute_all()
    yield lambda: any(record.top for record in window.bench.session.records()[1:])
    assert window.bench.engine.open_jobs()


def ended_from_outside(window) -> Iterator[Callable[[], object]]:
    window.opening.open_demo()
    yield lambda: window.bench.canvas.view.heat() is not None and not window.bench.engine.open_jobs()
    os.kill(os.getpid(), signal.SIGTERM)
    yield lambda: False


CASES = {script.__name__: script for script in (idle, starting, with_a_dialog, in_scorecam, in_a_batch)}


def _top_levels():
    from PySide6.QtWidgets import QApplication

    return QApplication.topLevelWidgets()


@pytest.mark.parametrize("case", CASES)
def test_the_process_ends_cleanly(case: str, tmp_path: Path) -> None:
    done = run_case(case, tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said and "Destroyed while" not in said and "Timers cannot" not in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_signal_closes_the_window_and_a_script_says_so(tmp_path: Path) -> None:
    done = run_case("ended_from_outside", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("RuntimeError: the window was closed before the script came to its end")


def run_case(case: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS), "QT_QPA_PLATFORM": "offscreen", "CAMVIEWER_CASE": case}
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        env[name] = str(tmp_path)
    return subprocess.run(
        [sys.executable, str(Path(__file__))], env=env, capture_output=True, text=True, timeout=280, check=False
    )


if __name__ == "__main__":
    from drive import run
    from PySide6.QtWidgets import QApplication

    application = QApplication(["camviewer"])  # the driver's timer needs one before main() makes it
    scripts = {**CASES, "ended_from_outside": ended_from_outside}
    sys.exit(run(["--safe-mode"], scripts[os.environ["CAMVIEWER_CASE"]]))
