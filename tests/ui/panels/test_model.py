"""Model: the layer tree, its filter, ticks and reasons."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester, QTest

from camviewer.ui.panels.layers import (
    FIELD,
    MS,
    NAME,
    OUTPUT,
    PARAMS,
    STRIDE,
    TICK,
    TYPE,
    LayerModel,
    count_text,
    matches,
    terms_of,
)
from camviewer.ui.panels.model import ModelPanel
from camviewer.workers.jobs import Layer, ModelSummary


def layer(name: str, kind: str, shape: tuple[int, ...], fit: str = "usable", **more) -> Layer:
    values = {
        "calls": 1, "positions": None, "receptive_field": None, "parameters": 0, "seconds": None, "reason": "Has a map",
    } | more  # fmt: skip
    return Layer(name=name, type=kind, depth=name.count("."), output_shape=shape, fit=fit, **values)  # type: ignore[arg-type]


LAYERS = (
    layer("conv1", "Conv2d", (64, 112, 112), parameters=9408, seconds=0.0112, receptive_field=7),
    layer("layer4", "Sequential", (512, 7, 7), "suggested", reason="Feeds the pooling directly"),
    layer("layer4.0", "BasicBlock", (512, 7, 7)),
    layer("layer4.0.conv1", "Conv2d", (512, 7, 7)),
    layer("layer4.0.relu", "ReLU", (512, 7, 7), calls=2),
    layer("layer4.1", "BasicBlock", (512, 7, 7)),
    layer("avgpool", "AdaptiveAvgPool2d", (512, 1, 1), "unusable", reason="Its output is 1 × 1"),
    layer("fc", "Linear", (1512,), "unusable", reason="No map"),
)


@pytest.fixture
def summary() -> ModelSummary:
    from camviewer.models.records import HeadSummary, ModelIdentity, Preprocessing

    identity = ModelIdentity("resnet18", "ham7.pt", "", ("mel", "nv"))
    head = HeadSummary("gap_linear", "layer4", "")
    return ModelSummary(
        identity, Preprocessing(), head, LAYERS, "layer4", 11_000_000, "cpu", "CPU", ("Weights are random. No more.",)
    )


@pytest.fixture
def panel(shown, summary) -> ModelPanel:
    widget = shown(ModelPanel(), 504)
    widget.set_summary(summary)
    return widget


def found(text: str) -> list[str]:
    return [entry.name for entry in LAYERS if matches(entry, terms_of(text))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("conv 512", ["layer4.0.conv1"]),
        ("512", ["layer4", "layer4.0", "layer4.0.conv1", "layer4.0.relu", "layer4.1", "avgpool"]),
        ("7×7 basic", ["layer4.0", "layer4.1"]),
        ("12x12", []),
        ("112x112", ["conv1"]),
        ("RELU", ["layer4.0.relu"]),
        ("", [entry.name for entry in LAYERS]),
        ("conv nothing", []),
    ],
)
def test_all_terms_must_be_found(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_the_model_keeps_qts_rules(qapp) -> None:
    model = LayerModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_layers(LAYERS)
    for text, usable in (("conv", False), ("", True), ("nothing", False), ("", False)):
        model.set_filter(text, usable=usable)
        model.set_ticks(["layer4"])
    model.set_layers(())
    del tester


def test_a_filter_keeps_the_rows_above(qapp) -> None:
    model = LayerModel()
    model.set_layers(LAYERS)
    model.set_filter("relu", usable=False)
    assert model.names() == ("layer4", "layer4.0", "layer4.0.relu")
    model.set_filter("", usable=True)
    assert "fc" not in model.names()


def test_columns(panel) -> None:
    model = panel._model
    first = [model.index(0, column).data() for column in (NAME, TYPE, OUTPUT, STRIDE, FIELD, PARAMS, MS)]
    assert first == ["conv1", "Conv2d", "64×112×112", "–", "7", "9.4 k", "11.2"]
    relu = model.index_of("layer4.0.relu")
    assert relu.siblingAtColumn(NAME).data() == "relu"
    assert relu.siblingAtColumn(TYPE).data() == "ReLU, 2 calls"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (9408, "9.4 k"), (148_000, "148 k"), (999_999, "1.0 M"), (11_180_103, "11.2 M")],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


def test_the_suggested_layer_is_ticked_in_focus_and_explained(panel) -> None:
    assert panel.chosen() == ("layer4",)
    assert panel._reason_name.text() == "layer4 is suggested"
    assert panel._reason.full_text() == "Feeds the pooling directly"
    assert panel._notes.count() == 1
    panel.grab()


def test_the_reason_follows_the_row(panel) -> None:
    panel._tree.setFocus()
    QTest.keyClick(panel._tree, Qt.Key.Key_Down)
    assert panel._reason_name.text() == "avgpool cannot be used"
    assert panel._reason.full_text() == "Its output is 1 × 1"


def test_ticks_by_click_and_by_key(panel, collected) -> None:
    chosen = collected(panel.layers_chosen)
    rect = panel._tree.visualRect(panel._model.index(0, TICK))
    QTest.mouseClick(panel._tree.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, rect.center())
    assert chosen == [("conv1", "layer4")]
    panel._tree.setFocus()
    QTest.keyClick(panel._tree, Qt.Key.Key_Space)
    assert chosen[-1] == ("layer4",)
    QTest.keyClick(panel._tree, Qt.Key.Key_Return)
    assert chosen[-1] == ("conv1",)


def test_one_layer_stays_ticked_and_unusable_ones_never_are(panel, collected) -> None:
    chosen = collected(panel.layers_chosen)
    panel._tree.setFocus()
    QTest.keyClick(panel._tree, Qt.Key.Key_Space)
    panel._tree.setCurrentIndex(panel._model.index_of("fc"))
    QTest.keyClick(panel._tree, Qt.Key.Key_Space)
    QTest.keyClick(panel._tree, Qt.Key.Key_Return)
    assert chosen == []
    assert panel.chosen() == ("layer4",)


def test_the_filter_line_and_the_switch(panel) -> None:
    panel._filter.setText("relu")
    assert panel._model.names() == ("layer4", "layer4.0", "layer4.0.relu")
    assert panel._tree.isExpanded(panel._model.index_of("layer4.0"))
    panel._filter.setText("nothing")
    assert panel._nothing.isVisible()
    assert not panel._tree.isVisible()
    panel._filter.clear()
    assert panel._tree.isVisible()
    panel._usable.click()
    assert "avgpool" not in panel._model.names()
    assert panel.chosen() == ("layer4",)


def test_the_self_check_passes_fails_or_is_absent(panel) -> None:
    assert not panel._check.isVisible()
    panel.set_check(2e-6)
    assert panel._check.text() == "Self-check passed"
    assert "2.0e−06" in panel._check.toolTip()
    panel.set_check(0.4)
    assert panel._check.text() == "Self-check failed"


def test_narrow_panels_hide_type_and_params_first(panel) -> None:
    assert not panel._tree.isColumnHidden(TYPE)
    panel.resize(340, 600)
    assert panel._tree.isColumnHidden(TYPE)
    assert panel._tree.isColumnHidden(PARAMS)
    assert not panel._tree.isColumnHidden(OUTPUT)


def test_without_a_model_it_says_how_to_get_one(panel) -> None:
    asked = []
    panel.open_requested.connect(lambda: asked.append(1))
    panel.set_busy("Reading ham9.pt")
    panel.set_busy("")
    panel.set_summary(None)
    assert panel._empty.isVisible()
    assert not panel._tree.isVisible()
    panel._empty.link_triggered.emit()
    assert asked == [1]
    panel.set_busy("Reading ham9.pt")
    assert panel._name.full_text() == "Reading ham9.pt"
    panel.grab()
