"""Measures against the packages that carry the official or the usual implementation: ISIC's own scorer, Quantus,
scikit-learn. ``CAMVIEWER_MEASURES_PYTHON`` names the interpreter of an environment that has all three
(``isic-challenge-scoring``, ``quantus``, ``scikit-learn``); run with ``-m nightly``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from camviewer.evaluation.localisation import (
    PixelPrecision,
    energy_inside,
    pointing,
    rank_accuracy,
    roc_auc,
    scaled,
)
from camviewer.evaluation.tally import Tally

pytestmark = pytest.mark.nightly


def peer(script: str, *arguments: Path) -> dict[str, list[float]]:
    """Return what a script prints as JSON in the last line, run by the peers' interpreter."""
    python = os.environ.get("CAMVIEWER_MEASURES_PYTHON", "")
    if not python:
        pytest.skip("CAMVIEWER_MEASURES_PYTHON names no interpreter")
    done = subprocess.run(
        [python, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def blobs(count: int, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Return smooth signed maps, float32 ``[count, H, W]``, no two values of a map alike."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, *shape))
    return np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in noise]).astype(np.float32)


ISIC = """
import json, sys
from pathlib import Path
from isic_challenge_scoring.segmentation import SegmentationScore
score = SegmentationScore.from_dir(Path(sys.argv[1]), Path(sys.argv[2]))
print(json.dumps({"mean": [float(score.macro_average[name]) for name in ("jaccard", "threshold_jaccard", "dice")]}))
"""


def test_masks_against_the_scorer_of_isic(tmp_path: Path) -> None:
    """Mean IoU, thresholded Jaccard and Dice of mask files; among them an overlap of exactly 0.65 and empty masks."""
    truths = blobs(12, (60, 80), 0) > 0.02
    drawn = np.stack([np.roll(truth, shift, axis=1) for shift, truth in enumerate(truths)])
    truths[3], drawn[3] = False, False
    truths[3, :4, :5] = True
    drawn[3, :13, :1] = True  # 4 of 29
    truths[4], drawn[4] = False, False
    truths[4, :4, :5] = True
    drawn[4].flat[np.flatnonzero(truths[4])[:13]] = True  # 13 of 20
    drawn[5] = False
    truths[6] = drawn[6] = False
    for folder in ("truth", "drawn"):
        (tmp_path / folder).mkdir()
    tally = Tally()
    for number, (truth, mask) in enumerate(zip(truths, drawn, strict=True)):
        name = f"ISIC_{number:07}_segmentation.png"
        Image.fromarray(truth.astype(np.uint8) * 255).save(tmp_path / "truth" / name)
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "drawn" / name)
        tally.add_mask(mask, truth)
    assert tally.overlaps[4] == 0.65
    ours = tally.masks()
    assert ours is not None
    theirs = peer(ISIC, tmp_path / "truth", tmp_path / "drawn")["mean"]
    assert [ours.iou, ours.thresholded_jaccard, ours.dice] == pytest.approx(theirs, abs=1e-12)


QUANTUS = """
import json, sys
import numpy as np
import quantus
maps, truths = (np.load(sys.argv[1])[name] for name in ("maps", "truths"))
options = dict(abs=False, normalise=False, disable_warnings=True)
found = {}
for name, metric, values in (
    ("pointing", quantus.PointingGame, maps),
    ("energy", quantus.RelevanceMassAccuracy, np.maximum(maps, 0).astype(np.float64)),
    ("rank", quantus.RelevanceRankAccuracy, maps),
):
    scores = metric(**options)(model=None, x_batch=maps[:, None], y_batch=np.zeros(len(maps), int),
                               a_batch=values[:, None], s_batch=truths[:, None], channel_first=True)
    found[name] = [float(score) for score in np.ravel(scores)]
print(json.dumps(found))
"""


def test_pointing_energy_and_ranks_against_quantus(tmp_path: Path) -> None:
    maps = blobs(24, (40, 52), 1)
    truths = np.abs(blobs(24, (40, 52), 2)) > 0.08
    # Half of the truths hold the maximum, whatever else they hold.
    for number in range(0, 24, 2):
        truths[number].flat[int(maps[number].argmax())] = True
    np.savez(tmp_path / "maps.npz", maps=maps, truths=truths)
    theirs = peer(QUANTUS, tmp_path / "maps.npz")
    pairs = list(zip(maps, truths, strict=True))
    ours = [pointing(found, truth) for found, truth in pairs]
    assert 0 < sum(ours) < len(ours)
    assert ours == theirs["pointing"]
    assert [energy_inside(found, truth) for found, truth in pairs] == pytest.approx(theirs["energy"], rel=1e-9)
    assert [rank_accuracy(found, truth) for found, truth in pairs] == pytest.approx(theirs["rank"], abs=1e-12)


SKLEARN = """
import json, sys
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
data = np.load(sys.argv[1])
print(json.dumps({
    "precision": [average_precision_score(data["true"], data[name]) for name in ("steps", "values")],
    "auc": [roc_auc_score(data["failed"], data["doubts"])],
}))
"""


def test_precision_of_pixels_and_triage_against_scikit_learn(tmp_path: Path) -> None:
    maps, truths = blobs(10, (40, 52), 3), blobs(10, (40, 52), 4) > 0.03
    maps += 0.1 * truths
    precision = PixelPrecision()
    for found, truth in zip(maps, truths, strict=True):
        precision.add(found, truth)
    values = np.stack([scaled(found, "minmax") for found in maps]).astype(np.float64)
    rng = np.random.default_rng(5)
    doubts = rng.integers(0, 12, 200) / 12  # with ties
    failed = rng.random(200) < 0.2 + 0.6 * doubts
    np.savez(
        tmp_path / "data.npz",
        true=truths.ravel(),
        values=values.ravel(),
        steps=np.searchsorted(np.arange(1000) / 1000, values.ravel()),
        doubts=doubts,
        failed=failed,
    )
    theirs = peer(SKLEARN, tmp_path / "data.npz")
    exact, fine = theirs["precision"]
    assert precision.value() == pytest.approx(exact, abs=1e-12)
    # A thousand steps are fine enough: the values themselves give the same to three digits.
    assert precision.value() == pytest.approx(fine, abs=1e-3)
    assert roc_auc(doubts.tolist(), failed.tolist()) == pytest.approx(theirs["auc"][0], abs=1e-12)
