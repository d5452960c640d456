"""Measure the window: first paint, event-loop gaps, scrolling, thumbnails, large images. A table, no assertions.

    python benchmarks/gui.py                       # all, on a virtual display
    python benchmarks/gui.py start scroll --json gui.json

Every figure that depends on the machine's load stands beside a floor measured in the same run: a bare main window for
the start, an empty scene for painting, an idle event loop for the gaps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

GALLERY_IMAGES = 10_000
THUMBNAIL_IMAGES = 10_000
BARE = (
    "import sys; from PySide6.QtWidgets import QApplication, QMainWindow\n"
    "from PySide6.QtCore import QTimer\n"
    "app = QApplication([]); window = QMainWindow(); window.show()\n"
    "QTimer.singleShot(0, lambda: (print('painted first', file=sys.stderr, flush=True), app.quit()))\n"
    "app.exec()\n"
)
Row = tuple[str, str, str]


def main() -> int:
    """Run the chosen parts and print their rows."""
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "start": start, "folder": folder, "gaps": gaps, "scroll": scroll, "thumbnails": thumbnails, "large": large,
        "brush": brush, "memory": memory,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="what to measure; all when none is named")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} before")
    rows = []
    with private_home():
        for name in given.parts or parts:
            for row in parts[name]():
                rows.append(row)
                print(f"{row[0]:<58} {row[1]:>24}   {row[2]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"load": load, "rows": rows}, indent=2), encoding="utf-8")
    return 0


@contextmanager
def private_home() -> Iterator[Path]:
    """Keep settings, caches and projects of the measurement away from the user's own."""
    with tempfile.TemporaryDirectory(prefix="camviewer-bench-", ignore_cleanup_errors=True) as folder:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            os.environ[name] = folder
        yield Path(folder)


# --- start ------------------------------------------------------------------------------------------------------------


def start(rounds: int = 7) -> Iterator[Row]:
    """Time from process start to the first paint, ours and a bare window's by turns."""
    ours, floor = [], []
    ours_command = [sys.executable, str(ROOT / "main.py"), "--safe-mode", "--verbose"]
    for _ in range(rounds + 1):  # the first of each only fills the caches
        floor.append(_until_painted([sys.executable, "-c", BARE]))
        ours.append(_until_painted(ours_command))
    yield "Time to first paint, median of 7 starts", f"{statistics.median(ours[1:]):.2f} s", "goal 1 s"
    yield "  a bare QMainWindow in the same run", f"{statistics.median(floor[1:]):.2f} s", ""


def _until_painted(command: list[str]) -> float:
    # As an installed program: with its byte code on the disk.
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(os.environ["HOME"]) / "byte-code")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "painted first" in line:
            seconds = time.perf_counter() - begin
            process.kill()
            process.wait()
            return seconds
    raise RuntimeError(f"{command} painted nothing: {''.join(said)}")


# --- the event loop ---------------------------------------------------------------------------------------------------


def gaps() -> Iterator[Row]:
    """Longest time between two ticks of the event loop while Score-CAM computes, beside an idle loop."""
    from PySide6.QtCore import QTimer

    from camviewer.ui.panels.method import MethodChoice

    app, window = _window()
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(2)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    window.bench.jobs.start()
    _wait(app, lambda: not window.bench.engine.open_jobs())
    timer.start()
    _spin(app, 2.0)
    idle = _longest(ticks)
    window.opening.open_demo()
    _wait(
        app,
        lambda: (
            window.bench.computing.summary is not None
            and window.bench.computing.shown_map
            and not window.bench.engine.open_jobs()
        ),
    )
    ticks.clear()
    begin = time.perf_counter()
    window.bench.computing.set_choice(MethodChoice("scorecam"))
    _wait(app, lambda: bool(window.bench.engine.open_jobs()))
    for _ in range(3):
        _wait(app, lambda: not window.bench.engine.open_jobs())
        window.bench.computing.recompute()
        _wait(app, lambda: not window.bench.engine.open_jobs())
    timer.stop()
    yield "Longest event-loop gap, Score-CAM running", f"{_longest(ticks) * 1000:.0f} ms", "goal 50 ms"
    yield "  99th percentile", f"{_percentile(_steps(ticks), 99) * 1000:.0f} ms", f"{len(ticks):,} ticks"
    yield "  longest, idle loop", f"{idle * 1000:.0f} ms", f"{time.perf_counter() - begin:.1f} s of Score-CAM"
    window.close()


