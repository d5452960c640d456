"""The attention check over images: means by hand, and what a score does without an artefact."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.evaluation.attention import survey
from camviewer.pipeline.attention_check import AttentionTally
from camviewer.regions.artefacts import Artefacts

SHAPE = (40, 60)


def box(*edges: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    x0, y0, x1, y1 = edges
    mask[y0:y1, x0:x1] = True
    return mask


def test_means_and_changes_by_hand() -> None:
    lesion, ink = box(20, 10, 40, 30), box(0, 0, 10, 10)
    pixels = np.full((*SHAPE, 3), 150, np.uint8)
    pixels[ink] = (30, 30, 200)
    on_ink, on_lesion = ink.astype(np.float32), lesion.astype(np.float32)

    def scores(picture: np.ndarray) -> np.ndarray:
        blue = float((picture[:, :, 2].astype(float) - picture[:, :, 0]).mean())
        return np.array([0.0, blue])

    found = Artefacts({"ink": ink}, ("ink",))
    tally = AttentionTally()
    assert tally.figures() is None
    tally.add(on_ink, lesion, found, pixels=pixels, class_index=1, scores=scores)
    tally.add(on_lesion, lesion, found, pixels=np.full((*SHAPE, 3), 150, np.uint8), class_index=1, scores=scores)
    tally.add(on_lesion, lesion, Artefacts({}, ()), pixels=pixels, class_index=1)
    figures = tally.figures()
    assert figures is not None
    assert figures.images == 3
    assert figures.lesion == pytest.approx(2 / 3 * 2400 / 400)  # 0 of one map, all of two
    (ink_figures,) = figures.artefacts
    assert (ink_figures.kind, ink_figures.images, ink_figures.favoured) == ("ink", 2, 1)
    assert ink_figures.energy == pytest.approx((24 + 0) / 2)
    assert ink_figures.change == pytest.approx(-170 * 100 / 2400 / 2, abs=0.1)
    assert ink_figures.largest_change == pytest.approx(-170 * 100 / 2400, abs=0.2)


def test_a_survey_names_the_artefact_that_the_map_favours() -> None:
    pixels = np.full((300, 400, 3), (205, 165, 150), np.uint8)
    pixels[:90, :110] = (40, 90, 220)
    mask = np.zeros((300, 400), bool)
    mask[120:200, 180:280] = True
    on_sticker, on_lesion = np.zeros((300, 400), np.float32), mask.astype(np.float32)
    on_sticker[:80, :100] = 1
    seen = survey(pixels, on_sticker, mask)
    assert "sticker" in seen.findings and "map on sticker" in seen.findings
    assert seen.inside == 0
    seen = survey(pixels, on_lesion, mask)
    assert seen.findings == ("sticker",)
    assert seen.inside == pytest.approx(1)
    assert survey(pixels, -on_lesion, np.zeros_like(mask)).inside is None
    with pytest.raises(ValueError, match="image of"):
        survey(pixels, on_lesion[:-1], mask[:-1])
