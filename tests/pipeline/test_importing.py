"""What others annotated comes in whole or not at all, and never over a person's work without consent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from exports import write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camviewer.cli import main
from camviewer.errors import Cancelled, FormatError, UsageError
from camviewer.formats.annotated import recognise
from camviewer.formats.records import Item, ItemBox, ItemMask
from camviewer.formats.yolo import read_names
from camviewer.pipeline.importing import ImageNames, ImportRequest, import_annotations, open_project
from camviewer.project.records import Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.project.truth import compare, images_with_truth, truths

SIZE = (30, 20)
FILES = ("a.png", "sub/b ü.png", "c.png")


def masks_of(index: int) -> list[np.ndarray]:
    first = np.zeros((SIZE[1], SIZE[0]), bool)
    first[2 + index : 12, 3:15] = True
    first[6:8, 6:9] = False  # a hole
    second = np.zeros_like(first)
    second[14:18, 18:27] = True
    return [first, second]


def items(folder: Path) -> list[Item]:
    made = []
    for i, file in enumerate(FILES):
        stem = file.rsplit(".", 1)[0]
        source = folder / file
        pixels = masks_of(i)
        found = tuple(ItemMask(k + 1, mask, reviewed=True) for k, mask in enumerate(pixels))
        boxes = (ItemBox(3, (1.0, 2.0, 11.0, 9.0)),)
        flat = stem.replace("/", "_")
        made.append(Item(file, stem, flat, source, SIZE, found, boxes, reviewed=True))
    return made


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, "white").save(folder / file)
    return folder


@pytest.fixture
def project(images: Path):
    with Project.create(images / "p.camviewer") as made:
        made.add_images([ImageRecord(PurePosixPath(file), SIZE) for file in FILES])
        made.set_class_table(ClassTable.for_model(("Melanoma",)))
        yield made


def everything(project: Project) -> object:
    rows = project.read_rows
    return [
        rows(f"SELECT * FROM {name} ORDER BY 1") for name in ("images", "boxes", "masks", "truths", "classes", "runs")
    ]


@pytest.mark.parametrize(
    ("name", "kind", "options", "exact"),
    [
        ("coco", "coco", {}, True),
        ("coco", "coco", {"segmentation": "polygons"}, False),
        ("voc", "voc", {}, True),
        ("labelme", "labelme", {}, True),
        ("labelme", "labelme", {"shapes": "polygon"}, False),
        ("yolo-segmentation", "yolo", {}, False),
        ("yolo-detection", "yolo", {}, None),
        ("masks", "masks", {"classes": "separate"}, True),
    ],
)
def test_what_was_exported_comes_back(project: Project, images: Path, tmp_path: Path, name, kind, options, exact):
    write(tmp_path / "out", name, items(images), **options)
    assert recognise(tmp_path / "out") == kind
    report = import_annotations(project, ImportRequest(tmp_path / "out", reviewer="ab"))
    assert (report.images, report.unknown_count, report.kept) == (3, 0, 0)
    ids = {entry.name: entry.id for entry in project.class_table().classes}
    assert ids["Melanoma"] == 1  # the writer's "melanoma" is the same class
    for i in range(3):
        record = project.image(i + 1)
        assert (record.status, record.reviewer) == ("reviewed", "ab")
        found = {mask.class_id: mask for mask in project.masks(i + 1, slot="reviewed")}
        if exact is None:
            assert not found
            edges = {(box.x0, box.y0, box.x1, box.y1) for box in project.boxes(i + 1)}
            assert any(np.allclose(edge, (1, 2, 11, 9), atol=1e-4) for edge in edges)
            continue
        for mask, label in zip(masks_of(i), ("Melanoma", "naevus öä"), strict=True):
            if exact:
                assert np.array_equal(found[ids[label]].pixels, mask)
            else:
                filled = mask.copy()
                filled[6:8, 6:9] |= mask[10, 4]  # polygons fill the hole
                expected = filled if label == "Melanoma" else mask
                assert np.array_equal(found[ids[label]].pixels, expected)
    if name in {"voc", "labelme"}:
        (box,) = [box for box in project.boxes(1) if box.class_id == ids["bcc"]]
        assert (box.x0, box.y0, box.x1, box.y1, box.origin) == (1, 2, 11, 9, "manual")


def test_imported_regions_are_all_that_an_image_has(project: Project, images: Path, tmp_path: Path) -> None:
    other = np.ones((SIZE[1], SIZE[0]), bool)
    project.add_class("artefact")
    project.store_result(1, run_id=None, boxes=[Box(0, 0, 5, 5, 2)], masks=[Mask(other, 2)])
    write(tmp_path / "out", "coco", items(images))
    import_annotations(project, ImportRequest(tmp_path / "out"))
    final = {mask.class_id: mask.pixels.any() for mask in project.final_masks(1)}
    assert final == {1: True, 2: False, 3: True}
    assert project.boxes(1) == []


def test_a_persons_work_stays_without_consent(project: Project, images: Path, tmp_path: Path) -> None:
    mine = np.zeros((SIZE[1], SIZE[0]), bool)
    mine[0, 0] = True
    project.set_mask(1, Mask(mine, 1))
    project.set_status([2], "reviewed", reviewer="me")
    write(tmp_path / "out", "masks", items(images))
    report = import_annotations(project, ImportRequest(tmp_path / "out"))
    assert (report.images, report.kept) == (1, 2)
    assert "2 images stayed as they were" in report.sentence
    assert np.array_equal(project.masks(1, slot="reviewed")[0].pixels, mine)
    assert project.image(2).reviewer == "me"
    report = import_annotations(project, ImportRequest(tmp_path / "out", replace=True))
    assert (report.images, report.kept) == (3, 0)
    assert np.array_equal(project.masks(1, slot="reviewed")[0].pixels, masks_of(0)[0] | masks_of(0)[1])


def test_truth_is_kept_apart_and_compared(project: Project, images: Path, tmp_path: Path) -> None:
    half = masks_of(0)[0].copy()
    half[:, 9:] = False
    project.store_result(1, run_id=None, masks=[Mask(half, 1)])
    before = project.read_rows("SELECT * FROM masks")
    write(tmp_path / "out", "coco", items(images))
    report = import_annotations(project, ImportRequest(tmp_path / "out", purpose="truth"))
    assert "to compare with: 6 masks" in report.sentence
    assert project.read_rows("SELECT * FROM masks") == before
    assert project.image(1).status == "computed"
    assert images_with_truth(project) == [1, 2, 3]
    assert np.array_equal(truths(project, 1)[0].pixels, masks_of(0)[0])
    first, second = compare(project, 1)
    area, true_area = half.sum(), masks_of(0)[0].sum()
    assert first.iou == pytest.approx(area / true_area)
    assert first.dice == pytest.approx(2 * area / (area + true_area))
    assert (second.iou, second.area) == (0.0, 0)
    assert import_annotations(project, ImportRequest(tmp_path / "out", purpose="truth")).kept == 3


def test_the_inside_of_boxes_is_the_truth_where_nothing_is_drawn(project: Project, tmp_path: Path) -> None:
    width, height = SIZE
    labels = tmp_path / "labels"
    labels.mkdir()
    (tmp_path / "data.yaml").write_text("names: [Melanoma]")
    file = Path(FILES[0])
    (labels / f"{file.stem}.txt").write_text("0 0.25 0.5 0.5 1\n0 0.9 0.25 0.2 0.5\n")
    import_annotations(project, ImportRequest(tmp_path, purpose="truth"))
    (truth,) = truths(project, images_with_truth(project)[0])
    expected = np.zeros((height, width), bool)
    expected[:, : round(width / 2)] = True
    expected[: round(height / 2), round(0.8 * width) :] = True
    assert np.array_equal(truth.pixels, expected)


def test_a_box_by_hand_is_a_persons_work(project: Project, images: Path, tmp_path: Path) -> None:
    project.store_result(1, run_id=None, boxes=[Box(0, 0, 5, 5, 1)])
    project.add_box(1, Box(1, 1, 4, 4, 1, origin="manual"))
    write(tmp_path / "out", "masks", items(images))
    assert import_annotations(project, ImportRequest(tmp_path / "out")).kept == 1


def test_a_folder_becomes_a_project_that_names_what_cannot_be_read(images: Path, tmp_path: Path) -> None:
    (images / "broken.png").write_bytes(b"\x89PNG")
    with open_project(images) as made:
        file = made.path
        failed = [record for record in made.images() if record.status == "failed"]
        assert [record.path.name for record in failed] == ["broken.png"]
        assert "cannot be read" in failed[0].error
    with open_project(file) as again:
        assert len(again.images()) == len(FILES) + 1
    with pytest.raises(UsageError, match="is not there"):
        open_project(tmp_path / "nowhere")


def test_a_trial_counts_and_changes_nothing(project: Project, images: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", "coco", items(images))
    before = everything(project)
    trial = import_annotations(project, ImportRequest(tmp_path / "out"), dry_run=True)
    assert everything(project) == before
    assert "3 images would be imported" in trial.sentence
    real = import_annotations(project, ImportRequest(tmp_path / "out"))
    assert (real.images, real.masks, real.boxes, real.classes) == (
        trial.images,
        trial.masks,
        trial.boxes,
        trial.classes,
    )


BROKEN = {
    "coco": ("instances.json", '"category_id": 2', '"category_id": 77', "category_id"),
    "voc": ("Annotations/c.xml", "<xmax>", "<xmax>much", "bndbox.xmax"),
    "yolo-segmentation": ("labels/train/c.txt", "0.", "x.", "line 1"),
    "labelme": ("c.json", '"imageWidth": 30', '"imageWidth": "wide"', "imageWidth"),
    "masks": ("c_segmentation.png", None, b"no picture", "c_segmentation.png"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_malformed_input_is_named_and_changes_nothing(project: Project, images: Path, tmp_path: Path, name) -> None:
    write(tmp_path / "out", name, items(images))
    file, old, new, said = BROKEN[name]
    path = tmp_path / "out" / file
    if old is None:
        path.write_bytes(new)
    else:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    before = everything(project)
    with pytest.raises(FormatError, match=said.replace("[", r"\[")):
        import_annotations(project, ImportRequest(tmp_path / "out"))
    assert everything(project) == before


def test_other_sizes_unknown_images_and_cancelling_change_nothing(project, images: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", "coco", items(images))
    before = everything(project)
    with pytest.raises(Cancelled):
        import_annotations(project, ImportRequest(tmp_path / "out"), cancelled=lambda: True)
    path = tmp_path / "out" / "instances.json"
    data = json.loads(path.read_text())
    for image in data["images"]:
        image["file_name"] = image["file_name"].replace(".png", " other.png")
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"annotates no image of this project\. The first is a other\.png"):
        import_annotations(project, ImportRequest(path))
    write(tmp_path / "voc", "voc", items(images))
    xml = tmp_path / "voc" / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace("<width>30</width>", "<width>20</width>"))
    shutil.rmtree(tmp_path / "voc" / "SegmentationClass")
    with pytest.raises(FormatError, match=r"a\.xml: a\.png has 20 x 20 pixels, in the project 30 x 20"):
        import_annotations(project, ImportRequest(tmp_path / "voc"))
    with pytest.raises(UsageError, match="not there"):
        import_annotations(project, ImportRequest(tmp_path / "nowhere"))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FormatError, match="holds no annotations"):
        import_annotations(project, ImportRequest(tmp_path / "nothing"))
    assert everything(project) == before


def test_classes_are_mapped_left_out_and_added(project: Project, images: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", "coco", items(images))
    report = import_annotations(
        project, ImportRequest(tmp_path / "out", class_map={"naevus öä": "melanoma", "melanoma": ""})
    )
    assert report.classes == ()
    (mask,) = project.masks(1, slot="reviewed")
    assert (mask.class_id, np.array_equal(mask.pixels, masks_of(0)[1])) == (1, True)


def test_names_are_matched_by_folders_and_never_guessed() -> None:
    records = [ImageRecord(PurePosixPath(p), SIZE) for p in ("x/a.jpg", "y/a.jpg", "b.c.png", "d.jpg")]
    names = ImageNames(records)
    assert names.find("data/y/a.jpg") is records[1]
    assert names.find("a.jpg") is None
    assert names.find("data\\x\\a.png") is records[0]
    assert names.find("b.c") is records[2]
    assert names.find("D.JPG") is records[3]
    assert names.find("d") is records[3]
    assert names.find("dd.jpg") is None
    assert names.find("y_a.png") is records[1]


@pytest.mark.parametrize(
    "text",
    [
        "names: {0: melanoma, 1: 'a, b', 2: \"c: ü\"}",
        "path: .\nnames:\n  0: melanoma  # first\n  1: 'a, b'\n  2: \"c: ü\"\nnc: 3\n",
        "names:\n- melanoma\n- 'a, b'\n- \"c: ü\"\ntrain: x\n",
        "nc: 3\nnames: [melanoma, 'a, b', \"c: ü\"]\n",
        "names: [\n  melanoma,\n  'a, b',\n  \"c: ü\"\n]\n",
    ],
)
def test_class_names_of_yolo_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    assert read_names(tmp_path / "data.yaml") == {0: "melanoma", 1: "a, b", 2: "c: ü"}


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_annotations_are_one_sentence_at_worst(tmp_path_factory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    with Project.create(folder / "p.camviewer") as project:
        project._connection.execute("PRAGMA synchronous = OFF")
        project.add_images([ImageRecord(PurePosixPath("x.png"), SIZE)])
        before = everything(project)
        for name in ("x.json", "x.xml", "data.yaml", "x.png", "x.txt"):
            (folder / "in").mkdir(exist_ok=True)
            (folder / "in" / name).write_bytes(data)
            try:
                import_annotations(project, ImportRequest(folder / "in"))
            except FormatError as error:
                assert error.message.endswith(".")
                assert everything(project) == before
            shutil.rmtree(folder / "in")


def test_the_command_imports_into_a_folder_of_images(images: Path, tmp_path: Path, capsys) -> None:
    write(tmp_path / "out", "masks", items(images))
    arguments = ["import", str(images), str(tmp_path / "out"), "--class-name", "lesion"]
    assert main([*arguments, "--dry-run"]) == 0
    assert "3 images would be imported as reviewed: 3 masks." in capsys.readouterr().out
    assert main(arguments) == 0
    assert "3 images imported as reviewed: 3 masks." in capsys.readouterr().out
    assert main([*arguments, "--as", "truth"]) == 0
    assert "Mean IoU of the project's masks with the truth: 1.000" in capsys.readouterr().out
    assert main(["import", str(images), str(tmp_path / "nowhere")]) == 2
    (tmp_path / "out" / "a_segmentation.png").write_bytes(b"x")
    assert main([*arguments, "--replace"]) == 1
    assert main([*arguments, "--map", "x"]) == 2
