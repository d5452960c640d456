"""What lies on the skin and is not skin, as a layer with a legend: told apart by hatching, never by colour alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen, QTransform
from PySide6.QtWidgets import QWidget

from camviewer.images.geometry import Size
from camviewer.regions.artefacts import KINDS, Artefacts, Kind
from camviewer.ui.canvas import annotate
from camviewer.ui.canvas.numbers import percent
from camviewer.ui.canvas.outline import Outline, outlines
from camviewer.ui.painting import painting
from camviewer.ui.theme import theme

_HATCHING: Mapping[Kind, Qt.BrushStyle] = {
    "hair": Qt.BrushStyle.NoBrush,
    "dark corner": Qt.BrushStyle.BDiagPattern,
    "ruler": Qt.BrushStyle.VerPattern,
    "ink": Qt.BrushStyle.FDiagPattern,
    "sticker": Qt.BrushStyle.CrossPattern,
    "gel bubble": Qt.BrushStyle.Dense6Pattern,
}
_LINE: Mapping[Kind, Qt.PenStyle] = {"ruler": Qt.PenStyle.DashLine, "gel bubble": Qt.PenStyle.DotLine}
_DIMMED = 0.3
_ROW, _PAD, _SWATCH, _GAP = 18.0, 8.0, 22.0, 8.0

LOOKING = "Looking for artefacts"
NONE_FOUND = "No artefacts found"


class ArtefactLayer:
    """The artefacts of one image. Coordinates come in as image pixels with the transform to the screen.

    Attributes:
        visible: whether they are painted.
    """

    def __init__(self) -> None:
        self.visible = False
        self._outlines: dict[Kind, Outline] = {}

    def set_found(self, found: Artefacts | None, size: Size) -> None:
        """Show what was found in an image of `size`, in masks of any resolution; None for nothing."""
        self._outlines = {}
        for kind, mask in (found.masks if found is not None else {}).items():
            height, width = mask.shape
            self._outlines[kind] = Outline(outlines(mask, pixel=(size[0] / width, size[1] / height)))

    def paint(self, painter: QPainter, to_screen: QTransform) -> None:
        """Paint the artefacts in screen pixels."""
        if self.visible:
            for kind, outline in self._outlines.items():
                paint_artefact(painter, to_screen.map(outline.path(to_screen.m11())), kind)


def paint_artefact(painter: QPainter, path: QPainterPath, kind: Kind) -> None:
    """Paint an area on the screen in the hatching of its kind."""
    hatching = _HATCHING[kind]
    if hatching != Qt.BrushStyle.NoBrush:
        painter.fillPath(path, theme().color("casing", _DIMMED))
        painter.fillPath(path, QBrush(QColor(annotate.PLAIN), hatching))
    pen = QPen(QColor(annotate.PLAIN), 1.0, _LINE.get(kind, Qt.PenStyle.SolidLine))
    pen.setCosmetic(True)
    annotate.paint_path(painter, path, pen, 1.0)


class ArtefactLegend(QWidget):
    """What the hatchings mean, and how much of the image each kind covers. It never takes the pointer."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._rows: list[tuple[Kind | None, str, str]] = []
        self.set_found(None)
        self.hide()

    def set_found(self, found: Artefacts | None) -> None:
        """Show what was found; None while it is looked for."""
        self._rows = [(None, LOOKING if found is None else NONE_FOUND, "")]
        if found is not None and found.masks:
            shares = {kind: float(np.mean(found.masks[kind])) for kind in KINDS if kind in found.masks}
            self._rows = [
                (kind, kind.capitalize(), percent(share, decimals=1) if share >= 0.001 else "< 0.1 %")
                for kind, share in shares.items()
            ]
        self.setAccessibleName("Artefacts")
        self.setAccessibleDescription(", ".join(f"{name} {share}".strip() for _, name, share in self._rows))
        self.adjustSize()
        self.update()

    def sizeHint(self) -> QSize:
        body = QFontMetricsF(theme().font("body"))
        names = max(body.horizontalAdvance(name) for _, name, _ in self._rows)
        shares = max(body.horizontalAdvance(share) for *_, share in self._rows)
        swatch = _SWATCH + _GAP if self._rows[0][0] is not None else 0.0
        width = 2 * _PAD + swatch + names + (_GAP * 2 + shares if shares else 0.0)
        return QSize(round(width) + 1, round(2 * _PAD + theme().px(_ROW) * len(self._rows)))

    def paintEvent(self, event: QPaintEvent) -> None:
        with painting(self, "the legend of artefacts") as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        colors = theme()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("readout", 0.92))
        painter.drawRoundedRect(QRectF(self.rect()), 5, 5)
        painter.setFont(colors.font("body"))
        height = colors.px(_ROW)
        for number, (kind, name, share) in enumerate(self._rows):
            row = QRectF(_PAD, _PAD + number * height, self.width() - 2 * _PAD, height)
            if kind is not None:
                swatch = QPainterPath()
                swatch.addRect(QRectF(round(row.left()) + 1.5, round(row.top()) + 3.5, 20, round(height) - 7))
                paint_artefact(painter, swatch, kind)
                row.setLeft(row.left() + _SWATCH + _GAP)
            painter.setPen(colors.color("on-image"))
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)
            painter.setPen(colors.color("on-image", 0.72))
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, share)
