"""Choose the threshold by evidence: curves of the overlap with reviewed masks, the best rule, what to expect of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from camviewer.catalogue.methods import BY_NAME
from camviewer.ui.controls import Button, label, name_control
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.plots import CurvePlot, Level, Series
from camviewer.ui.sections import MessageBar
from camviewer.workers.thresholds import rule_words

if TYPE_CHECKING:
    from camviewer.workers.thresholds import Candidate, ThresholdChoice

_SERIES = (
    ("Largest", "fraction", "largest", "positive"),
    ("All regions", "fraction", "all", "positive"),
    ("Largest, min-max", "fraction", "largest", "minmax"),
    ("Share of pixels", "percentile", "largest", "positive"),
)


class ChooseThresholdDialog(PanelDialog):
    """Stays open beside the window while the images are measured.

    Signals:
        wanted: `Candidate` that the rest of the images is to be redrawn by.
    """

    wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Choose the threshold", "by true and reviewed masks", parent=parent)
        self.setWindowModality(Qt.WindowModality.NonModal)
        self._choice: ThresholdChoice | None = None
        self._state = label("Measuring every rule on the reviewed images.", "body", "text-2")
        self._state.setWordWrap(True)
        self._places = QComboBox()
        name_control(self._places, "Method and layer", tip="Whose curves are drawn")
        self._places.currentIndexChanged.connect(self._draw)
        pick = QHBoxLayout()
        pick.setSpacing(8)
        pick.addWidget(label("Method and layer", "body", "text-2"))
        pick.addWidget(self._places, 1)
        self._plot = CurvePlot("Overlap", "mean IoU over the threshold")
        self._plot.setMinimumHeight(220)
        self._table = QTreeWidget()
        self._table.setRootIsDecorated(False)
        self._table.setUniformRowHeights(True)
        self._table.setHeaderLabels(["Method and layer", "Best rule", "IoU here", "Expected", "95 %"])
        header = self._table.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column in (0, 2, 3, 4):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._table.setMaximumHeight(150)
        name_control(
            self._table, "Best rules", tip="Expected is the mean overlap on images that had no say in the choice"
        )
        self._table.currentItemChanged.connect(self._on_row)
        self._notes = MessageBar("info")
        self._notes.hide()
        self.body.addWidget(self._state)
        self.body.addLayout(pick)
        self.body.addWidget(self._plot, 1)
        self.body.addWidget(self._table)
        self.body.addWidget(self._notes)
        self.note.setText("Reviewed and skipped images are left as they are.")
        self.add_close()
        self._use = Button("Use this rule", "primary", tip="Redraw the automatic masks of all other images by it")
        self._use.setEnabled(False)
        self._use.clicked.connect(self._on_use)
        self.add_buttons(self._use)
        self.resize(860, 660)

    def sizeHint(self) -> QSize:
        return QSize(860, 660)

    def show_failure(self, sentence: str) -> None:
        """Say why there is nothing to choose."""
        self._state.setText(sentence)

    def show_choice(self, choice: ThresholdChoice) -> None:
        """Show what the evidence says."""
        self._choice = choice
        best = choice.best
        held = "" if best.expected is None else f"; expect {best.expected:.2f} of other images"
        images = "1 image" if choice.images == 1 else f"{choice.images} images"
        self._state.setText(
            f"On {images} the best is {_place(best.candidate)}, "
            f"{rule_words(best.candidate.rule)}: mean IoU {best.fitted:.2f}{held}."
        )
        self._table.clear()
        self._places.blockSignals(True)
        self._places.clear()
        for entry in choice.each:
            name = _place(entry.candidate)
            self._places.addItem(name)
            interval = "–" if entry.interval is None else f"{entry.interval[0]:.2f} to {entry.interval[1]:.2f}"
            held = "–" if entry.expected is None else f"{entry.expected:.3f}"
            words = rule_words(entry.candidate.rule)
            self._table.addTopLevelItem(QTreeWidgetItem([name, words, f"{entry.fitted:.3f}", held, interval]))
        self._places.blockSignals(False)
        first = self._table.topLevelItem(0)
        if first is not None:
            self._table.setCurrentItem(first)
        self._draw()
        self._notes.setVisible(bool(choice.notes))
        if choice.notes:
            expected = best.expected if best.expected is not None else best.fitted
            keep = choice.now is not None and choice.now >= expected
            # What speaks against the rule is the last note, and stands first.
            notes = (choice.notes[-1], *choice.notes[:-1]) if keep else choice.notes
            self._notes.show_message("warn" if keep else "info", notes[0], " ".join(notes[1:]))
        self._use.setEnabled(True)

    def chosen(self) -> Candidate | None:
        """Return the rule of the selected row."""
        row = self._row()
        return self._choice.each[row].candidate if self._choice is not None and row >= 0 else None

    def _row(self) -> int:
        item = self._table.currentItem()
        return -1 if item is None else self._table.indexOfTopLevelItem(item)

    @Slot()
    def _on_row(self) -> None:
        row = self._row()
        if row >= 0:
            self._places.setCurrentIndex(row)

    @Slot()
    def _draw(self) -> None:
        choice, row = self._choice, self._places.currentIndex()
        if choice is None or not 0 <= row < len(choice.each):
            return
        best = choice.each[row].candidate
        own = [c for c in choice.curves if (c.method, c.layer) == (best.method, best.layer)]
        series = [
            Series(name, tuple(zip(c.threshold, c.iou, strict=True)), dashed=kind == "percentile")
            for name, kind, components, normalise in _SERIES
            for c in own
            if (c.kind, c.components, c.normalise) == (kind, components, normalise)
        ]
        levels = [Level("As it is", choice.now)] if choice.now is not None else []
        otsu = [c.iou[0] for c in own if c.kind == "otsu"]
        if otsu:
            levels.append(Level("Otsu", max(otsu)))
        marked = None if best.rule.rule == "otsu" else best.rule.threshold
        self._plot.set_curves(series, levels, marked=marked)

    @Slot()
    def _on_use(self) -> None:
        candidate = self.chosen()
        if candidate is not None:
            self.wanted.emit(candidate)
            self.accept()


def _place(candidate: Candidate) -> str:
    spec = BY_NAME.get(candidate.method)
    return f"{spec.title if spec is not None else candidate.method} at {candidate.layer}"
