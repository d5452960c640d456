from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from exports import a_project, item, masks, write
from hypothesis import given, settings

from camviewer.formats.records import ItemBox
from camviewer.formats.servers import brush_rle
from camviewer.pipeline.export import ExportRequest, export


def unroll(runs: list[int], width: int, height: int) -> np.ndarray:
    """CVAT's run lengths as its documentation describes them."""
    flat: list[bool] = []
    for i, run in enumerate(runs):
        flat += [i % 2 == 1] * run
    return np.array(flat).reshape(height, width)


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_cvat_masks_come_back(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("cvat")
    write(folder, "cvat", [item('a "<&\x01 ü.jpg', [mask], boxes=(ItemBox(2, (1.0, 2.5, 3.0, 4.0)),))])
    root = ElementTree.parse(folder / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    image = root.find("image")
    assert image.get("name") == 'a "<&_ ü.jpg'
    assert (image.get("width"), image.get("height")) == (str(mask.shape[1]), str(mask.shape[0]))
    box = image.find("box")
    assert [float(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")] == [1, 2.5, 3, 4]
    assert box.get("label") == "naevus öä"
    back = np.zeros_like(mask)
    for entry in image.findall("mask"):
        left, top, width, height = (int(entry.get(key)) for key in ("left", "top", "width", "height"))
        back[top : top + height, left : left + width] = unroll(
            [int(r) for r in entry.get("rle").split(",")], width, height
        )
    assert np.array_equal(back, mask)


def test_the_reference_mask_is_written_as_the_format_says(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:4, 1:4] = True
    mask[2, 2] = False
    write(tmp_path, "cvat", [item("a.jpg", [mask])])
    text = (tmp_path / "annotations.xml").read_text(encoding="utf-8")
    assert 'rle="0, 4, 1, 4" left="1" top="1" width="3" height="3"' in text


def test_cvat_names_the_subsets_of_its_images(tmp_path: Path) -> None:
    source = tmp_path / "there"
    pixels = {f"{name}.png": {1: np.ones((4, 6), bool)} for name in "abcd"}
    export(ExportRequest(a_project(source, pixels, reviewed=pixels), "cvat", tmp_path / "out", ratios=(0.5, 0.5)))
    root = ElementTree.parse(tmp_path / "out" / "annotations.xml").getroot()
    assert [entry.text for entry in root.find("meta/project/tasks").iter("subset")] == ["train", "val"]
    assert [entry.text for entry in root.find("meta/project/labels").iter("name")] == ["melanoma", "naevus"]
    assert sorted(image.get("subset") for image in root.iter("image")) == ["train", "train", "val", "val"]


def decode_brush(data: list[int]) -> np.ndarray:
    """Label Studio's decoder, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    number = read(32)
    word = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    out = np.zeros(number, np.uint8)
    i = 0
    while i < number:
        run = read(1)
        j = i + 1 + read(sizes[read(2)])
        if run:
            out[i:j] = read(word)
        else:
            for k in range(i, j):
                out[k] = read(word)
        i = j
    return out


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_brush_masks_come_back(mask: np.ndarray) -> None:
    pixels = decode_brush(brush_rle(mask)).reshape(*mask.shape, 4)
    assert np.array_equal(pixels, np.repeat(np.where(mask, 255, 0)[..., None], 4, axis=2))


def test_long_runs_are_cut() -> None:
    mask = np.zeros((300, 200), bool)
    mask[100:, :] = True
    assert np.array_equal(decode_brush(brush_rle(mask)).reshape(300, 200, 4)[..., 3], np.where(mask, 255, 0))


def test_label_studio_rectangles_are_percent(tmp_path: Path) -> None:
    mask = np.ones((40, 80), bool)
    write(tmp_path, "label-studio", [item("a.jpg", [mask], boxes=(ItemBox(1, (8.0, 4.0, 40.0, 24.0)),))])
    (task,) = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert task["data"]["image"] == "a.jpg"
    box, brush = task["predictions"][0]["result"]
    assert [box["value"][key] for key in ("x", "y", "width", "height")] == [10, 10, 40, 50]
    assert (box["original_width"], box["original_height"]) == (80, 40)
    assert brush["value"]["brushlabels"] == ["melanoma"]


def test_label_studio_gets_the_setup_its_predictions_fit_into(tmp_path: Path) -> None:
    write(tmp_path, "label-studio", [item("a.jpg", [np.ones((4, 6), bool)], boxes=(ItemBox(1, (0, 0, 2, 2)),))])
    setup = ElementTree.fromstring((tmp_path / "labels.xml").read_text(encoding="utf-8"))
    controls = {entry.get("name"): entry for entry in setup if entry.get("toName")}
    (task,) = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    picture = next(entry for entry in setup if entry.tag == "Image")
    assert picture.get("value") == "$image" and "image" in task["data"]
    for result in task["predictions"][0]["result"]:
        control = controls[result["from_name"]]
        assert control.tag.lower() == result["type"]
        assert result["to_name"] == control.get("toName") == picture.get("name")
        assert set(result["value"][result["type"]]) <= {label.get("value") for label in control}
