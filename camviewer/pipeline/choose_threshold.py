"""The threshold by evidence: from the images of an explain folder or a project that have a true or reviewed mask, and
applied to the rest, reviewed masks never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from camviewer.errors import CamviewerError, Cancelled, UsageError
from camviewer.evaluation.threshold_choice import SIDE, Best, Candidate, Evidence, RuleCurve, ThresholdChoice
from camviewer.formats.explain_reader import read_explain
from camviewer.images.decode import read_image
from camviewer.images.geometry import FloatMap, Size
from camviewer.pipeline.explain import MapResult, find_in_map
from camviewer.pipeline.truth import TruthFolder
from camviewer.project.records import ActivationMap, BoolMask, Box, ImageRecord, Mask, Run
from camviewer.project.store import SUFFIX, Project
from camviewer.project.truth import truths
from camviewer.regions.rules import RegionRule

Asked = Callable[[], bool]
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """New automatic regions of one image.

    Attributes:
        run: what computed the map, with the new rule.
        result: boxes and mask; None with an `error`.
        error: sentence, for an image that cannot be read.
    """

    image: ImageRecord
    run: Run | None
    result: MapResult | None
    error: str = ""


def choose_threshold(
    source: Path,
    *,
    truth: Path | None = None,
    on_image: Told | None = None,
    cancelled: Asked | None = None,
) -> ThresholdChoice:
    """Return which rule fits the true masks of a project or an explain folder best.

    Args:
        source: project file, or explain folder.
        truth: folder of true masks or COCO file; for a project, its reviewed masks and its own truths when None.
        on_image: is told how many images are done, and of how many.
        cancelled: asked between images.

    Raises:
        UsageError: without evidence, or without `truth` for an explain folder.
        ProjectError, FormatError: when something cannot be read.
        Cancelled: when `cancelled` returned True.
    """
    if is_project(source):
        with Project.open(source) as project:
            return _of_project(project, truth, on_image, cancelled)
    if truth is None:
        raise UsageError("An explain folder has no reviewed masks. Name a folder of true masks with --truth.")
    return _of_folder(source, truth, on_image, cancelled)


def is_project(source: Path) -> bool:
    """Return whether `source` is a project file."""
    return source.suffix == SUFFIX and not source.is_dir()


def _of_folder(folder: Path, truth: Path, on_image: Told | None, cancelled: Asked | None) -> ThresholdChoice:
    results, known, evidence = read_explain(folder), TruthFolder(truth), Evidence()
    rows = [row for row in results.images if row.error is None and any(m.file is not None for m in row.maps)]
    for number, row in enumerate(rows):
        if cancelled is not None and cancelled():
            raise Cancelled
        found = known.find(row.file, row.size, source=row.source)
        if found is not None and found.mask is not None:
            maps: dict[tuple[str, str], FloatMap] = {}
            for entry in row.maps:
                if entry.file is not None and (entry.method, entry.layer) not in maps:
                    values = results.read_map(entry)
                    grid = results.geometry(row, entry).upsample(values, size=_grid(row.size))
                    maps[entry.method, entry.layer] = grid
            first = row.masks[0] if row.masks else None
            evidence.add(maps, found.mask, present=None if first is None else results.read_mask(row, first))
        if on_image is not None:
            on_image(number + 1, len(rows))
    return evidence.choose()


def _of_project(
    project: Project, truth: Path | None, on_image: Told | None, cancelled: Asked | None
) -> ThresholdChoice:
    known = TruthFolder(truth) if truth is not None else None
    evidence, images = Evidence(), project.images()
    for number, image in enumerate(images):
        if cancelled is not None and cancelled():
            raise Cancelled
        assert image.id is not None
        maps = chosen_maps(project, image)
        mask = _true_mask(project, image, known) if maps else None
        if mask is not None:
            small = {
                group: found.geometry.upsample(found.values, size=_grid(image.size)) for group, found in maps.items()
            }
            evidence.add(small, mask, present=_automatic(project, image.id))
        if on_image is not None:
            on_image(number + 1, len(images))
    return evidence.choose()


def chosen_maps(project: Project, image: ImageRecord) -> dict[tuple[str, str], ActivationMap]:
    """Return the stored map of each method and layer, of the best class that has one."""
    assert image.id is not None
    rank = {index: place for place, (index, _, _) in enumerate(image.top)}
    found: dict[tuple[str, str], ActivationMap] = {}
    for entry in sorted(project.maps(image.id), key=lambda entry: rank.get(entry.class_index, len(rank))):
        found.setdefault((entry.method, entry.layer), entry)
    return found


def _true_mask(project: Project, image: ImageRecord, known: TruthFolder | None) -> BoolMask | None:
    """Return what is true of an image: of files, of truths in the project, or what a person reviewed."""
    assert image.id is not None
    if known is not None:
        found = known.find(image.path.as_posix(), image.size, source=project.file_of(image))
        return None if found is None else found.mask
    masks = [truth.pixels for truth in truths(project, image.id)]
    if not masks and image.status == "reviewed":
        masks = [mask.pixels for mask in project.final_masks(image.id)]
    return np.any(masks, axis=0) if masks else None


def _automatic(project: Project, image_id: int) -> BoolMask | None:
    masks = [mask.pixels for mask in project.masks(image_id, slot="auto")]
    return np.any(masks, axis=0) if masks else None


def _grid(size: Size) -> Size:
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


# --- applied to the rest ----------------------------------------------------------------------------------------------


def redraw(source: Path, candidate: Candidate, *, cancelled: Asked | None = None) -> Iterator[Redrawn]:
    """Yield new automatic regions of every image that nobody has decided on and that has a map of the candidate.

    Nothing is written. Images are read one by one.

    Raises:
        ProjectError: when the project cannot be read.
        Cancelled: when `cancelled` returned True.
    """
    with Project.open(source) as project:
        runs = project.runs()
        for image in project.images():
            if cancelled is not None and cancelled():
                raise Cancelled
            if image.status in ("reviewed", "skipped") or image.id is None:
                continue
            found = chosen_maps(project, image).get((candidate.method, candidate.layer))
            if found is None:
                continue
            run = runs.get(found.run) if found.run is not None else None
            try:
                result = find_in_map(read_image(project.file_of(image)), found, candidate.rule)
            except CamviewerError as error:
                yield Redrawn(image, None, None, error.message)
                continue
            yield Redrawn(image, None if run is None else replace(run, rule=candidate.rule), result)


def apply_threshold(
    source: Path, candidate: Candidate, *, on_image: Told | None = None, cancelled: Asked | None = None
) -> tuple[int, list[str]]:
    """Redraw the automatic regions of a project by `candidate`; return how many images, and sentences on failures.

    What a person touched stays: reviewed and skipped images are left out, and only the automatic slot is written.

    Raises:
        ProjectError: when the project cannot be read or written.
        Cancelled: when `cancelled` returned True; images done before are kept.
    """
    done, problems = 0, []
    with Project.open(source) as project:
        by_model = project.class_table().by_model
        total = sum(image.status not in ("reviewed", "skipped") for image in project.images())
        for number, redrawn in enumerate(redraw(source, candidate, cancelled=cancelled), start=1):
            if redrawn.result is None:
                problems.append(f"{redrawn.image.path.name}: {redrawn.error}")
            elif redrawn.image.id is not None:
                index = redrawn.result.map.class_index
                class_id = by_model.get(index, 0)
                probability = {i: share for i, _, share in redrawn.image.top}.get(index)
                boxes = [Box(*b.xyxy, class_id, "auto", b.score, probability) for b in redrawn.result.boxes]
                mask = Mask(redrawn.result.mask, class_id, "auto", redrawn.result.refine, redrawn.result.reason)
                run_id = None if redrawn.run is None else project.add_run(redrawn.run)
                project.store_result(redrawn.image.id, run_id=run_id, boxes=boxes, masks=[mask])
                done += 1
            if on_image is not None:
                on_image(number, total)
    return done, problems


def rule_words(rule: RegionRule) -> str:
    """Return a rule as a person reads it: ``at 0.36 of the maximum, all regions``."""
    base = "the range" if rule.normalise == "minmax" else "the maximum"
    words = {
        "fraction": f"at {rule.threshold:.2f} of {base}",
        "percentile": f"top {100 * rule.threshold:.0f} % of the pixels",
        "otsu": "Otsu" + (" of the stretched map" if rule.normalise == "minmax" else ""),
    }[rule.rule]
    return f"{words}, {'largest region' if rule.components == 'largest' else 'all regions'}"


def rule_options(rule: RegionRule) -> str:
    """Return a rule as options of ``camviewer-cli explain``."""
    return (
        f"--rule {rule.rule} --threshold {rule.threshold:g} --components {rule.components} "
        f"--normalise {rule.normalise} --refine {rule.refine}"
    )


__all__ = [
    "Best",
    "Candidate",
    "Redrawn",
    "RuleCurve",
    "ThresholdChoice",
    "apply_threshold",
    "choose_threshold",
    "chosen_maps",
    "is_project",
    "redraw",
    "rule_options",
    "rule_words",
]
