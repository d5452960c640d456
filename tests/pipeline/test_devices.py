"""Which devices are offered: all that torch names, the best first, the CPU always last."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from camviewer.pipeline.devices import DeviceInfo, cores, find_devices, total_memory


def test_the_cpu_is_always_there() -> None:
    last = find_devices()[-1]
    assert last.name == "cpu"
    assert last.title == f"CPU, {cores()} core{'s' if cores() > 1 else ''}"
    assert last.memory == total_memory() > 2**28


def test_cards_come_first_and_only_the_first_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [SimpleNamespace(name="Large", total_memory=80), SimpleNamespace(name="Small", total_memory=8)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = find_devices()
    assert found[:2] == (DeviceInfo("cuda", "Large", 80), DeviceInfo("cuda:1", "Small", 8))
    assert [device.name for device in found[2:]] == ["mps", "cpu"]


def test_a_system_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", refuse)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert total_memory() == 0
    assert cores() == 1
