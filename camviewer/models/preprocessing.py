"""From upright RGB bytes to the network's input, bit for bit as torchvision does it on Pillow images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from camviewer.errors import ModelError
from camviewer.images.geometry import InputPlan, plan_input
from camviewer.models.records import Interpolation, Preprocessing

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_STANDARD = Preprocessing()


def prepare(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> tuple[Tensor, InputPlan]:
    """Return the input ``[1, C, h, w]`` (float32, CPU) and how the image got there.

    Args:
        pixels: upright RGB ``[H, W, 3]``.
    """
    height, width = pixels.shape[:2]
    plan = plan_input(
        (width, height),
        mode=preprocessing.resize_mode,
        input_size=preprocessing.input_size,
        resize_size=preprocessing.resize_size,
    )
    mode = _MODES[preprocessing.channels]
    if mode != "RGB" or plan.resized != (width, height):
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if mode != image.mode:
            image = image.convert(mode)
        if plan.resized != image.size:
            image = image.resize(plan.resized, FILTERS[preprocessing.interpolation])
        pixels = np.asarray(image)
    columns, rows = plan.resized
    values = torch.from_numpy(np.array(pixels)).reshape(rows, columns, preprocessing.channels)
    values = values.permute(2, 0, 1).contiguous().to(torch.float32).div_(255)
    left, top = plan.origin
    in_width, in_height = plan.input_size
    seen = values[:, max(top, 0) : top + in_height, max(left, 0) : left + in_width]
    if seen.shape[1:] != (in_height, in_width):
        # torchvision pads a small image with black; a letterbox is filled with the mean colour.
        mean = torch.tensor(preprocessing.mean).reshape(-1, 1, 1)
        fill = mean if preprocessing.resize_mode == "letterbox" else torch.zeros_like(mean)
        canvas = fill.expand(-1, in_height, in_width).clone()
        y, x = max(-top, 0), max(-left, 0)
        canvas[:, y : y + seen.shape[1], x : x + seen.shape[2]] = seen
        seen = canvas
    return normalise(seen, preprocessing).unsqueeze(0), plan


def normalise(values: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return ``(values - mean) / std`` for values in [0, 1], ``[..., C, h, w]``."""
    mean = torch.tensor(preprocessing.mean, dtype=values.dtype).reshape(-1, 1, 1)
    std = torch.tensor(preprocessing.std, dtype=values.dtype).reshape(-1, 1, 1)
    return torch.sub(values, mean).div_(std)


def for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return a mean or deviation for `channels`: the average of three for grey, the average again for alpha.

    Raises:
        ModelError: when the number of values fits neither.
    """
    if len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    if len(values) == 3 and channels == 1:
        return (sum(values) / 3,)
    if len(values) == 3 and channels == 4:
        return (*values, sum(values) / 3)
    raise ModelError(f"The network takes {channels} channels, but mean or std has {len(values)} values.")


def from_transforms(transforms: Any) -> dict[str, Any]:
    """Return the fields of `Preprocessing` that torchvision's ``weights.transforms()`` fixes."""
    crop = int(transforms.crop_size[0])
    interpolation: Interpolation = transforms.interpolation.value
    return {
        "input_size": (crop, crop),
        "resize_size": int(transforms.resize_size[0]),
        "interpolation": interpolation,
        "mean": tuple(float(v) for v in transforms.mean),
        "std": tuple(float(v) for v in transforms.std),
    }
