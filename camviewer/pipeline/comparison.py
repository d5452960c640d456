"""A comparison of checkpoints: what is asked for, and what comes out. Plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from camviewer.catalogue.comparison import MEASURES
from camviewer.images.geometry import Size
from camviewer.project.records import ActivationMap

Shown = Literal["true", "predicted"]
Control = Literal["", "random", "centre"]


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """Which checkpoints, on which images, by what.

    Attributes:
        checkpoints: weight files, and folders of a training, which stand for all their kept epochs.
        images: a folder, a folder with one folder a class, a CSV file, or a project.
        truth: folder of true masks or COCO file; None for those in the project, or none.
        folder: where the pictures of a CSV file lie; its own folder when None.
        method: of the maps; None for CAM where every network allows it, else Grad-CAM.
        shown: the map of each image's ``true`` class where it is known (else of the class that the reference predicts),
            or of the class that each checkpoint ``predicted`` itself.
        reference: checkpoint that the others' maps are compared with, by its place; negative from the end.
        limit: most images, drawn evenly over the classes; 0 for all.
        costly: images, of those, that faithfulness and stability are measured on; 0 for none.
        mosaics: for grid pointing; 0 for none.
        controls: also measure each kind of network with random weights, and a Gaussian in the centre.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        seed: of the draw and of random weights.
    """

    checkpoints: tuple[Path, ...]
    images: Path
    truth: Path | None = None
    folder: Path | None = None
    method: str | None = None
    shown: Shown = "true"
    reference: int = -1
    limit: int = 200
    costly: int = 40
    mosaics: int = 100
    controls: bool = True
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointName:
    """What a checkpoint is called in tables.

    Attributes:
        title: unique in a comparison, for example ``GAP 5``.
        series: checkpoints of one training, drawn as one curve, for example ``GAP``.
        epoch: of the training, None where the file does not say.
        path: the file, None for a control.
        control: empty, ``random`` or ``centre``.
    """

    title: str
    series: str
    epoch: int | None
    path: Path | None
    control: Control = ""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedRow:
    """One checkpoint or control, measured.

    Attributes:
        name: which one.
        measures: by `camviewer.catalogue.comparison.MEASURES`; None where one cannot be had.
        architecture, head, layer: of the network, empty for the centre.
        curve_threshold, curve_iou: overlap with the masks by threshold, for all images.
    """

    name: CheckpointName
    measures: dict[str, float | None]
    architecture: str = ""
    head: str = ""
    layer: str = ""
    curve_threshold: tuple[float, ...] = ()
    curve_iou: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ComparedImage:
    """One image under all checkpoints.

    Attributes:
        path: of its file, None for pictures in memory.
        name: for lists.
        label: true class by name, empty when unknown.
        size: (width, height).
        maps: by row; None where a row has none.
        shown: class of the map by name, by row.
        predicted: class by name and its probability, by row.
        probability: of the shown class, by row.
        inside: share of the map's positive part inside the mask, by row; None without one.
        hit: whether the maximum lies inside the mask, by row; None without one.
        pixels: upright RGB of a picture that has no file, else None.
    """

    path: Path | None
    name: str
    label: str
    size: Size
    maps: tuple[ActivationMap | None, ...]
    shown: tuple[str, ...]
    predicted: tuple[tuple[str, float], ...]
    probability: tuple[float | None, ...]
    inside: tuple[float | None, ...]
    hit: tuple[bool | None, ...]
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What was measured.

    Attributes:
        rows: checkpoints in the order of the request, then the controls.
        images: the first of those that were measured, to be looked at.
        measured: how many images could be read.
        masks: ``true``, ``reviewed`` or empty: what localisation was measured against.
        masked: how many images have such a mask.
        method: of the maps.
        reference: place of the reference among `rows`.
        agreement: mean correlation of the maps of each pair of rows with networks ``[N, N]``, NaN where undefined.
        notes: sentences about the measurement.
    """

    rows: tuple[ComparedRow, ...]
    images: tuple[ComparedImage, ...]
    measured: int
    masks: str
    masked: int
    method: str
    reference: int
    agreement: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def known(self) -> tuple[str, ...]:
        """Return the names of the measures that at least one row has, in the order of the catalogue."""
        return tuple(m.name for m in MEASURES if any(row.measures.get(m.name) is not None for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps as JSON values."""
        return {
            "schema": 1,
            "method": self.method,
            "measured": self.measured,
            "masks": {"kind": self.masks, "images": self.masked},
            "reference": self.rows[self.reference].name.title,
            "rows": [
                {
                    "title": row.name.title,
                    "series": row.name.series,
                    "epoch": row.name.epoch,
                    "file": None if row.name.path is None else str(row.name.path),
                    "control": row.name.control,
                    "architecture": row.architecture,
                    "head": row.head,
                    "layer": row.layer,
                    "measures": {name: row.measures.get(name) for name in self.known()},
                    "iou_by_threshold": [list(row.curve_threshold), list(row.curve_iou)],
                }
                for row in self.rows
            ],
            "agreement": [[None if np.isnan(value) else float(value) for value in row] for row in self.agreement],
            "images": [
                {
                    "name": image.name,
                    "label": image.label,
                    "shown": list(image.shown),
                    "predicted": [[name, probability] for name, probability in image.predicted],
                    "inside": list(image.inside),
                    "hit": list(image.hit),
                }
                for image in self.images
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RowDone:
    """A row while the comparison goes on, so that the table fills."""

    row: ComparedRow
    place: int
    total: int = field(default=0)
