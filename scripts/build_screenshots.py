"""Take every picture of the window that README and docs/ show, from the demo, by driving it as a person would.

    python scripts/build_screenshots.py                       # all, light and dark: some minutes
    python scripts/build_screenshots.py --theme dark --scale 1
    python scripts/build_screenshots.py --part develop        # only the pictures of one part of the tour

At scale 1 the pages of the tour are taken, at scale 2 the one of the README.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from drive import Condition, pixels_shown, run  # noqa: E402
from PySide6.QtCore import QPoint, Qt, QTimer  # noqa: E402
from PySide6.QtGui import QImage  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication, QWidget  # noqa: E402

from camviewer.ui.dialogs.export import ExportDialog  # noqa: E402
from camviewer.ui.main_window import MainWindow  # noqa: E402
from camviewer.workers.training import ComparisonRequest  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DEMO = ROOT / "resources" / "demo"
SIZE = (1440, 900)
THEMES, SCALES = ("dark", "light"), (1, 2)
PARTS = ("review", "annotate", "develop", "checkpoints", "teach")
SHOWN = "melanoma_06"
QUALITY = 90
# What a person could ask that the demo's network does not know; the images that say so.
NEW_CLASSES = {
    "vascular": ("angioma_01", "angioma_02", "angioma_03"),
    "rough": ("keratosis_01", "keratosis_02", "keratosis_03"),
    "irregular": ("melanoma_01", "melanoma_02", "melanoma_03"),
}


class Tour:
    """Goes through the window once, in one theme and at one scale, through these parts."""

    def __init__(self, theme: str, scale: int, parts: Sequence[str] = PARTS) -> None:
        self._theme, self._scale, self._parts = theme, scale, parts
        self._steps = 0
        self._maps = 0

    def script(self, window: MainWindow) -> Generator[Condition]:
        """Open the demo and take the pictures of all three people."""
        bench = window.bench
        window.resize(*SIZE)
        bench.computing.map_shown.connect(self._on_map)
        yield self._after(20)
        if self._scale == 1 and "review" in self._parts:
            self._take(window, "welcome")
        window.opening.open_demo()
        settled = self._settled(window)
        yield lambda: self._maps and settled()
        self._show(window, SHOWN)
        # The regions come after the map.
        yield lambda: self._maps and window.bench.session.current.record.status == "computed" and settled()
        bench.actions["view_blend"].trigger()
        yield settled
        if self._scale > 1:
            self._take(window, "main")
            return
        if "review" in self._parts:
            self._take(window, "review")
        bench.actions["compute_all"].trigger()
        yield lambda: bench.gallery.model.counts().get("computed", 0) > 20 and settled()
        for part in self._parts:
            yield from getattr(self, f"_{part}")(window, settled)
            # What comes after was reviewed before.
            bench.session.decide([record.id for record in bench.session.records()[8:]], "reviewed")

    def _review(self, window: MainWindow, settled: Condition) -> Generator[Condition]:
        """Find what the network gets wrong, and see what it looked at there."""
        gallery = window.bench.gallery
        self._maps = 0
        gallery.show_filter("wrong")
        window.bench.session.show_image(gallery.model.item_at(0).id)
        yield lambda: self._maps and settled()
        self._take(window, "wrong")
        gallery.show_filter("all")

    def _annotate(self, window: MainWindow, settled: Condition) -> Generator[Condition]:
        """From outlines over a stroke of the brush to a training set."""
        bench = window.bench
        self._show(window, SHOWN)
        bench.actions["view_original"].trigger()
        yield lambda: self._maps and settled()
        self._take(window, "masks")
        bench.actions["tool_brush"].trigger()
        yield settled
        self._stroke(bench.canvas.view.viewport())
        yield settled
        self._take(window, "paint")
        bench.actions["tool_select"].trigger()
        bench.session.decide([record.id for record in bench.session.records()[8:]], "reviewed")
        QTimer.singleShot(0, window, bench.actions["export"].trigger)
        yield lambda: isinstance(QApplication.activeModalWidget(), ExportDialog)
        dialog = QApplication.activeModalWidget()
        dialog._folder.setText("/tmp/training set")
        yield self._after(100)
        self._take(dialog, "export")
        dialog.close()
        yield settled

    def _develop(self, window: MainWindow, settled: Condition) -> Generator[Condition]:
        """Layers, and methods side by side."""
        bench = window.bench
        bench.actions["workspace_model"].trigger()
        bench.actions["view_blend"].trigger()
        yield settled
        self._take(window, "model")
        bench.actions["workspace_review"].trigger()
        bench.actions["compare"].trigger()
        grid = window.comparing.page.grid
        yield lambda: grid.rows() and grid.missing() == ((), ()) and settled()
        self._take(window, "compare")
        window.comparing.page.kind._buttons["layers"].click()
        yield lambda: grid.missing() == ((), ()) and settled()
        self._take(window, "layers")
        bench.actions["compare"].trigger()
        yield settled

    def _checkpoints(self, window: MainWindow, settled: Condition) -> Generator[Condition]:
        """Checkpoints side by side, with their controls."""
        page = window.checkpoints.page
        window.checkpoints.compare(
            ComparisonRequest(
                (DEMO / "model.safetensors",), DEMO / "images", truth=DEMO / "masks", costly=8, mosaics=20
            )
        )
        yield lambda: page.comparison is not None and settled()
        page.show_path(DEMO / "images" / f"{SHOWN}.jpg")
        yield settled
        self._take(window, "checkpoints")
        page.left.emit()
        yield settled

    def _teach(self, window: MainWindow, settled: Condition) -> Generator[Condition]:
        teaching, bench = window.teaching, window.bench
        bench.actions["new_classes"].trigger()
        yield settled
        for name, images in NEW_CLASSES.items():
            for image in images:
                self._show(window, image)
                yield settled
                teaching.panel.class_added.emit(name)
                yield settled
        names = bench.computing.summary.identity.classes if bench.computing.summary is not None else ()
        assert {*NEW_CLASSES} <= {*names}, f"the new classes were not learnt: {names}"
        self._show(window, "melanoma_07")
        yield lambda: self._maps and settled()
        yield self._after(40)
        self._take(window, "new-classes")

    def _stroke(self, canvas: QWidget) -> None:
        """Paint along the lower edge of the mask."""
        centre = canvas.rect().center()
        points = [centre + QPoint(x, 137 - (x + 15) * (x + 15) // 300) for x in range(-85, 75, 5)]
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=points[0])
        for point in points:
            QTest.mouseMove(canvas, point)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=points[-1])

    def _on_map(self, found: object, *_: object) -> None:
        self._maps += found is not None

    def _show(self, window: MainWindow, name: str) -> None:
        session = window.bench.session
        self._maps = 0
        session.show_image(next(record.id for record in session.records() if record.path.stem == name))

    def _after(self, turns: int) -> Condition:
        waited = iter(range(turns))
        return lambda: next(waited, None) is None

    def _settled(self, window: MainWindow) -> Condition:
        """Return whether all is computed and painted: asked every 20 ms, true at times when nothing runs."""

        def settled() -> bool:
            self._steps += 1
            return pixels_shown(window) and not window.bench.engine.open_jobs() and self._steps % 30 == 0

        return settled

    def _take(self, window: QWidget, name: str) -> None:
        """Write the window's picture: small, and with the colours of the maps as they are, which a palette has not."""
        from PIL import Image

        path = IMAGES / f"{name}-{self._theme}.jpg"
        image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        rows = bytes(image.constBits())[: image.sizeInBytes()]
        picture = Image.frombytes("RGB", (image.width(), image.height()), rows, "raw", "RGB", image.bytesPerLine())
        picture.save(path, quality=QUALITY, subsampling=0, optimize=True)
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} kB", flush=True)


