"""Method: the form comes from the catalogue and checks what is typed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLineEdit

from camviewer.catalogue.methods import BY_NAME, METHODS
from camviewer.catalogue.parameters import Parameter
from camviewer.ui.panels.fields import ParameterForm
from camviewer.ui.panels.method import MethodChoice, MethodPanel


@pytest.fixture
def panel(shown) -> MethodPanel:
    return shown(MethodPanel())


def test_every_method_of_the_catalogue_can_be_chosen(panel, collected) -> None:
    seen = collected(panel.choice_changed)
    for row in range(panel._method.count()):
        panel._method.setCurrentIndex(row)
        spec = METHODS[row]
        choice = panel.choice()
        assert choice.method == spec.name
        assert choice.parameters == {p.name: p.default for p in spec.parameters}
        panel.grab()
    assert [choice.method for choice in seen] == [spec.name for spec in METHODS[1:]]


def test_parameters_are_kept_for_each_method(panel, collected) -> None:
    panel.set_choice(MethodChoice("scorecam", {"baseline": "blur"}))
    seen = collected(panel.choice_changed)
    field = panel._form.findChild(QComboBox, "variant")
    field.setCurrentIndex(field.findData("probability"))
    expected = {p.name: p.default for p in BY_NAME["scorecam"].parameters}
    expected |= {"variant": "probability", "baseline": "blur"}
    assert seen[-1] == MethodChoice("scorecam", expected)
    panel._method.setCurrentIndex(0)
    panel._method.setCurrentIndex(panel._method.findData("scorecam"))
    assert panel.choice().parameters == expected


def test_the_offset_is_part_of_the_choice(panel, collected) -> None:
    seen = collected(panel.choice_changed)
    panel._offset.click()
    assert not seen[-1].offset
    panel.set_choice(MethodChoice("cam", {}, True))
    assert panel.choice().offset
    assert len(seen) == 1


def test_what_cannot_be_used_is_passed_over_and_says_why(panel) -> None:
    panel.set_unavailable({"gradcam": "The layer gives no gradient."})
    row = panel._method.findData("gradcam")
    assert not panel._method.model().item(row).isEnabled()
    assert "no gradient" in panel._method.model().item(row).toolTip()
    panel._method.setCurrentIndex(row - 1)
    panel.next_method()
    assert panel.choice().method == METHODS[row + 1].name


def test_time_precision_and_flags(panel) -> None:
    panel.set_result(0.123, "exact", ("signed tap",))
    assert panel.qualifier() == "0.12 s, exact"
    assert panel._note.isVisible()
    panel.set_result(75.0, "fast")
    assert panel.qualifier() == "1 min 15 s, fast"
    panel.set_busy("Partial map, 212 of 498 channels")
    assert panel.qualifier().startswith("Partial")
    panel.set_busy("")
    assert panel.qualifier() == ""


PARAMETERS = (
    Parameter("size", "Size", "int", 8, 1, 64),
    Parameter("sigma", "Sigma", "float", 0.5, 0.0, 1.0),
    Parameter("fill", "Fill", "bool", False),
)


def test_a_value_out_of_range_is_marked_and_not_reported(shown, collected) -> None:
    form = shown(ParameterForm())
    form.set_parameters(PARAMETERS, {"sigma": 0.25})
    changed = []
    form.changed.connect(lambda: changed.append(form.values()))
    line = form.findChild(QLineEdit, "sigma")
    assert line.text() == "0.25"
    line.clear()
    QTest.keyClicks(line, "1.4")
    assert form.values()["sigma"] == 1.0 or form.values()["sigma"] == 0.25
    assert line.property("invalid")
    assert form._errors["sigma"].text() == "Sigma needs a number between 0 and 1, not 1.4."
    line.clear()
    QTest.keyClicks(line, "0,75")
    assert form.values()["sigma"] == 0.75
    assert not line.property("invalid")
    assert not form._errors["sigma"].isVisible()
    assert changed[-1]["sigma"] == 0.75
    form.findChild(QLineEdit, "size").clear()
    QTest.keyClicks(form.findChild(QLineEdit, "size"), "12")
    assert form.values() == {"size": 12, "sigma": 0.75, "fill": False}


def test_a_zero_that_means_something_else_is_shown_in_words(shown) -> None:
    form = shown(ParameterForm(columns=2))
    form.set_parameters((Parameter("side", "Side", "int", 0, 0, 64, zero="As the network wants"),), {})
    line = form.findChild(QLineEdit, "side")
    assert (line.text(), line.placeholderText()) == ("", "As the network wants")
    QTest.keyClicks(line, "32")
    assert form.values() == {"side": 32}
    line.selectAll()
    QTest.keyClick(line, Qt.Key.Key_Delete)
    assert form.values() == {"side": 0} and form.is_valid()
    plain = shown(ParameterForm())
    plain.set_parameters((Parameter("side", "Side", "int", 8, 0, 64),), {"side": 0})
    assert plain.findChild(QLineEdit, "side").text() == "0"
