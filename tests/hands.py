"""Two ways to work the program as a person does: the mouse alone, or the keyboard alone.

Nothing here calls into the program: `Keyboard` sends keys to whatever has the focus, `Mouse` presses where something is
visible, enabled and not covered. What neither can reach fails the test that needs it. The steps are generators of
conditions for `drive.Driver`; use them with ``yield from``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from drive import Condition
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRect, Qt, QTimer, QUrl
from PySide6.QtGui import QAccessible, QDragEnterEvent, QDropEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView, QApplication, QComboBox, QMenu, QMenuBar, QScrollArea, QWidget

Steps = Generator[Condition]
W = TypeVar("W", bound=QWidget)
NONE, CONTROL, SHIFT, ALT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
LEFT = Qt.MouseButton.LeftButton


def name_of(widget: QWidget | None) -> str:
    """Return what a screen reader says of a control."""
    if widget is not None and widget.accessibleName():
        return widget.accessibleName()  # of a list of choices Qt says the present one
    interface = QAccessible.queryAccessibleInterface(widget) if widget is not None else None
    return interface.text(QAccessible.Text.Name) if interface is not None else ""


def find(root: QWidget, name: str, kind: type[W] = QWidget) -> W:  # type: ignore[assignment]
    """Return the one visible control of a name (its beginning) below `root`."""
    found = [widget for widget in root.findChildren(kind) if widget.isVisible() and name_of(widget).startswith(name)]
    exact = [widget for widget in found if name_of(widget) == name]
    found = exact or found
    deepest = [widget for widget in found if not any(o is not widget and widget.isAncestorOf(o) for o in found)]
    assert len(deepest) == 1, f"{len(deepest)} controls are called {name!r} in {type(root).__name__}"
    return deepest[0]


def shown(kind: type[W]) -> W | None:
    """Return the visible window of a kind, or None."""
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()), None)


def _soon(deed: Callable[[], object]) -> Steps:
    """Do it from the event loop and go on at once: a deed that opens a dialog returns only when that is closed."""
    begun = []
    QTimer.singleShot(0, lambda: (begun.append(True), deed()))
    yield lambda: begun


class Keyboard:
    """Keys alone."""

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> Steps:
        """Press a key where the focus is."""
        yield from _soon(lambda: QTest.keyClick(_focus(), key, modifiers))

    def type(self, text: str) -> Steps:
        """Type a text where the focus is."""
        yield from _soon(lambda: QTest.keyClicks(_focus(), text))

    def replace(self, text: str) -> Steps:
        """Type a text in place of the one that is there."""
        yield from self.press(Qt.Key.Key_A, CONTROL)
        yield from self.type(text)

    def tab_to(self, name: str, *, key: Qt.Key = Qt.Key.Key_Tab, most: int = 90) -> Steps:
        """Press Tab until a control whose name begins so has the focus."""
        seen: list[str] = []
        for _ in range(most):
            if name_of(QApplication.focusWidget()).startswith(name):
                return
            seen.append(name_of(QApplication.focusWidget()))
            yield from self.press(key)
        raise AssertionError(f"{name!r} is not reached by the keyboard; there were {list(dict.fromkeys(seen))}")

    def pane(self, *names: str) -> Steps:
        """Press F6 until one of these controls, or something in it, has the focus."""
        for _ in range(8):
            widget = QApplication.focusWidget()
            while widget is not None:
                if name_of(widget) in names:
                    return
                widget = widget.parentWidget()
            yield from self.press(Qt.Key.Key_F6)
        raise AssertionError(f"F6 does not reach {names}")

    def menu(self, title: str, entry: str) -> Steps:
        """Open a menu by Alt and its letter, and go down to an entry."""
        yield from self.press(Qt.Key(ord(title[0])), ALT)
        yield lambda: isinstance(QApplication.activePopupWidget(), QMenu)
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        for _ in menu.actions():
            active = menu.activeAction()
            if active is not None and active.text().startswith(entry):
                yield from self.press(Qt.Key.Key_Return)
                return
            yield from self.press(Qt.Key.Key_Down)
        raise AssertionError(f"{entry!r} cannot be chosen in {title}")


def _focus() -> QWidget:
    """Return what gets the keys; after a dialog is closed a window manager makes the window below active again."""
    if QApplication.activeWindow() is None and QApplication.activePopupWidget() is None:
        below = [window for window in QApplication.topLevelWidgets() if window.isVisible() and window.isWindow()]
        (QApplication.activeModalWidget() or below[-1]).activateWindow()
        QApplication.processEvents()
    widget = QApplication.activePopupWidget() or QApplication.focusWidget() or QApplication.activeWindow()
    assert widget is not None, "nothing has the focus"
    return widget


class Mouse:
    """The mouse alone."""

    def click(
        self,
        widget: QWidget,
        place: QPoint | None = None,
        *,
        button: Qt.MouseButton = LEFT,
        modifiers: Qt.KeyboardModifier = NONE,
        double: bool = False,
    ) -> Steps:
        """Click a control, scrolling to it where it lies outside."""
        yield from self.scroll_to(widget)
        _reachable(widget, place or widget.rect().center())
        deed = QTest.mouseDClick if double else QTest.mouseClick
        yield from _soon(lambda: deed(widget, button, modifiers, place or widget.rect().center()))

    def drag(self, widget: QWidget, *places: QPoint, button: Qt.MouseButton = LEFT) -> Steps:
        """Press at the first place, move through the others, release at the last."""
        for place in places:
            _reachable(widget, place)

        def deed() -> None:
            QTest.mousePress(widget, button, NONE, places[0])
            for place in places[1:]:
                QTest.mouseMove(widget, place)
            QTest.mouseRelease(widget, button, NONE, places[-1])

        yield from _soon(deed)

    def drop(self, window: QWidget, *paths: Path) -> Steps:
        """Drag files from a file manager to the middle of a window."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        place = window.rect().center()

        def deed() -> None:
            action, left = Qt.DropAction.CopyAction, LEFT
            enter = QDragEnterEvent(place, action, data, left, NONE)
            QApplication.sendEvent(window, enter)
            assert enter.isAccepted(), f"{[path.name for path in paths]} cannot be dropped"
            QApplication.sendEvent(window, QDropEvent(QPointF(place), action, data, left, NONE))

        yield from _soon(deed)

    def menu(self, bar: QMenuBar, title: str, *entries: str) -> Steps:
        """Click a menu of the bar, then an entry of it, and of the menus below."""
        (top,) = [action for action in bar.actions() if action.text().replace("&", "") == title]
        yield from self.click(bar, bar.actionGeometry(top).center())
        menu = top.menu()
        assert isinstance(menu, QMenu)
        yield from self.choose(menu, *entries)

    def choose(self, menu: QMenu, *entries: str) -> Steps:
        """Click an entry of an open menu, and of the menus below."""
        for entry in entries:
            yield menu.isVisible
            (action,) = [a for a in menu.actions() if a.text().startswith(entry)]
            assert action.isEnabled(), f"{entry} cannot be chosen"
            place = menu.actionGeometry(action).center()
            yield from _soon(lambda menu=menu, place=place: (QTest.mouseMove(menu, place), _press(menu, place)))
            below = action.menu()
            if isinstance(below, QMenu):
                menu = below

    def pick(self, combo: QComboBox, text: str) -> Steps:
        """Open a list of choices and click one."""
        yield from self.click(combo)
        yield combo.view().isVisible
        opened, pause = time.monotonic(), QApplication.doubleClickInterval() / 1000
        yield lambda: time.monotonic() - opened > pause  # sooner it counts as the release of the first click
        row = combo.findText(text, Qt.MatchFlag.MatchStartsWith)
        assert row >= 0, text
        view = combo.view()
        place = view.visualRect(view.model().index(row, combo.modelColumn())).center()
        yield from _soon(lambda: QTest.mouseClick(combo.view().viewport(), LEFT, NONE, place))

    def item(self, view: QAbstractItemView, row: int, *, column: int = 0, **how) -> Steps:
        """Click an item of a list or table."""
        index = view.model().index(row, column, view.rootIndex())
        view.scrollTo(index)
        yield from self.click(view.viewport(), view.visualRect(index).center(), **how)

    def scroll_to(self, widget: QWidget) -> Steps:
        """Turn the wheel over the area around a control until it lies inside."""
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None or area.widget() is None:
            return
        port = area.viewport()
        for _ in range(60):
            top = widget.mapTo(area.widget(), QPoint()).y() + area.widget().y()
            inside = QRect(0, 0, port.width(), port.height())
            if inside.contains(QRect(widget.mapTo(area.widget(), QPoint()) + area.widget().pos(), widget.size())):
                return
            turn = QPoint(0, -120 if top > 0 else 120)
            edge = QPointF(2, port.height() / 2)  # beside the controls, which may take the wheel themselves
            event = QWheelEvent(
                edge,
                QPointF(port.mapToGlobal(edge.toPoint())),
                QPoint(),
                turn,
                Qt.MouseButton.NoButton,
                NONE,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            yield from _soon(lambda event=event: QApplication.sendEvent(port, event))


def _press(menu: QMenu, place: QPoint) -> None:
    QTest.mouseClick(menu, LEFT, NONE, place)


def _reachable(widget: QWidget, place: QPoint) -> None:
    name = name_of(widget) or type(widget).__name__
    assert widget.isVisible(), f"{name} is not visible"
    assert widget.isEnabled(), f"{name} is disabled"
    assert widget.rect().contains(place), f"{place} lies outside {name}"
    window = widget.window()
    modal = QApplication.activeModalWidget()
    assert modal is None or window in (modal, QApplication.activePopupWidget()), f"{name} lies behind a dialog"
    hit = window.childAt(widget.mapTo(window, place)) or window
    assert hit is widget or widget.isAncestorOf(hit), f"{name_of(hit) or hit} lies over {name}"
