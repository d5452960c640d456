"""The records that travel between rooms: class table, run, map, box, mask, image. Plain data, no Qt, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from camviewer.images.geometry import FloatMap, Geometry, Size
from camviewer.regions.rules import RegionRule

Status = Literal["new", "computed", "edited", "reviewed", "skipped", "failed"]
Origin = Literal["auto", "manual", "edited"]
Slot = Literal["auto", "reviewed"]

CLASS_COLOURS = ("#FF6F3C", "#6EC0FF", "#F4E04D", "#E18CB9", "#09A57D", "#9270FF", "#9AFFE8")

BoolMask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AnnotationClass:
    """One class that regions carry. `id` is fixed for the life of a project and never reused."""

    id: int
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Annotation classes by fixed id, and which model class means which of them.

    Attributes:
        classes: ordered by id.
        by_model: annotation class id by model class index; a missing index means no annotation class.
    """

    classes: tuple[AnnotationClass, ...] = ()
    by_model: dict[int, int] = field(default_factory=dict)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The classes of the model alone; the table also keeps those of models before."""
        known = set(self.by_model.values())
        return tuple(entry.name for entry in self.classes if entry.id in known)

    def __getitem__(self, class_id: int) -> AnnotationClass:
        for entry in self.classes:
            if entry.id == class_id:
                return entry
        raise KeyError(class_id)

    @classmethod
    def for_model(cls, names: tuple[str, ...]) -> Self:
        """Return one annotation class for each model class, with ids from 1 in model order."""
        classes = tuple(
            AnnotationClass(i + 1, name, CLASS_COLOURS[i % len(CLASS_COLOURS)]) for i, name in enumerate(names)
        )
        return cls(classes, {i: i + 1 for i in range(len(names))})

    def add(self, name: str) -> Self:
        """Return a table with a further class; its id is one above the highest ever used."""
        new_id = max((entry.id for entry in self.classes), default=0) + 1
        colour = CLASS_COLOURS[(new_id - 1) % len(CLASS_COLOURS)]
        return replace(self, classes=(*self.classes, AnnotationClass(new_id, name, colour)))


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that makes a result reproducible. `to_json` is ``run`` of ``explain.json``.

    Attributes:
        target: ``score``, ``negative`` or ``contrast:J``.
        rule: how regions were made.
        offset: whether measured cell positions were used instead of the even grid.
        versions: of camviewer, python, torch, torchvision, numpy, opencv.
        device, precision: where and how; ``exact`` is float32.
    """

    architecture: str
    weights: str
    weights_sha256: str
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    layers: tuple[str, ...]
    methods: tuple[str, ...]
    method_parameters: dict[str, dict[str, Any]]
    target: str
    rule: RegionRule
    offset: bool
    tta: str
    fuse: str
    seed: int
    device: str
    precision: str
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, the region rule flattened."""
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "classes": list(self.classes),
            "preprocessing": self.preprocessing,
            "layers": list(self.layers),
            "methods": list(self.methods),
            "method_parameters": self.method_parameters,
            "target": self.target,
            "rule": self.rule.rule,
            "threshold": self.rule.threshold,
            "components": self.rule.components,
            "normalise": self.rule.normalise,
            "refine": self.rule.refine,
            "refine_parameters": self.rule.refine_parameters,
            "offset": "on" if self.offset else "off",
            "tta": self.tta,
            "fuse": self.fuse,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "versions": self.versions,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the run of `to_json`'s fields.

        Raises:
            KeyError: when a field is missing.
        """
        return cls(
            architecture=data["architecture"],
            weights=data["weights"],
            weights_sha256=data["weights_sha256"],
            classes=tuple(data["classes"]),
            preprocessing=data["preprocessing"],
            layers=tuple(data["layers"]),
            methods=tuple(data["methods"]),
            method_parameters=data["method_parameters"],
            target=data["target"],
            rule=RegionRule(
                data["rule"],
                data["threshold"],
                data["components"],
                data["normalise"],
                data["refine"],
                data["refine_parameters"],
            ),
            offset=data["offset"] == "on",
            tta=data["tta"],
            fuse=data["fuse"],
            seed=data["seed"],
            device=data["device"],
            precision=data["precision"],
            versions=data["versions"],
        )


@dataclass(slots=True, eq=False)
class ActivationMap:
    """One raw map: signed unless the method says ReLU, never normalised, at the layer's resolution.

    Not to be changed, though not frozen: making frozen records of a thousand classes takes seven times as long.

    Attributes:
        class_index: model class.
        method: identifier of the method.
        layer: name of the tapped layer, ``relu#2`` for a further call.
        values: float32 ``[rows, columns]``.
        geometry: places the cells in the image.
        seconds: time it took, passes shared with other maps included once.
        precision: ``exact`` or ``fast``.
        flags: notes such as ``partial 212/498`` or ``signed tap``.
        run, id: in the project, when it comes from there.
    """

    class_index: int
    method: str
    layer: str
    values: FloatMap
    geometry: Geometry
    seconds: float = 0.0
    precision: str = "exact"
    flags: tuple[str, ...] = ()
    run: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A box of half-open float pixel edges ``[x0, y0, x1, y1)`` in the upright image.

    Attributes:
        class_id: annotation class, 0 for none.
        score: mean of M / max M inside, or None for a hand-drawn box.
        probability: of the class for the image, or None.
        id, run: in the project, when it comes from there.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    class_id: int
    origin: Origin = "auto"
    score: float | None = None
    probability: float | None = None
    id: int | None = None
    run: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A full-size raster of one class.

    Attributes:
        pixels: bool ``[height, width]`` of the upright image.
        slot: ``auto`` (from a map and a rule) or ``reviewed`` (touched by a person).
        reason: why an automatic mask is empty, for example ``no positive evidence``.
        run: of an automatic mask, in the project.
    """

    pixels: BoolMask
    class_id: int
    slot: Slot = "auto"
    refine: str = "none"
    reason: str = ""
    run: int | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a project.

    Attributes:
        path: relative to the project, POSIX.
        size: upright (width, height).
        file_size: bytes, for relinking.
        sha256: of the file, for relinking; empty until computed.
        top: best classes as (model class index, logit, probability).
        error: sentence, for status ``failed``.
        reviewer, reviewed_at: who set the status reviewed or skipped, and when (ISO 8601, UTC).
        changed_at: last edit or computation (ISO 8601, UTC).
        doubt: how likely the automatic mask is wrong, 0..1, see `camviewer.regions.doubt`; None when not judged.
        findings: what the last computation found: kinds of artefact, and ``map on KIND`` where the map favours one.
    """

    path: PurePosixPath
    size: Size
    file_size: int = 0
    sha256: str = ""
    status: Status = "new"
    flags: tuple[str, ...] = ()
    note: str = ""
    top: tuple[tuple[int, float, float], ...] = ()
    error: str = ""
    id: int | None = None
    reviewer: str = ""
    reviewed_at: str = ""
    changed_at: str = ""
    doubt: float | None = None
    findings: tuple[str, ...] = ()
