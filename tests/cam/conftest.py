"""What tests of the engine share: threads, and kinds of processors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from camviewer.cam import batches, winograd


@pytest.fixture(autouse=True)
def single_thread() -> Iterator[None]:
    """Test workers share the cores, and threads that wait for each other cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def filtering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor on which Winograd's filtering is worth it."""
    for module in (winograd, batches):
        monkeypatch.setattr(module, "is_faster", lambda: True)
