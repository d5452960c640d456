"""A small classifier made for class activation maps: fine cells, global pooling, one linear layer.

The last convolution sees the picture at stride 8 (28 x 28 cells at 224 px), where common networks have stride 32
(7 x 7), so that the box of a small object is not drawn by the grid. It is followed by global average pooling (Lin et
al., Network in network, arXiv 1312.4400; Zhou et al., CAM, arXiv 1512.04150) or global max pooling (Oquab et al., Is
object localization for free?, CVPR 2015), and nothing but a linear layer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from camviewer.errors import ModelError

Pooling = Literal["gap", "gmp"]


def _unit(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return a convolution, batch norm and ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    layers["norm"] = nn.BatchNorm2d(outputs)
    layers["relu"] = nn.ReLU()
    return nn.Sequential(layers)


class Block(nn.Module):
    """Two convolutions beside an identity (He et al., arXiv 1512.03385): ``[N, C, h, w]`` to the same shape."""

    def __init__(self, channels: int, *, kernel: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu1(self.norm1(self.conv1(x)))
        out: Tensor = self.relu2(x + self.norm2(self.conv2(inner)))
        return out


class CamNet(nn.Module):
    """The network of `camnet`; see there.

    ``stem`` and the stages halve the size one after the other; ``last`` is what the pooling receives.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        head: Pooling,
        width: int,
        blocks: int,
        features: int,
        stride: int,
        kernel: int,
        dropout: float,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.stem = _unit(in_channels, width, stride=2)
        self.stage1 = _unit(width, 2 * width, stride=2)
        self.stage2 = _stage(2 * width, 4 * width, stride=2, blocks=blocks, kernel=3)
        self.stage3 = _stage(4 * width, 4 * width, stride=stride // 8, blocks=blocks, kernel=kernel)
        self.last = _unit(4 * width, features, kernel=kernel)
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.AdaptiveMaxPool2d(1)
        self.flatten = nn.Flatten(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[N, num_classes]`` of normalised pictures ``[N, in_channels, h, w]``."""
        x = self.stage1(self.stem(x))
        x = self.last(self.stage3(self.stage2(x)))
        out: Tensor = self.fc(self.dropout(self.flatten(self.pool(x))))
        return out


def _stage(inputs: int, outputs: int, *, stride: int, blocks: int, kernel: int) -> nn.Sequential:
    # A step of two needs a kernel that leaves no pixel out.
    first = _unit(inputs, outputs, stride=stride, kernel=3 if stride > 1 else kernel)
    return nn.Sequential(first, *(Block(outputs, kernel=kernel) for _ in range(blocks)))


def camnet(
    num_classes: int,
    *,
    head: Pooling = "gap",
    width: int = 24,
    blocks: int = 1,
    features: int = 128,
    stride: int = 8,
    kernel: int = 1,
    dropout: float = 0.0,
    in_channels: int = 3,
) -> CamNet:
    """Return a freshly initialised `CamNet`, 0.62 million parameters for 5 classes at the defaults.

    Args:
        num_classes: logits.
        head: ``gap`` (mean over cells) or ``gmp`` (maximum over cells) before the linear layer.
        width: channels of the stem; the stages have 2, 4 and 4 times as many.
        blocks: residual blocks in each of the last two stages.
        features: channels that enter the pooling.
        stride: input pixels per cell of the map, 8 or 16.
        kernel: side of the convolutions after ``stage2``, 1 or 3. With 1 and stride 8 a cell sees 47 pixels a block
            (15 + 32 a block), so that evidence does not spill over the border of small objects; 3 sees wider context.
        dropout: share of pooled features left out in training.
        in_channels: of the input.

    Raises:
        ModelError: for a head, stride or size that the network cannot have.
    """
    if head not in ("gap", "gmp"):
        raise ModelError(f"The head {head} is not known. Choose gap or gmp.")
    if stride not in (8, 16):
        raise ModelError(f"A stride of {stride} is not possible. Choose 8 or 16.")
    if kernel not in (1, 3):
        raise ModelError(f"A kernel of {kernel} is not possible. Choose 1 or 3.")
    if min(num_classes, width, features, in_channels) < 1 or blocks < 0:
        raise ModelError("camnet needs at least one class, one channel and one feature.")
    return CamNet(
        num_classes,
        head=head,
        width=width,
        blocks=blocks,
        features=features,
        stride=stride,
        kernel=kernel,
        dropout=dropout,
        in_channels=in_channels,
    )
