"""Short work without torch off the GUI thread: reading an image, scanning a folder, finding regions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from camviewer.errors import CamviewerError, Cancelled
from camviewer.images.geometry import Size
from camviewer.project.records import ActivationMap, BoolMask
from camviewer.regions.drawing import Patch
from camviewer.regions.rules import RegionRule
from camviewer.regions.scribbles import Scribble
from camviewer.workers.priority import give_way

if TYPE_CHECKING:
    from camviewer.pipeline.explain import MapResult as MapResult
    from camviewer.regions.artefacts import Artefacts

log = logging.getLogger(__name__)

SCAN_CHUNK = 100
PATIENCE = 0.05
UNEXPECTED = "An unexpected error occurred; the log has details."


@dataclass(frozen=True, slots=True, eq=False)
class TaskDone:
    """What a task returned, or why it could not.

    Attributes:
        key: kind of task, as submitted.
        subject: what it was about, as submitted.
        result: what the function returned; None with an error.
        error: one sentence; empty when it went well.
    """

    key: str
    subject: Any
    result: Any
    error: str = ""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """One image file of a scan.

    Attributes:
        path: the file.
        size: upright (width, height); (0, 0) when the header cannot be read.
        file_size: bytes.
        error: sentence when it cannot be read.
    """

    path: Path
    size: Size
    file_size: int
    error: str = ""


class TaskPool(QObject):
    """Runs functions in threads. Of each key only the newest submission answers; older ones are dropped.

    Signals:
        done: `TaskDone`, once for each newest submission.
        partial: `TaskDone` with a part of the result, from tasks that report some.
    """

    done = Signal(object)
    partial = Signal(object)
    _arrived = Signal(object, object, bool)

    def __init__(self, parent: QObject | None = None, *, threads: int = 2) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(threads)
        self._newest: dict[str, int] = {}
        self._counter = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._taken = threading.Semaphore(1)
        self._arrived.connect(self._deliver)

    def submit(self, key: str, subject: Any, work: Callable[[Reporter], Any]) -> None:
        """Run `work` in a thread; it takes a reporter for partial results and for asking whether it is still wanted."""
        if self._stop.is_set():
            return
        with self._lock:
            self._counter += 1
            number = self._counter
            self._newest[key] = number
        reporter = Reporter(self, key, subject, number)
        self._pool.start(lambda: self._run(reporter, work))

    def drop(self, key: str) -> None:
        """Let no running task of this key answer any more."""
        with self._lock:
            self._newest.pop(key, None)

    def close(self, *, timeout_ms: int = 3000) -> bool:
        """Drop everything and wait; return whether the threads ended in time."""
        self._stop.set()
        with self._lock:
            self._newest.clear()
        self._pool.clear()
        return self._pool.waitForDone(timeout_ms)

    def wanted(self, key: str, number: int) -> bool:
        """Return whether a submission is still the newest of its key."""
        with self._lock:
            return not self._stop.is_set() and self._newest.get(key) == number

    def _run(self, reporter: Reporter, work: Callable[[Reporter], Any]) -> None:
        if not reporter.wanted():
            return
        give_way()
        try:
            answer = TaskDone(reporter.key, reporter.subject, work(reporter))
        except Cancelled:
            return
        except CamviewerError as error:
            if error.details:
                log.info("%s: %s", error.message, error.details)
            answer = TaskDone(reporter.key, reporter.subject, None, error.message)
        except MemoryError:
            answer = TaskDone(reporter.key, reporter.subject, None, "Not enough memory. Close other programs.")
        except Exception:
            log.exception("task %s", reporter.key)
            answer = TaskDone(reporter.key, reporter.subject, None, UNEXPECTED)
        if not self._stop.is_set():
            self._arrived.emit(answer, reporter.number, True)

    @Slot(object, object, bool)
    def _deliver(self, answer: TaskDone, number: int, final: bool) -> None:
        wanted = self.wanted(answer.key, number)
        if final:
            if wanted:
                self.drop(answer.key)
                self.done.emit(answer)
            return
        try:
            if wanted:
                self.partial.emit(answer)
        finally:
            self._taken.release()


@dataclass(frozen=True, slots=True, eq=False)
class Reporter:
    """What a task sees of its pool."""

    pool: TaskPool
    key: str
    subject: Any
    number: int

    def wanted(self) -> bool:
        """Return whether the result is still waited for."""
        return self.pool.wanted(self.key, self.number)

    def report(self, part: Any) -> None:
        """Send a part of the result, once the part before has been taken: more at a time would keep the window busy.

        Raises:
            Cancelled: when nobody waits any more.
        """
        while not self.pool._taken.acquire(timeout=PATIENCE):
            if not self.wanted():
                raise Cancelled
        if not self.wanted():
            self.pool._taken.release()
            raise Cancelled
        self.pool._arrived.emit(TaskDone(self.key, self.subject, part), self.number, False)


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Return an image as upright RGB ``[H, W, 3]``.

    Raises:
        ImageError: when it cannot be read.
    """
    from camviewer.images.decode import read_image

    return read_image(path)


def scan_images(paths: Iterable[Path], reporter: Reporter) -> int:
    """Find image files below `paths` and report them in chunks of `FoundImage`, natural order; return how many."""
    from camviewer.images.decode import read_header
    from camviewer.images.scan import scan

    chunk: list[FoundImage] = []
    total = 0
    for file in scan(paths):
        try:
            header = read_header(file.path)
            chunk.append(FoundImage(file.path, header.size, header.file_size))
        except CamviewerError as error:
            chunk.append(FoundImage(file.path, (0, 0), 0, error.message))
        total += 1
        # The first screenful at once, the rest in larger steps.
        if len(chunk) >= (32 if total <= 32 else SCAN_CHUNK):
            reporter.report(tuple(chunk))
            chunk.clear()
    if chunk:
        reporter.report(tuple(chunk))
    return total


def find_map_regions(pixels: NDArray[np.uint8], found: ActivationMap, rule: RegionRule) -> MapResult:
    """Return boxes and mask of one map, as the batch and the command line find them.

    Raises:
        UsageError: for a refinement or parameter that does not exist.
    """
    from camviewer.pipeline.explain import find_in_map

    return find_in_map(pixels, found, rule)


def snap_mask(pixels: NDArray[np.uint8], mask: BoolMask, found: ActivationMap | None) -> BoolMask:
    """Return `mask` with its outline at the colours' edge; the peak of a map stays inside."""
    from camviewer.regions.snap import snap_to_colours

    values = None if found is None else found.geometry.upsample(found.values)
    return snap_to_colours(pixels, mask, values=values)


def look_for_artefacts(pixels: NDArray[np.uint8]) -> Artefacts:
    """Return the artefacts of an image, in masks as small as they are looked for."""
    import cv2

    from camviewer.regions.artefacts import SIDE, find_artefacts

    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return find_artefacts(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))


def cut_out_mask(
    pixels: NDArray[np.uint8], base: BoolMask, scribbles: Sequence[Scribble], found: ActivationMap | None
) -> tuple[Patch, ...]:
    """Return what scribbles change of a mask; an empty one starts from a map, where there is one."""
    from camviewer.regions.drawing import difference
    from camviewer.regions.scribbles import cut_out

    energy = None if found is None else found.geometry.upsample(found.values, size=_map_size(pixels))
    return difference(base, cut_out(pixels, scribbles, base=base, energy=energy))


def _map_size(pixels: NDArray[np.uint8]) -> Size:
    """Return a size of the image's shape that holds every detail of a map."""
    height, width = pixels.shape[:2]
    scale = min(1.0, 1024 / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))
