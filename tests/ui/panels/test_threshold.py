"""Threshold: the slider on the histogram, the three rules, the figures."""

from __future__ import annotations

import numpy as np
import pytest
from canvas_scene import blob
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLineEdit

from camviewer.catalogue.refinements import REFINEMENTS
from camviewer.regions.find import find_regions
from camviewer.regions.rules import RegionRule
from camviewer.ui.canvas.heatmap import HeatMap
from camviewer.ui.canvas.live import live_threshold
from camviewer.ui.canvas.records import LiveThreshold
from camviewer.ui.panels.histogram import Distribution
from camviewer.ui.panels.threshold import ThresholdPanel


@pytest.fixture
def panel(shown) -> ThresholdPanel:
    """A panel wired as in the window: the canvas answers every rule."""
    widget = shown(ThresholdPanel())
    heat = HeatMap.of(blob())

    def answer(rule: RegionRule) -> None:
        widget.set_live(live_threshold(heat, rule)[0])

    widget.rule_changed.connect(answer)
    widget.set_map(blob())
    answer(widget.rule())
    return widget


def drag_to(panel: ThresholdPanel, level: float) -> None:
    slider = panel._slider
    start = QPoint(round(slider.x_of(1.0)), 60)
    end = QPoint(round(slider.x_of(level)), 60)
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(slider, (start + end) / 2)
    QTest.mouseMove(slider, end)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)


def test_dragging_sets_the_fraction(panel, collected) -> None:
    changed, committed = collected(panel.rule_changed), collected(panel.rule_committed)
    high = HeatMap.of(blob()).high
    drag_to(panel, 0.5 * high)
    assert changed[-1].rule == "fraction"
    assert changed[-1].threshold == pytest.approx(0.5, abs=0.01)
    assert len(changed) > 1
    assert committed == [changed[-1]]
    assert panel.qualifier() == f"{changed[-1].threshold:.2f} × max"


def test_dragging_sets_the_percentile(panel, collected) -> None:
    panel.set_rule(RegionRule("percentile", 0.2))
    changed = collected(panel.rule_changed)
    drag_to(panel, 4.0)
    values = HeatMap.of(blob()).values
    assert changed[-1].rule == "percentile"
    assert changed[-1].threshold == pytest.approx(float((values >= 4.0).mean()), abs=0.01)


def test_keys_move_by_a_hundredth_and_commit_when_released(panel, collected) -> None:
    changed, committed = collected(panel.rule_changed), collected(panel.rule_committed)
    panel._slider.setFocus()
    QTest.keyClick(panel._slider, Qt.Key.Key_Right)
    QTest.keyClick(panel._slider, Qt.Key.Key_PageUp)
    QTest.keyClick(panel._slider, Qt.Key.Key_Left)
    assert [rule.threshold for rule in changed] == pytest.approx([0.21, 0.31, 0.3])
    assert committed == changed


def test_each_rule_keeps_its_own_number(panel, collected) -> None:
    panel.set_rule(RegionRule("fraction", 0.35))
    changed = collected(panel.rule_changed)
    panel._choice._buttons["percentile"].click()
    panel._choice._buttons["otsu"].click()
    panel._choice._buttons["fraction"].click()
    assert [(rule.rule, rule.threshold) for rule in changed] == [
        ("percentile", 0.2), ("otsu", 0.2), ("fraction", 0.35),
    ]  # fmt: skip


def test_otsu_is_not_moved_by_hand(panel, collected) -> None:
    panel._choice._buttons["otsu"].click()
    changed = collected(panel.rule_changed)
    drag_to(panel, 3.0)
    QTest.keyClick(panel._slider, Qt.Key.Key_Right)
    assert changed == []


def test_options_are_part_of_the_rule(panel, collected) -> None:
    committed = collected(panel.rule_committed)
    panel._largest.trigger()
    assert committed[-1].components == "all"
    panel._minmax.trigger()
    assert committed[-1].normalise == "minmax"
    assert panel.qualifier() == "0.20 × range"
    panel._back.trigger()
    assert committed[-1].threshold == 0.2


