"""What the window asks of the workers, and what comes back: frozen dataclasses of plain data and numpy.

Neither torch nor Qt is imported here, so panels may build and read these without loading either. A job carries a
`token`, unique in the process; every answer repeats it. See `camviewer.workers.engine.Engine` for the signals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from camviewer.cam.requests import ClassUnit, ClassUnits, Explanation, MapRequest
from camviewer.models.records import ClassScore, Layer, LoadRequest, ModelSummary
from camviewer.pipeline.devices import DeviceInfo
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule

if TYPE_CHECKING:
    from camviewer.pipeline.explain import ImageResult
    from camviewer.pipeline.export import ExportReport, ExportRequest
    from camviewer.training.few_labels import NewClasses
    from camviewer.workers.worker import Watch

__all__ = [
    "ActivationMap",
    "ClassScore",
    "ClassUnit",
    "ClassUnits",
    "ComputeBatch",
    "ComputeMaps",
    "ComputeUnits",
    "DeviceInfo",
    "EngineStarted",
    "Explanation",
    "Export",
    "Exported",
    "ImageComputed",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobFinished",
    "JobKind",
    "Layer",
    "LoadModel",
    "LoadRequest",
    "MapRequest",
    "MapsReady",
    "ModelLoaded",
    "ModelSummary",
    "Notice",
    "PartialMap",
    "Progress",
    "RegionRule",
    "StartEngine",
    "UnitsReady",
    "Work",
    "WorkDone",
    "WorkPart",
    "next_token",
]

_tokens = itertools.count(1)


def next_token() -> int:
    """Return a token that no other job of this process has."""
    return next(_tokens)


# --- jobs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobKind:
    """What all jobs of a kind have in common.

    Attributes:
        title: what the status bar says while it runs.
        failure: beginning of the sentence for an error that nobody foresaw ("The export could not be written").
        lane: thread that runs it; jobs of other lanes run beside it.
        urgency: rank in its lane; a smaller one goes first.
        rank: place in the status bar when several run; a smaller one is shown, a negative one never.
        brief: shown in the status bar only once it has reported progress.
    """

    title: str
    failure: str
    lane: str = "maps"
    urgency: int = 4
    rank: int = 1
    brief: bool = False


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Import torch in the worker thread and report devices and versions. Ends with `EngineStarted`.

    Not required: any other job starts the engine by itself. Submit it after the first paint, so that the seconds of
    the import pass while the user browses.

    Attributes:
        threads: processor threads for torch; all cores but one when None, so that the window stays fluent.
    """

    kind: ClassVar[JobKind] = JobKind("Starting the engine", "The engine could not be started", urgency=0, rank=-1)
    threads: int | None = None
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Load a network; it replaces the loaded one on success only. Ends with `ModelLoaded`.

    Submitting it cancels the maps and batches that are pending or running, since they belong to the old network.

    Attributes:
        request: which network.
        classes: a class layer that takes the place of the network's own; see `camviewer.training.few_labels`.
    """

    kind: ClassVar[JobKind] = JobKind("Loading the model", "The model could not be loaded", urgency=1, rank=2)
    request: LoadRequest
    classes: NewClasses | None = None
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class ComputeMaps:
    """Compute the maps of one image now. Ends with `MapsReady`; `PartialMap` in between.

    Interactive: a newer one cancels this one, pending or running, and its late results are dropped. A batch in
    progress steps aside.

    Attributes:
        path: the image file.
        request: methods, classes, layers.
    """

    kind: ClassVar[JobKind] = JobKind(
        "Computing the map", "The map could not be computed", urgency=2, rank=3, brief=True
    )
    path: Path
    request: MapRequest
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class ComputeUnits:
    """Rank the units of the layer that enters the head, for one class and image. Ends with `UnitsReady`.

    Interactive: a newer one cancels this one. After `ComputeMaps` of the same image it costs no further pass.

    Attributes:
        path: the image file.
        class_index: model class.
        most: at most so many units, largest contribution first.
        offset: place cells by their measured positions instead of the even grid.
    """

    kind: ClassVar[JobKind] = JobKind("Ranking units", "The units could not be ranked", urgency=3, rank=-1)
    path: Path
    class_index: int
    most: int = 24
    offset: bool = True
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class ComputeBatch:
    """Compute maps, boxes and masks of many images. One `ImageComputed` an image, in the order of `paths`.

    The caller leaves out the images that are to be skipped. A file that cannot be computed is an `ImageComputed` with
    `error`; it never ends the batch. Cancelling keeps what was delivered.

    Attributes:
        paths: image files.
        request: methods, classes, layers.
        rule: how regions are made of each map.
        batch_size: images computed at once; what suits the device when None.
    """

    kind: ClassVar[JobKind] = JobKind("Computing maps", "The maps could not be computed")
    paths: tuple[Path, ...]
    request: MapRequest
    rule: RegionRule
    batch_size: int | None = None
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class Export:
    """Write a project or an explain folder in a format. Ends with `Exported`. Runs beside maps, in a second thread."""

    kind: ClassVar[JobKind] = JobKind("Exporting", "The export could not be written", lane="files", rank=0)
    request: ExportRequest
    token: int = field(default_factory=next_token)


@dataclass(frozen=True, slots=True)
class Work:
    """Any other long work: training, learning masks, comparing. Ends with `WorkDone`; `WorkPart` in between.

    Attributes:
        run: called in the lane's thread; it reports by `Watch.progress`, `Watch.part` and `Watch.notice`, asks
            `Watch.cancelled` often, and returns the result. It imports torch itself where it needs it.
        kind: its title and lane; ``work`` lets maps and exports go on beside it.
    """

    run: Callable[[Watch], object]
    kind: JobKind
    token: int = field(default_factory=next_token)


Job = StartEngine | LoadModel | ComputeMaps | ComputeUnits | ComputeBatch | Export | Work


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """torch is loaded.

    Attributes:
        devices: best first; ``auto`` takes the first.
        versions: as in `Run.versions`: camviewer, python, torch, torchvision, numpy, opencv.
    """

    token: int
    devices: tuple[DeviceInfo, ...]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """A network is loaded. `summary.warnings` are sentences that the user should see."""

    token: int
    request: LoadRequest
    summary: ModelSummary


@dataclass(frozen=True, slots=True, eq=False)
class MapsReady:
    """The maps of one image: `explanation.scores` (all classes, best first) and `explanation.maps`.

    Attributes:
        run: what computed them, of the network that really did; its `rule` is the default one, since no regions were
            looked for.
    """

    token: int
    path: Path
    request: MapRequest
    explanation: Explanation
    run: Run


@dataclass(frozen=True, slots=True, eq=False)
class UnitsReady:
    """The units of one class in one image."""

    token: int
    path: Path
    units: ClassUnits


@dataclass(frozen=True, slots=True, eq=False)
class PartialMap:
    """A valid map from part of the passes (Score-CAM, strongest channels first); `map.flags` says how far it is."""

    token: int
    path: Path
    map: ActivationMap


@dataclass(frozen=True, slots=True, eq=False)
class ImageComputed:
    """One image of a batch.

    Attributes:
        index: position in `ComputeBatch.paths`.
        result: maps with their regions, or the error; see `camviewer.pipeline.explain.ImageResult`.
        run: what computed it, with the job's rule.
    """

    token: int
    index: int
    path: Path
    result: ImageResult
    run: Run


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote; see `camviewer.pipeline.export.ExportReport`."""

    token: int
    report: ExportReport


@dataclass(frozen=True, slots=True, eq=False)
class WorkPart:
    """Something a `Work` found on its way, for example the measures of an epoch."""

    token: int
    job: Work
    part: object


@dataclass(frozen=True, slots=True, eq=False)
class WorkDone:
    """What a `Work` returned."""

    token: int
    job: Work
    result: object


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done, total: in the job's own unit: passes for `ComputeMaps`, images for `ComputeBatch` and `Export`.
        seconds_left: estimate; None until there is one.
    """

    token: int
    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know while the job goes on, for example that it continues on the CPU."""

    token: int
    message: str


@dataclass(frozen=True, slots=True)
class JobFinished:
    """The job is done; its result was delivered before."""

    token: int
    job: Job


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job ended with an error.

    Attributes:
        kind: `CamviewerError.kind`, or ``unexpected``.
        message: one sentence for the user.
        details: text for the log and the *Details* button; the trace for unexpected errors.
    """

    token: int
    job: Job
    kind: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """The job was cancelled, or a newer one took its place. Nothing of it follows."""

    token: int
    job: Job
