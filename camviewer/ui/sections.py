"""What holds other controls: foldable sections, cards, messages, what stands in for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from camviewer.ui.controls import (
    Button,
    label,
    name_control,
    rule,
)
from camviewer.ui.icons import icon_pixmap
from camviewer.ui.theme import EDGE, theme

Tone = Literal["ok", "warn", "bad", "info"]
_TONE_ICON = {"ok": "check", "warn": "alert", "bad": "alert", "info": "info"}
_TONE_COLOR = {"ok": "ok", "warn": "warn", "bad": "bad", "info": "accent-text"}
_TONE_SOFT = {"ok": "ok-soft", "warn": "warn-soft", "bad": "bad-soft", "info": "accent-soft"}


class MessageBar(QFrame):
    """One message where it happened: icon, title, text and at most one action.

    Signals:
        action_triggered: the action's button was pressed.
    """

    action_triggered = Signal()

    def __init__(self, tone: Tone = "info", title: str = "", text: str = "", action: str = "") -> None:
        super().__init__()
        self._tone: Tone = tone
        self._title = label(title, "section")
        self._text = label(text, "body", "text-2")
        for part in (self._title, self._text):
            part.setWordWrap(True)
        self._button = Button(action or " ", "flat")
        self._button.clicked.connect(self.action_triggered)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(40, 8, 8, 8)
        layout.addLayout(words, 1)
        layout.addWidget(self._button)
        self.setAccessibleName("Message")
        self.show_message(tone, title, text, action)

    def show_message(self, tone: Tone, title: str, text: str = "", action: str = "") -> None:
        """Replace what is shown."""
        self._tone = tone
        self._title.setText(title)
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self._button.set_text(action or " ")
        self._button.setVisible(bool(action))
        self.setAccessibleDescription(f"{title} {text}".strip())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color(_TONE_SOFT[self._tone]))
        painter.drawRoundedRect(QRectF(self.rect()), 8, 8)
        pixmap = icon_pixmap(_TONE_ICON[self._tone], _TONE_COLOR[self._tone], density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(13, (self.height() - 16) / 2), pixmap)
        painter.end()


class EmptyState(QWidget):
    """Icon, one line on what is missing, one line or link on how to get it.

    Signals:
        link_triggered: the link was pressed.
    """

    link_triggered = Signal()

    def __init__(self, icon_name: str, title: str, text: str = "", link: str = "", *, key: str = "") -> None:
        super().__init__()
        picture = QLabel()
        picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        theme().bind(picture, lambda w: w.setPixmap(icon_pixmap(icon_name, "text-3", size=20, density=2)))  # type: ignore[attr-defined]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(6)
        layout.addStretch(1)
        layout.addWidget(picture)
        self._lines = label(title, "section"), label(text, "body", "text-2")
        for line in self._lines:
            line.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            line.setWordWrap(True)
            line.setVisible(bool(line.text()))
            layout.addWidget(line)
        if link:
            button = Button(link, "link", key=key)
            button.clicked.connect(self.link_triggered)
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)

    def set_words(self, title: str, text: str = "") -> None:
        """Say something else is missing."""
        for line, words in zip(self._lines, (title, text), strict=True):
            line.setText(words)
            line.setVisible(bool(words))


class _SectionHeading(QAbstractButton):
    """The heading of a section; pressing it folds the body."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setText(title)
        self.qualifier = ""
        self.setCheckable(True)
        self.setChecked(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        name_control(self, title, tip=f"Fold or unfold {title}")

    def sizeHint(self) -> QSize:
        return QSize(80, theme().px(32))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect())
        if self.hasFocus():
            painter.setPen(QPen(colors.color("accent-text"), 2))
            painter.drawRoundedRect(rect.adjusted(1, 4, -1, -4), 5, 5)
        inset = 4 if self.hasFocus() else 0
        painter.setFont(colors.font("section"))
        painter.setPen(colors.color("text"))
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(rect.adjusted(inset, 0, 0, 0), flags, self.text())
        x = inset + QFontMetrics(colors.font("section")).horizontalAdvance(self.text()) + 8
        metrics = QFontMetrics(colors.font("body"))
        room = int(rect.width() - x - 20)
        quiet = metrics.elidedText(self.qualifier, Qt.TextElideMode.ElideRight, max(0, room))
        painter.setFont(colors.font("body"))
        painter.setPen(colors.color("text-3"))
        painter.drawText(rect.adjusted(x, 0, 0, 0), flags, quiet)
        x += metrics.horizontalAdvance(quiet) + (6 if quiet else 0)
        if self.underMouse() or not self.isChecked() or self.hasFocus():
            arrow = "chevron-down" if self.isChecked() else "chevron-right"
            pixmap = icon_pixmap(arrow, "text-3", size=12, density=self.devicePixelRatioF())
            painter.drawPixmap(QPointF(x, (rect.height() - 12) / 2), pixmap)
        painter.end()


