"""Gallery rows: filter, search, order, counts, steps, and pictures in a bounded cache."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication

from camviewer.errors import UsageError
from camviewer.ui.controls import Button
from camviewer.ui.gallery.items import GalleryItem, ShortNames
from camviewer.ui.gallery.model import ITEM_ROLE, MARKS, GalleryModel
from camviewer.ui.gallery.pictures import PictureCache
from camviewer.ui.gallery.query import parse
from camviewer.ui.gallery.traits import ORDERS, TRAITS
from camviewer.ui.gallery.view import Gallery
from camviewer.ui.outlines import outline_of
from camviewer.ui.qimage import pixels_of

ORDER = {order.text: order for order in ORDERS}


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
    model.set_filter(parse("status:unreviewed"))
    assert shown(model) == [1, 3]
    model.set_filter(parse(""))
    model.set_search("0001 4")
    assert shown(model) == [14]
    model.set_search("")
    model.set_order(ORDER["Least confident"])
    assert shown(model) == [1, 2, 3, 14]
    model.set_order(ORDER["Most confident"])
    assert shown(model) == [2, 1, 3, 14]
    assert model.counts()["reviewed"] == 1


def test_a_reviewed_image_keeps_its_place_until_the_filter_is_chosen_anew(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items([item(1), item(2)])
    model.set_filter(parse("status:unreviewed"))
    model.update_item(item(1, status="reviewed"))
    assert shown(model) == [1, 2]
    assert model.step(1, 1, wanted=lambda entry: entry.unreviewed) == 2
    model.rearrange()
    assert shown(model) == [2]


def test_names_lose_what_all_share() -> None:
    assert short(["ISIC_0024306.jpg", "ISIC_0024307.jpg"]) == ["0024306", "0024307"]
    assert short(["lesion.png", "ruler.png"]) == ["lesion", "ruler"]
    assert short(["a_1.png"]) == ["a_1"]


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[ab_]{0,3}_?[0-9]{1,2}\.png", fullmatch=True), min_size=1, max_size=8), st.data())
def test_short_names_are_the_same_however_they_arrive(names: list[str], data: st.DataObject) -> None:
    found, start = ShortNames(), 0
    before: dict[int, str] = {}
    while start < len(names):
        end = data.draw(st.integers(start + 1, len(names)))
        changed = found.add(dict(enumerate(names[start:end], start)))
        assert changed or all(found.of(number) == text for number, text in before.items())
        before = {number: found.of(number) for number in range(end)}
        start = end
    assert list(before.values()) == short(names)


def short(names: list[str]) -> list[str]:
    found = ShortNames()
    found.add(dict(enumerate(names)))
    return [found.of(number) for number in range(len(names))]


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
    (polygon,) = outline_of(mask, (116, 87))
    x, y = zip(*polygon, strict=True)
    assert min(x) == pytest.approx(30 / 116, abs=0.02) and max(x) == pytest.approx(90 / 116, abs=0.02)
    assert min(y) == pytest.approx(20 / 87, abs=0.02) and max(y) == pytest.approx(60 / 87, abs=0.02)


def test_every_order_puts_the_unknown_last_and_keeps_equals_in_place(pictures) -> None:
    model = GalleryModel(pictures)
    values = [0.3, None, 0.9, 0.3, 0.1]
    model.set_items(
        [item(n, values={} if v is None else {"doubt": v, "area": v, "entropy": v}) for n, v in enumerate(values, 1)]
    )
    model.set_order(ORDER["Most doubtful mask"])
    assert shown(model) == [3, 1, 4, 5, 2]
    model.set_order(ORDER["Smallest mask"])
    assert shown(model) == [5, 1, 4, 3, 2]
    model.set_order(ORDER["Name"])
    assert shown(model) == [1, 2, 3, 4, 5]


def test_a_wrong_search_changes_nothing_and_says_why(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items([item(1, values={"flag": ("hair",)}), item(2)])
    model.set_search("flag:hair")
    with pytest.raises(UsageError, match="Is flag meant"):
        model.set_search("falg:hair")
    assert shown(model) == [1]


STATUSES = ("new", "computed", "reviewed")
kinds = st.tuples(st.integers(1, 6), st.sampled_from(STATUSES), st.sampled_from([None, 0.0, 1.0]), st.integers(1, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.lists(kinds, max_size=6), kinds, st.sets(st.integers(1, 2))), max_size=10))
def test_counts_are_right_whatever_happens(steps: list) -> None:
    cache = PictureCache()
    model = GalleryModel(cache)
    for step in steps:
        if isinstance(step, tuple):
            model.update_item(of(*step))
        elif isinstance(step, set):
            model.set_stale_runs(frozenset(step))
        else:
            fresh = {number: of(number, *rest) for number, *rest in step if model.item(number) is None}
            model.add_items(list(fresh.values()))
        items = list(model.items())
        assert model.counts() == Counter(entry.status for entry in items)
        for mark in MARKS:
            assert model.marked(mark) == sum(bool(entry.values.get(mark)) for entry in items)
            assert model.marked(mark) == sum(parse(f"{mark}:yes").matches(entry) for entry in items)
    assert cache.close()


def of(number: int, status: str, wrong: float | None, run: int) -> GalleryItem:
    return item(number, status=status, values={} if wrong is None else {"wrong": wrong}, run=run)


def test_blind_mode_shuffles_and_tells_neither_name_nor_prediction_nor_label(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items(
        [
            item(n, status="computed", class_name="melanoma", probability=0.9, values={"label": "mel", "wrong": 1.0})
            for n in range(40)
        ]
    )
    before = shown(model)
    model.set_blind(True)
    assert sorted(shown(model)) == before and shown(model) != before
    index = model.index(3)
    for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
        assert model.data(index, role) == "Image 4, computed"
    seen = model.data(index, ITEM_ROLE)
    assert (seen.class_name, seen.probability, seen.label, dict(seen.values)) == ("", None, "4", {})
    with pytest.raises(UsageError, match="Blind mode"):
        model.set_search("class:mel")
    model.set_search("status:computed")
    assert len(shown(model)) == 40
    model.set_blind(False)
    assert shown(model) == before


def test_masks_of_other_choices_are_stale_until_they_are_reviewed(pictures) -> None:
    model = GalleryModel(pictures)
    model.set_items([item(1, status="computed", run=7), item(2, status="reviewed", run=7), item(3, run=8)])
    model.set_stale_runs(frozenset({7}))
    model.set_search("stale:yes")
    assert shown(model) == [1]
    model.set_stale_runs(frozenset())
    model.set_search("stale:yes")
    assert shown(model) == []


@pytest.fixture
def gallery(qtbot):
    widget = Gallery()
    qtbot.addWidget(widget)
    widget.resize(1280, 190)
    widget.show()
    widget.model.set_items([item(n, status="computed", probability=n / 10) for n in range(1, 7)])
    yield widget
    assert widget.pictures.close()


def test_shift_and_arrows_select_several_and_buttons_take_the_place_of_the_filters(gallery, qtbot) -> None:
    action = QAction("Skip selected", gallery)
    gallery.set_batch_actions([action])
    chosen, counts = [], []
    gallery.image_chosen.connect(chosen.append)
    gallery.selection_changed.connect(counts.append)
    gallery.set_current(2)
    assert gallery.selected() == [2] and chosen == []
    qtbot.keyClick(gallery.strip, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(gallery.strip, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert gallery.selected() == [2, 3, 4] and counts[-1] == 3
    (button,) = [b for b in gallery.findChildren(Button) if b.text().strip() == "Skip"]
    assert button.isVisible() and not gallery._chips["all"].isVisible()
    # Showing an image of the selection keeps it; showing another one ends it.
    gallery.set_current(3)
    assert gallery.selected() == [2, 3, 4]
    gallery.set_current(6)
    assert gallery.selected() == [6] and gallery._chips["all"].isVisible()


def test_a_search_that_nothing_fits_says_so(gallery, qtbot) -> None:
    full = gallery.strip.grab().toImage()
    gallery.search.setText("zzz")
    qtbot.waitUntil(lambda: gallery.model.rowCount() == 0)
    empty = gallery.strip.grab().toImage()
    middle = pixels_of(empty)[empty.height() // 2 - 20 : empty.height() // 2 + 20, 500:780]
    assert middle.max() > middle.min()
    gallery.search.clear()
    qtbot.waitUntil(lambda: gallery.model.rowCount() == 6)
    assert gallery.strip.grab().toImage().size() == full.size()


def test_a_long_search_is_read_in_full(gallery) -> None:
    gallery.resize(740, 190)
    QApplication.processEvents()
    before = gallery.search.width()
    gallery.search.setText("class:melanoma conf:<0.6 area:>3%")
    QApplication.processEvents()
    needed = gallery.search.fontMetrics().horizontalAdvance(gallery.search.text())
    assert before < needed <= gallery.search.width()
    gallery.search.clear()
    QApplication.processEvents()
    assert gallery.search.width() == before


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_the_field_completes_and_marks_what_is_wrong(gallery, qtbot) -> None:
    field = gallery.search
    qtbot.keyClicks(field, "conf:>x")
    qtbot.waitUntil(lambda: bool(field.accessibleDescription()))
    assert "conf is a number" in field.accessibleDescription() and gallery.model.rowCount() == 6
    field.setText("conf:>=0.5")
    qtbot.waitUntil(lambda: gallery.model.rowCount() == 2)
    assert field.accessibleDescription() == "" and gallery._shown.full_text() == "2 shown"
    field.clear()
    qtbot.waitUntil(lambda: gallery.model.rowCount() == 6)
    qtbot.keyClick(field, Qt.Key.Key_Down)
    popup = field._completer.popup()
    assert popup.isVisible() and field._choices.rowCount() == len(TRAITS)
    popup.hide()
