"""Learning masks as work beside the maps. torch is imported inside the thread; the project is not written here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.formats import disk
from camviewer.pipeline.devices import cores
from camviewer.pipeline.learn_masks import Drawn as Drawn
from camviewer.pipeline.learn_masks import Learnt as Learnt
from camviewer.pipeline.learn_masks import Preview as Preview
from camviewer.pipeline.learn_masks import draw, learn
from camviewer.pipeline.learn_masks import run_record as run_record
from camviewer.pipeline.learnable import LearnTask as LearnTask
from camviewer.pipeline.learnable import of_project as of_project
from camviewer.training.segmentation.settings import NEXT_STEPS as NEXT_STEPS
from camviewer.training.segmentation.settings import CurvePoint as CurvePoint
from camviewer.training.segmentation.settings import LearnSettings as LearnSettings
from camviewer.workers.jobs import JobKind, Work

if TYPE_CHECKING:
    from camviewer.workers.worker import Watch

LEARNING = JobKind("Learning masks", "The masks could not be learnt", lane="work", rank=0)


@dataclass(frozen=True, slots=True, eq=False)
class LearnRequest:
    """What the window asks for.

    Attributes:
        task: images with their masks.
        settings: how to train.
        start: network of the last round to go on from, or None.
        state_file: where the training's state is kept, so that it goes on after a kill or a cancel.
    """

    task: LearnTask
    settings: LearnSettings
    start: bytes | None
    state_file: Path


@dataclass(frozen=True, slots=True)
class Phase:
    """What happens besides training: images read or drawn, of how many."""

    words: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class PointFound:
    """A point of the curve, and a few doubtful images as they would look now."""

    point: CurvePoint
    previews: tuple[Preview, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LearnOutcome:
    """A round that waits for a person's word: nothing of it is in the project yet."""

    task: LearnTask
    learnt: Learnt
    drawn: tuple[Drawn, ...]


def state_beside(project: Path) -> Path:
    """Return where the state of a project's training lies: hidden, beside the project."""
    return project.with_name(f".{project.name}.learning")


def write_network(file: Path, data: bytes) -> None:
    """Write the network of a round to a file, whole or not at all.

    Raises:
        ExportError: when the disk does not take it.
    """
    disk.write_bytes(file, data)


def learn_work(request: LearnRequest) -> Work:
    """Return a round; its parts are `Phase`, `PointFound` and sentences (`str`), its result `LearnOutcome`."""

    def run(watch: Watch) -> LearnOutcome:
        import torch

        torch.set_num_threads(max(1, cores() - 1))  # one core stays with the window
        learnt = learn(
            request.task,
            request.settings,
            start=request.start,
            state_file=request.state_file,
            on_message=watch.part,
            on_loaded=lambda done, total: watch.part(Phase("Reading images", done, total)) if done % 50 == 0 else None,
            on_step=watch.progress,
            on_point=lambda point, previews: watch.part(PointFound(point, previews)),
            cancelled=watch.cancelled,
        )
        drawn = []
        for entry in draw(task := request.task, learnt.network, cancelled=watch.cancelled):
            drawn.append(entry)
            if len(drawn) % 20 == 0:
                watch.part(Phase("Drawing masks", len(drawn), task.count("automatic")))
        with contextlib.suppress(OSError):
            request.state_file.unlink(missing_ok=True)
        return LearnOutcome(task, learnt, tuple(drawn))

    return Work(run, LEARNING)
