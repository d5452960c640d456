"""Passes side by side: the results of one after the other, and no thread or setting is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cam_reference as ref
import pytest
import torch
from cam_toys import classifier
from hypothesis import given
from hypothesis import strategies as st
from probe import draw_pixels, probe_network

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.cam.streams import Streams, shares
from camviewer.errors import Cancelled


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "request_",
    [
        MapRequest(("cam", "scorecam"), "top2", parameters={"scorecam": {"strongest": 24}}),
        MapRequest(("gradcam", "layercam"), "top3", ("layer3", "layer4.0")),
    ],
    ids=["forward", "backward"],
)
def test_passes_side_by_side_give_what_one_after_the_other_gives(request_: MapRequest) -> None:
    network = probe_network("resnet18", side=96)
    owner = classifier(network, size=(96, 96))
    pictures = [draw_pixels(seed) for seed in range(5)]
    together = Explainer(owner)
    assert together.device.lanes == 2
    found = together.explain_batch(pictures, request_)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    alone = Explainer(owner)
    for pixels, explanation in zip(pictures, found, strict=True):
        for m, n in zip(alone.explain(pixels, request_).maps, explanation.maps, strict=True):
            assert (m.method, m.class_index) == (n.method, n.class_index)
            assert ref.difference(n.values, m.values) < 1e-5


@pytest.mark.usefixtures("two_threads")
def test_passes_side_by_side_can_be_cancelled() -> None:
    owner = classifier(probe_network("resnet18", side=96), size=(96, 96))
    explainer = Explainer(owner)
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(threading.get_ident())
        return len(set(asked)) > 1 and len(asked) > 150

    with pytest.raises(Cancelled):
        explainer.explain(draw_pixels(0), MapRequest(("scorecam",)), cancelled=cancelled)
    assert len(set(asked)) > 1 and torch.get_num_threads() == 2
    assert len(explainer.explain(draw_pixels(0), MapRequest()).maps) == 1


def test_streams() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        streams = Streams()
        seen = streams.map(lambda item: (item, torch.get_num_threads(), threading.get_ident()), range(9))
        assert [item for item, _, _ in seen] == list(range(9)) and {threads for _, threads, _ in seen} == {1}
        assert threading.get_ident() not in {thread for _, _, thread in seen}
        assert streams.map(lambda _item: torch.get_num_threads(), [0]) == [3]
        with pytest.raises(ZeroDivisionError):
            streams.map(lambda item: 1 // item, [1, 0])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_streams_go_on_while_results_are_used() -> None:
    begun: list[int] = []
    ended: list[int] = []
    release = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            assert release.wait(30)
        ended.append(item)
        return item

    results = Streams().each(work, range(20))
    assert next(results) == 0  # though 1 is not done
    release.set()
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    results.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == 2
    assert sorted(begun) == sorted(ended) and len(begun) < 10  # the rest was never begun, and nothing runs any more


@given(st.integers(1, 200), st.integers(1, 8), st.integers(1, 16))
def test_parts_are_even_and_fit(count: int, batch: int, lanes: int) -> None:
    parts = [range(count)[part] for part in shares(count, most=batch, lanes=lanes)]
    assert [i for part in parts for i in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert min(sizes) >= 1 and max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    rounds = -(-len(parts) // lanes)
    assert rounds == -(-count // (batch * lanes))
