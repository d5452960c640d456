"""Pseudo-masks of every refinement against expert masks, beside their controls, as a table (and JSON).

    python benchmarks/pseudo_masks.py --data DIR --weights FILE [--model ARCH] [--count 500] [--half report]

Sets: HAM10000 at 200x150 (a fixed sample, one picture a lesion) and at 600x450, ISIC 2018 artefact pictures, and from
the small ones off-centre crops and 2x2 mosaics, where a prior for the centre cannot help. HAM10000 is split by lesion:
the rules were developed on one half (``--half tune``) and are reported on the other (``--half report``, the default).
With ``--unseen FILE`` only pictures that a table with a column ``image_id`` names are taken at 200x150: those whose
lesions the network was not trained on. Maps: the network's, the same network's with random weights, a centre Gaussian,
and none (the same everywhere).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from camviewer.catalogue.refinements import REFINEMENTS
from camviewer.evaluation.controls import centre_gaussian
from camviewer.evaluation.localisation import energy_inside, grid_pointing, tile
from camviewer.evaluation.tally import Tally
from camviewer.images.decode import read_image
from camviewer.pipeline.truth import read_truth
from camviewer.regions import consensus, edge
from camviewer.regions.measures import iou, thresholded_jaccard
from camviewer.regions.refine import refine_mask
from camviewer.regions.rules import RegionRule

SOURCES = ("HAM 200x150", "HAM 600x450", "ISIC artefacts", "demo")
OFF_CENTRE = ("crops", "mosaics")
CROP = 0.6
OFF = 0.25
FOLDS = 5
VOTES = (0.25, 0.35, 0.5)
EDGES = (0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Sample:
    """A picture, its true mask, and for a mosaic which tile is meant."""

    name: str
    pixels: np.ndarray
    truth: np.ndarray
    tile: int | None = None


Maps = Callable[[Sample], np.ndarray | None]


def half_of(lesion: str) -> str:
    return ("tune", "report")[hashlib.sha256(lesion.encode()).digest()[0] & 1]


def load(folder: Path, stem: str) -> Sample | None:
    picture = next(iter(folder.glob(f"images/{stem}.*")), None)
    mask = folder / "masks" / f"{stem}_segmentation.png"
    if picture is None or not mask.is_file():
        return None
    pixels = read_image(picture)
    truth = read_truth(mask, (pixels.shape[1], pixels.shape[0]))
    return None if truth is None else Sample(stem, pixels, truth)


def named(table: Path) -> set[str]:
    """Return the images that a table names."""
    with table.open(encoding="utf-8", newline="") as handle:
        return {row["image_id"] for row in csv.DictReader(handle)}


def ham_small(data: Path, half: str, count: int, *, allowed: set[str] | None = None) -> list[Sample]:
    folder = data / "ham10000_200x150"
    with (folder / "HAM10000_metadata.csv").open(encoding="utf-8") as handle:
        first = {row["lesion_id"]: row["image_id"] for row in reversed(list(csv.DictReader(handle)))}
    if allowed is not None:
        first = {lesion: stem for lesion, stem in first.items() if stem in allowed}
    stems = sorted(stem for lesion, stem in first.items() if half_of(lesion) == half)
    random.Random(0).shuffle(stems)
    samples = (load(folder, stem) for stem in stems)
    found: list[Sample] = []
    for sample in samples:
        if len(found) == count:
            break
        if sample is not None and sample.truth.any():
            found.append(sample)
    return found


def folder_of(data: Path, name: str, half: str) -> list[Sample]:
    lesions: dict[str, str] = {}
    with (data / "ham10000_200x150" / "HAM10000_metadata.csv").open(encoding="utf-8") as handle:
        lesions = {row["image_id"]: row["lesion_id"] for row in csv.DictReader(handle)}
    folder = data / name
    stems = sorted(path.stem for path in (folder / "images").iterdir())
    if name.startswith("ham"):
        stems = [stem for stem in stems if half_of(lesions.get(stem, stem)) == half]
    return [sample for stem in stems if (sample := load(folder, stem)) is not None]


def demo(half: str) -> list[Sample]:
    """Return the demo's pictures, every second one of the half."""
    folder = Path(__file__).resolve().parents[1] / "resources" / "demo"
    found = []
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        mask = folder / "masks" / f"{path.stem}_segmentation.png"
        if (number % 2 == 1) == (half == "report") and mask.is_file():
            pixels = read_image(path)
            truth = read_truth(mask, (pixels.shape[1], pixels.shape[0]))
            if truth is not None:
                found.append(Sample(path.stem, pixels, truth))
    return found


