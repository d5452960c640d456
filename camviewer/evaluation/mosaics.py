"""2x2 mosaics of pictures of different classes, for the pointing of maps on off-centre objects.

On centred pictures a blob in the middle points as well as any map. In a mosaic the class decides which tile is meant,
so only a map that knows its class finds it (grid pointing game, Boehle et al. 2021, arXiv 2104.00032).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Which pictures stand in the tiles (0 and 1 above, 2 and 3 below), and which tile is meant."""

    tiles: tuple[int, int, int, int]
    meant: int


def draw_mosaics(labels: Sequence[int], count: int, *, seed: int = 0) -> tuple[Mosaic, ...]:
    """Return `count` mosaics; the classes that occur are meant equally often, and the other tiles hold other classes.

    Args:
        labels: class of each picture; a negative one is unknown and is not drawn.
        count: of mosaics.
        seed: of the draw.

    Returns:
        Nothing where fewer than two classes occur.
    """
    known = np.asarray(labels)
    present = [int(label) for label in np.unique(known[known >= 0])]
    if len(present) < 2:
        return ()
    rng = np.random.default_rng(seed)
    mosaics = []
    for number in range(count):
        label = present[number % len(present)]
        target = int(rng.choice(np.flatnonzero(known == label)))
        others = rng.choice(np.flatnonzero((known >= 0) & (known != label)), 3).tolist()
        meant = int(rng.integers(4))
        tiles = [int(other) for other in others]
        tiles.insert(meant, target)
        mosaics.append(Mosaic((tiles[0], tiles[1], tiles[2], tiles[3]), meant))
    return tuple(mosaics)


def join(pictures: Sequence[Pixels]) -> Pixels:
    """Return four pictures as one, each at the size of the first: RGB ``[2 H, 2 W, 3]``."""
    height, width = pictures[0].shape[:2]
    same = [
        picture
        if picture.shape[:2] == (height, width)
        else np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for picture in pictures
    ]
    return np.concatenate([np.concatenate(same[:2], axis=1), np.concatenate(same[2:], axis=1)])
