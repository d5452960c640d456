"""The keys page, built from the action table, and the about page."""

from __future__ import annotations

import platform

import PySide6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from camviewer import __version__
from camviewer.catalogue.actions import ACTIONS, GESTURES, MENUS, ActionSpec
from camviewer.ui.actions import all_keys_text
from camviewer.ui.controls import label
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.icons import app_mark
from camviewer.ui.marks import KeyBadge
from camviewer.ui.welcome import DISCLAIMER


class KeysDialog(PanelDialog):
    """All keys on one page, by menu."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Keys", "every action of the window", parent=parent)
        content = QWidget()
        columns = QHBoxLayout(content)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(40)
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in MENUS}
        for spec in ACTIONS:
            if spec.keys:
                groups[spec.menu or _home(spec)].append((spec.text.rstrip("…"), all_keys_text(spec)))
        groups["Canvas"] = [(words, keys) for keys, words in GESTURES]
        filled = {title: rows for title, rows in groups.items() if rows}
        half = sum(len(rows) + 2 for rows in filled.values()) / 2
        column, used = _column(columns), 0
        for title, rows in filled.items():
            if used and used + len(rows) / 2 > half and columns.count() == 1:
                column.addStretch(1)
                column = _column(columns)
            column.addLayout(_group(title, rows))
            column.addSpacing(20)
            used += len(rows) + 2
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName("Keys")
        area.setWidget(content)
        self.body.addWidget(area, 1)
        self.add_close()
        self.resize(960, 680)


def _column(columns: QHBoxLayout) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(0)
    columns.addLayout(column, 1)
    return column


def _home(spec: ActionSpec) -> str:
    return {"assign_class": "Regions", "class_by_rank": "Model"}.get(spec.id, "View")


def _group(title: str, rows: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 8, 0)
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(0, 1)
    grid.addWidget(label(title, "section"), 0, 0)
    for number, (words, keys) in enumerate(rows, 1):
        text = label(words, "body", "text-2")
        text.setWordWrap(True)
        grid.addWidget(text, number, 0)
        grid.addWidget(KeyBadge(keys), number, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
    return grid


class AboutDialog(PanelDialog):
    """Version, licences, and what the program is not for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("About camviewer", f"version {__version__}", parent=parent)
        row = QHBoxLayout()
        row.setSpacing(20)
        mark = QLabel()
        mark.setPixmap(app_mark(72, density=2))
        mark.setAccessibleName("camviewer")
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(label("See what a classifier looks at, and turn it into masks you can trust.", "subject"))
        for text in (
            DISCLAIMER,
            "Everything runs on this computer. No image leaves it.",
            "camviewer is free software under the MIT licence. It uses PySide6 (LGPL), PyTorch and torchvision (BSD), "
            "NumPy (BSD), OpenCV (Apache), Pillow (MIT-CMU), pycocotools (BSD) and the font Inter (OFL).",
            f"Python {platform.python_version()}, Qt for Python {PySide6.__version__}, {platform.platform()}",
        ):
            line = label(text, "body", "text-2")
            line.setWordWrap(True)
            line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            words.addWidget(line)
        row.addLayout(words, 1)
        self.body.addLayout(row)
        self.body.addStretch(1)
        self.add_close()
        self.resize(560, 300)
