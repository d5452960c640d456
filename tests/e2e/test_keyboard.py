"""To an exported training set by the keyboard alone, and corrections by the mouse alone, through ``main()``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from drive import Condition, pixels_shown, press, run
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QWidget

from camviewer.project.store import Project
from camviewer.ui.dialogs.export import ExportDialog
from camviewer.ui.main_window import MainWindow

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def export_dialog() -> ExportDialog | None:
    shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog) and w.isVisible()]
    return shown[0] if shown else None


def focused() -> QWidget:
    widget = QApplication.focusWidget()
    assert widget is not None
    return widget


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_the_demo_is_reviewed_and_exported_by_the_keyboard(tmp_path: Path, qapp) -> None:
    out = tmp_path / "training set"

    def script(window: MainWindow) -> Generator[Condition]:
        bench = window.bench
        # The focus stands on the demo; Enter opens it.
        yield lambda: QApplication.focusWidget() is not None and not window.places.shows_workbench()
        press(focused(), Qt.Key.Key_Return)
        yield lambda: bench.computing.summary is not None and pixels_shown(window)
        yield lambda: bench.session.current.record.status == "computed"
        # Tab goes through the regions.
        yield lambda: any(region.key[0] == "mask" for region in bench.session.regions())
        press(bench.canvas.view, Qt.Key.Key_Tab)
        yield lambda: bench.session.selected is not None
        # Three images are decided, one is skipped.
        for count in (1, 2, 3):
            press(bench.canvas, Qt.Key.Key_Return)
            yield lambda n=count: bench.gallery.model.counts()["reviewed"] == n and pixels_shown(window)
            yield lambda: bench.session.current.record.status == "computed"
        press(bench.canvas, Qt.Key.Key_S)
        yield lambda: bench.gallery.model.counts()["skipped"] == 1
        # A search narrows the gallery, and Esc widens it again.
        press(bench.canvas, Qt.Key.Key_F, CONTROL)
        yield lambda: bench.gallery.search.hasFocus()
        QTest.keyClicks(bench.gallery.search, "status:reviewed ")
        yield lambda: bench.gallery.model.rowCount() == 3
        press(bench.gallery.search, Qt.Key.Key_Escape)
        yield lambda: bench.gallery.model.rowCount() == bench.gallery.model.total()
        bench.gallery.search._popup.hide()
        press(bench.canvas, Qt.Key.Key_E, CONTROL)
        yield lambda: export_dialog() is not None
        dialog = export_dialog()
        (place,) = [field for field in dialog.findChildren(QLineEdit) if field.accessibleName() == "Folder"]
        place.setFocus()
        place.selectAll()
        QTest.keyClicks(place, str(out))
        (write,) = [button for button in dialog.findChildren(QPushButton) if button.text().startswith("Export")]
        yield lambda: write.text() == "Export 3 images" and write.isEnabled()
        press(place, Qt.Key.Key_Return, CONTROL)
        yield lambda: (out / "run.json").is_file() and not bench.engine.open_jobs()

    assert run(["--safe-mode"], script) == 0
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))


@pytest.mark.data
def test_photographs_are_corrected_by_the_mouse(data_dir: Path, tmp_path: Path, qapp) -> None:
    folder = tmp_path / "moles"
    folder.mkdir()
    for path in sorted((data_dir / "ham10000_600x450" / "images").iterdir())[:3]:
        shutil.copy(path, folder / path.name)

    def script(window: MainWindow) -> Generator[Condition]:
        bench = window.bench
        left = Qt.MouseButton.LeftButton
        yield lambda: bench.gallery.model.total() == 3 and pixels_shown(window)
        viewport = bench.canvas.view.viewport()

        def click(widget: QWidget, place: QPoint | None = None) -> None:
            QTest.mouseClick(widget, left, Qt.KeyboardModifier.NoModifier, place or widget.rect().center())

        # A box is drawn, the brush paints into it.
        tools = {button.accessibleName(): button for button in bench.canvas.tools.findChildren(QWidget)}
        click(tools["Draw a box"])
        middle = viewport.rect().center()
        QTest.mousePress(viewport, left, Qt.KeyboardModifier.NoModifier, middle - QPoint(60, 50))
        QTest.mouseMove(viewport, middle)
        QTest.mouseMove(viewport, middle + QPoint(60, 50))
        QTest.mouseRelease(viewport, left, Qt.KeyboardModifier.NoModifier, middle + QPoint(60, 50))
        yield lambda: len(bench.session.regions()) == 1
        click(tools["Paint a mask; the right button erases"])
        QTest.mousePress(viewport, left, Qt.KeyboardModifier.NoModifier, middle - QPoint(20, 0))
        QTest.mouseMove(viewport, middle + QPoint(10, 5))
        QTest.mouseMove(viewport, middle + QPoint(20, 0))
        QTest.mouseRelease(viewport, left, Qt.KeyboardModifier.NoModifier, middle + QPoint(20, 0))
        yield lambda: len(bench.session.regions()) == 2
        click(bench.header.reviewed)
        yield lambda: bench.gallery.model.counts()["reviewed"] == 1 and pixels_shown(window)
        # The third picture of the gallery, then skipped.
        cell = bench.gallery.strip.visualRect(bench.gallery.model.index(2))
        click(bench.gallery.strip.viewport(), cell.center())
        yield lambda: bench.session.current.position == 3 and pixels_shown(window)
        click(bench.header.skip)
        yield lambda: bench.gallery.model.counts()["skipped"] == 1

    assert run(["--safe-mode", str(folder)], script) == 0
    with Project.open(folder / f"{folder.name}.camviewer") as project:
        records = project.images()
        assert [record.status for record in records] == ["reviewed", "new", "skipped"]
        assert records[0].reviewer and records[0].reviewed_at
        (mask,) = project.masks(records[0].id)
        (box,) = project.boxes(records[0].id)
        assert mask.pixels.any() and mask.slot == "reviewed" and box.origin == "manual"
        assert box.x0 < mask.pixels.any(axis=0).nonzero()[0][0] and box.x1 > mask.pixels.any(axis=0).nonzero()[0][-1]
