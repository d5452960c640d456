"""Which numbers a training computes with."""

from __future__ import annotations

import torch


def best_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device computes with it faster than with float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu":
        said: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # absent before torch 2.11
        if said.get("amx_bf16") or said.get("avx512_bf16"):
            return torch.bfloat16
    return torch.float32
