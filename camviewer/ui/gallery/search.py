"""The search field: the gallery's grammar with completion, and what is wrong with it in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFocusEvent, QKeyEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView

from camviewer.errors import UsageError
from camviewer.ui.controls import name_control
from camviewer.ui.gallery.items import GalleryItem
from camviewer.ui.gallery.query import complete, parse
from camviewer.ui.icons import icon
from camviewer.ui.theme import set_property, theme

HELP = (
    "Words are looked for in names; key:value in everything else, all of them must hold.\n"
    "class:melanoma   conf:<0.6   status:unreviewed   area:>20%   flag:hair,ruler   -wrong:yes   label:none\n"
    "Down lists what there is."
)


class SearchField(QLineEdit):
    """Takes a search as it is typed.

    Signals:
        search_changed: text that is of the grammar.
        problem_changed: sentence on text that is not; empty when it is.
    """

    search_changed = Signal(str)
    problem_changed = Signal(str)

    def __init__(self, items: Callable[[], Iterable[GalleryItem]]) -> None:
        super().__init__()
        self._items = items
        self.blind = False
        self.setPlaceholderText("Search images")
        self.setClearButtonEnabled(True)
        self.set_roomy(False)
        self.setMaximumWidth(theme().px(320))
        name_control(self, "Search", tip=HELP, key="Ctrl+F")
        set_property(self, "leading", "icon")
        magnifier = self.addAction(icon("search", "text-3"), QLineEdit.ActionPosition.LeadingPosition)
        theme().bind(magnifier, lambda action: action.setIcon(icon("search", "text-3")))  # type: ignore[attr-defined]
        self._choices = QStandardItemModel(self)
        self._completer = QCompleter(self._choices, self)
        self._completer.setWidget(self)
        self._completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self._completer.setCompletionRole(Qt.ItemDataRole.UserRole)
        self._popup = QListView()
        self._completer.setPopup(self._popup)
        self._completer.activated.connect(self._take)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(120)
        self._delay.timeout.connect(self._apply)
        self.textChanged.connect(self._delay.start)
        self.textEdited.connect(self.suggest)

    def set_roomy(self, roomy: bool) -> None:
        """Insist on the width of a longer search, or on that of the placeholder."""
        self.setMinimumWidth(theme().px(240 if roomy else 96))

    def sizeHint(self) -> QSize:
        return QSize(theme().px(220), super().sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Down:
            self.suggest()
            return
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._popup.hide()

    @Slot()
    def suggest(self) -> None:
        """List how the last word may go on."""
        self._choices.clear()
        for whole, means in complete(self.text(), self._items()):
            shown = whole.rstrip().rpartition(" ")[2]
            row = QStandardItem(f"{shown}    {means}" if means else shown)
            row.setData(whole, Qt.ItemDataRole.UserRole)
            self._choices.appendRow(row)
        popup = self._popup
        if not self._choices.rowCount() or self.blind:
            popup.hide()
            return
        width = max(self.width(), popup.sizeHintForColumn(0) + 32)
        height = popup.sizeHintForRow(0) * min(self._choices.rowCount(), 10) + 8
        popup.setFixedSize(width, height)
        # The gallery lies at the lower edge of the window: the list opens upwards.
        corner = self.mapToGlobal(QPoint(self.width() - width, -height - 2))
        popup.move(corner)
        self._completer.complete()
        popup.move(corner)

    @Slot(str)
    def _take(self, whole: str) -> None:
        self.setText(whole)
        if whole.endswith(":"):
            QTimer.singleShot(0, self, self.suggest)

    @Slot()
    def _apply(self) -> None:
        text = self.text()
        try:
            parse(text, blind=self.blind)
        except UsageError as error:
            self._show_problem(error.message)
            return
        self._show_problem("")
        self.search_changed.emit(text)

    def _show_problem(self, sentence: str) -> None:
        set_property(self, "invalid", "true" if sentence else "")
        self.setAccessibleDescription(sentence)
        self.setToolTip(sentence or HELP)
        self.problem_changed.emit(sentence)
