"""The top row: menus over the left panel, the image over the canvas, undo and the one primary button on the right."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenuBar, QSizePolicy, QWidget

from camviewer.project.records import Status
from camviewer.ui.controls import Button, ElidedLabel, IconButton, label, surface
from camviewer.ui.gallery.delegate import paint_badge
from camviewer.ui.gallery.items import STATUS_WORDS
from camviewer.ui.icons import app_mark
from camviewer.ui.theme import EDGE, HEADER, theme

ROOM_FOR_NOTE, ROOM_FOR_BADGE = 440, 380
"""Below these widths of its column the header leaves the note to the window's title and the review state to the
gallery, so that the name stays readable."""


class StatusBadge(QWidget):
    """The review state of the image: shape and word."""

    def __init__(self) -> None:
        super().__init__()
        self._status: Status = "new"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_status(self, status: Status) -> None:
        """Show a state."""
        self._status = status
        self.setAccessibleName(f"State: {STATUS_WORDS[status]}")
        self.setToolTip(f"{STATUS_WORDS[status]} image")
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(theme().font("name"))
        return QSize(metrics.horizontalAdvance(STATUS_WORDS[self._status]) + 34, 22)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        painter.setPen(colors.color("raised-line"))
        painter.setBrush(colors.color("raised"))
        painter.drawRoundedRect(self.rect().toRectF().adjusted(0.5, 0.5, -0.5, -0.5), 11, 11)
        paint_badge(painter, QPointF(12, 11), self._status, density=self.devicePixelRatioF())
        painter.setPen(colors.color("text-2"))
        painter.setFont(colors.font("name"))
        painter.drawText(self.rect().adjusted(25, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter, STATUS_WORDS[self._status])
        painter.end()


class Header(QWidget):
    """Menus, what is on the canvas, and what to do with it.

    Signals:
        reviewed_pressed, skip_pressed: the two buttons.
    """

    reviewed_pressed = Signal()
    skip_pressed = Signal()

    def __init__(
        self, *, previous: IconButton, following: IconButton, undo: IconButton, redo: IconButton, reviewed_key: str
    ) -> None:
        super().__init__()
        surface(self, "window")
        self.setFixedHeight(theme().px(HEADER) + 2)
        self.setAccessibleName("Header")
        self.menu = QMenuBar()
        self.menu.setNativeMenuBar(False)
        self.menu.setFont(theme().font("body"))
        self.menu.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        mark = QLabel()
        mark.setPixmap(app_mark(20, density=2))
        mark.setAccessibleName("camviewer")

        self._left = QWidget()
        left = QHBoxLayout(self._left)
        left.setContentsMargins(12, 0, 0, 0)
        left.setSpacing(6)
        left.addWidget(mark)
        left.addWidget(self.menu)
        left.addStretch(1)

        self._name = ElidedLabel("", "subject")
        self._name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._position = label("", "body", "text-2")
        self._badge = StatusBadge()
        self._note = label("", "body", "warn")
        self._middle = QWidget()
        middle = QHBoxLayout(self._middle)
        middle.setContentsMargins(8, 0, 8, 0)
        middle.setSpacing(6)
        middle.addWidget(previous)
        middle.addWidget(following)
        middle.addSpacing(4)
        middle.addWidget(self._name)
        middle.addSpacing(2)
        middle.addWidget(self._position)
        middle.addSpacing(2)
        middle.addWidget(self._badge)
        middle.addSpacing(2)
        middle.addWidget(self._note)
        middle.addStretch(1)
        self._middle_row = middle
        self._note_text = ""

        self.skip = Button("Skip", "flat", key="S", tip="Leave this image out and go on")
        self.skip.clicked.connect(self.skip_pressed)
        self.reviewed = Button(
            "Mark reviewed",
            "primary",
            icon_name="check",
            key=reviewed_key,
            tip="Mark reviewed and go to the next unreviewed",
        )
        self.reviewed.clicked.connect(self.reviewed_pressed)
        self._right = QWidget()
        right = QHBoxLayout(self._right)
        right.setContentsMargins(8, 0, EDGE - 4, 0)
        right.setSpacing(4)
        right.addWidget(undo)
        right.addWidget(redo)
        right.addStretch(1)
        right.addWidget(self.skip)
        right.addSpacing(4)
        right.addWidget(self.reviewed)

        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._left)
        row.addWidget(self._middle, 1)
        row.addStretch(0)
        row.addWidget(self._right)
        self._row = row

    def add_middle(self, widget: QWidget) -> None:
        """Put a control at the right end of the column over the canvas."""
        self._middle_row.addWidget(widget)

    def align(self, left: int, right: int) -> None:
        """Line the columns up with those below; the menus never get less than they need."""
        self._left.setMinimumWidth(max(left, self._left.sizeHint().width()))
        self._left.setMaximumWidth(max(left, self._left.sizeHint().width()))
        self._right.setFixedWidth(max(right, self._right.sizeHint().width()))

    def set_image(self, name: str, position: str, status: Status, *, note: str = "") -> None:
        """Show which image is on the canvas; an empty name hides everything but the menus."""
        shown = bool(name)
        self._middle.setVisible(shown)
        self._right.setVisible(shown)
        # Without an image the menus stay at the left.
        self._row.setStretch(2, 0 if shown else 1)
        self._name.set_full_text(name)
        self._position.setText(position)
        self._badge.set_status(status)
        self._note_text = note
        self._note.setToolTip(note)
        self._note.setVisible(bool(note))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Where the row is narrow, shorten the note and leave the position out before the name loses its letters."""
        self._row.activate()
        row = self._middle_row
        items = [item for number in range(row.count()) if (item := row.itemAt(number)) is not None]
        mine = (self._name, self._position, self._note)
        others = [w for item in items if (w := item.widget()) is not None and w not in mine and not w.isHidden()]
        spaces = sum(item.sizeHint().width() for item in items if item.widget() is None)
        taken = sum(min(w.sizeHint().width(), w.maximumWidth()) for w in others) + spaces
        taken += row.spacing() * (len(others) + len(mine)) + 2 * row.contentsMargins().left()
        room = self._middle.width() - taken - min(self._name.sizeHint().width(), theme().px(160))
        metrics = self._note.fontMetrics()
        short = self._note_text.partition(" ")[0]
        position = self._position.sizeHint().width()
        full = metrics.horizontalAdvance(self._note_text) + position <= room
        self._note.setText(self._note_text if full else short)
        # The column itself is never narrower than its parts: what the others leave counts.
        left = self.width() - self._left.sizeHint().width() - self._right.sizeHint().width()
        self._note.setVisible(bool(short) and left >= theme().px(ROOM_FOR_NOTE))
        self._badge.setVisible(left >= theme().px(ROOM_FOR_BADGE))
        self._position.setVisible(full or metrics.horizontalAdvance(short) + position <= room)