def folder() -> Iterator[Row]:
    """Time until a folder of 10,000 image files, opened for the first time, can be worked on."""
    from PIL import Image
    from PySide6.QtCore import QTimer

    app, window = _window()
    place = Path(os.environ["HOME"]) / "folder"
    place.mkdir()
    for number in range(20):
        Image.effect_noise((600, 450), 60).convert("RGB").save(place / f"ISIC_{number:07}.jpg")
    for number in range(20, GALLERY_IMAGES):
        os.link(place / f"ISIC_{number % 20:07}.jpg", place / f"ISIC_{number:07}.jpg")
    _spin(app, 0.5)
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(2)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    session, model = window.bench.session, window.bench.gallery.model
    begin = time.perf_counter()
    session.open_folder(place)
    _wait(app, lambda: session.current is not None and session.current.pixels is not None and model.total() > 0)
    usable = time.perf_counter() - begin
    _wait(app, lambda: model.total() == GALLERY_IMAGES)
    listed = time.perf_counter() - begin
    timer.stop()
    yield f"Folder of {GALLERY_IMAGES:,} images, first image and gallery usable", f"{usable * 1000:.0f} ms", "goal 1 s"
    yield "  all images listed and stored in the project", f"{listed:.1f} s", ""
    yield "  longest event-loop gap meanwhile", f"{_longest(ticks) * 1000:.0f} ms", ""
    window.close()


# --- gallery ----------------------------------------------------------------------------------------------------------


def scroll() -> Iterator[Row]:
    """Frame times of a gallery of 10,000 images under a running scroll."""
    from PIL import Image

    from camviewer.ui.gallery.items import GalleryItem
    from camviewer.ui.gallery.view import Gallery

    app = _app()
    place = Path(os.environ["HOME"]) / "gallery"
    place.mkdir()
    for number in range(60):
        Image.effect_noise((160, 120), 60).convert("RGB").save(place / f"{number}.jpg")
    items = [
        GalleryItem(n, place / f"{n % 60}.jpg", f"ISIC_{n:07}.jpg", f"{n:07}", "computed", "Melanoma", "#FF6F3C", 0.71)
        for n in range(1, GALLERY_IMAGES + 1)
    ]
    gallery = Gallery()
    gallery.resize(1270, 168)
    gallery.show()
    begin = time.perf_counter()
    gallery.model.set_items(items)
    app.processEvents()
    filled = time.perf_counter() - begin
    bar = gallery.strip.horizontalScrollBar()
    _spin(app, 1.0)
    frames = []
    for number in range(300):
        bar.setValue(round((number + 1) / 300 * bar.maximum()))
        begin = time.perf_counter()
        gallery.strip.viewport().repaint()
        frames.append(time.perf_counter() - begin)
        app.processEvents()
    bare = _bare_view(1270, 168)
    empty = []
    for _ in range(100):
        begin = time.perf_counter()
        bare.viewport().repaint()
        empty.append(time.perf_counter() - begin)
    yield f"Gallery of {GALLERY_IMAGES:,} filled", f"{filled * 1000:.0f} ms", "goal 1 s"
    yield "Scroll frame, 95th percentile of 300", f"{_percentile(frames, 95) * 1000:.1f} ms", "goal 16 ms"
    ratio = statistics.median(frames) / statistics.median(empty)
    yield "  median", f"{statistics.median(frames) * 1000:.1f} ms", f"{ratio:.0f} x an empty scene in the same run"
    gallery.pictures.close()
    gallery.deleteLater()


def thumbnails() -> Iterator[Row]:
    """Thumbnails a second from 1-megapixel JPEGs, and the loop's longest gap meanwhile.

    A gallery that shows them asks for ever further ones, a hundred ahead, as a long scroll would.
    """
    import numpy as np
    from PIL import Image
    from PySide6.QtCore import QTimer

    from camviewer.ui.gallery.items import GalleryItem
    from camviewer.ui.gallery.view import Gallery

    app = _app()
    place = Path(os.environ["HOME"]) / "thumbnails"
    place.mkdir()
    smooth = np.random.default_rng(0).integers(0, 255, (15, 20, 3), np.uint8)
    picture = Image.fromarray(smooth).resize((1152, 868), Image.Resampling.BICUBIC)
    picture.save(place / "0.jpg", quality=92)
    paths = [place / f"{number}.jpg" for number in range(THUMBNAIL_IMAGES)]
    for path in paths[1:]:
        os.link(paths[0], path)
    gallery = Gallery()
    gallery.resize(1270, 168)
    gallery.show()
    gallery.model.set_items([GalleryItem(n, path, path.name, path.stem, "new") for n, path in enumerate(paths, 1)])
    _spin(app, 1.0)
    bar, arrived, ticks = gallery.strip.horizontalScrollBar(), set(), []

    def take(path: Path) -> None:
        arrived.add(path)
        if len(arrived) % 100 == 0:
            follow()

    def follow() -> None:
        first = len(arrived)
        bar.setValue(round(first / THUMBNAIL_IMAGES * bar.maximum()))
        gallery.pictures.request(paths[first : first + 200], density=1.0)

    gallery.pictures.picture_changed.connect(take)
    timer = QTimer()
    timer.setInterval(2)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    begin = time.perf_counter()
    follow()
    goal = THUMBNAIL_IMAGES - 200
    _wait(app, lambda: len(arrived) >= goal)
    seconds = time.perf_counter() - begin
    yield f"Thumbnails a second, {goal:,} 1-megapixel JPEGs", f"{goal / seconds:.0f}", "goal 100"
    yield "  longest event-loop gap meanwhile", f"{_longest(ticks) * 1000:.0f} ms", "goal 50 ms"
    gallery.pictures.close()
    gallery.deleteLater()


