"""Checkpoints side by side: one image under each, their measures as a table, and curves over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QSplitter,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from camviewer.catalogue.comparison import BY_NAME, CURVES, MEASURES
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.compare.grid import Column, CompareGrid, Row
from camviewer.ui.controls import Button, ElidedLabel, IconButton, label, surface
from camviewer.ui.plots import CurvePlot, Level, Series
from camviewer.ui.sections import EmptyState
from camviewer.ui.theme import theme
from camviewer.workers.tasks import TaskDone, TaskPool, read_pixels
from camviewer.workers.training import ComparedImage, ComparedRow, Comparison

MOST_COLUMNS = 6
CURVES_SHOWN = 3


class CheckpointPage(QWidget):
    """Stands in the place of the canvas.

    Signals:
        choose_wanted: other checkpoints are to be compared.
        save_wanted: the comparison is to be written to a folder.
        left: back to the canvas.
    """

    choose_wanted = Signal()
    save_wanted = Signal()
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.comparison: Comparison | None = None
        self._rows: list[ComparedRow] = []
        self._place = 0
        self._cells: dict[tuple[str, int], int] = {}
        self._tasks = TaskPool(self, threads=1)
        self._tasks.done.connect(self._on_pixels)
        self.grid = CompareGrid()
        self.grid.setAccessibleName("Checkpoints side by side")
        self._build()
        theme().changed.connect(self._fill_table)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        bar = surface(QWidget(), "panel")
        bar.setFixedHeight(theme().px(40))
        row = QHBoxLayout(bar)
        row.setContentsMargins(12, 0, 12, 0)
        row.setSpacing(8)
        before, after = (
            IconButton("chevron-left", "Previous compared image"),
            IconButton("chevron-right", "Next compared image"),
        )
        before.clicked.connect(lambda: self.step(-1))
        after.clicked.connect(lambda: self.step(1))
        self._name = ElidedLabel("", "body", "text", mode=Qt.TextElideMode.ElideMiddle)
        self._count = label("", "body", "text-2")
        self.scale = SegmentedControl(
            [("shared", "One scale"), ("own", "Own scale")],
            "Colour scale",
            tips=[
                "Colours by the largest value of the image's maps under the same head",
                "Each map by its own largest value",
            ],
        )
        self.scale.chosen.connect(self._show_maps)
        choose = Button("Checkpoints…", tip="Compare other checkpoints, or on other images")
        choose.clicked.connect(self.choose_wanted)
        self._copy = IconButton("table", "Copy table", tip="Put the table on the clipboard, with tabs between columns")
        self._copy.clicked.connect(self.copy_table)
        self._save = IconButton("export", "Save the comparison", tip="Write table, maps and curves to a folder")
        self._save.clicked.connect(self.save_wanted)
        leave = Button("Back", "flat", key="Esc", tip="Back to the image")
        leave.setAccessibleName("Back to the image")
        leave.clicked.connect(self.left)
        row.addWidget(before)
        row.addWidget(after)
        row.addWidget(self._name)
        row.addWidget(self._count)
        row.addStretch(1)
        for part in (self.scale, choose, self._copy, self._save, leave):
            row.addWidget(part)
        self.table = QTableWidget()
        self.table.setAccessibleName("Measures of the checkpoints")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.plots = [CurvePlot("", "") for _ in range(CURVES_SHOWN)]
        self._note = label("", "caption", "text-2")
        self._note.setWordWrap(True)
        below = surface(QWidget(), "window")
        column = QVBoxLayout(below)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(6)
        self._curves = QWidget()
        curves = QHBoxLayout(self._curves)
        curves.setContentsMargins(0, 0, 0, 0)
        curves.setSpacing(8)
        for plot in self.plots:
            curves.addWidget(plot, 1)
        column.addWidget(self._curves, 3)
        column.addWidget(self.table, 4)
        column.addWidget(self._note)
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.addWidget(self.grid)
        self._split.addWidget(below)
        self._split.setStretchFactor(0, 1)
        self._split.setStretchFactor(1, 1)
        self._empty = EmptyState(
            "grid",
            "No checkpoints are compared yet",
            "Epochs of a training, GAP and GMP, or two architectures",
            "Choose checkpoints",
        )
        self._empty.link_triggered.connect(self.choose_wanted)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._split)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self._pages, 1)
        self.setFocusProxy(self.grid)
        self._tick()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _tick(self) -> None:
        for button in (self._copy, self._save):
            button.setEnabled(self.comparison is not None)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._divide()

    def _divide(self) -> None:
        """Give the measures what they need, at most half of the page, and the maps the rest."""
        header = self.table.horizontalHeader()
        table = header.sizeHint().height() + self.table.verticalHeader().length() + 2 * self.table.frameWidth()
        self.table.setMaximumHeight(table + header.height())  # a row of room for the bar that scrolls sideways
        needed = self.table.maximumHeight() + self._note.sizeHint().height() + 24
        half = max(1, self.height() // 2)
        below = half if self._curves.isVisibleTo(self) else min(half, needed)
        self._split.setSizes([self.height() - below, below])

    def set_active(self, active: bool) -> None:
        """Show, or rest."""
        if active:
            self._show_image()

    def fit(self) -> None:
        """Show the whole image in every cell."""
        self.grid.fit()

    def close_tasks(self) -> bool:
        """End what still reads; return whether it ended in time."""
        return self._tasks.close()

    # --- what is shown --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget the former comparison: another one is measured."""
        self.comparison, self._rows = None, []
        self.grid.set_image(None, ("Measuring", "The maps follow when all checkpoints are measured"))
        self._name.set_full_text("Measuring")
        self._count.clear()
        self._note.setText("Rows appear as they are measured.")
        self._pages.setCurrentIndex(1)
        self._fill_table()
        self._fill_curves()
        self._tick()

    def add_row(self, row: ComparedRow) -> None:
        """Show a row that has been measured."""
        self._rows.append(row)
        self._fill_table()
        self._divide()

    def end(self, message: str) -> None:
        """Say why no comparison comes."""
        self._name.set_full_text(message)
        self.grid.set_image(None, ("No maps", message))

    def set_comparison(self, comparison: Comparison) -> None:
        """Show a whole comparison, its first image first."""
        self.comparison, self._rows, self._place = comparison, list(comparison.rows), 0
        self._pages.setCurrentIndex(1)
        self._fill_table()
        self._fill_curves()
        self._note.setText(self._words(comparison))
        self._divide()
        self._tick()
        self._show_image()

    def show_path(self, path: Path) -> None:
        """Show the image of this file, where it is among the compared ones."""
        if self.comparison is None:
            return
        for place, image in enumerate(self.comparison.images):
            if image.path is not None and image.path == path and place != self._place:
                self._place = place
                self._show_image()

    @Slot()
    def step(self, by: int) -> None:
        """Show the next compared image, or the one before."""
        if self.comparison is not None:
            self._place = (self._place + by) % len(self.comparison.images)
            self._show_image()

    @property
    def image(self) -> ComparedImage | None:
        """The image that is shown."""
        return None if self.comparison is None else self.comparison.images[self._place]

    def _show_image(self) -> None:
        image = self.image
        if image is None or self.comparison is None:
            return
        self._name.set_full_text(f"{image.name}, {image.label}" if image.label else image.name)
        self._count.setText(f"{self._place + 1:,} of {len(self.comparison.images):,}")
        path, pixels = image.path, image.pixels
        if path is not None:
            self._tasks.submit("pixels", self._place, lambda _reporter: read_pixels(path))
        elif pixels is not None:
            self._on_pixels(TaskDone("pixels", self._place, pixels))

    @Slot(object)
    def _on_pixels(self, answer: TaskDone) -> None:
        image = self.image
        if answer.subject != self._place or image is None:
            return
        if answer.error or (answer.result.shape[1], answer.result.shape[0]) != image.size:
            words = answer.error or f"{image.name} has changed since it was compared."
            self.grid.set_image(None, ("This image is not shown", words))
            return
        self.grid.set_image(answer.result)
        self._lay_out()
        self._show_maps()

    def _lay_out(self) -> None:
        """Give each series a row and each epoch a column; single checkpoints stand in one row."""
        assert self.comparison is not None
        shown = [(place, row) for place, row in enumerate(self.comparison.rows) if row.name.control != "centre"]
        series = list(dict.fromkeys(row.name.series for _, row in shown))
        plain = [place for place, row in shown if not row.name.control]
        self._cells = {}
        if len(plain) == len(series) or len(series) == len(shown):
            columns = [self.comparison.rows[place].name.title for place, _ in shown]
            self._cells = {("row", index): place for index, (place, _) in enumerate(shown)}
            rows = [Row("row", "Checkpoints")]
        else:
            epochs = sorted({row.name.epoch for _, row in shown if row.name.epoch is not None})
            chosen = _evenly(epochs, MOST_COLUMNS - 1)
            columns = [f"Epoch {epoch}" for epoch in chosen]
            places = {(row.name.series, row.name.epoch): place for place, row in shown if not row.name.control}
            for one in series:
                for index, epoch in enumerate(chosen):
                    if (one, epoch) in places:
                        self._cells[one, index] = places[one, epoch]
            for place, row in shown:
                if row.name.control == "random":
                    self._cells[row.name.series, len(chosen)] = place
            if any(row.name.control == "random" for _, row in shown):
                columns.append("Random weights")
            for place in plain:
                row = self.comparison.rows[place]
                if row.name.epoch is None:
                    self._cells[row.name.series, len(columns)] = place
                    columns.append(row.name.title)
            rows = [Row(one, one) for one in series]
        self.grid.set_grid(rows, [Column(index, 0, name, "", None) for index, name in enumerate(columns)])

    @Slot()
    def _show_maps(self) -> None:
        image = self.image
        if image is None:
            return
        # A cell counts with 1/Z of its value behind a mean and with all of it behind a maximum, so each head has its
        # own scale. Controls do not count: a random network's values are no measure for the others.
        peaks: dict[str, float] = {}
        for found, measured in zip(image.maps, self._rows, strict=True):
            if found is not None and not measured.name.control:
                peaks[measured.head] = max(peaks.get(measured.head, 0.0), float(found.values.max()))
        shared = self.scale.value() == "shared"
        for row in self.grid.rows():
            for column in self.grid.columns():
                if (row.key, column.class_index) not in self._cells:
                    self.grid.set_note(row.key, column.class_index, "No such checkpoint is compared.")
        for (series, index), place in self._cells.items():
            found = image.maps[place]
            if found is None:
                self.grid.set_note(series, index, "This image could not be computed.")
                continue
            cell = replace(found, class_index=index)
            peak = peaks.get(self._rows[place].head) if shared else None
            hit = image.hit[place] if image.inside[place] is not None else None
            self.grid.set_map(cell, row=series, note=_caption(image, place), peak=peak, hit=hit)

    # --- table and curves -----------------------------------------------------------------------------------------

    @Slot()
    def _fill_table(self) -> None:
        known = [
            measure for measure in MEASURES if any(row.measures.get(measure.name) is not None for row in self._rows)
        ]
        self.table.setColumnCount(1 + len(known))
        self.table.setRowCount(len(self._rows))
        heading = QTableWidgetItem("Checkpoint")
        heading.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setHorizontalHeaderItem(0, heading)
        for column, measure in enumerate(known, 1):
            arrow = {1: "higher is better", -1: "lower is better", 0: "describes, does not judge"}[measure.better]
            item = QTableWidgetItem(measure.title)
            item.setToolTip(f"{measure.help} ({arrow})")
            self.table.setHorizontalHeaderItem(column, item)
        quiet = QColor(theme().color("text-3"))
        for number, row in enumerate(self._rows):
            cells = [row.name.title]
            cells += [
                "–" if (value := row.measures.get(m.name)) is None else f"{value:.3f}".replace("-", "−") for m in known
            ]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if row.name.control:
                    item.setForeground(quiet)
                self.table.setItem(number, column, item)

    def _fill_curves(self) -> None:
        drawn: dict[str, list[ComparedRow]] = {}
        for row in self._rows:
            if row.name.epoch is not None and not row.name.control:
                drawn.setdefault(row.name.series, []).append(row)
        drawn = {name: rows for name, rows in drawn.items() if len(rows) > 1}
        known = [
            name for name in CURVES if any(r.measures.get(name) is not None for rows in drawn.values() for r in rows)
        ]
        self._curves.setVisible(bool(known))
        for plot, name in zip(self.plots, known, strict=False):
            measure = BY_NAME[name]
            series = [
                Series(
                    one,
                    tuple(
                        sorted(
                            (float(row.name.epoch or 0), value)
                            for row in rows
                            if (value := row.measures.get(name)) is not None
                        )
                    ),
                )
                for one, rows in drawn.items()
            ]
            levels = [
                Level(row.name.title, value)
                for row in self._rows
                if row.name.control and (value := row.measures.get(name)) is not None
            ]
            plot.set_title(measure.title, "over epochs", tip=measure.help)
            plot.set_curves(series, levels)
        for plot in self.plots:
            plot.setVisible(self.plots.index(plot) < len(known))

    def copy_table(self) -> None:
        """Put the table on the clipboard."""
        QGuiApplication.clipboard().setText(self.table_text())

    def table_text(self) -> str:
        """Return the table with tabs between columns, a line a row."""
        columns = range(self.table.columnCount())

        def words(item: QTableWidgetItem | None) -> str:
            return "" if item is None else item.text().replace("−", "-")  # which spreadsheets take for a number

        lines = ["\t".join(words(self.table.horizontalHeaderItem(column)) for column in columns)]
        for row in range(self.table.rowCount()):
            lines.append("\t".join(words(self.table.item(row, column)) for column in columns))
        return "\n".join(lines) + "\n"

    @staticmethod
    def _words(comparison: Comparison) -> str:
        masks = {
            "true": f"localisation against {counted(comparison.masked, 'true mask')}",
            "reviewed": f"localisation against {counted(comparison.masked, 'reviewed mask')}, made with maps in sight",
        }.get(comparison.masks, "no masks: localisation is left out")
        reference = comparison.rows[comparison.reference].name.title
        words = (
            f"{counted(comparison.measured, 'image')}; {masks}. Agreement, overlap and distance are with {reference}."
        )
        return " ".join([words, *comparison.notes])


def counted(count: int, noun: str) -> str:
    """Return an amount in words: "1 image", "2,000 images"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _caption(image: ComparedImage, place: int) -> str:
    """Return how much of the map lies inside the mask and whether it points there; without a mask, the probability."""
    inside, probability = image.inside[place], image.probability[place]
    if inside is not None:
        return f"inside {100 * inside:.0f} %, {'hit' if image.hit[place] else 'miss'}"
    return "" if probability is None else f"{image.shown[place]} {100 * probability:.0f} %"


def _evenly(values: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of the sorted values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]
