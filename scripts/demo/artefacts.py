"""What lies on the skin or the lens and says nothing about the class: hairs, rulers, ink, bubbles, dark corners."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.fields import Field, fractal, smoothstep

Linear = NDArray[np.float32]


def _stroke(shape: tuple[int, int], curves: list[tuple[NDArray[np.float64], float]]) -> Field:
    """Return the coverage in 0..1 of polylines ``[n, 2]`` (x, y) of given widths in pixels that taper at the end."""
    over = 3
    canvas = np.zeros((shape[0] * over, shape[1] * over), np.uint8)
    for points, width in curves:
        count = len(points) - 1
        for index in range(count):
            left = 1 - index / count
            thick = max(1, round(width * over * min(1.0, 0.35 + 1.6 * left)))
            start, end = np.round(points[index] * over * 8), np.round(points[index + 1] * over * 8)
            cv2.line(
                canvas,
                (int(start[0]), int(start[1])),
                (int(end[0]), int(end[1])),
                255,
                thick,
                cv2.LINE_AA,
                3,
            )
    small = cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


def _bezier(points: NDArray[np.float64], count: int = 28) -> NDArray[np.float64]:
    t = np.linspace(0, 1, count)[:, None]
    a, b, c, d = points
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def hairs(rng: np.random.Generator, linear: Linear, unit: float, *, count: int) -> Linear:
    """Return the picture with `count` hairs, each with a faint shadow and a line of light."""
    height, width = linear.shape[:2]
    size = np.array([width, height])
    along = rng.uniform(0, 2 * np.pi)
    thick = rng.uniform(1.0, 2.3) * unit
    curves = []
    for _ in range(count):
        start = rng.uniform(-0.1, 1.1, 2) * size
        angle = along + 0.55 * rng.standard_normal()
        length = rng.uniform(0.25, 0.95) * np.hypot(height, width)
        heading = np.array([np.cos(angle), np.sin(angle)])
        side = np.array([-heading[1], heading[0]]) * length * 0.16
        bend = rng.standard_normal(3)
        points = np.array(
            [
                start,
                start + heading * length * 0.33 + side * bend[0],
                start + heading * length * 0.67 + side * bend[1],
                start + heading * length + side * bend[2],
            ]
        )
        curves.append((_bezier(points), thick * rng.uniform(0.6, 1.25)))
    cover = _stroke((height, width), curves)
    colour = np.array(
        [[0.012, 0.009, 0.008], [0.060, 0.028, 0.014], [0.16, 0.09, 0.045]][int(rng.choice(3, p=[0.45, 0.4, 0.15]))],
        np.float32,
    )
    shift = np.array([[1, 0, 2.2 * unit], [0, 1, 2.6 * unit]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (width, height)), (0, 0), 2.2 * unit)
    linear = linear * (1 - 0.22 * shadow[..., None])
    lit = cv2.warpAffine(cover, np.array([[1, 0, -0.5 * unit], [0, 1, -0.5 * unit]], np.float32), (width, height))
    shine = np.clip(lit * cover - cv2.GaussianBlur(cover, (0, 0), 1.3 * unit), 0, 1) * 0.12
    cover = (rng.uniform(0.78, 0.95) * cover)[..., None]
    return (linear * (1 - cover) + colour * cover + shine[..., None]).astype(np.float32)


def ruler(rng: np.random.Generator, linear: Linear, unit: float) -> Linear:
    """Return the picture with a millimetre scale along one side."""
    height, width = linear.shape[:2]
    upright = bool(rng.integers(2))
    length = height if upright else width
    offset = rng.uniform(6, 34) * unit
    far = bool(rng.integers(2))
    edge = (width if upright else height) - offset if far else offset
    inward = -1.0 if far else 1.0
    step = rng.uniform(11, 22) * unit
    first = rng.uniform(-step, 4 * step)
    last = length - rng.uniform(-step, 4 * step)
    whole = rng.random() < 0.5
    curves = []
    labels = []
    index = 0
    place = first
    while place < last:
        long = (2.1 if index % 10 == 0 else 1.5 if index % 5 == 0 else 1.0) * 7.5 * unit
        start = np.array([edge, place]) if upright else np.array([place, edge])
        end = start + np.array([inward * long, 0] if upright else [0, inward * long])
        curves.append((np.array([start, (start + end) / 2, end]), 1.25 * unit))
        if index % 10 == 0:
            text = start + np.array([inward * 30 * unit, 4 * unit] if upright else [-4 * unit, inward * 30 * unit])
            labels.append((str(index // 10), text))
        index += 1
        place += step
    if whole:
        ends = np.array([[edge, first], [edge, place - step]])
        line = ends if upright else ends[:, ::-1]
        curves.append((np.array([line[0], line.mean(axis=0), line[1]]), 1.1 * unit))
    cover = _stroke((height, width), curves)
    canvas = np.zeros((height * 2, width * 2), np.uint8)
    for text, at in labels:
        scale = 0.95 * unit
        corner = (round(2 * at[0] - 10 * scale), round(2 * at[1] + 8 * scale))
        cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(1.8 * unit)), cv2.LINE_AA)
    letters = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    ink = (rng.uniform(0.6, 0.92) * np.maximum(cover, letters))[..., None]
    return (linear * (1 - ink) + np.float32(0.012) * ink).astype(np.float32)


def ink(rng: np.random.Generator, linear: Linear, unit: float, keep_off: Field) -> Linear:
    """Return the picture with strokes of a surgical marker, thinned out over `keep_off` (0..1)."""
    height, width = linear.shape[:2]
    size = np.array([width, height])
    curves = []
    for _ in range(int(rng.integers(1, 4))):
        centre = rng.uniform(-0.05, 1.05, 2) * size
        radius = rng.uniform(40, 210) * unit
        start, sweep = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.3) * min(1.0, 110 * unit / radius)
        angles = start + np.linspace(0, sweep, 26)
        points = centre + radius * np.stack([np.cos(angles) - np.cos(start), np.sin(angles) - np.sin(start)], axis=1)
        curves.append((points, rng.uniform(7, 14) * unit))
    cover = cv2.GaussianBlur(_stroke((height, width), curves), (0, 0), 1.2 * unit)
    # The pen catches on the skin's relief, so that the line breaks up into grains.
    grain = fractal(rng, (height, width), 5 * unit, octaves=3, gain=0.75)
    cover = cover * smoothstep(-0.9, 0.6, grain + 1.4 * (cover - 0.6)) * (1 - 0.9 * keep_off)
    absorb = np.array([[1.5, 1.6, 0.45], [1.9, 1.05, 0.35], [1.35, 1.75, 0.75]][int(rng.integers(3))], np.float32)
    return (linear * np.exp(-rng.uniform(0.55, 1.1) * cover[..., None] * absorb)).astype(np.float32)


def bubbles(rng: np.random.Generator, linear: Linear, unit: float, *, count: int) -> Linear:
    """Return the picture with bubbles of contact gel: a bent view of the skin, a dark rim and points of light."""
    height, width = linear.shape[:2]
    out = linear.copy()
    home = rng.uniform(0, 1, 2) * [width, height]
    for _ in range(count):
        near = (
            home + rng.standard_normal(2) * 90 * unit if rng.random() < 0.65 else rng.uniform(0, 1, 2) * [width, height]
        )
        radius = float(np.clip(9 * np.exp(0.6 * rng.standard_normal()), 3.5, 30)) * unit
        x, y = float(near[0]), float(near[1])
        reach = int(radius * 1.25) + 2
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        bottom, right = min(int(y) + reach, height), min(int(x) + reach, width)
        if bottom - top < 3 or right - left < 3:
            continue
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        dx, dy = columns + 0.5 - x, rows + 0.5 - y
        r = np.sqrt(dx * dx + dy * dy) / np.float32(radius)
        inside = smoothstep(-1.2, 1.2, (1 - r) * radius)
        bend = (1 - 0.16 * np.clip(1 - r, 0, 1)).astype(np.float32)
        seen = cv2.remap(
            linear, x + dx * bend - 0.5, y + dy * bend - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        thin = 1.1 * unit / radius
        rim = np.exp(-(((r - 0.97) / (0.045 + thin)) ** 2)).astype(np.float32)
        toward = ((-dx - dy) / (np.float32(radius) * np.maximum(r, 0.05) * 1.414)).astype(np.float32)
        glint = np.exp(-(((r - 0.86) / (0.05 + thin)) ** 2)) * smoothstep(0.72, 0.98, toward)
        back = np.exp(-(((r - 0.88) / (0.06 + thin)) ** 2)) * smoothstep(0.6, 0.98, -toward)
        view = seen * (1 + 0.05 * inside - 0.34 * rim)[..., None] + (0.55 * glint + 0.22 * back)[..., None]
        alpha = smoothstep(-1.5, 1.5, (1.06 - r) * radius)[..., None]
        target = out[top:bottom, left:right]
        out[top:bottom, left:right] = target * (1 - alpha) + view * alpha
    return out.astype(np.float32)


def glare(rng: np.random.Generator, linear: Linear, unit: float) -> Linear:
    """Return the picture with small reflections of the lamps."""
    height, width = linear.shape[:2]
    out = np.zeros((height, width), np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angle, long, wide = rng.uniform(0, np.pi), rng.uniform(4, 13) * unit, rng.uniform(1.6, 4) * unit
        u = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        v = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        out += np.exp(-((u / long) ** 4) - ((v / wide) ** 2)).astype(np.float32)
    grain = smoothstep(-1.6, 0.6, fractal(rng, (height, width), 4 * unit, octaves=2))
    return (linear + rng.uniform(0.1, 0.35) * (out * grain)[..., None]).astype(np.float32)


def vignette(rng: np.random.Generator, linear: Linear, unit: float) -> Linear:
    """Return the picture as seen through the round opening of a dermatoscope."""
    height, width = linear.shape[:2]
    half = 0.5 * np.hypot(height, width)
    radius = rng.uniform(0.86, 1.0) * half
    x = width / 2 + rng.uniform(-0.03, 0.03) * width
    y = height / 2 + rng.uniform(-0.03, 0.03) * height
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    r = np.sqrt((columns - x) ** 2 + (rows - y) ** 2)
    edge = rng.uniform(8, 26) * unit
    hole = smoothstep(-0.5, 1.0, (radius - r) / np.float32(edge))
    dim = 1 - 0.30 * np.clip(r / np.float32(radius), 0, 1.2) ** 4
    rim = np.exp(-(((r - radius) / (0.5 * edge)) ** 2))
    shade = np.array([0.006, 0.006, 0.010], np.float32) + rim[..., None] * np.array([0.004, 0.005, 0.012], np.float32)
    hole = hole[..., None]
    return (linear * dim[..., None] * hole + shade * (1 - hole)).astype(np.float32)
