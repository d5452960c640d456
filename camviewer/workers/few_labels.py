"""New classes from a few labels, as work beside the maps. torch is imported inside the thread.

What `read_work` opens belongs to the thread of its lane; fits and saves run in the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.training.few_labels import BACKGROUND as BACKGROUND
from camviewer.training.few_labels import NewClasses as NewClasses
from camviewer.workers.jobs import JobKind, LoadRequest, Work

if TYPE_CHECKING:
    from camviewer.pipeline.few_labels import FewLabels
    from camviewer.pipeline.few_labels import FewLabelsResult as FewLabelsResult
    from camviewer.training.features import GalleryFeatures
    from camviewer.workers.worker import Watch

READING = JobKind("Reading features", "The features could not be read", lane="work", rank=0)
FITTING = JobKind("Fitting the classes", "The classes could not be fitted", lane="work", urgency=2, rank=-1)
SAVING = JobKind("Saving the model", "The model could not be saved", lane="work", urgency=3, rank=1)


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A label as the window keeps it: a picture or a point of it, and a class."""

    path: Path
    name: str
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Teachable:
    """A network with the features of a gallery.

    Attributes:
        request: which network.
        pictures: how many could be read.
        failed: file and sentence of those that could not.
    """

    request: LoadRequest
    pictures: int
    failed: tuple[tuple[Path, str], ...]
    _few: FewLabels
    _gallery: GalleryFeatures


def read_work(request: LoadRequest, paths: Sequence[Path]) -> Work:
    """Return work that reads the features of `paths`, most from the cache the second time; its result `Teachable`."""

    def run(watch: Watch) -> Teachable:
        from camviewer.pipeline.few_labels import FewLabels
        from camviewer.training.feature_cache import FeatureCache

        few = FewLabels(request, cache=FeatureCache())
        gallery = few.read(paths, on_image=watch.progress, cancelled=watch.cancelled)
        return Teachable(request, len(gallery.paths), gallery.failed, few, gallery)

    return Work(run, READING)


def fit_work(taught: Teachable, marks: Sequence[MarkRow], *, border: bool) -> Work:
    """Return work that fits new classes to `marks`; its result `FewLabelsResult`."""

    def run(_watch: Watch) -> FewLabelsResult:
        from camviewer.pipeline.few_labels import Mark

        rows = [Mark(row.path, row.name, row.point) for row in marks]
        return taught._few.fit(taught._gallery, rows, border=border)

    return Work(run, FITTING)


def save_work(taught: Teachable, path: Path, classes: NewClasses) -> Work:
    """Return work that writes the network with new classes; its result the path."""

    def run(_watch: Watch) -> Path:
        taught._few.save(path, classes)
        return path

    return Work(run, SAVING)
