"""The parts of the window and their places. Nothing is wired here."""

from __future__ import annotations

import logging

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from camviewer.project.records import ActivationMap
from camviewer.ui.actions import Actions
from camviewer.ui.canvas.panel import CanvasPanel
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.compare.page import ComparePage
from camviewer.ui.computing import Computing, Failure
from camviewer.ui.controls import IconButton, rule, surface
from camviewer.ui.demo import Demo
from camviewer.ui.dialogs.files import FileDialogs
from camviewer.ui.drop import DropOverlay
from camviewer.ui.gallery.view import Gallery
from camviewer.ui.header import Header
from camviewer.ui.panels.classes import ClassesPanel
from camviewer.ui.panels.image import ImagePanel
from camviewer.ui.panels.method import MethodPanel
from camviewer.ui.panels.model import ModelPanel
from camviewer.ui.panels.regions import RegionsPanel
from camviewer.ui.panels.threshold import ThresholdPanel
from camviewer.ui.panels.units import UnitsPanel
from camviewer.ui.relinking import Relinking
from camviewer.ui.session import Session
from camviewer.ui.settings import SettingsStore
from camviewer.ui.status_bar import StatusBar
from camviewer.ui.theme import theme
from camviewer.ui.unit_source import UnitSource
from camviewer.ui.welcome import WelcomePage
from camviewer.workers.engine import Engine

log = logging.getLogger(__name__)

RIGHT_WIDTH = 328
RAIL_WIDTH = 44
LEFT_WIDTH = 504
LEFT_SMALL = 344
WIDE = 1440
"""From this width on the layer tree has room for all its columns."""

NARROW = 1160
"""Below this width the layer tree is a rail until someone unfolds it."""


class WindowParts(QMainWindow):
    """The window's parts, the rooms behind them, and how they lie for a workspace and a width.

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
        self.workspaces = SegmentedControl([("review", "Review"), ("model", "Model")], "Workspace")
        self.header.add_middle(self.workspaces)
        self.workspaces.hide()
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
