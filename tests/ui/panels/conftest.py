"""A shown panel, and lists that signals fill."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QWidget


@pytest.fixture
def shown(qtbot) -> Callable[[QWidget], QWidget]:
    """Return a function that shows a panel as wide as the window's right side."""

    def show(widget: QWidget, width: int = 328) -> QWidget:
        qtbot.addWidget(widget)
        widget.resize(width, 600)
        widget.show()
        qtbot.waitExposed(widget)
        return widget

    return show


@pytest.fixture
def collected() -> Callable[[object], list]:
    """Return a list that a signal fills; of several values, their tuples."""

    def collect(signal, values: int = 1) -> list:
        seen: list = []
        if values == 1:
            signal.connect(seen.append)
        else:
            signal.connect(lambda *parts: seen.append(parts))
        return seen

    return collect
