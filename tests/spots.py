"""A data set drawn in a moment: a red or a green spot somewhere on grey noise, with its true mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from camviewer.training.settings import PLAIN, TrainSettings

SIZE = (40, 32)
"""(width, height)"""

TINY = TrainSettings(
    options={"width": 4, "features": 8},
    epochs=4,
    batch_size=8,
    learning_rate=2e-2,
    input_size=(40, 32),
    augmentation=PLAIN,
    save_every=1,
)


def draw(label: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture and its mask."""
    rng = np.random.default_rng(100 * label + number)
    pixels = rng.integers(90, 130, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    y, x = rng.integers(0, SIZE[1] - 12), rng.integers(0, SIZE[0] - 12)
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[y : y + 12, x : x + 12] = True
    pixels[mask, 1 - label] = 250
    return pixels, mask


def write(root: Path, *, each: int = 16) -> tuple[Path, Path]:
    """Write ``pictures/green``, ``pictures/red`` and ``masks`` below `root`; return both folders."""
    pictures, masks = root / "pictures", root / "masks"
    masks.mkdir(parents=True)
    for label, name in enumerate(("green", "red")):
        (pictures / name).mkdir(parents=True)
        for number in range(each):
            pixels, mask = draw(label, number)
            Image.fromarray(pixels).save(pictures / name / f"{name}_{number:02d}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(masks / f"{name}_{number:02d}_segmentation.png")
    return pictures, masks
