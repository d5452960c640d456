"""A day's work in a few minutes: does the window stay what it was in the morning?

    python benchmarks/endurance.py IMAGES CHECKPOINT CHECKPOINT ... [--scale 0.1] [--days 2]

Drives the real window through ``main()`` over a copy of IMAGES: 2,000 images shown, 500 maps of mixed methods, 300
edits with every third taken back, 50 exports, 20 changes of the network, 100 cancelled jobs, in ten equal rounds. After
each round memory, open files and threads are counted; Qt's warnings and the program's errors are counted throughout.

Over the first day the gallery's thumbnails fill up, which are bounded; a second day over the same images has them all,
so that what still grows is a leak.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from drive import Condition, pixels_shown, run  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from camviewer.pipeline.export import ExportRequest  # noqa: E402
from camviewer.project.records import Box  # noqa: E402
from camviewer.ui.main_window import MainWindow  # noqa: E402
from camviewer.ui.panels.method import MethodChoice  # noqa: E402
from camviewer.workers.jobs import LoadRequest  # noqa: E402

ROUNDS = 10
METHODS = ("gradcam", "gradcampp", "hirescam", "layercam", "xgradcam", "eigengradcam", "eigencam")
FORMATS = ("coco", "masks", "voc", "labelme", "yolo-segmentation")
PATIENCE_S = 3600
"""For one step; long, since the run may be held while others measure."""
SUFFIXES = {".jpg", ".jpeg", ".png"}


class Complaints(logging.Handler):
    """Counts what Qt warns of and what the program calls an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.name.endswith(".qt"):
            self.heard.append(f"{record.name}: {record.getMessage()[:200]}")


def main() -> int:
    """Run the day; print a table, and the exit status of the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the day")
    parser.add_argument("--days", type=int, default=1, help="days of ten rounds each, without closing the window")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.scale <= 0:
        parser.error("--scale has to be above 0")
    app = QApplication(["camviewer"])  # the driver's timer needs it before the program makes its own
    complaints = Complaints()
    logging.getLogger("camviewer").addHandler(complaints)
    samples: list[dict[str, float]] = []
    done = dict.fromkeys(("shown", "maps", "edits", "undone", "exports", "networks", "cancelled"), 0)
    with workplace(given.images, most=max(20, int(2000 * given.scale))) as folder:
        day = Day(folder, given.checkpoints, given.scale, samples, done, rounds=ROUNDS * given.days)
        status = run(
            ["--safe-mode", str(folder / "images"), "--model", str(given.checkpoints[0])],
            day.script,
            patience=PATIENCE_S,
        )
    print("round  minutes    memory  allocated  thumbnails  files  threads")
    for found in samples:
        print(
            f"{found['round']:5.0f} {found['minutes']:8.1f} {found['memory']:6.0f} MB {found['allocated']:7.0f} MB "
            f"{found['thumbnails']:8.0f} MB {found['files']:6.0f} {found['threads']:8.0f}"
        )
    print(", ".join(f"{count:,} {what}" for what, count in done.items()))
    print(f"exit status {status}; complaints: {len(complaints.heard)}", *dict.fromkeys(complaints.heard), sep="\n  ")
    if given.json:
        given.json.write_text(json.dumps({"samples": samples, "done": done, "complaints": complaints.heard}))
    del app
    return 1 if status or complaints.heard else 0


@contextmanager
def workplace(images: Path, *, most: int) -> Iterator[Path]:
    """Copy images into a folder of their own, and keep everything else of the run there too."""
    with tempfile.TemporaryDirectory(prefix="camviewer-day-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            os.environ[variable] = str(folder / "home")
        (folder / "images").mkdir()
        for path in sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)[:most]:
            shutil.copy(path, folder / "images" / path.name)
        yield folder


class AllocatorFigures(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def allocated() -> float:
    """Give free memory back; return the megabytes that the allocator has handed out, 0 without glibc."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.malloc_trim(0)
        libc.mallinfo2.restype = AllocatorFigures
        found = libc.mallinfo2()
    except (OSError, AttributeError):
        return 0.0
    return (found.uordblks + found.hblkhd) / 2**20


def sample(number: int, since: float, window: MainWindow) -> dict[str, float]:
    """Return what the process holds."""
    gc.collect()
    in_use = allocated()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "round": number,
        "minutes": (time.monotonic() - since) / 60,
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "allocated": in_use,
        "thumbnails": window.bench.gallery.pictures.used / 2**20,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


