"""Artefacts drawn onto skin, each found as its kind, and none found on plain skin."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_skin import disc, draw

from camviewer.regions.artefacts import find_artefacts

SIZE = (600, 450)
LESION = disc(SIZE, 0.4, 0.5, 0.12)


@pytest.fixture
def picture() -> np.ndarray:
    return draw(SIZE, LESION)


def test_plain_skin_has_none(picture) -> None:
    assert find_artefacts(picture).flags == ()
    assert find_artefacts(draw(SIZE, LESION, skin=(110, 72, 55), pigment=(50, 30, 25))).flags == ()
    assert find_artefacts(np.zeros((30, 40, 3), np.uint8)).flags in {(), ("dark corner",)}


def test_a_bluish_light_makes_no_stain() -> None:
    assert find_artefacts(draw(SIZE, LESION, skin=(190, 205, 235), pigment=(90, 85, 100))).flags == ()


@pytest.mark.parametrize("colour", [(70, 190, 200), (20, 110, 200), (250, 130, 10), (60, 170, 90)])
def test_stickers(picture, colour) -> None:
    sticker = disc(SIZE, 1.0, 0.2, 0.15)
    picture[sticker] = colour
    found = find_artefacts(picture)
    assert found.flags == ("sticker",)
    assert found.masks["sticker"][sticker].mean() > 0.9
    assert not found.masks["sticker"][LESION].any()


def test_ink(picture) -> None:
    before = picture.copy()
    for x in range(450, 560, 14):
        cv2.line(picture, (x, 60), (x + 20, 160), (120, 70, 170), 4, cv2.LINE_AA)
    found = find_artefacts(picture)
    assert "ink" in found.flags
    changed = np.abs(picture.astype(int) - before).sum(axis=2) > 90
    assert found.masks["ink"][changed].mean() > 0.6
    assert not found.masks["ink"][LESION].any()


def test_hair(picture) -> None:
    before = picture.copy()
    for x in range(20, 600, 60):
        cv2.line(picture, (x, 0), (x + 80, 449), (60, 45, 40), 3, cv2.LINE_AA)
    found = find_artefacts(picture)
    assert "hair" in found.flags
    assert "ruler" not in found.flags
    changed = np.abs(picture.astype(int) - before).sum(axis=2) > 150
    assert found.masks["hair"][changed & ~LESION].mean() > 0.8


@pytest.mark.parametrize("angle", [0, 20, 90])
def test_a_ruler(picture, angle) -> None:
    centre = np.array([300.0, 340.0]) if angle != 90 else np.array([520.0, 225.0])
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    across = np.array([-along[1], along[0]])

    def point(u: float, v: float) -> tuple[int, int]:
        x, y = np.rint(centre + u * along + v * across)
        return int(x), int(y)

    cv2.line(picture, point(-150, 0), point(150, 0), (50, 45, 45), 2, cv2.LINE_AA)
    for number, u in enumerate(range(-150, 151, 20)):
        cv2.line(picture, point(u, 0), point(u, -18 if number % 5 else -28), (50, 45, 45), 2, cv2.LINE_AA)
    found = find_artefacts(picture)
    assert "ruler" in found.flags
    x, y = point(5, 0)
    assert found.masks["ruler"][y - 3 : y + 4, x - 3 : x + 4].any()


def test_dark_corners(picture) -> None:
    frame = ~disc(SIZE, 0.5, 0.5, 0.46)
    picture[frame] = 5
    found = find_artefacts(picture)
    assert "dark corner" in found.flags
    assert found.masks["dark corner"][frame].mean() > 0.98


def test_gel_bubbles(picture) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        x, y = rng.integers(20, 580), rng.integers(20, 430)
        cv2.circle(picture, (int(x), int(y)), 6, (255, 255, 255), 2, cv2.LINE_AA)
    found = find_artefacts(picture)
    assert "gel bubble" in found.flags
    assert found.union((450, 600)).any()
