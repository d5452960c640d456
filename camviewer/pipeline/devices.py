"""The devices that maps can be computed on."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that maps can be computed on.

    Attributes:
        name: as `LoadRequest.device` takes it: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        title: for the status bar, for example ``NVIDIA H200`` or ``CPU, 8 cores``.
        memory: total bytes, 0 when unknown.
    """

    name: str
    title: str
    memory: int = 0


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def total_memory() -> int:
    """Return the machine's memory in bytes, 0 when it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def find_devices() -> tuple[DeviceInfo, ...]:
    """Return the devices, best first; ``auto`` takes the first. Imports torch."""
    import torch

    found = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            name = "cuda" if index == 0 else f"cuda:{index}"
            found.append(DeviceInfo(name, str(properties.name), int(properties.total_memory)))
    if torch.backends.mps.is_available():
        found.append(DeviceInfo("mps", "Apple GPU", total_memory()))
    number = cores()
    found.append(DeviceInfo("cpu", f"CPU, {number} {'core' if number == 1 else 'cores'}", total_memory()))
    return tuple(found)
