"""Coordinates: laws of the affine maps, torchvision's arithmetic, and where an impulse ends up in the image."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from camviewer.errors import ModelError
from camviewer.images.geometry import RESIZE_MODES, Affine, CellPositions, Geometry, InputPlan, plan_input

SCALES = st.floats(0.01, 100).flatmap(lambda s: st.sampled_from([s, -s]))
AFFINES = st.builds(Affine, SCALES, SCALES, st.floats(-1000, 1000), st.floats(-1000, 1000))
SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
POINTS = st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000))

# Cell positions of real layers: resnet18 layer4, vgg11, alexnet, squeezenet1_1, googlenet, and the even grid.
OFFSETS = [(0.0, 32.0), (15.5, 32.0), (31.0, 32.0), (15.0, 16.0), (22.0, 32.0), None]


def geometry(image: tuple[int, int], mode: str, cells: tuple[float, float] | None, grid: tuple[int, int]) -> Geometry:
    plan = plan_input(image, mode=mode, input_size=(224, 224), resize_size=256)
    positions = CellPositions((cells[0],) * 2, (cells[1],) * 2) if cells else None
    return Geometry(image, plan.input_size, grid, plan.input_to_image, positions)


class TestAffine:
    @given(AFFINES, POINTS)
    def test_inverse(self, affine: Affine, point: tuple[float, float]) -> None:
        assert affine.inverse()(*affine(*point)) == pytest.approx(point, rel=1e-6, abs=1e-3)

    @given(AFFINES, AFFINES, POINTS)
    def test_then(self, inner: Affine, outer: Affine, point: tuple[float, float]) -> None:
        assert inner.then(outer)(*point) == pytest.approx(outer(*inner(*point)), rel=1e-9, abs=1e-6)

    @given(AFFINES, POINTS)
    def test_matrix(self, affine: Affine, point: tuple[float, float]) -> None:
        assert tuple(np.array(affine.matrix()) @ [*point, 1]) == pytest.approx(affine(*point), rel=1e-9, abs=1e-6)
        assert Affine.from_matrix(affine.matrix()) == affine


class TestPlan:
    @settings(max_examples=300, deadline=None)
    @given(SIZES, st.tuples(st.integers(1, 400), st.integers(1, 400)), st.sampled_from(RESIZE_MODES))
    def test_laws(self, image: tuple[int, int], size: tuple[int, int], mode: str) -> None:
        plan = plan_input(image, mode=mode, input_size=size)
        assert plan.image_size == image
        assert plan.input_size == (image if mode == "native" else size)
        assert min(plan.resized) >= 1
        # The corners of the resized image are the corners of the image.
        back = plan.input_to_image
        corner = (-plan.origin[0], -plan.origin[1])
        assert back(*corner) == pytest.approx((0, 0), abs=1e-6)
        opposite = (corner[0] + plan.resized[0], corner[1] + plan.resized[1])
        assert back(*opposite) == pytest.approx(image, rel=1e-9)

    @given(SIZES, st.tuples(st.integers(1, 400), st.integers(1, 400)))
    def test_letterbox_holds_the_whole_image(self, image: tuple[int, int], size: tuple[int, int]) -> None:
        plan = plan_input(image, mode="letterbox", input_size=size)
        for have, want, origin in zip(plan.resized, size, plan.origin, strict=True):
            assert have <= want and -want < origin <= 0
            assert abs((want - have) - 2 * -origin) <= 1  # centred to the pixel
        assert max(have / want for have, want in zip(plan.resized, size, strict=True)) == 1
        # The aspect is kept to the rounding of one pixel.
        scale = min(size[0] / image[0], size[1] / image[1])
        for have, full in zip(plan.resized, image, strict=True):
            assert have == 1 or abs(have - full * scale) <= 0.5 + 1e-9

    def test_model_is_torchvisions_arithmetic(self) -> None:
        torch = pytest.importorskip("torch")
        functional = pytest.importorskip("torchvision.transforms.functional")
        rng = np.random.default_rng(0)
        cases = [(600, 450, 256, 224), (640, 480, 232, 224), (1, 1, 256, 224), (3, 900, 64, 224), (224, 224, 224, 224)]
        cases += [tuple(int(v) for v in (*rng.integers(1, 700, 2), *rng.integers(8, 300, 2))) for _ in range(200)]
        for width, height, resize, crop in cases:
            if max(width, height) / min(width, height) * resize > 5000:
                continue
            plan = plan_input((width, height), mode="model", input_size=(crop, crop), resize_size=resize)
            empty = torch.zeros(1, height, width)
            resized = functional.resize(empty, [resize], interpolation=functional.InterpolationMode.NEAREST)
            assert plan.resized == (resized.shape[2], resized.shape[1])
            # Columns and rows counted from 1, so that padding shows as 0.
            columns = torch.arange(1, plan.resized[0] + 1).expand(plan.resized[1], -1)
            rows = torch.arange(1, plan.resized[1] + 1)[:, None].expand(-1, plan.resized[0])
            cropped = functional.center_crop(torch.stack([columns, rows]), [crop, crop])
            for axis, line in ((0, cropped[0].amax(dim=0)), (1, cropped[1].amax(dim=1))):
                first = int(torch.nonzero(line)[0])
                assert plan.origin[axis] == int(line[first]) - 1 - first

    def test_default_of_model_is_the_shorter_side(self) -> None:
        assert plan_input((640, 480), mode="model", input_size=(224, 224)).resized == (298, 224)

    @pytest.mark.parametrize("image", [(0, 5), (5, 0)])
    def test_nothing_cannot_be_planned(self, image: tuple[int, int]) -> None:
        for mode in RESIZE_MODES:
            with pytest.raises(ModelError):
                plan_input(image, mode=mode, input_size=(224, 224))

    def test_frame_of_the_centre_crop(self) -> None:
        # 600 x 450: shorter side to 256 is a scale of 450 / 256; 341 x 256, crop from (58, 16), torchvision's rounding.
        place = geometry((600, 450), "model", None, (7, 7))
        scale_x, scale_y = 600 / 341, 450 / 256
        assert place.frame == pytest.approx((58 * scale_x, 16 * scale_y, 282 * scale_x, 240 * scale_y))

    @pytest.mark.parametrize("mode", ["squash", "letterbox", "native"])
    def test_frame_of_whole_images(self, mode: str) -> None:
        for image in ((600, 450), (450, 601), (1, 1), (30_000, 20)):
            assert geometry(image, mode, None, (7, 7)).frame == pytest.approx((0, 0, *image))


def bilinear(values: np.ndarray, place: Geometry, size: tuple[int, int] | None = None) -> np.ndarray:
    """Upsampling written from the definition, one pixel at a time, in float64."""
    width, height = size or place.image_size
    plan_x, plan_y = place.input_to_image.scale_x, place.input_to_image.scale_y
    if place.cells:
        start, step = place.cells.start, place.cells.step
    else:
        step = tuple(n / g for n, g in zip(place.input_size, place.grid_size, strict=True))
        start = tuple(s / 2 - 0.5 for s in step)
    rows, columns = values.shape
    x0, y0, x1, y1 = place.frame
    result = np.zeros((height, width))
    for v in range(height):
        for u in range(width):
            x = (u + 0.5) * place.image_size[0] / width
            y = (v + 0.5) * place.image_size[1] / height
            if not (x0 - 1e-6 <= x <= x1 + 1e-6 and y0 - 1e-6 <= y <= y1 + 1e-6):
                continue
            # Edge coordinates of the image, then of the input, then pixel indices, then cells.
            column = ((x - place.input_to_image.shift_x) / plan_x - 0.5 - start[0]) / step[0]
            row = ((y - place.input_to_image.shift_y) / plan_y - 0.5 - start[1]) / step[1]
            column, row = min(max(column, 0), columns - 1), min(max(row, 0), rows - 1)
            c, r = int(min(column, max(columns - 2, 0))), int(min(row, max(rows - 2, 0)))
            fx, fy = column - c, row - r
            right, below = min(c + 1, columns - 1), min(r + 1, rows - 1)
            top = (1 - fx) * values[r, c] + fx * values[r, right]
            bottom = (1 - fx) * values[below, c] + fx * values[below, right]
            result[v, u] = (1 - fy) * top + fy * bottom
    return result


class TestUpsample:
    @settings(max_examples=40, deadline=None)
    @given(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.sampled_from(RESIZE_MODES),
        st.sampled_from(OFFSETS),
        st.tuples(st.integers(1, 8), st.integers(1, 8)),
        st.integers(0, 99),
        st.none() | st.tuples(st.integers(1, 30), st.integers(1, 30)),
    )
    def test_equals_the_definition(
        self,
        image: tuple[int, int],
        mode: str,
        cells: tuple[float, float] | None,
        grid: tuple[int, int],
        seed: int,
        size: tuple[int, int] | None,
    ) -> None:
        assume(max(image) / min(image) < 20)
        place = geometry(image, mode, cells, grid)
        values = np.random.default_rng(seed).normal(size=grid[::-1]).astype(np.float32)
        result = place.upsample(values, size=size)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, bilinear(values, place, size), atol=2e-5)

    def test_equals_opencv_where_the_grid_is_even(self) -> None:
        values = np.random.default_rng(5).normal(size=(7, 9)).astype(np.float32)
        place = geometry((640, 480), "squash", None, (9, 7))
        expected = cv2.resize(values, (640, 480), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(place.upsample(values), expected, atol=1e-4)

    @pytest.mark.parametrize("mode", RESIZE_MODES)
    @pytest.mark.parametrize("cells", OFFSETS)
    @pytest.mark.parametrize("image", [(640, 480), (480, 641), (1000, 700), (224, 224)])
    def test_an_impulse_lands_on_its_pixel(
        self, image: tuple[int, int], mode: str, cells: tuple[float, float] | None
    ) -> None:
        plan = plan_input(image, mode=mode, input_size=(224, 224), resize_size=256)
        step = cells[1] if cells else 32.0
        grid = tuple(max(1, math.ceil(n / step) - 1) for n in plan.input_size) if cells else (7, 7)
        place = geometry(image, mode, cells, grid)
        for column, row in {(0, 0), (grid[0] - 1, grid[1] - 1), (grid[0] // 2, grid[1] // 3)}:
            values = np.zeros(grid[::-1], np.float32)
            values[row, column] = 1
            # Where the cell's centre lies, from the definitions: pixel index of the input, edge, resized, image.
            centre = []
            for axis, index in enumerate((column, row)):
                if cells:
                    edge = cells[0] + cells[1] * index + 0.5
                else:
                    edge = (index + 0.5) * plan.input_size[axis] / grid[axis]
                centre.append((edge + plan.origin[axis]) * image[axis] / plan.resized[axis])
            assert place.to_image(column, row) == pytest.approx(centre)
            assert place.to_image.inverse()(*centre) == pytest.approx((column, row), abs=1e-9)
            x0, y0, x1, y1 = place.frame
            if not (x0 < centre[0] < x1 and y0 < centre[1] < y1):
                continue  # the cell looks at padding or at what the crop cut off
            up = place.upsample(values)
            x, y = int(centre[0]), int(centre[1])
            # On the pixel itself, or on the neighbour whose centre is as near.
            assert up[y, x] >= up.max() - 0.5 * (1 / step) * max(plan.resized[0] / image[0], 1) * 2
            v, u = np.unravel_index(int(up.argmax()), up.shape)
            assert abs(u + 0.5 - centre[0]) <= 1 + 1e-6 or column in {0, grid[0] - 1}
            assert abs(v + 0.5 - centre[1]) <= 1 + 1e-6 or row in {0, grid[1] - 1}

    @pytest.mark.parametrize("mode", RESIZE_MODES)
    @pytest.mark.parametrize("spot", [(0.5, 0.5), (0.37, 0.61), (0.7, 0.3)])
    def test_real_pixels_come_back_to_their_place(self, mode: str, spot: tuple[float, float]) -> None:
        """A bright square through the actual resizing and averaging to cells, then back: its centre has not moved."""
        image = (1000, 700)
        x, y = int(spot[0] * image[0]), int(spot[1] * image[1])
        picture = np.zeros((image[1], image[0]), np.float32)
        picture[y - 30 : y + 30, x - 30 : x + 30] = 1
        plan = plan_input(image, mode=mode, input_size=(224, 224), resize_size=256)
        resized = cv2.resize(picture, plan.resized, interpolation=cv2.INTER_AREA)
        entered = place_input(resized, plan)
        side = 7
        width, height = plan.input_size
        entered = entered[: height // side * side, : width // side * side]
        grid = (width // side, height // side)
        values = entered.reshape(grid[1], side, grid[0], side).mean(axis=(1, 3))
        cells = CellPositions((side / 2 - 0.5,) * 2, (float(side),) * 2)
        up = Geometry(image, plan.input_size, grid, plan.input_to_image, cells).upsample(values)
        assert up.sum() > 0
        centre = [(up.sum(axis=a) * (np.arange(n) + 0.5)).sum() / up.sum() for a, n in ((0, 1000), (1, 700))]
        cell = side * max(image[0] / plan.resized[0], image[1] / plan.resized[1])
        assert centre == pytest.approx([x, y], abs=0.1 * cell)

    def test_one_cell_is_everywhere(self) -> None:
        for mode in ("squash", "letterbox", "native"):
            up = geometry((640, 480), mode, None, (1, 1)).upsample(np.array([[2.5]], np.float32))
            assert up.shape == (480, 640) and (up == 2.5).all()

    def test_unseen_pixels_are_zero(self) -> None:
        place = geometry((600, 450), "model", (0.0, 32.0), (7, 7))
        up = place.upsample(np.ones((7, 7), np.float32))
        x0, y0, x1, y1 = place.frame
        ys, xs = np.nonzero(up)
        assert (xs.min(), xs.max()) == (math.ceil(x0 - 0.5), math.floor(x1 - 0.5))
        assert (ys.min(), ys.max()) == (math.ceil(y0 - 0.5), math.floor(y1 - 0.5))
        assert up[up != 0] == pytest.approx(1)

    def test_never_beyond_the_map(self) -> None:
        values = np.random.default_rng(2).normal(size=(14, 14)).astype(np.float32)
        up = geometry((321, 123), "squash", (15.0, 16.0), (14, 14)).upsample(values)
        assert values.min() - 1e-5 <= up.min() and up.max() <= values.max() + 1e-5

    def test_values_that_are_not_finite_count_as_zero(self) -> None:
        values = np.ones((7, 7), np.float32)
        values[3, 3], values[0, 0], values[6, 6] = np.nan, np.inf, -np.inf
        zeroed = np.where(np.isfinite(values), values, 0).astype(np.float32)
        place = geometry((64, 48), "squash", None, (7, 7))
        np.testing.assert_array_equal(place.upsample(values), place.upsample(zeroed))

    def test_the_grid_must_agree(self) -> None:
        with pytest.raises(ValueError, match="map of 7 x 6 cells"):
            geometry((64, 48), "squash", None, (7, 7)).upsample(np.zeros((6, 7), np.float32))


def place_input(resized: np.ndarray, plan: InputPlan) -> np.ndarray:
    """Crop or pad the resized image to the input, by slices."""
    result = np.zeros(plan.input_size[::-1], np.float32)
    left, top = plan.origin
    part = resized[max(top, 0) : top + plan.input_size[1], max(left, 0) : left + plan.input_size[0]]
    result[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]] = part
    return result
