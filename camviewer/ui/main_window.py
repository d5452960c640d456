"""The window. It only wires: header, left panel, canvas, right panel, gallery, status bar, session, computing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QByteArray, QEvent, Qt, QTimer, QUrl, Signal, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from camviewer.catalogue.actions import Needs
from camviewer.images.geometry import Geometry
from camviewer.paths import log_dir
from camviewer.project.records import ActivationMap, ImageRecord
from camviewer.project.store import SUFFIX, Project
from camviewer.regions import drawing
from camviewer.ui.actions import Actions, key_text
from camviewer.ui.canvas.panel import CanvasPanel
from camviewer.ui.canvas.records import TOOLS, BoxChanged, BoxDrawn, MaskEdited, PaintClass, Region
from camviewer.ui.compare.page import ComparePage
from camviewer.ui.computing import Computing, Failure
from camviewer.ui.controls import IconButton, Section, SegmentedControl, bind_action, rule, surface
from camviewer.ui.demo import Demo, find_demo
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.drop import DropOverlay, dropped_paths
from camviewer.ui.gallery.model import GalleryItem
from camviewer.ui.gallery.view import Gallery
from camviewer.ui.header import Header
from camviewer.ui.panels.classes import ClassesPanel
from camviewer.ui.panels.image import ImageFacts, ImagePanel
from camviewer.ui.panels.method import MethodChoice, MethodPanel
from camviewer.ui.panels.model import ModelPanel
from camviewer.ui.panels.regions import RegionsPanel
from camviewer.ui.panels.threshold import ThresholdPanel
from camviewer.ui.panels.units import UnitsPanel
from camviewer.ui.relinking import Relinking
from camviewer.ui.session import WEIGHT_ENDINGS, Session, ShownImage
from camviewer.ui.settings import RecentProject, SettingsStore, decode_bytes, encode_bytes
from camviewer.ui.status_bar import StatusBar
from camviewer.ui.theme import theme
from camviewer.ui.unit_source import UnitSource
from camviewer.ui.welcome import WelcomePage
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ClassUnit, ClassUnits, LoadRequest, ModelSummary

log = logging.getLogger(__name__)

RIGHT_WIDTH = 328
RAIL_WIDTH = 44
LEFT_WIDTH = 504
LEFT_SMALL = 360
WIDE = 1440
"""From this width on the layer tree has room for all its columns."""

NARROW = 1160
"""Below this width the layer tree is a rail until someone unfolds it."""


class MainWindow(QMainWindow):
    """The main window.

    Signals:
        painted_first: the first paint is done; whatever is slow may start now.
        closed: the window is closed, its threads have ended.
    """

    painted_first = Signal()
    closed = Signal()

    def __init__(
        self, settings: SettingsStore, *, engine: Engine | None = None, dialogs: FileDialogs | None = None
    ) -> None:
        super().__init__()
        theme()
        self.settings = settings
        self.dialogs = dialogs or FileDialogs(self)
        self.session = Session(self)
        self.relinking = Relinking(self.session, self)
        self.engine = engine or Engine(self)
        self.computing = Computing(self.session, self.engine, self)
        self.demo: Demo | None = None
        self._painted = False
        self._started = False
        self._closed = False
        self._has_map = False
        self._map: ActivationMap | None = None
        self._mode = "original"
        self._map_hinted = False
        self._unfolded = False
        self._new_class: int | None = None
        self._failures: list[Failure] = []
        self.setWindowTitle("camviewer")
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 640)
        self.resize(1440, 900)
        self.actions_ = Actions(self)
        self._build()
        self._wire_actions()
        self._wire_session()
        self._wire_panels()
        self._restore()
        self._enable()

    # --- building -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        actions = self.actions_
        buttons = {
            name: IconButton.for_action(actions[name], icon)
            for name, icon in (
                ("previous", "chevron-left"), ("next", "chevron-right"), ("undo", "undo"), ("redo", "redo"),
            )
        }  # fmt: skip
        self.header = Header(
            previous=buttons["previous"],
            following=buttons["next"],
            undo=buttons["undo"],
            redo=buttons["redo"],
            reviewed_key="Enter",
        )
        self._recent_menu = QMenu("Recent projects", self)
        self._recent_menu.aboutToShow.connect(self._fill_recent_menu)
        actions.fill(self.header.menu, recent=self._recent_menu)

        self.model_panel = ModelPanel()
        self.units = UnitsPanel()
        self.model_panel.add_below(self.units)
        self.unit_source = UnitSource(self.session, self.computing, self.engine, self)
        self.canvas = CanvasPanel()
        self.compare = ComparePage(self.session, self.computing, self.engine)
        self.classes = ClassesPanel()
        self.method = MethodPanel()
        self.threshold = ThresholdPanel()
        self.regions = RegionsPanel()
        self.image = ImagePanel()
        self.gallery = Gallery()
        self.gallery.model.outline_of = self.session.outline
        self.status = StatusBar()
        self.welcome = WelcomePage()

        self._rail = self._make_rail()
        surface(self.model_panel, "panel")
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(self.model_panel)
        self._split.addWidget(self.canvas)
        self._split.setStretchFactor(1, 1)
        self._split.setCollapsible(0, False)
        self._split.setCollapsible(1, False)
        self._split.setHandleWidth(1)

        column = QWidget()
        stack = QVBoxLayout(column)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(0)
        for panel in (self.classes, self.method, self.threshold, self.regions, self.image):
            stack.addWidget(panel)
        stack.addStretch(1)
        self._right = QScrollArea()
        self._right.setWidgetResizable(True)
        self._right.setFrameShape(QScrollArea.Shape.NoFrame)
        self._right.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._right.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._right.setWidget(column)
        self._right.setFixedWidth(theme().px(RIGHT_WIDTH))
        surface(self._right, "panel")
        surface(column, "panel")

        work = QWidget()
        upper = QVBoxLayout()
        upper.setContentsMargins(0, 0, 0, 0)
        upper.setSpacing(0)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self._rail)
        self._rail_line = rule(vertical=True)
        middle.addWidget(self._rail_line)
        middle.addWidget(self._split, 1)
        upper.addLayout(middle, 1)
        upper.addWidget(rule())
        upper.addWidget(self.gallery)
        body = QHBoxLayout(work)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addLayout(upper, 1)
        body.addWidget(rule(vertical=True))
        body.addWidget(self._right)

        self._pages = QStackedWidget()
        self._pages.addWidget(self.welcome)
        self._pages.addWidget(work)
        root = QWidget()
        page = QVBoxLayout(root)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(self.header)
        page.addWidget(rule())
        page.addWidget(self._pages, 1)
        page.addWidget(rule())
        page.addWidget(self.status)
        self.setCentralWidget(root)
        self._drop = DropOverlay(self)
        self.header.set_image("", "", "new")
        self.status.align(theme().px(RIGHT_WIDTH))

    def _make_rail(self) -> QWidget:
        rail = surface(QWidget(), "panel")
        rail.setFixedWidth(RAIL_WIDTH)
        rail.setAccessibleName("Model rail")
        layout = QVBoxLayout(rail)
        layout.setContentsMargins(8, 10, 8, 10)
        layout.setSpacing(8)
        layout.addWidget(IconButton.for_action(self.actions_["open_model"], "model"))
        show = IconButton("layers", "Layers", tip="Model workspace: layers and checkpoint", key="Ctrl+2")
        show.clicked.connect(self._model_workspace)
        layout.addWidget(show)
        layout.addStretch(1)
        unfold = IconButton("panel", "Show the model panel", key="Ctrl+2")
        unfold.clicked.connect(self._model_workspace)
        layout.addWidget(unfold)
        return rail

    @Slot()
    def _model_workspace(self) -> None:
        self.actions_["workspace_model"].trigger()
        self._unfolded = True
        self._lay_out()

    # --- wiring -------------------------------------------------------------------------------------------------------

    def _wire_actions(self) -> None:
        on = self.actions_.connect
        on("open_folder", self.choose_folder)
        on("open_images", self.choose_images)
        on("open_project", self.choose_project)
        on("locate_images", self.locate_images)
        on("open_demo", self.open_demo)
        on("open_model", self.choose_model)
        on("export", self.choose_export)
        on("close_project", self.session.close_project)
        on("quit", self.close)
        on("undo", self.session.undo.undo)
        on("redo", self.session.undo.redo)
        on("delete_region", self.session.delete_region)
        on("search", self._focus_search)
        on("workspace_review", lambda: self.set_workspace("review"))
        on("workspace_model", lambda: self.set_workspace("model"))
        for mode in ("original", "heatmap", "blend"):
            on(f"view_{mode}", lambda mode=mode: self.canvas.set_mode(mode))  # type: ignore[misc]
        on("toggle_map", self._toggle_map)
        on("fit", self._fit)
        on("zoom_actual", lambda: self.canvas.zoom_to(1.0))
        on("zoom_in", lambda: self.canvas.zoom_by(1.25))
        on("zoom_out", lambda: self.canvas.zoom_by(0.8))
        on("toggle_regions", self._toggle_regions)
        on("toggle_gallery", self._toggle_gallery)
        for mode in ("system", "dark", "light"):
            on(f"theme_{mode}", lambda mode=mode: self._set_theme(mode))  # type: ignore[misc]
        on("next_pane", self._next_pane)
        on("previous", lambda: self.step(-1))
        on("next", lambda: self.step(1))
        on("previous_unreviewed", lambda: self.step(-1, unreviewed=True))
        on("next_unreviewed", lambda: self.step(1, unreviewed=True))
        on("mark_reviewed", self.mark_reviewed)
        on("skip", self.skip)
        on("reopen", self.reopen)
        for tool in TOOLS:
            on(f"tool_{tool}", lambda tool=tool: self.canvas.set_tool(tool))  # type: ignore[misc]
        on("brush_smaller", lambda: self.canvas.resize_brush(-1))
        on("brush_larger", lambda: self.canvas.resize_brush(1))
        session = self.session
        on("mask_largest", lambda: session.change_mask(drawing.keep_largest, "Largest piece kept."))
        on("mask_fill", lambda: session.change_mask(drawing.fill_holes, "Holes filled."))
        on("mask_small", lambda: session.change_mask(drawing.remove_small, "Small pieces removed."))
        on("mask_smooth", lambda: session.change_mask(drawing.smooth, "Outline smoothed."))
        on("compare", self._toggle_compare)
        bind_action(self.canvas.tools.compare, self.actions_["compare"])
        self.compare.leave.clicked.connect(self.actions_["compare"].trigger)
        self.compare.opened.connect(self._open_compared)
        on("mask_snap", lambda: session.snap_mask(self._map))
        on("show_cells", lambda: self.canvas.set_cells_shown(self.actions_["show_cells"].isChecked()))
        on("box_from_mask", session.box_from_mask)
        on("mask_from_box", session.mask_from_box)
        on("copy_regions", self._copy_regions)
        on("next_method", self.computing.next_method)
        on("compute", self.computing.recompute)
        on("compute_all", self.computing.compute_all)
        on("cancel", self.computing.cancel)
        on("keys", self.show_keys)
        on("show_log", self._show_log)
        on("about", self.show_about)
        for number in range(1, 10):
            assign = QShortcut(QKeySequence(str(number)), self)
            assign.activated.connect(lambda number=number: self._assign_class(number))
            rank = QShortcut(QKeySequence(f"Alt+{number}"), self)
            rank.activated.connect(lambda number=number: self._show_rank(number - 1))
        self.session.undo.changed.connect(self._enable)
        self.header.reviewed_pressed.connect(self.mark_reviewed)
        self.header.skip_pressed.connect(self.skip)
        self.welcome.demo_pressed.connect(self.open_demo)
        self.welcome.images_pressed.connect(self.choose_folder)
        self.welcome.model_pressed.connect(self.choose_model)
        self.welcome.project_pressed.connect(self.choose_project)
        self.welcome.keys_pressed.connect(self.show_keys)
        self.welcome.recent_pressed.connect(self._open_recent)
        self.welcome.locate_pressed.connect(self._locate_recent)
        self.status.cancel_pressed.connect(self.computing.cancel)
        self.workspaces = SegmentedControl([("review", "Review"), ("model", "Model")], "Workspace")
        self.workspaces.chosen.connect(self.set_workspace)
        self.header.add_middle(self.workspaces)
        self.workspaces.hide()

    def _wire_session(self) -> None:
        session, computing = self.session, self.computing
        session.project_opened.connect(self._on_project)
        session.items_reset.connect(self.gallery.model.set_items)
        session.items_found.connect(self.gallery.model.add_items)
        session.item_changed.connect(self.gallery.model.update_item)
        session.item_changed.connect(self._on_item)
        session.image_shown.connect(self._on_image)
        session.regions_changed.connect(self._on_regions)
        session.selection_changed.connect(self._on_selection)
        session.said.connect(self._say)
        session.scan_ended.connect(self._on_scanned)
        self.relinking.missing_changed.connect(self._on_missing)
        computing.model_changed.connect(self._on_model)
        computing.model_busy.connect(self.model_panel.set_busy)
        computing.scores_ready.connect(self._on_scores)
        computing.map_shown.connect(self._on_map)
        computing.partial_shown.connect(self.canvas.set_partial)
        computing.map_busy.connect(self.method.set_busy)
        computing.identity_checked.connect(self.model_panel.set_check)
        computing.class_changed.connect(self.classes.set_current)
        computing.class_changed.connect(self._show_paint_class)
        computing.choice_changed.connect(self.method.set_choice)
        computing.job_changed.connect(self.status.set_job)
        computing.job_changed.connect(self._on_job)
        computing.device_changed.connect(self._on_device)
        computing.exported.connect(self._on_exported)
        computing.said.connect(self._say)
        computing.batch_failed.connect(self._on_batch_failed)
        self.status.action_pressed.connect(self.show_failures)

    def _wire_panels(self) -> None:
        session, computing = self.session, self.computing
        self.gallery.image_chosen.connect(session.show_image)
        self.classes.class_chosen.connect(self._on_class_chosen)
        self.classes.class_pinned.connect(computing.pin_class)
        self.method.choice_changed.connect(computing.set_choice)
        self.method.recompute_requested.connect(computing.recompute)
        self.threshold.rule_changed.connect(self._on_rule_moved)
        self.threshold.rule_changed.connect(self.compare.grid.set_rule)
        self.threshold.rule_committed.connect(self._on_rule)
        self.canvas.threshold_found.connect(self.threshold.set_live)
        self.canvas.box_drawn.connect(self._on_box_drawn)
        self.canvas.box_changed.connect(self._on_box_changed)
        self.canvas.mask_edited.connect(self._on_mask_edited)
        self.canvas.hinted.connect(self._on_hint)
        self.canvas.region_selected.connect(session.select)
        self.canvas.region_deleted.connect(session.delete_region)
        self.canvas.mode_changed.connect(self._on_mode)
        self.canvas.tool_changed.connect(self._on_tool)
        self.canvas.colour_map_changed.connect(self._keep_colour_map)
        self.canvas.opacity_changed.connect(self._keep_opacity)
        self.regions.region_selected.connect(session.select)
        self.regions.region_deleted.connect(session.delete_region)
        self.regions.region_shown.connect(session.show_region)
        self.regions.regions_shown.connect(self._set_regions_shown)
        self.regions.box_requested.connect(self.actions_["tool_box"].trigger)
        self.image.note_changed.connect(session.set_note)
        self.image.flags_changed.connect(session.set_flags)
        self.unit_source.units_ready.connect(self._on_units)
        self.unit_source.refused.connect(self.units.set_reason)
        self.units.unit_chosen.connect(self._on_unit_chosen)
        self.units.looked_at.connect(self.unit_source.set_wanted)
        self.model_panel.layers_chosen.connect(computing.set_layers)
        self.model_panel.open_requested.connect(self.choose_model)
        folded = self.settings.value.folded
        for section in self.findChildren(Section):
            section.set_folded(folded.get(section.key, False))
            section.folded.connect(self._keep_folded)

    def _restore(self) -> None:
        value = self.settings.value
        actions = self.actions_
        theme().set_mode(value.theme if value.theme in ("dark", "light") else "system")  # type: ignore[arg-type]
        actions[f"theme_{theme().mode}"].setChecked(True)
        actions["toggle_regions"].setChecked(True)
        actions["tool_select"].setChecked(True)
        actions["toggle_gallery"].setChecked(value.gallery_shown)
        self.gallery.set_folded(not value.gallery_shown)
        self.canvas.set_colour_map(value.colour_map)
        self.canvas.set_opacity(value.opacity)
        if value.geometry:
            self.restoreGeometry(QByteArray(decode_bytes(value.geometry)))
        self.set_workspace(value.workspace if value.workspace in ("review", "model") else "review")
        self.welcome.set_recent(value.recent)
        self.status.show_message("Images can be opened now.", "Heat maps follow as soon as the engine has started")

    # --- workspaces and layout ----------------------------------------------------------------------------------------

    def set_workspace(self, name: str) -> None:
        """Show Review (image first, the model is a rail) or Model (layers beside the heat map)."""
        if name not in ("review", "model"):
            return
        self.actions_[f"workspace_{name}"].setChecked(True)
        self.workspaces.set_value(name)
        self.settings.value.workspace = name
        self.canvas.set_mode("original" if name == "review" else "blend")
        self._unfolded = False
        self._lay_out()

    def _lay_out(self) -> None:
        right = theme().px(RIGHT_WIDTH)
        wide = self.width() >= WIDE
        model = self.settings.value.workspace == "model" and (self._unfolded or self.width() >= NARROW)
        self._rail.setVisible(not model)
        self._rail_line.setVisible(not model)
        self.model_panel.setVisible(model)
        if model:
            wanted = theme().px(LEFT_WIDTH if wide else LEFT_SMALL)
            self.model_panel.setMinimumWidth(min(320, wanted))
            self.model_panel.setMaximumWidth(max(320, self.width() - right - 480))
            self._split.setSizes([wanted, max(1, self.width() - right - wanted)])
        self.header.align(theme().px(LEFT_WIDTH) if model and wide else 0, right + 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._drop.setGeometry(self.rect())
        before, now = event.oldSize().width(), event.size().width()
        if not self._painted or any((before >= limit) != (now >= limit) for limit in (WIDE, NARROW)):
            self._lay_out()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # A window that starts minimised is not painted; the engine starts all the same.
        QTimer.singleShot(2000, self, self._after_first_paint)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            log.info("painted first")  # benchmarks/gui.py waits for this line
            QTimer.singleShot(0, self, self._after_first_paint)

    @Slot()
    def _after_first_paint(self) -> None:
        if self._started:
            return
        self._started = self._painted = True
        self.painted_first.emit()
        if not self._closed:
            self.computing.start()
            if self._pages.currentIndex() == 0:
                self.welcome.focus_start()

    # --- opening ------------------------------------------------------------------------------------------------------

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was dropped or named on the command line: checkpoints load, the rest becomes the project."""
        weights = [path for path in paths if path.suffix.lower() in WEIGHT_ENDINGS]
        others = [path for path in paths if path not in weights]
        if others:
            self.session.open_paths(others)
        if weights:
            self.computing.load_model(LoadRequest(weights=weights[0]))

    def open_demo(self) -> None:
        """Open the bundled model and its synthetic images."""
        demo = find_demo()
        if demo is None:
            self._say("The demo is not installed.", "Open a folder of images instead", "warn")
            return
        self.demo = demo
        self.session.open_at(demo.project, root=demo.images, synthetic=True)
        if self.session.project is not None:
            self.computing.load_model(demo.request)

    def choose_folder(self) -> None:
        """Ask for a folder and open it."""
        folder = self.dialogs.folder("Open folder", self.settings.value.last_folder)
        if folder is not None:
            self.settings.value.last_folder = str(folder)
            self.session.open_folder(folder)

    def choose_images(self) -> None:
        """Ask for image files and open them."""
        files = self.dialogs.images("Open images", self.settings.value.last_folder)
        if files:
            self.settings.value.last_folder = str(files[0].parent)
            self.session.open_images(files)

    def choose_project(self) -> None:
        """Ask for a project file and open it."""
        path = self.dialogs.project("Open project", self.settings.value.last_folder)
        if path is not None:
            self.session.open_project(path)

    def choose_model(self) -> None:
        """Ask for a checkpoint or a known network and load it."""
        request = self.dialogs.model(self.settings)
        if request is not None:
            self.computing.load_model(request)

    def choose_export(self) -> None:
        """Ask for format and folder, and export in the background."""
        if self.session.project is not None:
            request = self.dialogs.export(self.session, self.settings)
            if request is not None:
                self.computing.export(request)

    def locate_images(self) -> None:
        """List the missing images, and find them in a folder."""
        project = self.session.project
        if project is None:
            return
        if not self.relinking.missing:
            self._say("No image is missing.", "All files are where they were", "ok")
            return
        from camviewer.ui.dialogs.locate import LocateDialog

        dialog = LocateDialog(self.relinking, start=project.root, parent=self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(object)
    def _on_missing(self, missing: list[ImageRecord]) -> None:
        if missing:
            count = len(missing)
            words = "1 image is not where it was." if count == 1 else f"{count:,} images are not where they were."
            self._say(words, "File, Locate images finds them", "warn")

    def _open_recent(self, project: RecentProject) -> None:
        demo = find_demo()
        if demo is not None and Path(project.path) == demo.project:
            self.open_demo()
        else:
            self.session.open_project(Path(project.path))

    def _locate_recent(self, project: RecentProject) -> None:
        path = self.dialogs.project(f"Locate {project.name}", str(Path(project.path).parent))
        if path is not None:
            self.settings.change(lambda value: _forget(value.recent, project))
            self.session.open_project(path)

    @Slot()
    def _fill_recent_menu(self) -> None:
        self._recent_menu.clear()
        for project in self.settings.value.recent:
            action = self._recent_menu.addAction(project.name)
            action.setToolTip(project.path)
            action.triggered.connect(lambda _checked=False, project=project: self._open_recent(project))
        self._recent_menu.setEnabled(True)
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("None yet").setEnabled(False)

    # --- review -------------------------------------------------------------------------------------------------------

    def step(self, direction: int, *, unreviewed: bool = False) -> bool:
        """Go to the next or previous image of the gallery; return whether there was one."""
        wanted: Callable[[GalleryItem], bool] = (lambda item: item.unreviewed) if unreviewed else (lambda _item: True)
        image_id = self.gallery.neighbour(direction, wanted=wanted)
        if image_id is None:
            word = "unreviewed image" if unreviewed else "image"
            self._say(f"No further {word} in this direction.", "", "info")
            return False
        self.session.show_image(image_id)
        return True

    @Slot()
    def mark_reviewed(self) -> None:
        """Mark the image reviewed and go to the next unreviewed; Enter in a text field only leaves the field."""
        focus = QApplication.focusWidget()
        if isinstance(focus, QLineEdit | QPlainTextEdit):
            self.canvas.setFocus()
            return
        self._decide("reviewed")

    @Slot()
    def skip(self) -> None:
        """Leave the image out and go on."""
        self._decide("skipped")

    def _decide(self, status: str) -> None:
        current = self.session.current
        if current is None:
            return
        self.session.set_status("reviewed" if status == "reviewed" else "skipped")
        following = self.gallery.neighbour(1, wanted=lambda item: item.unreviewed)
        if following is None:
            following = self.gallery.model.step(None, 1, wanted=lambda item: item.unreviewed)
        if following is not None:
            self.session.show_image(following)
        else:
            self._say("Every image is decided.", "Ctrl+E exports them", "ok")

    def reopen(self) -> None:
        """Take the decision about this image back."""
        current = self.session.current
        if current is not None and current.record.status in ("reviewed", "skipped"):
            self.session.set_status(self.session.status_without_decision())

    # --- answers of session and computing -----------------------------------------------------------------------------

    @Slot(object)
    def _on_project(self, project: Project | None) -> None:
        self._leave_compare()
        self._new_class = None
        self._pages.setCurrentIndex(1 if project is not None else 0)
        self.workspaces.setVisible(project is not None)
        self._lay_out()
        if project is None:
            self.gallery.model.set_items([])
            self.gallery.pictures.clear()
            self.setWindowTitle("camviewer")
            self.header.set_image("", "", "new")
            self.welcome.set_recent(self.settings.value.recent)
            self.welcome.focus_start()
        else:
            self.gallery.pictures.clear()
            self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)
            name = "Demo, synthetic images" if self.session.synthetic else project.path.stem
            self.setWindowTitle(f"{name} – camviewer")
            self._remember_project()
        self._enable()

    def _remember_project(self) -> None:
        import time

        project = self.session.project
        if project is None:
            return
        counts = self.gallery.model.counts()
        name = "Demo, synthetic" if self.session.synthetic else project.path.stem
        entry = RecentProject(str(project.path), name, self.gallery.model.total(), counts["reviewed"], time.time())
        self.settings.change(lambda value: value.remember(entry))

    @Slot(int)
    def _on_scanned(self, total: int) -> None:
        self._remember_project()
        if total:
            where = self.session.project.path.stem if self.session.project is not None else ""
            name = "the demo" if self.session.synthetic else where
            self._say(
                f"{total:,} images in {name}.", "" if self.computing.summary else "Open a model to see maps", "info"
            )

    @Slot(object)
    def _on_image(self, shown: ShownImage | None) -> None:
        if shown is None:
            self.canvas.set_image(None)
            self.regions.set_regions([], (0, 0))
            self.image.set_image(None)
            self.gallery.set_current(None)
            self._enable()
            return
        self._show_header(shown)
        self.gallery.set_current(shown.record.id)
        if shown.pixels is not None:
            self.canvas.set_image(shown.pixels, str(shown.path))
            self.canvas.set_rule(self.computing.rule)
        elif shown.error:
            first, _, rest = shown.error.partition(". ")
            self.canvas.set_image(None)
            self.canvas.set_message(f"{first.rstrip('.')}.", rest)
        self._show_facts(shown)
        self._enable()

    def _show_facts(self, shown: ShownImage) -> None:
        record = shown.record
        if record.size == (0, 0):
            self.image.set_image(None)
            return
        facts = ImageFacts(
            name=record.path.name,
            size=record.size,
            format=record.path.suffix.lstrip(".").upper().replace("JPG", "JPEG"),
            file_size=record.file_size,
            flags=record.flags,
            note=record.note,
        )
        self.image.set_image(facts)

    def _show_header(self, shown: ShownImage) -> None:
        note = "Synthetic demo image" if self.session.synthetic else ""
        position = f"{shown.position:,} of {shown.total:,}"
        self.header.set_image(shown.record.path.name, position, shown.record.status, note=note)

    @Slot(object)
    def _on_item(self, item: GalleryItem) -> None:
        current = self.session.current
        if current is not None and current.record.id == item.id:
            self._show_header(current)

    @Slot(object)
    def _on_regions(self, regions: list[Region]) -> None:
        self._show_paint_class()
        current = self.session.current
        size = current.record.size if current is not None else (0, 0)
        self.canvas.set_regions(regions, selected=self.session.selected)
        self.regions.set_regions(regions, size, selected=self.session.selected)
        self._enable()

    @Slot(object)
    def _on_selection(self, key: object) -> None:
        self.canvas.set_selected(key)
        self.regions.set_selected(key)
        self._enable()

    @Slot(object)
    def _on_scores(self, scores: object) -> None:
        self.classes.set_scores(scores, self.session.table)  # type: ignore[arg-type]

    @Slot(object, str, object)
    def _on_map(self, found: ActivationMap | None, class_name: str, probability: float | None) -> None:
        self._has_map = found is not None
        self._map = found
        self.units.release()
        self.canvas.set_map(found, class_name=class_name, score=probability)
        self.threshold.set_map(found)
        if found is not None:
            self.method.set_result(found.seconds, found.precision, found.flags)
            if not self._map_hinted and class_name:
                self._map_hinted = True
                self._say(f"The map of {class_name} is ready.", "Q shows it on the image, and hides it again", "info")
        else:
            self.method.set_result(None)
        self._enable()

    def _fit(self) -> None:
        if self.actions_["compare"].isChecked():
            self.compare.grid.fit()
        else:
            self.canvas.fit()

    def _toggle_compare(self) -> None:
        """Show the comparison in the place of the canvas, or the canvas again."""
        shown = self.actions_["compare"].isChecked()
        self.compare.leave.setChecked(True)
        self.compare.grid.set_look(self.settings.value.colour_map, self.settings.value.opacity)
        self.canvas.set_comparison(self.compare if shown else None)
        self.compare.set_active(shown)
        self.canvas.setFocus(Qt.FocusReason.OtherFocusReason)

    def _leave_compare(self) -> None:
        if self.actions_["compare"].isChecked():
            self.actions_["compare"].setChecked(False)
            self._toggle_compare()

    @Slot(str, int)
    def _open_compared(self, method: str, class_index: int) -> None:
        """Show one cell of the comparison alone; its method and class are the current ones from then on."""
        self._leave_compare()
        if method != self.computing.choice.method:
            choice = MethodChoice(method, {}, self.computing.choice.offset)
            self.method.set_choice(choice)
            self.computing.set_choice(choice)
        self._on_class_chosen(class_index)
        self.canvas.set_mode("blend")

    @Slot(object)
    def _on_units(self, found: ClassUnits | None) -> None:
        current = self.session.current
        self.units.set_image(current.pixels if current is not None else None)
        names = self.computing.summary.identity.classes if self.computing.summary is not None else ()
        known = found is not None and found.class_index < len(names)
        self.units.set_units(found, class_name=names[found.class_index] if found is not None and known else "")

    @Slot(object, object)
    def _on_unit_chosen(self, unit: ClassUnit | None, geometry: Geometry | None) -> None:
        """Show the map of one unit on the image, or the class's map again."""
        index = self.computing.class_index
        if unit is None or geometry is None:
            if index is not None:
                self.computing.choose_class(index)
            return
        shown = ActivationMap(index or 0, f"unit {unit.unit}", "", unit.values, geometry)
        self.canvas.set_map(shown, class_name=f"Unit {unit.unit}")

    @Slot(object)
    def _on_model(self, summary: ModelSummary | None) -> None:
        self.model_panel.set_summary(summary)
        self.method.set_unavailable(self.computing.unavailable())
        self._enable()

    @Slot(object)
    def _on_rule_moved(self, rule_: object) -> None:
        self._show_heat()
        self.canvas.set_rule(rule_)  # type: ignore[arg-type]

    @Slot(object)
    def _on_rule(self, rule_: object) -> None:
        self.canvas.set_rule(rule_)  # type: ignore[arg-type]
        self.computing.set_rule(rule_)  # type: ignore[arg-type]

    @Slot(object)
    def _on_box_drawn(self, drawn: BoxDrawn) -> None:
        self.session.add_box(replace(drawn.box, class_id=self._class_of_new()))

    @Slot(object)
    def _on_mask_edited(self, edited: MaskEdited) -> None:
        self.session.edit_mask(edited, self._class_of_new())

    @Slot(str)
    def _on_hint(self, sentence: str) -> None:
        first, _, rest = sentence.partition(". ")
        self._say(f"{first.rstrip('.')}.", rest, "info")

    def _class_of_new(self) -> int:
        """Return the class of new regions: the one chosen by its number, else that of the map on screen."""
        if self._new_class is not None and any(entry.id == self._new_class for entry in self.session.table.classes):
            return self._new_class
        index = self.computing.class_index
        return self.session.class_id_of(index) if index is not None else 0

    @Slot()
    def _show_paint_class(self) -> None:
        class_id = self._class_of_new()
        name, colour = self.session.class_of(class_id)
        self.canvas.set_paint_class(PaintClass(class_id, name, colour))

    @Slot(int)
    def _on_class_chosen(self, class_index: int) -> None:
        self._new_class = None
        self.computing.choose_class(class_index)
        self._show_heat()

    def _show_rank(self, rank: int) -> None:
        self.computing.choose_rank(rank)
        self._show_heat()

    def _toggle_map(self) -> None:
        self.canvas.set_mode("blend" if self._mode == "original" else "original")

    def _show_heat(self) -> None:
        """Show the map to whoever asks for it or works on it while the image is shown alone."""
        if self._mode == "original":
            self.canvas.set_mode("blend")

    def _assign_class(self, number: int) -> None:
        """Give the selected region the class of this number, or choose the class of new regions."""
        if self.session.current is None or not any(entry.id == number for entry in self.session.table.classes):
            return
        if not self.session.assign_class(number):
            self._say(f"New regions are {self.session.class_of(number)[0]}.", "", "info")
        self._new_class = number
        self._show_paint_class()

    def _copy_regions(self) -> None:
        following = self.gallery.neighbour(1, wanted=lambda _item: True)
        if following is None:
            self._say("There is no image after this one.", "", "info")
        elif self.session.copy_regions(following):
            self.session.show_image(following)

    @Slot(object)
    def _on_box_changed(self, changed: BoxChanged) -> None:
        self.session.change_box(changed.key, changed.box, merge=changed.nudge)

    @Slot(str)
    def _on_mode(self, mode: str) -> None:
        self._mode = mode
        self._map_hinted = self._map_hinted or mode != "original"
        action = f"view_{mode}"
        if action in self.actions_.names():
            self.actions_[action].setChecked(True)

    @Slot(str)
    def _on_tool(self, tool: str) -> None:
        action = f"tool_{tool}"
        if action in self.actions_.names():
            self.actions_[action].setChecked(True)

    @Slot(object)
    def _on_job(self, _job: object) -> None:
        self._enable()

    @Slot(str, bool)
    def _on_device(self, text: str, starting: bool) -> None:
        self.status.set_device(text, busy=starting)

    @Slot(object)
    def _on_exported(self, report: object) -> None:
        sentence = str(getattr(report, "sentence", "The export is written."))
        first, _, rest = sentence.partition(". ")
        self._say(f"{first.rstrip('.')}.", rest, "ok")

    @Slot(str, object)
    def _on_batch_failed(self, sentence: str, failures: list[Failure]) -> None:
        self._failures = failures
        self.status.show_message(sentence, "The filter Failed shows them", tone="warn", action="Show")

    @Slot()
    def show_failures(self) -> None:
        """List what failed in the last batch."""
        from camviewer.ui.dialogs.failures import FailuresDialog

        dialog = FailuresDialog(self._failures, self)
        dialog.image_chosen.connect(self.session.show_image)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str, str, str)
    def _say(self, text: str, detail: str, tone: str) -> None:
        self.status.show_message(text, detail, tone=tone)  # type: ignore[arg-type]

    @Slot(str)
    def show_error(self, sentence: str) -> None:
        """Say that something unexpected happened."""
        self._say(sentence, "Help, Open the log folder", "bad")

    def _enable(self) -> None:
        have: set[Needs] = set()
        if self.session.project is not None:
            have.add("images")
        if self.session.current is not None:
            have.add("image")
            if self.computing.summary is not None:
                have.add("model")
        if self._has_map:
            have.add("map")
        if self.session.selected is not None:
            have.add("region")
        if self.engine.open_jobs():
            have.add("job")
        self.actions_.enable(have)
        stack = self.session.undo
        self.actions_["undo"].setEnabled(stack.to_undo is not None)
        self.actions_["redo"].setEnabled(stack.to_redo is not None)
        current = self.session.current
        decided = current is not None and current.record.status in ("reviewed", "skipped")
        self.actions_["reopen"].setEnabled(decided)

    # --- small deeds --------------------------------------------------------------------------------------------------

    def _toggle_regions(self) -> None:
        self.canvas.set_regions_visible(self.actions_["toggle_regions"].isChecked())

    @Slot(bool)
    def _set_regions_shown(self, shown: bool) -> None:
        self.actions_["toggle_regions"].setChecked(shown)
        self.canvas.set_regions_visible(shown)

    def _toggle_gallery(self) -> None:
        shown = self.actions_["toggle_gallery"].isChecked()
        self.gallery.set_folded(not shown)
        self.settings.change(lambda value: setattr(value, "gallery_shown", shown))

    def _set_theme(self, mode: str) -> None:
        theme().set_mode(mode)  # type: ignore[arg-type]
        self.settings.change(lambda value: setattr(value, "theme", mode))

    def _focus_search(self) -> None:
        self.gallery.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.gallery.search.selectAll()

    def _next_pane(self) -> None:
        panes: list[QWidget] = [self.header, self._rail, self.model_panel, self.canvas, self._right, self.gallery]
        focus = QApplication.focusWidget()
        now = next((n for n, pane in enumerate(panes) if focus is not None and pane.isAncestorOf(focus)), -1)
        for offset in range(1, len(panes) + 1):
            pane = panes[(now + offset) % len(panes)]
            target = first_focusable(pane) if pane.isVisible() else None
            if target is not None:
                target.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return

    def _show_log(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(log_dir())))

    def show_keys(self) -> None:
        """Show all keys on one page."""
        self.dialogs.keys()

    def show_about(self) -> None:
        """Show version, licences and what the program is not for."""
        self.dialogs.about()

    @Slot(str, bool)
    def _keep_folded(self, key: str, folded: bool) -> None:
        self.settings.value.folded[key] = folded

    @Slot(str)
    def _keep_colour_map(self, name: str) -> None:
        self.settings.value.colour_map = name
        self.compare.grid.set_look(name, self.settings.value.opacity)

    @Slot(float)
    def _keep_opacity(self, opacity: float) -> None:
        self.settings.value.opacity = opacity
        self.compare.grid.set_look(self.settings.value.colour_map, opacity)
        if self.canvas.isVisible():
            self._show_heat()

    # --- keys, drops, closing -----------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat() and self.session.current is not None:
            self.canvas.set_overlays_hidden(True)
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.canvas.set_overlays_hidden(False)
            return
        super().keyReleaseEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and not self.isActiveWindow():
            # The release of a held key goes to another window.
            self.canvas.set_overlays_hidden(False)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        paths = dropped_paths(event.mimeData())
        if paths:
            self._drop.show_for(paths)
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QEvent) -> None:
        self._drop.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.hide()
        paths = dropped_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Cancel, join, never hang: what does not end in time is left behind by leaving the process."""
        if not self._closed:
            self._closed = True
            self._remember_project()
            value = self.settings.value
            value.geometry = encode_bytes(bytes(self.saveGeometry().data()))
            self.settings.save()
            self.hide()  # importing torch cannot be interrupted, and nobody should have to watch the wait
            ended = [self.engine.close(), self.gallery.pictures.close(), self.relinking.close(), self.session.close()]
            if not all(ended):
                log.warning("threads did not end in time; leaving the process")
                logging.shutdown()
                os._exit(0)
        event.accept()
        self.closed.emit()


def first_focusable(pane: QWidget) -> QWidget | None:
    """Return the first widget of a pane that Tab reaches."""
    candidates = [pane, *pane.findChildren(QWidget)]
    for widget in candidates:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            return widget
    return None


def _forget(recent: list[RecentProject], project: RecentProject) -> None:
    recent[:] = [entry for entry in recent if entry.path != project.path]


__all__ = ["SUFFIX", "MainWindow", "first_focusable", "key_text"]
