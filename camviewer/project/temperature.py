"""Temperatures of a project's networks. Stored logits and probabilities stay raw; what is shown is divided on the way.

A temperature belongs to a network, by architecture and the hash of its weights, and to the images that it was fitted
on; see `camviewer.evaluation.calibration`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from camviewer.project.records import Run
from camviewer.project.store import Project

Top: TypeAlias = tuple[tuple[int, float, float], ...]
"""Classes as (index, logit, probability), best first, as in `ImageRecord.top`."""

Network: TypeAlias = tuple[str, str]
"""Architecture and SHA-256 of the weights."""

_KEY = "temperatures"


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: what logits are divided by.
        images: labelled images that it was fitted on.
        ece_before, ece_after: expected calibration error on them, 0 to 1.
        fitted_at: ISO 8601, UTC.
    """

    value: float
    images: int
    ece_before: float
    ece_after: float
    fitted_at: str = ""


def network_of(run: Run) -> Network:
    """Return whose results a run's are."""
    return run.architecture, run.weights_sha256


def temperatures(project: Project) -> dict[Network, Temperature]:
    """Return all temperatures of a project; what cannot be read counts as none."""
    try:
        rows = json.loads(project.meta(_KEY) or "[]")
        return {(row.pop("architecture"), row.pop("weights_sha256")): Temperature(**row) for row in rows}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def set_temperature(project: Project, network: Network, temperature: Temperature | None) -> None:
    """Keep the temperature of a network, or none.

    Raises:
        ProjectError: when the project cannot be written.
    """
    kept = temperatures(project)
    kept.pop(network, None)
    if temperature is not None:
        kept[network] = temperature
    rows = [{"architecture": key[0], "weights_sha256": key[1], **asdict(value)} for key, value in kept.items()]
    project.set_meta(_KEY, json.dumps(rows, allow_nan=False))


def networks(project: Project, image_id: int | None = None) -> dict[int, Network]:
    """Return which network the scores of images come from, by image id: the one that made their newest map."""
    rows = project.read_rows(
        "SELECT image_id, run_id, max(id) FROM maps WHERE ?1 IS NULL OR image_id = ?1 GROUP BY image_id", (image_id,)
    )
    runs = {run_id: project.run(run_id) for run_id in {row[1] for row in rows} if run_id is not None}
    return {row[0]: network_of(runs[row[1]]) for row in rows if row[1] is not None}


def tempered(top: Sequence[tuple[int, float, float]], temperature: float) -> Top:
    """Return the classes with the probabilities ``softmax(logit / temperature)``; their order stays."""
    if not top or not all(math.isfinite(logit) for _, logit, _ in top):
        return tuple(top)
    highest = max(logit for _, logit, _ in top)
    weights = [math.exp((logit - highest) / temperature) for _, logit, _ in top]
    total = sum(weights)
    return tuple((index, logit, weight / total) for (index, logit, _), weight in zip(top, weights, strict=True))