# --- canvas -----------------------------------------------------------------------------------------------------------


def large() -> Iterator[Row]:
    """Full repaint of a 50-megapixel image with its map, and one step of opacity and threshold on it."""
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtWidgets import QGraphicsView

    from camviewer.regions.rules import RegionRule
    from camviewer.ui.canvas.panel import CanvasPanel

    app = _app()
    empty = _bare_view(1440, 860)
    panel = CanvasPanel()
    panel.resize(1440, 860)
    panel.show()
    pixels, found = _large_image()
    panel.set_image(pixels, "large")
    panel.set_map(found, class_name="Melanoma", score=0.7)
    panel.set_mode("blend")
    panel.fit()
    _spin(app, 3.0)

    def paint(view: QGraphicsView) -> float:
        image = QImage(view.viewport().size(), QImage.Format.Format_ARGB32_Premultiplied)
        begin = time.perf_counter()
        painter = QPainter(image)
        view.render(painter)
        painter.end()
        return time.perf_counter() - begin

    full = [paint(panel.view) for _ in range(15)]
    bare = [paint(empty) for _ in range(15)]
    steps = []
    for number in range(40):
        begin = time.perf_counter()
        panel.set_rule(RegionRule(threshold=0.2 + number / 100))
        app.processEvents()  # paints what has changed, once
        steps.append(time.perf_counter() - begin)
        _spin(app, 0.02)
    yield "Repaint, 50 megapixels with map, median", f"{statistics.median(full) * 1000:.1f} ms", "goal 20 ms"
    ratio = statistics.median(full) / statistics.median(bare)
    yield "  an empty scene in the same run", f"{statistics.median(bare) * 1000:.3f} ms", f"ratio {ratio:.0f}"
    yield "Threshold step on it, median", f"{statistics.median(steps) * 1000:.1f} ms", "goal 16 ms"
    yield "  95th percentile", f"{_percentile(steps, 95) * 1000:.1f} ms", ""
    panel.set_image(None)
    panel.deleteLater()


def brush() -> Iterator[Row]:
    """What the window does between the release of a brush and the next tick, on a mask that covers 50 megapixels."""
    import cv2
    import numpy as np
    from PySide6.QtCore import QPointF, Qt, QTimer
    from PySide6.QtTest import QTest

    from camviewer.ui.canvas.records import ToolOptions

    app, window = _window()
    session, canvas = window.bench.session, window.bench.canvas
    place = Path(os.environ["HOME"]) / "brush"
    place.mkdir()
    coarse = np.random.default_rng(0).integers(90, 200, (578, 866, 3), np.uint8)
    cv2.imwrite(str(place / "large.jpg"), cv2.resize(coarse, (8660, 5774)))
    session.open_folder(place)
    _wait(app, lambda: session.current is not None and session.current.pixels is not None)
    session.set_model_classes(("Melanoma", "Nevus"))
    mask = np.zeros((5774, 8660), np.uint8)
    cv2.ellipse(mask, (4330, 2887), (4200, 2800), 0, 0, 360, 1, -1)
    session.set_mask(mask.astype(bool), 1, "Mask")
    _spin(app, 2.0)
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    view = canvas.view
    port = view.viewport()

    def stroke(size: int, way: list[tuple[float, float]], *, erase: bool) -> float:
        canvas.set_tool("eraser" if erase else "brush")
        canvas.set_tool_options(ToolOptions(size=size))
        points = [view.to_screen(QPointF(*step)).toPoint() for step in way]
        QTest.mousePress(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, points[0])
        for start, end in itertools.pairwise(points):
            for part in range(1, 9):
                QTest.mouseMove(port, start + (end - start) * (part / 8))
                _spin(app, 0.005)
        ticks[:] = [time.perf_counter()]
        QTest.mouseRelease(port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, points[-1])
        _spin(app, 0.25)
        return _longest(ticks)

    view.fit()
    # Along the outline, so that each changes the mask; the first ones fill caches and arrays.
    ways = [[(700 + 60 * n, 1200 + 40 * n), (1500 + 60 * n, 900), (2100, 700 + 30 * n)] for n in range(12)]
    blocks = [stroke(100 + 30 * (n % 4), way, erase=n % 2 == 0) for n, way in enumerate(ways)][2:]
    across = [stroke(200, [(300, 300 + 200 * n), (8300, 5400)], erase=n % 2 == 0) for n in range(4)]
    undone = []
    for turn in (session.undo.undo, session.undo.redo) * 4:
        ticks[:] = [time.perf_counter()]
        turn()
        _spin(app, 0.2)
        undone.append(_longest(ticks))
    yield "Longest block after a brush release, 50 megapixels, median", f"{statistics.median(blocks) * 1000:.0f} ms", ""
    yield "  longest of 10", f"{max(blocks) * 1000:.0f} ms", "goal 50 ms"
    yield "  strokes across the whole image, longest of 4", f"{max(across) * 1000:.0f} ms", ""
    yield "  undo and redo of such a stroke, longest of 8", f"{max(undone) * 1000:.0f} ms", ""
    window.close()


