"""Painting that never raises: an exception out of a paint event would end the process on some Pythons."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

log = logging.getLogger(__name__)


@contextmanager
def painting(widget: QWidget, name: str) -> Iterator[QPainter]:
    """Give an antialiased painter on `widget`; log what goes wrong meanwhile under `name`."""
    painter = QPainter(widget)
    try:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        yield painter
    except Exception:
        log.exception("%s could not be painted", name)
    finally:
        painter.end()