def take(theme: str, scale: int, parts: Sequence[str] = PARTS) -> int:
    """Write the pictures of a theme; nothing of this user's settings is read or kept."""
    os.environ["QT_SCALE_FACTOR"] = str(scale)
    with tempfile.TemporaryDirectory(prefix="camviewer-pictures-", ignore_cleanup_errors=True) as folder:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            os.environ[name] = folder
        app = QApplication(["camviewer"])  # the driver's timer needs it before the program makes its own
        arguments = ["--safe-mode", "--theme", theme, "--size", "{}x{}".format(*SIZE)]
        status = run(arguments, Tour(theme, scale, parts).script)
    del app
    return status


def main() -> int:
    """Take the pictures of one theme and scale, or of each: a process a scale, which is fixed when Qt starts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", choices=THEMES)
    parser.add_argument("--scale", type=int, choices=SCALES)
    parser.add_argument("--part", choices=PARTS)
    args = parser.parse_args()
    parts = (args.part,) if args.part else PARTS
    if args.theme and args.scale:
        return take(args.theme, args.scale, parts)
    status = 0
    for theme in [args.theme] if args.theme else THEMES:
        for scale in [args.scale] if args.scale else SCALES:
            command = [sys.executable, __file__, "--theme", theme, "--scale", str(scale)]
            command += ["--part", args.part] if args.part else []
            status |= subprocess.run(command, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