class Section(QWidget):
    """A panel section: heading, quiet qualifier, at most two icon actions, a body that folds.

    `key` names the section in the settings, where its state is remembered by whoever listens to `folded`.

    Signals:
        folded: (key, folded) when the user folds or unfolds.
    """

    folded = Signal(str, bool)

    def __init__(self, title: str, key: str, *, actions: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.key = key
        self._heading = _SectionHeading(title)
        self._heading.toggled.connect(self._on_toggled)
        head = QHBoxLayout()
        head.setContentsMargins(EDGE, 4, EDGE - 6, 0)
        head.setSpacing(2)
        head.addWidget(self._heading, 1)
        for action in actions:
            head.addWidget(action)
        self._body = QWidget()
        self._content = QVBoxLayout(self._body)
        self._content.setContentsMargins(EDGE, 4, EDGE, 12)
        self._content.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._body)
        self._line = rule()
        layout.addWidget(self._line)
        self.setAccessibleName(title)

    def content(self) -> QVBoxLayout:
        """Return the layout of the body."""
        return self._content

    def add(self, item: QWidget | QLayout) -> None:
        """Append a widget or a layout to the body."""
        if isinstance(item, QWidget):
            self._content.addWidget(item)
        else:
            self._content.addLayout(item)

    def set_qualifier(self, text: str) -> None:
        """Show a quiet note behind the heading, for example ``0.35 × max``."""
        self._heading.qualifier = text
        self._heading.setAccessibleDescription(text)
        self._heading.update()

    def qualifier(self) -> str:
        """Return the quiet note behind the heading."""
        return self._heading.qualifier

    def is_folded(self) -> bool:
        """Return whether the body is hidden."""
        return not self._heading.isChecked()

    def set_folded(self, folded: bool) -> None:
        """Fold or unfold without emitting `folded`."""
        self._heading.blockSignals(True)
        self._heading.setChecked(not folded)
        self._heading.blockSignals(False)
        self._body.setVisible(not folded)

    @Slot(bool)
    def _on_toggled(self, unfolded: bool) -> None:
        self._body.setVisible(unfolded)
        self.folded.emit(self.key, not unfolded)


class ClickableCard(QAbstractButton):
    """A card with an icon plate, a name, a line of text and a key: the ways to start."""

    def __init__(self, icon_name: str, title: str, text: str, *, key: str = "", strong: bool = False) -> None:
        super().__init__()
        self._icon_name, self._sub, self._key, self._strong = icon_name, text, key, strong
        self.setText(title)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        name_control(self, title, tip=text, key=key)
        self.setAccessibleDescription(text)

    def sizeHint(self) -> QSize:
        return QSize(320, theme().px(68))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = theme()
        rect = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        fill = "pressed" if self.isDown() else ("hover" if self.underMouse() else "panel")
        if self.hasFocus():
            fill = "raised" if fill == "panel" else fill
        painter.setBrush(colors.color(fill))
        painter.setPen(QPen(colors.color("accent-text"), 2) if self.hasFocus() else QPen(colors.color("raised-line")))
        if not self.hasFocus() and colors.dark:
            painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRoundedRect(rect, 9, 9)
        plate = QRectF(rect.left() + 12, rect.center().y() - 20, 40, 40)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.color("accent" if self._strong else "hover"))
        painter.drawRoundedRect(plate, 8, 8)
        token = "on-accent" if self._strong else "text-2"
        pixmap = icon_pixmap(self._icon_name, token, size=20, density=self.devicePixelRatioF())
        painter.drawPixmap(QPointF(plate.left() + 10, plate.top() + 10), pixmap)
        right = rect.right() - 14
        if self._key:
            font = colors.font("column")
            badge_width = QFontMetrics(font).horizontalAdvance(self._key) + 12
            badge = QRectF(right - badge_width, rect.center().y() - 10, badge_width, 20)
            painter.setBrush(colors.color("pressed"))
            painter.drawRoundedRect(badge, 4, 4)
            painter.setPen(colors.color("text-2"))
            painter.setFont(font)
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self._key)
            right = badge.left() - 12
        x = plate.right() + 14
        width = right - x
        painter.setPen(colors.color("text"))
        painter.setFont(colors.font("subject"))
        half = rect.height() / 2
        bottom, top = Qt.AlignmentFlag.AlignBottom, Qt.AlignmentFlag.AlignTop
        painter.drawText(QRectF(x, rect.top(), width, half - 1), bottom, self.text())
        painter.setPen(colors.color("text-2"))
        painter.setFont(colors.font("body"))
        quiet = QFontMetrics(colors.font("body")).elidedText(self._sub, Qt.TextElideMode.ElideRight, int(width))
        painter.drawText(QRectF(x, rect.top() + half + 3, width, half), top, quiet)
        painter.end()
