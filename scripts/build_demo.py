"""Draw the demo's images and train its network: everything under resources/demo, from seeds.

python scripts/build_demo.py                 # all, about ten minutes on two idle cores
python scripts/build_demo.py --images-only   # a minute
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo.sets import NAMES, demo_pictures, training_set

OUT = Path(__file__).resolve().parents[1] / "resources" / "demo"
SIDE = 224
# Training sees crops, enlarged to its own size; a smaller size brings lesions back to the scale at which the network
# will be used (Touvron et al., Fixing the train-test resolution discrepancy, arXiv 1906.06423) and costs less.
TRAINING_SIDE = 176
TRAINING_SEED = 11
EPOCHS = 12
COUNT = 3900


def write_images(out: Path) -> None:
    """Write images, masks and ``labels.csv``."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "masks").mkdir(parents=True, exist_ok=True)
    rows = []
    for stem, picture in demo_pictures():
        Image.fromarray(picture.pixels).save(out / "images" / f"{stem}.jpg", quality=91, optimize=True)
        mask = Image.fromarray(picture.mask.astype(np.uint8) * 255)
        mask.save(out / "masks" / f"{stem}_segmentation.png", optimize=True)
        row = {
            "image": f"{stem}.jpg",
            "label": picture.name,
            "skin_tone": f"{picture.tone:.2f}",
            "artefacts": " ".join(picture.extras),
        }
        rows.append(row)
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def drawn_pictures(count: int, keep: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `count` training pictures ``[count, SIDE, SIDE, 3]`` with their labels, from `keep` if they are there."""
    if keep is not None and keep.is_file():
        with np.load(keep) as held:
            return held["x"][:count], held["y"][:count].astype(np.int64)
    started = time.perf_counter()
    pixels, labels = training_set(TRAINING_SEED, count, side=SIDE)
    print(f"{count} pictures drawn in {time.perf_counter() - started:.0f} s", flush=True)
    if keep is not None:
        np.savez(keep, x=pixels, y=labels)
    return pixels, labels


def train_network(out: Path, *, count: int, epochs: int, threads: int, keep: Path | None = None) -> None:
    """Train camnet on `count` fresh pictures and write ``model.safetensors``."""
    pixels, labels = drawn_pictures(count, keep)
    size = (TRAINING_SIDE, TRAINING_SIDE)
    pixels = np.stack([np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BILINEAR)) for p in pixels])
    started = time.perf_counter()
    # Not before the drawing, whose processes would import it as well.
    import torch

    from camviewer.models.camnet import camnet
    from camviewer.models.checkpoint import ModelInfo, save_checkpoint
    from camviewer.training.loop import LabelledPixels, fit
    from camviewer.training.settings import Augmentation, TrainSettings

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    options = {"width": 24, "blocks": 1, "features": 128, "stride": 8, "kernel": 1}
    network = camnet(len(NAMES), head="gap", **options)
    settings = TrainSettings(
        options=options,
        epochs=epochs,
        batch_size=32,
        learning_rate=3e-3,
        weight_decay=1e-2,
        class_weights="none",
        input_size=size,
        augmentation=Augmentation(crop=0.7, colour=0.08, brightness=0.10, hide=0.4, hide_side=0.2),
    )
    fit(
        network,
        LabelledPixels(pixels, labels),
        settings,
        classes=len(NAMES),
        on_epoch=lambda report, _: print(
            f"epoch {report.epoch}: loss {report.loss:.3f}, accuracy {report.accuracy:.3f}, {report.seconds:.0f} s",
            flush=True,
        ),
    )
    info = ModelInfo(
        arch="camnet",
        head="gap",
        classes=NAMES,
        mean=settings.mean,
        std=settings.std,
        input_size=(SIDE, SIDE),
        interpolation="bilinear",
        activation="softmax",
        channels=3,
        options=options,
    )
    extra = {"note": "Trained on synthetic pictures by scripts/build_demo.py. Not for diagnosis.", "licence": "MIT"}
    save_checkpoint(out / "model.safetensors", network, info=info, extra=extra)
    print(f"trained in {time.perf_counter() - started:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--images-only", action="store_true")
    parser.add_argument("--model-only", action="store_true")
    parser.add_argument("--count", type=int, default=COUNT, help="training pictures")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--threads", type=int, default=1, help="part of the recipe: another number rounds otherwise")
    parser.add_argument("--drawn", type=Path, help="file that keeps the drawn training pictures for the next time")
    args = parser.parse_args()
    if not args.model_only:
        write_images(args.out)
    if not args.images_only:
        train_network(args.out, count=args.count, epochs=args.epochs, threads=args.threads, keep=args.drawn)


if __name__ == "__main__":
    main()
