"""The attention check: energy over area share, and what inpainting does to a score."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.evaluation.attention import attention, effect, ring, without
from camviewer.regions.artefacts import Artefacts


def box(*edges: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    x0, y0, x1, y1 = edges
    mask[y0:y1, x0:x1] = True
    return mask


def test_energy_by_hand() -> None:
    values = np.zeros((40, 60), np.float32)
    lesion, ink, hair = box(20, 10, 40, 30), box(0, 0, 10, 10), box(50, 0, 60, 10)
    values[lesion], values[ink] = 1, 4  # 400 and 400 of 800
    found = attention(values, lesion, Artefacts({"ink": ink, "hair": hair}, ("ink", "hair")))
    assert found.lesion == pytest.approx(0.5 / (400 / 2400))
    assert found.artefacts == pytest.approx({"ink": 0.5 / (100 / 2400), "hair": 0})
    assert found.flags == ("ink",)
    # Of the ring of 4 pixels the ink has 10 * 10 - 6 * 6 = 64 of its 100.
    assert found.border == pytest.approx(4 * 64 / 800 / (ring((40, 60)).sum() / 2400))
    assert ring((40, 60)).sum() == 2400 - 32 * 52


def test_nothing_to_say() -> None:
    found = attention(-np.ones((40, 60), np.float32), box(0, 0, 0, 0), Artefacts({}, ()))
    assert (found.lesion, found.border, found.artefacts, found.flags) == (None, None, {}, ())


def test_inpainting_shows_what_the_network_uses() -> None:
    pixels = np.full((40, 60, 3), 150, np.uint8)
    ink, other = box(5, 5, 15, 15), box(40, 20, 50, 30)
    pixels[ink] = (30, 30, 200)

    def scores(picture: np.ndarray) -> np.ndarray:
        blueness = float((picture[:, :, 2].astype(float) - picture[:, :, 0]).mean())
        return np.array([-blueness, blueness])

    clean = without(pixels, ink)
    assert np.abs(clean[ink].astype(int) - 150).max() < 3
    np.testing.assert_array_equal(clean[~ink], pixels[~ink])
    found = effect(scores, pixels, {"ink": ink, "skin": other}, 1)
    assert found["ink"] == pytest.approx(-170 * 100 / 2400, abs=0.1)
    assert found["skin"] == pytest.approx(0)
    assert without(pixels, box(0, 0, 0, 0)) is pixels