def test_figures_come_from_the_answer(panel) -> None:
    rule = RegionRule("fraction", 0.4, components="all")
    panel.set_rule(rule)
    heat = HeatMap.of(blob())
    found = find_regions(heat.values, rule)
    panel.set_live(live_threshold(heat, rule)[0])
    value, area, regions, stability = (figure.text() for figure in panel._figures)
    assert float(value) == pytest.approx(found.level, abs=0.01)
    assert area == f"{found.mask.mean() * 100:.1f} %"
    assert regions == "1"
    assert 0 < float(stability) < 1


def test_a_late_answer_to_another_rule_is_dropped(panel) -> None:
    before = [figure.text() for figure in panel._figures]
    panel.set_live(LiveThreshold(RegionRule("fraction", 0.9), 7.0, 0.5, 3, 0.5))
    assert [figure.text() for figure in panel._figures] == before


def test_no_evidence_says_why(panel) -> None:
    shown = blob(sign=-1)
    panel.set_map(shown)
    panel.set_live(live_threshold(HeatMap.of(shown), panel.rule())[0])
    assert [figure.text() for figure in panel._figures] == ["–"] * 4
    assert panel._reason.text() == "No positive evidence."
    panel.grab()


def test_setting_does_not_emit(panel, collected) -> None:
    changed, committed = collected(panel.rule_changed), collected(panel.rule_committed)
    panel.set_rule(RegionRule("percentile", 0.1, components="all", normalise="minmax"))
    panel.set_map(None)
    panel.set_map(blob())
    assert changed == []
    assert committed == []


@settings(max_examples=50)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_the_distribution_knows_the_share_above_a_value(seed: int, at: float) -> None:
    values = np.random.default_rng(seed).gamma(2.0, 1.0, (40, 50)).astype(np.float32) - 0.5
    distribution = Distribution(values)
    level = distribution.low + at * (distribution.high - distribution.low)
    step = (distribution.high - distribution.low) / 1024
    share = distribution.share_from(level)
    assert (values >= level + step).mean() - 1e-9 <= share <= (values >= level - step).mean() + 1e-9
    bars = distribution.bars(60)
    assert len(bars) == 60
    assert max(bars) == 1.0


def test_flat_and_empty_maps_have_no_bars() -> None:
    for values in (np.zeros((4, 4), np.float32), np.full((3, 3), np.nan, np.float32)):
        distribution = Distribution(values)
        assert distribution.share_from(1.0) == 0.0
        assert set(distribution.bars(10)) == {0.0}


def test_the_refinement_draws_at_once_with_its_parameters(panel, collected) -> None:
    committed = collected(panel.rule_committed)
    assert panel.rule().refine == "auto"
    combo = panel.findChild(QComboBox)
    assert [combo.itemData(i) for i in range(combo.count())] == [spec.name for spec in REFINEMENTS]
    combo.setCurrentIndex(combo.findData("colour"))
    assert committed == [RegionRule(refine="colour")]
    rounds = panel._form.findChild(QLineEdit, "rounds")
    rounds.selectAll()
    QTest.keyClicks(rounds, "4")
    assert committed[-1] == RegionRule(refine="colour", refine_parameters={"rounds": 4})
    assert not panel._hint.isHidden()
    combo.setCurrentIndex(combo.findData("none"))
    assert committed[-1] == RegionRule()
    assert panel._hint.isHidden()


def test_a_rule_set_from_outside_shows_its_refinement(panel, collected) -> None:
    committed = collected(panel.rule_committed)
    panel.set_rule(RegionRule(refine="grabcut", refine_parameters={"inside": 0.7}))
    assert panel.findChild(QComboBox).currentData() == "grabcut"
    assert panel._form.values()["inside"] == 0.7
    assert committed == []