def crops(samples: list[Sample]) -> Iterator[Sample]:
    """Yield random crops of 60 % of each side whose lesion has its centroid at least 25 % off the middle."""
    rng = np.random.default_rng(0)
    for sample in samples:
        height, width = sample.truth.shape
        high, wide = round(CROP * height), round(CROP * width)
        for _ in range(400):
            y, x = int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1))
            part = sample.truth[y : y + high, x : x + wide]
            if part.sum() < 0.5 * sample.truth.sum() or part.mean() > 0.7:
                continue
            rows, columns = np.nonzero(part)
            if max(abs(rows.mean() / high - 0.5), abs(columns.mean() / wide - 0.5)) >= OFF:
                yield Sample(sample.name, sample.pixels[y : y + high, x : x + wide].copy(), part.copy())
                break


def mosaics(samples: list[Sample]) -> Iterator[Sample]:
    """Yield 2x2 mosaics of four pictures; one tile, drawn at random, is meant."""
    rng = np.random.default_rng(0)
    height, width = samples[0].truth.shape
    for first in range(0, len(samples) - 3, 4):
        meant = int(rng.integers(4))
        pixels = np.zeros((2 * height, 2 * width, 3), np.uint8)
        truth = np.zeros((2 * height, 2 * width), bool)
        for index, sample in enumerate(samples[first : first + 4]):
            place = tile(index, (2 * width, 2 * height))
            pixels[place] = cv2.resize(sample.pixels, (width, height)).reshape(-1, 3)
            if index == meant:
                mask = cv2.resize(sample.truth.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
                truth[place] = mask.reshape(-1) > 0
        yield Sample(samples[first + meant].name, pixels, truth, meant)


class Network:
    """Maps of a network, or of the same one with random weights: of the class that it gives the meant picture."""

    def __init__(self, weights: Path, model: str | None, method: str, tta: str, pictures: list[np.ndarray]) -> None:
        from camviewer.cam.explainer import Explainer
        from camviewer.evaluation.controls import random_weights
        from camviewer.models.load import load_classifier
        from camviewer.models.records import LoadRequest

        classifier = load_classifier(LoadRequest(model=model, weights=weights))
        self.name = f"{classifier.identity.architecture}, {classifier.identity.weights}"
        self._method, self._tta = method, tta
        self.trained = Explainer(classifier)
        self.random = Explainer(random_weights(classifier, pictures=pictures))

    def maps(self, explainer: object, single: dict[str, Sample]) -> Maps:
        from camviewer.cam.explainer import Explainer
        from camviewer.cam.requests import MapRequest

        assert isinstance(explainer, Explainer)
        classes: dict[str, int] = {}

        def make(sample: Sample) -> np.ndarray:
            chosen: str | tuple[int, ...] = "predicted"
            if sample.tile is not None:
                # Of a mosaic the map of the class that the meant picture has by itself.
                if sample.name not in classes:
                    request = MapRequest(methods=(self._method,))
                    classes[sample.name] = explainer.explain(single[sample.name].pixels, request).scores[0].index
                chosen = (classes[sample.name],)
            found = explainer.explain(
                sample.pixels, MapRequest(methods=(self._method,), classes=chosen, tta=self._tta)
            ).maps[0]
            return found.geometry.upsample(found.values)

        return make


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    set: str
    images: int
    map: str
    refine: str
    iou: float
    interval: tuple[float, float]
    thresholded_jaccard: float
    dice: float
    empty: float
    auc: float | None
    best70_iou: float | None
    best70_failed: float | None
    risk_coverage: tuple[float, ...]
    milliseconds: float
    grid_pointing: float | None = None
    grid_energy: float | None = None


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean."""
    drawn = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def measure(name: str, samples: list[Sample], kind: str, values: list[np.ndarray], refine: str) -> Line:
    tally, seconds = Tally(), 0.0
    for sample, found in zip(samples, values, strict=True):
        start = time.process_time()
        mask = refine_mask(sample.pixels, found, RegionRule(refine=refine), judge=True)
        seconds += time.process_time() - start
        tally.add_mask(mask.pixels, sample.truth, doubt=mask.doubt)
    masks, triage = tally.masks(), tally.triage()
    assert masks is not None and triage is not None
    tiled = [(found, sample.tile) for sample, found in zip(samples, values, strict=True) if sample.tile is not None]
    return Line(
        name,
        len(samples),
        kind,
        refine,
        masks.iou,
        interval(tally.overlaps),
        masks.thresholded_jaccard,
        masks.dice,
        masks.empty,
        triage.auc,
        triage.kept_iou,
        triage.kept_failed,
        triage.risk_coverage,
        1000 * seconds / len(samples),
        float(np.mean([grid_pointing(found, index) for found, index in tiled])) if tiled else None,
        float(np.nanmean([energy_inside(f, tile(i, (f.shape[1], f.shape[0]))) for f, i in tiled])) if tiled else None,
    )


def cross_validated(samples: list[Sample], values: list[np.ndarray]) -> tuple[list[float], set[tuple[float, float]]]:
    """Return overlaps of the default's masks with its two constants of size chosen without the picture, and choices.

    Five folds; the other four choose the share of votes and the level of the edge that give the best mean.
    """
    given = consensus.VOTE, edge.LEVEL
    table: dict[tuple[float, float], list[float]] = {}
    try:
        for choice in itertools.product(VOTES, EDGES):
            consensus.VOTE, edge.LEVEL = choice
            masks = (refine_mask(x.pixels, v, RegionRule(refine="auto")) for x, v in zip(samples, values, strict=True))
            table[choice] = [iou(mask.pixels, x.truth) for mask, x in zip(masks, samples, strict=True)]
    finally:
        consensus.VOTE, edge.LEVEL = given
    held: list[float] = []
    chosen = set()
    for fold in range(FOLDS):
        best = max(table, key=lambda choice: sum(v for i, v in enumerate(table[choice]) if i % FOLDS != fold))
        held += table[best][fold::FOLDS]
        chosen.add(best)
    return held, chosen


def show(lines: list[Line]) -> None:
    print(
        f"{'set':22}{'map':10}{'refine':11}{'IoU':>7}{'95 %':>12}{'J>=.65':>8}{'Dice':>7}"
        f"{'AUC':>7}{'best70':>8}{'fail':>7}{'ms':>6}"
    )
    for line in lines:
        rest = "".join(
            f"{'-' if value is None else f'{value:.3f}':>{width}}"
            for value, width in ((line.auc, 7), (line.best70_iou, 8), (line.best70_failed, 7))
        )
        grid = f"  grid pointing {line.grid_pointing:.2f}" if line.grid_pointing is not None else ""
        print(
            f"{line.set + f' ({line.images})':22}{line.map:10}{line.refine:11}{line.iou:7.3f}"
            f"{f'{line.interval[0]:.2f}-{line.interval[1]:.2f}':>12}"
            f"{line.thresholded_jaccard:8.3f}{line.dice:7.3f}{rest}{line.milliseconds:6.0f}{grid}"
        )
        print("  IoU of the least doubtful 10, 20 ... %: " + " ".join(f"{value:.3f}" for value in line.risk_coverage))


def sheet(file: Path) -> None:
    """Write twenty demo pictures with the true outline, what the threshold keeps, and the default mask."""
    samples = (demo("tune") + demo("report"))[:28]
    chosen = [samples[round(i * (len(samples) - 1) / 19)] for i in range(20)]
    weights = Path(__file__).resolve().parents[1] / "resources" / "demo" / "model.safetensors"
    network = Network(weights, None, "gradcam", "none", [chosen[0].pixels])
    make = network.maps(network.trained, {})
    tiles = []
    for sample in chosen:
        values = make(sample)
        assert values is not None
        masks = (
            (sample.truth, (0, 200, 0)),
            (refine_mask(sample.pixels, values, RegionRule()).pixels, (240, 220, 60)),
            (refine_mask(sample.pixels, values, RegionRule(refine="auto")).pixels, (230, 40, 40)),
        )
        picture = cv2.resize(sample.pixels, (280, 210), interpolation=cv2.INTER_AREA)
        for mask, colour in masks:
            small = cv2.resize(mask.astype(np.uint8), (280, 210), interpolation=cv2.INTER_NEAREST)
            outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(picture, outlines, -1, colour, 2, cv2.LINE_AA)
        tiles.append(cv2.copyMakeBorder(picture, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    rows = [np.hstack(tiles[start : start + 5]) for start in range(0, 20, 5)]
    whole = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(file), whole, [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(), help="folder of the sets")
    parser.add_argument("--weights", type=Path, help="network of the maps; without, only the controls without one")
    parser.add_argument("--model", help="its architecture, where the file does not tell")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--tta", default="flip", help="none, flip or multiscale")
    parser.add_argument("--count", type=int, default=500, help="pictures of the large set")
    parser.add_argument("--unseen", type=Path, help="CSV file of the pictures that the network has not seen")
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--refine", default=",".join(spec.name for spec in REFINEMENTS))
    parser.add_argument("--sets", help="names of the sets to measure, with commas between (default: all)")
    parser.add_argument("--maps", help="of network, random, centre, none (default: all)")
    parser.add_argument("--cross-validate", action="store_true", help="also the artefact pictures in five folds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="only write a picture of twenty demo images side by side")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.sheet is not None:
        sheet(given.sheet)
        return

    allowed = named(given.unseen) if given.unseen is not None else None
    small = ham_small(given.data, given.half, given.count, allowed=allowed)
    large = folder_of(given.data, "ham10000_600x450", given.half)
    sets = {
        "demo": demo(given.half),
        "HAM 200x150": small,
        "HAM 600x450": large,
        "HAM 600x450 unseen": [sample for sample in large if allowed is not None and sample.name in allowed],
        "ISIC artefacts": folder_of(given.data, "isic2018_artefacts_512", given.half),
        "crops": list(crops(small)),
        "mosaics": list(mosaics(small)),
    }
    sets = {name: samples for name, samples in sets.items() if samples}
    kinds: dict[str, Maps] = {}
    if given.weights is not None:
        network = Network(given.weights, given.model, given.method, given.tta, [sample.pixels for sample in small[:16]])
        print(f"Network: {network.name}; {given.method}, {given.tta}")
        single = {sample.name: sample for sample in small}
        kinds["network"] = network.maps(network.trained, single)
        kinds["random"] = network.maps(network.random, single)
    kinds["centre"] = lambda sample: centre_gaussian((sample.truth.shape[1], sample.truth.shape[0]))
    kinds["none"] = lambda sample: np.ones(sample.truth.shape, np.float32)

    if given.sets is not None:
        sets = {name: sets[name] for name in given.sets.split(",")}
    if given.maps is not None:
        kinds = {kind: kinds[kind] for kind in given.maps.split(",")}
    lines: list[Line] = []
    for name, samples in sets.items():
        for kind, make in kinds.items():
            values = [np.asarray(make(sample), np.float32) for sample in samples]
            found = [measure(name, samples, kind, values, refine) for refine in given.refine.split(",")]
            show(found)
            if given.cross_validate and name == "ISIC artefacts":
                held, choices = cross_validated(samples, values)
                print(
                    f"  cross-validated: IoU {np.mean(held):.3f} ({'-'.join(f'{v:.2f}' for v in interval(held))}), "
                    f"J>=.65 {np.mean([thresholded_jaccard(v) for v in held]):.3f}; chosen {sorted(choices)}"
                )
            sys.stdout.flush()
            lines += found
    print()
    for kind in kinds:
        for refine in given.refine.split(","):
            own = {line.set: line.iou for line in lines if (line.map, line.refine) == (kind, refine)}
            for title, chosen in (("macro-mean over sources", SOURCES), ("off-centre", OFF_CENTRE)):
                found = [own[name] for name in chosen if name in own]
                if found:
                    print(f"{title} ({len(found)} sets), {kind}, {refine}: IoU {np.mean(found):.3f}")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(line) for line in lines], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
