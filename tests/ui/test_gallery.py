"""Gallery rows: filter, search, order, counts, steps, and pictures in a bounded cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camviewer.ui.gallery.model import GalleryItem, GalleryModel, short_labels
from camviewer.ui.gallery.pictures import PictureCache
from camviewer.ui.outlines import outline_of


@pytest.fixture
def pictures(qtbot):
    cache = PictureCache(limit=100_000)
    yield cache
    assert cache.close()


def item(number: int, **fields) -> GalleryItem:
    name = f"ISIC_{number:07d}.jpg"
    return GalleryItem(number, Path("/nowhere") / name, name, str(number), **fields)


def shown(model: GalleryModel) -> list[int]:
    return [model.item_at(row).id for row in range(model.rowCount())]


def test_filter_search_and_order(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items(
        [
            item(1, status="computed", probability=0.4),
            item(2, status="reviewed", probability=0.9),
            item(3),
            item(14, status="failed", error="cut"),
        ]
    )
    assert shown(model) == [1, 2, 3, 14]
    model.set_filter("unreviewed")
    assert shown(model) == [1, 3]
    model.set_filter("all")
    model.set_search("0001 4")
    assert shown(model) == [14]
    model.set_search("")
    model.set_sort("doubtful")
    assert shown(model) == [1, 2, 3, 14]
    model.set_sort("surest")
    assert shown(model) == [2, 1, 3, 14]
    assert model.counts()["reviewed"] == 1


def test_a_reviewed_image_keeps_its_place_until_the_filter_is_chosen_anew(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items([item(1), item(2)])
    model.set_filter("unreviewed")
    model.update_item(item(1, status="reviewed"))
    assert shown(model) == [1, 2]
    assert model.step(1, 1, wanted=lambda entry: entry.unreviewed) == 2
    model.rearrange()
    assert shown(model) == [2]


def test_names_lose_what_all_share() -> None:
    assert short_labels(["ISIC_0024306.jpg", "ISIC_0024307.jpg"]) == ["0024306", "0024307"]
    assert short_labels(["lesion.png", "ruler.png"]) == ["lesion", "ruler"]
    assert short_labels(["a_1.png"]) == ["a_1"]


def test_pictures_arrive_off_the_gui_thread_and_stay_within_the_limit(pictures, qtbot, tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((90, 160, 3), number * 20, np.uint8)).save(path)
        paths.append(path)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n")
    pictures.request([*paths, broken], density=1.0)
    qtbot.waitUntil(lambda: bool(pictures.failed(broken)) and pictures.get(paths[-1]) is not None, timeout=10_000)
    qtbot.waitUntil(lambda: pictures.used > 80_000, timeout=10_000)
    assert pictures.used <= 100_000
    assert pictures.get(paths[-1]).width() == 116


def test_an_outline_lies_where_the_mask_lies() -> None:
    mask = np.zeros((87, 116), bool)
    mask[20:60, 30:90] = True
    (polygon,) = outline_of(mask)
    x, y = zip(*polygon, strict=True)
    assert min(x) == pytest.approx(30 / 116, abs=0.02) and max(x) == pytest.approx(90 / 116, abs=0.02)
    assert min(y) == pytest.approx(20 / 87, abs=0.02) and max(y) == pytest.approx(60 / 87, abs=0.02)
