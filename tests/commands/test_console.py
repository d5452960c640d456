"""What a command says while it works, and on which of the two streams."""

from __future__ import annotations

import logging
import sys

import pytest

from camviewer import cli
from camviewer.commands.console import ProgressLine, count, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min")]
)
def test_durations_are_rounded(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_singular() -> None:
    assert [count(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_line_is_wiped_before_a_warning(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with ProgressLine(0, "image") as line:
        line.total = 2
        assert line.total == 2
        line.advance(1)
        line.warn("a.png cannot be read.")
        line.advance(2)
    said, told = capsys.readouterr()
    assert said == ""
    if terminal:
        wipe = "\r\x1b[K"
        first, _, after = told.partition("a.png cannot be read.\n")
        assert first.startswith(f"{wipe}1 of 2 images") and first.endswith(wipe)
        assert after == f"{wipe}2 of 2 images{wipe}"
    else:
        assert told == "a.png cannot be read.\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_a_command_leaves_the_logging_of_its_caller_as_it_was(
    verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    assert cli.main(["layers", "--model", "nothing-of-that-name", *(["--verbose"] if verbose else [])]) == 2
    assert (list(root.handlers), root.level) == before
    assert ("Traceback" in capsys.readouterr().err) == verbose
