"""What is known when something went wrong: how the last session ended, and what may be sent to whoever helps.

Each window holds one session file open: its first line says what runs, Python's fault handler writes the stack of all
threads below when the process dies, and a clean end removes the file. A file that nobody holds any more is a crash.
No Qt: the file is there before it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from camviewer import __version__

if TYPE_CHECKING:
    from camviewer.selfcheck import Finding

log = logging.getLogger(__name__)

KEPT = 5
"""Crash reports that are kept; older ones are removed."""
MOST = 64 * 1024
"""Bytes of a report that are shown."""


@dataclass(frozen=True, slots=True)
class LastCrash:
    """How an earlier session ended.

    Attributes:
        file: the report.
        text: what it says; of `MOST` bytes at most.
        explained: whether it holds the stack of the process; without one the process was killed, or the power failed.
    """

    file: Path
    text: str
    explained: bool


class SessionMark:
    """The session file of this process.

    Args:
        folder: of logs; nothing is kept, and nothing raised, where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"session-{os.getpid()}.txt"
        self._file: IO[str] | None = None

    def begin(self) -> LastCrash | None:
        """Open the file of this session; return the report of the last one that did not end, if one was left."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            crash = _collect(self._path.parent)
            self._file = self._path.open("w", encoding="utf-8")
            _hold(self._file)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            system = f"{platform.system()} {platform.release()}"
            self._file.write(f"camviewer {__version__}, Python {platform.python_version()}, {system}, from {started}\n")
            self._file.flush()
            faulthandler.enable(self._file)
        except OSError as error:
            log.warning("this session leaves no trace if it crashes: %s", error)
            return None
        return crash

    def end(self) -> None:
        """Remove the file: this session ended as it should."""
        if self._file is None:
            return
        faulthandler.disable()
        self._file.close()
        self._file = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the session file stays: %s", error)


def diagnostics_text(findings: Sequence[Finding], crash: LastCrash | None = None) -> str:
    """Return what a person may send to whoever helps: the findings and the last crash, the home folder as ``~``.

    Neither images nor their names are in it.
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for finding in findings:
        mark = "" if finding.state == "ok" else f"{finding.state}: "
        lines.append(f"{finding.topic:<{width}}  {mark}{finding.text}")
        if finding.cure:
            lines.append(f"{'':<{width}}  cure: {finding.cure}")
    if crash is not None:
        lines += ["", "The last crash:", crash.text.rstrip()]
    return without_home("\n".join(lines)) + "\n"


def without_home(text: str) -> str:
    """Return `text` with the user's home folder, which tends to be a person's name, as ``~``."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def _collect(folder: Path) -> LastCrash | None:
    """Turn session files that nobody holds into crash reports; return the newest."""
    newest: LastCrash | None = None
    for path in sorted(folder.glob("session-*.txt"), key=lambda file: file.stat().st_mtime):
        if not _abandoned(path):
            continue
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
        report = folder / f"crash-{when}-{path.stem.removeprefix('session-')}.txt"
        path.replace(report)
        with report.open("rb") as file:
            text = file.read(MOST).decode("utf-8", "replace")
        newest = LastCrash(report, text, explained="most recent call first" in text)
    for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return newest


if sys.platform == "win32":

    def _hold(_file: IO[str]) -> None:
        """Nothing to do: an open file cannot be removed on Windows."""

    def _abandoned(path: Path) -> bool:
        try:
            path.rename(path)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _hold(file: IO[str]) -> None:
        """Lock the file for as long as the process lives, however it ends."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _abandoned(path: Path) -> bool:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True
