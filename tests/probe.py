"""Networks for comparisons: random weights that behave like trained ones, and pictures to feed them.

Freshly initialised weights test nothing (the logits of efficientnet_b0 vary by 2e-14). Here batch norm is calibrated
on the pictures, and the last layer is drawn and scaled until the logits deviate by 3. Residual branches are damped as
training leaves them: at full strength a random resnet50 magnifies float32's rounding to 4e-5 of its activations, damped
to 4e-6.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
DEVIATION = 3.0
BRANCH_GAIN = 0.3
"""Scale of the last batch norm of a residual branch."""


def draw_pixels(seed: int, *, width: int = 120, height: int = 90) -> np.ndarray:
    """Return a picture uint8 ``[height, width, 3]``: a shaded ground with a dark spot, a stroke and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    ground = rng.uniform(0.5, 0.9, 3) + 0.15 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))[..., None]
    cx, cy = rng.uniform(0.2, 0.8) * x.max(), rng.uniform(0.2, 0.8) * y.max()
    spot = np.exp(-((((x - cx) / rng.uniform(0.08, 0.2)) ** 2 + ((y - cy) / rng.uniform(0.08, 0.2)) ** 2) ** 2))
    stroke = np.exp(-(((x - rng.uniform(0, 1) - y * rng.uniform(-1, 1)) / 0.01) ** 2))
    image = ground * (1 - spot[..., None] * rng.uniform(0.3, 0.9, 3)) * (1 - 0.7 * stroke[..., None])
    image += rng.normal(0, 0.03, image.shape)
    return (image.clip(0, 1) * 255).astype(np.uint8)


def draw_inputs(count: int, *, side: int, seed: int = 100) -> Tensor:
    """Return normalised inputs ``[count, 3, side, side]``."""
    images = []
    for i in range(count):
        pixels = draw_pixels(seed + i, width=side * (i % 3 + 1), height=side * (i % 2 + 1))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        images.append(functional.interpolate(image, (side, side), mode="bilinear", antialias=True))
    return (torch.cat(images) - MEAN) / STD


@lru_cache(maxsize=4)
def probe_network(name: str, *, classes: int = 10, seed: int = 0, side: int = 128) -> nn.Module:
    """Return torchvision's `name` with calibrated random weights, in evaluation mode. Copy it before changing it."""
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    return calibrate(network, side=side, seed=seed)


def calibrate(network: nn.Module, *, side: int = 128, seed: int = 0) -> nn.Module:
    """Calibrate batch norm on pictures, then draw the last layer so that the logits deviate by `DEVIATION`."""
    inputs = draw_inputs(8, side=side)
    network.eval()
    for norm in branch_ends(network):
        nn.init.constant_(norm.weight, BRANCH_GAIN)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        if norms:
            network(inputs)
        for norm in norms:
            norm.eval()
        last = last_layer(network)
        generator = torch.Generator().manual_seed(seed + 1)
        last.weight.copy_(torch.randn(last.weight.shape, generator=generator))
        if last.bias is not None:
            last.bias.zero_()
        for _ in range(3):  # more than once, since a ReLU may follow
            deviation = logits_of(network, inputs).std()
            last.weight.mul_(DEVIATION / deviation)
        if last.bias is not None:
            last.bias.copy_(torch.randn(last.bias.shape, generator=generator) * 0.3)
    return network


def branch_ends(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the last batch norm of every residual branch of torchvision's networks."""
    found = []
    for module in network.modules():
        kind = type(module).__name__
        if kind in ("BasicBlock", "Bottleneck") or getattr(module, "use_res_connect", False):
            names = [n for n, m in module.named_modules() if isinstance(m, nn.BatchNorm2d) and "downsample" not in n]
            found.append(module.get_submodule(names[-1]))
    return found


def last_layer(network: nn.Module) -> nn.Linear | nn.Conv2d:
    """Return the layer that gives the class scores."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    if not layers:
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    return layers[-1]


def logits_of(network: nn.Module, inputs: Tensor) -> Tensor:
    output = network(inputs)
    return output if isinstance(output, Tensor) else output[0]
