"""The comparison of methods or layers and classes, in the place of the canvas."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QWidget

from camviewer.ui.bench import Bench
from camviewer.ui.compare.page import ComparePage
from camviewer.ui.controls import bind_action
from camviewer.ui.panels.method import MethodChoice


class Comparing(QObject):
    """Shows the grid, and one of its cells alone."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._action = bench.actions["compare"]
        self.page = ComparePage(bench.session, bench.computing, bench.engine)
        bench.actions.connect("compare", lambda: bench.stage.toggle(self.page))
        bench.stage.changed.connect(self._on_stage)
        bind_action(bench.canvas.tools.compare, self._action)
        self.page.leave.clicked.connect(self._action.trigger)
        self.page.opened.connect(self._open)
        bench.threshold.rule_changed.connect(self.page.grid.set_rule)
        bench.canvas.colour_map_changed.connect(self._show_look)
        bench.canvas.opacity_changed.connect(self._show_look)
        self._soon = QTimer(self)  # several maps arrive at once
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._show_agreement)
        self.page.grid.maps_changed.connect(self._soon.start)

    @Slot(object)
    def _on_stage(self, page: QWidget | None) -> None:
        shown = page is self.page
        self._action.setChecked(shown)
        self.page.leave.setChecked(True)
        self._bench.agreement.setVisible(shown)
        if shown:
            self._show_look()

    @Slot()
    def _show_agreement(self) -> None:
        """Compare the maps of the chosen cell's class by numbers."""
        if self._bench.agreement.isHidden():
            return
        column, maps = self.page.grid.chosen()
        titles = [row.title for row in self.page.grid.rows()]
        self._bench.agreement.set_maps(titles, maps, column.name if column is not None else "")

    @Slot()
    def _show_look(self) -> None:
        value = self._bench.settings.value
        self.page.grid.set_look(value.colour_map, value.opacity)

    @Slot(str, str, int)
    def _open(self, method: str, layer: str, class_index: int) -> None:
        """Show one cell of the comparison alone; its method, layer and class are the current ones from then on."""
        bench = self._bench
        bench.stage.show_page(None)
        if method != bench.computing.choice.method:
            choice = MethodChoice(method, {}, bench.computing.choice.offset)
            bench.method.set_choice(choice)
            bench.computing.set_choice(choice)
        if layer and (layer,) != bench.computing.layers:
            bench.model_panel.set_chosen((layer,))
            bench.computing.set_layers((layer,))
        bench.computing.choose_class(class_index)
        bench.canvas.set_mode("blend")
