"""Draw the three pictures of the welcome page from the demo, with the program's own engine.

    python scripts/build_pictures.py

An image of the demo, its class activation map as the canvas blends it, and its true mask as the canvas outlines a
corrected one. Small files: they are shown 345 pixels wide.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from camviewer.cam.requests import MapRequest  # noqa: E402
from camviewer.images.colormaps import colourise  # noqa: E402
from camviewer.images.decode import read_image  # noqa: E402
from camviewer.models.records import LoadRequest  # noqa: E402
from camviewer.pipeline.computation import Computation  # noqa: E402

DEMO = ROOT / "resources" / "demo"
IMAGE = "melanoma_06"
SIZE = (690, 517)  # twice the shown width, for dense screens
OPACITY = 0.75
CLASS_COLOUR = (255, 111, 60)
CASING = (8, 8, 10)

Pixels = NDArray[np.uint8]


def main() -> int:
    """Write resources/demo/step-image.jpg, step-map.jpg and step-mask.jpg."""
    name = sys.argv[1] if len(sys.argv) > 1 else IMAGE
    source = read_image(DEMO / "images" / f"{name}.jpg")
    found = Computation(LoadRequest(weights=DEMO / "model.safetensors")).explain(source, MapRequest(methods=("cam",)))
    values = found.maps[0].geometry.upsample(found.maps[0].values)
    truth = read_image(next((DEMO / "masks").glob(f"{name}*")))[..., 0] > 127
    pixels = cv2.resize(source, SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8)
    values = cv2.resize(values, SIZE, interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(truth.astype(np.float32), SIZE, interpolation=cv2.INTER_LINEAR) > 0.5
    for step, picture in (("image", pixels), ("map", _blend(pixels, values)), ("mask", _outline(pixels, mask))):
        _write(DEMO / f"step-{step}.jpg", picture)
    return 0


def _blend(pixels: Pixels, values: NDArray[np.float32]) -> Pixels:
    """Lay the map over the image; opacity grows with the value, so that weak evidence leaves the skin untouched."""
    share = np.clip(values / values.max(), 0.0, 1.0)
    heat = colourise(np.maximum(values, 0), 0.0, float(values.max()), "viridis")
    alpha = (OPACITY * np.sqrt(share))[..., None]
    return np.asarray(pixels * (1 - alpha) + heat * alpha + 0.5, np.uint8)


def _outline(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """Dim what lies outside the mask and draw its outline on a dark casing."""
    dimmed = np.where(mask[..., None], pixels, (pixels * 0.38).astype(np.uint8))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    picture = np.ascontiguousarray(dimmed)
    cv2.drawContours(picture, contours, -1, CASING, 8, cv2.LINE_AA)
    cv2.drawContours(picture, contours, -1, CLASS_COLOUR, 4, cv2.LINE_AA)
    return picture.astype(np.uint8)


def _write(path: Path, pixels: Pixels) -> None:
    Image.fromarray(pixels).save(path, quality=88, optimize=True, subsampling=0)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
