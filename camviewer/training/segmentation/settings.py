"""What learning masks is asked to do, and what it reports; no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from camviewer.errors import UsageError

NEXT_STEPS = 300
"""Steps of a round that goes on from the network of an earlier one."""


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """How far a picture may change while it is learnt from. Geometry moves picture and mask together.

    Attributes:
        zoom: greatest factor of a random scale, both ways.
        turn: greatest rotation in degrees, on top of random quarter turns and mirroring.
        shift: greatest displacement, share of the view.
        stretch: greatest factor between the two axes.
        gain: deviation of the logarithm of a factor on each channel.
        brightness: deviation of the logarithm of a factor on all channels.
        gamma: deviation of the logarithm of an exponent.
        saturation: deviation of the logarithm of a factor on the distance from grey.
        hue: deviation of a turn of the colour circle, in degrees.
        light: deviation of a slope of brightness across the view, and of its fall towards the corners.
        blur: chance of a blurred view.
        noise: greatest deviation of pixel noise, values in 0..1.
        strangers: chance of something that is no region: a dark frame, a body of one colour, thin lines.
    """

    zoom: float = 1.5
    turn: float = 45.0
    shift: float = 0.2
    stretch: float = 1.15
    gain: float = 0.12
    brightness: float = 0.2
    gamma: float = 0.2
    saturation: float = 0.35
    hue: float = 8.0
    light: float = 0.15
    blur: float = 0.25
    noise: float = 0.03
    strangers: float = 0.4


@dataclass(frozen=True, slots=True)
class LearnSettings:
    """How masks are learnt.

    Attributes:
        pixels: of a picture as the network sees it, at its own aspect; 12,288 is 128 x 96.
        base, levels: channels at full resolution, and how often it is halved.
        steps: of the optimiser, in all.
        batch_size: pictures in a step.
        learning_rate: highest rate; it rises over the first tenth of the steps and falls to zero along a cosine.
        weight_decay: of AdamW; norms and biases are exempt.
        confident: share of the automatic masks, least doubtful first, that is learnt from.
        most_doubtful: an automatic mask with a greater doubt is not learnt from.
        band: width of the ring along an automatic outline that is not learnt from, share of the longer side.
        trust: how far the targets of automatic masks remain as they are while the rest is what the network itself
            says (Reed et al., arXiv 1412.6596); 1 for all.
        reviewed_share: least share of each batch that is reviewed pictures, as soon as there are any.
        second_look: part of the steps, 0..1, after which the automatic masks are drawn anew by the network, triaged
            again, and learnt from instead; 1 for never.
        average: decay of the running mean of the weights, which is what is kept.
        views: random changes.
        seed: of weights, order and changes.
    """

    pixels: int = 12_288
    base: int = 16
    levels: int = 4
    steps: int = 1600
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    confident: float = 0.7
    most_doubtful: float = 0.5
    band: float = 0.008
    trust: float = 0.8
    reviewed_share: float = 0.25
    second_look: float = 0.5
    average: float = 0.99
    views: ViewSettings = field(default_factory=ViewSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 10 or self.batch_size < 2:
            raise UsageError("Learning masks needs at least ten steps and batches of at least two pictures.")
        if not 1 <= self.levels <= 6 or not 4 <= self.base <= 128:
            raise UsageError("The network needs one to six levels and 4 to 128 channels.")
        if self.pixels < 4 ** (self.levels + 1):
            raise UsageError(f"{self.pixels} pixels are too few for {self.levels} levels.")
        if not 0 < self.learning_rate < 1 or self.weight_decay < 0:
            raise UsageError("The learning rate must lie between 0 and 1, and the weight decay must not be negative.")
        for name in ("confident", "most_doubtful", "trust", "reviewed_share", "second_look"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name.replace('_', ' ').capitalize()} is a share between 0 and 1.")

    @property
    def multiple(self) -> int:
        """Pixels that both sides of an input are a multiple of."""
        return 1 << self.levels

    def further(self) -> LearnSettings:
        """Return the settings of a round that goes on from an earlier one: small steps, and no second look.

        The automatic masks are the network's own already; what is new are those that were reviewed.
        """
        return replace(self, learning_rate=self.learning_rate / 3, second_look=1.0)

    def fingerprint(self) -> str:
        """Return what must be equal for a training to be continued."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How a training stands.

    Attributes:
        step: steps done.
        loss: mean since the last point.
        agreement: mean overlap with confident automatic masks that are not learnt from; None without any.
        reviewed: mean overlap with reviewed masks, which are learnt from; None without any.
        seconds: since the training began or was continued.
    """

    step: int
    loss: float
    agreement: float | None
    reviewed: float | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CurvePoint:
        """Return the point that `to_json` wrote."""
        return cls(**{item.name: values[item.name] for item in fields(cls)})
