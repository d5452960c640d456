"""Take the pictures of docs/tour.md from the demo, by driving the window as a person would.

python scripts/build_tour.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from drive import Condition, pixels_shown, run  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from camviewer.ui.main_window import MainWindow  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH = 1440


def take(window: MainWindow, name: str) -> None:
    """Write the window's picture, in a palette that keeps it small."""
    from PIL import Image

    path = IMAGES / f"tour-{name}.png"
    window.grab().save(str(path))
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} kB")


def script(window: MainWindow) -> Generator[Condition]:
    """Go through the tour."""
    bench = window.bench
    window.resize(WIDTH, 900)
    waited = iter(range(1000))
    yield lambda: next(waited) > 20
    take(window, "welcome")
    window.opening.open_demo()
    maps: list[object] = []
    bench.computing.map_shown.connect(lambda found, *_: maps.append(found))

    def settled() -> bool:
        return pixels_shown(window) and not bench.engine.open_jobs() and next(waited) % 30 == 0

    yield lambda: any(found is not None for found in maps) and settled()
    melanoma = next(record for record in bench.session.records() if "melanoma_06" in record.path.name)
    maps.clear()
    bench.session.show_image(melanoma.id)
    yield lambda: any(found is not None for found in maps) and settled()
    bench.actions["view_blend"].trigger()
    yield settled
    take(window, "review")
    bench.actions["compute_all"].trigger()
    yield lambda: bench.gallery.model.counts().get("computed", 0) > 20 and settled()
    bench.actions["view_original"].trigger()
    yield settled
    take(window, "masks")
    bench.actions["workspace_model"].trigger()
    bench.actions["view_blend"].trigger()
    yield settled
    take(window, "model")
    bench.actions["workspace_review"].trigger()
    bench.actions["compare"].trigger()
    yield settled
    yield lambda: settled() and next(waited) > 100
    take(window, "compare")


def main() -> int:
    """Write the pictures; nothing of this user's settings is read or kept."""
    with tempfile.TemporaryDirectory(prefix="camviewer-tour-", ignore_cleanup_errors=True) as folder:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            os.environ[name] = folder
        app = QApplication(["camviewer"])  # the driver's timer needs it before the program makes its own
        status = run(["--safe-mode", "--theme", "dark", "--size", f"{WIDTH}x900"], script)
    del app
    return status


if __name__ == "__main__":
    sys.exit(main())
