"""Random scalar fields, float32 ``[height, width]``: fractal noise, honeycombs, dots, smooth steps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smoothstep(low: float, high: float, value: Field) -> Field:
    """Return 0 below `low`, 1 above `high`, and a smooth rise between."""
    t = np.clip((value - low) / (high - low), 0, 1).astype(np.float32)
    return t * t * (3 - 2 * t)


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    wavelength: float,
    *,
    octaves: int = 3,
    gain: float = 0.5,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Field:
    """Return fractal noise of mean about 0 and deviation about 1.

    Args:
        rng: source of randomness.
        shape: (height, width).
        wavelength: of the coarsest octave, in pixels.
        octaves: how many, each of half the wavelength and `gain` times the height of the one before.
        gain: see `octaves`.
        stretch: how much longer the grain is along `angle` than across.
        angle: direction of the grain in radians.
    """
    height, width = shape
    side = int(np.ceil(np.hypot(height, width))) + 4
    total = np.zeros((side, side), np.float32) if stretch != 1.0 else np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        length = max(wavelength / 2**octave, 1.0)
        # One cell more than needed on each side, so that the interpolation's border lies outside.
        across = (length, length * stretch) if stretch != 1.0 else (length, length)
        rows = int(np.ceil(total.shape[0] / across[0])) + 4
        columns = int(np.ceil(total.shape[1] / across[1])) + 4
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        shift = rng.random(2)
        matrix = np.array(
            [[1 / across[1], 0, 1 + shift[1]], [0, 1 / across[0], 1 + shift[0]]],
            np.float32,
        )
        size = (total.shape[1], total.shape[0])
        layer = cv2.warpAffine(
            grid, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )
        total += gain**octave * layer
        power += (gain**octave) ** 2 * 0.55
    total /= np.sqrt(power)
    if stretch == 1.0:
        return total
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), np.degrees(angle), 1.0)
    turned = cv2.warpAffine(total, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    top, left = (side - height) // 2, (side - width) // 2
    return turned[top : top + height, left : left + width]


def warp(field: Field, dx: Field, dy: Field) -> Field:
    """Return `field` read at positions displaced by (`dx`, `dy`) pixels."""
    rows, columns = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32)
    return cv2.remap(field, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def honeycomb(
    rng: np.random.Generator, shape: tuple[int, int], spacing: float, *, jitter: float = 0.35, bend: float = 0.25
) -> tuple[Field, NDArray[np.int32]]:
    """Return the distance to the walls of irregular cells, in units of `spacing`, and each pixel's cell number.

    The cells are those of Voronoi around a jittered hexagonal grid, bent by smooth noise.
    """
    height, width = shape
    # Drawn on a grid fine enough for smooth walls, whatever the size of the picture.
    fine = max(1.0, 9.0 / spacing)
    rows, columns = int(height * fine) + 1, int(width * fine) + 1
    step = spacing * fine
    ys = np.arange(-1, rows / (step * 0.866) + 1)
    xs = np.arange(-1, columns / step + 1)
    y, x = np.meshgrid(ys, xs, indexing="ij")
    x = (x + 0.5 * (np.arange(len(ys)) % 2)[:, None] + jitter * rng.standard_normal(x.shape)) * step
    y = (y + jitter * rng.standard_normal(y.shape)) * step * 0.866
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    seeds = np.ones((rows, columns), np.uint8)
    seeds[y[inside].astype(int), x[inside].astype(int)] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    wall = np.ones((rows, columns), np.uint8)
    wall[:, 1:] &= (cells[:, 1:] == cells[:, :-1]).astype(np.uint8)
    wall[1:, :] &= (cells[1:, :] == cells[:-1, :]).astype(np.uint8)
    distance = cv2.distanceTransform(wall, cv2.DIST_L2, 5).astype(np.float32) / np.float32(step)
    size = (width, height)
    bent = [bend * spacing * fractal(rng, shape, 3.0 * spacing, octaves=2) for _ in range(2)]
    where = np.mgrid[:height, :width].astype(np.float32)
    map_x, map_y = (where[1] + bent[0]) * fine, (where[0] + bent[1]) * fine
    border = cv2.BORDER_REFLECT
    distance = cv2.remap(distance, map_x, map_y, cv2.INTER_LINEAR, borderMode=border)
    numbers = cv2.remap(cells.astype(np.float32), map_x, map_y, cv2.INTER_NEAREST, borderMode=border)
    assert distance.shape == (size[1], size[0])
    return distance, numbers.astype(np.int32)


def dots(
    rng: np.random.Generator,
    shape: tuple[int, int],
    radius: float,
    density: float,
    *,
    where: Field | None = None,
    spread: float = 0.35,
) -> Field:
    """Return soft round dots in 0..1.

    Args:
        rng: source of randomness.
        shape: (height, width).
        radius: of a dot in pixels, varied by `spread`.
        density: expected dots per area of 100 radii squared.
        where: probability in 0..1 that a dot is kept, by position.
        spread: relative deviation of the radius.
    """
    height, width = shape
    count = rng.poisson(density * height * width / (100 * radius * radius))
    out = np.zeros(shape, np.float32)
    for _ in range(int(count)):
        x, y = rng.random() * width, rng.random() * height
        keep, size = rng.random(), radius * np.exp(spread * rng.standard_normal())
        if where is not None and keep > where[int(y), int(x)]:
            continue
        reach = int(np.ceil(1.6 * size)) + 1
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        bottom, right = min(int(y) + reach + 1, height), min(int(x) + reach + 1, width)
        rows = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - np.float32(y)
        columns = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - np.float32(x)
        dot = smoothstep(-0.45, 0.45, 1 - np.sqrt(rows * rows + columns * columns) / np.float32(size))
        np.maximum(out[top:bottom, left:right], dot, out=out[top:bottom, left:right])
    return out
