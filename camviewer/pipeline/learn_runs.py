"""A whole round of masks that learn, as the command does it: on a project, or from an explain folder to another one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camviewer.errors import CamviewerError, UsageError
from camviewer.formats import disk
from camviewer.formats.explain_json import FILE, ExplainedBox, ExplainedMap, ExplainWriter
from camviewer.formats.explain_reader import ExplainFolder, ImageRow, read_explain
from camviewer.pipeline.learn_masks import Drawn, Learnt, Preview, draw, known, learn, run_record
from camviewer.pipeline.learnable import LearnTask, first_masks, of_explain, of_project
from camviewer.project.learnt import REFINE, LearntMasks, network_of, rounds_of, store_round
from camviewer.project.mask_blob import MaskBlob, unpack
from camviewer.project.records import ActivationMap
from camviewer.project.store import SUFFIX, Project
from camviewer.training.segmentation.settings import CurvePoint, LearnSettings

NETWORK = "masks.safetensors"
RECORD = "learning.json"
STATE = "learning_state.safetensors"


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told what; each may be None.

    Attributes:
        message: a sentence on an image that is left out.
        loaded: (images read, images in all).
        step: (steps done, steps in all).
        point: a point of the curve.
        image: (images drawn, images in all).
        cancelled: asked all the time.
    """

    message: Callable[[str], None] | None = None
    loaded: Callable[[int, int], None] | None = None
    step: Callable[[int, int], None] | None = None
    point: Callable[[CurvePoint], None] | None = None
    image: Callable[[int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RoundReport:
    """What a round did.

    Attributes:
        network: file of the network.
        reviewed, automatic: images learnt from.
        drawn: images with new masks.
        empty: of these, images in which the network sees no region.
        failed: images that could not be read.
        doubtful: images drawn with a doubt of at least a half.
        kept: mean overlap of new masks with those before, None without any.
        points: the curve.
        messages: sentences on what was left out.
    """

    network: Path
    reviewed: int
    automatic: int
    drawn: int
    empty: int
    failed: int
    doubtful: int
    kept: float | None
    points: tuple[CurvePoint, ...]
    messages: tuple[str, ...]


def learn_from_project(
    file: Path, out: Path, settings: LearnSettings, *, anew: bool = False, device: str = "auto", reports: Reports
) -> RoundReport:
    """Learn from a project and write new automatic masks into it, all of them or none; the network goes to `out`, too.

    Args:
        file: the project.
        out: folder of the network and of the training's state.
        settings: how to train.
        anew: start with random weights, not with the network of the last round.
        device: where to compute.
        reports: who is told.

    Raises:
        ProjectError, UsageError, CheckpointError, ExportError: when it is not possible; the project is then as it was.
        Cancelled: when asked to; the project is as it was, and the training can be continued.
    """
    with Project.open(file) as project:
        task = of_project(project)
        start = None if anew else network_of(project)
        learnt = _learn(task, out, settings, start, device, reports)
        drawn, messages = _draw(task, learnt, device, reports)
        number = len(rounds_of(project)) + 1
        masks = [LearntMasks(d.key, d.masks, d.doubt, d.reason) for d in drawn if not d.error]
        store_round(
            project, masks, network=learnt.network, record=learnt.record, run=run_record(learnt, task, number=number)
        )
        return _finish(out, learnt, drawn, messages)


def learn_from_folder(
    folder: Path,
    out: Path,
    settings: LearnSettings,
    *,
    reviewed: Path | None = None,
    start: Path | None = None,
    train: bool = True,
    device: str = "auto",
    reports: Reports,
) -> RoundReport:
    """Learn from an explain folder and write another one with the new masks; reviewed masks are in it as they are.

    Args:
        folder: explain folder, or the result of an earlier round.
        out: folder of the result, not `folder` itself.
        settings: how to train.
        reviewed: folder of masks that a person vouches for.
        start: network file of an earlier round to go on from.
        train: False draws with that network as it is.
        device: where to compute.
        reports: who is told.

    Raises:
        UsageError, FormatError, CheckpointError, ExportError: when it is not possible; `out` then holds no result.
        Cancelled: when asked to; the training can be continued.
    """
    source = read_explain(folder)
    if source.folder.resolve() == out.resolve():
        raise UsageError("The result needs a folder of its own. Choose another one for --out.")
    task = of_explain(source, reviewed=reviewed)
    try:
        before = None if start is None else start.read_bytes()
    except OSError as error:
        raise UsageError(f"{start} cannot be read: {error.strerror}.", details=repr(error)) from error
    if before is not None and not train:
        learnt = known(before)
    else:
        learnt = _learn(task, out, settings, before, device, reports)
    drawn, messages = _draw(task, learnt, device, reports)
    _write_folder(source, task, drawn, learnt, out)
    return _finish(out, learnt, drawn, messages)


def project_file(path: Path) -> tuple[Path, bool]:
    """Return the project file that `path` is, or that lies in the folder `path`, and whether it has had a round.

    Raises:
        UsageError: when there is none, or several.
        ProjectError: when it cannot be read.
    """
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"))
        if len(found) != 1:
            raise UsageError(f"{path} holds neither {FILE} nor one project. Name one of them.")
        path = found[0]
    elif not path.exists():
        raise UsageError(f"{path} is not there. Name a project or an explain folder.")
    with Project.open(path) as project:
        return path, network_of(project) is not None


def _learn(
    task: LearnTask, out: Path, settings: LearnSettings, start: bytes | None, device: str, reports: Reports
) -> Learnt:
    with disk.writing(out):
        out.mkdir(parents=True, exist_ok=True)

    def point(found: CurvePoint, _previews: tuple[Preview, ...]) -> None:
        if reports.point is not None:
            reports.point(found)

    return learn(
        task,
        settings,
        start=start,
        state_file=out / STATE,
        device=device,
        on_message=reports.message,
        on_loaded=reports.loaded,
        on_step=reports.step,
        on_point=point,
        cancelled=reports.cancelled,
    )


def _draw(task: LearnTask, learnt: Learnt, device: str, reports: Reports) -> tuple[list[Drawn], tuple[str, ...]]:
    """Return the new masks, packed, and the sentences on what was left out, each once."""
    drawn, messages = [], list(learnt.messages)
    for entry in draw(task, learnt.network, device=device, on_image=reports.image, cancelled=reports.cancelled):
        drawn.append(entry)
        if entry.error and not any(message.startswith(entry.error) for message in messages):
            messages.append(entry.error)
            if reports.message is not None:
                reports.message(entry.error)
    return drawn, tuple(messages)


def _finish(out: Path, learnt: Learnt, drawn: list[Drawn], messages: tuple[str, ...]) -> RoundReport:
    kept = [entry.kept for entry in drawn if entry.kept is not None]
    good = [entry for entry in drawn if not entry.error]
    report = RoundReport(
        out / NETWORK,
        int(learnt.record["reviewed"]),
        int(learnt.record["automatic"]),
        len(good),
        sum(not entry.masks for entry in good),
        len(drawn) - len(good),
        sum(entry.doubt >= 0.5 for entry in good),
        sum(kept) / len(kept) if kept else None,
        tuple(CurvePoint.from_json(values) for values in learnt.record["points"]),
        messages,
    )
    record = {**learnt.record, "drawn": report.drawn, "failed": report.failed, "messages": list(messages)}
    disk.write_bytes(out / NETWORK, learnt.network)
    disk.write_bytes(out / RECORD, json.dumps(record, indent=1).encode())
    with contextlib.suppress(OSError):  # the training is over: the next one starts afresh
        (out / STATE).unlink(missing_ok=True)
    return report


def _write_folder(source: ExplainFolder, task: LearnTask, drawn: list[Drawn], learnt: Learnt, out: Path) -> None:
    """Write the explain folder of `source` with new masks; maps and boxes stay what they are."""
    new = {entry.key: entry for entry in drawn}
    saved = any(found.file for row in source.images for found in row.maps)
    with ExplainWriter(out, source.run, save_maps=saved) as writer:
        for image, row in zip(task.images, source.images, strict=True):
            entry = new.get(image.key)
            if row.error is not None:
                error = CamviewerError(row.error[1])
                error.kind = row.error[0]
                writer.add_error(row.file, error, source=row.source)
                continue
            if entry is not None and not entry.error:
                found = _Masks(entry.masks, REFINE, entry.doubt, entry.reason)
            else:  # reviewed, or not read again: what there was stays
                refine = "reviewed" if image.standing == "reviewed" else (row.masks[0].refine if row.masks else "none")
                doubt = None if image.standing == "reviewed" else image.doubt
                found = _Masks(image.masks, refine, doubt, "")
            try:
                maps = _maps(source, row, found)
            except CamviewerError as error:
                writer.add_error(row.file, error, source=row.source)
                continue
            writer.add_image(row.file, size=row.size, top=row.top, maps=maps, source=row.source)
        writer.finish()


@dataclass(frozen=True, slots=True, eq=False)
class _Masks:
    masks: dict[int, MaskBlob]
    refine: str
    doubt: float | None
    reason: str


def _maps(source: ExplainFolder, row: ImageRow, found: _Masks) -> list[ExplainedMap]:
    """Return the maps of a row; the first of each class carries the mask of that class."""
    carries = {mask.map: mask.class_index for mask in first_masks(row)}
    if not carries and row.maps:
        carries = {row.maps[0].id: row.maps[0].class_index}
    entries = []
    for each in row.maps:
        class_index = carries.get(each.id)
        blob = None if class_index is None else found.masks.get(class_index + 1)
        mask = None
        if class_index is not None:
            mask = np.zeros((row.size[1], row.size[0]), np.bool_) if blob is None else unpack(blob)
        values = source.read_map(each) if each.file is not None else np.zeros(each.shape, np.float32)
        geometry = source.geometry(row, each)
        entries.append(
            ExplainedMap(
                ActivationMap(each.class_index, each.method, each.layer, values, geometry),
                tuple(ExplainedBox(box.xyxy, box.score, box.probability) for box in row.boxes if box.map == each.id),
                mask,
                refine=found.refine,
                reason=found.reason,
                doubt=found.doubt,
            )
        )
    return entries
