"""Qt actions and menus, built from the table of `camviewer.catalogue.actions`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from camviewer.catalogue.actions import ACTIONS, MENUS, ActionSpec, Needs
from camviewer.ui.controls import tooltip
from camviewer.ui.icons import set_icon
from camviewer.ui.theme import theme

_SPOKEN = {"Return": "Enter", "Delete": "Del"}


def key_text(spec: ActionSpec) -> str:
    """Return the first key of an action as the user reads it."""
    if not spec.keys:
        return ""
    first = spec.keys[0]
    return _SPOKEN.get(first, QKeySequence(first).toString(QKeySequence.SequenceFormat.NativeText))


def all_keys_text(spec: ActionSpec) -> str:
    """Return all keys of an action for the keys page; equal names once."""
    if "…" in spec.keys:
        return "–".join(key for key in spec.keys if key != "…")
    names = [_SPOKEN.get(key, QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)) for key in spec.keys]
    return ", ".join(dict.fromkeys(names))


class Actions:
    """The window's actions by id."""

    def __init__(self, window: QWidget) -> None:
        self._actions: dict[str, QAction] = {}
        self._specs = {spec.id: spec for spec in ACTIONS}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            if not spec.menu:
                continue
            action = QAction(spec.text, window)
            action.setObjectName(spec.id)
            action.setShortcuts([QKeySequence(key) for key in spec.keys])
            action.setToolTip(tooltip(spec.tip, key_text(spec)))
            action.setStatusTip(spec.tip)
            action.setCheckable(spec.checkable)
            if spec.icon:
                set_icon(action, spec.icon)
            if spec.group:
                group = groups.get(spec.group)
                if group is None:
                    group = groups[spec.group] = QActionGroup(window)
                group.addAction(action)
            window.addAction(action)
            self._actions[spec.id] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def names(self) -> Iterable[str]:
        """Return the ids of all actions."""
        return self._actions

    def connect(self, name: str, slot: Callable[[], object]) -> None:
        """Call `slot` when the action is triggered."""
        self._actions[name].triggered.connect(lambda _checked=False: slot())

    def enable(self, have: set[Needs]) -> None:
        """Enable what can be done with what is there."""
        for name, action in self._actions.items():
            needs = self._specs[name].needs
            action.setEnabled(not needs or needs in have)

    def fill(self, bar: QMenuBar, *, recent: QMenu, classes: QMenu) -> None:
        """Build the menus, each on Alt and its first letter.

        Args:
            recent: stands below the ways to open.
            classes: stands first of what is done to the selected region.
        """
        for title in MENUS:
            menu = bar.addMenu(f"&{title}")
            menu.setFont(theme().font("body"))
            menu.setToolTipsVisible(True)
            for spec in ACTIONS:
                if spec.menu != title:
                    continue
                if spec.separator:
                    menu.addSeparator()
                menu.addAction(self._actions[spec.id])
                if spec.id == "open_demo":
                    menu.addMenu(recent)
                elif spec.id == "brush_larger":
                    menu.addSeparator()
                    menu.addMenu(classes)
