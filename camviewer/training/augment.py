"""Random changes of a batch that leave its classes as they are; all randomness from one generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from camviewer.training.settings import Augmentation


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