def _large_image():
    import numpy as np

    from camviewer.images.geometry import CellPositions, Geometry, plan_input
    from camviewer.project.records import ActivationMap

    width, height = 8660, 5774
    tile = np.random.default_rng(0).integers(90, 200, (577, 866, 3), np.uint8)
    pixels = np.ascontiguousarray(np.tile(tile, (11, 11, 1))[:height, :width])
    y, x = np.mgrid[0:7, 0:7]
    values = (9 * np.exp(-((x - 3) ** 2 + (y - 2.5) ** 2) / 4) - 1.4).astype(np.float32)
    plan = plan_input((width, height), mode="squash", input_size=(224, 224))
    geometry = Geometry(
        (width, height), (224, 224), (7, 7), plan.input_to_image, CellPositions((0.0, 0.0), (32.0, 32.0))
    )
    return pixels, ActivationMap(0, "cam", "layer4", values, geometry)


def memory(shown: int = 2000) -> Iterator[Row]:
    """Growth of the process while images are shown one after the other."""
    import numpy as np
    from PIL import Image

    app, window = _window()
    place = Path(os.environ["HOME"]) / "shown"
    place.mkdir()
    for number in range(20):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (800, 1200, 3), np.uint8)).save(
            place / f"{number}.jpg"
        )
    window.bench.session.open_folder(place)
    _wait(app, lambda: window.bench.session.current is not None and window.bench.session.current.pixels is not None)
    ids = [record.id for record in window.bench.session.records()]
    resident = []
    for number in range(shown):
        window.bench.session.show_image(ids[number % len(ids)])
        _wait(app, lambda: window.bench.session.current.pixels is not None)
        resident.append(_resident())
    half = shown // 2
    yield (
        f"Memory, growth over the last {half} of {shown} images",
        f"{resident[-1] - resident[half]:.1f} MB",
        "goal 50 MB",
    )
    window.close()


# --- tools ------------------------------------------------------------------------------------------------------------


def _app():
    from PySide6.QtWidgets import QApplication

    from camviewer.ui.theme import theme

    app = QApplication.instance() or QApplication([])
    theme()
    return app


def _window():
    from camviewer.ui.main_window import MainWindow
    from camviewer.ui.settings import SettingsStore

    app = _app()
    window = MainWindow(SettingsStore(None))
    window.resize(1600, 1000)
    window.show()
    return app, window


def _bare_view(width: int, height: int):
    from PySide6.QtWidgets import QGraphicsScene, QGraphicsView

    empty = QGraphicsView(QGraphicsScene())
    empty.resize(width, height)
    empty.show()
    return empty


def _wait(app, condition: Callable[[], bool], seconds: float = 240.0) -> None:
    from PySide6.QtCore import QEventLoop, QTimer

    beat = QTimer()  # wakes the loop, so that the condition is looked at
    beat.start(20)
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError
        app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def _spin(app, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        app.processEvents()
        time.sleep(0.001)


def _steps(ticks: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(ticks)]


def _longest(ticks: list[float]) -> float:
    return max(_steps(ticks), default=float("nan"))


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


def _resident() -> float:
    """Return the process's resident memory in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    sys.exit(main())
