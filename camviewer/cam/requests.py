"""What is asked of an `Explainer` and what it returns. Plain data, no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, overload

from camviewer.catalogue.methods import method
from camviewer.catalogue.parameters import Value, complete
from camviewer.errors import UsageError
from camviewer.images.geometry import FloatMap, Geometry, InputPlan
from camviewer.models.records import ClassScore
from camviewer.project.records import ActivationMap

TTA = ("none", "flip", "flips", "multiscale")
FUSE = ("none", "mean", "max")

Record = TypeVar("Record", covariant=True)


class Records(Sequence[Record], Generic[Record]):
    """Records that are made when they are first asked for: nobody looks at all of a thousand classes at once.

    Args:
        count: how many there are.
        make: returns the record of a place, from 0; called once a place.
    """

    __slots__ = ("_count", "_made", "_make")

    def __init__(self, count: int, make: Callable[[int], Record]) -> None:
        self._count = count
        self._make = make
        self._made: dict[int, Record] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, place: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(self._count)))
        place = range(self._count)[place]
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = self._make(place)
        return found

    def __iter__(self) -> Iterator[Record]:
        made, make = self._made, self._make
        for place in range(self._count):
            found = made.get(place)
            if found is None:
                found = made[place] = make(place)
            yield found


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Which maps to make.

    Attributes:
        methods: identifiers of `camviewer.catalogue.methods`.
        classes: ``predicted``, ``topN`` (``top5``), ``all``, or indices of logits.
        layers: layer names, ``relu#2`` for a further call; empty for the suggested layer (CAM: the head's input).
        parameters: values by method and parameter name; missing ones take their default.
        target: ``score``, ``negative`` (the map of ``-S_c``) or ``contrast:J`` (the map of ``S_c - S_J``).
        offset: place cells by their measured positions instead of the even grid.
        tta: ``none``, ``flip`` (mean of the image's and its mirror image's map), ``flips`` (mirrored left to right,
            top to bottom, both and not) or ``multiscale`` (mean over the input at 0.75, 1 and 1.25 of its size).
        fuse: ``none`` (a map for each layer), or ``mean`` or ``max`` of the layers' maps, each divided by its
            largest magnitude, on the finest layer's grid.
        seed: of noise and random weights.
    """

    methods: tuple[str, ...] = ("gradcam",)
    classes: str | tuple[int, ...] = "predicted"
    layers: tuple[str, ...] = ()
    parameters: dict[str, dict[str, Value]] = field(default_factory=dict)
    target: str = "score"
    offset: bool = True
    tta: str = "none"
    fuse: str = "none"
    seed: int = 0

    def checked(self) -> dict[str, dict[str, Value]]:
        """Return every method's complete parameters.

        Raises:
            UsageError: for an unknown method, parameter, option or class selection.
        """
        if not self.methods:
            raise UsageError("Choose at least one method.")
        if self.tta not in TTA:
            raise UsageError(f"There is no averaging {self.tta!r}; there are: {', '.join(TTA)}.")
        if self.fuse not in FUSE:
            raise UsageError(f"There is no fusion {self.fuse!r}; there are: {', '.join(FUSE)}.")
        contrast_class(self.target)
        for name in self.parameters:
            method(name)
        return {
            name: complete(method(name).parameters, self.parameters.get(name, {}), owner=method(name).title)
            for name in self.methods
        }


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The result for one image.

    Attributes:
        scores: all classes, best first.
        maps: by method, then layer, then class, in the order of the request.
        plan: how the image reached the network.
        identity_error: largest deviation of the head's identity over the classes, in logits
            (``mean(M_c) + b_c = S_c`` or its form for the head), None where no identity holds.
        notices: sentences for the user, for example that memory ran out and the CPU took over.
        refused: by method that is not defined for the network or layer, why; the others' maps are there.
    """

    scores: Sequence[ClassScore]
    maps: Sequence[ActivationMap]
    plan: InputPlan
    identity_error: float | None = None
    notices: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ClassUnit:
    """One unit of the layer that enters the head, as one class sees it.

    Attributes:
        unit: channel, from 0.
        weight: ``w^c_k`` of the last layer.
        pooled: what the head makes of the unit: ``mean(A_k)``, ``max(A_k)`` behind max pooling, the mean over the
            cells where the class map is positive behind a class ReLU.
        contribution: ``weight * pooled``, in logits.
        share: of the logit, ``contribution / |S_c|``; None where ``S_c`` is 0.
        values: the unit's own map ``A_k``, float32 ``[rows, columns]``.
    """

    unit: int
    weight: float
    pooled: float
    contribution: float
    share: float | None
    values: FloatMap


@dataclass(frozen=True, slots=True)
class PoolingScore:
    """What a class scores when the features are pooled one way, whatever the network was trained with.

    Attributes:
        kind: ``gap`` (mean over the cells) or ``gmp`` (maximum over the cells).
        score: by the network's own last weights.
        rank: of the class among all, from 1.
    """

    kind: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class ClassUnits:
    """The units that speak for a class most, largest contribution first.

    Attributes:
        class_index: the class.
        logit: ``S_c``: the contributions of all units and `bias`.
        bias: what the bias adds to it.
        layer: where the units are.
        total: units of the layer.
        rest: contribution of the units that are not listed.
        geometry: places the cells of every unit's map in the image.
        poolings: the class's score under mean and under maximum pooling of the same features.
    """

    class_index: int
    logit: float
    bias: float
    layer: str
    units: tuple[ClassUnit, ...]
    total: int
    rest: float
    geometry: Geometry
    poolings: tuple[PoolingScore, ...] = ()


def contrast_class(target: str) -> int | None:
    """Return J of ``contrast:J``, None for ``score`` and ``negative``.

    Raises:
        UsageError: for anything else.
    """
    kind, _, index = target.partition(":")
    if kind == "contrast" and index.isdecimal():
        return int(index)
    if target in {"score", "negative"}:
        return None
    raise UsageError(f"There is no target {target!r}; there are: score, negative, contrast:J (J a class index).")


def select_classes(selection: str | tuple[int, ...], ranked: Sequence[int]) -> tuple[int, ...]:
    """Return class indices.

    Args:
        selection: as in `MapRequest.classes`.
        ranked: all class indices, best first.

    Raises:
        UsageError: for an unknown selection or an index that does not exist.
    """
    if isinstance(selection, str):
        if selection == "predicted":
            return (ranked[0],)
        if selection == "all":
            return tuple(range(len(ranked)))
        if selection.startswith("top") and selection[3:].isdecimal() and int(selection[3:]) >= 1:
            return tuple(ranked[: int(selection[3:])])
        raise UsageError(f"There is no class selection {selection!r}; there are: predicted, top5, all, or indices.")
    for index in selection:
        if not 0 <= index < len(ranked):
            raise UsageError(f"There is no class {index}; the model has classes 0 to {len(ranked) - 1}.")
    return tuple(selection)
