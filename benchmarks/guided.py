"""Guided fine-tuning on drawn pictures whose class a sticker gives away: where the network looks, before and after.

    python benchmarks/guided.py

Brown and red lesions on skin; in training every red one has a blue sticker beside it. A small camnet learns the
sticker. It is then guided by masks. Judged on 200 unseen pictures each: accuracy where the sticker is as in training,
where it is on the brown ones instead, and without one; the share of the true class's map in the lesion; and the energy
on the sticker over its share of the picture (1 is chance).
"""

from __future__ import annotations

import copy

import cv2
import numpy as np
import torch

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.evaluation.localisation import energy_gain, energy_inside
from camviewer.models.camnet import camnet
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing
from camviewer.training.guided import GuidedPictures, GuidedSettings, guide
from camviewer.training.loop import LabelledPixels, fit
from camviewer.training.settings import Augmentation, TrainSettings

SIZE = (64, 48)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    return (u + 0.5 - x * SIZE[0]) ** 2 + (v + 0.5 - y * SIZE[1]) ** 2 < (radius * SIZE[0]) ** 2


def draw(count: int, seed: int, *, sticker: int | None) -> tuple[np.ndarray, ...]:
    """Return pictures, classes, lesions and stickers; those of class `sticker` have one."""
    rng = np.random.default_rng(seed)
    rows, lesions, stickers = [], [], []
    labels = np.arange(count, dtype=np.int64) % 2
    for label in labels:
        lesion = disc(*rng.uniform(0.35, 0.65, 2), rng.uniform(0.14, 0.2))
        row = np.tile(np.array([224.0, 178, 158]) + rng.normal(0, 8, 3), (SIZE[1], SIZE[0], 1))
        row[lesion] = np.array([120 + 40 * label, 72 - 8 * label, 60]) + rng.normal(0, 16, 3)
        mark = disc(rng.choice([0.1, 0.9]), rng.choice([0.12, 0.88]), 0.07) & ~lesion & (label == sticker)
        row[mark] = (40, 170, 200)
        row = cv2.GaussianBlur(row, (0, 0), 0.7) + rng.normal(0, 6, row.shape)
        rows.append(row.clip(0, 255).astype(np.uint8))
        lesions.append(lesion)
        stickers.append(mark)
    return np.stack(rows), labels, np.stack(lesions), np.stack(stickers)


def judge(classifier: Classifier) -> str:
    explainer, accuracies, inside, gain = Explainer(classifier), [], [], []
    for sticker in (1, 0, None):
        right = []
        for row, label, lesion, mark in zip(*draw(200, 9, sticker=sticker), strict=True):
            made = explainer.explain(row, MapRequest(methods=("cam",), classes=(int(label),)))
            right.append(made.scores[0].index == label)
            if sticker == 1:
                full = made.maps[0].geometry.upsample(made.maps[0].values)
                inside.append(energy_inside(full, lesion))
                gain.append(energy_gain(full, mark))
        accuracies.append(np.mean(right))
    figures = (*accuracies, np.nanmean(inside), np.nanmean(gain))
    return "  ".join(f"{figure:8.2f}" for figure in figures)


def main() -> None:
    torch.set_num_threads(1)
    rows, labels, lesions, _ = draw(200, 0, sticker=1)
    torch.manual_seed(0)
    network = camnet(2, width=8, features=16)
    settings = TrainSettings(
        epochs=8, learning_rate=1e-2, batch_size=16, input_size=SIZE, augmentation=Augmentation(crop=1, hide=0)
    )
    fit(network, LabelledPixels(rows, labels), settings, classes=2)
    network = network.to(memory_format=torch.contiguous_format)
    identity = ModelIdentity("camnet", "drawn", "", ("brown", "red"))

    def fresh() -> Classifier:
        copied = copy.deepcopy(network)
        return Classifier(copied, identity=identity, preprocessing=Preprocessing(input_size=SIZE))

    print(f"{'':44}{'as learnt':>9} {'swapped':>9} {'without':>9} {'inside':>9} {'sticker':>9}")
    print(f"{'before':42}  {judge(fresh())}")
    cases = [
        ("10 pictures with masks", 10, 10, {}),
        ("20 pictures with masks", 20, 20, {}),
        ("40 pictures with masks", 40, 40, {}),
        ("40 pictures, no attention mining", 40, 40, {"mining_weight": 0.0}),
        ("40 pictures, no pixel supervision", 40, 40, {"mask_weight": 0.0}),
        ("200 pictures, 40 with masks", 200, 40, {}),
        ("200 pictures, 40 with masks, all mined", 200, 40, {"mine_without_mask": True}),
    ]
    for name, shown, masked, changes in cases:
        classifier = fresh()
        data = GuidedPictures(rows[:shown], labels[:shown], lesions[:shown], np.arange(shown) < masked)
        guide(classifier, data, GuidedSettings(epochs=12, **changes))
        print(f"{name:42}  {judge(classifier)}", flush=True)


if __name__ == "__main__":
    main()
