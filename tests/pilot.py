"""A small project opened in a session, and ways to work the dialogs that ask about it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from exports import a_project
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog

from camviewer.ui.session import Session

NAMES = [f"ISIC_{number}.jpg" for number in range(12)]
"""The first ten are reviewed; three images each are of one lesion."""


def pixels(number: int) -> dict[int, np.ndarray]:
    mask = np.zeros((30, 40), bool)
    mask[5:20, 10:30] = True
    mask[8, 12] = False
    return {1 + number % 2: mask}


def make_pilot(folder: Path) -> Path:
    project = a_project(folder, {name: pixels(i) for i, name in enumerate(NAMES)}, reviewed=NAMES[:10])
    with (folder / "metadata.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["age", "image_id", "lesion_id"])
        rows.writerows([i, name.removesuffix(".jpg"), f"L{i // 3}"] for i, name in enumerate(NAMES))
    return project


def open_pilot(project: Path, qtbot) -> Session:
    session = Session()
    session.open_project(project)
    qtbot.waitUntil(lambda: len(session.records()) == len(NAMES))
    return session


def close(session: Session) -> None:
    assert session.close()
    session.deleteLater()


def field(dialog: QDialog, kind: type, name: str):
    (found,) = [widget for widget in dialog.findChildren(kind) if widget.accessibleName() == name]
    return found


def choose(dialog: QDialog, name: str, text: str) -> None:
    """Choose an entry as a person does: by what it begins with."""
    combo = field(dialog, QComboBox, name)
    index = combo.findText(text, Qt.MatchFlag.MatchStartsWith)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)
