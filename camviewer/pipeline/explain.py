"""Explaining images: pixels to maps, maps to boxes and masks, a folder to an explain folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camviewer.cam.requests import Explanation, MapRequest
from camviewer.errors import CamviewerError, Cancelled, ExportError, ImageError, UsageError
from camviewer.evaluation.attention import survey
from camviewer.formats.explain_json import FILE, ExplainedBox, ExplainedMap, ExplainWriter, TopScore
from camviewer.images.geometry import FloatMap, Size
from camviewer.images.scan import ImageFile, scan
from camviewer.pipeline.computation import Computation
from camviewer.pipeline.decoder import Decoder
from camviewer.pipeline.overlays import overlay
from camviewer.pipeline.settings import THREE_VALUED, ExplainSettings
from camviewer.project.records import ActivationMap, BoolMask
from camviewer.regions.doubt import IGNORE, three_valued
from camviewer.regions.find import FoundBox, box_of, find_regions
from camviewer.regions.refine import refine_mask
from camviewer.regions.rules import RegionRule

Pixels = NDArray[np.uint8]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an image has no result: `CamviewerError.kind` (or ``unexpected``) and one sentence."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class MapResult:
    """One map with what was found in it.

    Attributes:
        map: raw map.
        boxes: of the raw map by the rule's threshold, whatever refines the mask; largest region first.
        mask: bool ``[height, width]`` of the upright image.
        level: threshold as a value of the raw map; NaN without evidence.
        refine: refinement that drew the mask.
        reason: why the mask is empty, for example ``no positive evidence``; else empty.
        doubt: how likely the mask is wrong, 0..1, see `camviewer.regions.doubt`.
        findings: artefacts in the image, and those that the map favours.
        attention: share of the map's positive part on the mask; None without one.
        band: where the mask's outline is uncertain; None when not asked for, or without evidence.
    """

    map: ActivationMap
    boxes: tuple[FoundBox, ...]
    mask: BoolMask
    level: float
    refine: str
    reason: str
    doubt: float | None = None
    findings: tuple[str, ...] = ()
    attention: float | None = None
    band: BoolMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """The result of one image.

    Attributes:
        size: upright (width, height); (0, 0) with an `error` before decoding.
        explanation: scores and maps; None with an `error`.
        maps: in the order of `explanation.maps`.
        error: why there is no result.
    """

    path: Path
    size: Size = (0, 0)
    explanation: Explanation | None = None
    maps: tuple[MapResult, ...] = ()
    error: Failure | None = None


def find_in_map(
    pixels: Pixels, found: ActivationMap, rule: RegionRule, *, values: FloatMap | None = None, band: bool = False
) -> MapResult:
    """Return the boxes and the mask of one map of an image.

    Args:
        pixels: upright image.
        found: raw map.
        rule: how regions are made.
        values: the map upsampled to the image, where that is known already.
        band: whether to say where the mask's outline is uncertain.

    Raises:
        UsageError: for a refinement or parameter that does not exist.
    """
    if values is None:
        values = found.geometry.upsample(found.values)
    regions = find_regions(values, rule)
    mask = refine_mask(pixels, values, rule, regions=regions, judge=True, band=band)
    seen = survey(pixels, values, mask.pixels)
    return MapResult(
        found,
        regions.boxes,
        mask.pixels,
        regions.level,
        mask.refine,
        mask.reason,
        mask.doubt,
        seen.findings,
        seen.inside,
        mask.band,
    )


def explain_image(
    computation: Computation,
    path: Path,
    pixels: Pixels,
    request: MapRequest,
    rule: RegionRule,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> ImageResult:
    """Return maps, boxes and masks of one decoded image; an error becomes part of the result.

    Raises:
        Cancelled: when `cancelled` returned True.
    """
    outcome = _attempt(computation, [path], [pixels], request, cancelled)[0]
    return complete(path, pixels, outcome, rule)


def complete(path: Path, pixels: Pixels | None, outcome: Explanation | Failure, rule: RegionRule) -> ImageResult:
    """Return the result of an image with the regions of all its maps."""
    if isinstance(outcome, Failure) or pixels is None:
        assert isinstance(outcome, Failure)
        return ImageResult(path, error=outcome)
    size = (pixels.shape[1], pixels.shape[0])
    try:
        maps = tuple(find_in_map(pixels, found, rule) for found in outcome.maps)
    except Exception as error:
        return ImageResult(path, size, error=failure_of(path, error))
    return ImageResult(path, size, outcome, maps)


def explain_group(
    computation: Computation,
    decoder: Decoder,
    paths: Sequence[Path],
    first: int,
    count: int,
    request: MapRequest,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> list[tuple[Pixels | None, Explanation | Failure]]:
    """Return the pixels and the explanation, or the failure, of up to `count` of `paths` from index `first` on.

    The images share passes. Where one of them makes the pass fail, each is tried by itself, so the others are spared.

    Raises:
        Cancelled: when `cancelled` returned True; asking for the same images again is cheap.
    """
    decoded = decoder.take(first, count)
    group = paths[first : first + len(decoded)]
    readable = [index for index, pixels in enumerate(decoded) if not isinstance(pixels, CamviewerError)]
    images = [pixels for pixels in decoded if not isinstance(pixels, CamviewerError)]
    explained = iter(_attempt(computation, [group[index] for index in readable], images, request, cancelled))
    return [
        (None, Failure(pixels.kind, pixels.message))
        if isinstance(pixels, CamviewerError)
        else (pixels, next(explained))
        for pixels in decoded
    ]


def _attempt(
    computation: Computation,
    paths: Sequence[Path],
    images: Sequence[Pixels],
    request: MapRequest,
    cancelled: Callable[[], bool] | None,
) -> list[Explanation | Failure]:
    if not images:
        return []
    try:
        return list(computation.explain_group(images, request, cancelled=cancelled))
    except Cancelled:
        raise
    except Exception as error:
        if len(images) == 1:
            return [failure_of(paths[0], error)]
        log.info("a group of %d images failed, each is tried by itself: %r", len(images), error)
    return [
        outcome
        for path, pixels in zip(paths, images, strict=True)
        for outcome in _attempt(computation, [path], [pixels], request, cancelled)
    ]


def failure_of(path: Path, error: Exception) -> Failure:
    """Return why an image has no result; the log gets what the sentence leaves out."""
    if isinstance(error, CamviewerError):
        log.info("%s: %s %s", path, error.message, error.details)
        return Failure(error.kind, error.message)
    log.error("%s cannot be computed", path, exc_info=error)
    name = os.fsencode(path.name).decode("utf-8", "replace")
    if isinstance(error, MemoryError):
        return Failure("memory", f"{name} cannot be computed. There is not enough memory for it.")
    return Failure("unexpected", f"{name} cannot be computed. The log tells why.")


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What is written about one image.

    Attributes:
        size: upright (width, height).
        top: scores, best first.
        maps: with the boxes, masks and overlays that are kept; made one after the other where only one is to be held.
        refused: by method that the network or layer does not have, why.
    """

    size: Size
    top: tuple[TopScore, ...]
    maps: Iterable[ExplainedMap]
    refused: Mapping[str, str]


