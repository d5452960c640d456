"""Batches that fit, from what a pass makes of each input."""

from __future__ import annotations

import pytest
import torch
from cam_toys import Small, classifier, seeded

from camviewer.cam import batches
from camviewer.cam.batches import Footprint
from camviewer.cam.device import Device
from camviewer.cam.fast import FastCopy

X = torch.zeros(3, 32, 32)
MADE = 4 * (3 * 32 * 32 + 6 * 16 * 16 + 8 * 8 * 8 * 4 + 5)
"""Input, first, second, third and two results of a ReLU, logits: in bytes."""


def test_what_a_pass_makes_of_an_input() -> None:
    made = Footprint.of(classifier(seeded(Small)), X)
    assert made.whole == MADE
    assert made.whole - made.behind("second") == 4 * (3 * 32 * 32 + 6 * 16 * 16 + 8 * 8 * 8)
    # What is called twice ends with its last call.
    assert made.behind("relu") == 4 * 5
    assert made.behind("no such module") == made.whole


@pytest.mark.parametrize(("filters", "most"), [(True, batches.CPU_BATCH), (False, batches.DIRECT_CPU_BATCH)])
def test_a_batch_is_smaller_the_more_a_pass_makes(filters: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "is_faster", lambda: filters)
    found = Device(classifier(seeded(Small)))
    for room, expected in ((100 * MADE, most), (3 * MADE, 3), (MADE, 1), (MADE // 2, 1)):
        monkeypatch.setattr(batches, "PASS_BYTES", room)
        assert found.batch_size(X, gradients=False) == expected
        masked = max(expected, min(batches.CPU_BATCH, room // MADE))
        assert found.masked_batch(X) == masked
        found._reduced = FastCopy(found.classifier.network, frozenset())
        assert found.masked_batch(X) == min(2 * masked, batches.REDUCED_CPU_BATCH)
        assert found.masked_batch(X, exact=True) == masked
        found._reduced = None


def test_more_go_together_where_a_network_runs_in_two_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Device(classifier(seeded(Small)))
    plain = found.batch_size(X, gradients=False)
    found._batches = FastCopy(found.classifier.network, frozenset({"second"}), "second")
    assert found.masked_batch(X) == found.batch_size(X, gradients=False, taps=["third"]) == batches.STAGED_CPU_BATCH
    # Where the original has to run, taps lie in the first stage, or gradients are kept, it is as before.
    assert found.batch_size(X, gradients=False) == plain
    assert found.batch_size(X, gradients=False, taps=["second"]) == plain
    assert found.batch_size(X, gradients=True, taps=["third"]) == plain
    behind = Footprint.of(found.classifier, X).behind("second")
    monkeypatch.setattr(batches, "PASS_BYTES", 9 * behind)
    assert found.masked_batch(X) == 9
    found._reduced = found._batches
    assert found.masked_batch(X) == 9 and found.masked_batch(X, exact=True) == 9


def test_memory_of_a_cuda_device_is_shared_out() -> None:
    made = Footprint((("", 100), ("conv", 1000)))
    free = 40 * batches.GRADIENT_OUTPUTS * 1000
    assert batches.on_cuda(made, free=free, gradients=True) == 20
    assert batches.on_cuda(made, free=free, gradients=False) == 80
    assert batches.on_cuda(made, free=0, gradients=False) == 1
    assert batches.on_cuda(made, free=10**12, gradients=False) == batches.CUDA_BATCH
