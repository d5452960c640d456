"""Sets of pictures: the demo's own, and fresh ones for training and for judging. Each picture has a seed of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.scene import CLASSES, SIZES, SKIN, Picture, draw

NAMES = (*CLASSES, SKIN)
"""Classes of the network, in the order of its logits."""

Size = tuple[int, int]

_DEMO_SEED = 77
# Chosen by eye among the first pictures of each class for variety of skin, size, place and artefacts; not by what a
# network says about them. The last of each class has the frame named beside it, the others 600 x 450.
_CHOSEN: dict[str, tuple[tuple[int, ...], Size]] = {
    "naevus": ((3, 14, 12, 8, 13, 11, 4), (640, 480)),
    "melanoma": ((0, 14, 10, 3, 11, 4, 16), (512, 512)),
    "angioma": ((14, 3, 1, 6, 13, 2, 17), (600, 400)),
    "keratosis": ((14, 3, 1, 6, 8, 9, 18), (450, 600)),
}


def demo_pictures() -> Iterator[tuple[str, Picture]]:
    """Yield (stem, picture) of the demo."""
    for label, (name, (seeds, last)) in enumerate(_CHOSEN.items()):
        for number, seed in enumerate(seeds, start=1):
            size = last if seed == seeds[-1] else (600, 450)
            tone = (seed * 7 % 16 + 0.5) / 16
            picture = draw(np.random.default_rng([_DEMO_SEED, label, seed]), name, size=size, tone=tone)
            yield f"{name}_{number:02d}", picture


def fresh(seed: int, index: int, *, scale: float = 1.0, with_skin: bool = False) -> Picture:
    """Return picture `index` of the endless set `seed`; the classes take turns.

    Args:
        seed: of the set.
        index: of the picture.
        scale: of its side lengths, to draw faster.
        with_skin: make every thirteenth picture bare skin.
    """
    name = SKIN if with_skin and index % 13 == 12 else CLASSES[index % len(CLASSES)]
    rng = np.random.default_rng([seed, index])
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    return draw(rng, name, size=(round(scale * width), round(scale * height)))


def training_set(
    seed: int, count: int, *, side: int, scale: float = 0.6
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `count` pictures squashed to `side`, ``[count, side, side, 3]``, and the index of each one's class.

    They are drawn at `scale` of their size, since the network sees them at less than that.
    """
    jobs = [(seed, index, side, scale) for index in range(count)]
    with get_context("spawn").Pool(min(os.cpu_count() or 1, 8)) as pool:
        rows = pool.map(_squashed, jobs, chunksize=16)
    return np.stack([pixels for pixels, _ in rows]), np.array([label for _, label in rows], np.int64)


def _squashed(job: tuple[int, int, int, float]) -> tuple[NDArray[np.uint8], int]:
    cv2.setNumThreads(1)
    seed, index, side, scale = job
    picture = fresh(seed, index, scale=scale, with_skin=True)
    small = Image.fromarray(picture.pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small), NAMES.index(picture.name)
