"""Write resources/app/camviewer.ico (Windows) and camviewer.icns (macOS) from the PNG files beside them."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

MARKS = Path(__file__).resolve().parents[1] / "resources" / "app"
WINDOWS = (16, 24, 32, 48, 64, 128, 256)
MAC = (32, 64, 128, 256, 512)


def main() -> int:
    """Write both files."""
    for name, sizes in (("camviewer.ico", WINDOWS), ("camviewer.icns", MAC)):
        *smaller, largest = (Image.open(MARKS / f"camviewer-{size}.png") for size in sizes)
        options = {"sizes": [(size, size) for size in sizes]} if name.endswith(".ico") else {}
        largest.save(MARKS / name, append_images=smaller, **options)
        print(f"resources/app/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
