"""Maps: scores, classes, method, threshold, layers and units on one side, the heat map on the other."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtGui import QKeySequence, QShortcut

from camviewer.images.geometry import Geometry
from camviewer.project.records import ActivationMap
from camviewer.regions.rules import RegionRule
from camviewer.ui.bench import Bench
from camviewer.ui.unit_source import UnitSource
from camviewer.workers.jobs import ClassUnit, ClassUnits, ModelSummary


class Mapping(QObject):
    """Passes on what the engine found, and what the person chose of it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._hinted = False
        self.unit_source = UnitSource(bench.session, bench.computing, bench.engine, self)
        self._connect_actions()
        self._connect_parts()

    def _connect_actions(self) -> None:
        bench, computing = self._bench, self._bench.computing
        bench.actions.connect("next_method", computing.next_method)
        bench.actions.connect("compute", computing.recompute)
        bench.actions.connect("compute_all", bench.batch.compute_all)
        for rank in range(9):
            key = QShortcut(QKeySequence(f"Alt+{rank + 1}"), bench.window)
            key.activated.connect(lambda rank=rank: self._show_rank(rank))

    def _connect_parts(self) -> None:
        bench, computing = self._bench, self._bench.computing
        computing.model_changed.connect(self._on_model)
        computing.model_busy.connect(bench.model_panel.set_busy)
        computing.scores_ready.connect(self._on_scores)
        computing.map_shown.connect(self._on_map)
        computing.partial_shown.connect(bench.canvas.set_partial)
        computing.map_busy.connect(bench.method.set_busy)
        computing.identity_checked.connect(bench.model_panel.set_check)
        computing.class_changed.connect(bench.classes.set_current)
        computing.choice_changed.connect(bench.method.set_choice)
        bench.classes.class_chosen.connect(self._on_class_chosen)
        bench.classes.class_pinned.connect(computing.pin_class)
        bench.method.choice_changed.connect(computing.set_choice)
        bench.method.recompute_requested.connect(computing.recompute)
        bench.threshold.rule_changed.connect(self._on_rule_moved)
        bench.threshold.rule_committed.connect(self._on_rule)
        bench.canvas.threshold_found.connect(bench.threshold.set_live)
        bench.canvas.mode_changed.connect(self._on_mode)
        bench.model_panel.layers_chosen.connect(computing.set_layers)
        self.unit_source.units_ready.connect(self._on_units)
        self.unit_source.refused.connect(bench.units.set_reason)
        bench.units.unit_chosen.connect(self._on_unit_chosen)
        bench.units.looked_at.connect(self.unit_source.set_wanted)

    @Slot(object)
    def _on_model(self, summary: ModelSummary | None) -> None:
        self._bench.model_panel.set_summary(summary)
        self._bench.method.set_unavailable(self._bench.computing.unavailable())

    @Slot(object)
    def _on_scores(self, scores: object) -> None:
        self._bench.classes.set_scores(scores, self._bench.session.table)  # type: ignore[arg-type]

    @Slot(object, str, object)
    def _on_map(self, found: ActivationMap | None, class_name: str, probability: float | None) -> None:
        bench = self._bench
        if bench.session.blind:
            class_name, probability = "", None
        bench.units.release()
        bench.canvas.set_map(found, class_name=class_name, score=probability, live=found is None)
        if found is None:
            bench.threshold.set_map(None)
            bench.method.set_result(None)
            return
        # Threshold and histogram in events of their own: all at once it would hold up the window for a frame or two.
        QTimer.singleShot(0, self, lambda: self._find_live(found))
        bench.method.set_result(found.seconds, found.precision, found.flags)
        if not self._hinted and class_name:
            self._hinted = True
            bench.say("The heat map is ready.", "Q shows it on the image, and hides it again")

    def _find_live(self, found: ActivationMap) -> None:
        """Outline what the rule keeps of a map, unless another one has come between; then its histogram."""
        if self._bench.computing.shown_map is found:
            self._bench.canvas.find_live()
            QTimer.singleShot(0, self, lambda: self._show_histogram(found))

    def _show_histogram(self, found: ActivationMap) -> None:
        if self._bench.computing.shown_map is found:
            self._bench.threshold.set_map(found)

    @Slot(str)
    def _on_mode(self, mode: str) -> None:
        self._hinted = self._hinted or mode != "original"

    @Slot(int)
    def _on_class_chosen(self, class_index: int) -> None:
        self._bench.computing.choose_class(class_index)
        self._bench.canvas.show_heat()

    def _show_rank(self, rank: int) -> None:
        self._bench.computing.choose_rank(rank)
        self._bench.canvas.show_heat()

    @Slot(object)
    def _on_rule_moved(self, rule: RegionRule) -> None:
        self._bench.canvas.show_heat()
        self._bench.canvas.set_rule(rule)

    @Slot(object)
    def _on_rule(self, rule: RegionRule) -> None:
        self._bench.canvas.set_rule(rule)
        self._bench.computing.set_rule(rule)

    @Slot(object)
    def _on_units(self, found: ClassUnits | None) -> None:
        bench, current = self._bench, self._bench.session.current
        bench.units.set_image(current.pixels if current is not None else None)
        summary = bench.computing.summary
        names = summary.identity.classes if summary is not None else ()
        known = found is not None and found.class_index < len(names)
        bench.units.set_units(found, class_name=names[found.class_index] if found is not None and known else "")

    @Slot(object, object)
    def _on_unit_chosen(self, unit: ClassUnit | None, geometry: Geometry | None) -> None:
        """Show the map of one unit on the image, or the class's map again."""
        index = self._bench.computing.class_index
        if unit is None or geometry is None:
            if index is not None:
                self._bench.computing.choose_class(index)
            return
        shown = ActivationMap(index or 0, f"unit {unit.unit}", "", unit.values, geometry)
        self._bench.canvas.set_map(shown, class_name=f"Unit {unit.unit}")
