"""What every test of the window leaves behind: nothing that still runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leaks import left_running
from PySide6.QtCore import QCoreApplication, QEvent


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Look after the test's own fixtures, so after its windows were closed."""
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert left_running() == []
