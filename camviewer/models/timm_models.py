"""Networks of timm, where timm is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from camviewer.catalogue.architectures import BY_NAME
from camviewer.errors import CheckpointError, ModelError

PREFIX = "timm:"


def wanted(name: str) -> bool:
    """Return whether `name` means a network of timm: ``timm:NAME``, or a name that only timm knows."""
    if name.startswith(PREFIX):
        return True
    if name in BY_NAME or importlib.util.find_spec("timm") is None:
        return False
    import timm

    return bool(timm.is_model(name))


def strip(name: str) -> str:
    """Return the name without ``timm:``."""
    return name.removeprefix(PREFIX)


def build(name: str, state: Mapping[str, Tensor] | None, seed: int) -> tuple[nn.Module, dict[str, Any], int]:
    """Return a network of timm, the fields of `Preprocessing` that it asks for, and its channels.

    Args:
        state: weights that will be loaded, for the number of classes and channels; None for random ones.
        seed: of random weights.

    Raises:
        ModelError: when timm is not installed or has no such model.
        CheckpointError: when the weights hold no class layer.
    """
    if importlib.util.find_spec("timm") is None:
        raise ModelError(f"{name} is a model of timm, which is not installed. Install camviewer[timm].")
    import timm

    if not timm.is_model(name):
        raise ModelError(f"timm has no model {name!r}.")
    config = timm.get_pretrained_cfg(name, allow_unregistered=True) or timm.models.PretrainedCfg()
    arguments: dict[str, Any] = {}
    channels = 3
    if state is not None:
        place = config.classifier if isinstance(config.classifier, str) else "head"
        weight = state.get(f"{place}.weight", state.get(f"{place}.fc.weight"))
        if weight is None:
            raise CheckpointError(f"The file holds no class layer ({place}) of {name}.")
        arguments["num_classes"] = weight.shape[0]
        first = config.first_conv if isinstance(config.first_conv, str) else ""
        stem = state.get(f"{first}.weight")
        if stem is not None and stem.ndim == 4 and stem.shape[1] in (1, 3, 4):
            arguments["in_chans"] = channels = int(stem.shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = timm.create_model(name, pretrained=False, **arguments)
    data = timm.data.resolve_model_data_config(network)
    _, height, width = data["input_size"]
    crop = data.get("crop_pct") or 1.0
    return (
        network,
        {
            "input_size": (width, height),
            "resize_size": int(min(width, height) / crop),
            "interpolation": data["interpolation"] if data["interpolation"] in ("bilinear", "bicubic") else "bicubic",
            "mean": tuple(data["mean"]),
            "std": tuple(data["std"]),
        },
        channels,
    )
