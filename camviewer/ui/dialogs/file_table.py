"""What an export will write, as a table: a line a file or folder, with images, regions, size and a note."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QApplication, QGridLayout, QLabel, QWidget

from camviewer.ui.controls import ElidedLabel, label, rule
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.theme import theme
from camviewer.workers.exports import ExportReport, size_words

HEAD = ("File or folder", "Images", "Regions", "Size", "Note")


class FileTable(QWidget):
    """Shows `ExportReport.files`; all text, so that it can be copied and read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self._report: ExportReport | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(1, 3)
        self._grid.setColumnStretch(5, 4)
        self.setAccessibleName("Files that will be written")

    def show_report(self, report: ExportReport | None) -> None:
        """Show the files of a report; None clears."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._report = report
        if report is None:
            return
        for column, title in enumerate(HEAD, 1):
            head = label(title, "caption", "text-2")
            self._grid.addWidget(head, 0, column, self._side(column))
        self._grid.addWidget(rule(), 1, 0, 1, 6)
        table = report.table()
        for number, (row, words) in enumerate(zip(report.files, table[:-1], strict=True), 2):
            self._grid.addWidget(self._icon("folder" if row.is_folder else "file"), number, 0)
            note, warns = report.note(row)
            self._line(number, words[:-1], note, "warn" if warns else "text-2")
        last = len(table) + 1
        self._grid.addWidget(rule(), last, 0, 1, 6)
        self._line(last + 1, table[-1][:-1], "", "text-2", strong=True)

    def _line(self, number: int, cells: tuple[str, ...], note: str, tone: str, *, strong: bool = False) -> None:
        self._grid.setRowMinimumHeight(number, theme().px(24))
        for column, text in enumerate((*cells, note), 1):
            cell: QLabel
            if column == 1:
                cell = ElidedLabel(text, "section" if strong else "name")
            else:
                colour = tone if column == 5 else ("" if strong else "text-2")
                cell = label(text, "section" if strong else "body", colour)
            if column == 5 and tone == "warn":
                cell.setContentsMargins(22, 0, 0, 0)
                self._grid.addWidget(self._icon("alert", "warn"), number, column, self._side(column))
            self._grid.addWidget(cell, number, column, self._side(column))

    @staticmethod
    def _side(column: int) -> Qt.AlignmentFlag:
        if column == 1:  # takes the width there is
            return Qt.AlignmentFlag(0)
        return Qt.AlignmentFlag.AlignVCenter | (
            Qt.AlignmentFlag.AlignRight if 1 < column < 5 else Qt.AlignmentFlag.AlignLeft
        )

    def _icon(self, name: str, token: str = "text-2") -> QLabel:
        result = QLabel()
        result.setFixedSize(QSize(16, 16))
        result.setPixmap(icon_pixmap(name, token, density=self.devicePixelRatioF()))
        return result

    def copy(self) -> None:
        """Put the table into the clipboard, cells parted by tabs as spreadsheets take them."""
        if self._report is not None:
            rows = [HEAD, *self._report.table()]
            QApplication.clipboard().setText("\n".join("\t".join(row) for row in rows) + "\n")

    def sizes(self) -> str:
        """Return the bytes of all files in words."""
        return size_words(sum(row.size for row in self._report.files)) if self._report else ""
