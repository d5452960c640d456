"""The three people of the program, from a double click to an exported training set: by mouse alone, by keyboard alone.

Each goes through ``main()`` on real photographs and real checkpoints. What they see is asked of the window; what they
do goes through `hands`, which reaches only what a mouse or a keyboard reaches.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from drive import pixels_shown, run
from hands import CONTROL, SHIFT, Keyboard, Mouse, Steps, find, name_of, shown
from pycocotools.coco import COCO
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QListView,
    QTreeView,
    QWidget,
)

from camviewer.project.store import Project
from camviewer.ui.dialogs.cards import ChoiceCard
from camviewer.ui.dialogs.checkpoints import CheckpointsDialog
from camviewer.ui.dialogs.export import ExportDialog
from camviewer.ui.dialogs.model import OpenModelDialog
from camviewer.ui.main_window import MainWindow
from camviewer.ui.panels.classes import ClassesPanel
from camviewer.ui.panels.layers import NAME, TICK

pytestmark = [pytest.mark.data, pytest.mark.qt_log_ignore("This plugin does not support")]
IMAGES = 5
Key = Qt.Key
keys, mouse = Keyboard(), Mouse()


@pytest.fixture
def folder(data_dir: Path, tmp_path: Path) -> Path:
    """Real photographs with their diagnoses beside them; two names belong to one lesion."""
    target = tmp_path / "dermoscopy"
    target.mkdir()
    files = sorted((data_dir / "ham10000_600x450" / "images").iterdir())[:IMAGES]
    for path in files:
        shutil.copy(path, target / path.name)
    with (target / "labels.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image_id", "lesion_id", "dx"])
        rows.writerows([path.stem, f"L{number // 2}", "nv"] for number, path in enumerate(files))
    return target


@pytest.fixture
def skin(data_dir: Path, tmp_path: Path) -> Path:
    """The checkpoint for skin, in a folder of its own."""
    target = tmp_path / "checkpoints"
    target.mkdir()
    for name in ("squeezenet1_1_skin9.pth", "squeezenet1_1_imagenet.pth"):
        shutil.copy(data_dir / "checkpoints" / name, target / name)
    return target / "squeezenet1_1_skin9.pth"


@pytest.fixture
def computed(folder: Path, skin: Path, qapp) -> Path:
    """The project of the photographs after a day of computing: the annotator opens nothing else."""

    def script(window: MainWindow) -> Steps:
        yield lambda: window.bench.gallery.model.total() == IMAGES and window.bench.computing.summary is not None
        yield lambda: pixels_shown(window)
        window.bench.actions["compute_all"].trigger()
        yield lambda: _counts(window, "computed") == IMAGES and not window.bench.engine.open_jobs()

    assert run(["--safe-mode", str(folder), "--model", str(skin)], script) == 0
    return folder / f"{folder.name}.camviewer"


def _counts(window: MainWindow, status: str) -> int:
    return window.bench.gallery.model.counts().get(status, 0)


def _idle(window: MainWindow) -> bool:
    return pixels_shown(window) and not window.bench.engine.open_jobs()


def _regions(window: MainWindow, kind: str) -> list:
    return [region for region in window.bench.session.regions() if region.key[0] == kind]


def _chosen(window: MainWindow) -> object:
    region = window.bench.session.find_region(window.bench.session.selected)
    return region.shape if region is not None else None


def _picture(window: QWidget, name: str) -> None:
    """Keep a screenshot where CAMVIEWER_REPORT says, for a person to look at."""
    report = os.environ.get("CAMVIEWER_REPORT")
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
        window.grab().save(str(Path(report) / f"{name}.png"))


# --- steps that several people take ----------------------------------------------------------------------------------


def open_file_by_keys(path: Path) -> Steps:
    """Answer a file dialog by typing a name."""
    yield lambda: shown(QFileDialog) is not None
    dialog = shown(QFileDialog)
    yield lambda: dialog.isActiveWindow() and isinstance(QApplication.focusWidget(), QLineEdit)
    yield from keys.replace(str(path))
    yield from keys.press(Key.Key_Return)
    yield lambda: shown(QFileDialog) is None


def review_by_keys(window: MainWindow, count: int) -> Steps:
    before = _counts(window, "reviewed")
    for number in range(count):
        yield lambda: pixels_shown(window)
        yield from keys.press(Key.Key_Return)
        yield lambda n=number: _counts(window, "reviewed") == before + n + 1


def review_by_mouse(window: MainWindow, count: int) -> Steps:
    before = _counts(window, "reviewed")
    for number in range(count):
        yield lambda: pixels_shown(window)
        yield from mouse.click(window.bench.header.reviewed)
        yield lambda n=number: _counts(window, "reviewed") == before + n + 1


def export_by_keys(window: MainWindow, title: str, out: Path, count: int) -> Steps:
    """Ctrl+E, the format by the arrow keys, the folder typed, Ctrl+Enter."""
    yield from keys.press(Key.Key_E, CONTROL)
    yield lambda: shown(ExportDialog) is not None
    dialog = shown(ExportDialog)
    yield dialog.isActiveWindow
    yield from keys.tab_to(dialog.spec().title)
    for _ in range(20):
        if dialog.spec().title == title:
            break
        yield from keys.press(Key.Key_Down)
    assert dialog.spec().title == title
    yield from keys.tab_to("Folder")
    yield from keys.replace(str(out))
    yield lambda: dialog._export.text() == f"Export {count} images" and dialog._export.isEnabled()
    _picture(dialog, "export-keys")
    yield from keys.press(Key.Key_Return, CONTROL)
    yield lambda: (out / "run.json").is_file() and not window.bench.engine.open_jobs()


def export_by_mouse(window: MainWindow, title: str, count: int) -> Steps:
    """The menu, a click on the format, the suggested folder, the button."""
    yield from mouse.menu(window.bench.header.menu, "File", "Export…")
    yield lambda: shown(ExportDialog) is not None
    dialog = shown(ExportDialog)
    yield from mouse.click(find(dialog, title, ChoiceCard))
    yield lambda: dialog.spec().title == title
    yield lambda: dialog._export.text() == f"Export {count} images" and dialog._export.isEnabled()
    out = Path(dialog._folder.text())
    yield from mouse.click(dialog._export)
    yield lambda: (out / "run.json").is_file() and not window.bench.engine.open_jobs()


def check_coco(out: Path, project: Path, count: int) -> None:
    """What is written is what was reviewed, pixel for pixel."""
    coco, total = COCO(str(out / "instances.json")), 0
    with Project.open(project) as opened:
        reviewed = {record.path.name: record for record in opened.images() if record.status == "reviewed"}
        assert len(reviewed) == count
        assert {entry["file_name"].rsplit("/")[-1] for entry in coco.imgs.values()} == set(reviewed)
        for image_id, entry in coco.imgs.items():
            masks = opened.final_masks(reviewed[entry["file_name"].rsplit("/")[-1]].id)
            found = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
            pixels = sum(int(coco.annToMask(a).sum()) for a in found if a.get("segmentation"))
            assert pixels == sum(int(mask.pixels.sum()) for mask in masks)
            total += pixels
    assert total > 0


# --- the dermatology reviewer: a folder and a checkpoint, is it the lesion? ------------------------------------------


def test_the_reviewer_by_keyboard(folder: Path, skin: Path, tmp_path: Path, qapp) -> None:
    out = tmp_path / "out"

    def script(window: MainWindow) -> Steps:
        bench = window.bench
        yield lambda: QApplication.focusWidget() is not None and not window.places.shows_workbench()
        yield from keys.press(Key.Key_O, CONTROL)
        yield from open_file_by_keys(folder)
        yield lambda: bench.gallery.model.total() == IMAGES and pixels_shown(window)
        yield from keys.press(Key.Key_M, CONTROL)
        yield lambda: shown(OpenModelDialog) is not None
        yield from keys.tab_to("Checkpoint")
        yield from keys.type(str(skin))
        yield from keys.press(Key.Key_Return)
        yield lambda: bench.computing.summary is not None and _idle(window) and bench.computing.shown_map is not None
        yield from keys.press(Key.Key_B, CONTROL)
        yield lambda: _counts(window, "computed") == IMAGES and _idle(window)
        # What it thinks, and where it looks: the map, the second class, the next image.
        yield from keys.press(Key.Key_Q)
        yield from keys.press(Key.Key_2, Qt.KeyboardModifier.AltModifier)
        yield lambda: bench.computing.shown_map is not None and find(window, "View: Blend", QAbstractButton).isChecked()
        yield lambda: bench.computing.class_index == bench.computing._scores[1].index
        yield from keys.press(Key.Key_D)
        yield lambda: bench.session.current.position == 2 and _idle(window)
        # A ruler lies in the picture: a flag and a note, in the panel on the right.
        yield from keys.pane("Panel")
        yield from keys.tab_to("Ruler")
        yield from keys.press(Key.Key_Space)
        yield lambda: bench.session.current.record.flags == ("ruler",)
        yield from keys.tab_to("Note")
        yield from keys.type("map lies on the ruler")
        yield lambda: bench.session.current.record.note == "map lies on the ruler"
        yield from keys.pane("Canvas")
        yield from review_by_keys(window, 3)
        _picture(window, "reviewer-keys")
        yield from export_by_keys(window, "COCO instances", out, 3)

    assert run(["--safe-mode"], script) == 0
    check_coco(out, folder / f"{folder.name}.camviewer", 3)
    with Project.open(folder / f"{folder.name}.camviewer") as project:
        assert [record.note for record in project.images() if record.note] == ["map lies on the ruler"]


def test_the_reviewer_by_mouse(folder: Path, skin: Path, qapp) -> None:
    def script(window: MainWindow) -> Steps:
        bench, bar = window.bench, window.bench.header.menu
        window.resize(1440, 900)
        yield lambda: not window.places.shows_workbench() and window.isVisible()
        yield from mouse.drop(window, folder)
        yield lambda: bench.gallery.model.total() == IMAGES and pixels_shown(window)
        yield from mouse.drop(window, skin)
        yield lambda: bench.computing.summary is not None and _idle(window) and bench.computing.shown_map is not None
        yield from mouse.menu(bar, "Jobs", "Compute all")
        yield lambda: _counts(window, "computed") == IMAGES and _idle(window)
        yield from mouse.click(find(window, "View: Blend"))
        yield lambda: find(window, "View: Blend", QAbstractButton).isChecked()
        classes = find(find(window, "Classes", ClassesPanel), "Classes", QListView)
        yield from mouse.item(classes, 1)
        yield lambda: bench.computing.class_index == bench.computing._scores[1].index
        strip = bench.gallery.strip
        yield from mouse.item(strip, 2)
        yield lambda: bench.session.current.position == 3 and _idle(window)
        yield from mouse.click(find(bench.image, "Ruler"))
        yield lambda: bench.session.current.record.flags == ("ruler",)
        yield from review_by_mouse(window, 3)
        _picture(window, "reviewer-mouse")
        yield from export_by_mouse(window, "COCO instances", 3)

    assert run(["--safe-mode"], script) == 0
    project = folder / f"{folder.name}.camviewer"
    check_coco(folder / f"{folder.name}_coco", project, 3)
    with Project.open(project) as opened:
        assert [record.flags for record in opened.images() if record.flags] == [("ruler",)]


# --- the annotator: a project, masks corrected fast, a training set --------------------------------------------------


def test_the_annotator_by_keyboard(computed: Path, tmp_path: Path, qapp) -> None:
    out = tmp_path / "out"

    def script(window: MainWindow) -> Steps:
        bench, session = window.bench, window.bench.session
        yield lambda: bench.gallery.model.total() == IMAGES and _idle(window) and _regions(window, "mask")
        yield from keys.pane("Canvas")
        # Tab goes to the mask; tidied, and given the class of a number.
        for _ in range(4):
            if _chosen(window) is not None and session.selected[0] == "mask":
                break
            yield from keys.press(Key.Key_Tab)
        assert session.selected[0] == "mask"
        yield from keys.press(Key.Key_F, SHIFT)
        yield from keys.press(Key.Key_S, SHIFT)
        yield lambda: session.current.record.status == "edited"
        yield from keys.press(Key.Key_2)
        yield lambda: _chosen(window) is not None and _chosen(window).class_id == 2
        # A box around it, moved by the arrows; taken back and done again.
        count = len(_regions(window, "box"))
        yield from keys.press(Key.Key_B, SHIFT)
        yield lambda: len(_regions(window, "box")) == count + 1 and session.selected[0] == "box"
        before = _chosen(window)
        yield from keys.press(Key.Key_Right, SHIFT)
        yield lambda: _chosen(window).x0 == before.x0 + 10
        yield from keys.press(Key.Key_Z, CONTROL)
        yield lambda: any(region.shape == before for region in _regions(window, "box"))
        yield from keys.press(Key.Key_Y, CONTROL)
        yield lambda: not any(region.shape == before for region in _regions(window, "box"))
        # A box out of nothing, and a touch of the eraser.
        yield from keys.press(Key.Key_W)
        yield from keys.press(Key.Key_Return)
        yield lambda: len(_regions(window, "box")) == count + 2
        yield from keys.press(Key.Key_E)
        yield from keys.press(Key.Key_Down)
        area = sum(int(region.shape.pixels.sum()) for region in _regions(window, "mask"))
        yield from keys.press(Key.Key_Return)
        yield lambda: sum(int(region.shape.pixels.sum()) for region in _regions(window, "mask")) != area
        yield from keys.press(Key.Key_V)
        _picture(window, "annotator-keys")
        yield from review_by_keys(window, 3)
        yield from keys.press(Key.Key_S)
        yield lambda: _counts(window, "skipped") == 1
        yield from export_by_keys(window, "COCO instances", out, 3)

    assert run(["--safe-mode", str(computed)], script) == 0
    check_coco(out, computed, 3)


def test_the_annotator_by_mouse(computed: Path, qapp) -> None:
    def script(window: MainWindow) -> Steps:
        bench, session = window.bench, window.bench.session
        bar = bench.header.menu
        window.resize(1440, 900)
        yield lambda: bench.gallery.model.total() == IMAGES and _idle(window) and _regions(window, "mask")
        port = bench.canvas.view.viewport()
        middle = port.rect().center()
        count = len(_regions(window, "box"))
        yield from mouse.click(find(bench.canvas, "Draw a box"))
        yield from mouse.drag(port, middle - QPoint(90, 70), middle, middle + QPoint(90, 70))
        yield lambda: len(_regions(window, "box")) == count + 1
        # Its class, from the table of regions.
        table = find(bench.regions, "Regions", QTreeView)
        row = next(n for n, region in enumerate(session.regions()) if region.key == session.selected)
        yield from mouse.item(table, row)
        yield from mouse.scroll_to(table)
        place = table.visualRect(table.model().index(row, 0)).center()
        yield from open_context_menu(table, place)
        other = next(entry for entry in session.table.classes if entry.id != _chosen(window).class_id)
        yield from mouse.choose(bench.class_menu, other.name)
        yield lambda: _chosen(window) is not None and _chosen(window).class_id == other.id
        # A stroke, taken back and done again; the mask smoothed.
        yield from mouse.click(find(bench.canvas, "Paint a mask"))
        yield from mouse.drag(port, middle - QPoint(30, 0), middle, middle + QPoint(30, 10))
        painted = [region.shape.pixels.sum() for region in _regions(window, "mask")]
        yield lambda: session.undo.to_undo is not None and session.undo.to_undo.label.startswith("Mask painted")
        painted = [int(region.shape.pixels.sum()) for region in _regions(window, "mask")]
        yield from mouse.click(find(bench.header, "Undo"))
        yield lambda: [int(region.shape.pixels.sum()) for region in _regions(window, "mask")] != painted
        yield from mouse.click(find(bench.header, "Redo"))
        yield lambda: [int(region.shape.pixels.sum()) for region in _regions(window, "mask")] == painted
        yield from mouse.click(find(bench.canvas, "Select"))
        yield from mouse.menu(bar, "Regions", "Smooth the outline")
        yield lambda: session.current.record.status == "edited"
        # The box away again, by the button above the table.
        row = next(n for n, region in enumerate(session.regions()) if region.key[0] == "box")
        yield from mouse.item(table, row)
        boxes = len(_regions(window, "box"))
        yield from mouse.click(find(bench.regions, "Delete region"))
        yield lambda: len(_regions(window, "box")) == boxes - 1
        _picture(window, "annotator-mouse")
        yield from review_by_mouse(window, 3)
        yield from mouse.click(bench.header.skip)
        yield lambda: _counts(window, "skipped") == 1
        yield from export_by_mouse(window, "COCO instances", 3)

    assert run(["--safe-mode", str(computed)], script) == 0
    check_coco(computed.with_name(f"{computed.stem}_coco"), computed, 3)


def open_context_menu(table: QTreeView, place: QPoint) -> Steps:
    """Click a row with the right button; the platform makes the event for the menu of it."""
    from PySide6.QtGui import QContextMenuEvent

    port = table.viewport()
    yield from mouse.click(port, place, button=Qt.MouseButton.RightButton)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, port.mapToGlobal(place))
    QApplication.sendEvent(port, event)


# --- the model developer: layers, methods, checkpoints side by side --------------------------------------------------


def test_the_developer_by_keyboard(folder: Path, skin: Path, tmp_path: Path, qapp) -> None:
    out = tmp_path / "out"

    def script(window: MainWindow) -> Steps:
        bench, computing = window.bench, window.bench.computing
        yield lambda: bench.gallery.model.total() == IMAGES and computing.summary is not None
        yield lambda: _idle(window) and computing.shown_map is not None
        # Another layer, ticked in the tree.
        yield from keys.press(Key.Key_2, CONTROL)
        yield from keys.pane("Model panel")
        yield from keys.tab_to("Layers")
        before = computing.layer_name()
        yield from keys.press(Key.Key_Home)
        yield from keys.press(Key.Key_Right)
        yield from keys.press(Key.Key_Down)
        yield from keys.press(Key.Key_Space)
        yield lambda: computing.layer_name() != before
        yield from keys.pane("Canvas")
        yield from keys.press(Key.Key_M)
        yield lambda: computing.choice.method != "cam" and _idle(window) and computing.shown_map is not None
        # All methods on one zoom.
        yield from keys.press(Key.Key_G)
        grid = window.comparing.page.grid
        yield lambda: grid.isVisible() and grid.rows() and grid.missing() == ((), ()) and _idle(window)
        _picture(window, "developer-compare-keys")
        yield from keys.press(Key.Key_G)
        yield lambda: not grid.isVisible()
        # Two checkpoints on the images of the project.
        yield from keys.menu("Model", "Compare checkpoints…")
        yield lambda: window.checkpoints.dialog is not None and window.checkpoints.dialog.isVisible()
        dialog: CheckpointsDialog = window.checkpoints.dialog
        for count, name in enumerate((skin.name, "squeezenet1_1_imagenet.pth"), 1):
            yield from keys.tab_to("Add files…")
            yield from keys.press(Key.Key_Space)
            yield from open_file_by_keys(skin.with_name(name))
            yield lambda n=count: len(dialog.chosen()) == n
        yield from keys.tab_to("Images for faithfulness")
        yield from keys.replace("0")
        yield from keys.tab_to("Compare 2")
        yield from keys.press(Key.Key_Space)
        yield lambda: window.checkpoints.page.comparison is not None and _idle(window)
        _picture(window, "developer-checkpoints-keys")
        yield from keys.press(Key.Key_Escape)
        yield lambda: not window.checkpoints.page.isVisible()
        yield from review_by_keys(window, 2)
        yield from export_by_keys(window, "COCO instances", out, 2)

    assert run(["--safe-mode", str(folder), "--model", str(skin)], script) == 0
    check_coco(out, folder / f"{folder.name}.camviewer", 2)
    assert "squeezenet1_1_skin9.pth" in json.dumps(json.loads((out / "run.json").read_text(encoding="utf-8")))


def test_the_developer_by_mouse(folder: Path, skin: Path, qapp) -> None:
    def script(window: MainWindow) -> Steps:
        bench, computing, bar = window.bench, window.bench.computing, window.bench.header.menu
        window.resize(1440, 900)
        yield lambda: bench.gallery.model.total() == IMAGES and computing.summary is not None
        yield lambda: _idle(window) and computing.shown_map is not None
        yield from mouse.click(find(bench.header, "Workspace: Model"))
        layers = find(bench.model_panel, "Layers", QTreeView)
        yield layers.isVisible
        before = computing.layer_name()
        yield from tick_first_part(layers)
        yield lambda: computing.layer_name() != before
        yield from mouse.pick(find(bench.method, "Method", QComboBox), "Grad-CAM")
        yield lambda: computing.choice.method == "gradcam" and _idle(window) and computing.shown_map is not None
        yield from mouse.click(find(bench.canvas, "Compare"))
        grid = window.comparing.page.grid
        yield lambda: grid.isVisible() and grid.rows() and grid.missing() == ((), ()) and _idle(window)
        yield from mouse.menu(bar, "View", "Compare")
        yield lambda: not grid.isVisible()
        yield from mouse.menu(bar, "Model", "Compare checkpoints…")
        yield lambda: window.checkpoints.dialog is not None and window.checkpoints.dialog.isVisible()
        dialog: CheckpointsDialog = window.checkpoints.dialog
        yield from mouse.click(find(dialog, "Add files…"))
        yield from pick_files(skin.parent, skin.name, "squeezenet1_1_imagenet.pth")
        yield lambda: len(dialog.chosen()) == 2
        yield from mouse.click(find(dialog, "Compare 2"))
        yield lambda: window.checkpoints.page.comparison is not None and _idle(window)
        _picture(window, "developer-checkpoints-mouse")
        yield from mouse.click(find(window.checkpoints.page, "Back to the image"))
        yield lambda: not window.checkpoints.page.isVisible()
        yield from review_by_mouse(window, 2)
        yield from export_by_mouse(window, "COCO instances", 2)

    assert run(["--safe-mode", str(folder), "--model", str(skin)], script) == 0
    check_coco(folder / f"{folder.name}_coco", folder / f"{folder.name}.camviewer", 2)


def tick_first_part(layers: QTreeView) -> Steps:
    """Unfold the first row by its arrow, and click the box of the row below it."""
    top = layers.model().index(0, 0)
    name = layers.visualRect(top.siblingAtColumn(NAME))
    yield from mouse.click(layers.viewport(), QPoint(name.left() - 7, name.center().y()))
    yield lambda: layers.isExpanded(top)
    box = layers.visualRect(layers.model().index(0, TICK, top))
    yield from mouse.click(layers.viewport(), box.center())


def pick_files(folder: Path, *names: str) -> Steps:
    """Answer a file dialog by clicking files of a folder.

    Where the dialog begins depends on the tests before this one, since Qt remembers it for the process.
    """
    yield lambda: shown(QFileDialog) is not None
    dialog = shown(QFileDialog)
    dialog.setDirectory(str(folder))
    views = [view for view in dialog.findChildren(QAbstractItemView) if view.objectName() in ("listView", "treeView")]
    yield lambda: any(view.isVisible() for view in views)
    view = next(view for view in views if view.isVisible())

    def listed() -> list[str]:
        model, root = view.model(), view.rootIndex()
        return [model.index(row, 0, root).data() for row in range(model.rowCount(root))]

    yield lambda: set(names) <= set(listed())
    for number, name in enumerate(names):
        how = {"modifiers": CONTROL} if number else {}
        yield from mouse.item(view, listed().index(name), **how)
    (button,) = [b for b in dialog.findChildren(QWidget) if name_of(b).replace("&", "") == "Open" and b.isVisible()]
    yield from mouse.click(button)
    yield lambda: shown(QFileDialog) is None
