"""Maps compared by numbers: the right pairs, the right words, and nothing where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from camviewer.ui.panels.agreement import AgreementPanel
from camviewer.ui.qimage import pixels_of

NAMES = ("CAM", "Grad-CAM", "Score-CAM")


def blob(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 200).astype(np.float32)


@pytest.fixture
def panel(qtbot) -> AgreementPanel:
    widget = AgreementPanel()
    qtbot.addWidget(widget)
    widget.resize(328, 260)
    widget.show()
    return widget


def said(panel: AgreementPanel) -> str:
    return panel._words.text()


def test_every_pair_has_its_number(panel) -> None:
    maps = {0: blob(20, 20), 1: 3 * blob(20, 20) + 1, 2: blob(50, 30)}
    panel.set_maps(NAMES, maps, "Melanoma")
    values = panel.values()
    assert set(values) == {(1, 0), (2, 0), (2, 1)}
    for (row, column), value in values.items():
        assert value == pytest.approx(np.corrcoef(maps[row].ravel(), maps[column].ravel())[0, 1], abs=1e-6)
    assert values[1, 0] == pytest.approx(1.0)
    assert said(panel) in {"CAM and Score-CAM differ most.", "Grad-CAM and Score-CAM differ most."}
    assert "CAM and Grad-CAM 1.00" in panel.matrix.accessibleDescription().replace(
        "Grad-CAM and CAM", "CAM and Grad-CAM"
    )
    panel.set_maps(NAMES, dict.fromkeys(range(3), blob(20, 20)))
    assert said(panel) == "No pair differs more than another."
    panel.set_maps(NAMES, maps)
    panel.measure._buttons["distance"].click()
    assert panel.values()[2, 0] == pytest.approx(np.hypot(30, 10) / np.hypot(48, 64))
    panel.measure._buttons["iou"].click()
    assert panel.values()[1, 0] == 1.0 and panel.values()[2, 0] < 1.0


def test_what_is_not_there_yet_stays_empty(panel) -> None:
    panel.set_maps(NAMES, {0: blob(20, 20)})
    assert panel.values() == {} and said(panel) == "Two maps of this class are needed."
    panel.set_maps(NAMES, {0: blob(20, 20), 2: np.zeros((48, 64), np.float32)})
    (value,) = panel.values().values()
    assert np.isnan(value) and said(panel) == ""
    assert "–" in panel.matrix.accessibleDescription()


def test_agreement_is_seen(panel, qtbot) -> None:
    def shade(values) -> np.ndarray:
        panel.matrix.set_values(NAMES, values, apart=False)
        QApplication.processEvents()
        return pixels_of(panel.matrix.grab().toImage())

    alike, unlike = shade({(1, 0): 0.99}), shade({(1, 0): 0.01})
    assert np.abs(alike.astype(int) - unlike).max() > 60
