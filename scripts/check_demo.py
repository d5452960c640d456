"""Judge the demo's network on freshly drawn pictures, through camviewer's own public interface, and print the figures.

    python scripts/check_demo.py [--images 200] [--seed 20261] [--worst DIR]

Measured on each picture (lesion middles uniform over the frame, 3 to 25 % of it covered, drawn at full size and passed
through JPEG as a user's would be): whether the class is right, and whether the box of the map of the predicted class
(raw map, upsampled bilinearly through the measured cell positions, at least 20 % of its maximum, largest 8-connected
component) has an IoU of 0.5 or more with the box of the true mask. Beside it, on the same pictures: a Gaussian in the
middle of the frame (20 % of its maximum, its deviation given as a share of each side: the usual 0.25, and the best of
0.05 to 0.60) and the same network with random weights.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo.scene import CLASSES, Picture
from demo.sets import fresh

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.models.classifier import Classifier
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule

MODEL = Path(__file__).resolve().parents[1] / "resources" / "demo" / "model.safetensors"
RULE = RegionRule(rule="fraction", threshold=0.2, components="largest")
PASS = 0.5
Edges = tuple[float, float, float, float]
NOTHING: Edges = (0.0, 0.0, 0.0, 0.0)


def overlap(a: Edges, b: Edges) -> float:
    """Return the IoU of two half-open boxes."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    return wide * high / both if both > 0 else 0.0


def true_box(mask: NDArray[np.bool_]) -> Edges:
    """Return the tight box of a mask."""
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def found_box(values: NDArray[np.float32]) -> Edges:
    """Return the box that the rule finds in a map of the image's size."""
    boxes = find_regions(values, RULE).boxes
    return boxes[0].xyxy if boxes else NOTHING


def gaussian(size: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian in the middle, of deviation `sigma` times each side."""
    width, height = size
    x = ((np.arange(width) + 0.5) / width - 0.5) / sigma
    y = ((np.arange(height) + 0.5) / height - 0.5) / sigma
    return np.exp(-0.5 * (x[None] ** 2 + y[:, None] ** 2)).astype(np.float32)


def as_jpeg(picture: Picture) -> NDArray[np.uint8]:
    """Return the pixels after writing and reading a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=91)
    return np.asarray(Image.open(buffer).convert("RGB"))


def randomised(model: Path, pictures: list[NDArray[np.uint8]]) -> Classifier:
    """Return the demo's network with random weights, its batch norms fitted to the pictures so that values flow."""
    classifier = load_classifier(LoadRequest(weights=model, device="cpu"))
    torch.manual_seed(0)
    for module in classifier.network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_parameters()
            module.momentum = None
    classifier.network.train()
    with torch.inference_mode():
        classifier.network(torch.cat([classifier.prepare(pixels)[0] for pixels in pictures]))
    classifier.network.eval()
    return classifier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument("--model", type=Path, default=MODEL)
    args = parser.parse_args()

    classifier = load_classifier(LoadRequest(weights=args.model, device="cpu"))
    pictures = [fresh(args.seed, index) for index in range(args.images)]
    pixels = [as_jpeg(picture) for picture in pictures]
    # The head is read when the network is loaded, so the random one is wrapped after its weights are drawn.
    random_network = randomised(args.model, pixels[: 4 * len(CLASSES)])
    control = Classifier(
        random_network.network,
        identity=random_network.identity,
        preprocessing=random_network.preprocessing,
        device="cpu",
    )
    request = MapRequest(methods=("cam",), classes="predicted")
    trained, untrained = Explainer(classifier), Explainer(control)
    right: dict[str, list[bool]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    pointed, random_scores = [], []
    deviations = [0.25, *np.arange(0.05, 0.601, 0.05).round(2).tolist()]
    centre: dict[float, list[float]] = defaultdict(list)
    for picture, values in zip(pictures, pixels, strict=True):
        truth = true_box(picture.mask)
        result = trained.explain(values, request)
        found = result.maps[0]
        full = found.geometry.upsample(found.values)
        right[picture.name].append(result.scores[0].name == picture.name)
        scores[picture.name].append(overlap(found_box(full), truth))
        pointed.append(bool(picture.mask.ravel()[int(full.argmax())]))
        other = untrained.explain(values, request).maps[0]
        random_scores.append(overlap(found_box(other.geometry.upsample(other.values)), truth))
        size = (picture.mask.shape[1], picture.mask.shape[0])
        for sigma in dict.fromkeys(deviations):
            centre[sigma].append(overlap(found_box(gaussian(size, sigma)), truth))

    def share(values: list[float]) -> float:
        return float(np.mean(np.array(values) >= PASS))

    every = [value for name in CLASSES for value in scores[name]]
    hits = [value for name in CLASSES for value in right[name]]
    print(f"{args.images} fresh pictures of seed {args.seed}; box passes at IoU >= {PASS} with the true box")
    print(f"{'':24}{'accuracy':>9}{'boxes':>9}{'mean IoU':>10}")
    for name in CLASSES:
        print(f"{name:24}{np.mean(right[name]):9.1%}{share(scores[name]):9.1%}{np.mean(scores[name]):10.3f}")
    print(f"{'all':24}{np.mean(hits):9.1%}{share(every):9.1%}{np.mean(every):10.3f}")
    print(f"{'maximum inside the mask':24}{'':9}{np.mean(pointed):9.1%}")
    print(f"{'random weights':24}{'':9}{share(random_scores):9.1%}{np.mean(random_scores):10.3f}")
    best = max(centre, key=lambda sigma: share(centre[sigma]))
    for sigma in (0.25, best):
        label = f"Gaussian, sigma {sigma:.2f}" + (" (best)" if sigma == best else "")
        print(f"{label:24}{'':9}{share(centre[sigma]):9.1%}{np.mean(centre[sigma]):10.3f}")
    reached = np.mean(hits) >= 0.95 and share(every) >= 0.80
    fair = share(centre[best]) < 0.35 and share(random_scores) < 0.20
    print("Goals reached." if reached and fair else "Goals missed.")
    return 0 if reached and fair else 1


if __name__ == "__main__":
    sys.exit(main())
