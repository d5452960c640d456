"""One picture: skin, a lesion (or none), and independent artefacts, with the lesion's true mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo import artefacts
from demo.fields import fractal
from demo.lesions import CLASSES, DRAW
from demo.skin import Layers, draw_skin

SKIN = "skin"
"""The class of pictures without a lesion."""

SIZES = ((600, 450), (640, 480), (512, 512), (600, 400), (450, 600), (720, 480))
SMALLEST, LARGEST = 0.03, 0.25
"""Share of the frame that a lesion covers."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture.

    Attributes:
        pixels: RGB ``[height, width, 3]``.
        mask: the lesion ``[height, width]``; empty for bare skin.
        name: class name.
        tone: of the skin, 0 (very light) to 1 (very dark).
        extras: names of the artefacts in it.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    name: str
    tone: float
    extras: tuple[str, ...]


def _lay(target: NDArray[np.float32], patch: NDArray[np.float32], left: int, top: int, outside: float) -> None:
    """Replace `target` by `patch` at (`left`, `top`), cut at the frame; `outside` elsewhere."""
    height, width = target.shape
    side = patch.shape[0]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    target[:] = outside
    if x1 > x0 and y1 > y0:
        target[y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]


def draw(
    rng: np.random.Generator,
    name: str,
    *,
    size: tuple[int, int] = (600, 450),
    tone: float | None = None,
    extras: tuple[str, ...] | None = None,
) -> Picture:
    """Return a picture of class `name`, which is one of `CLASSES` or `SKIN`.

    The middle of the lesion is uniform over the places where at least three quarters of it lie in the frame, and it
    covers `SMALLEST` to `LARGEST` of the frame.

    Args:
        rng: source of randomness; the same state gives the same picture.
        name: class.
        size: (width, height).
        tone: skin tone in 0..1, uniform when None.
        extras: artefacts by name (hairs, ruler, ink, bubbles, glare, vignette); drawn by chance when None, with the
            same chances for every class.
    """
    width, height = size
    shape = (height, width)
    unit = float(np.sqrt(width * height) / 520)
    drawn_tone = float(rng.random())
    tone = drawn_tone if tone is None else tone
    skin = draw_skin(rng, shape, tone=tone, unit=unit)
    mask = np.zeros(shape, bool)
    if name != SKIN:
        mask = _add_lesion(rng, skin, name, shape, unit, tone)

    # Light that has passed no absorber; a camera opens up for dark skin and has its own white balance.
    cast = np.exp(0.055 * rng.standard_normal(3)).astype(np.float32)
    cast *= np.exp(rng.uniform(-0.10, 0.10) * np.array([1, 0, -1.3], np.float32))
    ground = np.array([0.86, 0.73, 0.71], np.float32) * cast
    linear = skin.colour(ground) * np.float32((1 + 0.40 * tone) * rng.uniform(0.80, 1.06))
    lamp = fractal(rng, shape, 480 * unit, octaves=1)
    linear = linear * (1 + 0.045 * lamp[..., None])

    if extras is None:
        chances = {"ink": 0.14, "hairs": 0.45, "ruler": 0.22, "bubbles": 0.28, "glare": 0.22, "vignette": 0.30}
        extras = tuple(key for key, chance in chances.items() if rng.random() < chance)
    if "ink" in extras:
        linear = artefacts.ink(rng, linear, unit, cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 6 * unit))
    if "hairs" in extras:
        linear = artefacts.hairs(rng, linear, unit, count=int(rng.integers(2, 14)))
    if "ruler" in extras:
        linear = artefacts.ruler(rng, linear, unit)
    if "bubbles" in extras:
        linear = artefacts.bubbles(rng, linear, unit, count=int(rng.integers(4, 18)))
    if "glare" in extras:
        linear = artefacts.glare(rng, linear, unit)
    if "vignette" in extras:
        linear = artefacts.vignette(rng, linear, unit)

    blurred = cv2.GaussianBlur(linear, (0, 0), float(rng.uniform(0.35, 0.75)) * max(unit, 0.6))
    near = cv2.GaussianBlur(linear, (0, 0), 1.6 * unit)
    halo = cv2.GaussianBlur(linear, (0, 0), 16 * unit)
    linear = np.clip(0.94 * blurred + 0.06 * halo + 0.30 * (blurred - near), 0, 1.6)
    # A soft shoulder instead of clipped highlights, then the transfer curve of sRGB.
    linear = np.where(linear > 0.8, 0.8 + 0.2 * np.tanh((linear - 0.8) / 0.2), linear)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055)
    # A gentle S-curve, as cameras apply.
    encoded = encoded + 0.05 * np.sin(2 * np.pi * (np.clip(encoded, 0, 1) - 0.5))
    noise = rng.standard_normal((*shape, 3)).astype(np.float32) * rng.uniform(0.003, 0.010)
    pixels = np.clip(np.round(255 * (encoded + noise)), 0, 255).astype(np.uint8)
    return Picture(pixels, mask, name, tone, extras)


def _add_lesion(
    rng: np.random.Generator, skin: Layers, name: str, shape: tuple[int, int], unit: float, tone: float
) -> NDArray[np.bool_]:
    """Lay a lesion of class `name` on `skin` and return its mask."""
    height, width = shape
    share = float(rng.uniform(np.sqrt(SMALLEST * 1.25), np.sqrt(LARGEST))) ** 2
    radius = float(np.sqrt(share * width * height / np.pi))
    lesion = DRAW[name](rng, radius, unit, tone)
    side = lesion.mask.shape[0]
    rows, columns = np.nonzero(lesion.mask)
    middle = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    left = top = 0
    mask = np.zeros(shape, np.float32)
    solid = lesion.mask.astype(np.float32)
    for _ in range(1000):
        left = round(rng.uniform(0, width) - middle[0])
        top = round(rng.uniform(0, height) - middle[1])
        x0, y0, x1, y1 = max(-left, 0), max(-top, 0), min(width - left, side), min(height - top, side)
        seen = lesion.mask[y0:y1, x0:x1].sum()
        if seen >= 0.75 * solid.sum() and SMALLEST <= seen / (width * height) <= LARGEST:
            break
    placed = np.empty(shape, np.float32)
    _lay(mask, solid, left, top, 0.0)
    _lay(placed, lesion.bleach, left, top, 0.0)
    keep = 1 - placed
    skin.melanin *= keep
    skin.blood *= keep
    for layer, patch in ((skin.melanin, lesion.melanin), (skin.blood, lesion.blood), (skin.deep, lesion.deep)):
        _lay(placed, patch.astype(np.float32), left, top, 0.0)
        layer += placed
    _lay(placed, lesion.scatter, left, top, 0.0)
    np.maximum(skin.scatter, placed, out=skin.scatter)
    _lay(placed, lesion.relief, left, top, 1.0)
    skin.relief *= placed
    return mask > 0.5


__all__ = ["CLASSES", "LARGEST", "SIZES", "SKIN", "SMALLEST", "Picture", "draw"]
