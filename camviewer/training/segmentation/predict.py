"""What the network says of pictures: averaged over mirror images, with a doubt of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from camviewer.errors import Cancelled
from camviewer.images.geometry import Size
from camviewer.regions.shapes import components, filled
from camviewer.training.precision import best_precision
from camviewer.training.segmentation.unet import UNet
from camviewer.training.segmentation.views import sized

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
BoolMask = NDArray[np.bool_]

BATCH = 16
HALF = 0.5
MIRRORED: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes along which each view of a picture is mirrored."""


@dataclass(frozen=True, slots=True)
class Form:
    """What masks of a project look like; learnt from those there are.

    Attributes:
        single: whether an image has one connected region.
        solid: whether regions are without holes.
    """

    single: bool = True
    solid: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What the network says of one picture.

    Attributes:
        region: probability that a pixel belongs to a region, ``[h, w]`` at the network's input size.
        classes: probability of each class inside a region, ``[K, h, w]``; None with one class.
        signs: what speaks for the mask, see `Signs`.
    """

    region: Values
    classes: Values | None
    signs: Signs

    @property
    def doubt(self) -> float:
        """How likely the mask is wrong, 0..1."""
        return self.signs.doubt

    def drawn(self, size: Size, form: Form, *, among: Sequence[int] = ()) -> dict[int, BoolMask]:
        """Return a mask ``[H, W]`` for each class index that has pixels.

        Args:
            size: (width, height) of the image.
            form: what masks look like.
            among: class indices that may occur; any, when empty. With one of them all is of that class.
        """
        soft = cv2.resize(self.region, size, interpolation=cv2.INTER_LINEAR)
        inside = formed(np.asarray(soft >= HALF), np.asarray(soft, np.float32), form)
        if not inside.any():
            return {}
        if len(among) == 1 or self.classes is None:
            return {among[0] if among else 0: inside}
        possible = sorted(among) or list(range(len(self.classes)))
        shares = np.stack([cv2.resize(self.classes[index], size, interpolation=cv2.INTER_LINEAR) for index in possible])
        best = shares.argmax(0)
        masks = {index: inside & (best == place) for place, index in enumerate(possible)}
        return {index: mask for index, mask in masks.items() if mask.any()}

    def labels(self, size: Size, known: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return labels ``[H, W]`` to learn from: the classes that `known` has, where the network sees a region."""
        among = [int(value) - 1 for value in np.unique(known) if value > 0]
        labels = np.zeros((size[1], size[0]), np.uint8)
        for index, mask in self.drawn(size, Form(single=False, solid=False), among=among).items():
            labels[mask] = index + 1
        return labels


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks for a mask, without truth; each is 1 where nothing speaks against it.

    Attributes:
        sure: expected overlap if each pixel is right with its own probability: ``sum(p m) / sum(max(p, m))`` of the
            probabilities p and the mask m.
        steady: mean overlap of the masks of the mirror images with the mask of their mean.
    """

    sure: float
    steady: float

    @property
    def doubt(self) -> float:
        """Estimated probability that the mask overlaps an expert's by less than 0.65."""
        return 1 / (1 + math.exp(WEIGHTS.sure * self.sure + WEIGHTS.steady * self.steady - OFFSET))


WEIGHTS = Signs(sure=10.4, steady=6.2)
OFFSET = 13.6
"""Fitted once, on pictures of lesions that no network had learnt from."""

NOTHING = Signs(0.0, 0.0)


def predict(
    network: UNet,
    pictures: Sequence[Pixels],
    pixels: int,
    *,
    views: int = 4,
    device: torch.device | str = "cpu",
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Outlook]]:
    """Yield (index, outlook) of each picture, those of one input size together.

    Args:
        network: put into evaluation mode.
        pictures: RGB ``[H, W, 3]``, of any sizes.
        pixels: of the network's input, at the picture's own aspect.
        views: how many mirror images are averaged, 1 to 4, the picture itself among them.
        device: where to compute.
        cancelled: asked before each batch.

    Raises:
        Cancelled: when `cancelled` says so.
    """
    device = torch.device(device)
    precision = best_precision(device)
    network.eval()
    groups: dict[Size, list[int]] = {}
    for index, picture in enumerate(pictures):
        groups.setdefault(input_size(picture, pixels, 2**network.levels), []).append(index)
    for size, indices in groups.items():
        for first in range(0, len(indices), BATCH):
            if cancelled is not None and cancelled():
                raise Cancelled
            part = indices[first : first + BATCH]
            reduced = np.stack([cv2.resize(pictures[i], size, interpolation=cv2.INTER_AREA) for i in part])
            values = torch.from_numpy(reduced).permute(0, 3, 1, 2).to(device).float().div(255)
            said_of = []
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, precision == torch.bfloat16):
                for axes in MIRRORED[:views]:
                    logits = network(values.flip(axes) if axes else values).float()
                    logits = logits.flip(axes) if axes else logits
                    parts = [logits[:, :1].sigmoid()]
                    if logits.shape[1] > 1:
                        parts.append(logits[:, 1:].softmax(1))
                    said_of.append(torch.cat(parts, 1))
            stacked = torch.stack(said_of, 1).cpu().numpy()
            for index, said in zip(part, stacked, strict=True):
                mean = said.mean(0)
                yield index, Outlook(mean[0], mean[1:] if len(mean) > 1 else None, signs_of(mean[0], said[:, 0]))


def signs_of(region: Values, views: Values) -> Signs:
    """Return the signs of a mask from the mean ``[h, w]`` and the single views ``[V, h, w]`` of the probability."""
    mask = region >= HALF
    area = int(mask.sum())
    if not area:
        return NOTHING
    sure = float(region[mask].sum()) / (area + float(region[~mask].sum()))
    both, either = (views >= HALF) & mask, (views >= HALF) | mask
    steady = float((both.sum((1, 2)) / either.sum((1, 2))).mean())
    return Signs(sure, steady)


def formed(mask: BoolMask, soft: Values, form: Form) -> BoolMask:
    """Return a mask as masks of the project are: one region, or several; with holes, or without.

    The one region is that of most probability per root of its area, less what part of its outline lies on the frame:
    what is only a corner of something outside is seldom what a picture was taken of.
    """
    if form.single:
        count, labels, table = components(mask)
        if count > 1:
            mask = np.asarray(labels == _main(count, labels, table, soft), np.bool_)
    return filled(mask) if form.solid and mask.any() else mask


def _main(count: int, labels: NDArray[np.int32], table: NDArray[np.int32], soft: Values) -> int:
    """Return the label of the region that counts, of several."""
    held = np.bincount(labels.ravel(), weights=soft.ravel(), minlength=count + 1)[1:]
    rim = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    touching = np.bincount(rim, minlength=count + 1)[1:]
    area = table[1:, cv2.CC_STAT_AREA].astype(np.float64)
    around = table[1:, cv2.CC_STAT_WIDTH] + table[1:, cv2.CC_STAT_HEIGHT]
    free = 1 - np.minimum(1, touching / around)
    score = held / np.sqrt(area) * (0.1 + free)
    return int(np.argmax(score)) + 1


def input_size(picture: Pixels, pixels: int, multiple: int) -> Size:
    """Return the (width, height) at which the network sees a picture: its aspect, within 1:4 and 4:1."""
    aspect = picture.shape[1] / picture.shape[0]
    return sized(min(4.0, max(0.25, aspect)), pixels, multiple)
