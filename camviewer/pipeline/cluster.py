"""Explaining a folder on several machines with Ray Data: each worker loads the network once.

The images go out in the groups that one machine would form, so the maps are the same but for the rounding of another
number of threads. All machines have to see the images, and the weights, under the same path.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from camviewer.errors import Cancelled, ModelError, UsageError
from camviewer.images.scan import ImageFile
from camviewer.models.records import LoadRequest
from camviewer.pipeline.computation import Computation
from camviewer.pipeline.decoder import Decoder
from camviewer.pipeline.explain import Explained, Failure, RowSource, explain_group, explained, failure_of
from camviewer.pipeline.settings import ExplainSettings

log = logging.getLogger(__name__)

PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": "180",
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_worker_register_timeout_seconds": "300",
}
"""How long Ray waits for its own processes: its defaults of 10 to 60 s are too short for a busy machine."""

Row = Explained | Failure
Batch = dict[str, Any]


def on_cluster(workers: int | None = None) -> RowSource:
    """Return what computes rows on the Ray cluster of ``RAY_ADDRESS``, or on one that is started here.

    Args:
        workers: processes that hold the network; one for each processor core of the cluster when None.

    Raises:
        UsageError: when Ray is not installed.
    """
    if not os.environ.get("RAY_ADDRESS"):
        os.environ.update(own_environment(os.environ))  # before Ray is imported, which is when it reads most of them
    try:
        import ray
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError("Ray is not installed. Run: pip install 'camviewer[ray]'", details=repr(error)) from error

    def rows(
        settings: ExplainSettings,
        images: Sequence[ImageFile],
        computation: Computation,
        cancelled: Callable[[], bool] | None,
    ) -> Iterator[tuple[ImageFile, Row]]:
        groups = group_images(images, computation.batch_size(settings.batch_size, settings.maps))
        results = _results(absolute(settings), groups, workers, computation.summary.device)
        try:
            for group, result in zip(groups, results, strict=True):
                if cancelled is not None and cancelled():
                    raise Cancelled
                yield from zip(group, result, strict=True)
        finally:
            results.close()

    return rows


def group_images(images: Sequence[ImageFile], size: int) -> list[list[ImageFile]]:
    """Return the images in groups of `size`, which share forward passes."""
    return [list(images[first : first + size]) for first in range(0, len(images), size)]


def absolute(settings: ExplainSettings) -> ExplainSettings:
    """Return the settings with the network's files as absolute paths: a worker runs in another folder."""
    load: LoadRequest = settings.load
    changed: dict[str, Any] = {"weights": None if load.weights is None else Path(load.weights).absolute()}
    if load.model is not None and Path(load.model).is_file():
        changed["model"] = str(Path(load.model).absolute())
    if load.labels is not None:
        changed["labels"] = Path(load.labels).absolute()
    return replace(settings, load=replace(load, **changed))


class Worker:
    """One process of the cluster with its own network.

    Args:
        settings: what to do; paths are absolute.
    """

    def __init__(self, settings: ExplainSettings) -> None:
        self._settings = settings
        self._computation = Computation(settings.load)

    def __call__(self, batch: Batch) -> Batch:
        """Return the rows of one group of images; both travel pickled, since Ray's tables hold plain columns."""
        paths: list[Path] = pickle.loads(batch["group"][0])
        return {"rows": np.array([pickle.dumps(self.explain(paths))], dtype=object)}

    def explain(self, paths: Sequence[Path]) -> list[Row]:
        """Return a row for each image."""
        with Decoder(paths, ahead=len(paths)) as decoder:
            group = explain_group(self._computation, decoder, paths, 0, len(paths), self._settings.maps)
        rows: list[Row] = []
        for path, (pixels, outcome) in zip(paths, group, strict=True):
            if isinstance(outcome, Failure) or pixels is None:
                assert isinstance(outcome, Failure)
                rows.append(outcome)
                continue
            try:
                row = explained(pixels, outcome, self._settings)
                rows.append(replace(row, maps=tuple(row.maps)))
            except Exception as error:
                rows.append(failure_of(path, error))
        return rows


def _results(
    settings: ExplainSettings, groups: Sequence[Sequence[ImageFile]], workers: int | None, device: str
) -> Generator[list[Row]]:
    import ray
    import ray.data

    own = not ray.is_initialized()
    if own:
        _start(ray)
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        count = min(workers or max(1, int(ray.cluster_resources().get("CPU", 1))), len(groups))
        items = [{"group": pickle.dumps([image.path.absolute() for image in group])} for group in groups]
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            fn_constructor_args=(settings,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=count),
            num_gpus=1 if device.startswith("cuda") else None,
        )
        for row in done.iter_rows():
            yield pickle.loads(row["rows"])
    except ray.exceptions.RayError as error:
        raise ModelError("The cluster stopped computing. Its own log tells why.", details=repr(error)) from error
    finally:
        if own:
            ray.shutdown()


def own_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return what a cluster that is started here needs beside the variables that are `given`.

    Its token, which keeps other users of the machine out, is one of this process: otherwise Ray writes one into the
    home folder, and its processes end at once where they do not find it there. Whether tokens are asked for is left to
    Ray (from 2.59 on they are), since it may have read its settings already.
    """
    needed = {name: value for name, value in PATIENCE.items() if name not in given}
    if not any(name.startswith("RAY_AUTH_") for name in given):
        needed["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return needed


def _start(ray: Any) -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start one here; once more where a busy machine was too slow for Ray."""
    address = os.environ.get("RAY_ADDRESS")
    where = {} if address else {"address": "local", "include_dashboard": False}
    tries = 1 if address else 2
    for number in range(1, tries + 1):
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **where)
            return
        except Exception as error:  # Ray has no class of its own for processes that did not come up in time
            log.warning("the cluster did not start: %r", error)
            ray.shutdown()
            if number == tries:
                raise ModelError("The cluster cannot be reached or started. Try again.", details=repr(error)) from error
