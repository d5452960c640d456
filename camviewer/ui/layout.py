"""Where the parts of the window lie, for a workspace and a width."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from camviewer.ui.bench import Bench
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import IconButton, rule, surface
from camviewer.ui.theme import theme

RIGHT_WIDTH = 328
RAIL_WIDTH = 44
LEFT_WIDTH = 504
LEFT_SMALL = 344
WIDE = 1440
"""From this width on the layer tree has room for all its columns."""

NARROW = 1160
"""Below this width the layer tree is a rail until someone unfolds it."""


FLOATING = 1200
"""Below this width the right panel lies over the image instead of beside it, and can be put away."""


class Layout(QWidget):
    """The central widget: header, welcome page or workbench, status bar."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._unfolded = False
        self._floating: bool | None = None
        bench.gallery.model.outline_of = bench.session.outline
        self.rail = self._make_rail()
        self._rail_line = rule(vertical=True)
        surface(bench.model_panel, "panel")
        bench.model_panel.setAccessibleName("Model panel")
        bench.canvas.setAccessibleName("Canvas")
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(bench.model_panel)
        self._split.addWidget(bench.canvas)
        self._split.setStretchFactor(1, 1)
        self._split.setCollapsible(0, False)
        self._split.setCollapsible(1, False)
        self._split.setHandleWidth(1)
        self.right = self._make_right()
        self._pages = QStackedWidget()
        self._pages.addWidget(bench.welcome)
        self._pages.addWidget(self._make_workbench())
        page = _column(self)
        page.addWidget(bench.header)
        page.addWidget(rule())
        page.addWidget(self._pages, 1)
        page.addWidget(rule())
        page.addWidget(bench.status)
        self.workspaces = SegmentedControl([("review", "Review"), ("model", "Model")], "Workspace")
        self.workspaces.chosen.connect(self.set_workspace)
        self.workspaces.hide()
        bench.header.add_middle(self.workspaces)
        bench.header.set_image("", "", "new")
        bench.status.align(theme().px(RIGHT_WIDTH))
        bench.actions.connect("workspace_review", lambda: self.set_workspace("review"))
        bench.actions.connect("workspace_model", lambda: self.set_workspace("model"))
        bench.actions["toggle_panel"].setChecked(True)
        bench.actions["toggle_panel"].toggled.connect(self._on_panel)
        self._panel_button = IconButton.for_action(bench.actions["toggle_panel"], "panel")
        bench.header.add_middle(self._panel_button)

    def show_notice(self, notice: QWidget) -> None:
        """Put a line above the page, below the header."""
        column = self.layout()
        assert isinstance(column, QVBoxLayout)
        column.insertWidget(column.indexOf(self._pages), notice)

    def _make_rail(self) -> QWidget:
        rail = surface(QWidget(), "panel")
        rail.setFixedWidth(RAIL_WIDTH)
        rail.setAccessibleName("Model rail")
        column = QVBoxLayout(rail)
        column.setContentsMargins(8, 10, 8, 10)
        column.setSpacing(8)
        column.addWidget(IconButton.for_action(self._bench.actions["open_model"], "model"))
        show = IconButton("layers", "Layers", tip="Model workspace: layers and checkpoint", key="Ctrl+2")
        show.clicked.connect(self._unfold)
        column.addWidget(show)
        column.addStretch(1)
        unfold = IconButton("panel", "Show the model panel", key="Ctrl+2")
        unfold.clicked.connect(self._unfold)
        column.addWidget(unfold)
        return rail

    def _make_right(self) -> QScrollArea:
        bench = self._bench
        panels = surface(QWidget(), "panel")
        column = _column(panels)
        reading = (bench.few_labels, bench.agreement, bench.classes)
        for panel in (*reading, bench.method, bench.threshold, bench.regions, bench.image):
            column.addWidget(panel)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setAccessibleName("Panel")
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(panels)
        area.setFixedWidth(theme().px(RIGHT_WIDTH))
        surface(area, "panel")
        return area

    def _make_workbench(self) -> QWidget:
        middle = _row()
        middle.addWidget(self.rail)
        middle.addWidget(self._rail_line)
        middle.addWidget(self._split, 1)
        upper = _column()
        upper.addLayout(middle, 1)
        upper.addWidget(rule())
        upper.addWidget(self._bench.gallery)
        self._work = QWidget()
        self._body = _row(self._work)
        self._body.addLayout(upper, 1)
        self._right_line = rule(vertical=True)
        self._body.addWidget(self._right_line)
        self._body.addWidget(self.right)
        return self._work

    def panes(self) -> list[QWidget]:
        """Return what F6 goes through, in its order."""
        bench = self._bench
        return [bench.header, self.rail, bench.model_panel, bench.canvas, self.right, bench.gallery]

    def show_workbench(self, shown: bool) -> None:
        """Show the workbench, or the welcome page."""
        self._pages.setCurrentIndex(int(shown))
        self.workspaces.setVisible(shown)
        self.arrange()
        if not shown:
            self._bench.welcome.focus_start()

    def shows_workbench(self) -> bool:
        """Return whether the workbench is shown."""
        return self._pages.currentIndex() == 1

    @Slot(str)
    def set_workspace(self, name: str) -> None:
        """Show Review (image first, the model is a rail) or Model (layers beside the heat map)."""
        if name not in ("review", "model"):
            return
        bench = self._bench
        bench.actions[f"workspace_{name}"].setChecked(True)
        self.workspaces.set_value(name)
        bench.settings.value.workspace = name
        bench.canvas.set_mode("original" if name == "review" else "blend")
        self._unfolded = False
        self.arrange()

    @Slot()
    def _on_panel(self) -> None:
        self.arrange()
        self._place_floating()

    @Slot()
    def _unfold(self) -> None:
        self.set_workspace("model")
        self._unfolded = True
        self.arrange()

    def arrange(self) -> None:
        """Give every part its width."""
        bench, width = self._bench, self.width()
        self._float(width < FLOATING)
        shown = bench.actions["toggle_panel"].isChecked()
        self.right.setVisible(shown)
        self._right_line.setVisible(shown and not self._floating)
        right = theme().px(RIGHT_WIDTH)
        wide = width >= WIDE
        model = bench.settings.value.workspace == "model" and (self._unfolded or width >= NARROW)
        self.rail.setVisible(not model)
        self._rail_line.setVisible(not model)
        bench.model_panel.setVisible(model)
        if model:
            wanted = theme().px(LEFT_WIDTH if wide else LEFT_SMALL)
            bench.model_panel.setMinimumWidth(min(320, wanted))
            beside = 0 if self._floating or not shown else right
            bench.model_panel.setMaximumWidth(max(320, width - beside - 480))
            self._split.setSizes([wanted, max(1, width - beside - wanted)])
        self._panel_button.setVisible(bool(self._floating) or not shown)
        # Over a floating panel there is no column to line up with, and every pixel is needed.
        bench.header.align(theme().px(LEFT_WIDTH) if model and wide else 0, 0 if self._floating else right + 1)

    def _float(self, floating: bool) -> None:
        """Put the right panel over the image, out of sight until it is asked for, or beside it again."""
        if floating == self._floating:
            return
        self._floating = floating
        self._bench.actions["toggle_panel"].setChecked(not floating)
        if floating:
            self._body.removeWidget(self.right)
            self.right.setParent(self._work)
        else:
            self._body.addWidget(self.right)
        self._place_floating()

    def _place_floating(self) -> None:
        if self._floating:
            width = self.right.width()
            below = self._bench.gallery.height() + 1 if self._bench.gallery.isVisible() else 0
            self.right.setGeometry(self._work.width() - width, 0, width, max(1, self._work.height() - below))
            self.right.raise_()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        before, now = event.oldSize().width(), event.size().width()
        if before < 0 or any((before >= limit) != (now >= limit) for limit in (WIDE, FLOATING, NARROW)):
            self.arrange()
        # The layouts below have their sizes only after this event.
        QTimer.singleShot(0, self, self._place_floating)


def _column(parent: QWidget | None = None) -> QVBoxLayout:
    layout = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    return layout


def _row(parent: QWidget | None = None) -> QHBoxLayout:
    layout = QHBoxLayout(parent) if parent is not None else QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    return layout
