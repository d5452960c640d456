"""Random changes of a batch that leave its classes as they are; all randomness from one generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from camviewer.training.settings import Augmentation

CORNER = (0.25, 0.4)
"""Side of a corner that stands for the surroundings, share of the picture's side: from, to."""


def surroundings(batch: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return pictures of what surrounds the objects: corners of `batch`, mirrored until they fill the frame.

    Mirrored and not stretched, so that the ground keeps its sharpness, which would tell it from objects otherwise.

    Args:
        batch: values, ``[N, C, h, w]``.
        count: pictures to make, from randomly chosen ones.
        generator: on the CPU.

    Returns:
        ``[count, C, h, w]``.
    """
    made = []
    for row in torch.randint(len(batch), (count,), generator=generator).tolist():
        picture = batch[row]
        for axis in (1, 2):
            length = picture.shape[axis]
            share = CORNER[0] + (CORNER[1] - CORNER[0]) * float(torch.rand((), generator=generator))
            kept = max(1, round(share * length))
            far, shift = torch.randint(2, (), generator=generator), torch.randint(2 * kept, (), generator=generator)
            wave = (torch.arange(length) + shift) % (2 * kept)
            place = torch.where(wave < kept, wave, 2 * kept - 1 - wave)
            picture = picture.index_select(axis, length - 1 - place if far else place)
        made.append(picture)
    return torch.stack(made) if made else batch[:0]


def augment(batch: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return a changed copy of `batch`.

    Args:
        batch: values in 0..1, ``[N, C, h, w]``.
        how: what may happen.
        generator: on the CPU; the same state gives the same result.
    """

    def chance() -> float:
        return float(torch.rand((), generator=generator))

    count, channels, height, width = batch.shape
    rows = []
    for picture in batch:
        if how.flips and chance() < 0.5:
            picture = picture.flip(2)
        if how.flips and chance() < 0.5:
            picture = picture.flip(1)
        if how.turns and height == width and chance() < 0.5:
            picture = picture.transpose(1, 2)
        if how.crop < 1:
            share = how.crop + (1 - how.crop) * chance()
            rows_kept, columns_kept = max(1, round(share * height)), max(1, round(share * width))
            top, left = int(chance() * (height - rows_kept + 1)), int(chance() * (width - columns_kept + 1))
            picture = picture[:, top : top + rows_kept, left : left + columns_kept]
            picture = F.interpolate(picture[None], (height, width), mode="bilinear", align_corners=False)[0]
        rows.append(picture)
    batch = torch.stack(rows)
    noise = torch.randn(count, channels, 1, 1, generator=generator) * how.colour
    noise = noise + torch.randn(count, 1, 1, 1, generator=generator) * how.brightness
    mean = batch.mean((2, 3), keepdim=True)
    batch = (batch * (1 + noise)).clamp(0, 1)
    for index in range(count):
        if how.hide > 0 and chance() < how.hide:
            side_y, side_x = max(1, round(how.hide_side * height)), max(1, round(how.hide_side * width))
            top, left = int(chance() * (height - side_y + 1)), int(chance() * (width - side_x + 1))
            batch[index, :, top : top + side_y, left : left + side_x] = mean[index]
    return batch
