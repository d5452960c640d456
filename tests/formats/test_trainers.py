"""YOLO, VOC, LabelMe, MMSegmentation, nnU-Net and tables: read back by peers where there are any."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.io
import supervision
from explained import a_map
from exports import item, masks, photo, write
from hypothesis import given, settings
from PIL import Image

from camviewer.catalogue.formats import FORMATS
from camviewer.errors import ExportError, FormatError
from camviewer.formats.labelme import LabelmeWriter, read_labelme
from camviewer.formats.records import ItemBox, ItemMap
from camviewer.formats.registry import WRITERS
from camviewer.formats.voc import palette, read_indexed, read_voc
from camviewer.formats.yolo import YoloSegmentationWriter, read_yolo
from camviewer.images.decode import read_image

NAMES = ["a", "ü b", "sub/c"]


def found(mask: np.ndarray, folder: Path, name: str = "a", **changes):
    source = photo(folder / "photos" / f"{name}.png", mask.shape[::-1])
    return replace(item(f"{name}.png", [mask]), source=source, **changes)


def blob(shape=(40, 60)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), (shape[1] // 3, shape[0] // 4), 20, 0, 360, 1, -1)
    return mask.astype(bool)


def test_every_row_of_the_table_has_its_writer() -> None:
    assert [spec.name for spec in FORMATS] == list(WRITERS)


# YOLO


def test_yolo_boxes_are_read_by_supervision(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:4, 1:4] = True
    write(tmp_path, "yolo-detection", [found(mask, tmp_path, "ISIC_1")])
    label = tmp_path / "labels" / "train" / "ISIC_1.txt"
    assert label.read_text(encoding="utf-8") == "0 0.41666667 0.62500000 0.50000000 0.75000000\n"
    data = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "images" / "train"), str(tmp_path / "labels" / "train"), str(tmp_path / "data.yaml")
    )
    assert data.classes == ["melanoma", "naevus öä", "bcc"]
    ((_, _, detections),) = data
    np.testing.assert_allclose(detections.xyxy, [[1, 1, 4, 4]], atol=1e-4)
    read = read_yolo(label, size=(6, 4))
    np.testing.assert_allclose(read.boxes[0].xyxy, (1, 1, 4, 4), atol=1e-6)


def test_yolo_classes_count_from_0(tmp_path: Path) -> None:
    write(tmp_path / "outlines", "yolo-segmentation", [item("a.png", [blob(), blob()])], images="reference")
    rows = (tmp_path / "outlines" / "labels" / "train" / "a.txt").read_text(encoding="utf-8").splitlines()
    assert [row.split()[0] for row in rows] == ["0", "1"]


def test_yolo_outlines_are_read_by_supervision(tmp_path: Path) -> None:
    mask = blob()
    write(tmp_path, "yolo-segmentation", [found(mask, tmp_path)])
    data = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "images" / "train"),
        str(tmp_path / "labels" / "train"),
        str(tmp_path / "data.yaml"),
        force_masks=True,
    )
    ((_, _, detections),) = data
    assert np.array_equal(detections.mask[0], mask)


def test_yolo_finds_labels_of_images_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["images/images/a", "sub/images/b", "c"]
    write(tmp_path / "out", "yolo-segmentation", [found(blob(), tmp_path, name) for name in names])
    for path in (tmp_path / "out" / "images" / "train").rglob("*.png"):
        # As trainers do: the last "images" of the path makes place for "labels".
        label = "/labels/".join(path.as_posix().rsplit("/images/", 1)).removesuffix(".png") + ".txt"
        assert Path(label).read_text(encoding="utf-8")
    # ... and look into one folder, from wherever they were started.
    monkeypatch.chdir(tmp_path)
    assert "path:" not in (tmp_path / "out" / "data.yaml").read_text(encoding="utf-8")
    data = supervision.DetectionDataset.from_yolo(
        "out/images/train", "out/labels/train", "out/data.yaml", force_masks=True
    )
    assert len(data) == len(names)
    assert all(np.array_equal(detections.mask[0], blob()) for _, _, detections in data)


@settings(max_examples=80, deadline=None)
@given(mask=masks())
def test_yolo_outlines_lose_what_is_said(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    entry = item("a.png", [mask])
    write(folder, "yolo-segmentation", [entry], images="reference")
    read = read_yolo(folder / "labels" / "train" / "a.txt", size=mask.shape[::-1])
    back = read.masks[0].pixels if read.masks else np.zeros_like(mask)
    loss = YoloSegmentationWriter.measure(entry, {})
    assert loss.pixels == np.count_nonzero(back ^ mask)


def test_yolo_coordinates_survive_32_bits_and_truncation(tmp_path: Path) -> None:
    mask = np.zeros((7, 9973), bool)
    mask[1:6, 1234:9001] = True
    write(tmp_path, "yolo-segmentation", [item("a.png", [mask])], images="reference")
    line = (tmp_path / "labels" / "train" / "a.txt").read_text(encoding="utf-8").split()
    points = np.array(line[1:], np.float32).reshape(-1, 2) * np.array([9973, 7], np.float32)
    assert set(points[:, 0].astype(int)) == {1234, 9000}
    assert set(points[:, 1].astype(int)) == {1, 5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0.5 0.5 0.1", "line 1 needs 4 numbers"),
        ("x 0.5 0.5 0.1 0.1", "line 1 needs a class"),
        ("0 0.5 0.5 0.1 0.1\n0 nan 0.5 0.1 0.1", "line 2 needs numbers between"),
        ("0 50 50 10 10", "line 1 needs numbers between"),
        ("-1 0.5 0.5 0.1 0.1", "line 1 has a negative class"),
    ],
)
def test_malformed_yolo_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=rf"a\.txt: {words}"):
        read_yolo(tmp_path / "a.txt", size=(10, 10))


# Pascal VOC


def test_voc_boxes_are_read_by_supervision(tmp_path: Path) -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:4, 1:4] = True
    write(tmp_path, "voc", [found(mask, tmp_path)])
    text = (tmp_path / "Annotations" / "a.xml").read_text(encoding="utf-8")
    assert "<xmin>2</xmin><ymin>2</ymin><xmax>4</xmax><ymax>4</ymax>" in text
    data = supervision.DetectionDataset.from_pascal_voc(str(tmp_path / "JPEGImages"), str(tmp_path / "Annotations"))
    ((_, _, detections),) = data
    assert detections.xyxy.tolist() == [[1, 1, 4, 4]]
    read = read_voc(tmp_path / "Annotations" / "a.xml")
    assert (read.file, read.size) == ("a.png", (6, 4))
    assert [(box.name, box.xyxy) for box in read.boxes] == [("melanoma", (1, 1, 4, 4))]
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_text(encoding="utf-8") == "a\n"


def test_voc_coordinates_from_zero(tmp_path: Path) -> None:
    entry = replace(found(np.zeros((4, 6), bool), tmp_path), boxes=(ItemBox(2, (1.0, 1.0, 4.0, 4.0)),))
    write(tmp_path, "voc", [entry], coordinates="zero")
    read = read_voc(tmp_path / "Annotations" / "a.xml", coordinates="zero")
    assert [(box.name, box.xyxy) for box in read.boxes] == [("naevus öä", (1, 1, 4, 4))]


def test_voc_masks_are_palette_pngs(tmp_path: Path) -> None:
    small = np.zeros((40, 60), bool)
    small[15:20, 25:30] = True
    entry = replace(item("a.png", [blob(), small]), source=photo(tmp_path / "p" / "a.png", (60, 40)))
    write(tmp_path, "voc", [entry])
    with Image.open(tmp_path / "SegmentationClass" / "a.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
        values = np.asarray(image)
    expected = np.where(small, 2, np.where(blob(), 1, 0))
    assert np.array_equal(values, expected)
    assert np.array_equal(read_indexed(tmp_path / "SegmentationClass" / "a.png", size=(60, 40)), expected)
    assert palette()[-3:] == [224, 224, 192]


def test_voc_numbers_each_region_of_all_classes(tmp_path: Path) -> None:
    pair, other = np.zeros((2, 20, 30), bool)
    pair[2:10, 2:10] = pair[2:6, 20:25] = True
    other[15:18, 15:18] = True
    entry = replace(item("a.png", [pair, other]), source=photo(tmp_path / "p" / "a.png", (30, 20)))
    write(tmp_path, "voc", [entry])
    values = read_indexed(tmp_path / "SegmentationObject" / "a.png", size=(30, 20))
    places = np.s_[2:10, 2:10], np.s_[2:6, 20:25], np.s_[15:18, 15:18]
    assert sorted(np.unique(values[place]).tolist() for place in places) == [[1], [2], [3]]
    assert np.array_equal(values > 0, pair | other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><size><width>4</width></size></annotation>", "size.height is missing"),
        ("<a/>", "not <annotation>"),
        ("<annotation>", "is not valid XML"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>', "declares entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "declares entities"),
        ("<annotation><size><width>nan</width><height>4</height></size></annotation>", "size.width needs a number"),
        (
            "<annotation><size><width>4</width><height>4</height></size><object><name>x</name><bndbox>"
            "<xmin>3</xmin><ymin>1</ymin><xmax>1</xmax><ymax>2</ymax></bndbox></object></annotation>",
            r"object\[0\].bndbox is turned inside out",
        ),
        ("<annotation>" + "<a>" * 50_000, "is not valid XML"),
    ],
)
def test_malformed_voc_names_the_field(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=words) as error:
        read_voc(tmp_path / "a.xml")
    assert error.value.message.startswith("a.xml")


# LabelMe


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_labelme_masks_come_back(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("labelme")
    write(folder, "labelme", [item("sub/ü a.jpg", [mask])])
    path = folder / "sub" / "ü a.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} <= set(data)
    assert data["imageData"] is None
    for shape in data["shapes"]:
        assert len(shape["points"]) == 2
        # As labelme reads it: the PNG is exactly the inclusive box of the two points.
        (x0, y0), (x1, y1) = shape["points"]
        values = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"]))))
        assert values.shape == (y1 - y0 + 1, x1 - x0 + 1)
        assert set(np.unique(values)) <= {0, 1}
    back = read_labelme(path).masks.get("melanoma", np.zeros_like(mask))
    assert np.array_equal(back, mask)


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_labelme_polygons_lose_what_is_said(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("labelme")
    entry = item("a.jpg", [mask])
    write(folder, "labelme", [entry], shapes="polygon")
    back = read_labelme(folder / "a.json").masks.get("melanoma", np.zeros_like(mask))
    assert LabelmeWriter.measure(entry, {"shapes": "polygon"}).pixels == np.count_nonzero(back ^ mask)


def test_labelme_finds_its_image(tmp_path: Path) -> None:
    entry = found(blob(), tmp_path, "sub/a", boxes=(ItemBox(1, (2.0, 3.0, 10.0, 12.0), 0.5),), flags=("hair",))
    write(tmp_path / "out", "labelme", [entry])
    data = json.loads((tmp_path / "out" / "sub" / "a.json").read_text(encoding="utf-8"))
    assert (tmp_path / "out" / "sub" / data["imagePath"]).resolve() == entry.source
    read = read_labelme(tmp_path / "out" / "sub" / "a.json")
    assert read.boxes == (("melanoma", (2, 3, 10, 12)),)
    assert read.flags == ("hair",)
    write(tmp_path / "copy", "labelme", [entry], images="copy")
    data = json.loads((tmp_path / "copy" / "sub" / "a.json").read_text(encoding="utf-8"))
    assert (tmp_path / "copy" / "sub" / data["imagePath"]).is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"imageWidth": 0}, "imageWidth needs a whole number of at least 1"),
        ({"imageWidth": 10**9, "imageHeight": 10**9}, "imageWidth and imageHeight are too large"),
        ({"shapes": None}, "shapes needs a list"),
        ({"shapes": [{"label": "x", "points": [[1, 1]]}]}, r"shapes\[0\].points needs at least 3 points"),
        ({"shapes": [{"label": 1, "points": []}]}, r"shapes\[0\].label needs a text"),
        (
            {"shapes": [{"label": "x", "shape_type": "rectangle", "points": [[1, 1]] * 4}]},
            r"shapes\[0\].points needs 2 points",
        ),
        (
            {"shapes": [{"label": "x", "shape_type": "mask", "points": [[1, 1], [2, 2]], "mask": "!"}]},
            r"shapes\[0\].mask is not a PNG",
        ),
        ({"shapes": [{"label": "x", "points": [[1, "a"], [1, 2], [2, 2]]}]}, r"shapes\[0\].points\[0\]\[1\] needs"),
    ],
)
def test_malformed_labelme_names_the_field(tmp_path: Path, change: dict, words: str) -> None:
    data = {"imageWidth": 10, "imageHeight": 10, "shapes": [], "imagePath": "a.jpg", **change}
    (tmp_path / "a.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FormatError, match=words):
        read_labelme(tmp_path / "a.json")


# Class numbers


def test_mmsegmentation_as_its_loader_reads_it(tmp_path: Path) -> None:
    write(tmp_path, "mmsegmentation", [found(blob(), tmp_path, name) for name in NAMES])
    for name in NAMES:
        with Image.open(tmp_path / "ann_dir" / "train" / f"{name}.png") as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), blob().astype(np.uint8))
        assert (tmp_path / "img_dir" / "train" / f"{name}.png").is_file()
    assert json.loads((tmp_path / "classes.json").read_text(encoding="utf-8"))["classes"][:2] == [
        "background",
        "melanoma",
    ]


def test_nnunet_data_set_is_what_its_checks_ask_for(tmp_path: Path) -> None:
    turned = photo(tmp_path / "photos" / "t.jpg", (60, 40))
    entries = [found(blob(), tmp_path), replace(item("t.jpg", [blob()]), source=turned)]
    entries.append(replace(found(blob(), tmp_path, "z"), split="test"))
    write(tmp_path, "nnunet", entries)
    folder = tmp_path / "Dataset101_Camviewer"
    data = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert data["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert data["labels"] == {"background": 0, "melanoma": 1, "naevus öä": 2, "bcc": 3}
    assert (data["numTraining"], data["file_ending"]) == (2, ".png")
    for case in ("a", "t"):
        image = skimage.io.imread(folder / "imagesTr" / f"{case}_0000.png")
        label = skimage.io.imread(folder / "labelsTr" / f"{case}.png")
        assert image.shape == (*label.shape, 3)
        assert np.array_equal(label, blob().astype(np.uint8))
    assert (folder / "imagesTs" / "z_0000.png").is_file()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "I;16", "RGB"])
def test_nnunet_images_have_three_channels_of_8_bits(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    source = tmp_path / "a.png"
    if mode == "I;16":
        Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(source)
    else:
        Image.fromarray(pixels).convert(mode).save(source)
    write(tmp_path / "out", "nnunet", [replace(item("a.png", [blob()]), source=source)])
    image = skimage.io.imread(tmp_path / "out" / "Dataset101_Camviewer" / "imagesTr" / "a_0000.png")
    assert (image.shape, image.dtype) == ((40, 60, 3), np.uint8)
    assert np.array_equal(image, read_image(source))


def test_labelme_copies_are_what_it_opens(tmp_path: Path) -> None:
    source = tmp_path / "deep.png"
    Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27).save(source)
    entry = replace(item("deep.png", [blob()]), source=source)
    write(tmp_path / "out", "labelme", [entry], images="copy")
    with Image.open(tmp_path / "out" / "deep.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), read_image(source))


def test_nnunet_ignores_the_uncertain_band(tmp_path: Path) -> None:
    raw = a_map((60, 40))
    seen = ItemMap(1, "gradcam", "layer4", raw.values, raw.geometry)
    entry = found(blob(), tmp_path, maps=(seen,))
    write(tmp_path, "nnunet", [entry], ignore=True, ignore_from=0.2, ignore_to=0.5)
    folder = tmp_path / "Dataset101_Camviewer"
    assert json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["labels"]["ignore"] == 4
    label = skimage.io.imread(folder / "labelsTr" / "a.png")
    full = np.maximum(raw.geometry.upsample(raw.values), 0)
    band = (full >= 0.2 * full.max()) & (full < 0.5 * full.max())
    assert band.any()
    assert np.array_equal(label, np.where(band, 4, blob().astype(np.uint8)))
    write(tmp_path / "r", "nnunet", [replace(entry, reviewed=True)], ignore=True)
    label = skimage.io.imread(tmp_path / "r" / "Dataset101_Camviewer" / "labelsTr" / "a.png")
    assert np.array_equal(label, blob().astype(np.uint8))


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camviewer.formats.indexed.MOST", 2)
    with pytest.raises(ExportError, match="holds at most 2 classes, not 3"):
        write(tmp_path, "mmsegmentation", [])


# Tables


def test_the_summary_has_a_row_a_region(tmp_path: Path) -> None:
    empty = np.zeros((40, 60), bool)
    entries = [item("a,b.jpg", [blob()], note='say "x"', top=((1, "melanoma", 0.75),)), item("c.jpg", [empty])]
    write(tmp_path, "csv", entries)
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as handle:
        first, second = csv.DictReader(handle)
    y, x = np.nonzero(blob())
    assert (first["file"], first["note"], first["predicted"]) == ("a,b.jpg", 'say "x"', "melanoma")
    assert (int(first["area_px"]), float(first["area_fraction"])) == (blob().sum(), blob().sum() / 2400)
    assert [int(first[key]) for key in ("x0", "y0", "x1", "y1")] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert (second["file"], second["class"]) == ("c.jpg", "")


def test_soft_masks_hold_the_map(tmp_path: Path) -> None:
    raw = a_map((60, 40))
    entry = item("a.jpg", [blob()], maps=(ItemMap(1, "gradcam", "layer4", raw.values, raw.geometry),))
    full = raw.geometry.upsample(raw.values)
    write(tmp_path, "soft-masks", [entry])
    values = skimage.io.imread(tmp_path / "a_gradcam_layer4_melanoma.png")
    assert values.dtype == np.uint16
    np.testing.assert_allclose(values / 65535, np.maximum(full, 0) / full.max(), atol=1e-5)
    write(tmp_path, "soft-masks", [entry], kind="npz")
    with np.load(tmp_path / "a_gradcam_layer4_melanoma.npz", allow_pickle=False) as data:
        assert np.array_equal(data["map"], full)
