"""Artefacts on the canvas: a layer that can be switched, with a legend that names each hatching."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from camviewer.regions.artefacts import KINDS, Artefacts
from camviewer.ui.canvas.artefacts import LOOKING, NONE_FOUND, ArtefactLegend
from camviewer.ui.qimage import pixels_of


@pytest.fixture
def shown_legend(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(300, 200)
    legend = ArtefactLegend(parent)
    parent.show()
    legend.show()
    yield legend
    parent.close()


def found(*kinds: str) -> Artefacts:
    """Squares on a raster a quarter as large as the picture."""
    masks = {}
    for number, kind in enumerate(kinds):
        masks[kind] = np.zeros((112, 150), bool)
        masks[kind][40:60, 20 * number + 5 : 20 * number + 20] = True
    return Artefacts(masks, tuple(kinds))


def seen(view) -> np.ndarray:
    return pixels_of(view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)).astype(int)


def test_the_layer_lies_where_they_are_and_goes_with_the_switch(panel, view, pointer) -> None:
    panel.set_artefacts(found("sticker"))
    before = seen(view)
    panel.set_artefacts_visible(True)
    after = seen(view)
    ratio = view.devicePixelRatioF()
    changed = (before != after).any(axis=2)
    corner, end = pointer.at(20, 160) * ratio, pointer.at(80, 240) * ratio
    inside = changed[corner.y() : end.y(), corner.x() : end.x()]
    assert inside.mean() > 0.9
    legend = panel._legend.geometry()
    changed[: int(legend.bottom() * ratio) + 2, : int(legend.right() * ratio) + 2] = False
    changed[corner.y() - 4 : end.y() + 5, corner.x() - 4 : end.x() + 5] = False
    assert not changed.any()
    panel.set_artefacts_visible(False)
    assert (seen(view) == before).all() and not panel._legend.isVisible()


def test_every_kind_looks_different_without_colour(shown_legend) -> None:
    looks = []
    for kind in KINDS:
        shown_legend.set_found(found(kind))
        picture = seen(shown_legend)
        assert (picture[..., 0] == picture[..., 1]).all(), "the swatches are grey"
        ratio = shown_legend.devicePixelRatioF()
        looks.append(picture[:, : int(30 * ratio)][: int(32 * ratio)].tobytes())
    assert len(set(looks)) == len(KINDS)


def test_the_legend_names_them_with_their_share(panel) -> None:
    panel.set_artefacts_visible(True)
    assert panel._legend.accessibleDescription() == LOOKING
    panel.set_artefacts(found("hair", "ink"))
    assert panel._legend.accessibleDescription() == "Hair 1.8 %, Ink 1.8 %"
    panel.set_artefacts(found())
    assert panel._legend.accessibleDescription() == NONE_FOUND


def test_another_image_has_none_until_they_are_found(panel, view) -> None:
    panel.set_artefacts_visible(True)
    panel.set_artefacts(found("hair"))
    panel.set_image(np.full((300, 200, 3), 90, np.uint8), "other")
    assert panel._legend.accessibleDescription() == LOOKING
    assert not view._artefacts._outlines
    panel.set_image(None)
    assert not panel._legend.isVisible()
