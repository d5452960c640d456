"""The demo: its files fit together, its drawing repeats itself, its network does what the README says."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "resources" / "demo"
sys.path.insert(0, str(ROOT / "scripts"))

from demo.scene import CLASSES, LARGEST, SIZES, SMALLEST, draw  # noqa: E402
from demo.sets import NAMES, demo_pictures, fresh  # noqa: E402

IMAGES = sorted((DEMO / "images").glob("*.jpg"))


def rows() -> list[dict[str, str]]:
    with (DEMO / "labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_images_masks_and_labels_belong_together() -> None:
    assert len(IMAGES) >= 24
    assert sorted(row["image"] for row in rows()) == [path.name for path in IMAGES]
    for path in IMAGES:
        mask = Image.open(DEMO / "masks" / f"{path.stem}_segmentation.png")
        assert mask.mode == "L"
        assert mask.size == Image.open(path).size
        values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        assert SMALLEST <= (values > 0).mean() <= LARGEST
    tones = [float(row["skin_tone"]) for row in rows()]
    assert min(tones) < 0.1
    assert max(tones) > 0.9
    assert len({row["label"] for row in rows()}) >= 3


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in IMAGES) < 2e6
    assert (DEMO / "model.safetensors").stat().st_size < 4e6


def test_the_files_are_what_the_script_draws() -> None:
    for stem, picture in demo_pictures():
        if not stem.endswith(("_01", "_07")):
            continue
        mask = np.asarray(Image.open(DEMO / "masks" / f"{stem}_segmentation.png")) > 0
        assert np.mean(mask != picture.mask) < 1e-3
        shown = np.asarray(Image.open(DEMO / "images" / f"{stem}.jpg")).astype(int)
        assert np.abs(shown - picture.pixels).mean() < 4


def test_drawing_repeats_itself_and_differs_between_seeds() -> None:
    one, same, other = (draw(np.random.default_rng(seed), "melanoma", size=(120, 90)) for seed in (1, 1, 2))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.mask, same.mask)
    assert not np.array_equal(one.pixels, other.pixels)


def test_lesions_lie_all_over_the_frame() -> None:
    """Middles of the true boxes: spread as a uniform distribution is, in all quarters, in every class."""
    middles = []
    for index in range(160):
        picture = draw(np.random.default_rng([5, index]), CLASSES[index % 4], size=(80, 60))
        assert SMALLEST <= picture.mask.mean() <= LARGEST
        y, x = np.nonzero(picture.mask)
        middles.append(((x.min() + x.max() + 1) / 2 / 80, (y.min() + y.max() + 1) / 2 / 60))
    places = np.array(middles)
    assert np.abs(places.mean(axis=0) - 0.5).max() < 0.08
    assert places.std(axis=0).min() > 0.2  # 0.289 for a uniform distribution, a little less since lesions are cut
    quarters = np.bincount((places[:, 0] > 0.5) + 2 * (places[:, 1] > 0.5), minlength=4)
    assert quarters.min() >= 25


def test_artefacts_do_not_depend_on_the_class() -> None:
    """The chance of each artefact is the same for every class: none is drawn before the class's own randomness ends."""
    counts = dict.fromkeys(CLASSES, 0)
    for index in range(240):
        picture = draw(np.random.default_rng([6, index]), CLASSES[index % 4], size=(40, 30))
        counts[picture.name] += "hairs" in picture.extras
    assert max(counts.values()) - min(counts.values()) < 25  # 27 of 60 expected each, deviation 3.9


def test_bare_skin_has_no_lesion() -> None:
    picture = fresh(3, 12, scale=0.2, with_skin=True)
    assert picture.name == "skin"
    assert not picture.mask.any()
    assert picture.pixels.shape[:2] in {(round(0.2 * h), round(0.2 * w)) for w, h in SIZES}


def test_the_network_knows_its_classes_and_points_at_the_lesions() -> None:
    from check_demo import found_box, overlap, true_box

    from camviewer.cam.explainer import Explainer
    from camviewer.cam.requests import MapRequest
    from camviewer.models.load import load_classifier
    from camviewer.models.records import LoadRequest

    classifier = load_classifier(LoadRequest(weights=DEMO / "model.safetensors", device="cpu"))
    assert classifier.identity.architecture == "camnet"
    assert classifier.identity.classes == NAMES
    assert classifier.head.kind == "gap_linear"
    explainer = Explainer(classifier)
    labels = {row["image"]: row["label"] for row in rows()}
    right, scores = [], []
    for path in IMAGES:
        result = explainer.explain(np.asarray(Image.open(path).convert("RGB")), MapRequest(methods=("cam",)))
        assert result.identity_error is not None
        assert result.identity_error < 1e-3
        right.append(result.scores[0].name == labels[path.name])
        truth = true_box(np.asarray(Image.open(DEMO / "masks" / f"{path.stem}_segmentation.png")) > 0)
        found = result.maps[0]
        scores.append(overlap(found_box(found.geometry.upsample(found.values)), truth))
    assert np.mean(right) >= 0.95
    assert np.mean(np.array(scores) >= 0.5) >= 0.8


@pytest.mark.nightly
def test_the_goals_on_200_fresh_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    import check_demo

    monkeypatch.setattr(sys, "argv", ["check_demo.py", "--seed", "4242"])
    assert check_demo.main() == 0
