"""The window's composition: arguments, log, theme, main window, event loop. torch is not imported here."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from camviewer import __version__
from camviewer.errors import UsageError

SMOKE_SECONDS = 120


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}. See camviewer --help.")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the window's own arguments."""
    parser = _Parser(prog="camviewer", description="Open the window. camviewer-cli --help tells the commands.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="images, a folder, a project, a checkpoint")
    parser.add_argument("--model", metavar="ARCH|FILE", help="architecture, or a checkpoint file")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="checkpoint file")
    parser.add_argument("--project", type=Path, metavar="FILE", help="project file to open")
    parser.add_argument("--safe-mode", action="store_true", help="start without settings, and keep none")
    parser.add_argument("--verbose", action="store_true", help="log everything, also to standard error")
    parser.add_argument(
        "--smoke-test", action="store_true", help="open, compute the demo, paint, quit; nothing is kept"
    )
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--size", metavar="WxH", help=argparse.SUPPRESS)
    parser.add_argument("--theme", choices=("dark", "light"), help=argparse.SUPPRESS)
    parser.add_argument("--workspace", choices=("review", "model"), help=argparse.SUPPRESS)
    parser.add_argument("--demo", action="store_true", help="open the demo")
    parser.add_argument("--version", action="version", version=f"camviewer {__version__}")
    return parser


def run(argv: list[str]) -> int:
    """Open the window and return its exit status: 0, 1 when the smoke test fails, 2 for wrong arguments."""
    try:
        arguments = build_parser().parse_args(argv)
    except UsageError as error:
        if sys.stderr is not None:
            print(error.message, file=sys.stderr)
        return 2
    except SystemExit as leaving:  # --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        # Without this Qt aborts the process with a page of its own words.
        if not (arguments.smoke_test or arguments.screenshot):
            print("There is no display. camviewer-cli works without one; see camviewer-cli --help.", file=sys.stderr)
            return 1
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with _private_home() if arguments.smoke_test else contextlib.nullcontext():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    _import_what_needs_no_qt()
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtWidgets import QApplication

    from camviewer.desktop import APP_ID
    from camviewer.diagnostics import SessionMark
    from camviewer.paths import log_dir
    from camviewer.ui.icons import app_icon
    from camviewer.ui.logs import UncaughtErrors, start_logging, stop_logging
    from camviewer.ui.main_window import MainWindow
    from camviewer.ui.settings import SettingsStore
    from camviewer.ui.theme import theme

    app = QApplication.instance() or QApplication(["camviewer"])
    assert isinstance(app, QApplication)
    app.setApplicationName("camviewer")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName(APP_ID)
    app.setWindowIcon(app_icon())
    start_logging(None if arguments.smoke_test else log_dir(), verbose=arguments.verbose)
    mark = None if arguments.smoke_test else SessionMark(log_dir())
    crash = mark.begin() if mark is not None else None
    errors = UncaughtErrors()
    errors.install()
    private = arguments.safe_mode or arguments.smoke_test
    settings = SettingsStore(None) if private else SettingsStore.of_user()
    if arguments.theme:
        settings.value.theme = arguments.theme
    if arguments.workspace:
        settings.value.workspace = arguments.workspace
    theme()
    window = MainWindow(settings)
    errors.happened.connect(window.reporting.show_error)
    # The main window is the program: a dialog that is still open ends with it.
    window.closed.connect(app.quit, Qt.ConnectionType.QueuedConnection)
    if arguments.size:
        width, _, height = arguments.size.partition("x")
        window.resize(int(width), int(height))
    if crash is not None:
        window.checking.tell_of_crash(crash)
    window.show()
    # Python runs its signal handlers only between byte codes, so the loop has to come by now and then.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: window.close())
    beat = QTimer(window)
    beat.setInterval(500)
    beat.timeout.connect(_nothing)
    beat.start()
    status = 0
    try:
        if arguments.smoke_test or arguments.screenshot:
            from camviewer.ui.smoke import Smoke

            smoke = Smoke(window, screenshot=arguments.screenshot, demo=arguments.smoke_test or arguments.demo)
            window.painted_first.connect(smoke.begin)
            _open(window, arguments)
            app.exec()
            status = smoke.status
        else:
            _open(window, arguments)
            app.exec()
    finally:
        window.close()
        beat.stop()
        errors.uninstall()
        if mark is not None:
            mark.end()
        stop_logging()
    return status


def _import_what_needs_no_qt() -> None:
    """Import the lower rooms before PySide6, which reads the source of every module that is imported after it."""
    import camviewer.project.locate
    import camviewer.workers.jobs  # noqa: F401


def _open(window: object, arguments: argparse.Namespace) -> None:
    from camviewer.ui.main_window import MainWindow
    from camviewer.workers.jobs import LoadRequest

    assert isinstance(window, MainWindow)
    paths = list(arguments.paths)
    if arguments.project is not None:
        paths.insert(0, arguments.project)
    if paths:
        window.opening.open_paths(paths)
    if arguments.demo and not arguments.smoke_test:
        window.opening.open_demo()
    model: str | None = arguments.model
    weights: Path | None = arguments.weights
    file = Path(model) if model is not None else None
    if weights is None and file is not None and file.suffix != ".py" and file.is_file():
        model, weights = None, file
    if model is not None or weights is not None:
        window.bench.computing.load_model(LoadRequest(model=model, weights=weights))


def _nothing() -> None:
    """Let Python look at its signals."""


@contextlib.contextmanager
def _private_home() -> Iterator[None]:
    """Let everything that would be kept go to a temporary folder that is removed afterwards."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="camviewer-smoke-", ignore_cleanup_errors=True) as folder:
        for name in names:
            os.environ[name] = str(Path(folder) / name.lower())
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
