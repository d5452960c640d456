from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision
from exports import CATEGORIES, item, masks, photo, write
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from camviewer.errors import FormatError
from camviewer.formats.coco import CocoWriter, read_coco
from camviewer.formats.names import UniqueNames

REFERENCE = np.zeros((4, 6), bool)
REFERENCE[1:4, 1:4] = True
REFERENCE[2, 2] = False


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_the_reference_object_is_written_as_the_format_says(tmp_path: Path) -> None:
    write(tmp_path, "coco", [item("ISIC_0000001.jpg", [REFERENCE])])
    data = json.loads((tmp_path / "instances.json").read_text(encoding="utf-8"))
    assert set(data) == {"info", "licenses", "categories", "images", "annotations"}
    assert data["images"] == [{"id": 1, "file_name": "ISIC_0000001.jpg", "width": 6, "height": 4}]
    assert data["categories"][0] == {"id": 1, "name": "melanoma", "supercategory": ""}
    (found,) = data["annotations"]
    assert found.pop("attributes") == {"refine": "none", "reviewed": False}
    assert found == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "area": 8.0,
        "bbox": [1.0, 1.0, 3.0, 3.0],
        "segmentation": {"size": [4, 6], "counts": "531N00027"},
    }


NAMES = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=80, deadline=None)
@given(pixels=st.lists(masks(), min_size=1, max_size=3), name=NAMES.filter(lambda n: n != ".."))
def test_pycocotools_reads_the_same_pixels(tmp_path_factory: pytest.TempPathFactory, pixels, name: str) -> None:
    folder = tmp_path_factory.mktemp("coco")
    names = UniqueNames()
    write(folder, "coco", [item(name + ".jpg", [mask], names=names) for mask in pixels])
    coco = load(folder / "instances.json")
    assert sorted(coco.imgs) == list(range(1, len(pixels) + 1))
    for number, mask in enumerate(pixels, 1):
        rows = coco.imgToAnns[number]
        assert len(rows) == int(mask.any())
        if rows:
            (row,) = rows
            assert np.array_equal(coco.annToMask(row).astype(bool), mask)
            y, x = np.nonzero(mask)
            assert row["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert row["area"] == mask.sum()
    categories, images = read_coco(folder / "instances.json")
    assert [c.name for c in categories] == [c.name for c in CATEGORIES]
    for mask, found in zip(pixels, images, strict=True):
        assert found.file == name + ".jpg"
        back = found.masks[0].pixels if found.masks else np.zeros_like(mask)
        assert np.array_equal(back, mask)


def filled(mask: np.ndarray) -> np.ndarray:
    """Fill what an outline of each 4-connected piece encloses, by flooding each piece on its own."""
    result = np.zeros_like(mask)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        piece = np.pad(labels == label, 1)
        _, outside = cv2.connectedComponents((~piece).astype(np.uint8), connectivity=8)
        result |= (outside != outside[0, 0])[1:-1, 1:-1]
    return result


@settings(max_examples=150, deadline=None)
@given(mask=masks())
@example(mask=np.array([[1, 0], [0, 1]], bool))
@example(mask=REFERENCE)
def test_polygons_lose_holes_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("coco")
    write(folder, "coco", [item("a.jpg", [mask])], segmentation="polygons")
    coco = load(folder / "instances.json")
    back = np.zeros_like(mask)
    for row in coco.imgToAnns[1]:
        assert row["iscrowd"] == 0
        assert all(len(polygon) >= 8 for polygon in row["segmentation"])
        back |= coco.annToMask(row).astype(bool)
    assert np.array_equal(back, filled(mask))
    loss = CocoWriter.measure(item("a.jpg", [mask]), {"segmentation": "polygons", "instances": "mask"})
    assert (loss.pixels, loss.of) == (np.count_nonzero(back ^ mask), mask.sum())


def test_supervision_reads_the_same_pixels(tmp_path: Path) -> None:
    other = np.zeros((4, 6), bool)
    other[0, 5] = True
    items = []
    for i, mask in enumerate([REFERENCE, other]):
        photo(tmp_path / "photos" / f"{i}.jpg", (6, 4))
        items.append(item(f"{i}.jpg", [mask]))
    write(tmp_path, "coco", items)
    found = supervision.DetectionDataset.from_coco(
        str(tmp_path / "photos"), str(tmp_path / "instances.json"), force_masks=True
    )
    for i, mask in enumerate([REFERENCE, other]):
        detections = found.annotations[str(tmp_path / "photos" / f"{i}.jpg")]
        assert np.array_equal(detections.mask[0], mask)
        assert found.classes[detections.class_id[0]] == "melanoma"


def test_one_annotation_for_each_region(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), bool)
    mask[1:3, 1:3] = mask[6:9, 6:9] = True
    write(tmp_path, "coco", [item("a.jpg", [mask])], instances="region")
    coco = load(tmp_path / "instances.json")
    assert [row["area"] for row in coco.imgToAnns[1]] == [4, 9]


def test_the_reader_takes_uncompressed_runs_and_polygons(tmp_path: Path) -> None:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 6, "height": 4}],
        "categories": [{"id": 3, "name": "x"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 3,
                "bbox": [1, 1, 3, 3],
                "segmentation": {"size": [4, 6], "counts": [5, 3, 1, 1, 1, 1, 1, 3, 8]},
            },
            {
                "id": 2,
                "image_id": 7,
                "category_id": 3,
                "bbox": [5, 0, 1, 1],
                "segmentation": [[5, 0, 6, 0, 6, 1, 5, 1]],
            },
            {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 2, 2]},
        ],
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    _, (image,) = read_coco(path)
    expected = REFERENCE.copy()
    expected[0, 5] = True
    assert np.array_equal(image.masks[0].pixels, expected)
    assert [box.xyxy for box in image.boxes] == [(1, 1, 4, 4), (5, 0, 6, 1), (0, 0, 2, 2)]

    for change, words in [
        (("annotations", 0, "image_id", 9), "annotations[0].image_id names image 9"),
        (("annotations", 0, "category_id", 9), "annotations[0].category_id names category 9"),
        (("annotations", 0, "bbox", [1, 2]), "annotations[0].bbox needs 4 numbers"),
        (("annotations", 0, "bbox", [1, 2, 3, "4"]), "annotations[0].bbox[3] needs a number"),
        (("annotations", 0, "segmentation", {"size": [6, 4], "counts": "x"}), "annotations[0].segmentation.size"),
        *(
            (("annotations", 0, "segmentation", {"size": [4, 6], "counts": counts}), "annotations[0].segmentation.co")
            for counts in ("531N0002", "~~~", "o" * 30, [5, -3, 22], [10**15], None)
        ),
        (("annotations", 1, "segmentation", [[1, 2, 3, 4]]), "annotations[1].segmentation[0] needs at least 3 points"),
        (("images", 0, "width", 10**9), "images[0].width and height are too large"),
    ]:
        broken = json.loads(json.dumps(data))
        broken[change[0]][change[1]][change[2]] = change[3]
        path.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(FormatError) as error:
            read_coco(path)
        assert error.value.message.startswith(f"c.json: {words}")
