"""The temperature of a project's network, from its labelled images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from camviewer.catalogue.diagnoses import code_of
from camviewer.errors import UsageError
from camviewer.evaluation.calibration import Calibration, calibrate
from camviewer.project.facts import LABEL, all_facts
from camviewer.project.file import now
from camviewer.project.store import Project
from camviewer.project.temperature import Network, Temperature, network_of, networks


def calibrate_project(path: Path, network: Network | None = None) -> tuple[Network, Calibration]:
    """Fit the temperature of a network on the images that it computed and that have a label. Nothing is written.

    Args:
        path: project file.
        network: the one that computed most images when None.

    Raises:
        UsageError: when too few images have a label, or the classes do not exclude each other.
        ProjectError: when the project cannot be read.
    """
    with Project.open(path) as project:
        by_image, facts = networks(project), all_facts(project)
        if network is None:
            if not by_image:
                raise UsageError("No image is computed yet. Compute all images first.")
            ((network, _),) = Counter(by_image.values()).most_common(1)
        run = next((run for run in project.runs().values() if network_of(run) == network), None)
        places = _places(run.classes if run is not None else ())
        rows, labels = [], []
        for record in project.images():
            label = facts.get(record.id or 0, {}).get(LABEL)
            place = places.get(code_of(str(label))) if label else None
            known = place is not None and by_image.get(record.id or 0) == network and len(record.top) > 1
            if not known or {index for index, _, _ in record.top} != set(range(len(record.top))):
                continue
            if abs(sum(share for _, _, share in record.top) - 1) > 1e-3:
                raise UsageError("The classes of this network do not exclude each other; no temperature fits them.")
            rows.append([logit for _, logit, _ in sorted(record.top)])
            labels.append(place)
    if not rows:
        raise UsageError("No computed image has a label that the model knows. Put a table of labels beside the images.")
    return network, calibrate(np.array(rows, dtype=np.float64), np.array(labels, dtype=np.int64))


def as_temperature(found: Calibration) -> Temperature:
    """Return what the project keeps of a calibration."""
    return Temperature(found.temperature, found.images, found.ece_before, found.ece_after, now())


def _places(classes: tuple[str, ...]) -> dict[str, int]:
    """Return the index of each class by what it is called; classes of one name are left out."""
    codes = [code_of(name) for name in classes]
    return {code: place for place, code in enumerate(codes) if codes.count(code) == 1}
