"""Threshold: the rule that turns the map into regions."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QMenu, QToolButton

from camviewer.catalogue.refinements import REFINEMENTS, refinement
from camviewer.project.records import ActivationMap
from camviewer.regions.rules import START, RegionRule, Rule
from camviewer.ui.canvas.heatmap import raster_size
from camviewer.ui.canvas.numbers import percent, raw
from camviewer.ui.canvas.records import LiveThreshold
from camviewer.ui.choices import SegmentedControl
from camviewer.ui.controls import IconButton, label, name_control
from camviewer.ui.panels.fields import ParameterForm
from camviewer.ui.panels.histogram import Distribution, HistogramSlider
from camviewer.ui.sections import Section
from camviewer.ui.theme import set_property

_RULES: tuple[tuple[Rule, str, str], ...] = (
    ("fraction", "Fraction of max", "Keep what reaches this fraction of the map's maximum"),
    ("percentile", "Percentile", "Keep this share of all pixels, the strongest first"),
    ("otsu", "Otsu", "The level that separates weak and strong values best"),
)
_FIGURES = (
    ("Keeps ≥", "Raw map value from which pixels are kept"),
    ("Area", "Kept part of the image"),
    ("Regions", "Kept parts that do not touch"),
    (
        "Stability",
        "Area kept 10 % above the threshold over area kept 10 % below it; 1 means the exact threshold is no matter",
    ),
)
_STEADY, _SHAKY = 0.8, 0.5


class ThresholdPanel(Section):
    """How the mask is drawn, the rule, the slider over the histogram, and what the rule keeps.

    Signals:
        rule_changed: `RegionRule`, at every step of the slider.
        rule_committed: `RegionRule`, when the slider comes to rest or another setting changed.
    """

    rule_changed = Signal(object)
    rule_committed = Signal(object)

    def __init__(self) -> None:
        self._more = IconButton("more", "More about the threshold")
        super().__init__("Threshold", "threshold", actions=(self._more,))
        self._rule = START
        self._committed = self._rule
        self._thresholds: dict[str, float] = {"fraction": 0.2, "percentile": 0.2, "otsu": 0.2}
        self._distribution: Distribution | None = None
        self._choice = SegmentedControl(
            [(value, text) for value, text, _ in _RULES], "Rule", tips=[tip for _, _, tip in _RULES]
        )
        self._slider = HistogramSlider()
        self._figures: list[QLabel] = []
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        for column, (name, tip) in enumerate(_FIGURES):
            caption, figure = label(name, "caption", "text-3"), label("–", "subject")
            for part in (caption, figure):
                part.setToolTip(tip)
            figure.setAccessibleName(name)
            grid.addWidget(caption, 0, column)
            grid.addWidget(figure, 1, column)
            grid.setColumnStretch(column, 1)
            self._figures.append(figure)
        self._reason = label("", "caption", "text-3")
        self._reason.setWordWrap(True)
        self._reason.hide()
        self._drawn = QComboBox()
        for spec in REFINEMENTS:
            self._drawn.addItem(spec.title, spec.name)
            self._drawn.setItemData(self._drawn.count() - 1, spec.help, Qt.ItemDataRole.ToolTipRole)
        name_control(self._drawn, "How the mask is drawn")
        drawn = QHBoxLayout()
        caption = label("Mask", "body", "text-2")
        caption.setBuddy(self._drawn)
        drawn.addWidget(caption)
        drawn.addWidget(self._drawn, 1)
        self._form = ParameterForm()
        self._hint = label("The threshold below finds boxes; the mask follows the picture.", "caption", "text-3")
        self._hint.setWordWrap(True)
        self.add(drawn)
        self.add(self._form)
        self.add(self._hint)
        self.add(self._choice)
        self.add(self._slider)
        self.add(grid)
        self.add(self._reason)
        self._build_menu()
        self._choice.chosen.connect(self._on_rule)
        self._slider.level_dragged.connect(self._on_dragged)
        self._slider.stepped.connect(self._on_stepped)
        self._slider.released.connect(self._commit)
        self._drawn.currentIndexChanged.connect(self._on_drawn)
        self._form.changed.connect(self._on_parameters)
        self._show_drawn()
        self._show()

    def _build_menu(self) -> None:
        menu = QMenu(self._more)
        self._largest = QAction("Only the largest region", menu, checkable=True)
        self._minmax = QAction("Stretch from the map's minimum", menu, checkable=True)
        self._largest.setToolTip("Keep one region, the one of most pixels")
        self._minmax.setToolTip("Thresholds count from the smallest value instead of from zero (min-max)")
        for action in (self._largest, self._minmax):
            menu.addAction(action)
            action.triggered.connect(self._on_option)
        self._back = QAction("Back to 0.20 × max", menu)
        self._back.triggered.connect(self._on_back)
        menu.addSeparator()
        menu.addAction(self._back)
        menu.setToolTipsVisible(True)
        self._more.setMenu(menu)
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def rule(self) -> RegionRule:
        """Return the rule as set."""
        return self._rule

    def set_rule(self, rule: RegionRule) -> None:
        """Show `rule` without emitting."""
        self._rule = self._committed = rule
        self._thresholds[rule.rule] = rule.threshold
        self._choice.set_value(rule.rule)
        self._show_drawn()
        self._show()

    def set_map(self, shown: ActivationMap | None) -> None:
        """Draw the histogram of the map, upsampled to the image."""
        if shown is None:
            self._distribution = None
        else:
            size = raster_size(shown.geometry.image_size)
            self._distribution = Distribution(shown.geometry.upsample(shown.values, size=size))
        self._slider.set_distribution(self._distribution)
        if shown is None:
            self.set_live(None)
        self._show()

    def set_live(self, live: LiveThreshold | None) -> None:
        """Show the four figures: value, area, regions, stability."""
        if live is not None and live.rule != self._rule:
            return
        level = live.level if live is not None else None
        texts = ["–"] * 4
        if live is not None and level is not None:
            stability = "–" if live.stability is None else f"{live.stability:.2f}"
            texts = [raw(level), percent(live.share, decimals=1), str(live.regions), stability]
        for figure, text in zip(self._figures, texts, strict=True):
            figure.setText(text)
        tint = ""
        if live is not None and live.stability is not None:
            tint = "ok" if live.stability >= _STEADY else "warn" if live.stability < _SHAKY else ""
        set_property(self._figures[3], "tint", tint)
        reason = live.reason if live is not None and self._distribution is not None else ""
        if reason:
            reason = reason[0].upper() + reason[1:] + ("" if reason.endswith(".") else ".")
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))
        self._slider.set_level(level if level is not None else self._expected_level(), self._words())

    # --- what the user does ---------------------------------------------------------------------------------------

    @Slot(str)
    def _on_rule(self, value: str) -> None:
        rule: Rule = "percentile" if value == "percentile" else "otsu" if value == "otsu" else "fraction"
        self._change(replace(self._rule, rule=rule, threshold=self._thresholds[value]))
        self._commit()

    @Slot()
    def _on_drawn(self) -> None:
        self._change(replace(self._rule, refine=str(self._drawn.currentData()), refine_parameters={}))
        self._show_drawn()
        self._commit()

    @Slot()
    def _on_parameters(self) -> None:
        # Only what differs from the defaults, so that equal rules are equal.
        defaults = {parameter.name: parameter.default for parameter in refinement(self._rule.refine).parameters}
        chosen = {name: value for name, value in self._form.values().items() if value != defaults[name]}
        self._change(replace(self._rule, refine_parameters=chosen))
        self._commit()

    @Slot(float)
    def _on_dragged(self, level: float) -> None:
        if self._distribution is None:
            return
        if self._rule.rule == "percentile":
            threshold = self._distribution.share_from(level)
        else:
            low = self._distribution.low if self._rule.normalise == "minmax" else 0.0
            span = self._distribution.high - low
            threshold = (level - low) / span if span > 0 else 0.0
        self._set_threshold(threshold)

    @Slot(int)
    def _on_stepped(self, steps: int) -> None:
        # To the right is always the higher level, which keeps a smaller share.
        direction = -1 if self._rule.rule == "percentile" else 1
        self._set_threshold(self._rule.threshold + direction * steps * 0.01)

    def _set_threshold(self, threshold: float) -> None:
        threshold = round(min(1.0, max(0.0, threshold)), 3)
        self._thresholds[self._rule.rule] = threshold
        self._change(replace(self._rule, threshold=threshold))

    @Slot()
    def _on_option(self) -> None:
        self._change(
            replace(
                self._rule,
                components="largest" if self._largest.isChecked() else "all",
                normalise="minmax" if self._minmax.isChecked() else "positive",
            )
        )
        self._commit()

    @Slot()
    def _on_back(self) -> None:
        self._thresholds["fraction"] = 0.2
        self._choice.set_value("fraction")
        self._change(replace(self._rule, rule="fraction", threshold=0.2))
        self._commit()

    def _change(self, rule: RegionRule) -> None:
        if rule == self._rule:
            return
        self._rule = rule
        self._show()
        self.rule_changed.emit(rule)

    @Slot()
    def _commit(self) -> None:
        if self._rule != self._committed:
            self._committed = self._rule
            self.rule_committed.emit(self._rule)

    # --- what is shown --------------------------------------------------------------------------------------------

    def _show_drawn(self) -> None:
        """Show the refinement of the rule, with its parameters; does not emit."""
        spec = refinement(self._rule.refine)
        self._drawn.blockSignals(True)
        self._drawn.setCurrentIndex(self._drawn.findData(spec.name))
        self._drawn.blockSignals(False)
        self._drawn.setToolTip(spec.help)
        self._form.set_parameters(spec.parameters, self._rule.refine_parameters)
        self._hint.setVisible(spec.name != "none")

    def _show(self) -> None:
        self.set_qualifier(self._words())
        self._largest.setChecked(self._rule.components == "largest")
        self._minmax.setChecked(self._rule.normalise == "minmax")
        self._slider.set_movable(self._rule.rule != "otsu")
        self._slider.setEnabled(self._distribution is not None)
        if self._rule.rule == "fraction":
            self._slider.set_level(self._expected_level(), self._words())

    def _expected_level(self) -> float | None:
        """Return where a fraction lies before the answer of the canvas is there."""
        if self._distribution is None or self._rule.rule != "fraction" or self._distribution.high <= 0:
            return None
        low = self._distribution.low if self._rule.normalise == "minmax" else 0.0
        return low + self._rule.threshold * (self._distribution.high - low)

    def _words(self) -> str:
        if self._rule.rule == "fraction":
            base = "range" if self._rule.normalise == "minmax" else "max"
            return f"{self._rule.threshold:.2f} × {base}"
        if self._rule.rule == "percentile":
            return f"top {self._rule.threshold * 100:.3g} %"
        return "found by itself"
