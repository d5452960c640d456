"""New classes from a few labels on HAM10000: fit time, balanced accuracy and pointing over the number of labels.

    python benchmarks/few_labels.py DATA/ham10000_200x150 --weights FILE [--model ARCH]

DATA is the folder of the real material. Labels come from four fifths of the lesions, everything is judged on the last
fifth (25 pictures a class). Printed for each number of labels a class, means over `--draws` random choices of labels,
with the background class (fed from the pictures' borders) and without any: balanced accuracy over the seven classes,
pointing game of the true class's map, energy of the map on the lesion over the lesion's share of the picture (1 is
chance), and the time of the fit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.commands.arguments import weights
from camviewer.evaluation.localisation import energy_gain, pointing
from camviewer.models.records import LoadRequest
from camviewer.pipeline.few_labels import BACKGROUND, FewLabels, Mark
from camviewer.training.datasets import LabelledImages, read_dataset, split
from camviewer.training.measures import balanced_accuracy, confusion_matrix

JUDGED = 25


def pick(data: LabelledImages, indices: np.ndarray, count: int, seed: int) -> list[int]:
    """Return `count` pictures of each class, one a lesion."""
    rng, chosen = np.random.default_rng(seed), []
    for index in range(len(data.classes)):
        own = rng.permutation(indices[data.labels[indices] == index])
        _, first = np.unique(data.groups[own], return_index=True)
        chosen += [int(i) for i in own[np.sort(first)][:count]]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=weights, required=True)
    parser.add_argument("--model")
    parser.add_argument("--labels", default="1,2,5,10,20,40")
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    data = read_dataset(args.data)
    files = data.source.paths
    learnt, tested = split(data, 0.2, seed=1)
    most = max(int(n) for n in args.labels.split(","))
    judged = pick(data, tested, JUDGED, 0)
    pools = [pick(data, learnt, most, draw) for draw in range(args.draws)]
    few = FewLabels(LoadRequest(model=args.model, weights=args.weights, device="cpu"))
    wanted = [files[i] for i in dict.fromkeys([*judged, *(i for pool in pools for i in pool)])]
    started = time.perf_counter()
    gallery = few.read(wanted)
    each = 1000 * (time.perf_counter() - started) / len(wanted)
    print(f"{few.network.classifier.identity.architecture}, {few.network.width} features, {each:.1f} ms a picture")
    row_of = {path: row for row, path in enumerate(gallery.paths)}
    masks = {}
    for index in judged:
        path = next(args.data.rglob(f"{files[index].stem}_segmentation.png"))
        masks[index] = np.asarray(Image.open(path).convert("L")) > 127
    print(f"{'labels':>6} {'background':>10} {'balanced':>9} {'pointing':>9} {'energy/area':>12} {'fit':>8}")
    for number in (int(n) for n in args.labels.split(",")):
        for border in (True, False):
            rows = []
            for pool in pools:
                own = [[i for i in pool if data.labels[i] == index][:number] for index in range(len(data.classes))]
                marks = [Mark(files[i], data.classes[data.labels[i]]) for part in own for i in part]
                found = few.fit(gallery, marks, border=border, estimate=False).classes
                rows.append((*judge(few, found, data, judged, gallery.whole, row_of, files, masks), found.seconds))
            mean = np.mean(rows, axis=0)
            words = BACKGROUND if border else "none"
            print(
                f"{number:6d} {words:>10} {mean[0]:9.2f} {mean[1]:9.2f} {mean[2]:12.2f} {1000 * mean[3]:5.0f} ms",
                flush=True,
            )


def judge(few, found, data, judged, whole, row_of, files, masks) -> tuple[float, float, float]:
    """Return balanced accuracy, pointing and energy over area, by the saved network's own maps."""
    objects = [name for name in found.classes if name != BACKGROUND]
    rows = np.array([row_of[files[i]] for i in judged])
    said = found.probabilities(whole[rows])[:, : len(objects)].argmax(1)
    predicted = np.array([data.classes.index(objects[s]) for s in said])
    balanced = balanced_accuracy(confusion_matrix(data.labels[judged], predicted, len(data.classes)))
    explainer = Explainer(few.network.set_classes(found.classes, found.weight, found.bias))
    hits, gains = [], []
    for index in judged:
        truth = objects.index(data.classes[data.labels[index]])
        made = explainer.explain(data.read(index), MapRequest(methods=("cam",), classes=(truth,))).maps[0]
        full = made.geometry.upsample(made.values)
        hits.append(pointing(full, masks[index]))
        gains.append(energy_gain(full, masks[index]))
    return balanced, float(np.mean(hits)), float(np.nanmean(gains))


if __name__ == "__main__":
    main()
