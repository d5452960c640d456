"""Masks of large images are outlined only where they are in sight, as finely as the screen shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF

from camviewer.ui.canvas.outline import DOUBLED_UP_TO, MaskOutline


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
    path = MaskOutline(disc).path(zoom, QRectF(0, 0, 3600, 2400))
    radius = np.linalg.norm(points(path) - (1800.5, 1200.5), axis=1)
    away = np.minimum(np.abs(radius - 1000.5), np.abs(radius - 100.5))
    assert away.max() * zoom <= 1.5
    assert path.contains(QPointF(1800, 400)) and not path.contains(QPointF(1800, 1200))


def test_zoomed_in_only_what_is_in_sight_is_traced(disc: np.ndarray) -> None:
    outline = MaskOutline(disc)
    seen = QRectF(2700, 1100, 200, 200)
    path = outline.path(4.0, seen)
    assert path.boundingRect().width() < 400
    assert path.contains(QPointF(2790, 1200)) and not path.contains(QPointF(2810, 1200))
    assert outline.path(4.0, seen.translated(20, -20)) is path
    far = outline.path(4.0, QRectF(100, 100, 200, 200))
    assert far.isEmpty()


def test_the_corner_is_that_of_the_mask(disc: np.ndarray) -> None:
    assert MaskOutline(disc).corner == (800.0, 200.0)
    assert MaskOutline(np.zeros((4, 4), bool)).corner is None
