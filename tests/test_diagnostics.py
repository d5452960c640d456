"""A session that dies leaves a report; one that ends, or still runs, leaves none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from camviewer.diagnostics import KEPT, LastCrash, SessionMark, diagnostics_text
from camviewer.selfcheck import Finding

LIVE = """
    import sys, time
    from pathlib import Path
    from camviewer.diagnostics import SessionMark
    mark = SessionMark(Path(sys.argv[1]))
    mark.begin()
    {what}
"""


def session(folder: Path, what: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(LIVE).format(what=what)
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def mark(tmp_path: Path):
    made = SessionMark(tmp_path)
    yield made
    made.end()


def test_the_first_session_finds_nothing_and_leaves_nothing(tmp_path: Path, mark: SessionMark) -> None:
    assert mark.begin() is None
    assert [path.name for path in tmp_path.iterdir()] == [f"session-{os.getpid()}.txt"]
    mark.end()
    assert list(tmp_path.iterdir()) == []


def test_a_fatal_signal_leaves_the_stack(tmp_path: Path, mark: SessionMark) -> None:
    assert session(tmp_path, "import faulthandler; faulthandler._sigsegv()").wait(60) != 0
    crash = mark.begin()
    assert crash is not None and crash.explained
    assert "camviewer" in crash.text.splitlines()[0] and "Segmentation fault" in crash.text
    mark.end()
    assert mark.begin() is None, "it is told once"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a signal of Unix")
def test_a_killed_session_is_noticed_and_a_living_one_is_not(tmp_path: Path, mark: SessionMark) -> None:
    living = session(tmp_path, "print('up', flush=True); time.sleep(60)")
    assert living.stdout is not None
    try:
        assert living.stdout.readline() == "up\n"
        assert mark.begin() is None, "the other window still runs"
        mark.end()
        living.send_signal(signal.SIGKILL)
        living.wait(60)
        crash = mark.begin()
        assert crash is not None and not crash.explained
    finally:
        living.kill()
        living.wait(60)
        living.stdout.close()


def test_old_reports_are_removed(tmp_path: Path, mark: SessionMark) -> None:
    for number in range(KEPT + 3):
        (tmp_path / f"crash-2026010{number}-000000-1.txt").write_text("old")
    mark.begin()
    assert len(list(tmp_path.glob("crash-*.txt"))) == KEPT
    assert (tmp_path / f"crash-2026010{KEPT + 2}-000000-1.txt").exists()


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mark = SessionMark(tmp_path / "file" / "logs")
    assert mark.begin() is None
    mark.end()


def test_diagnostics_say_what_was_found_and_not_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/erika mustermann")
    findings = [
        Finding("Settings", "ok", "/home/erika mustermann/.config/camviewer"),
        Finding("torch", "error", "torch is missing", "pip install torch"),
    ]
    crash = LastCrash(Path("crash.txt"), "camviewer\nat /home/erika mustermann/x.py", explained=True)
    text = diagnostics_text(findings, crash)
    assert "mustermann" not in text
    assert "Settings  ~/.config/camviewer" in text
    assert "error: torch is missing" in text and "cure: pip install torch" in text
    assert text.rstrip().endswith("at ~/x.py")
