"""Train camnet with a GAP or a GMP head on HAM10000 and judge it on unseen lesions.

    python benchmarks/train_ham.py DATA/ham10000_200x150 --head gap --out FOLDER

DATA is the folder of the real material. The split keeps every lesion on one side. Printed for the test lesions: the
balanced accuracy over the seven classes; the pointing game (is the map's maximum inside the expert's mask) and the mean
IoU of the 20 % region, each beside the same network with random weights and a Gaussian in the middle of the frame.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.models.classifier import Classifier
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest, ModelIdentity, Preprocessing
from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule
from camviewer.training.datasets import LabelledImages, read_dataset, split
from camviewer.training.measures import balanced_accuracy, confusion_matrix
from camviewer.training.run import build_network, train
from camviewer.training.settings import Augmentation, TrainSettings

RULE = RegionRule(rule="fraction", threshold=0.2, components="largest")


def subset(data: LabelledImages, indices: np.ndarray) -> LabelledImages:
    class Part:
        def read(self, index: int) -> np.ndarray:
            return data.read(int(indices[index]))

    names = tuple(data.names[int(i)] for i in indices)
    return replace(data, names=names, labels=data.labels[indices], groups=data.groups[indices], source=Part())


def find_mask(root: Path, name: str) -> np.ndarray | None:
    for path in root.rglob(f"{name}_segmentation.png"):
        return np.asarray(Image.open(path).convert("L")) > 127
    return None


def judge(classifier: Classifier, data: LabelledImages, root: Path, masked: int) -> dict[str, float]:
    """Return balanced accuracy over all, pointing and IoU over the first `masked` pictures with a mask."""
    explainer = Explainer(classifier)
    predicted, hits, overlaps = [], [], []
    for index in range(len(data)):
        pixels = data.read(index)
        if len(hits) >= masked:
            with torch.inference_mode():
                predicted.append(int(classifier.logits(classifier.prepare(pixels)[0]).argmax()))
            continue
        result = explainer.explain(pixels, MapRequest(methods=("cam",), classes="predicted"))
        predicted.append(result.scores[0].index)
        mask = find_mask(root, data.names[index])
        if mask is None or not mask.any():
            continue
        full = result.maps[0].geometry.upsample(result.maps[0].values)
        hits.append(bool(mask.ravel()[int(full.argmax())]))
        region = find_regions(full, RULE).mask
        overlaps.append((region & mask).sum() / (region | mask).sum())
    confusion = confusion_matrix(data.labels, np.array(predicted), len(classifier.identity.classes))
    return {"balanced": balanced_accuracy(confusion), "pointing": np.mean(hits), "iou": np.mean(overlaps)}


def centre(data: LabelledImages, root: Path, masked: int) -> dict[str, float]:
    """Return the same for a Gaussian in the middle, deviation 0.25 of each side."""
    hits, overlaps = [], []
    for name in data.names[:masked]:
        mask = find_mask(root, name)
        if mask is None or not mask.any():
            continue
        y, x = (((np.arange(n) + 0.5) / n - 0.5) / 0.25 for n in mask.shape)
        values = np.exp(-0.5 * (x[None] ** 2 + y[:, None] ** 2)).astype(np.float32)
        hits.append(bool(mask.ravel()[int(values.argmax())]))
        region = find_regions(values, RULE).mask
        overlaps.append((region & mask).sum() / (region | mask).sum())
    return {"balanced": float("nan"), "pointing": np.mean(hits), "iou": np.mean(overlaps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--head", choices=("gap", "gmp"), default="gap")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--save-every", type=int, default=4)
    parser.add_argument("--masked", type=int, default=300, help="test pictures judged by their mask")
    parser.add_argument("--background", type=float, default=0.15, help="share of pictures of bare skin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    data = read_dataset(args.data)
    learnt, tested = split(data, 0.2, seed=1)
    order = np.random.default_rng(0).permutation(tested)
    training, test = subset(data, learnt), subset(data, order)
    settings = TrainSettings(
        head=args.head,
        # Wider context than the demo's network: real lesions are told apart by more than their texture.
        options={"width": 24, "blocks": 1, "features": 128, "stride": 8, "kernel": 3, "dropout": 0.2},
        epochs=args.epochs,
        learning_rate=3e-3,
        weight_decay=2e-2,
        class_weights="balanced",
        label_smoothing=0.05,
        input_size=(160, 120),
        augmentation=Augmentation(crop=0.75),
        # All seven classes are lesions on skin: without a class for skin the maps point beside the lesion.
        background=args.background,
        save_every=args.save_every,
    )
    started, worked = time.perf_counter(), time.process_time()
    result = train(
        training,
        settings,
        args.out,
        validation_share=0.1,
        device="cpu",
        on_epoch=lambda r: print(
            r.epoch, f"{r.loss:.3f}", f"{r.balanced_accuracy:.3f}", f"{r.seconds:.0f} s", flush=True
        ),
        on_message=print,
    )
    print(
        f"trained in {time.perf_counter() - started:.0f} s, {time.process_time() - worked:.0f} s of processor time, "
        f"on {len(learnt)} pictures; {len(tested)} for the test"
    )
    classes = settings.class_names(data.classes)
    preprocessing = Preprocessing(input_size=settings.input_size)
    random_network = Classifier(
        build_network(settings, len(classes)),
        identity=ModelIdentity("camnet", "random", "", classes),
        preprocessing=preprocessing,
    )
    rows = {
        f"{args.head}, best epoch": judge(
            load_classifier(LoadRequest(weights=result.best, device="cpu")), test, args.data, args.masked
        ),
        "random weights": judge(random_network, test, args.data, args.masked),
        "Gaussian in the middle": centre(test, args.data, args.masked),
    }
    print(f"{'':26}{'balanced':>10}{'pointing':>10}{'IoU 20 %':>10}")
    for name, values in rows.items():
        print(f"{name:26}{values['balanced']:10.3f}{values['pointing']:10.3f}{values['iou']:10.3f}")


if __name__ == "__main__":
    main()
