"""What the window is started with: arguments, settings or none, and what is said where it cannot start."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from drive import Condition, pixels_shown, run

from camviewer import __version__, app
from camviewer.paths import cache_dir, config_dir, log_dir, resources_dir
from camviewer.ui.main_window import MainWindow

DEMO = resources_dir() / "demo"


def test_wrong_arguments_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--no-such-thing"]) == 2
    assert capsys.readouterr().err == "Unrecognized arguments: --no-such-thing. See camviewer --help.\n"


def test_version_and_help_need_no_window(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--demo", "--version"]) == 0
    assert app.run(["--demo", "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"camviewer {__version__}\n") and "--safe-mode" in told


def test_without_a_display_the_command_line_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(app.sys, "platform", "linux")
    assert app.run([]) == 1
    assert "There is no display. camviewer-cli works without one" in capsys.readouterr().err


def opens(window: MainWindow) -> Generator[Condition]:
    yield lambda: pixels_shown(window)


def test_everything_can_be_named_at_the_start(pictures: Path, qapp) -> None:
    def script(window: MainWindow) -> Generator[Condition]:
        yield lambda: pixels_shown(window) and window.bench.computing.summary is not None
        assert window.bench.session.project.path == pictures / "pictures.camviewer"
        assert (window.width(), window.height()) == (1100, 700)
        assert window.bench.settings.value.theme == "light"

    model = str(DEMO / "model.safetensors")
    given = ["--size", "1100x700", "--theme", "light", "--workspace", "model"]
    assert run([str(pictures), "--model", model], opens) == 0, "the project is made"
    project = next(pictures.glob("*.camviewer"))
    assert run(["--project", str(project), "--weights", model, *given], script) == 0


def test_safe_mode_reads_no_settings_and_keeps_nothing(pictures: Path, qapp) -> None:
    def darken(window: MainWindow) -> Generator[Condition]:
        window.bench.settings.value.theme = "light"
        window.bench.settings.save()
        yield lambda: pixels_shown(window)

    def look(window: MainWindow) -> Generator[Condition]:
        yield lambda: pixels_shown(window)
        assert window.bench.settings.value.theme != "light"

    assert run([str(pictures)], darken) == 0
    kept = {path: path.read_bytes() for path in config_dir().rglob("*") if path.is_file()}
    assert kept
    thumbnails = sorted(path for path in cache_dir().rglob("*") if path.is_file())
    assert run(["--safe-mode", str(pictures)], look) == 0
    assert {path: path.read_bytes() for path in config_dir().rglob("*") if path.is_file()} == kept
    assert sorted(path for path in cache_dir().rglob("*") if path.is_file()) == thumbnails


def test_the_log_is_three_files_of_a_megabyte(qapp) -> None:
    import logging

    def script(_window: MainWindow) -> Generator[Condition]:
        for number in range(40_000):
            logging.getLogger("camviewer.day").info("line %d of a long day; it has some hundred characters", number)
        yield lambda: True

    assert run(["--safe-mode"], script) == 0
    files = sorted(log_dir().glob("camviewer.log*"))
    assert [file.name for file in files] == ["camviewer.log", "camviewer.log.1", "camviewer.log.2"]
    assert all(file.stat().st_size <= 1 << 20 for file in files)
    assert "line 39999 " in files[0].read_text()
