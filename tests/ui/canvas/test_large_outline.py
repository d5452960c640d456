"""Masks of large images are outlined only where they are in sight, as finely as the screen shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF

from camviewer.ui.canvas.annotate import edges_image
from camviewer.ui.canvas.outline import CASING, DOUBLED_UP_TO, EDGE, INSIDE, OUTSIDE, MaskOutline, edges
from camviewer.ui.qimage import pixels_of


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    mask = np.zeros((2400, 3600), np.uint8)
    cv2.circle(mask, (1800, 1200), 1000, 1, -1)
    cv2.circle(mask, (1800, 1200), 100, 0, -1)
    assert mask.size > DOUBLED_UP_TO
    return mask.astype(bool)


def points(path) -> np.ndarray:
    return np.array([(path.elementAt(n).x, path.elementAt(n).y) for n in range(path.elementCount())])


@pytest.mark.parametrize("zoom", [0.1, 0.24, 0.5])
def test_the_whole_is_within_a_screen_pixel_of_the_edge(disc: np.ndarray, zoom: float) -> None:
    path = MaskOutline(disc).trace(zoom, QRectF(0, 0, 3600, 2400)).path
    radius = np.linalg.norm(points(path) - (1800.5, 1200.5), axis=1)
    away = np.minimum(np.abs(radius - 1000.5), np.abs(radius - 100.5))
    assert away.max() * zoom <= 1.5
    assert path.contains(QPointF(1800, 400)) and not path.contains(QPointF(1800, 1200))


def test_zoomed_in_only_what_is_in_sight_is_traced(disc: np.ndarray) -> None:
    outline = MaskOutline(disc)
    seen = QRectF(2700, 1100, 200, 200)
    path = outline.trace(4.0, seen).path
    assert path.boundingRect().width() < 400
    assert path.contains(QPointF(2790, 1200)) and not path.contains(QPointF(2810, 1200))
    assert outline.trace(4.0, seen.translated(20, -20)).path is path
    far = outline.trace(4.0, QRectF(100, 100, 200, 200)).path
    assert far.isEmpty()


def test_the_corner_is_that_of_the_mask(disc: np.ndarray) -> None:
    assert MaskOutline(disc).corner == (800.0, 200.0)
    assert MaskOutline(np.zeros((4, 4), bool)).corner is None


@pytest.fixture(scope="module")
def dust() -> np.ndarray:
    mask = np.zeros((1200, 1600), bool)
    mask[::8, ::8] = mask[1::8, ::8] = mask[::8, 1::8] = mask[1::8, 1::8] = True
    mask[300:700, 300:700] = True
    return mask


def test_what_each_pixel_of_an_edge_is() -> None:
    mask = np.zeros((7, 9), bool)
    mask[2:7, 2:7] = True
    o, i, c, e = OUTSIDE, INSIDE, CASING, EDGE
    assert edges(mask).tolist() == [
        [o, o, o, o, o, o, o, o, o],
        [o, o, c, c, c, c, c, o, o],
        [o, c, e, e, e, e, e, c, o],
        [o, c, e, c, c, c, e, c, o],
        [o, c, e, c, i, c, e, c, o],
        [o, c, e, c, i, c, e, c, o],
        [o, c, e, c, i, c, e, c, o],
    ]


def test_dust_is_a_raster_and_lines_again_where_few_pieces_are_in_sight(dust: np.ndarray) -> None:
    outline = MaskOutline(dust)
    far = outline.trace(0.5, QRectF(0, 0, 1600, 1200))
    assert far.path.isEmpty() and far.edges is not None
    assert far.area.contains(QRectF(0, 0, 1600, 1200))
    near = outline.trace(16.0, QRectF(800, 600, 40, 30))
    assert near.edges is None
    assert near.path.contains(QPointF(809, 609)) and not near.path.contains(QPointF(812, 612))


@pytest.mark.parametrize("touched", [True, False])
def test_a_raster_has_the_colours_of_lines(qtbot, touched: bool) -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    image = pixels_of(edges_image(edges(mask), "#FF6F3C", touched=touched, fill=0.5))
    line = image[10, 10:30]
    inked = (line == (0xFF, 0x6F, 0x3C, 255)).all(axis=1)
    assert inked.all() if touched else 0.6 < inked.mean() < 0.9
    assert image[20, 20, 3] in range(126, 130) and not image[0, 0, 3]
    assert image[9, 20, 3] > 200 and image[9, 20, :3].max() < 16
