"""Train two small networks on drawn pictures and write the pictures of docs/training.md from their comparison.

    python scripts/build_training_pictures.py            # a few minutes

One has a GAP head, the other a GMP head; all else is the same. They are compared after 1, 4 and 12 epochs on the demo's
images, which neither has seen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from demo.sets import NAMES, training_set  # noqa: E402

DEMO = ROOT / "resources" / "demo"
OUT = ROOT / "docs" / "images"
SIDE, SEED, EPOCHS, SHOWN = 112, 23, 12, (1, 4, 12)


def draw(folder: Path, count: int) -> None:
    """Write `count` pictures, one folder a class."""
    pixels, labels = training_set(SEED, count, side=SIDE)
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / NAMES[int(label)] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(picture, np.uint8)).save(path)


def main() -> int:
    """Draw, train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=900)
    args = parser.parse_args()

    from camviewer.pipeline.compare import compare
    from camviewer.pipeline.compare_report import curves, sheet
    from camviewer.pipeline.comparison import ComparisonRequest
    from camviewer.training.datasets import read_dataset
    from camviewer.training.run import train
    from camviewer.training.settings import TrainSettings

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        draw(root / "pictures", args.count)
        data = read_dataset(root / "pictures")
        settings = TrainSettings(
            options={"width": 16, "features": 64},
            epochs=EPOCHS,
            learning_rate=5e-3,
            input_size=(SIDE, SIDE),
            save_every=1,
        )
        for head in ("gap", "gmp"):
            result = train(data, replace(settings, head=head), root / head, device="cpu")
            print(head, [f"{report.balanced_accuracy or 0:.2f}" for report in result.reports], flush=True)
        files = tuple(root / head / f"epoch_{epoch:03d}.safetensors" for head in ("gap", "gmp") for epoch in SHOWN)
        request = ComparisonRequest(
            files, DEMO / "labels.csv", DEMO / "masks", folder=DEMO / "images", limit=0, costly=0
        )
        shown = replace(request, limit=10, mosaics=0, controls=False)
        Image.fromarray(sheet(compare(shown), images=5)).save(OUT / "training-maps.png", optimize=True)
        every = replace(request, checkpoints=(root / "gap", root / "gmp"), mosaics=60)
        drawn = curves(compare(every), names=("balanced_accuracy", "pointing", "iou20", "grid_pointing"))
        (OUT / "training-curves.svg").write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
