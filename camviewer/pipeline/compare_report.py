"""A comparison as files: everything as JSON, the table as CSV, the maps as one picture, the curves as a drawing."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from camviewer.catalogue.comparison import BY_NAME, CURVES
from camviewer.errors import CamviewerError
from camviewer.formats import disk
from camviewer.formats.axes import nice_axis
from camviewer.formats.rasters import png
from camviewer.images.decode import read_image
from camviewer.paths import resources_dir
from camviewer.pipeline.comparison import ComparedImage, ComparedRow, Comparison
from camviewer.pipeline.overlays import overlay

Pixels = NDArray[np.uint8]
Scale = Literal["shared", "own"]

CELL = 200
"""Width of a picture on the sheet."""
GAP, HEAD, LEFT = 8, 30, 132
INK, QUIET, PAPER = (30, 30, 34), (110, 110, 118), (255, 255, 255)
SERIES = ("#3B5BDB", "#E8590C", "#2B8A3E", "#9C36B5", "#C2255C", "#0B7285")
"""Colours of curves; told apart by their names at the ends as well."""


def write_report(comparison: Comparison, out: Path, *, images: int = 6, scale: Scale = "shared") -> tuple[Path, ...]:
    """Write ``comparison.json``, ``comparison.csv``, ``maps.png`` and ``curves.svg`` to `out`.

    Args:
        comparison: what was measured.
        out: folder, created.
        images: on the sheet of maps.
        scale: of the colours: ``shared`` by an image's maps under the same head, or each its ``own`` maximum.

    Returns:
        the files; there are no curves where no training has two epochs.

    Raises:
        ExportError: when a file cannot be written.
    """
    files: dict[str, bytes] = {
        "comparison.json": json.dumps(comparison.to_json(), indent=1, allow_nan=False).encode(),
        "comparison.csv": table_csv(comparison).encode(),
        "maps.png": png(sheet(comparison, images=images, scale=scale)),
    }
    drawing = curves(comparison)
    if drawing:
        files["curves.svg"] = drawing.encode()
    for name, data in files.items():
        disk.write_bytes(out / name, data)
    return tuple(out / name for name in files)


def table_csv(comparison: Comparison) -> str:
    """Return a line a row, a column a known measure; empty where a row has none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    known = comparison.known()
    writer.writerow(["title", "series", "epoch", "control", "architecture", "head", *known])
    for row in comparison.rows:
        values = [row.measures.get(name) for name in known]
        numbers = ["" if value is None else f"{value:.6g}" for value in values]
        epoch = "" if row.name.epoch is None else row.name.epoch
        writer.writerow(
            [row.name.title, row.name.series, epoch, row.name.control, row.architecture, row.head, *numbers]
        )
    return text.getvalue()


def sheet(comparison: Comparison, *, images: int = 6, scale: Scale = "shared", colour_map: str = "viridis") -> Pixels:
    """Return the maps of the first images side by side, RGB: a row an image, a column a checkpoint or control.

    Under each map stands the class it is of, the network's probability for it, and the share of the map inside the
    mask where there is one. An image that cannot be read any more is left out.
    """
    shown = []
    for image in comparison.images:
        pixels = _pixels(image)
        if pixels is not None:
            shown.append((image, pixels))
        if len(shown) == images:
            break
    tall = [max(1, round(CELL * pixels.shape[0] / pixels.shape[1])) for _, pixels in shown]
    width = LEFT + (CELL + GAP) * len(comparison.rows)
    height = HEAD + sum(side + 22 + GAP for side in tall)
    canvas = Image.new("RGB", (width, max(height, HEAD)), PAPER)
    pen = ImageDraw.Draw(canvas)
    strong, quiet = _font("SemiBold", 14), _font("Regular", 12)
    for column, row in enumerate(comparison.rows):
        pen.text((LEFT + column * (CELL + GAP), 8), _fit(pen, row.name.title, strong, CELL), INK, strong)
    top = HEAD
    for (image, pixels), side in zip(shown, tall, strict=True):
        pen.text((6, top), _fit(pen, image.name, quiet, LEFT - 14), INK, quiet)
        if image.label:
            pen.text((6, top + 16), _fit(pen, image.label, quiet, LEFT - 14), QUIET, quiet)
        for column, picture in enumerate(_cells(image, comparison.rows, pixels, scale, colour_map)):
            x = LEFT + column * (CELL + GAP)
            small = cv2.resize(picture, (CELL, side), interpolation=cv2.INTER_AREA)
            canvas.paste(Image.fromarray(np.asarray(small, np.uint8)), (x, top))
            pen.text((x, top + side + 3), _fit(pen, _caption(image, column), quiet, CELL), QUIET, quiet)
        top += side + 22 + GAP
    return np.asarray(canvas, np.uint8)


