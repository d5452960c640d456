"""A backend without torch whose steps a test holds and releases."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from camviewer.cam.requests import Explanation, MapRequest
from camviewer.errors import Cancelled, ImageError
from camviewer.images.geometry import InputPlan
from camviewer.models.records import HeadSummary, LoadRequest, ModelIdentity, ModelSummary, Preprocessing
from camviewer.project.records import Run
from camviewer.regions.rules import RegionRule
from camviewer.workers import jobs

SUMMARY = ModelSummary(
    identity=ModelIdentity("fake", "random", "", ("a", "b")),
    preprocessing=Preprocessing(),
    head=HeadSummary("none", "", "no head"),
    layers=(),
    suggested="layer",
    parameters=1,
    device="cpu",
    device_name="CPU",
)

MAPS = MapRequest(methods=("gradcam",))


def explanation() -> Explanation:
    return Explanation((), (), InputPlan((4, 4), (4, 4), (0, 0), (4, 4)))


@dataclass(frozen=True)
class Result:
    """An image of a batch, named by its path; nothing in it but the name."""

    name: str
    explanation: Explanation | None = None
    error: ImageError | None = None
    maps: tuple = ()


def run_of(request: MapRequest, rule: RegionRule) -> Run:
    """Return the record of a run of the fake network."""
    return Run(
        architecture=SUMMARY.identity.architecture,
        weights="random",
        weights_sha256="",
        classes=SUMMARY.identity.classes,
        preprocessing={},
        layers=request.layers or (SUMMARY.suggested,),
        methods=request.methods,
        method_parameters={name: dict(values) for name, values in request.parameters.items()},
        target=request.target,
        rule=rule,
        offset=request.offset,
        tta=request.tta,
        fuse=request.fuse,
        seed=request.seed,
        device="cpu",
        precision="fast",
        versions={"torch": "0"},
    )


class FakeBackend:
    """Records what ran; a path's stem says what happens: ``slow`` waits for `gate`, ``bad``, ``bug`` and ``out``.

    One that is `deaf` does not end a slow job when it is cancelled.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.deaf = False
        self.ran: list[str] = []
        self.threads: set[int] = set()
        self.closed = False
        self.runs: list[object] = []

    def _note(self, what: str) -> None:
        self.ran.append(what)
        self.threads.add(threading.get_ident())

    def start(self, job):
        self._note("start")
        return jobs.EngineStarted(job.token, (jobs.DeviceInfo("cpu", "CPU"),), {"torch": "0"})

    def load(self, job, watch):
        self._note(f"load {job.request.model}")
        if job.request.model == "slow":
            self.wait(watch)
        return SUMMARY

    def wait(self, watch) -> None:
        self.entered.set()
        while not self.gate.wait(0.002):
            if not self.deaf:
                watch.raise_if_cancelled()

    def compute(self, job, watch):
        stem = job.path.stem
        self._note(stem)
        if stem.startswith("slow"):
            self.wait(watch)
        if stem == "bad":
            raise ImageError("bad.png cannot be read. The file is cut short.", details="why")
        if stem == "bug":
            raise ZeroDivisionError("\x1b[1mbold\x1b[0m")
        if stem == "full":
            raise MemoryError
        if stem == "steps":
            for done in range(1, 6):
                watch.progress(done, 5)
                time.sleep(0.06)
        return explanation()

    def units(self, job, watch):
        self._note(f"units {job.class_index} of {job.path.stem}")
        if job.path.stem.startswith("slow"):
            self.wait(watch)
        return "units"

    def compute_group(self, job, first, watch):
        part = job.paths[first : first + (job.batch_size or 1)]
        for path in part:
            self._note(path.stem)
            if path.stem.startswith("slow"):
                self.wait(watch)
            if watch.cancelled():
                raise Cancelled
        return [Result(f"result of {path.stem}") for path in part]

    def run_record(self, job, maps):
        self.runs.append(job)
        rule = job.rule if isinstance(job, jobs.ComputeBatch) else RegionRule()
        return run_of(job.request, rule)

    def export(self, job, watch):
        self._note("export")
        if job.request == "slow":
            self.wait(watch)
        return "report"

    def close(self) -> None:
        self.closed = True


class Recorder:
    """Keeps every signal of an engine in the order of arrival."""

    NAMES = (
        "engine_started",
        "model_loaded",
        "maps_ready",
        "units_ready",
        "partial_ready",
        "image_computed",
        "exported",
        "progress_changed",
        "notice_given",
        "finished",
        "failed",
        "cancelled",
    )
    ENDS = frozenset({"finished", "failed", "cancelled"})

    def __init__(self, engine) -> None:
        self.seen: list[tuple[str, object]] = []
        self.threads: set[int] = set()
        for name in self.NAMES:
            getattr(engine, name).connect(self._keeper(name))

    def _keeper(self, name):
        def keep(payload):
            self.seen.append((name, payload))
            self.threads.add(threading.get_ident())

        return keep

    def names(self, token: int) -> list[str]:
        return [name for name, payload in self.seen if payload.token == token]

    def ends(self, token: int) -> list[str]:
        return [name for name in self.names(token) if name in self.ENDS]

    def payloads(self, name: str) -> list:
        return [payload for kind, payload in self.seen if kind == name]


def maps(stem: str) -> jobs.ComputeMaps:
    return jobs.ComputeMaps(Path(f"{stem}.png"), MAPS)


def load(model: str = "fast") -> jobs.LoadModel:
    return jobs.LoadModel(LoadRequest(model=model))
