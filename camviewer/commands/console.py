"""What a command says: results on standard output, the rest on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from camviewer.pipeline.progress import Pace


def say(text: str) -> None:
    """Write one line of result."""
    print(text)


def warn(text: str) -> None:
    """Write one line to standard error."""
    print(text, file=sys.stderr)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 image``, ``2 images``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return a rounded duration: ``41 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class ProgressLine:
    """One line on standard error that is rewritten in place; silent where that is not a terminal."""

    def __init__(self, total: int, noun: str) -> None:
        self._pace = Pace(total)
        self._noun = noun
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    @property
    def total(self) -> int:
        """Units in all; may be set once it is known."""
        return self._pace.total

    @total.setter
    def total(self, total: int) -> None:
        self._pace.total = total

    def advance(self, done: int) -> None:
        """Show that `done` units are finished."""
        self._pace.advance(done)
        left = self._pace.seconds_left
        if self._shown:
            tail = f", {duration(left)} left" if left is not None and done < self._pace.total else ""
            sys.stderr.write(f"\r\x1b[K{done} of {count(self._pace.total, self._noun)}{tail}")
            sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Write one line above the progress."""
        self.clear()
        warn(text)

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
