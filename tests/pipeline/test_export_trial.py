"""Trial runs show what an export will write, and exports are read back before they count."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from explained import write_one
from exports import a_project, photo
from PIL import Image

from camviewer.catalogue.formats import FORMATS
from camviewer.errors import ExportError
from camviewer.formats import voc
from camviewer.formats.labelme import read_labelme
from camviewer.formats.output import FileRow, Output
from camviewer.formats.voc import read_voc
from camviewer.images.decode import read_image
from camviewer.pipeline.export import ExportRequest, export
from camviewer.pipeline.export_records import size_words
from camviewer.pipeline.importing import ImportRequest, import_annotations
from camviewer.pipeline.split import find_group_columns, keeps_together
from camviewer.project.records import Box, Mask
from camviewer.project.store import Project

NAMES = [f"sub{k % 2}/ü {k}.jpg" for k in range(9)]
# This project keeps no maps and its images are no DICOM files.
WRITABLE = [spec.name for spec in FORMATS if spec.name not in {"soft-masks", "dicom-seg"}]


def noisy(seed: int) -> dict[int, np.ndarray]:
    block = np.zeros((22 + seed, 30), bool)
    block[2:9, 3:14] = True
    block[4:6, 6:8] = False
    return {1: np.random.default_rng(seed).random((22 + seed, 30)) > 0.6, 2: block}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = {name: noisy(seed) for seed, name in enumerate(NAMES)} | {"e.png": {1: np.zeros((20, 20), bool)}}
    return a_project(tmp_path_factory.mktemp("trial") / "i", found, reviewed=[*NAMES, "e.png"])


def shown(row: FileRow) -> dict[str, object]:
    # The manifest carries the time.
    return {key: value for key, value in asdict(row).items() if key != "size" or row.path != "run.json"}


@pytest.mark.parametrize("ratios", [(), (0.6, 0.2, 0.2)])
@pytest.mark.parametrize("name", WRITABLE)
def test_a_trial_run_shows_the_files_that_are_then_written(project: Path, tmp_path: Path, name: str, ratios) -> None:
    request = ExportRequest(project, name, tmp_path / "out", ratios=ratios, verify=True)
    trial = export(request, dry_run=True, rehearse=600)
    assert not list(tmp_path.iterdir())
    report = export(request)
    assert [shown(row) for row in trial.files] == [shown(row) for row in report.files]
    # The table is true: it counts what lies there, but for the report that is written from it.
    there = [file for file in (tmp_path / "out").rglob("*") if file.is_file() and not file.name.startswith("export-")]
    assert sum(row.files for row in report.files) == len(there)
    assert sum(row.size for row in report.files) == sum(file.stat().st_size for file in there)
    assert (trial.images, trial.regions, trial.pixels_lost) == (report.images, report.regions, report.pixels_lost)
    assert trial.part_classes == report.part_classes
    assert report.verified == (name not in {"cvat", "label-studio", "csv", "report", "overlays", "yolo-detection"})


def test_a_long_trial_run_extrapolates_files_and_counts_regions(project: Path, tmp_path: Path) -> None:
    request = ExportRequest(project, "yolo-segmentation", tmp_path / "out", ratios=(0.5, 0.5))
    whole = export(request, dry_run=True, rehearse=600)
    short = export(request, dry_run=True, rehearse=0)
    assert (short.images, short.regions, short.pixels_lost, short.empty) == (
        whole.images,
        whole.regions,
        whole.pixels_lost,
        whole.empty,
    )
    rows = {row.path: row for row in whole.files}
    assert not all(row.exact for row in short.files)
    for row in short.files:
        assert (row.files, row.images, row.regions) == (
            rows[row.path].files,
            rows[row.path].images,
            rows[row.path].regions,
        )
        assert row.exact or row.size == pytest.approx(rows[row.path].size, rel=0.5)
    assert any("about" in row[3] for row in short.table())


def test_rows_stand_for_folders_and_never_for_parts_of_names() -> None:
    output = Output(None)
    for name in ("e", "e/e", "x"):
        output.begin((name, name.replace("/", "_")), "train")
        output.write(f"labels/train/{name}.txt", b"12345")
        output.write(f"{name}_mask.png", b"1", kind="annotations")
        output.append("all.json", b"123")
        output.end(0 if name == "x" else 2)
    output.begin()
    output.append("all.json", b"]")
    output.write("lists/a/b.txt", b"1")
    rows = {row.path: row for row in output.rows.values()}
    assert set(rows) == {"labels/train/", "*.png", "all.json", "lists/a/"}
    assert (rows["labels/train/"].files, rows["labels/train/"].size, rows["labels/train/"].empty) == (3, 15, 1)
    assert (rows["all.json"].files, rows["all.json"].size, rows["all.json"].images) == (1, 10, 3)
    assert rows["all.json"].regions == 4
    assert rows["lists/a/"].kind == "about"


def test_an_export_that_reads_back_otherwise_is_not_kept(project: Path, tmp_path: Path, monkeypatch) -> None:
    request = ExportRequest(project, "voc", tmp_path / "out", verify=True)
    written = voc.indexed_png

    def shifted(values: np.ndarray) -> bytes:
        return written(np.roll(values, 1, axis=1))

    monkeypatch.setattr(voc, "indexed_png", shifted)
    with pytest.raises(ExportError, match=r"ü 0\.jpg reads back with \d+ other pixels"):
        export(request)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("coco", {"segmentation": "polygons"}),
        ("coco", {"instances": "region"}),
        ("masks", {"classes": "separate", "fill": True}),
        ("masks", {"largest": True}),
        ("labelme", {"shapes": "polygon"}),
        ("yolo-segmentation", {}),
    ],
)
def test_what_a_format_loses_is_counted_exactly(project: Path, tmp_path: Path, name: str, options) -> None:
    # Reading back compares the lost pixels of every image with those that were counted.
    report = export(ExportRequest(project, name, tmp_path / "out", options=options, verify=True))
    assert report.verified
    assert 0 <= report.worst_iou <= report.iou <= 1
    assert (report.iou == 1) == (report.pixels_lost == 0)
    assert "read back" in report.sentence


def test_images_in_doubt_stay_out(tmp_path: Path) -> None:
    write_one(tmp_path / "e", files=("a.jpg", "b.jpg"), doubt=0.4)
    request = ExportRequest(tmp_path / "e", "masks", tmp_path / "out", max_doubt=0.3)
    with pytest.raises(ExportError, match="2 in doubt"):
        export(request, dry_run=True)
    assert export(ExportRequest(tmp_path / "e", "masks", tmp_path / "out", max_doubt=0.4), dry_run=True).images == 2


def test_images_that_are_gone_show_in_the_trial_run(tmp_path: Path) -> None:
    project = a_project(tmp_path / "i", {name: noisy(0) for name in ("a.jpg", "b.jpg")}, reviewed=["a.jpg", "b.jpg"])
    (tmp_path / "i" / "b.jpg").unlink()
    for rehearse in (600.0, 0.0):
        trial = export(ExportRequest(project, "voc", tmp_path / "out"), dry_run=True, rehearse=rehearse)
        assert (trial.images, trial.left_out) == (1, {"cannot be read": 1})
        assert trial.left_out_files == {"cannot be read": ("b.jpg",)}
    # Annotations alone need no image.
    assert export(ExportRequest(project, "coco", tmp_path / "out"), dry_run=True).images == 2


def test_images_stored_turned_are_said_when_only_referenced(tmp_path: Path) -> None:
    project = a_project(tmp_path / "i", {"a.jpg": noisy(0)}, reviewed=["a.jpg"])
    tags = Image.Exif()
    tags[0x0112] = 6
    photo(tmp_path / "i" / "a.jpg", (22, 30), exif=tags)
    referenced = export(ExportRequest(project, "coco", tmp_path / "out"), dry_run=True)
    assert referenced.turned == 1
    assert "stored turned" in referenced.sentence
    copied = export(ExportRequest(project, "coco", tmp_path / "out", images="copy"))
    assert copied.turned == 0
    assert Image.open(tmp_path / "out" / "images" / "a.jpg").getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (99_400, "99.4 kB"), (388_000, "388 kB"), (999_600, "1 MB"),
     (4_900_000, "4.9 MB"), (2_500_000_000, "2.5 GB")],
)  # fmt: skip
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


HOSTILE = (
    *("a b.png", "y/same.jpg", "y/same.png", "UP.jpg", "up.jpg", "CON.png"),
    *('quo"te.png', "a:b?.png", "ünï/çø.png", ".. x.jpg"),
)


@pytest.mark.skipif(sys.platform != "linux", reason="these names need a file system that tells case apart")
@pytest.mark.parametrize(
    ("name", "images"),
    [("coco", "copy"), ("coco", None), ("voc", None), ("labelme", "copy"), ("labelme", None), ("masks", None)],
)
def test_what_was_renamed_on_its_way_out_is_known_on_its_way_in(tmp_path: Path, name: str, images) -> None:
    found = {file: {1: np.random.default_rng(i).random((9, 11)) > 0.5} for i, file in enumerate(HOSTILE)}
    source = a_project(tmp_path / "there", found, reviewed=HOSTILE)
    export(ExportRequest(source, name, tmp_path / "out", images=images, ratios=(0.5, 0.5), verify=True))
    again = a_project(tmp_path / "here", {file: {1: np.zeros((9, 11), bool)} for file in HOSTILE})
    with Project.open(again) as project:
        report = import_annotations(project, ImportRequest(tmp_path / "out", class_name="melanoma"))
        assert (report.images, report.unknown_count) == (len(HOSTILE), 0)
        for record in project.images():
            (mask,) = [mask for mask in project.final_masks(record.id or 0) if mask.class_id == 1]
            assert np.array_equal(mask.pixels, found[record.path.as_posix()][1]), record.path


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("yolo-detection", "images/train"),
        ("coco", "images"),
        ("voc", "JPEGImages"),
        ("mmsegmentation", "img_dir/train"),
    ],
)
def test_trainers_see_every_image(tmp_path: Path, name: str, folder: str) -> None:
    project = a_project(tmp_path / "i", {"a.gif": noisy(0), "b.jpg": noisy(1)}, reviewed=["a.gif", "b.jpg"])
    export(ExportRequest(project, name, tmp_path / "out", images="copy"))
    assert sorted(file.name for file in (tmp_path / "out" / folder).iterdir()) == ["a.png", "b.jpg"]
    assert np.array_equal(read_image(tmp_path / "out" / folder / "a.png"), read_image(tmp_path / "i" / "a.gif"))


def test_boxes_end_at_the_frame_in_every_format(tmp_path: Path) -> None:
    project = a_project(tmp_path / "i", {"a.jpg": {1: np.zeros((30, 40), bool)}}, reviewed=["a.jpg"])
    with Project.open(project) as opened:
        opened.add_box(1, Box(-3, 2, 15, 500, 1))
        opened.add_box(1, Box(41, 2, 55, 9, 1))
    for name in ("yolo-detection", "voc", "cvat", "label-studio", "labelme"):
        export(ExportRequest(project, name, tmp_path / name))
    text = (tmp_path / "yolo-detection" / "labels" / "train" / "a.txt").read_text()
    assert text == "0 0.18750000 0.53333333 0.37500000 0.93333333\n"
    read = read_voc(tmp_path / "voc" / "Annotations" / "a.xml")
    assert [box.xyxy for box in read.boxes] == [(0, 2, 15, 30)]
    assert 'xtl="0.00" ytl="2.00" xbr="15.00" ybr="30.00"' in (tmp_path / "cvat" / "annotations.xml").read_text()
    (task,) = json.loads((tmp_path / "label-studio" / "tasks.json").read_text())
    (result,) = task["predictions"][0]["result"]
    assert [result["value"][key] for key in ("x", "y", "width", "height")] == pytest.approx([0, 20 / 3, 37.5, 280 / 3])
    assert read_labelme(tmp_path / "labelme" / "a.json").boxes == (("melanoma", (0, 2, 15, 30)),)


def test_a_class_with_a_colon_is_one_class_in_every_file_of_voc(tmp_path: Path) -> None:
    project = a_project(tmp_path / "i", {"a.jpg": noisy(0)}, reviewed=["a.jpg"])
    request = ExportRequest(project, "voc", tmp_path / "out", class_map={"melanoma": "skin: melanoma"})
    export(request)
    assert "<name>skin_ melanoma</name>" in (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert "\nskin_ melanoma:128,0,0::" in (tmp_path / "out" / "labelmap.txt").read_text()


def test_doubt_goes_along_until_a_person_looked(tmp_path: Path) -> None:
    write_one(tmp_path / "e", doubt=0.25)
    for name, file in (("coco", "instances.json"), ("csv", "summary.csv"), ("report", "report.html")):
        export(ExportRequest(tmp_path / "e", name, tmp_path / name))
        assert "0.25" in (tmp_path / name / file).read_text(encoding="utf-8")
    found = json.loads((tmp_path / "coco" / "instances.json").read_text())
    assert found["annotations"][0]["attributes"]["doubt"] == 0.25
    # A project knows it of the image, and forgets it with the automatic mask.
    project = a_project(tmp_path / "i", {"a.jpg": {1: noisy(0)[1]}, "b.jpg": {1: noisy(0)[1]}})
    with Project.open(project) as opened:
        for image_id in (1, 2):
            opened.store_result(image_id, run_id=None, masks=[Mask(noisy(0)[1], 1)], doubt=0.75)
        opened.set_status([2], "reviewed")
    request = ExportRequest(project, "coco", tmp_path / "p", status="all")
    export(request)
    rows = json.loads((tmp_path / "p" / "instances.json").read_text())["annotations"]
    assert [row["attributes"].get("doubt") for row in rows] == [0.75, None]
    sure = export(replace(request, max_doubt=0.5), dry_run=True)
    assert (sure.images, sure.left_out) == (1, {"in doubt": 1})


def test_columns_that_keep_images_together_come_first(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("image_id,age,Patient\na,1,2\n")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfimage,sex,lesion_id\r\na,f,L1\r\n")
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.csv").mkdir()
    found = find_group_columns([tmp_path, tmp_path, tmp_path / "absent"])
    assert [(entry.path.name, entry.column) for entry in found] == [
        ("a.csv", "lesion_id"),
        ("b.csv", "Patient"),
        ("a.csv", "sex"),
        ("b.csv", "age"),
    ]
    assert [keeps_together(entry.column) for entry in found] == [True, True, False, False]
