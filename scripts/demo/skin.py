"""Skin as a stack of absorbers: how much melanin and blood light meets on its way decides the colour.

Colours follow the law of Beer and Lambert, so that a lesion darkens dark skin as it darkens light skin, and hues stay
those of pigment and blood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.fields import Field, dots, fractal, honeycomb, smoothstep

# Absorbance per unit in linear red, green, blue; chosen by eye on the colours of skin.
MELANIN = np.array([0.55, 0.78, 1.00], np.float32)
BLOOD = np.array([0.20, 1.00, 0.74], np.float32)
# Melanin that lies deep looks blue-grey: short waves are scattered back before they reach it.
DEEP = np.array([1.00, 0.74, 0.40], np.float32)


@dataclass(slots=True)
class Layers:
    """What a picture is made of before it becomes colour; all ``[height, width]``.

    Attributes:
        melanin, blood, deep: amounts of the three absorbers.
        scatter: 0..1, how much is covered by something bright (keratin, scar).
        scatter_colour: linear RGB of that.
        relief: brightness factor of the surface's shape, about 1.
    """

    melanin: Field
    blood: Field
    deep: Field
    scatter: Field
    scatter_colour: NDArray[np.float32]
    relief: Field

    def colour(self, ground: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return linear RGB ``[height, width, 3]`` over skin without absorbers of colour `ground`."""
        depth = (
            self.melanin[..., None] * MELANIN + self.blood[..., None] * BLOOD + self.deep[..., None] * DEEP
        ).astype(np.float32)
        linear = ground * np.exp(-depth)
        # What covers the skin is seen in the same light, and a little through what lies under it.
        cover = self.scatter_colour * (0.35 + 0.65 * linear.mean(axis=(0, 1)) / self.scatter_colour.mean())
        scatter = self.scatter[..., None]
        return (linear * (1 - scatter) + cover * scatter) * self.relief[..., None]


def draw_skin(rng: np.random.Generator, shape: tuple[int, int], *, tone: float, unit: float) -> Layers:
    """Return bare skin.

    Args:
        rng: source of randomness.
        shape: (height, width).
        tone: 0 (very light) to 1 (very dark).
        unit: pixels of one unit of length; a frame of 600 x 450 has unit 1.
    """
    base = 0.06 + 2.45 * tone**1.15
    # Blood shows through light skin more than through dark skin.
    flush = rng.uniform(0.10, 0.42) * (1 - 0.45 * tone)
    broad = fractal(rng, shape, 190 * unit, octaves=3, gain=0.6)
    middle = fractal(rng, shape, 34 * unit, octaves=3, gain=0.6)
    grain = fractal(rng, shape, 9 * unit, octaves=2, gain=0.7)
    melanin = base * (1 + 0.040 * broad + 0.028 * middle + 0.014 * grain) + 0.016 * middle + 0.02 * broad
    blotch = fractal(rng, shape, rng.uniform(50, 110) * unit, octaves=4, gain=0.62)
    blood = flush * (1 + rng.uniform(0.10, 0.26) * blotch + 0.05 * grain)

    # Furrows: a fine, slightly stretched net between flat islands; on dark skin their walls hold more pigment.
    walls, _ = honeycomb(rng, shape, rng.uniform(15, 24) * unit, jitter=0.28, bend=0.5)
    furrow = 1 - smoothstep(0.0, 0.14, walls)
    patchy = smoothstep(-1.0, 1.2, fractal(rng, shape, 140 * unit, octaves=2))
    melanin += furrow * patchy * (0.085 * tone * base + 0.030 * (1 - tone))
    relief = (1 + rng.uniform(0.0, 0.012) * furrow * patchy * (1 - tone)).astype(np.float32)
    angle = rng.uniform(0, np.pi)
    creases = fractal(rng, shape, 5 * unit, octaves=2, stretch=7, angle=angle)
    relief *= 1 + rng.uniform(0.004, 0.012) * creases

    # Follicles: small pale dots with a darker rim.
    pores = dots(rng, shape, 2.1 * unit, rng.uniform(0.15, 0.55), spread=0.2)
    melanin -= 0.10 * base * pores
    blood *= 1 - 0.20 * pores
    # A few freckles and red points, as on most skin; far too small to be taken for the lesion.
    freckles = dots(rng, shape, 4.0 * unit, rng.uniform(0.0, 0.05), spread=0.5)
    melanin += rng.uniform(0.10, 0.35) * freckles * smoothstep(-1.5, 1.5, middle)
    points = dots(rng, shape, 2.0 * unit, rng.uniform(0.0, 0.03), spread=0.4)
    blood += 0.45 * points * (1 - 0.6 * tone)
    return Layers(
        melanin=np.maximum(melanin, 0).astype(np.float32),
        blood=np.maximum(blood, 0).astype(np.float32),
        deep=np.zeros(shape, np.float32),
        scatter=np.zeros(shape, np.float32),
        scatter_colour=np.array([0.80, 0.72, 0.62], np.float32),
        relief=relief.astype(np.float32),
    )
