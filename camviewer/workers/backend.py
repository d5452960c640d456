"""What runs the jobs for real: torch, inside the worker thread, and the export, which needs none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.errors import Cancelled, ModelError
from camviewer.images.decode import read_image
from camviewer.pipeline.devices import cores, find_devices
from camviewer.pipeline.versions import versions
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule
from camviewer.workers.jobs import (
    ComputeBatch,
    ComputeMaps,
    ComputeUnits,
    EngineStarted,
    Explanation,
    Export,
    LoadModel,
    LoadRequest,
    ModelSummary,
    StartEngine,
)

if TYPE_CHECKING:
    from camviewer.cam.requests import ClassUnits
    from camviewer.models.rehead import OpenNetwork
    from camviewer.pipeline.computation import Computation
    from camviewer.pipeline.decoder import Decoder
    from camviewer.pipeline.explain import ImageResult
    from camviewer.pipeline.export import ExportReport
    from camviewer.workers.worker import Watch

log = logging.getLogger(__name__)


class TorchBackend:
    """Holds the loaded network. Made in the worker thread; torch is imported by its first job that needs it."""

    def __init__(self) -> None:
        self._computation: Computation | None = None
        self._open: tuple[LoadRequest, OpenNetwork] | None = None
        self._started = False
        self._batch: ComputeBatch | None = None
        self._decoder: Decoder | None = None

    def start(self, job: StartEngine) -> EngineStarted:
        """Import torch and report devices and versions."""
        self._start(job.threads)
        return EngineStarted(job.token, find_devices(), versions())

    def load(self, job: LoadModel, watch: Watch) -> ModelSummary:
        """Load a network and time its layers; the former one is released only when the loading worked."""
        self._start(None)
        watch.raise_if_cancelled()
        from camviewer.pipeline.computation import Computation

        if job.classes is None:
            computation = Computation(job.request)
            watch.raise_if_cancelled()
            self._open = None
        else:
            from camviewer.models.rehead import OpenNetwork

            if self._open is None or self._open[0] != job.request:
                self._open = (job.request, OpenNetwork(job.request))
            found = job.classes
            classifier = self._open[1].set_classes(found.classes, found.weight, found.bias)
            computation = Computation(job.request, classifier=classifier)
        self._computation = computation
        return computation.timed_summary()

    def compute(self, job: ComputeMaps, watch: Watch) -> Explanation:
        """Return the maps of one image; what was computed of it before is used again while its file is unchanged."""
        computation = self._loaded()
        computation.on_notice = watch.notice
        watch.raise_if_cancelled()
        pixels = read_image(job.path)
        return computation.explain(
            pixels,
            job.request,
            key=_content_key(job.path),
            on_progress=watch.progress,
            on_partial=watch.partial,
            cancelled=watch.cancelled,
        )

    def units(self, job: ComputeUnits, watch: Watch) -> ClassUnits:
        """Return the units of one class in one image, from the pass of its maps where there was one."""
        computation = self._loaded()
        watch.raise_if_cancelled()
        return computation.units(
            read_image(job.path),
            job.class_index,
            most=job.most,
            key=_content_key(job.path),
            offset=job.offset,
            cancelled=watch.cancelled,
        )

    def compute_group(self, job: ComputeBatch, first: int, watch: Watch) -> Sequence[ImageResult]:
        """Return the results of the next images of a batch."""
        from camviewer.pipeline.decoder import Decoder
        from camviewer.pipeline.explain import complete, explain_group

        computation = self._loaded()
        computation.on_notice = watch.notice
        if self._batch is not job or self._decoder is None:
            self._end_batch()
            computation.check(job.request)
            self._batch, self._decoder = job, Decoder(job.paths, ahead=2)
        size = computation.batch_size(job.batch_size, job.request)
        try:
            group = explain_group(
                computation, self._decoder, job.paths, first, size, job.request, cancelled=watch.cancelled
            )
            results = []
            for path, (pixels, outcome) in zip(job.paths[first:], group, strict=False):
                watch.raise_if_cancelled()
                results.append(complete(path, pixels, outcome, job.rule))
        except Cancelled:
            raise  # the batch may go on after a more urgent job: what is decoded stays
        except BaseException:
            self._end_batch()
            raise
        if first + len(results) >= len(job.paths):
            self._end_batch()
        return results

    def run_record(self, job: ComputeMaps | ComputeBatch, maps: Sequence[ActivationMap]) -> Run:
        """Return what computed `maps`: the loaded network with the job's choices, at the layers that were tapped."""
        request = job.request
        layers = request.layers or tuple(dict.fromkeys(found.layer for found in maps))
        rule = job.rule if isinstance(job, ComputeBatch) else RegionRule()
        return self._loaded().run_record(request, rule, layers=layers)

    def export(self, job: Export, watch: Watch) -> ExportReport:
        """Write the export."""
        from camviewer.pipeline.export import export

        return export(job.request, on_progress=watch.progress, cancelled=watch.cancelled)

    def close(self) -> None:
        """Release the network and the decoding thread."""
        self._end_batch()
        self._computation = self._open = None

    def _end_batch(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._batch = self._decoder = None

    def _loaded(self) -> Computation:
        if self._computation is None:
            raise ModelError("No model is open. Open one first.")
        return self._computation

    def _start(self, threads: int | None) -> None:
        if self._started and threads is None:
            return
        import torch
        import torchvision  # noqa: F401 - imported here, so that the wait belongs to starting

        # A setting of the calling thread: one core stays with the window.
        torch.set_num_threads(threads or max(1, cores() - 1))
        self._started = True


def _content_key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size
