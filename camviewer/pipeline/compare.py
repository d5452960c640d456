"""Comparing checkpoints: the maps of the same images under each, and the same measures over all images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.catalogue.comparison import MEASURES
from camviewer.errors import CamviewerError, Cancelled, UsageError
from camviewer.evaluation.agreement import peak_distance, pearson, region_overlap
from camviewer.evaluation.controls import CALIBRATION, centre_gaussian, random_weights
from camviewer.evaluation.fidelity import FaithfulnessTally
from camviewer.evaluation.localisation import energy_inside, grid_pointing, pointing
from camviewer.evaluation.mosaics import Mosaic, draw_mosaics, join
from camviewer.evaluation.tally import Tally
from camviewer.images.geometry import FloatMap, Geometry, InputPlan
from camviewer.models.classifier import Classifier
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.pipeline.checkpoints import find_checkpoints, has_pooling_head
from camviewer.pipeline.compare_images import Picture, Pictures, find_pictures
from camviewer.pipeline.comparison import (
    CheckpointName,
    ComparedImage,
    ComparedRow,
    Comparison,
    ComparisonRequest,
    RowDone,
)
from camviewer.project.records import ActivationMap
from camviewer.regions.find import BoolMask, find_regions
from camviewer.regions.measures import iou
from camviewer.regions.rules import RegionRule
from camviewer.training.measures import accuracy, balanced_accuracy, confusion_matrix

Pixels = NDArray[np.uint8]

SIDE = 256
"""Longer side of the grid that maps are measured on."""
COMMON = (32, 32)
"""Grid on which the maps of two checkpoints are compared with each other."""
KEPT = 200
"""Images whose maps are kept to be looked at."""
RULE = RegionRule(rule="fraction", threshold=0.2, components="largest")


def compare(
    request: ComparisonRequest,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_row: Callable[[RowDone], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Comparison:
    """Return the maps and measures of all checkpoints on the same images, and of the controls.

    Args:
        request: what to compare.
        on_progress: images done under all checkpoints, and in all.
        on_row: is told each row once it is measured; the reference comes first.
        cancelled: asked between images and inside forward passes.

    Raises:
        UsageError: when there is nothing to compare, or no images.
        CheckpointError, ModelError: when a checkpoint cannot be loaded.
        Cancelled: when `cancelled` returned True.
    """
    names = find_checkpoints(request.checkpoints)
    if not -len(names) <= request.reference < len(names):
        raise UsageError(f"There are {len(names)} checkpoints; the reference cannot be number {request.reference}.")
    found = find_pictures(request.images, request.truth, folder=request.folder, limit=request.limit, seed=request.seed)
    return _Comparing(request, names, found, on_progress, on_row, cancelled).run()


@dataclass(slots=True, eq=False)
class _Look:
    """What one row makes of one image."""

    map: ActivationMap | None
    common: FloatMap | None
    shown: str
    predicted: tuple[str, float]
    probability: float | None
    inside: float | None = None
    hit: bool | None = None


@dataclass(slots=True, eq=False)
class _Measured:
    """A row with what it makes of every image, in the order of the images; None where one could not be computed."""

    row: ComparedRow
    looks: list[_Look | None]


class _Comparing:
    def __init__(
        self,
        request: ComparisonRequest,
        names: tuple[CheckpointName, ...],
        found: Pictures,
        on_progress: Callable[[int, int], None] | None,
        on_row: Callable[[RowDone], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._request, self._names, self._found = request, names, found
        self._on_progress, self._on_row, self._cancelled = on_progress, on_row, cancelled
        self._reference = request.reference % len(names)
        paths = [name.path for name in names if name.path is not None]
        self._method = request.method or ("cam" if all(map(has_pooling_head, paths)) else "gradcam")
        self._notes = list(found.notes)
        self._done = 0
        self._kinds: dict[tuple[str, str], int] = {}
        self._masks: dict[int, BoolMask | None] = {}
        self._shown: list[str] = [""] * len(found.items)
        self._against: list[_Look | None] = []
        labels = [found.classes.index(p.label) if p.label in found.classes else -1 for p in found.items]
        self._mosaics = draw_mosaics(labels, request.mosaics, seed=request.seed) if found.classes else ()
        passes = len(names) + (2 if request.controls else 0)
        self._total = passes * (len(found.items) + len(self._mosaics))

    def run(self) -> Comparison:
        order = [self._reference, *(i for i in range(len(self._names)) if i != self._reference)]
        measured: dict[int, _Measured] = {}
        controls: list[_Measured] = []
        for place in order:
            classifier = self._load(self._names[place])
            measured[place] = self._measure(self._names[place], classifier)
            self._tell(measured[place].row, place)
            if place == self._reference:
                self._against = measured[place].looks
                self._shown = [look.shown if look is not None else "" for look in self._against]
                if self._request.controls:
                    controls.append(self._centre(classifier))
            if self._request.controls:
                kind = classifier.identity.architecture, _head(classifier)
                if kind not in self._kinds:
                    self._kinds[kind] = len(self._kinds)
                    controls.insert(-1, self._random(self._names[place], classifier))
        ordered = [measured[place] for place in range(len(self._names))] + controls
        for place, control in enumerate(controls, len(self._names)):
            self._tell(control.row, place)
        if self._on_progress is not None:
            self._on_progress(self._total, self._total)
        return self._result(ordered)

    def _load(self, name: CheckpointName) -> Classifier:
        return load_classifier(LoadRequest(weights=name.path, device=self._request.device))

    def _tell(self, row: ComparedRow, place: int) -> None:
        if self._on_row is not None:
            self._on_row(RowDone(row, place, len(self._names) + len(self._kinds) + int(self._request.controls)))

    def _step(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        self._done += 1
        if self._on_progress is not None:
            # How many kinds of random networks there are shows on the way.
            self._total = max(self._total, self._done + 1)
            self._on_progress(self._done, self._total)

    def _random(self, name: CheckpointName, classifier: Classifier) -> _Measured:
        pictures: list[Pixels] = []
        for picture in self._found.items[:CALIBRATION]:
            pixels = self._read(picture)
            if pixels is not None:
                pictures.append(pixels)
        drawn = random_weights(classifier, seed=self._request.seed, pictures=pictures)
        kind = " ".join(name.series.split())
        return self._measure(CheckpointName(f"{kind} random", kind, None, None, "random"), drawn)

    # --- one row --------------------------------------------------------------------------------------------------

    def _measure(self, name: CheckpointName, classifier: Classifier) -> _Measured:
        explainer = Explainer(classifier)
        classes = self._match(classifier.identity.classes)
        tally, scores, faithful = _Localised(), _Predictions(), FaithfulnessTally(classifier)
        stable: list[float] = []
        looks: list[_Look | None] = []
        layer = ""
        for number, picture in enumerate(self._found.items):
            self._step()
            pixels = self._read(picture)
            look = None
            if pixels is not None:
                look = self._look(explainer, classes, pixels, number)
                scores.add(classes.get(picture.label), look.predicted[0], classifier.identity.classes)
            if pixels is not None and look is not None and look.map is not None:
                layer = look.map.layer
                values = look.map.geometry.upsample(look.map.values, size=_grid(look.map.geometry.image_size))
                mask = self._mask(number, (pixels.shape[1], pixels.shape[0]))
                if mask is not None:
                    look.inside, look.hit = tally.add(values, mask)
                if number < self._request.costly:
                    faithful.add(pixels, look.map.values, look.map.geometry, look.map.class_index)
                    stable.append(self._stability(explainer, pixels, look.map))
            looks.append(look)
        measures = {
            **scores.measures(),
            **tally.measures(),
            **self._faithful(faithful),
            **self._agreement(looks),
            "stability": _mean(stable),
            "grid_pointing": self._grid_pointing(explainer, classes),
        }
        curve = tally.curve()
        row = ComparedRow(
            name, _complete(measures), classifier.identity.architecture, _head(classifier), layer, curve[0], curve[1]
        )
        return _Measured(row, looks)

    def _look(self, explainer: Explainer, classes: dict[str, int], pixels: Pixels, number: int) -> _Look:
        picture = self._found.items[number]
        wanted: int | None = None
        if self._request.shown == "true":
            wanted = classes.get(picture.label, classes.get(self._shown[number]))
        request = MapRequest((self._method,), "predicted" if wanted is None else (wanted,), seed=self._request.seed)
        try:
            explanation = explainer.explain(pixels, request, cancelled=self._cancelled)
        except UsageError:
            raise
        except CamviewerError as error:
            if isinstance(error, Cancelled):
                raise
            raise type(error)(f"{picture.name}: {error.message}", details=error.details) from error
        best = explanation.scores[0]
        found = explanation.maps[0] if explanation.maps else None
        index = best.index if found is None else found.class_index
        score = next(score for score in explanation.scores if score.index == index)
        common = None if found is None else found.geometry.upsample(found.values, size=COMMON)
        return _Look(found, common, score.name, (best.name, best.probability), score.probability)

    def _stability(self, explainer: Explainer, pixels: Pixels, found: ActivationMap) -> float:
        """Return the mean correlation with the maps of the image mirrored either way, mirrored back."""
        request = MapRequest((self._method,), (found.class_index,), seed=self._request.seed)
        upright = found.geometry.upsample(found.values, size=COMMON)
        correlations = []
        for turn in ((slice(None), slice(None, None, -1)), (slice(None, None, -1), slice(None))):
            mirrored = explainer.explain(np.ascontiguousarray(pixels[turn]), request, cancelled=self._cancelled)
            other = mirrored.maps[0].geometry.upsample(mirrored.maps[0].values, size=COMMON)
            correlations.append(pearson(upright, np.ascontiguousarray(other[turn])))
        mean = _mean(correlations)
        return math.nan if mean is None else mean

    def _grid_pointing(self, explainer: Explainer, classes: dict[str, int]) -> float | None:
        hits = []
        for mosaic in self._mosaics:
            self._step()
            wanted = classes.get(self._found.items[mosaic.tiles[mosaic.meant]].label)
            tiles = self._tiles(mosaic)
            if wanted is None or tiles is None:
                continue
            request = MapRequest((self._method,), (wanted,), seed=self._request.seed)
            found = explainer.explain(join(tiles), request, cancelled=self._cancelled).maps[0]
            values = found.geometry.upsample(found.values, size=(SIDE, SIDE))
            hits.append(grid_pointing(values, mosaic.meant))
        return _mean(hits)

    def _tiles(self, mosaic: Mosaic) -> list[Pixels] | None:
        tiles = [self._read(self._found.items[index]) for index in mosaic.tiles]
        known = [tile for tile in tiles if tile is not None]
        return known if len(known) == len(tiles) else None

    def _agreement(self, looks: Sequence[_Look | None]) -> dict[str, float | None]:
        """Return how alike the maps are to the reference's; nothing for the reference itself."""
        pairs = [
            (mine.common, other.common)
            for mine, other in zip(looks, self._against, strict=False)
            if mine is not None and other is not None and mine.common is not None and other.common is not None
        ]
        return {
            "agreement": _mean([pearson(*pair) for pair in pairs]),
            "overlap": _mean([region_overlap(*pair) for pair in pairs]),
            "peak_distance": _mean([peak_distance(*pair) for pair in pairs]),
        }

    @staticmethod
    def _faithful(tally: FaithfulnessTally) -> dict[str, float | None]:
        found = tally.value()
        if found is None:
            return {}
        return {
            "average_drop": found.average_drop,
            "increase": found.increase,
            "average_gain": found.average_gain,
            "deletion": found.deletion_auc,
            "insertion": found.insertion_auc,
        }

    def _centre(self, classifier: Classifier) -> _Measured:
        """Measure a Gaussian in the centre; its faithfulness is that to the reference network."""
        tally, faithful = _Localised(), FaithfulnessTally(classifier)
        looks: list[_Look | None] = []
        for number, picture in enumerate(self._found.items):
            self._step()
            pixels, seen = self._read(picture), self._against[number]
            if pixels is None or seen is None or seen.map is None:
                looks.append(None)
                continue
            size = pixels.shape[1], pixels.shape[0]
            plan = InputPlan(size, COMMON, (0, 0), COMMON)
            geometry = Geometry(size, COMMON, COMMON, plan.input_to_image)
            values = centre_gaussian(COMMON)
            made = ActivationMap(seen.map.class_index, "centre", "", values, geometry)
            look = _Look(made, values, seen.shown, ("", 0.0), None)
            mask = self._mask(number, size)
            if mask is not None:
                look.inside, look.hit = tally.add(centre_gaussian(_grid(size)), mask)
            if number < self._request.costly:
                on_input = seen.map.geometry.input_size
                placed = replace(geometry, input_size=on_input, input_to_image=seen.map.geometry.input_to_image)
                faithful.add(pixels, values, placed, made.class_index)
            looks.append(look)
        measures = {**tally.measures(), **self._faithful(faithful), **self._agreement(looks), "stability": 1.0}
        name = CheckpointName("Centre Gaussian", "Centre Gaussian", None, None, "centre")
        curve = tally.curve()
        return _Measured(ComparedRow(name, _complete(measures), "", "", "", curve[0], curve[1]), looks)

    # --- images ---------------------------------------------------------------------------------------------------

    def _read(self, picture: Picture) -> Pixels | None:
        try:
            return picture.read()
        except CamviewerError as error:
            sentence = f"{error.message} It is left out."
            if sentence not in self._notes:
                self._notes.append(sentence)
            return None

    def _mask(self, number: int, size: tuple[int, int]) -> BoolMask | None:
        """Return the mask of an image on the grid that its maps are measured on."""
        if number not in self._masks:
            mask = self._found.items[number].mask(size) if self._found.masks else None
            if mask is not None and mask.any():
                small = cv2.resize(mask.view(np.uint8), _grid(size), interpolation=cv2.INTER_NEAREST)
                self._masks[number] = np.asarray(small, np.bool_)
            else:
                self._masks[number] = None
        return self._masks[number]

    def _match(self, network: tuple[str, ...]) -> dict[str, int]:
        """Return the network's class index of each label, by name, else by place where their number agrees."""
        by_name = {name.casefold(): index for index, name in enumerate(network)}
        data = self._found.classes
        if data and not any(name.casefold() in by_name for name in data):
            if len(data) == len(network):
                note = "The names of the labels are not those of the network, so both are matched by their order."
                if note not in self._notes:
                    self._notes.append(note)
                return {name: index for index, name in enumerate(data)} | {n: i for i, n in enumerate(network)}
            note = "The labels are no classes of the network, so they are not used."
            if note not in self._notes:
                self._notes.append(note)
        found = {name: by_name[name.casefold()] for name in data if name.casefold() in by_name}
        return {name: index for index, name in enumerate(network)} | found

    # --- the result -----------------------------------------------------------------------------------------------

    def _result(self, measured: list[_Measured]) -> Comparison:
        images = []
        for number, picture in enumerate(self._found.items[:KEPT]):
            looks = [entry.looks[number] for entry in measured]
            size = next((look.map.geometry.image_size for look in looks if look and look.map), None)
            if size is None:
                continue
            images.append(
                ComparedImage(
                    path=picture.path,
                    name=picture.name,
                    label=picture.label,
                    size=size,
                    maps=tuple(None if look is None else look.map for look in looks),
                    shown=tuple("" if look is None else look.shown for look in looks),
                    predicted=tuple(("", 0.0) if look is None else look.predicted for look in looks),
                    probability=tuple(None if look is None else look.probability for look in looks),
                    inside=tuple(None if look is None else look.inside for look in looks),
                    hit=tuple(None if look is None else look.hit for look in looks),
                    pixels=self._read(picture) if picture.path is None else None,
                )
            )
        if not images:
            raise UsageError(self._notes[-1] if self._notes else "None of the images can be read.")
        masked = sum(mask is not None for mask in self._masks.values())
        return Comparison(
            rows=tuple(entry.row for entry in measured),
            images=tuple(images),
            measured=sum(look is not None for look in measured[0].looks),
            masks=self._found.masks if masked else "",
            masked=masked,
            method=self._method,
            reference=self._reference,
            agreement=_pairwise(measured),
            notes=tuple(self._notes),
        )


