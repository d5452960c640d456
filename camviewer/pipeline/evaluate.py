"""Measuring an explain folder against true regions, always beside controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.cam.requests import MapRequest
from camviewer.errors import CamviewerError, Cancelled, UsageError
from camviewer.evaluation.tally import MapMeasures, MaskMeasures, Tally, TriageMeasures
from camviewer.formats.explain_reader import ExplainFolder, ImageRow, MapRow, read_explain
from camviewer.images.decode import read_image
from camviewer.images.geometry import FloatMap, Size
from camviewer.models.records import LoadRequest
from camviewer.pipeline.attention_check import AttentionFigures, AttentionTally
from camviewer.pipeline.truth import Truth, TruthFolder
from camviewer.project.records import Run
from camviewer.regions.artefacts import find_artefacts
from camviewer.regions.find import BoolMask
from camviewer.regions.refine import refine_mask

if TYPE_CHECKING:
    from camviewer.cam.explainer import Explainer
    from camviewer.evaluation.fidelity import Faithfulness, FaithfulnessTally
    from camviewer.models.classifier import Classifier

Pixels = NDArray[np.uint8]
Group = tuple[str, str]
"""Method and layer."""

SIDE = 256
"""Longer side of the grid that maps are measured on; masks are measured at full size."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: method and layer, or the control.
        control: empty, ``centre`` or ``random``.
    """

    name: str
    control: str
    masks: MaskMeasures | None
    maps: MapMeasures | None
    triage: TriageMeasures | None
    faithfulness: Faithfulness | None = None
    attention: AttentionFigures | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured.

    Attributes:
        images: with truth.
        missing: images without truth, by file.
        problems: sentences about images that could not be measured.
        notes: sentences about the measurement as a whole.
    """

    images: int
    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def evaluate(
    folder: Path,
    truth: Path,
    *,
    load: LoadRequest | None = None,
    faithfulness: bool = False,
    attention: bool = False,
    on_image: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Report:
    """Measure the first class's map of each method and layer, and its mask, against what is true.

    Args:
        folder: of ``explain.json``.
        truth: masks or a COCO file, see `TruthFolder`.
        load: the run's network; then the same network with random weights is a second control.
        faithfulness: measure faithfulness too; needs `load`.
        attention: say how much of the maps lies on the lesion, the border and artefacts, and with `load` how the
            probability moves when each artefact is inpainted away.
        on_image: is told how many images are done, and of how many.
        cancelled: asked between images.

    Raises:
        UsageError: when there is no truth, no map, or `load` is another network than the run's.
        FormatError: when the folder or a COCO file is malformed.
        Cancelled: when `cancelled` returned True.
    """
    results = read_explain(folder)
    known = TruthFolder(truth)
    return _Measurement(results, known, load, faithfulness, attention).run(on_image, cancelled)


class _Measurement:
    def __init__(
        self,
        results: ExplainFolder,
        known: TruthFolder,
        load: LoadRequest | None,
        faithfulness: bool,
        attention: bool,
    ) -> None:
        self._attention: dict[Group, AttentionTally] = {}
        self._attentive = attention
        self._results = results
        self._known = known
        self._run: Run = results.run
        self._tallies: dict[tuple[str, Group], Tally] = {}
        self._network = _Network(results, load, faithfulness) if load is not None else None
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._missing: list[str] = []

    def run(self, on_image: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None) -> Report:
        rows = [row for row in self._results.images if row.error is None]
        if not any(row.maps or row.masks for row in rows):
            raise UsageError(f"{self._results.folder} holds no maps and no masks. Explain images first.")
        measured = 0
        for number, row in enumerate(rows):
            if cancelled is not None and cancelled():
                raise Cancelled
            try:
                found = self._known.find(row.file, row.size, source=row.source)
                if found is None:
                    self._missing.append(row.file)
                else:
                    self._measure(row, found)
                    measured += 1
            except UsageError:
                raise
            except CamviewerError as error:
                self._problems.append(f"{row.file}: {error.message}")
            if on_image is not None:
                on_image(number + 1, len(rows))
        if not measured:
            raise UsageError(
                self._problems[0]
                if self._problems
                else f"None of the {len(rows)} images has a mask there. A mask of a.jpg is called a_segmentation.png."
            )
        return Report(
            measured,
            tuple(self._rows()),
            tuple(self._missing),
            tuple(self._problems),
            tuple(dict.fromkeys(self._notes)),
        )

    def _measure(self, row: ImageRow, truth: Truth) -> None:
        pixels = self._pixels(row)
        scale = min(1.0, SIDE / max(row.size))
        grid = (max(1, round(row.size[0] * scale)), max(1, round(row.size[1] * scale)))
        for entry in _first_of_each(row.maps):
            group = (entry.method, entry.layer)
            if entry.file is not None:
                values = self._results.geometry(row, entry).upsample(self._results.read_map(entry), size=grid)
                self._add_map("", group, values, truth, row.size)
            mask = next((mask for mask in row.masks if mask.map == entry.id), None)
            if mask is not None and truth.mask is not None:
                drawn = self._results.read_mask(row, mask)
                self._tally("", group).add_mask(drawn, truth.mask, doubt=mask.doubt)
        if row.maps:
            self._control("centre", ("centre Gaussian", ""), _centre(row.size), row, truth, pixels)
        if self._network is not None and pixels is not None and row.maps:
            for group, values in self._network.random_maps(pixels, _first_of_each(row.maps)):
                self._control("random", group, values, row, truth, pixels)
            self._network.measure(pixels, row)
        if self._attentive and pixels is not None and truth.mask is not None:
            self._look(row, pixels, truth.mask)

    def _look(self, row: ImageRow, pixels: Pixels, truth: BoolMask) -> None:
        """Count where the maps of an image look."""
        artefacts = find_artefacts(pixels)
        for entry in _first_of_each(row.maps):
            if entry.file is None:
                continue
            values = self._results.geometry(row, entry).upsample(self._results.read_map(entry))
            self._attention.setdefault((entry.method, entry.layer), AttentionTally()).add(
                values,
                truth,
                artefacts,
                pixels=pixels,
                class_index=entry.class_index,
                scores=self._network.probabilities if self._network is not None else None,
            )

    def _control(
        self, kind: str, group: Group, values: FloatMap, row: ImageRow, truth: Truth, pixels: Pixels | None
    ) -> None:
        scale = min(1.0, SIDE / max(row.size))
        grid = (max(1, round(row.size[0] * scale)), max(1, round(row.size[1] * scale)))
        small = np.asarray(cv2.resize(values, grid, interpolation=cv2.INTER_AREA), dtype=np.float32)
        self._add_map(kind, group, small, truth, row.size)
        if truth.mask is None or not row.masks:
            return
        rule = self._run.rule
        if pixels is None:
            if rule.refine != "none":
                return  # a control without the refinement would be no match
            pixels = np.zeros((row.size[1], row.size[0], 3), dtype=np.uint8)
        self._tally(kind, group).add_mask(refine_mask(pixels, values, rule).pixels, truth.mask)

    def _add_map(self, kind: str, group: Group, values: FloatMap, truth: Truth, size: Size) -> None:
        height, width = values.shape
        across, down = width / size[0], height / size[1]
        mask = None
        if truth.mask is not None:
            small = cv2.resize(truth.mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
            mask = np.asarray(small, dtype=np.bool_)
        boxes = [(x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in truth.boxes]
        self._tally(kind, group).add_map(values, mask, boxes, scale=across)

    def _tally(self, kind: str, group: Group) -> Tally:
        return self._tallies.setdefault((kind, group), Tally())

    def _pixels(self, row: ImageRow) -> Pixels | None:
        """Return the image where a control needs it and it can still be read."""
        if self._network is None and not self._attentive and self._run.rule.refine == "none":
            return None
        if row.source is None or not row.source.is_file():
            self._notes.append(
                "Images are no longer where they were, so controls that need them are left out for them."
            )
            return None
        pixels = read_image(row.source)
        if (pixels.shape[1], pixels.shape[0]) != row.size:
            self._notes.append("Images have changed since, so controls that need them are left out for them.")
            return None
        return pixels

    def _rows(self) -> list[Row]:
        rows = []
        for kind, group in sorted(self._tallies, key=lambda key: ("", "centre", "random").index(key[0])):
            tally = self._tallies[kind, group]
            method, layer = group
            name = f"{method} at {layer}" if layer else method
            name = f"random weights, {name}" if kind == "random" else name
            faithful = self._network.faithfulness(group) if self._network is not None and not kind else None
            looks = self._attention.get(group) if not kind else None
            found = looks.figures() if looks is not None else None
            rows.append(Row(name, kind, tally.masks(), tally.maps(), tally.triage(), faithful, found))
        return rows


class _Network:
    """The run's network and its random twin."""

    def __init__(self, results: ExplainFolder, load: LoadRequest, faithfulness: bool) -> None:
        from camviewer.models.load import load_classifier

        self._run = results.run
        self._results = results
        self._classifier: Classifier = load_classifier(load)
        identity = self._classifier.identity
        if identity.weights_sha256 != self._run.weights_sha256 or len(identity.classes) != len(self._run.classes):
            raise UsageError(
                f"{identity.weights} is not what made these maps ({self._run.weights}). Name the weights of the run."
            )
        self._random: Explainer | None = None
        self._pictures: list[Pixels] = []
        self._wanted = faithfulness
        self._tallies: dict[Group, FaithfulnessTally] = {}

    def random_maps(self, pixels: Pixels, wanted: Sequence[MapRow]) -> list[tuple[Group, FloatMap]]:
        """Return the random network's maps of the same class, upsampled to the image."""
        explainer = self._explainer()
        run = self._run
        request = MapRequest(
            methods=run.methods,
            classes=tuple(dict.fromkeys(row.class_index for row in wanted)),
            layers=run.layers,
            parameters=run.method_parameters,
            target=run.target,
            offset=run.offset,
            tta=run.tta,
            fuse=run.fuse,
            seed=run.seed,
        )
        maps = explainer.explain(pixels, request).maps
        found = []
        for row in wanted:
            for made in maps:
                if (made.method, made.layer, made.class_index) == (row.method, row.layer, row.class_index):
                    found.append(((row.method, row.layer), made.geometry.upsample(made.values)))
                    break
        return found

    def _explainer(self) -> Explainer:
        if self._random is None:
            from camviewer.cam.explainer import Explainer
            from camviewer.evaluation.controls import CALIBRATION, random_weights

            pictures: list[Pixels] = []
            for row in self._results.images:
                if len(pictures) < CALIBRATION and row.source is not None and row.source.is_file():
                    try:
                        pictures.append(read_image(row.source))
                    except CamviewerError:
                        continue
            self._random = Explainer(random_weights(self._classifier, seed=self._run.seed, pictures=pictures))
        return self._random

    def probabilities(self, pixels: Pixels) -> NDArray[np.float64]:
        """Return the probability of each class for an upright image."""
        import torch

        classifier = self._classifier
        with torch.no_grad():
            found = classifier.probabilities(classifier.logits(classifier.prepare(pixels)[0]))[0]
        return np.asarray(found.double().cpu().numpy(), dtype=np.float64)

    def measure(self, pixels: Pixels, row: ImageRow) -> None:
        """Count faithfulness of an image's maps, where it is wanted."""
        if not self._wanted:
            return
        from camviewer.evaluation.fidelity import FaithfulnessTally

        for entry in _first_of_each(row.maps):
            if entry.file is not None:
                tally = self._tallies.setdefault((entry.method, entry.layer), FaithfulnessTally(self._classifier))
                values = self._results.read_map(entry)
                tally.add(pixels, values, self._results.geometry(row, entry), entry.class_index)

    def faithfulness(self, group: Group) -> Faithfulness | None:
        """Return the means over the images of a row."""
        tally = self._tallies.get(group)
        return tally.value() if tally is not None else None


def _first_of_each(maps: Sequence[MapRow]) -> list[MapRow]:
    """Return the first map (that of the best class) of each method and layer."""
    found: dict[Group, MapRow] = {}
    for row in maps:
        found.setdefault((row.method, row.layer), row)
    return list(found.values())


def _centre(size: Size) -> FloatMap:
    from camviewer.evaluation.controls import centre_gaussian

    return centre_gaussian(size)
