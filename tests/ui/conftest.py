"""What every test of the window leaves behind: nothing that still runs, nor a dialog before the next one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leaks import left_running
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Look after the test's own fixtures, so after its windows were closed."""
    yield
    while (dialog := QApplication.activeModalWidget()) is not None:  # of a test that failed: the next ones go on
        dialog.hide()
        dialog.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert left_running() == []
