"""Time and check the CAM engine beside the libraries grad-cam and torchcam, on the same weights and images.

    python benchmarks/engine.py --out figures --minutes 8     # again, until it says that everything is measured
    python benchmarks/engine.py --out figures --text docs/benchmarks.md

All engines run in one process, one after the other in every round, so that a change of the machine's load meets all of
them; every engine is warmed up alike, and what takes less than `SHORT` seconds runs three times in its turn, as the
stock passes do, since another engine's turn leaves the caches full of other weights. Each network and task is written
to a JSON file of its own in `--out` and not measured again while that is there. camviewer is timed from pixels to maps
in memory, its preparation of the input included; the libraries get the prepared tensor. A task whose round takes more
than `SLOW` seconds is timed once.
The libraries run Score-CAM anew for each class, so their five classes are five times the measured one where
that alone takes longer than `SLOW`; with ``--part N`` only their first N masked inputs are run and the rest is
reckoned from these, which gives no map to compare. Both are marked ``~``.

Every map is compared with a float64 reference (largest difference of min-max-normalised maps). A ReLU whose input lies
within float32's rounding of 0 may turn there, so the same formulas in stock float32 stand beside it as ``float32``.
Score-CAM is compared with the full float64 run for `FULL_SCORE_CAM`; elsewhere our map of the
`CHECKED_UNITS` strongest units is compared with float64's, and the others' maps with our exact one.
The libraries are optional: `benchmarks/requirements.txt`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engines import CHECKED_CLASSES, GRID_METHODS, LAYERS, LIBRARY_CLASSES, Bench, Maps, Task
from torch import Tensor, nn

SLOW = 20.0
REPEATS = 3
SHORT = 1.0
LONG_WATCH, SHORT_WATCH = 0.05, 0.002
FULL_SCORE_CAM = ("resnet18", "mobilenet_v3_large")
CHECKED_UNITS = 24
NOTES = """Networks carry calibrated random weights (`tests/probe.py`), inputs are 224 x 224. *in f*: multiples of one
stock float32 forward pass of the task's images. *Off by*: largest difference from float64 of the min-max-normalised
map; the row *float32* is what the same formulas give in stock float32, which is as near as float32 comes. *fast* is
bfloat16 in Score-CAM's masked passes; *Pearson* is its correlation with the exact map. *~*: five times the measured
class, or reckoned from a part of a library's masked inputs. Written by `benchmarks/engine.py`.
"""

TASKS = (
    Task("CAM", ("cam",)),
    Task("Grad-CAM", ("gradcam",)),
    Task("Grad-CAM++", ("gradcampp",)),
    Task("Grad-CAM, top 5", ("gradcam",), classes=5),
    Task("3 methods x 5 classes x 2 layers", GRID_METHODS, classes=5, layers=2),
    Task("Grad-CAM, 32 images", ("gradcam",), images=32),
    Task("Score-CAM, 1 class", ("scorecam",)),
    Task("Score-CAM, 5 classes", ("scorecam",), classes=5),
    Task("CAM, all classes", ("cam",), classes=1000),
    Task("Grad-CAM, all classes", ("gradcam",), classes=1000),
    Task("Grad-CAM++, all classes", ("gradcampp",), classes=1000),
    Task("Grad-CAM, all classes, 32 images", ("gradcam",), classes=1000, images=32),
)


@dataclass
class Row:
    """Figures of one engine on one task."""

    network: str
    task: str
    engine: str
    seconds: float
    passes: float
    extra_mb: float
    difference: float | None
    pearson: float | None = None
    extrapolated: bool = False


def difference(found: Maps, expected: Maps) -> float | None:
    """Return the largest difference of normalised maps; maps at another size are sampled at the cells' centres."""
    worst = None
    for key, reference in expected.items():
        if key not in found:
            continue
        m = np.asarray(found[key], dtype=np.float64)
        if m.shape != reference.shape:
            rows, columns = (m.shape[0] // reference.shape[0], m.shape[1] // reference.shape[1])
            m = m[: rows * reference.shape[0], : columns * reference.shape[1]]
            m = m.reshape(reference.shape[0], rows, reference.shape[1], columns)
            m = m[:, rows // 2 - 1 : rows // 2 + 1, :, columns // 2 - 1 : columns // 2 + 1].mean(axis=(1, 3))
        change = float(np.abs(_normalised(m) - _normalised(reference)).max())
        worst = change if worst is None else max(worst, change)
    return worst


def _normalised(m: np.ndarray) -> np.ndarray:
    span = np.ptp(m)
    return (m - m.min()) / span if span else np.zeros_like(m)


class _EnoughError(Exception):
    """Ends a library's Score-CAM after the part that was asked for."""


class Part:
    """Lets a network take some masked inputs and no more, and reckons how long all of them take.

    Args:
        network: that the library runs.
        inputs: how many masked inputs it takes.
        units: how many it would take.
    """

    def __init__(self, network: nn.Module, inputs: int, units: int) -> None:
        self._network, self._inputs, self._units = network, inputs, units
        self._calls = self._done = 0
        self._first = self._now = 0.0

    def seconds(self, run: Callable[[], Any]) -> float | None:
        """Return the seconds that all inputs take; None where the library has no such method for the network."""
        started = time.perf_counter()
        handle = self._network.register_forward_pre_hook(self._count)
        try:
            found = run()
        except _EnoughError:
            return self._first - started + (self._now - self._first) * self._units / self._done
        finally:
            handle.remove()
        assert found is None, f"there were fewer than {self._inputs} masked inputs"
        return None

    def _count(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._calls += 1
        self._now = time.perf_counter()
        if self._calls == 1:  # the image as it is
            return
        self._first = self._first or self._now
        if self._done >= self._inputs:
            raise _EnoughError
        self._done += len(inputs[0])


class Peak:
    """Resident memory above the start, in MB, sampled every so many seconds; Linux only, otherwise 0."""

    def __init__(self, *, every: float) -> None:
        self._every = every

    def __enter__(self) -> Peak:
        gc.collect()
        self._stop = threading.Event()
        self._start = self.mb = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.mb = max(self.mb, self._now()) - self._start

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self.mb = max(self.mb, self._now())

    @staticmethod
    def _now() -> float:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(bench: Bench, task: Task, *, rounds: int, part: int) -> list[Row]:
    """Return the medians over rounds in which all engines take their turn.

    Args:
        part: masked inputs of a library's Score-CAM that are run; 0 for all.
    """
    engines = bench.engines()
    seconds: dict[str, list[float]] = {}
    base: list[float] = []
    memory: dict[str, float] = {}
    maps: dict[str, Maps] = {}
    extrapolated: set[str] = set()
    while len(base) < rounds:
        began = time.perf_counter()
        base.append(statistics.median(bench.forward_seconds(task.images) for _ in range(3)))
        for engine, run in engines.items():
            if base[1:] and engine not in seconds:
                continue
            turn = library_turn if engine in LIBRARY_CLASSES and "scorecam" in task.methods else whole_turn
            with Peak(every=LONG_WATCH) as peak:
                found, elapsed, whole = turn(bench, task, engine, run, part)
            if elapsed is None:
                continue
            if elapsed < SHORT and engine not in seconds:  # looked at more closely, which would disturb the time
                with Peak(every=SHORT_WATCH) as peak:
                    run(task)
            seconds.setdefault(engine, []).append(elapsed)
            memory[engine] = max(memory.get(engine, 0.0), peak.mb)
            if found is not None:
                maps[engine] = found
            if not whole:
                extrapolated.add(engine)
        if time.perf_counter() - began > SLOW:
            break
    if not seconds:  # CAM where no engine has it
        return []
    forward = statistics.median(base)
    expected, off = differences(bench, task, maps)
    rows = []
    for engine, times in seconds.items():
        median = statistics.median(times)
        found = maps.get(engine, {})
        agreement = pearson(found, maps["camviewer"]) if engine == "camviewer fast" else None
        rows.append(
            Row(bench.name, task.name, engine, median, median / forward, memory[engine],
                off.get(engine, difference(found, expected)), agreement, engine in extrapolated)
        )  # fmt: skip
    if "scorecam" not in task.methods and task.classes <= CHECKED_CLASSES:
        plain = bench.reference(task, torch.float32)
        rows.append(Row(bench.name, task.name, "float32", 0, 0, 0, difference(plain, expected)))
    return rows


Run = Callable[[Task], Maps | None]
Turn = tuple[Maps | None, float | None, bool]
"""Maps, seconds (None for what an engine does not have), and whether all of it was run."""


def whole_turn(_bench: Bench, task: Task, _engine: str, run: Run, _part: int) -> Turn:
    """Run a task as it is, a short one three times in a row, as the stock passes: the median is what is kept."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < SHORT:
        started = time.perf_counter()
        found = run(task)
        if found is None:
            return None, None, True
        times.append(time.perf_counter() - started)
    return found, statistics.median(times), True


def library_turn(bench: Bench, task: Task, engine: str, run: Run, part: int) -> Turn:
    """Run a library's Score-CAM, which goes through the network anew for each class: as much of it as there is time."""
    single = replace(task, classes=1)
    if part:
        network = bench.trainable if engine == "grad-cam" else bench.network
        reckoned = Part(network, part, bench.units).seconds(lambda: run(single))
        return None, None if reckoned is None else reckoned * task.classes, False
    found, elapsed, _ = whole_turn(bench, single, engine, run, part)
    if task.classes == 1 or elapsed is None:
        return found, elapsed, True
    if elapsed < SLOW:
        return whole_turn(bench, task, engine, run, part)
    return found, elapsed * task.classes, False


def differences(bench: Bench, task: Task, maps: dict[str, Maps]) -> tuple[Maps, dict[str, float | None]]:
    """Return what maps are compared with, and differences that were found another way."""
    if "scorecam" not in task.methods:
        expected = bench.reference(replace(task, classes=min(task.classes, CHECKED_CLASSES)))
        return expected, {}
    if bench.name in FULL_SCORE_CAM:
        return bench.score_cam_reference(task), {}
    few = bench.explained(task, bench.explainers["camviewer"], strongest=CHECKED_UNITS)
    return maps["camviewer"], {"camviewer": difference(few, bench.score_cam_reference(task, strongest=CHECKED_UNITS))}


def pearson(found: Maps, expected: Maps) -> float:
    """Return the lowest correlation of the maps' values."""
    return min(float(np.corrcoef(found[key].ravel(), expected[key].ravel())[0, 1]) for key in expected)


def describe() -> dict[str, str]:
    """Return what the figures belong to."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def table(rows: list[Row]) -> str:
    """Return a Markdown table. f is a stock float32 pass of the task's images."""
    lines = [
        "| Network | Task | Engine | Time (ms) | in f | Memory (MB) | Off by | Pearson |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        off = "" if row.difference is None else f"{row.difference:.1e}"
        about = "~" if row.extrapolated else ""
        figures = f"{about}{row.seconds * 1e3:.1f} | {about}{row.passes:.2f} | {row.extra_mb:.0f}"
        figures = figures if row.seconds else " | | "
        agreement = "" if row.pearson is None else f"{row.pearson:.5f}"
        lines.append(f"| {row.network} | {row.task} | {row.engine} | {figures} | {off} | {agreement} |")
    return "\n".join(lines)


def goals(rows: list[Row]) -> str:
    """Return how many times faster than the better library each task is, as a Markdown table."""
    lines = ["| Network | Task | camviewer | fast | better library |", "|---|---|---:|---:|---|"]
    for network, task in dict.fromkeys((row.network, row.task) for row in rows):
        here = {r.engine: r for r in rows if (r.network, r.task) == (network, task) and r.seconds}
        library = min((here[e] for e in ("torchcam", "grad-cam") if e in here), key=lambda r: r.seconds, default=None)
        if library is None or "camviewer" not in here:
            continue
        fast = f"{library.seconds / here['camviewer fast'].seconds:.1f} x" if "camviewer fast" in here else ""
        ratio = f"{library.seconds / here['camviewer'].seconds:.1f} x"
        lines.append(f"| {network} | {task} | {ratio} | {fast} | {library.engine}, {library.passes:.1f} f |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--tasks", nargs="+", default=[t.name for t in TASKS], help="names or their beginnings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=int, default=0, help="masked inputs of a library's Score-CAM; 0 for all")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves its choice")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a network and task")
    parser.add_argument("--minutes", type=float, default=0, help="start no further task after so long; 0 for no limit")
    parser.add_argument("--text", type=Path, help="write what is in --out as Markdown, and measure nothing")
    arguments = parser.parse_args()
    if arguments.text:
        arguments.text.write_text(report(arguments.out))
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [t for t in TASKS if any(t.name.startswith(wanted) for wanted in arguments.tasks)]
    started = time.monotonic()
    for name in arguments.networks:
        left = [task for task in tasks if not _file(arguments.out, name, task).exists()]
        if not left:
            continue
        bench = Bench(name, images=max(task.images for task in left))
        bench.warm_up()
        for task in left:
            if arguments.minutes and time.monotonic() - started > arguments.minutes * 60:
                print("Not everything is measured yet: run this again.")
                return
            rows = measure(bench, task, rounds=arguments.rounds, part=arguments.part)
            found = {"machine": describe(), "rows": [asdict(row) for row in rows]}
            _file(arguments.out, name, task).write_text(json.dumps(found, indent=1))
            print(table(rows), flush=True)
    print("Everything is measured.")


def _file(folder: Path, network: str, task: Task) -> Path:
    return folder / f"{network}-{TASKS.index(task)}.json"


def report(folder: Path) -> str:
    """Return the figures in a folder as a Markdown page."""
    order = {f"{name}-{number}": (place, number) for place, name in enumerate(LAYERS) for number in range(len(TASKS))}
    files = sorted((path for path in folder.glob("*.json") if path.stem in order), key=lambda path: order[path.stem])
    found = [json.loads(path.read_text()) for path in files]
    rows = [Row(**row) for one in found for row in one["rows"]]
    machine = "\n".join(f"* {key}: {value}" for key, value in (found[-1]["machine"] if found else {}).items())
    parts = [
        "# The CAM engine in figures",
        machine,
        NOTES.rstrip(),
        "## Against the libraries",
        goals(rows),
        "## Every figure",
        table(rows),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