class Day:
    """The script of the day, in rounds that do a tenth of everything."""

    def __init__(
        self,
        folder: Path,
        checkpoints: list[Path],
        scale: float,
        samples: list[dict[str, float]],
        done: dict[str, int],
        *,
        rounds: int,
    ) -> None:
        self.folder = folder
        self.checkpoints = checkpoints
        self.scale = scale
        self.samples = samples
        self.done = done
        self.rounds = rounds
        self._fresh = 0

    def share(self, total: int) -> int:
        """Return how much of a day's total falls to one round."""
        return max(1, round(total * self.scale / ROUNDS))

    def script(self, window: MainWindow) -> Generator[Condition]:
        """Work through the day."""
        since = time.monotonic()
        window.bench.computing.map_shown.connect(self._on_map)
        yield lambda: pixels_shown(window) and window.bench.computing.summary is not None
        yield lambda: not window.bench.engine.open_jobs()
        self.samples.append(sample(0, since, window))
        for number in range(1, self.rounds + 1):
            yield from self.look(window)
            yield from self.explain(window)
            yield from self.edit(window)
            yield from self.cancel(window)
            yield from self.export(window, number)
            yield from self.change_network(window)
            self.samples.append(sample(number, since, window))
            print(self.samples[-1], flush=True)

    def _on_map(self, found: object, *_rest: object) -> None:
        self._fresh += found is not None

    def look(self, window: MainWindow) -> Generator[Condition]:
        """Show one image after the other."""
        for _ in range(self.share(2000)):
            if not window.reviewing.step(1):
                window.bench.session.show_image(window.bench.session.records()[0].id)
            self.done["shown"] += 1
            yield lambda: pixels_shown(window)

    def explain(self, window: MainWindow) -> Generator[Condition]:
        """Compute maps, with another method each time."""
        for number in range(self.share(500)):
            yield lambda: pixels_shown(window) and not window.bench.engine.open_jobs()
            self._fresh = 0
            method = METHODS[number % len(METHODS)]
            window.bench.computing.set_choice(MethodChoice(method, {}, True))
            window.bench.computing.recompute()
            yield lambda: self._fresh > 0 and not window.bench.engine.open_jobs()
            self.done["maps"] += 1
            if number % 5 == 4:
                window.reviewing.step(1)

    def edit(self, window: MainWindow) -> Generator[Condition]:
        """Draw boxes and change masks; take every third deed back."""
        session = window.bench.session
        for number in range(self.share(300)):
            yield lambda: pixels_shown(window)
            left = 3 + number % 40
            if number % 2:
                session.add_box(Box(left, 5, left + 30, 60, 1, "manual"))
            else:
                pixels = window.bench.session.current.pixels
                mask = (pixels[..., 0] > 60 + number % 90).copy()
                session.set_mask(mask, 1, "Mask painted.")
            self.done["edits"] += 1
            if number % 3 == 2:
                window.bench.actions["undo"].trigger()
                self.done["undone"] += 1
            elif number % 7 == 0:
                window.reviewing.mark_reviewed()

    def cancel(self, window: MainWindow) -> Generator[Condition]:
        """Start computing everything, and stop."""
        for _ in range(self.share(100)):
            yield lambda: not window.bench.engine.open_jobs()
            window.bench.actions["compute_all"].trigger()
            yield lambda: bool(window.bench.engine.open_jobs())
            window.bench.actions["cancel"].trigger()
            self.done["cancelled"] += 1
        yield lambda: not window.bench.engine.open_jobs()

    def export(self, window: MainWindow, number: int) -> Generator[Condition]:
        """Write training sets, and throw them away."""
        project = window.bench.session.project
        for part in range(self.share(50)):
            out = self.folder / f"export {number}-{part}"
            request = ExportRequest(project.path, FORMATS[part % len(FORMATS)], out, status="reviewed")
            window.bench.computing.export(request)
            yield lambda out=out: out.is_dir() and not window.bench.engine.open_jobs()
            shutil.rmtree(out)
            self.done["exports"] += 1

    def change_network(self, window: MainWindow) -> Generator[Condition]:
        """Open another checkpoint."""
        for _ in range(self.share(20)):
            before = window.bench.computing.summary
            self.done["networks"] += 1
            file = self.checkpoints[self.done["networks"] % len(self.checkpoints)]
            window.bench.computing.load_model(LoadRequest(weights=file))
            yield lambda before=before: window.bench.computing.summary is not before
            yield lambda: not window.bench.engine.open_jobs()


if __name__ == "__main__":
    sys.exit(main())
