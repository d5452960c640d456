"""The page of checkpoints: where each map stands, one scale or each its own, the table, what is said at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camviewer.images.geometry import Geometry, plan_input
from camviewer.project.records import ActivationMap
from camviewer.ui.compare.checkpoints import CheckpointPage, _evenly
from camviewer.workers.training import CheckpointName, ComparedImage, ComparedRow, Comparison

SIZE = (60, 40)


def made(tmp_path: Path, names: list[CheckpointName], *, images: int = 2) -> Comparison:
    rows = tuple(
        ComparedRow(name, {"accuracy": 0.1 * place, "pointing": None if name.control == "centre" else 0.5})
        for place, name in enumerate(names)
    )
    shown = []
    for number in range(images):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((SIZE[1], SIZE[0], 3), 90 + number, np.uint8)).save(path)
        geometry = Geometry(SIZE, (32, 32), (4, 4), plan_input(SIZE, mode="squash", input_size=(32, 32)).input_to_image)
        maps = tuple(
            ActivationMap(0, "cam", "last", np.full((4, 4), 1.0 + place, np.float32), geometry)
            for place, _ in enumerate(names)
        )
        count = len(names)
        shown.append(
            ComparedImage(
                path, path.name, "mel", SIZE, maps, ("mel",) * count, (("nv", 0.6),) * count, (0.25,) * count,
                (0.5,) * count, (True,) * count,
            )
        )  # fmt: skip
    return Comparison(rows, tuple(shown), images, "true", images, "cam", 0, np.eye(len(names)))


def epochs() -> list[CheckpointName]:
    names = [
        CheckpointName(f"{head} {epoch}", head, epoch, Path(f"{head}{epoch}.safetensors"))
        for head in ("GAP", "GMP")
        for epoch in (4, 30)
    ]
    names += [CheckpointName(f"{head} random", head, None, None, "random") for head in ("GAP", "GMP")]
    return [*names, CheckpointName("Centre Gaussian", "Centre Gaussian", None, None, "centre")]


@pytest.fixture
def page(qtbot):
    page = CheckpointPage()
    qtbot.addWidget(page)
    page.resize(1000, 700)
    page.show()
    yield page
    assert page.close_tasks()


def settled(page: CheckpointPage) -> bool:
    cells = [page.grid._cells.get(key) for key in page._cells]
    return bool(cells) and all(cell is not None and cell.heat is not None for cell in cells)


def test_series_are_rows_and_epochs_are_columns(page: CheckpointPage, qtbot, tmp_path: Path) -> None:
    page.set_comparison(made(tmp_path, epochs()))
    qtbot.waitUntil(lambda: settled(page), timeout=5000)
    assert [row.title for row in page.grid.rows()] == ["GAP", "GMP"]
    assert [column.name for column in page.grid.columns()] == ["Epoch 4", "Epoch 30", "Random weights"]
    assert page._cells == {
        ("GAP", 0): 0, ("GAP", 1): 1, ("GMP", 0): 2, ("GMP", 1): 3, ("GAP", 2): 4, ("GMP", 2): 5,
    }  # fmt: skip
    assert all(not plot.isVisibleTo(page) or plot.accessibleDescription() for plot in page.plots)


def test_one_scale_is_that_of_the_trained_ones(page: CheckpointPage, qtbot, tmp_path: Path) -> None:
    page.set_comparison(made(tmp_path, epochs()))
    qtbot.waitUntil(lambda: settled(page), timeout=5000)

    def steps() -> list[int]:
        return [int(page.grid._cells[key].heat.indices.max()) for key in sorted(page._cells, key=page._cells.get)]

    # Values 1, 2, 3, 4 of the checkpoints and 5, 6 of the controls: 4 is the last colour.
    assert steps() == [64, 128, 192, 255, 255, 255]
    page.scale.set_value("own")
    page._show_maps()
    assert steps() == [255] * 6


def test_single_checkpoints_stand_in_one_row(page: CheckpointPage, qtbot, tmp_path: Path) -> None:
    names = [CheckpointName(name, name, None, Path(name)) for name in ("ResNet-18", "VGG-11")]
    page.set_comparison(made(tmp_path, names))
    qtbot.waitUntil(lambda: settled(page), timeout=5000)
    assert [column.name for column in page.grid.columns()] == ["ResNet-18", "VGG-11"]
    assert len(page.grid.rows()) == 1


def test_a_checkpoint_that_was_not_kept_leaves_its_cell_with_words(page: CheckpointPage, qtbot, tmp_path: Path) -> None:
    names = [name for name in epochs() if name.title != "GMP 4"]
    page.set_comparison(made(tmp_path, names))
    qtbot.waitUntil(lambda: settled(page), timeout=5000)
    assert ("GMP", 0) not in page._cells
    assert page.grid.reading(1, 0) == "No such checkpoint is compared."


def test_the_table_fills_while_it_is_measured(page: CheckpointPage, tmp_path: Path) -> None:
    whole = made(tmp_path, epochs())
    page.begin()
    assert page.table.rowCount() == 0
    page.add_row(whole.rows[1])
    assert [page.table.item(0, column).text() for column in range(3)] == ["GAP 30", "0.100", "0.500"]
    page.end("Cancelled.")
    assert "Cancelled." in page.grid.accessibleDescription()


def test_the_table_goes_to_the_clipboard(page: CheckpointPage, qapp, tmp_path: Path) -> None:
    page.set_comparison(made(tmp_path, epochs()))
    page.copy_table()
    lines = qapp.clipboard().text().splitlines()
    assert lines[0] == "Checkpoint\tAccuracy\tPointing"
    assert lines[-1].startswith("Centre Gaussian\t")
    assert lines[-1].endswith("–")


def test_images_are_stepped_through_and_found_by_their_file(page: CheckpointPage, tmp_path: Path) -> None:
    page.set_comparison(made(tmp_path, epochs(), images=3))
    page.step(-1)
    assert page.image.name == "2.png"
    page.show_path(tmp_path / "1.png")
    assert page.image.name == "1.png"
    page.show_path(tmp_path / "unknown.png")
    assert page.image.name == "1.png"


def test_an_image_that_changed_since_is_not_shown_under_old_maps(page: CheckpointPage, qtbot, tmp_path: Path) -> None:
    comparison = made(tmp_path, epochs())
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "0.png")
    page.set_comparison(comparison)
    qtbot.waitUntil(lambda: "changed" in page.grid.accessibleDescription(), timeout=5000)
    assert replace(comparison).images[0].name == "0.png"


def test_epochs_are_chosen_evenly_with_both_ends() -> None:
    assert _evenly([1, 2, 3], 5) == [1, 2, 3]
    chosen = _evenly(list(range(1, 51)), 5)
    assert (chosen[0], chosen[-1], len(chosen)) == (1, 50, 5)
