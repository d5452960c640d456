"""Drawn lesions with their masks, small enough to learn from in seconds."""

from __future__ import annotations

import numpy as np
from drawn_skin import disc, draw

SIZE = (64, 48)


def lesion(seed: int, *, size=SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture with one disc at a random place, in a random tone, and its mask."""
    rng = np.random.default_rng(seed)
    mask = disc(size, rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.12, 0.25))
    shade = rng.uniform(0.75, 1.1)
    skin = tuple(np.clip(np.array((224, 178, 158)) * shade, 0, 255))
    return draw(size, mask, skin=skin, pigment=tuple(rng.integers(40, 120, 3))), mask
