"""Masks that learn, measured on lesions that nobody learnt from, with true masks as the reviewer.

    python benchmarks/learn_masks.py DATA/ham10000_200x150 --weights NET --out FOLDER --tested test.csv

DATA is the folder of the real material; NET the network whose maps make the pseudo-masks (`benchmarks/train_ham.py`),
and `--tested` names the pictures of lesions that it has not seen. The first round learns from the pseudo-masks of the
other lesions alone. For each further count as many true masks, the most doubtful first, take the place of pseudo-masks,
and a further round goes on from the first one. What is finished lies in FOLDER, and the benchmark goes on from there
when it is given again. Printed for the test lesions: mean IoU, the thresholded Jaccard index of ISIC 2018 (0 below
0.65), the share below 0.65, the ROC AUC of the network's own doubt, and the processor time of the training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.evaluation.localisation import roc_auc
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.pipeline.learn_masks import Learnt, draw, known, learn
from camviewer.pipeline.learnable import Learnable, LearnTask
from camviewer.pipeline.truth import read_truth
from camviewer.project.mask_blob import pack, unpack
from camviewer.regions.measures import iou
from camviewer.regions.refine import refine_mask
from camviewer.regions.rules import RegionRule
from camviewer.training.datasets import read_csv, read_dataset
from camviewer.training.segmentation.settings import NEXT_STEPS, LearnSettings

FAILED = 0.65


def pictures(data: Path, indices: np.ndarray) -> Iterator[tuple[int, Path, np.ndarray]]:
    """Yield index, file and true mask of those that have one."""
    listed = read_dataset(data)
    files = {path.stem: path for path in data.rglob("*.jpg")}
    masks = {path.stem.removesuffix("_segmentation"): path for path in data.rglob("*_segmentation.png")}
    for index in indices:
        name = Path(listed.names[int(index)]).stem
        if name in files and name in masks:
            height, width = listed.read(int(index)).shape[:2]
            truth = read_truth(masks[name], (width, height))
            if truth is not None and truth.any():
                yield int(index), files[name], truth


def pseudo_masks(
    data: Path, weights: Path, indices: np.ndarray, kept: Path
) -> tuple[list[Learnable], dict[int, np.ndarray]]:
    """Return the images with the default's masks and doubts, and the true masks by key; masks are kept in a folder."""
    explainer = Explainer(load_classifier(LoadRequest(weights=weights, device="cpu")))
    listed = read_dataset(data)
    kept.mkdir(parents=True, exist_ok=True)
    images, truths = [], {}
    for index, path, truth in pictures(data, indices):
        file, note = kept / f"{path.stem}.png", kept / f"{path.stem}.txt"
        if not note.is_file():
            pixels = listed.read(index)
            found = explainer.explain(pixels, MapRequest()).maps[0]
            mask = refine_mask(pixels, found.geometry.upsample(found.values), RegionRule(refine="auto"), judge=True)
            cv2.imwrite(str(file), mask.pixels.astype(np.uint8) * 255)
            note.write_text(repr(1.0 if mask.doubt is None else mask.doubt), encoding="utf-8")
        pixels = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0
        size = (pixels.shape[1], pixels.shape[0])
        doubt = float(note.read_text(encoding="utf-8"))
        images.append(Learnable(index, path.name, path, size, {1: pack(pixels)}, "automatic", doubt, (1,)))
        truths[index] = truth
    return images, truths


def scores(masks: dict[int, np.ndarray], doubts: dict[int, float], truths: dict[int, np.ndarray]) -> dict[str, float]:
    overlaps = np.array([iou(masks[key], truth) for key, truth in truths.items()])
    failed = overlaps < FAILED
    return {
        "iou": float(overlaps.mean()),
        "thresholded_jaccard": float(np.where(failed, 0, overlaps).mean()),
        "failed": float(failed.mean()),
        "auc": float(roc_auc([doubts[key] for key in truths], list(failed))),
    }


def drawn(learnt: Learnt, images: list[Learnable]) -> tuple[dict[int, np.ndarray], dict[int, float]]:
    task = LearnTask(tuple(images), {1: "lesion"})
    masks, doubts = {}, {}
    sizes = {image.key: image.size for image in images}
    for entry in draw(task, learnt.network, device="cpu"):
        width, height = sizes[entry.key]
        blobs = list(entry.masks.values())
        masks[entry.key] = unpack(blobs[0]) if blobs else np.zeros((height, width), np.bool_)
        doubts[entry.key] = entry.doubt
    return masks, doubts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--counts", default="0,10,30,100", help="reviewed masks, each a round of its own after the first"
    )
    parser.add_argument("--steps", type=int, default=LearnSettings().steps)
    parser.add_argument("--next-steps", type=int, default=NEXT_STEPS)
    parser.add_argument("--tested", type=Path, required=True, help="CSV file that names the test pictures")
    parser.add_argument("--limit", type=int, help="pictures of each side, for a trial")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)

    listed = read_dataset(given.data)
    names = set(read_csv(given.tested, images=given.data).names)
    is_test = np.array([name in names for name in listed.names])
    lesions = set(listed.groups[is_test].tolist())
    in_test = np.array([group in lesions for group in listed.groups.tolist()])
    rest, tested = np.flatnonzero(~in_test), np.flatnonzero(is_test)
    rng = np.random.default_rng(0)
    kept = given.out / "pseudo"
    training, _ = pseudo_masks(given.data, given.weights, rng.permutation(rest)[: given.limit], kept)
    true = {index: truth for index, _, truth in pictures(given.data, rest)}
    test, test_truths = pseudo_masks(given.data, given.weights, rng.permutation(tested)[: given.limit], kept)
    rows = {
        "pseudo-masks": scores({i.key: unpack(i.masks[1]) for i in test}, {i.key: i.doubt for i in test}, test_truths)
    }
    first: Learnt | None = None
    for count in (int(text) for text in given.counts.split(",")):
        images = list(training)
        if first is not None and count:
            masks, doubts = drawn(first, training)
            images = [replace(i, masks={1: pack(masks[i.key])}, doubt=doubts[i.key]) for i in images]
            order = sorted(range(len(images)), key=lambda place: -doubts[images[place].key])
            for place in order[:count]:
                image = images[place]
                images[place] = replace(image, masks={1: pack(true[image.key])}, standing="reviewed", doubt=0.0)
        settings = LearnSettings(steps=given.steps)
        if first is not None:
            settings = replace(settings.further(), steps=given.next_steps)
        task = LearnTask(tuple(images), {1: "lesion"})
        file, state = given.out / f"masks_{count}.safetensors", given.out / f"state_{count}.safetensors"
        if file.is_file():
            learnt, took = known(file.read_bytes()), {}
        else:
            processor = time.process_time()
            start = None if first is None else first.network
            learnt = learn(task, settings, start=start, state_file=state, device="cpu")
            file.write_bytes(learnt.network)
            took = {"processor": time.process_time() - processor}
        took["seconds"] = learnt.record["points"][-1]["seconds"]
        rows[f"{count} reviewed"] = {**scores(*drawn(learnt, test), test_truths), **took}
        first = first or learnt
        show(rows)
    (given.out / "learn_masks.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def show(rows: dict[str, dict[str, float]]) -> None:
    print(f"{'':16}{'IoU':>8}{'J>=.65':>8}{'<.65':>8}{'AUC':>8}{'CPU s':>8}")
    for name, row in rows.items():
        print(
            f"{name:16}{row['iou']:8.3f}{row['thresholded_jaccard']:8.3f}{row['failed']:8.3f}{row['auc']:8.3f}"
            f"{row.get('processor', 0):8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
