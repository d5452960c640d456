"""Guided fine-tuning as a whole: pictures, masks and a network in; a network that looks where the masks are out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import CamviewerError, CheckpointError, UsageError
from camviewer.evaluation.localisation import energy_gain, energy_inside, pointing
from camviewer.images.geometry import FloatMap
from camviewer.models.checkpoint import save_checkpoint
from camviewer.models.classifier import Classifier
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.models.rehead import checkpoint_info, file_info
from camviewer.pipeline.overlays import overlay
from camviewer.pipeline.truth import TruthFolder
from camviewer.project.records import BoolMask
from camviewer.project.store import Project
from camviewer.training.datasets import LabelledImages, split
from camviewer.training.guided import (
    GuidedPictures,
    GuidedReport,
    GuidedSettings,
    check_guidable,
    guide,
    mask_to_input,
    to_input,
)
from camviewer.training.project_labels import is_project
from camviewer.training.sources import read_source

Pixels = NDArray[np.uint8]

CHECKPOINT = "guided.safetensors"
RECORD = "guided.json"
SIDE = 192
"""Longer side of the pictures that are shown side by side, and of the grid that maps are measured on."""
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Look:
    """Where a network looks, means over pictures it was not guided by.

    Attributes:
        images: with a mask.
        inside: share of the map's positive part in the mask.
        gain: the same over the mask's share of the picture; 1 is chance.
        pointing: how often the map's maximum lies in the mask.
        accuracy: share of right predictions.
    """

    images: int
    inside: float
    gain: float
    pointing: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One picture before and after, ``[h, w, 3]`` uint8 each.

    Attributes:
        picture: with the outline of the mask.
        before, after: the map over the picture.
        inside: share of the map in the mask, before and after.
    """

    name: str
    picture: Pixels
    before: Pixels
    after: Pixels
    inside: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class GuideResult:
    """What guiding leaves behind.

    Attributes:
        checkpoint: loads like any other.
        before, after: measured on pictures that were held out.
        pairs: some of these, side by side.
        reports: one an epoch.
        masks: pictures with a mask that guided.
        messages: sentences on what was left out.
    """

    checkpoint: Path
    before: Look
    after: Look
    pairs: tuple[Pair, ...]
    reports: tuple[GuidedReport, ...]
    masks: int
    messages: tuple[str, ...]


def guide_network(
    source: Path,
    load: LoadRequest,
    out: Path,
    *,
    masks: Path | None = None,
    settings: GuidedSettings | None = None,
    held_out: float = 0.3,
    images: Path | None = None,
    column: str | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[GuidedReport], None] | None = None,
    on_message: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> GuideResult:
    """Guide a network by masks and write it to `out`; the file it came from is left alone.

    Args:
        source: labelled pictures: project, folder a class, or CSV file.
        load: which network; its head must have class activation maps.
        out: folder of the checkpoint and of the pictures side by side (created).
        masks: folder of masks or COCO file; a project's reviewed masks when None.
        settings: how to guide.
        held_out: share of the pictures that judge and do not guide; groups stay on one side.
        images, column: of a CSV file.
        on_step, on_epoch, on_message: progress.
        cancelled: asked before each step.

    Raises:
        UsageError: when there is nothing to guide by or to judge by.
        CheckpointError, ModelError, ProjectError: when something cannot be read or written.
        Cancelled: when `cancelled` returned True; nothing is then written.
    """
    settings = settings or GuidedSettings()
    data = read_source(source, images=images, column=column)
    classifier = load_classifier(load)
    check_guidable(classifier)
    labels = _labels(data, classifier)
    known = _masks_of(source, data, masks)
    pictures, kept, messages = _in_memory(data, labels, known, classifier)
    for message in (*data.skipped, *messages):
        if on_message is not None:
            on_message(message)
    learnt, judged = split(data, held_out, seed=settings.seed)
    is_judge = np.isin(kept, judged) & pictures.masked
    guides = np.isin(kept, learnt)
    if not is_judge.any() or not (guides & pictures.masked).any():
        raise UsageError(
            f"{int(pictures.masked.sum())} pictures have a mask: too few to guide by some and judge by others. "
            "Review more masks."
        )
    judges = [int(index) for index in kept[is_judge]]
    before, maps_before = _look(classifier, data, labels, known, judges)
    part = GuidedPictures(
        pictures.pixels[guides], pictures.labels[guides], pictures.masks[guides], pictures.masked[guides]
    )
    reports = guide(classifier, part, settings, on_step=on_step, on_epoch=on_epoch, cancelled=cancelled)
    after, maps_after = _look(classifier, data, labels, known, judges)
    pairs = _pairs(data, known, judges, maps_before, maps_after)
    checkpoint = out / CHECKPOINT
    save_checkpoint(checkpoint, classifier.network, info=checkpoint_info(classifier, file_info(load)))
    result = GuideResult(checkpoint, before, after, pairs, reports, int(part.masked.sum()), (*data.skipped, *messages))
    _write(out, result, settings)
    return result


def _labels(data: LabelledImages, classifier: Classifier) -> NDArray[np.int64]:
    names = [name.casefold() for name in classifier.identity.classes]
    unknown = [name for name in data.classes if name.casefold() not in names]
    if unknown:
        raise UsageError(
            f"The network has no class {unknown[0]}; it has {', '.join(classifier.identity.classes[:8])}. "
            "Label the pictures with its classes."
        )
    index = np.array([names.index(name.casefold()) for name in data.classes], np.int64)
    labels: NDArray[np.int64] = index[data.labels]
    return labels


