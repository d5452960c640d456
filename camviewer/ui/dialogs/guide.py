"""Guided fine-tuning: how, then a live curve, then before and after side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QGridLayout, QLabel, QScrollArea, QWidget

from camviewer.catalogue.guiding import GUIDING
from camviewer.ui.controls import Button, label
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.panels.fields import ParameterForm
from camviewer.ui.plots import CurvePlot, Series
from camviewer.ui.qimage import rgb_image
from camviewer.ui.theme import theme

if TYPE_CHECKING:
    from camviewer.workers.guiding import GuidedReport, GuideResult

_MEASURES = (
    ("inside", "Map inside the mask", "Share of the map's positive part that lies in the mask"),
    ("gain", "Inside over area", "The same over the mask's share of the picture; 1 is chance"),
    ("pointing", "Maximum inside", "How often the map's maximum lies in the mask"),
    ("accuracy", "Accuracy", "Share of right predictions"),
)


class GuideDialog(PanelDialog):
    """Stays open beside the window while it trains.

    Signals:
        start_wanted: values by `camviewer.catalogue.guiding`.
        cancel_wanted: stop; nothing is written then.
        open_wanted: path of the guided checkpoint.
    """

    start_wanted = Signal(object)
    cancel_wanted = Signal()
    open_wanted = Signal(object)

    def __init__(self, reviewed: int, model: str, parent: QWidget | None = None) -> None:
        super().__init__("Guide the model", "by reviewed masks", parent=parent)
        self.setWindowModality(Qt.WindowModality.NonModal)
        self._checkpoint: Path | None = None
        self._reports: list[GuidedReport] = []
        images = "1 image has" if reviewed == 1 else f"{reviewed:,} images have"
        self._state = label(
            f"{images} a reviewed mask. {model} goes on training so that its maps lie on the masks and it is unsure "
            "without the object. Some of the images are held out and judge. The open model is left as it is.",
            "body",
            "text-2",
        )
        self._state.setWordWrap(True)
        self._form = ParameterForm(columns=2)
        self._form.set_parameters(GUIDING, {})
        self._plot = CurvePlot("Maps inside the masks", "share of the map, images that guide")
        self._plot.setFixedHeight(theme().px(170))
        self._figures = QGridLayout()
        self._figures.setHorizontalSpacing(24)
        self._figures.setVerticalSpacing(4)
        holder = QWidget()
        self._pairs = QGridLayout(holder)
        self._pairs.setContentsMargins(0, 0, 0, 0)
        self._pairs.setSpacing(6)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._area.setWidget(holder)
        self._area.setAccessibleName("Before and after")
        self._area.hide()
        self.body.addWidget(self._state)
        self.body.addWidget(self._form)
        self.body.addWidget(self._plot)
        self.body.addLayout(self._figures)
        self.body.addWidget(self._area, 1)
        self.body.addStretch()
        self._cancel = Button("Stop", tip="Stop guiding; nothing is written")
        self._cancel.hide()
        self._open = Button("Open the guided model", tip="Make it the open model")
        self._open.hide()
        self._start = Button("Guide", "primary")
        self._start.setEnabled(reviewed > 1)
        self._cancel.clicked.connect(self.cancel_wanted)
        self._open.clicked.connect(self._on_open)
        self._start.clicked.connect(self._on_start)
        self._form.validity_changed.connect(self._start.setEnabled)
        self.add_close()
        self.add_buttons(self._cancel, self._open, self._start)
        self.resize(880, 700)

    def sizeHint(self) -> QSize:
        return QSize(880, 700)

    @Slot()
    def _on_start(self) -> None:
        self.start_wanted.emit(self._form.values())

    @Slot()
    def _on_open(self) -> None:
        if self._checkpoint is not None:
            self.open_wanted.emit(self._checkpoint)
            self.accept()

    def show_started(self) -> None:
        """Show the curve of a guiding that begins."""
        self._reports.clear()
        self._plot.set_curves(())
        self._area.hide()
        self._open.hide()
        self._form.setEnabled(False)
        self._start.hide()
        self._cancel.show()
        self._state.setText("Reading the images.")

    def show_epoch(self, report: GuidedReport) -> None:
        """Draw one epoch more."""
        self._reports.append(report)
        self._state.setText(
            f"Epoch {report.epoch}: {100 * report.inside:.0f} % of the maps lie in the masks; without the object the "
            f"network is {100 * report.mining_loss:.0f} % above chance."
        )
        self._plot.set_curves([Series("Inside", tuple((r.epoch, r.inside) for r in self._reports))])

    def show_ended(self, sentence: str) -> None:
        """Say why there is no result; it may be tried again."""
        self._state.setText(sentence)
        self._form.setEnabled(True)
        self._cancel.hide()
        self._start.show()

    def show_result(self, result: GuideResult) -> None:
        """Show before and after side by side."""
        images = "1 image" if result.before.images == 1 else f"{result.before.images:,} images"
        self.show_ended(f"Guided by {result.masks:,} masks, judged on {images} that were held out.")
        self._checkpoint = result.checkpoint
        self._open.show()
        self._start.set_text("Guide again")
        _clear(self._figures)
        for column, (name, title, tip) in enumerate(_MEASURES):
            caption = label(title, "caption", "text-3")
            caption.setToolTip(tip)
            before, after = getattr(result.before, name), getattr(result.after, name)
            figure = label(f"{before:.2f} → {after:.2f}", "subject")
            figure.setAccessibleName(f"{title}, before {before:.2f}, after {after:.2f}")
            self._figures.addWidget(caption, 0, column)
            self._figures.addWidget(figure, 1, column)
        _clear(self._pairs)
        for column, words in enumerate(("Image and mask", "Before", "After")):
            self._pairs.addWidget(label(words, "caption", "text-2"), 0, column)
        for row, pair in enumerate(result.pairs, start=1):
            for column, pixels in enumerate((pair.picture, pair.before, pair.after)):
                picture = QLabel()
                picture.setPixmap(QPixmap.fromImage(rgb_image(pixels)))
                share = "" if column == 0 else f", {100 * pair.inside[column - 1]:.0f} % inside"
                picture.setToolTip(f"{pair.name}{share}")
                picture.setAccessibleName(f"{pair.name}{share}")
                self._pairs.addWidget(picture, row, column)
        self._pairs.setColumnStretch(3, 1)
        self._area.setVisible(bool(result.pairs))


def _clear(grid: QGridLayout) -> None:
    while (item := grid.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
