"""Agreement: how alike the compared maps of one class are, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Slot
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from camviewer.images.geometry import FloatMap
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import label
from camviewer.ui.painting import painting
from camviewer.ui.sections import Section
from camviewer.ui.theme import theme
from camviewer.workers.agreement import peak_distance, pearson, region_overlap, spearman

Pair = tuple[int, int]

MEASURES: tuple[tuple[str, str, str, Callable[[FloatMap, FloatMap], float]], ...] = (
    ("pearson", "Pearson", "Linear correlation of the raw maps; 1 where one is a stretched copy of the other", pearson),
    ("spearman", "Spearman", "Correlation of the ranks; 1 where both order all places alike", spearman),
    ("iou", "IoU", "Overlap of the strongest fifth of both maps", region_overlap),
    (
        "distance",
        "Distance",
        "Between the maxima, as a share of the image's diagonal; 0 at the same place",
        peak_distance,
    ),
)
_FUNCTIONS = {name: function for name, _, _, function in MEASURES}


class AgreementPanel(Section):
    """Shown beside the comparison. Works on raw maps of equal shape."""

    def __init__(self) -> None:
        super().__init__("Agreement", "agreement")
        self._names: tuple[str, ...] = ()
        self._maps: dict[int, FloatMap] = {}
        self.measure = SegmentedControl(
            [(name, title) for name, title, _, _ in MEASURES], "Measure", tips=[tip for _, _, tip, _ in MEASURES]
        )
        self.matrix = PairMatrix()
        self._words = label("", "body", "text-2")
        self._words.setWordWrap(True)
        for part in (self.measure, self.matrix, self._words):
            self.add(part)
        self.measure.chosen.connect(self._show)
        self.hide()

    def set_maps(self, names: Sequence[str], maps: Mapping[int, FloatMap], class_name: str = "") -> None:
        """Compare the maps of these rows; a row without an entry in `maps` is not there yet."""
        self._names, self._maps = tuple(names), dict(maps)
        self.set_qualifier(f"{class_name}, raw maps" if class_name else "raw maps")
        self._show()

    def values(self) -> dict[Pair, float]:
        """Return the chosen measure by (later row, earlier row) of every pair that is there; NaN where undefined."""
        function = _FUNCTIONS[self.measure.value()]
        known = sorted(self._maps)
        return {(b, a): function(self._maps[a], self._maps[b]) for a in known for b in known if a < b}

    @Slot()
    def _show(self) -> None:
        values, apart = self.values(), self.measure.value() == "distance"
        self.matrix.set_values(self._names, values, apart=apart)
        defined = {pair: value for pair, value in values.items() if math.isfinite(value)}
        shown = {_number(value) for value in defined.values()}
        if len(shown) > 1:
            worst = (max if apart else min)(defined, key=lambda pair: defined[pair])
            self._words.setText(f"{self._names[worst[1]]} and {self._names[worst[0]]} differ most.")
        elif len(defined) > 1:
            self._words.setText("No pair differs more than another.")
        else:
            self._words.setText("" if values else "Two maps of this class are needed.")
        self._words.setVisible(bool(self._words.text()))


class PairMatrix(QWidget):
    """The lower half of a table of all pairs: number, and a shade that grows with the agreement."""

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self._values: dict[Pair, float] = {}
        self._apart = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Agreement of each pair")
        theme().changed.connect(self.update)

    def set_values(self, names: Sequence[str], values: Mapping[Pair, float], *, apart: bool) -> None:
        """Show `values` by (row, column); with `apart` a small one means agreement."""
        self._names, self._values, self._apart = tuple(names), dict(values), apart
        words = [f"{self._names[row]} and {self._names[column]} {_number(v)}" for (row, column), v in values.items()]
        self.setAccessibleDescription(", ".join(words))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(264, theme().px(20) + max(0, len(self._names) - 1) * theme().px(30))

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the agreement") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors, count = theme(), len(self._names)
        if count < 2:
            return
        top, high, left = theme().px(20), theme().px(30), self.width() * 0.34
        wide = (self.width() - left) / (count - 1)
        painter.setFont(colors.font("caption"))
        metrics = QFontMetricsF(painter.font())
        for column in range(count - 1):
            painter.setPen(colors.color("text-2"))
            name = metrics.elidedText(self._names[column], Qt.TextElideMode.ElideMiddle, wide - 4)
            painter.drawText(QRectF(left + column * wide, 0, wide - 2, top), Qt.AlignmentFlag.AlignCenter, name)
        for row in range(1, count):
            y = top + (row - 1) * high
            painter.setFont(colors.font("name"))
            painter.setPen(colors.color("text"))
            name = QFontMetricsF(painter.font()).elidedText(self._names[row], Qt.TextElideMode.ElideMiddle, left - 8)
            painter.drawText(QRectF(0, y, left - 4, high), Qt.AlignmentFlag.AlignVCenter, name)
            for column in range(row):
                cell = QRectF(left + column * wide, y + 1, wide - 2, high - 2)
                self._paint_cell(painter, cell, self._values.get((row, column)))

    def _paint_cell(self, painter: QPainter, cell: QRectF, value: float | None) -> None:
        colors = theme()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("raised"))
        painter.drawRoundedRect(cell, 4, 4)
        if value is None:
            return
        near = 0.0 if not math.isfinite(value) else 1 - value if self._apart else value
        strong = near > 0.75
        painter.setBrush(colors.color("accent", max(0.0, min(1.0, near)) ** 2 * 0.95))
        painter.drawRoundedRect(cell, 4, 4)
        painter.setFont(colors.font("section"))
        painter.setPen(colors.color("on-accent" if strong else "text"))
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, _number(value))


def _number(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.2f}".replace("-", "−")
