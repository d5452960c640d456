"""The raster, its 256 colours, and that what is drawn equals what the array says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QImage

from camviewer.images.geometry import CellPositions, Geometry, plan_input
from camviewer.project.records import ActivationMap
from camviewer.ui.canvas.heatmap import SIDE, HeatMap, colours, quantise, ramp, raster_size, step_of
from camviewer.ui.canvas.items import HeatItem
from camviewer.ui.qimage import pixels_of


def make_map(values: np.ndarray, size: tuple[int, int], *, mode: str = "squash") -> ActivationMap:
    plan = plan_input(size, mode=mode, input_size=(224, 224))
    rows, columns = values.shape
    geometry = Geometry(size, plan.input_size, (columns, rows), plan.input_to_image)
    return ActivationMap(0, "cam", "layer4", values.astype(np.float32), geometry)


def random_map(seed: int, size: tuple[int, int] = (60, 45)) -> ActivationMap:
    return make_map(np.random.default_rng(seed).normal(0.3, 1.0, (7, 7)), size)


@given(st.integers(1, 40_000), st.integers(1, 40_000))
def test_the_raster_is_small_and_keeps_the_shape(width: int, height: int) -> None:
    across, down = raster_size((width, height))
    assert min(across, down) >= 1
    assert max(across, down) <= SIDE
    if max(width, height) <= SIDE:
        assert (across, down) == (width, height)
    else:
        scale = SIDE / max(width, height)
        assert abs(across - width * scale) <= 0.5 + 1e-9 or across == 1
        assert abs(down - height * scale) <= 0.5 + 1e-9 or down == 1


def test_indices_are_zero_exactly_where_nothing_is_positive() -> None:
    heat = HeatMap.of(random_map(3))
    np.testing.assert_array_equal(heat.indices == 0, heat.values <= 0)
    assert heat.indices.max() == 255
    assert heat.low == heat.values.min()
    assert heat.high == heat.values.max()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.001, 1.0))
def test_the_threshold_of_the_table_is_the_threshold_of_the_array(seed: int, fraction: float) -> None:
    heat = HeatMap.of(random_map(seed))
    if not heat.positive:
        return
    level = float(np.float32(fraction * heat.high))
    item = HeatItem()
    item.set_heat(heat)
    item.set_look(mode="heatmap", colour_map="viridis", opacity=1.0, cut=level)
    image = item.indexed()
    assert image is not None
    shown = pixels_of(image)[..., 3] > 0
    np.testing.assert_array_equal(shown, heat.values >= np.float32(level))


def test_a_level_above_the_maximum_shows_nothing() -> None:
    heat = HeatMap.of(random_map(1))
    item = HeatItem()
    item.set_heat(heat)
    item.set_look(mode="heatmap", colour_map="viridis", opacity=1.0, cut=heat.high * 1.01)
    image = item.indexed()
    assert image is not None
    assert not pixels_of(image)[..., 3].any()


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma", "jet"])
@pytest.mark.parametrize("mode", ["original", "heatmap", "blend", "swipe"])
def test_the_indexed_image_always_has_its_256_colours(name: str, mode: str) -> None:
    item = HeatItem()
    item.set_heat(HeatMap.of(random_map(2)))
    for cut in (None, 0.0, 0.5, 1e9):
        item.set_look(mode=mode, colour_map=name, opacity=0.5, cut=cut)  # type: ignore[arg-type]
        image = item.indexed()
        assert image is not None
        assert image.format() == QImage.Format.Format_Indexed8
        assert image.colorCount() == 256


def test_weak_evidence_leaves_the_image_untouched() -> None:
    table = colours("viridis", 1.0)
    alpha = table >> 24
    assert alpha[0] == 0
    assert alpha[:10].max() == 0
    assert (np.diff(alpha.astype(int)) >= 0).all()
    assert alpha[255] == 255
    half = colours("viridis", 0.5) >> 24
    assert half[255] == 128
    assert ramp(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_alone_the_map_is_opaque_and_zero_is_grey() -> None:
    table = colours("jet", 0.2, alone=True)
    assert ((table >> 24) == 255).all()
    red, green, blue = (int(table[0]) >> 16 & 255, int(table[0]) >> 8 & 255, int(table[0]) & 255)
    assert max(red, green, blue) - min(red, green, blue) <= 8


@pytest.mark.parametrize("mode", ["squash", "model", "letterbox"])
def test_the_value_at_a_pixel_is_that_of_the_full_size_map(mode: str) -> None:
    size = (97, 61)
    shown = make_map(np.random.default_rng(5).normal(size=(7, 9)), size, mode=mode)
    heat = HeatMap.of(shown)
    full = shown.geometry.upsample(shown.values)
    x0, y0, x1, y1 = shown.geometry.frame
    for y in range(0, size[1], 3):
        for x in range(0, size[0], 3):
            value = heat.value_at(x + 0.5, y + 0.5)
            inside = x0 <= x + 0.5 <= x1 and y0 <= y + 0.5 <= y1
            assert (value is not None) == inside
            if value is not None:
                assert value == pytest.approx(float(full[y, x]), abs=1e-5)


def test_one_cell_and_measured_positions() -> None:
    geometry = Geometry(
        (50, 40),
        (100, 80),
        (1, 1),
        plan_input((50, 40), mode="squash", input_size=(100, 80)).input_to_image,
        CellPositions((31.0, 31.0), (32.0, 32.0)),
    )
    heat = HeatMap.of(ActivationMap(0, "cam", "x", np.array([[2.0]], np.float32), geometry))
    assert heat.value_at(10.5, 3.5) == 2.0
    assert heat.cell == (16.0, 16.0)


def test_a_map_without_evidence_has_no_positive_part() -> None:
    heat = HeatMap.of(make_map(-np.ones((3, 3)), (30, 20)))
    assert not heat.positive
    assert (heat.low, heat.high) == (-1.0, 0.0)
    assert not heat.indices.any()


def test_cells_that_are_not_finite_count_as_zero() -> None:
    values = np.ones((4, 4))
    values[1, 1], values[2, 2] = np.nan, np.inf
    heat = HeatMap.of(make_map(values, (40, 40)))
    assert np.isfinite(heat.values).all()
    value = heat.value_at(15.0, 15.0)
    assert value is not None
    assert np.isfinite(value)


@given(st.floats(1e-6, 1e6), st.floats(0.0, 1.0))
def test_step_of_is_what_quantise_gives(high: float, share: float) -> None:
    level = float(np.float32(share * high))
    assert step_of(level, high) == int(quantise(np.array([[level]], np.float32), high)[0, 0])
