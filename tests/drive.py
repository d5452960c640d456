"""Drives the whole program through ``main()``: a script of steps, each waiting for a condition, as a person would."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from camviewer.__main__ import main
from camviewer.ui.main_window import MainWindow

Condition = Callable[[], object]
Script = Callable[[MainWindow], Generator[Condition]]
PATIENCE = 60.0


class Driver(QObject):
    """Runs `script` once the window is there: it yields a condition and goes on when that holds.

    Args:
        patience: seconds that a condition may take.
    """

    def __init__(self, script: Script, *, patience: float = PATIENCE) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._script = script
        self._patience = patience
        self._steps: Generator[Condition] | None = None
        self._condition: Condition | None = None
        self._since = time.monotonic()
        self._window: MainWindow | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(20)
        self._timer.timeout.connect(self._step)
        self._timer.start()

    def _step(self) -> None:
        try:
            if self._window is None:
                windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible()]
                if not windows:
                    return
                self._window = windows[0]
                self._window.closed.connect(self._on_closed)
                self._steps = self._script(self._window)
            assert self._steps is not None
            if self._condition is not None and not self._condition():
                if time.monotonic() - self._since > self._patience:
                    line = self._steps.gi_frame.f_lineno  # type: ignore[union-attr]
                    said = self._window.bench.status.message()
                    raise TimeoutError(f"waited in vain at line {line} of the script; the window says: {said}")
                return
            self._condition = next(self._steps)
            self._since = time.monotonic()
        except StopIteration:
            self.end()
        except BaseException as error:
            self.error = self.error or error
            traceback.print_exc()  # a dialog may be open, and then the program does not end by itself
            self.end()

    def _on_closed(self) -> None:
        """A window that someone else closed, as a signal to end the process does, has no images any more."""
        if self._timer.isActive():
            self._timer.stop()
            self.error = RuntimeError("the window was closed before the script came to its end")

    def end(self) -> None:
        self._timer.stop()
        if self._window is not None:
            self._window.close()


def run(arguments: list[str], script: Script, *, patience: float = PATIENCE) -> int:
    """Run ``camviewer ARGUMENTS`` with `script` at its keyboard; return the exit status or raise its error."""
    driver = Driver(script, patience=patience)
    status = main(arguments)
    if driver.error is not None:
        raise driver.error
    return status


def press(widget: QWidget, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press and release `key` on `widget`, soon: a key that opens a dialog must not hold up the script."""
    QTimer.singleShot(0, widget, lambda: QTest.keyClick(widget, key, modifiers))


def pixels_shown(window: MainWindow) -> bool:
    """Return whether an image with its pixels is on the canvas."""
    current = window.bench.session.current
    return current is not None and current.pixels is not None