def _masks_of(source: Path, data: LabelledImages, masks: Path | None) -> Callable[[int, Pixels], BoolMask | None]:
    """Return what finds the mask of a picture by its index."""
    if masks is not None:
        folder = TruthFolder(masks)

        def of_folder(index: int, pixels: Pixels) -> BoolMask | None:
            found = folder.find(f"{data.names[index]}", (pixels.shape[1], pixels.shape[0]))
            return None if found is None else found.mask

        return of_folder
    if not is_project(source):
        raise UsageError("Name the folder of masks that tell where to look: --masks DIR.")
    held: dict[str, BoolMask] = {}
    with Project.open(source) as project:
        for record in project.images():
            if record.status == "reviewed" and record.id is not None:
                found = [mask.pixels for mask in project.final_masks(record.id) if mask.pixels.any()]
                if found:
                    held[str(record.path)] = np.any(found, axis=0)
    return lambda index, _pixels: held.get(data.names[index])


def _in_memory(
    data: LabelledImages,
    labels: NDArray[np.int64],
    masks: Callable[[int, Pixels], BoolMask | None],
    classifier: Classifier,
) -> tuple[GuidedPictures, NDArray[np.int64], list[str]]:
    rows: list[Pixels] = []
    marks: list[BoolMask] = []
    masked: list[bool] = []
    kept: list[int] = []
    messages: list[str] = []
    for index in range(len(data)):
        try:
            pixels = data.read(index)
            mask = masks(index, pixels)
        except CamviewerError as error:
            messages.append(f"{data.names[index]}: {error.message} It is left out.")
            continue
        row, plan = to_input(pixels, classifier)
        if rows and row.shape != rows[0].shape:
            raise UsageError("Guiding needs inputs of one size. Load the network with the resize mode squash.")
        rows.append(row)
        marks.append(mask_to_input(mask, plan) if mask is not None else np.zeros(row.shape[:2], np.bool_))
        masked.append(mask is not None and bool(marks[-1].any()))
        kept.append(index)
    if not rows:
        raise UsageError("None of the pictures can be read.")
    found = np.array(kept, np.int64)
    return GuidedPictures(np.stack(rows), labels[found], np.stack(marks), np.array(masked)), found, messages


def _look(
    classifier: Classifier,
    data: LabelledImages,
    labels: NDArray[np.int64],
    masks: Callable[[int, Pixels], BoolMask | None],
    indices: Sequence[int],
) -> tuple[Look, list[FloatMap]]:
    """Return the measures over pictures with masks, and their maps on the small grid."""
    explainer = Explainer(classifier)
    inside, gain, points, right, maps = [], [], [], [], []
    for index in indices:
        pixels = data.read(index)
        mask = masks(index, pixels)
        assert mask is not None
        found = explainer.explain(pixels, MapRequest(methods=("cam",), classes=(int(labels[index]),)))
        grid = _small((pixels.shape[1], pixels.shape[0]))
        values = found.maps[0].geometry.upsample(found.maps[0].values, size=grid)
        small = cv2.resize(mask.view(np.uint8), grid, interpolation=cv2.INTER_NEAREST) > 0
        inside.append(energy_inside(values, np.asarray(small)))
        gain.append(energy_gain(values, np.asarray(small)))
        points.append(pointing(values, np.asarray(small)))
        right.append(found.scores[0].index == labels[index])
        maps.append(values)
    # A map without anything positive looks nowhere, which is not inside.
    figures = [float(np.mean(np.nan_to_num(values))) for values in (inside, gain, points, right)]
    return Look(len(indices), *figures), maps


def _pairs(
    data: LabelledImages,
    masks: Callable[[int, Pixels], BoolMask | None],
    indices: Sequence[int],
    before: Sequence[FloatMap],
    after: Sequence[FloatMap],
) -> tuple[Pair, ...]:
    pairs = []
    for index, first, second in list(zip(indices, before, after, strict=True))[:SHOWN]:
        pixels = data.read(index)
        mask = masks(index, pixels)
        assert mask is not None
        grid = (first.shape[1], first.shape[0])
        small = np.asarray(Image.fromarray(pixels).resize(grid, Image.Resampling.BILINEAR))
        inner = np.asarray(cv2.resize(mask.view(np.uint8), grid, interpolation=cv2.INTER_NEAREST) > 0)
        share = (energy_inside(first, inner), energy_inside(second, inner))
        pairs.append(
            Pair(
                data.names[index],
                overlay(small, np.zeros_like(first), mask=inner),
                overlay(small, first, mask=inner),
                overlay(small, second, mask=inner),
                (float(np.nan_to_num(share[0])), float(np.nan_to_num(share[1]))),
            )
        )
    return tuple(pairs)


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _write(out: Path, result: GuideResult, settings: GuidedSettings) -> None:
    record = {
        "settings": asdict(settings),
        "masks": result.masks,
        "before": asdict(result.before),
        "after": asdict(result.after),
        "epochs": [asdict(report) for report in result.reports],
        "messages": list(result.messages),
    }
    try:
        (out / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        for number, pair in enumerate(result.pairs, start=1):
            row = np.concatenate([pair.picture, pair.before, pair.after], axis=1)
            Image.fromarray(row).save(out / f"before_after_{number:02d}.png")
    except OSError as error:
        raise CheckpointError(f"{out} cannot be written: {error.strerror}.", details=repr(error)) from error
