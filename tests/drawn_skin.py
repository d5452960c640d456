"""Drawn dermoscopy: skin with grain, pigment with a soft edge, maps as coarse as a network's."""

from __future__ import annotations

import cv2
import numpy as np

SKIN = (224, 178, 158)
PIGMENT = (120, 72, 60)
Size = tuple[int, int]


def disc(size: Size, x: float, y: float, radius: float) -> np.ndarray:
    """A disc at a place given in shares of the sides, its radius in shares of the longer one."""
    width, height = size
    v, u = np.mgrid[:height, :width]
    return (u + 0.5 - x * width) ** 2 + (v + 0.5 - y * height) ** 2 < (radius * max(size)) ** 2


def draw(size: Size, *masks: np.ndarray, skin=SKIN, pigment=PIGMENT) -> np.ndarray:
    """Skin with grain, and pigment in the masks with a soft edge."""
    rng = np.random.default_rng(4)
    picture = np.tile(np.array(skin, np.float64), (size[1], size[0], 1))
    for mask in masks:
        soft = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), 0.004 * max(size))[:, :, None]
        picture = picture * (1 - soft) + np.array(pigment, np.float64) * soft
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def blob(size: Size, x: float, y: float, spread: float = 0.15) -> np.ndarray:
    """A broad map with its maximum at a place."""
    width, height = size
    v, u = np.mgrid[:height, :width]
    far = ((u + 0.5) / width - x) ** 2 + ((v + 0.5) / height - y) ** 2
    return np.exp(-far / (2 * spread**2)).astype(np.float32)
