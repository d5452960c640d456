"""Ctrl-C: every command says what stays, ends with 130, and leaves nothing half done."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from camviewer import cli
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.paths import resources_dir

DEMO = resources_dir() / "demo"
MODEL = ["--model", str(DEMO / "model.safetensors")]


COMMANDS: dict[str, tuple[str, list[str], str]] = {
    "explain": ("explain", ["images", *MODEL, "--out", "new"], "Stopped after 0 images of 4."),
    "export": ("export", ["results", "--format", "masks", "--out", "new"], "Stopped. Nothing was written."),
    "evaluate": ("evaluate", ["results", "--truth", str(DEMO / "masks")], "Stopped."),
    "choose_threshold": ("choose-threshold", ["results", "--truth", str(DEMO / "masks")], "Stopped."),
    "compare": ("compare", [str(DEMO / "model.safetensors"), "--images", "images"], "Stopped."),
    "few_labels": (
        "few-labels",
        ["images", "--marks", "marks.csv", *MODEL, "--out", "new.safetensors", "--no-cache"],
        "Stopped. What was read is kept.",
    ),
    "guide": (
        "guide",
        [str(DEMO / "labels.csv"), *MODEL, "--masks", str(DEMO / "masks"), "--out", "new"],
        "Stopped. Nothing was written.",
    ),
    "learn_masks": ("learn-masks", ["results", "--out", "new", "--steps", "10"], "Stopped. No mask was changed"),
    "import_": ("import", ["images", str(DEMO / "masks"), "--as", "truth"], "Stopped. Nothing was changed."),
}


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_that_is_stopped_says_what_stays(
    module: str,
    explained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def pressed() -> Iterator[Callable[[], bool]]:
        yield lambda: True

    shutil.copytree(explained, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    command, words, sentence = COMMANDS[module]
    monkeypatch.setattr(f"camviewer.commands.{module}.interruptible", pressed)
    assert cli.main([command, *words]) == INTERRUPTED
    told = capsys.readouterr()
    assert sentence in told.err, told
    assert "Written" not in told.out
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert {path.suffix for path in after.keys() - before.keys()} <= {".camviewer"}


def test_the_first_press_asks_and_the_second_ends() -> None:
    own = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is own


def test_outside_the_main_thread_there_are_no_signals_and_no_error() -> None:
    seen: list[bool] = []

    def work() -> None:
        with interruptible() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