class _Localised:
    """Localisation of one row: the measures of `Tally` and the region at 20 %."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._overlaps: list[float] = []
        self._inside: list[float] = []

    def add(self, values: FloatMap, mask: BoolMask) -> tuple[float | None, bool]:
        """Count a map on the grid of its mask; return its share inside and whether it points inside."""
        self._tally.add_map(values, mask, ())
        self._overlaps.append(iou(find_regions(values, RULE).mask, mask))
        inside = energy_inside(values, mask)
        return (None if math.isnan(inside) else inside), pointing(values, mask) > 0.5

    def measures(self) -> dict[str, float | None]:
        found = self._tally.maps()
        if found is None:
            return {}
        return {
            "pointing": found.pointing,
            "energy_inside": found.energy,
            "energy_gain": found.energy_gain,
            "iou20": _mean(self._overlaps),
            "best_iou": found.best_iou,
            "pxap": found.pxap,
        }

    def curve(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        found = self._tally.maps()
        return ((), ()) if found is None else (found.curve_threshold, found.curve_iou)


class _Predictions:
    """True and predicted classes of one row."""

    def __init__(self) -> None:
        self._true: list[int] = []
        self._predicted: list[int] = []
        self._count = 0

    def add(self, label: int | None, predicted: str, classes: tuple[str, ...]) -> None:
        """Count an image, where its label is a class of the network."""
        self._count = len(classes)
        if label is not None:
            self._true.append(label)
            self._predicted.append(classes.index(predicted))

    def measures(self) -> dict[str, float | None]:
        if not self._true:
            return {}
        confusion = confusion_matrix(np.array(self._true), np.array(self._predicted), self._count)
        return {"accuracy": accuracy(confusion), "balanced_accuracy": balanced_accuracy(confusion)}


def _pairwise(measured: Sequence[_Measured]) -> NDArray[np.float64]:
    networks = [entry for entry in measured if entry.row.name.control != "centre"]
    matrix = np.eye(len(networks))
    for (i, first), (j, second) in itertools.combinations(enumerate(networks), 2):
        mean = _mean(
            [
                pearson(a.common, b.common)
                for a, b in zip(first.looks, second.looks, strict=True)
                if a is not None and b is not None and a.common is not None and b.common is not None
            ]
        )
        matrix[i, j] = matrix[j, i] = math.nan if mean is None else mean
    return matrix


def _head(classifier: Classifier) -> str:
    return {"gap_linear": "gap", "gmp_linear": "gmp", "conv_gap": "gap"}.get(classifier.head.kind, "")


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _complete(measures: dict[str, float | None]) -> dict[str, float | None]:
    return {measure.name: measures.get(measure.name) for measure in MEASURES}


def _mean(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else None
