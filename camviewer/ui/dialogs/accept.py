"""Accepting the least doubtful masks at once, with a random sample to be checked by eye."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from camviewer.ui.choices import LabelledSlider
from camviewer.ui.controls import Button, label
from camviewer.ui.dialogs.base import PanelDialog

AUDIT = 0.05
"""Share of the accepted images that a person looks at all the same."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What is accepted unseen, and what is to be looked at."""

    accepted: tuple[int, ...]
    audit: tuple[int, ...]


def choose(doubts: Sequence[tuple[int, float]], limit: float, *, seed: int) -> Acceptance:
    """Return the images whose doubt is at most `limit`, a random `AUDIT` of them (at least one) held back.

    Args:
        doubts: (image id, doubt 0..1) of the images that wait for review.
        seed: of the draw, so that moving the slider back shows the same numbers.
    """
    below = sorted(image_id for image_id, doubt in doubts if doubt <= limit)
    if not below:
        return Acceptance((), ())
    audit = set(random.Random(seed).sample(below, max(1, round(AUDIT * len(below)))))
    return Acceptance(tuple(i for i in below if i not in audit), tuple(sorted(audit)))


class AcceptDialog(PanelDialog):
    """Asks for the limit and shows what it means before anything happens.

    Signals:
        chosen: `Acceptance`.
    """

    chosen = Signal(object)

    def __init__(self, doubts: Sequence[tuple[int, float]], parent: QWidget | None = None) -> None:
        super().__init__("Accept the least doubtful", f"{len(doubts):,} images wait with a doubt", parent=parent)
        self._doubts = list(doubts)
        self._seed = random.randrange(1 << 30)
        self._limit = LabelledSlider(
            "Doubt up to", minimum=0.0, maximum=1.0, value=0.2, step=0.01, text=lambda value: f"{value:.2f}",
            tip="Masks with at most this doubt are marked reviewed as they are",
        )  # fmt: skip
        self._words = label("", "section")
        self._audit = label("", "body", "text-2")
        for line in (self._words, self._audit):
            line.setWordWrap(True)
        note = label(
            "Doubt is an estimate of how likely a mask is wrong. What is accepted unseen carries its errors into the "
            "training set; the sample says how many there are.",
            "body",
            "text-2",
        )
        note.setWordWrap(True)
        column = QVBoxLayout()
        column.setSpacing(10)
        for part in (self._limit, self._words, self._audit, note):
            column.addWidget(part)
        self.body.addLayout(column)
        self.body.addStretch(1)
        self.add_close("Cancel")
        self._accept = Button("Accept", "primary", key="Ctrl+Enter", tip="Mark them reviewed; Ctrl+Z takes it back")
        self._accept.clicked.connect(self._on_accept)
        self.add_buttons(self._accept)
        self._limit.value_changed.connect(self._count)
        self._count()

    def sizeHint(self) -> QSize:
        return QSize(520, 300)

    def acceptance(self) -> Acceptance:
        """Return what the present limit means."""
        return choose(self._doubts, self._limit.value(), seed=self._seed)

    @Slot()
    def _count(self) -> None:
        found = self.acceptance()
        count, audit = len(found.accepted), len(found.audit)
        self._words.setText(_images(count, "is", "are") + " accepted unseen")
        self._audit.setText(
            f"{_images(audit, 'is', 'are')} drawn at random for a look ({AUDIT:.0%}), flagged audit" if audit else ""
        )
        self._accept.set_text(f"Accept {count:,} image{'' if count == 1 else 's'}")
        self._accept.setEnabled(count > 0)

    @Slot()
    def _on_accept(self) -> None:
        self.chosen.emit(self.acceptance())
        self.accept()


def _images(count: int, one: str, many: str) -> str:
    return f"1 image {one}" if count == 1 else f"{count:,} images {many}"
