"""Random views of a picture and its labels: moved, turned, scaled, in another light."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import Size
from camviewer.training.segmentation.settings import ViewSettings

Pixels = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Values = NDArray[np.float32]

IGNORED = 255
"""Label of pixels that are not learnt from."""

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_TO_RGB = np.linalg.inv(_TO_YIQ)


def view(
    pixels: Pixels, labels: Labels, size: Size, how: ViewSettings, rng: np.random.Generator
) -> tuple[Values, Labels]:
    """Return a random view of a picture and its labels.

    Args:
        pixels: RGB ``[H, W, 3]``.
        labels: of each pixel ``[H, W]``: 0, a class from 1, or `IGNORED`.
        size: (width, height) of the view; before the random changes the picture has as many pixels as it.
        how: what may happen.
        rng: the same state gives the same view.

    Returns:
        values in 0..1 ``[h, w, 3]`` and labels ``[h, w]``. Beyond its frame the picture goes on mirrored.
    """
    matrix = placement((pixels.shape[1], pixels.shape[0]), size, how, rng)
    seen: Pixels = np.asarray(
        cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    known: Labels = np.asarray(
        cv2.warpAffine(labels, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    if rng.random() < how.strangers:
        _strangers(seen, known, rng)
    return recoloured(seen, how, rng), known


def sized(aspect: float, pixels: int, multiple: int) -> Size:
    """Return (width, height) near `aspect` and `pixels`, both a multiple of `multiple`."""
    width = math.sqrt(pixels * aspect)
    return max(1, round(width / multiple)) * multiple, max(1, round(width / aspect / multiple)) * multiple


def placement(picture: Size, size: Size, how: ViewSettings, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random affine ``[2, 3]`` from pixel indices of the picture to those of the view."""
    scale = math.sqrt(size[0] * size[1] / (picture[0] * picture[1]))
    scale *= math.exp(rng.uniform(-1, 1) * math.log(how.zoom))
    stretch = math.exp(rng.uniform(-0.5, 0.5) * math.log(how.stretch))
    angle = math.radians(how.turn) * rng.uniform(-1, 1) + math.pi / 2 * int(rng.integers(4))
    mirror = 1 if rng.random() < 0.5 else -1
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = np.diag([scale * stretch, scale / stretch]) @ turned @ np.diag([mirror, 1])
    target = (np.array(size) - 1) / 2 + rng.uniform(-how.shift, how.shift, 2) * size
    offset = target - linear @ ((np.array(picture) - 1) / 2)
    return np.column_stack([linear, offset])


def recoloured(pixels: Pixels, how: ViewSettings, rng: np.random.Generator) -> Values:
    """Return pixels ``[h, w, 3]`` as values in 0..1 in a random light, as another camera would see them."""
    values = pixels.astype(np.float32) / np.float32(255)
    values **= np.float32(math.exp(rng.normal() * how.gamma))
    angle, richness = math.radians(rng.normal() * how.hue), math.exp(rng.normal() * how.saturation)
    cos, sin = richness * math.cos(angle), richness * math.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    gains = np.exp(rng.normal(size=3) * how.gain + rng.normal() * how.brightness)
    matrix = np.diag(gains) @ _TO_RGB @ turn @ _TO_YIQ
    values = np.asarray(cv2.transform(values, matrix.astype(np.float32)), np.float32)
    values *= _light(values.shape[0], values.shape[1], how, rng)[..., None]
    if rng.random() < how.blur:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.4)), np.float32)
    deviation = rng.uniform(0, how.noise)
    values += rng.standard_normal(values.shape, dtype=np.float32) * np.float32(deviation)
    return np.asarray(np.clip(values, 0, 1), np.float32)


def _light(height: int, width: int, how: ViewSettings, rng: np.random.Generator) -> Values:
    """Return factors ``[h, w]``: a slope in a random direction, and a fall towards the corners."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    angle, slope, fall = rng.uniform(0, 2 * math.pi), rng.normal() * how.light, abs(rng.normal()) * how.light
    factors = 1 + np.float32(slope) * (math.cos(angle) * x + math.sin(angle) * y) - np.float32(fall) * (x**2 + y**2) / 2
    return np.asarray(np.maximum(factors, 0.05), np.float32)


def _strangers(pixels: Pixels, labels: Labels, rng: np.random.Generator) -> None:
    """Draw what is no region: a dark frame, a body of one colour, or thin lines. No background becomes a region.

    What the frame hides of a region is not learnt from; a body lies outside of the regions, and lines cross all.
    """
    height, width = labels.shape
    side = max(height, width)
    kind = rng.random()
    if kind < 0.4:
        # The round image of an eyepiece, somewhere in the middle, with a soft or a sharp edge.
        hidden = np.full(labels.shape, 255, np.uint8)
        centre = (int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6)))
        radius = int(math.hypot(width, height) / 2 * rng.uniform(0.7, 1.0))
        axes = (radius, int(radius * rng.uniform(0.85, 1.15)))
        cv2.ellipse(hidden, centre, axes, 0.0, 0, 360, 0, -1)
        soft = cv2.GaussianBlur(hidden, (0, 0), rng.uniform(0.3, 0.06 * side)).astype(np.float32)[..., None] / 255
        tone = rng.integers(0, 60) + rng.integers(-8, 9, 3)
        pixels[:] = np.clip(pixels * (1 - soft) + tone * soft, 0, 255).astype(np.uint8)
        labels[(hidden > 0) & (labels > 0)] = IGNORED
    elif kind < 0.7:
        body = np.zeros(labels.shape, np.uint8)
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(side * rng.uniform(0.05, 0.2)) + 1, int(side * rng.uniform(0.05, 0.2)) + 1)
        cv2.ellipse(body, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        pixels[(body > 0) & (labels == 0)] = rng.integers(0, 256, 3)
    else:
        tone = np.clip(int(rng.integers(256)) + rng.integers(-30, 31, 3), 0, 255)
        for _ in range(int(rng.integers(1, 12))):
            ends = rng.uniform(-0.2, 1.2, (3, 2)) * (width, height)
            cv2.polylines(pixels, [ends.astype(np.int32)], False, [int(value) for value in tone], 1, cv2.LINE_AA)
