"""Image: facts, flags and the note."""

from __future__ import annotations

import pytest
from PySide6.QtTest import QTest

from camviewer.ui.panels.image import ImageFacts, ImagePanel

FACTS = ImageFacts(
    "ISIC_0025219.jpg", (600, 450), "JPEG", 81_234, "Melanoma", (("Sex", "Female"), ("Age", "80"), ("Lesion", "HAM_1")),
    ("ruler", "own flag"), "old",
)  # fmt: skip


@pytest.fixture
def panel(shown) -> ImagePanel:
    widget = shown(ImagePanel())
    widget.set_image(FACTS)
    return widget


def test_facts_are_shown(panel) -> None:
    assert panel._head.full_text() == "Melanoma"
    assert panel._data.text() == "Female, 80, Lesion HAM_1"
    assert panel._file.text() == "ISIC_0025219.jpg  ·  600 × 450  ·  JPEG  ·  81 kB"
    assert panel._note.text() == "old"
    panel.grab()


def test_flags_keep_those_that_are_not_shown(panel, collected) -> None:
    flags = collected(panel.flags_changed)
    panel._chips["hair"].click()
    panel._chips["ruler"].click()
    assert flags == [("hair", "ruler", "own flag"), ("hair", "own flag")]


def test_a_note_is_told_at_every_key(panel, collected) -> None:
    notes = collected(panel.note_changed)
    panel._note.setFocus()
    panel._note.end(False)
    QTest.keyClicks(panel._note, "er")
    assert notes == ["olde", "older"]


def test_another_image_tells_nothing(panel, collected) -> None:
    notes, flags = collected(panel.note_changed), collected(panel.flags_changed)
    panel.set_image(ImageFacts("b.png", (1, 1)))
    assert panel._note.text() == ""
    assert panel.flags() == ()
    assert not panel._data.isVisible()
    panel.set_image(None)
    assert panel._empty.isVisible()
    assert notes == []
    assert flags == []


def test_what_was_found_is_suggested_and_set_at_a_click(panel, collected) -> None:
    flags = collected(panel.flags_changed)
    panel.set_suggestions(("hair", "ruler"))
    assert panel._found.full_text() == "Found: hair"  # the ruler is set already
    panel._set.click()
    assert flags == [("hair", "ruler", "own flag")]
    assert not panel._suggestion.isVisible()
    panel._chips["hair"].click()
    assert panel._suggestion.isVisible()
    panel.set_image(None)
    assert not panel._suggestion.isVisible()
