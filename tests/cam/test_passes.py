"""How inputs are shared out: batches that fit, and no lane that waits for another."""

from __future__ import annotations

import pytest
import torch
from cam_toys import Small, classifier, seeded
from hypothesis import given
from hypothesis import strategies as st

from camviewer.cam import device
from camviewer.cam.device import Device
from camviewer.cam.fast import FastCopy
from camviewer.cam.streams import shares


@given(st.integers(1, 200), st.integers(1, 8), st.integers(1, 16))
def test_parts_are_even_and_fit(count: int, batch: int, lanes: int) -> None:
    parts = [range(count)[part] for part in shares(count, most=batch, lanes=lanes)]
    assert [i for part in parts for i in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert min(sizes) >= 1 and max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    rounds = -(-len(parts) // lanes)
    assert rounds == -(-count // (batch * lanes))


@pytest.mark.parametrize(("filters", "most"), [(True, device.CPU_BATCH), (False, device.DIRECT_CPU_BATCH)])
def test_a_batch_is_smaller_the_more_a_pass_holds(filters: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "is_faster", lambda: filters)
    found = Device(classifier(seeded(Small)))
    one = sum(found._output_bytes(torch.zeros(3, 32, 32)))
    assert sum(found._output_bytes(torch.zeros(3, 64, 64))) > 3 * one
    for room, expected in ((100 * one, most), (3 * one, 3), (one, 1), (one // 2, 1)):
        monkeypatch.setattr(device, "PASS_BYTES", room)
        assert found.batch_size(torch.zeros(3, 32, 32), gradients=False) == expected
        masked = max(expected, min(device.CPU_BATCH, room // one))
        assert found.masked_batch(torch.zeros(3, 32, 32)) == masked
        found._reduced = FastCopy(found.classifier.network, frozenset())
        assert found.masked_batch(torch.zeros(3, 32, 32)) == min(2 * masked, device.REDUCED_CPU_BATCH)
        assert found.masked_batch(torch.zeros(3, 32, 32), exact=True) == masked
        found._reduced = None
