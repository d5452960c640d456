"""Fitting a temperature, as work beside the maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.project.temperature import Network
from camviewer.workers.jobs import JobKind, Work

if TYPE_CHECKING:
    from camviewer.project.temperature import Temperature
    from camviewer.workers.worker import Watch

CALIBRATING = JobKind("Fitting the temperature", "The temperature could not be fitted", lane="work", rank=1)


def calibrate_work(project: Path, network: Network) -> Work:
    """Return work that fits the temperature of a network; its result is `Temperature`, which the owner keeps."""

    def run(watch: Watch) -> Temperature:
        from camviewer.pipeline.calibrate import as_temperature, calibrate_project

        watch.raise_if_cancelled()
        return as_temperature(calibrate_project(project, network)[1])

    return Work(run, CALIBRATING)