def _cells(image: ComparedImage, rows: Sequence[ComparedRow], pixels: Pixels, scale: Scale, name: str) -> list[Pixels]:
    values = [None if found is None else found.geometry.upsample(found.values) for found in image.maps]
    # A cell counts with 1/Z of its value behind a mean and with all of it behind a maximum, so each head has a scale of
    # its own. Controls take no part: a random network's values are no measure for the others.
    shared: dict[str, float] = {}
    for array, row in zip(values, rows, strict=True):
        if array is not None and not row.name.control:
            shared[row.head] = max(shared.get(row.head, 0.0), float(array.max()))
    cells = []
    for array, row in zip(values, rows, strict=True):
        if array is None:
            cells.append(pixels)
        else:
            peak = shared.get(row.head) if scale == "shared" else None
            cells.append(overlay(pixels, array, colour_map=name, peak=peak))
    return cells


def _caption(image: ComparedImage, column: int) -> str:
    words = []
    probability = image.probability[column]
    if image.shown[column]:
        share = "" if probability is None else f" {100 * probability:.0f} %"
        words.append(f"{image.shown[column]}{share}")
    inside = image.inside[column]
    if inside is not None:
        words.append(f"inside {100 * inside:.0f} %")
    return "   ".join(words)


def curves(comparison: Comparison, *, names: Sequence[str] = CURVES) -> str:
    """Return the measures over epochs as SVG, controls as dotted lines; empty where no training has two epochs."""
    series: dict[str, list[tuple[int, dict[str, float | None]]]] = defaultdict(list)
    for row in comparison.rows:
        if row.name.epoch is not None and not row.name.control:
            series[row.name.series].append((row.name.epoch, row.measures))
    drawn = {name: sorted(rows, key=lambda pair: pair[0]) for name, rows in series.items() if len(rows) > 1}
    known = [name for name in names if any(m.get(name) is not None for rows in drawn.values() for _, m in rows)]
    if not drawn or not known:
        return ""
    controls = [(row.name.title, row.measures) for row in comparison.rows if row.name.control]
    across = min(3, len(known))
    width, height = 360, 250
    down = math.ceil(len(known) / across)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * across}" height="{height * down}" '
        f'viewBox="0 0 {width * across} {height * down}" font-family="Inter, sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for place, name in enumerate(known):
        x, y = place % across * width, place // across * height
        parts.append(f'<g transform="translate({x} {y})">{_plot(name, drawn, controls)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _plot(
    name: str,
    drawn: dict[str, list[tuple[int, dict[str, float | None]]]],
    controls: list[tuple[str, dict[str, float | None]]],
) -> str:
    left, top, right, bottom = 40.0, 34.0, 240.0, 215.0
    points = {
        title: [(epoch, value) for epoch, measures in rows if (value := measures.get(name)) is not None]
        for title, rows in drawn.items()
    }
    lines = [(title, value) for title, measures in controls if (value := measures.get(name)) is not None]
    values = [value for found in points.values() for _, value in found] + [value for _, value in lines]
    epochs = sorted({epoch for found in points.values() for epoch, _ in found})
    low, high, step = nice_axis(min(values), max(values))

    def at(epoch: float, value: float) -> tuple[float, float]:
        span = max(1, epochs[-1] - epochs[0])
        return (
            left + (epoch - epochs[0]) / span * (right - left),
            bottom - (value - low) / (high - low) * (bottom - top),
        )

    parts = [f'<text x="{left}" y="18" font-weight="600" font-size="13">{escape(BY_NAME[name].title)}</text>']
    decimals = max(0, -math.floor(math.log10(step)))
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        y = at(epochs[0], value)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#e3e3e8"/>')
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#6e6e76">{value:.{decimals}f}</text>'
        )
    for epoch in (epochs[0], epochs[-1]):
        x = at(epoch, low)[0]
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#6e6e76">{epoch}</text>')
    labels: list[tuple[float, str, str]] = []
    for title, value in lines:
        y = at(epochs[0], value)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#8a8a92" stroke-dasharray="2 4"/>')
        labels.append((y, title, "#6e6e76"))
    for number, (title, found) in enumerate(points.items()):
        if not found:
            continue
        colour = SERIES[number % len(SERIES)]
        places = [at(epoch, value) for epoch, value in found]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        labels.append((places[-1][1], title, colour))
    labels.sort()
    y = -math.inf
    for place, (wanted, title, colour) in enumerate(labels):
        lowest = bottom - 13 * (len(labels) - 1 - place)  # room for those below
        y = max(min(wanted, lowest), y + 13)
        parts.append(f'<text x="{right + 8}" y="{y + 4:.1f}" fill="{colour}">{escape(title[:18])}</text>')
    return "".join(parts)


def _pixels(image: ComparedImage) -> Pixels | None:
    if image.path is None:
        return image.pixels
    try:
        pixels = read_image(image.path)
    except CamviewerError:
        return None
    return pixels if (pixels.shape[1], pixels.shape[0]) == image.size else None


def _font(weight: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(resources_dir() / "fonts" / f"Inter-{weight}.otf"), size)


def _fit(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    if pen.textlength(text, font) <= room:
        return text
    while text and pen.textlength(text + "…", font) > room:
        text = text[:-1]
    return text + "…"
