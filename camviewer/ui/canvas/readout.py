"""The strip under the image: what lies below the pointer, in white on near-black in both themes."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from camviewer.ui.canvas.numbers import percent, raw
from camviewer.ui.canvas.records import CursorReading
from camviewer.ui.painting import painting
from camviewer.ui.theme import theme

_PAD, _BETWEEN, _INNER = 8.0, 14.0, 5.0


class ReadOut(QWidget):
    """Pairs of a quiet label and a strong value. It never takes the pointer."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Under the pointer")
        self._pairs: list[tuple[str, str, str]] = []
        self.hide()

    def set_reading(self, reading: CursorReading | None, *, class_name: str = "", score: float | None = None) -> None:
        """Show a reading, with the score of the class whose map is shown; None hides the strip."""
        pairs: list[tuple[str, str, str]] = []
        if reading is not None:
            red, green, blue = reading.rgb
            pairs = [
                ("x", str(reading.x), "0000"),
                ("y", str(reading.y), "0000"),
                ("RGB", f"{red} {green} {blue}", "000 000 000"),
            ]
            if reading.value is not None:
                pairs.append(("map", raw(reading.value), "−00.00"))
            if reading.share is not None:
                pairs.append(("of max", percent(reading.share), "100 %"))
            if class_name and score is not None:
                pairs.append((class_name, percent(score, decimals=1), ""))
        self._pairs = pairs
        self.setAccessibleDescription(", ".join(f"{label} {value}" for label, value, _ in pairs))
        self.setVisible(bool(pairs))
        self.adjustSize()
        self.update()

    def sizeHint(self) -> QSize:
        width = sum(self._widths()) + _BETWEEN * max(0, len(self._pairs) - 1) + 2 * _PAD
        return QSize(round(width), theme().px(22))

    def _widths(self) -> list[float]:
        quiet, strong = QFontMetricsF(theme().font("caption")), QFontMetricsF(theme().font("section"))
        # Room for the longest value, so that nothing jumps while the pointer moves.
        return [
            quiet.horizontalAdvance(label) + _INNER + max(strong.horizontalAdvance(v), strong.horizontalAdvance(widest))
            for label, v, widest in self._pairs
        ]

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the read-out") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("readout"))
        painter.drawRoundedRect(QRectF(self.rect()), 5, 5)
        caption, section = colors.font("caption"), colors.font("section")
        quiet, strong = QFontMetricsF(caption), QFontMetricsF(section)
        baseline = (self.height() + strong.ascent() - strong.descent()) / 2
        x = _PAD
        for (label, value, _), width in zip(self._pairs, self._widths(), strict=True):
            painter.setFont(caption)
            painter.setPen(colors.color("on-image", 0.72))
            painter.drawText(QPointF(x, baseline), label)
            painter.setFont(section)
            painter.setPen(colors.color("on-image"))
            painter.drawText(QPointF(x + quiet.horizontalAdvance(label) + _INNER, baseline), value)
            x += width + _BETWEEN