def explained(pixels: Pixels, explanation: Explanation, settings: ExplainSettings) -> Explained:
    """Return what is written about an image, its maps lazily: one full-size mask is held for any number of classes."""
    top = tuple(TopScore(s.index, s.name, s.logit, s.probability) for s in explanation.scores)
    size = (pixels.shape[1], pixels.shape[0])
    return Explained(size, top, _explained_maps(pixels, explanation, settings), explanation.refused)


# --- a folder ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """What was done.

    Attributes:
        file: the ``explain.json`` that was written, None when the earlier one was kept.
        images: rows written.
        failed: of these, how many with an error.
        total: images that were asked for; more than `images` when cancelled.
    """

    file: Path | None
    images: int
    failed: int
    total: int


RowSource = Callable[
    [ExplainSettings, Sequence[ImageFile], Computation, Callable[[], bool] | None],
    Iterator[tuple[ImageFile, Explained | Failure]],
]
"""Yields what is written about each image, in order; raises `Cancelled` when asked to stop."""


def find_images(inputs: Sequence[Path]) -> list[ImageFile]:
    """Return the images of files and folders.

    Raises:
        UsageError: when an input is not there, or holds no image.
    """
    try:
        images = scan(inputs)
    except ImageError as error:
        raise UsageError(error.message, details=error.details) from error
    if not images:
        names = ", ".join(str(path) for path in inputs)
        raise UsageError(f"There are no images in {names}. JPEG, PNG, BMP, TIFF and WebP files are read.")
    return images


def explain_folder(
    settings: ExplainSettings,
    images: Sequence[ImageFile],
    computation: Computation,
    *,
    source: RowSource | None = None,
    on_image: Callable[[int, Path, Failure | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ExplainReport:
    """Explain `images` into ``settings.out``, in memory that does not grow with their number.

    A file that cannot be explained becomes a row with ``error``. An earlier ``explain.json`` is replaced when all
    images are done; when cancelled, or when the disk is full, it is kept, and only where there is none the finished
    images are written.

    Args:
        settings: what to do.
        images: of `find_images`.
        computation: the network of ``settings.load``.
        source: computes elsewhere than in this process, see `camviewer.pipeline.cluster`.
        on_image: is told how many images are done, the last one, and why it failed.
        cancelled: asked between and inside forward passes.

    Raises:
        UsageError, LayerError, MethodError, ModelError: when the network cannot do what is asked.
        ExportError: when the results cannot be written.
    """
    layers = computation.check(settings.maps)
    classes = len(computation.summary.identity.classes)
    if THREE_VALUED in settings.save and classes >= IGNORE:
        raise UsageError(
            f"A three-valued mask holds at most {IGNORE - 1} classes, and the model has {classes}. "
            f"Leave {THREE_VALUED} out of --save."
        )
    earlier = (settings.out / FILE).is_file()
    run = computation.run_record(settings.maps, settings.rule, layers=layers)
    done = failed = 0
    file: Path | None = None
    with ExplainWriter(settings.out, run, save_maps="maps" in settings.save) as writer:
        try:
            rows = (
                source(settings, images, computation, cancelled)
                if source is not None
                else (_local_rows(settings, images, computation, cancelled))
            )
            for image, row in rows:
                failure = _write(writer, image, row)
                done += 1
                failed += failure is not None
                if on_image is not None:
                    on_image(done, image.path, failure)
        except Cancelled:
            pass
        except ExportError:
            if not earlier and done:
                _finish_quietly(writer)
            raise
        if done == len(images) or (done and not earlier):
            file = writer.finish()
    return ExplainReport(file, done, failed, len(images))


def _finish_quietly(writer: ExplainWriter) -> None:
    try:
        writer.finish()
    except ExportError as error:
        log.warning("the finished images cannot be kept: %s", error.message)


def _local_rows(
    settings: ExplainSettings,
    images: Sequence[ImageFile],
    computation: Computation,
    cancelled: Callable[[], bool] | None,
) -> Iterator[tuple[ImageFile, Explained | Failure]]:
    paths = [image.path for image in images]
    size = computation.batch_size(settings.batch_size, settings.maps)
    with Decoder(paths, ahead=size) as decoder:
        for first in range(0, len(paths), size):
            if cancelled is not None and cancelled():
                raise Cancelled
            group = explain_group(computation, decoder, paths, first, size, settings.maps, cancelled=cancelled)
            for image, (pixels, outcome) in zip(images[first:], group, strict=False):
                if isinstance(outcome, Failure):
                    yield image, outcome
                else:
                    assert pixels is not None
                    yield image, explained(pixels, outcome, settings)


def _write(writer: ExplainWriter, image: ImageFile, row: Explained | Failure) -> Failure | None:
    if isinstance(row, Explained):
        try:
            writer.add_image(
                image.relative, size=row.size, top=row.top, maps=row.maps, refused=row.refused, source=image.path
            )
            return None
        except ExportError:
            raise
        except Exception as error:
            row = failure_of(image.path, error)
    written = CamviewerError(row.message)
    written.kind = row.kind
    writer.add_error(image.relative, written, source=image.path)
    return row


def _explained_maps(pixels: Pixels, explanation: Explanation, settings: ExplainSettings) -> Iterator[ExplainedMap]:
    """Yield one map after the other, so that only one full-size mask is held for any number of classes."""
    probability = {score.index: score.probability for score in explanation.scores}
    save = settings.save
    for found in explanation.maps:
        values = found.geometry.upsample(found.values)
        result = find_in_map(pixels, found, settings.rule, values=values, band=THREE_VALUED in save)
        around = box_of(result.mask, values, settings.rule) if "masks" in save else None
        yield ExplainedMap(
            found,
            boxes=tuple(ExplainedBox(box.xyxy, box.score, probability.get(found.class_index)) for box in result.boxes)
            if "boxes" in save
            else (),
            mask=result.mask if "masks" in save else None,
            mask_box=None if around is None else ExplainedBox(around.xyxy, around.score),
            three_valued=three_valued(result.mask, result.band, found.class_index + 1)
            if THREE_VALUED in save
            else None,
            refine=result.refine,
            reason=result.reason,
            doubt=result.doubt,
            findings=result.findings,
            overlay=overlay(
                pixels,
                values,
                mask=result.mask,
                boxes=[box.xyxy for box in result.boxes],
                colour_map=settings.colour_map,
                opacity=settings.opacity,
            )
            if "overlays" in save
            else None,
        )
