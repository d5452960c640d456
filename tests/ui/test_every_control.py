"""Every control of the window and of all dialogs: a name for screen readers, a tooltip, its key where it has one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from drive import pixels_shown
from fake_engine import SUMMARY, FakeBackend
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QWidget,
)

import camviewer.ui.dialogs as dialogs_package
from camviewer.catalogue.actions import ACTIONS
from camviewer.diagnostics import LastCrash
from camviewer.ui.actions import key_text
from camviewer.ui.batch import Failure
from camviewer.ui.controls import Button, ElidedLabel, IconButton
from camviewer.ui.dialogs.base import PanelDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.settings import SettingsStore
from camviewer.workers.engine import Engine

CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)


@pytest.fixture
def window(qtbot, tmp_path: Path):
    images = tmp_path / "spots"
    images.mkdir()
    for number in range(3):
        Image.fromarray(np.full((60, 80, 3), 200 - number * 20, np.uint8)).save(images / f"spot_{number}.png")
    (images / "labels.csv").write_text("lesion_id,image_id,dx\nL,spot_0,nv\nL,spot_1,nv\n")
    main = MainWindow(SettingsStore(tmp_path / "settings.json"), engine=Engine(make_backend=FakeBackend))
    main.resize(1600, 1000)
    main.show()
    main.opening.open_paths([images])
    qtbot.waitUntil(lambda: main.bench.gallery.model.total() == 3 and pixels_shown(main), timeout=10_000)
    yield main
    main.close()


def faults(root: QWidget) -> list[str]:
    """Return the visible controls without a name or a tooltip; parts of a control count with it."""
    found = []
    for widget in root.findChildren(QWidget):
        if not widget.isVisible() or not (widget.focusPolicy() & Qt.FocusPolicy.TabFocus):
            continue
        where = f"{type(widget).__name__} {widget.accessibleName() or getattr(widget, 'text', str)()!r}"
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is not None and not interface.text(QAccessible.Text.Name).strip():
            found.append(f"{where} in {type(widget.parent()).__name__} has no name")
        if isinstance(widget, QComboBox):
            assert interface is not None
            words = interface.text(QAccessible.Text.Name) + interface.text(QAccessible.Text.Description)
            if not widget.accessibleName() or widget.accessibleName() not in words:
                found.append(f"{where} in {type(widget.parent()).__name__} does not say what is chosen")
            if not widget.view().accessibleName():
                found.append(f"{where} in {type(widget.parent()).__name__} opens a list without a name")
        part = isinstance(widget.parent(), CONTROLS)
        if isinstance(widget, CONTROLS) and not part and not widget.toolTip():
            found.append(f"{where} in {type(widget.parent()).__name__} has no tooltip")
    return found


def test_the_window(window: MainWindow, qtbot) -> None:
    for workspace in ("review", "model"):
        window.places.set_workspace(workspace)
        QApplication.processEvents()
        assert faults(window) == []
    for tool in ("tool_brush", "tool_fill", "tool_polygon"):
        window.bench.actions[tool].trigger()
        QApplication.processEvents()
        assert faults(window) == []
    for page in (window.comparing.page, window.checkpoints.page):
        window.bench.stage.show_page(page)
        QApplication.processEvents()
        assert page.isVisible() and faults(page) == []
    window.checkpoints.page.begin()
    QApplication.processEvents()
    assert window.checkpoints.page.table.isVisible() and faults(window) == []
    window.bench.session.close_project()
    QApplication.processEvents()
    assert faults(window) == []  # the welcome page


def test_tooltips_of_actions_show_their_key(window: MainWindow) -> None:
    seen = 0
    for spec in ACTIONS:
        if spec.menu and spec.keys:
            assert f"({key_text(spec)})" in window.bench.actions[spec.id].toolTip()
            seen += 1
    assert seen > 40
    texts = {action.text() for action in (window.bench.actions[spec.id] for spec in ACTIONS if spec.menu)}
    for button in window.findChildren(IconButton):
        action = button.defaultAction()
        if action is not None:
            assert action.text() in texts and button.toolTip() == action.toolTip()


def make_dialogs(window: MainWindow) -> dict[str, QDialog]:
    """Return each dialog of the program, opened with what it needs; a new one must be added here."""
    bench = window.bench
    arguments: dict[str, tuple[tuple, dict]] = {
        "AboutDialog": ((window,), {}),
        "AcceptDialog": (([(1, 0.1), (2, 0.4)], window), {}),
        "CheckpointsDialog": ((bench.dialogs, None), {"parent": window}),
        "ChooseThresholdDialog": ((window,), {}),
        "ClassNamesDialog": ((["a", "b"], {}, "in the export", window), {}),
        "ConvertDialog": ((SUMMARY, bench.dialogs), {"parent": window}),
        "CrashDialog": ((LastCrash(Path("crash.txt"), "Fatal", True), window), {}),
        "DicomTagsDialog": (("a.dcm", [], window), {}),
        "ExportDialog": ((bench.session, bench.settings, window), {}),
        "FailuresDialog": (([Failure(1, "a.png", "It is cut short.")], window), {}),
        "GuideDialog": ((12, "weights.pth", window), {}),
        "ImportDialog": ((bench.session, window), {}),
        "KeysDialog": ((window,), {}),
        "LearnDialog": ((), {"parent": window}),
        "LocateDialog": ((bench.relinking,), {"start": Path(), "parent": window}),
        "NamedReasonsDialog": (("Images that stay out", "1 image", [("a.png", "not reviewed")], window), {}),
        "OpenModelDialog": ((bench.settings, window), {}),
        "ReasonDialog": (("a.png", window), {}),
        "SelfCheckDialog": ((None, window), {}),
        "SettingsDialog": ((bench.settings.value, lambda: 0, window), {}),
        "TrainDialog": ((bench.dialogs,), {"parent": window}),
    }
    kinds: dict[str, type[QDialog]] = {}
    for module in pkgutil.iter_modules(dialogs_package.__path__):
        members = vars(importlib.import_module(f"camviewer.ui.dialogs.{module.name}"))
        kinds |= {
            name: kind
            for name, kind in members.items()
            if inspect.isclass(kind) and issubclass(kind, PanelDialog) and kind is not PanelDialog
        }
    return {name: kind(*arguments[name][0], **arguments[name][1]) for name, kind in kinds.items()}


def test_every_dialog(window: MainWindow, qtbot) -> None:
    found = {}
    for name, dialog in make_dialogs(window).items():
        dialog.show()
        QApplication.processEvents()
        assert dialog.windowTitle(), name
        found[name] = faults(dialog)
        dialog.close()
        dialog.deleteLater()
    assert {name: list_ for name, list_ in found.items() if list_} == {}
    assert len(found) > 15


def lengthen(root: QWidget) -> None:
    """Make the words of every label and button a fifth longer, as a translation would."""
    for widget in root.findChildren(QWidget):
        if isinstance(widget, ElidedLabel):
            widget.set_full_text(longer(widget.full_text()))
        elif isinstance(widget, Button):
            widget.set_text(longer(widget.text()))
        elif isinstance(widget, QLabel | QAbstractButton):
            widget.setText(longer(widget.text()))


def longer(text: str) -> str:
    return text + " and so forth"[: round(0.2 * len(text))] if any(letter.isalpha() for letter in text) else text


def cut(root: QWidget) -> list[str]:
    """Return the visible words that have less room than they need; what is shortened on purpose has its tooltip."""
    found = []
    for widget in root.findChildren(QWidget):
        if (
            not isinstance(widget, QLabel | QAbstractButton)
            or isinstance(widget, ElidedLabel)
            or not widget.isVisible()
        ):
            continue
        if not widget.text() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            short = widget.height() < widget.heightForWidth(widget.width()) - 1
        else:
            metrics = widget.fontMetrics()
            short = widget.width() < metrics.horizontalAdvance(widget.text()) or widget.height() < metrics.height()
        if short:
            found.append(f"{type(widget).__name__} {widget.text()!r} {widget.size().toTuple()}")
    return found


def test_longer_words_are_not_cut_in_dialogs(window: MainWindow) -> None:
    found = {}
    for name, dialog in make_dialogs(window).items():
        dialog.show()
        QApplication.processEvents()
        lengthen(dialog)
        for _ in range(3):  # a line more moves what lies below
            QApplication.processEvents()
        found[name] = cut(dialog)
        dialog.close()
        dialog.deleteLater()
    assert {name: list_ for name, list_ in found.items() if list_} == {}


@pytest.mark.parametrize("workspace", ["review", "model"])
def test_longer_words_are_not_cut_in_a_small_window(window: MainWindow, workspace: str) -> None:
    window.resize(1280, 800)
    window.places.set_workspace(workspace)
    QApplication.processEvents()
    assert cut(window) == []
    lengthen(window)
    QApplication.processEvents()
    assert cut(window) == []


def test_longer_words_are_not_cut_on_the_welcome_page(window: MainWindow) -> None:
    window.resize(1280, 800)
    window.bench.session.close_project()
    lengthen(window)
    QApplication.processEvents()
    assert cut(window) == []
