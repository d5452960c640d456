"""Logging of the window: a rotating file, Qt's own messages, and exceptions that nobody caught."""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QMessageLogContext, QObject, QtMsgType, Signal, qInstallMessageHandler

log = logging.getLogger("camviewer")
qt_log = logging.getLogger("camviewer.qt")

FORMAT = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
SENTENCE = "An unexpected error occurred. The log has details."

_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class UncaughtErrors(QObject):
    """Logs what nobody caught and says one sentence, whichever thread it came from.

    Signals:
        happened: the sentence; arrives in the GUI thread.
    """

    happened = Signal(str)

    def install(self) -> None:
        """Take over ``sys.excepthook`` and ``threading.excepthook``."""
        sys.excepthook = self._hook
        threading.excepthook = self._thread_hook

    def uninstall(self) -> None:
        """Give Python's own hooks back."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        # Only log and signal: this may be any thread, where no window may be touched.
        log.critical("uncaught", exc_info=(kind, error, trace))
        self.happened.emit(SENTENCE)

    def _thread_hook(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._hook(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def start_logging(folder: Path | None, *, verbose: bool = False) -> None:
    """Log to ``camviewer.log`` in `folder` (three files of 1 MB), warnings to standard error where there is one.

    Args:
        folder: None keeps nothing on the disk.
    """
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    if sys.stderr is not None:
        console = logging.StreamHandler()
        console.setLevel(logging.DEBUG if verbose else logging.ERROR)
        console.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        log.addHandler(console)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = logging.handlers.RotatingFileHandler(
                folder / "camviewer.log", maxBytes=1 << 20, backupCount=2, encoding="utf-8", delay=True
            )
            handler.setFormatter(logging.Formatter(FORMAT))
            log.addHandler(handler)
        except OSError as error:
            log.warning("no log file: %s", error)
    qInstallMessageHandler(_on_qt_message)


def stop_logging() -> None:
    """Close the files and give Qt's messages back."""
    qInstallMessageHandler(None)
    for handler in list(log.handlers):
        if isinstance(handler, logging.StreamHandler):
            log.removeHandler(handler)
            handler.close()


def _on_qt_message(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    if "does not support propagateSizeHints" in text:
        return  # the offscreen platform says it at every window
    qt_log.log(_LEVELS.get(kind, logging.WARNING), "%s", text)
