"""How many images each part of a split gets, and of which classes: a bar a part."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from camviewer.ui.theme import theme
from camviewer.workers.exports import ExportReport

LISTED = 5
_NAMES = {"": "All", "train": "Train", "val": "Val", "test": "Test"}


class SplitBars(QWidget):
    """Bars of a trial run: as long as the part is large, in the colours of its classes, with a legend below."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[str, int, dict[str, int]]] = []
        self._classes: list[tuple[str, QColor]] = []
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Parts and classes")

    def show_report(self, report: ExportReport | None, colours: dict[str, str]) -> None:
        """Show the parts of a report; `colours` are those of the classes by name."""
        self._parts, self._classes = [], []
        if report is not None:
            parts = report.part_classes or {"": report.classes}
            self._parts = [
                (_NAMES[part], report.parts.get(part, report.images), parts.get(part, {}))
                for part in (*_NAMES,)
                if part in parts
            ]
            ordered = sorted(report.classes, key=lambda name: -report.classes[name])
            spare = theme().color("text-3")
            self._classes = [(name, QColor(colours[name]) if name in colours else spare) for name in ordered]
        self.setAccessibleDescription(self.words())
        self.setToolTip(self.words())
        self.updateGeometry()
        self.update()

    def words(self) -> str:
        """Return what the bars show, a line a part."""
        lines = []
        for name, images, counts in self._parts:
            classes = ", ".join(f"{label} {counts[label]:,}" for label, _ in self._classes if label in counts)
            lines.append(f"{name} {images:,}" + (f": {classes}" if classes else ""))
        return "\n".join(lines)

    def sizeHint(self) -> QSize:
        return QSize(200, theme().px(22 * max(1, len(self._parts)) + 22 * len(self._legend(200))))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def _legend(self, width: float) -> list[list[tuple[str, QColor | None]]]:
        """Return the legend's entries, row by row."""
        entries: list[tuple[str, QColor | None]] = [(name, colour) for name, colour in self._classes[:LISTED]]
        if len(self._classes) > LISTED:
            entries.append((f"and {len(self._classes) - LISTED:,} more", None))
        metrics = QFontMetrics(theme().font("caption"))
        rows: list[list[tuple[str, QColor | None]]] = []
        used = width + 1
        for entry in entries:
            need = metrics.horizontalAdvance(entry[0]) + 28
            if used + need > width:
                rows.append([])
                used = 0
            rows[-1].append(entry)
            used += need
        return rows

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        look, line = theme(), theme().px(22)
        metrics = QFontMetrics(look.font("body"))
        names = 12 + max((metrics.horizontalAdvance(name) for name, *_ in self._parts), default=0)
        numbers = 12 + max((metrics.horizontalAdvance(f"{count:,}0") for _, count, _ in self._parts), default=0)
        most = max((count for _, count, _ in self._parts), default=1) or 1
        room = max(20.0, self.width() - names - numbers)
        middle = Qt.AlignmentFlag.AlignVCenter
        for number, (name, count, classes) in enumerate(self._parts):
            top = number * line
            painter.setFont(look.font("body"))
            painter.setPen(look.color("text-2"))
            painter.drawText(QRectF(0, top, names, line), middle | Qt.AlignmentFlag.AlignLeft, name)
            painter.setFont(look.font("section"))
            painter.setPen(look.color("text"))
            painter.drawText(QRectF(names, top, numbers - 12, line), middle | Qt.AlignmentFlag.AlignRight, f"{count:,}")
            self._bar(painter, QRectF(names + numbers, top + line / 2 - 4, room * count / most, 8), classes)
        painter.setFont(look.font("caption"))
        metrics = QFontMetrics(look.font("caption"))
        for number, row in enumerate(self._legend(self.width()), len(self._parts)):
            x = 0.0
            for name, colour in row:
                if colour is not None:
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.setBrush(colour)
                    painter.drawRoundedRect(QRectF(x, number * line + line / 2 - 4, 8, 8), 2, 2)
                painter.setPen(look.color("text-2"))
                at = QPointF(x + (14 if colour is not None else 0), number * line + line / 2 + metrics.ascent() / 2 - 1)
                painter.drawText(at, name)
                x += metrics.horizontalAdvance(name) + 28
        painter.end()

    def _bar(self, painter: QPainter, rect: QRectF, classes: dict[str, int]) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        total = sum(classes.values())
        if not total:
            painter.setBrush(theme().color("border"))
            painter.drawRoundedRect(rect, 2, 2)
            return
        x = rect.left()
        for name, colour in self._classes:
            width = rect.width() * classes.get(name, 0) / total
            if width > 0:
                painter.setBrush(colour)
                painter.drawRoundedRect(QRectF(x, rect.top(), max(1.5, width - 1.5), rect.height()), 2, 2)
                x += width
