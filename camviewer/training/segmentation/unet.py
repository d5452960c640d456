"""The network of masks that learn: a U-Net, small enough to be trained on a laptop's processor in minutes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class UNet(nn.Module):
    """Encoder and decoder with a connection at each resolution (Ronneberger et al., arXiv 1505.04597).

    Sizes are kept by padding; each step up interpolates, so that no checkerboard arises (Odena et al. 2016).

    Args:
        classes: of regions. Of one class there is one output, whether a pixel belongs to a region; of several, one
            more each, which class it then is.
        base: channels at full resolution; they double with each halving.
        levels: halvings. Both sides of the input are multiples of ``2 ** levels``.
    """

    def __init__(self, classes: int = 1, *, base: int = 16, levels: int = 4) -> None:
        super().__init__()
        self.classes, self.base, self.levels = classes, base, levels
        widths = [base * 2**level for level in range(levels + 1)]
        self.stem = _block(3, base)
        self.down = nn.ModuleList(_block(above, below) for above, below in pairwise(widths))
        self.up = nn.ModuleList(_block(above + below, above) for above, below in reversed(list(pairwise(widths))))
        self.head = nn.Conv2d(base, outputs(classes), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits ``[N, outputs, h, w]`` of pictures in 0..1, ``[N, 3, h, w]``."""
        # Each picture on its own scale: exposure and tint of the camera say nothing about regions.
        mean = pictures.mean((2, 3), keepdim=True)
        deviation = pictures.std((1, 2, 3), keepdim=True).clamp_min(0.02)
        values = (pictures - mean) / deviation
        kept = [self.stem(values)]
        for block in self.down:
            kept.append(block(F.max_pool2d(kept[-1], 2)))
        values = kept.pop()
        for block in self.up:
            beside = kept.pop()
            values = F.interpolate(values, size=beside.shape[2:], mode="bilinear", align_corners=False)
            values = block(torch.cat([values, beside], 1))
        logits: Tensor = self.head(values)
        return logits


def outputs(classes: int) -> int:
    """Return how many channels the network ends in."""
    return 1 if classes == 1 else 1 + classes


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
