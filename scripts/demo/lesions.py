"""Four kinds of lesion, each with its own outline and its own structure all over its area.

The structures are simplified from what dermoscopy calls reticular network, multicomponent pattern, red lagoons and
milia-like cysts. They carry the names of the real thing and are none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.fields import Field, dots, fractal, honeycomb, smoothstep, warp

CLASSES = ("naevus", "melanoma", "angioma", "keratosis")


@dataclass(slots=True)
class Lesion:
    """A lesion on a square patch of its own, to be laid on skin.

    Attributes:
        mask: what belongs to it.
        melanin, blood, deep: absorbers that it adds.
        bleach: 0..1, how much of the skin's own absorbers it takes away.
        scatter: 0..1, bright cover.
        relief: brightness factor, 1 outside.
    """

    mask: NDArray[np.bool_]
    melanin: Field
    blood: Field
    deep: Field
    bleach: Field
    scatter: Field
    relief: Field


def _outline(
    rng: np.random.Generator, radius: float, base: Callable[[Field, Field], Field], *, ragged: float, wavelength: float
) -> tuple[NDArray[np.bool_], Field]:
    """Return the mask of area pi * radius**2 on a patch, and the distance to its border in radii, positive inside.

    Args:
        rng: source of randomness.
        radius: in pixels.
        base: height over (x, y) in radii, turned at random; the mask is where it is high.
        ragged: deviation of the noise that is added to the height.
        wavelength: of that noise in radii.
    """
    side = int(np.ceil(4.4 * radius))
    rows, columns = ((np.mgrid[:side, :side].astype(np.float32) + 0.5) / radius - side / (2 * radius)).astype(
        np.float32
    )
    angle = rng.uniform(0, 2 * np.pi)
    x = np.cos(angle) * columns + np.sin(angle) * rows
    y = np.cos(angle) * rows - np.sin(angle) * columns
    height = base(x.astype(np.float32), y.astype(np.float32))
    height = height + ragged * fractal(rng, (side, side), wavelength * radius, octaves=4, gain=0.55)
    # Nothing far from the middle belongs to the lesion, however high the noise.
    height = height - 2 * np.maximum(np.hypot(x, y) - 1.8, 0)
    level = float(np.partition(height.ravel(), -int(np.pi * radius**2))[-int(np.pi * radius**2)])
    mask = (height >= level).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count > 2:
        mask = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    # Holes belong to the lesion.
    outside = np.zeros((side + 2, side + 2), np.uint8)
    flood = mask.copy()
    cv2.floodFill(flood, outside, (0, 0), 1)
    mask |= 1 - flood
    inner = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outer = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return mask.astype(bool), ((inner - outer) / radius).astype(np.float32)


def _zeros(mask: NDArray[np.bool_]) -> Field:
    return np.zeros(mask.shape, np.float32)


def naevus(rng: np.random.Generator, radius: float, unit: float, tone: float) -> Lesion:
    """Even, round and brown, with a fine pigment network that thins out towards the border."""
    ratio = rng.uniform(0.72, 1.0)
    wave, phase = rng.uniform(0, 0.06), rng.uniform(0, 2 * np.pi)

    def base(x: Field, y: Field) -> Field:
        angle = np.arctan2(y, x)
        return 1 - np.hypot(x * np.sqrt(ratio), y / np.sqrt(ratio)) * (1 + wave * np.cos(3 * angle + phase))

    mask, depth = _outline(rng, radius, base, ragged=0.035, wavelength=0.7)
    shape = mask.shape
    cover = smoothstep(-0.10, 0.16, depth)
    walls, _ = honeycomb(rng, shape, rng.uniform(7.5, 10.5) * unit, jitter=0.22, bend=0.35)
    network = 1 - smoothstep(0.05, 0.34, walls)
    uneven = fractal(rng, shape, 0.7 * radius, octaves=3)
    dark = rng.uniform(1.15, 1.95) * (1 + 0.35 * tone)
    centre = smoothstep(0.1, 0.9, depth) * rng.uniform(0.0, 0.5)
    body = 0.55 + 0.10 * uneven + centre
    melanin = (
        dark
        * cover
        * np.maximum(body + rng.uniform(0.55, 0.85) * network * (1 - 0.5 * centre) * (1 + 0.35 * uneven), 0)
    )
    globules = dots(rng, shape, 3.2 * unit, rng.uniform(0.0, 0.9), spread=0.25) * cover
    melanin = melanin + 0.5 * dark * globules
    blood = rng.uniform(0.02, 0.18) * cover * (1 + 0.3 * uneven)
    return Lesion(
        mask, melanin, blood, _zeros(mask), 0.3 * cover * (1 - tone), _zeros(mask), np.ones(shape, np.float32)
    )


def melanoma(rng: np.random.Generator, radius: float, unit: float, tone: float) -> Lesion:
    """Irregular in outline and colour: black, dark and light brown, blue-grey, red, and a little scar-like white."""
    lobes = [
        (rng.uniform(0.25, 0.75), rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.85))
        for _ in range(int(rng.integers(3, 6)))
    ]

    def base(x: Field, y: Field) -> Field:
        heights = [
            np.exp(-((x - r * np.cos(a)) ** 2 + (y - r * np.sin(a)) ** 2) / (2 * (0.62 * s) ** 2)) for r, a, s in lobes
        ]
        return np.sum(heights, axis=0).astype(np.float32)

    mask, depth = _outline(rng, radius, base, ragged=0.15, wavelength=0.55)
    shape = mask.shape
    rough = fractal(rng, shape, 0.12 * radius, octaves=2)
    cover = smoothstep(-0.045, 0.075, depth + 0.02 * rough)

    def patch(share: float, wavelength: float = 0.75) -> Field:
        """Return a region, sharp on one side and washed out on the other, over about `share` of the lesion."""
        noise = fractal(rng, shape, wavelength * radius, octaves=4, gain=0.6)
        inside = noise[mask] if mask.any() else noise.ravel()
        level = float(np.quantile(inside, 1 - share))
        return smoothstep(level - 0.65, level + 0.45, noise)

    uneven = fractal(rng, shape, 0.5 * radius, octaves=4, gain=0.65)
    dark = rng.uniform(1.25, 1.75) * (1 + 0.35 * tone)
    melanin = dark * np.maximum(0.85 + 0.22 * uneven, 0.15)
    black = patch(rng.uniform(0.20, 0.36))
    melanin = melanin + dark * rng.uniform(1.3, 1.9) * black
    tan = patch(rng.uniform(0.12, 0.25)) * (1 - black)
    melanin = melanin * (1 - 0.55 * tan)
    veil = patch(rng.uniform(0.20, 0.34), 0.6)
    deep = rng.uniform(0.9, 1.5) * veil * (1 + 0.15 * uneven)
    melanin = melanin * (1 - 0.38 * veil)
    red = patch(rng.uniform(0.15, 0.30), 0.5) * (1 - 0.6 * veil)
    blood = 0.12 + rng.uniform(0.25, 0.60) * red
    melanin = melanin * (1 - 0.22 * red)
    scar = patch(rng.uniform(0.04, 0.12), 0.4) * smoothstep(0.1, 0.3, depth) * (1 - black)
    # A coarse, broken network and blotches of very different size, more of them at the rim.
    walls, _ = honeycomb(rng, shape, rng.uniform(12, 17) * unit, jitter=0.5, bend=0.6)
    broken = (1 - smoothstep(0.04, 0.22, walls)) * smoothstep(-0.3, 0.9, fractal(rng, shape, 0.5 * radius, octaves=3))
    melanin = melanin + 0.40 * dark * broken
    rim = smoothstep(0.55, 0.0, depth) * smoothstep(-0.5, 1.0, uneven)
    blotches = dots(rng, shape, 4.2 * unit, 1.0, where=0.15 + 0.85 * rim, spread=0.5)
    melanin = melanin + 0.9 * dark * blotches
    grain = 1 + 0.10 * rough
    covered = cover * (1 - 0.55 * scar)
    return Lesion(
        mask,
        melanin * covered * grain,
        blood * cover,
        deep * covered,
        0.25 * cover * (1 - tone),
        0.16 * scar * cover,
        np.ones(shape, np.float32),
    )


def angioma(rng: np.random.Generator, radius: float, unit: float, tone: float) -> Lesion:
    """Red to purple lagoons, close together, with pale septa between."""
    ratio = rng.uniform(0.75, 1.0)

    def base(x: Field, y: Field) -> Field:
        return 1 - np.hypot(x * np.sqrt(ratio), y / np.sqrt(ratio))

    mask, depth = _outline(rng, radius, base, ragged=0.05, wavelength=0.6)
    shape = mask.shape
    spacing = float(np.clip(rng.uniform(0.26, 0.40) * radius, 15 * unit, 42 * unit))
    walls, cells = honeycomb(rng, shape, spacing, jitter=0.32, bend=0.30)
    # Rounded: the corners of a cell lie nearer to its walls once the distance is smoothed.
    walls = cv2.GaussianBlur(walls, (0, 0), 0.13 * spacing)
    # Some lagoons run into each other, some lie deep and are only a shade.
    uneven = fractal(rng, shape, 0.5 * radius, octaves=3)
    lagoon = smoothstep(0.03, 0.24, walls + 0.035 * uneven)
    swell = np.clip(walls / 0.42, 0, 1).astype(np.float32)
    numbers = rng.random((int(cells.max()) + 1, 2)).astype(np.float32)
    own = cv2.GaussianBlur(numbers[cells], (0, 0), 0.08 * spacing)
    cover = smoothstep(-0.07, 0.06, depth + 0.05 * (lagoon - 0.5))
    hue = rng.uniform(0.0, 0.9)
    strength = 0.9 + 1.5 * own[..., 0] + 0.25 * uneven
    blood = cover * (rng.uniform(0.95, 1.35) + 0.25 * uneven + lagoon * strength * (0.55 + 0.65 * swell))
    purple = np.clip(hue + 0.7 * (own[..., 1] - 0.5), 0, 1)
    deep = cover * lagoon * (0.14 + purple * (0.25 + 0.75 * swell))
    septa = (1 - lagoon) * cover
    halo = smoothstep(-0.5, 0.0, depth) * (1 - cover)
    height = cv2.GaussianBlur(swell * cover, (0, 0), 1.5 * unit)
    slope = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) + cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    relief = 1 + np.clip(0.09 * slope * unit, -0.14, 0.14)
    return Lesion(
        mask,
        rng.uniform(0.10, 0.40) * cover,
        (blood + rng.uniform(0.05, 0.25) * halo).astype(np.float32),
        deep.astype(np.float32),
        (0.25 + 0.12 * tone) * cover,
        rng.uniform(0.0, 0.09) * septa,
        relief.astype(np.float32),
    )


def keratosis(rng: np.random.Generator, radius: float, unit: float, tone: float) -> Lesion:
    """Stuck-on and waxy: winding ridges, white cysts and dark plugs on an opaque yellow-brown to grey ground."""
    ratio = rng.uniform(0.65, 0.95)
    waves = [(k, rng.uniform(0, 0.10), rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5)]

    def base(x: Field, y: Field) -> Field:
        angle = np.arctan2(y, x)
        edge = 1 + sum(a * np.cos(k * angle + p) for k, a, p in waves)
        return (1 - np.hypot(x * np.sqrt(ratio), y / np.sqrt(ratio)) / edge).astype(np.float32)

    mask, depth = _outline(rng, radius, base, ragged=0.045, wavelength=0.45)
    shape = mask.shape
    cover = smoothstep(-0.025, 0.045, depth)
    # Ridges like those of a brain: the level lines of noise of one wavelength, bent by a slower one.
    length = rng.uniform(15, 21) * unit
    ridged = fractal(rng, shape, length, octaves=1)
    bent = [0.35 * length * fractal(rng, shape, 3 * length, octaves=1) for _ in range(2)]
    ridged = warp(ridged, bent[0], bent[1])
    furrow = np.exp(-((ridged / 0.55) ** 2)).astype(np.float32)
    uneven = fractal(rng, shape, 0.6 * radius, octaves=3)
    grey = rng.uniform(0.0, 0.45)
    dark = rng.uniform(0.75, 1.35) * (1 + 0.30 * tone)
    plugs = dots(rng, shape, 4.0 * unit, 0.9, where=smoothstep(0.02, 0.12, depth), spread=0.3)
    cysts = dots(rng, shape, 3.2 * unit, 1.5, where=smoothstep(0.03, 0.14, depth), spread=0.35) * (1 - plugs)
    melanin = dark * (0.75 + 0.14 * uneven + 0.80 * furrow) * (1 - 0.6 * cysts) + 1.9 * dark * plugs
    deep = grey * (0.6 + 0.4 * furrow) * (1 - cysts)
    rim = np.exp(-(((depth - 0.02) / 0.05) ** 2)).astype(np.float32)
    melanin = melanin + 0.35 * dark * rim
    height = cv2.GaussianBlur(cover * (1 - 0.8 * furrow) + 0.6 * cysts - 0.6 * plugs, (0, 0), 1.0 * unit)
    slope = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) + cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    relief = 1 + np.clip(0.045 * slope, -0.14, 0.14) * smoothstep(-0.2, 0.05, depth)
    scatter = cover * (0.06 + 0.08 * (1 - furrow) + 0.50 * cysts) * (1 - plugs)
    return Lesion(
        mask,
        (melanin * cover).astype(np.float32),
        (0.10 * cover).astype(np.float32),
        (deep * cover).astype(np.float32),
        (0.20 * cover).astype(np.float32),
        scatter.astype(np.float32),
        relief.astype(np.float32),
    )


DRAW: dict[str, Callable[[np.random.Generator, float, float, float], Lesion]] = {
    "naevus": naevus,
    "melanoma": melanoma,
    "angioma": angioma,
    "keratosis": keratosis,
}
