"""Exports read by programs too large to be installed for every run, each in an environment of its own.

``CAMVIEWER_NNUNET_PYTHON``, ``CAMVIEWER_LABELME_PYTHON``, ``CAMVIEWER_DATUMARO_PYTHON``,
``CAMVIEWER_LABELSTUDIO_PYTHON`` (label-studio-sdk) and ``CAMVIEWER_ULTRALYTICS_PYTHON`` name their interpreters; run
with ``-m nightly``.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
from PIL import Image

from camviewer.formats.labelme import read_labelme
from camviewer.formats.polygons import index_polygons
from camviewer.pipeline.export import ExportRequest, export
from camviewer.project.records import Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project

pytestmark = pytest.mark.nightly

SIZES = {
    "a 1.png": (60, 40),
    "sub/ü.jpg": (33, 51),
    "empty.jpg": (20, 24),
    "turned.jpg": (48, 30),
    "images/images/grey 16.png": (26, 22),
}


def interpreter(variable: str) -> str:
    found = os.environ.get(variable, "")
    if not found:
        pytest.skip(f"{variable} names no interpreter")
    return found


def run(python: str, code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "", "QT_QPA_PLATFORM": "offscreen", **environment},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    folder = tmp_path / "images"
    path = folder / "p.camviewer"
    with Project.create(path) as made:
        made.set_class_table(ClassTable.for_model(("melanoma", "naevus öä")))
        for i, (name, (width, height)) in enumerate(SIZES.items(), 1):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
            if "16" in name:
                image = Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
            if name == "turned.jpg":
                tags = Image.Exif()
                tags[0x0112] = 6
                image.transpose(Image.Transpose.ROTATE_90).save(file, exif=tags)
            else:
                image.save(file)
            made.add_images([ImageRecord(PurePosixPath(name), (width, height))])
            if name != "empty.jpg":
                first = rng.random((height, width)) > 0.7
                first[: height // 2] = False
                second = np.zeros((height, width), bool)
                second[2:9, 3:14] = True
                second[4:6, 6:8] = False
                made.set_mask(i, Mask(first, 1))
                made.set_mask(i, Mask(second, 2))
                made.add_box(i, Box(1, 2, 11, 9, 1))
            made.set_status([i], "reviewed")
    return path


def masks_of(project: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the masks of each image, by its name and that of the class."""
    with Project.open(project) as opened:
        names = {entry.id: entry.name for entry in opened.class_table().classes}
        return {
            record.path.as_posix(): {names[mask.class_id]: mask.pixels for mask in opened.masks(record.id or 0)}
            for record in opened.images()
        }


NNUNET = """
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], 1)
"""


def verified(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    # A file: its worker processes import the main module again.
    script = tmp_path / "verify.py"
    script.write_text(NNUNET)
    place = str(tmp_path)
    return subprocess.run(
        [interpreter("CAMVIEWER_NNUNET_PYTHON"), str(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": "",
            "nnUNet_raw": place,
            "nnUNet_preprocessed": place,
            "nnUNet_results": place,
        },
    )


@pytest.mark.parametrize("options", [{}, {"ignore": True}])
def test_nnunet_verifies_the_data_set(project: Path, tmp_path: Path, options) -> None:
    interpreter("CAMVIEWER_NNUNET_PYTHON")
    export(ExportRequest(project, "nnunet", tmp_path / "out", options=options))
    folder = tmp_path / "out" / "Dataset101_Camviewer"
    done = verified(folder, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout
    # The check can fail: a number that dataset.json does not name.
    label = next(iter(sorted((folder / "labelsTr").glob("a*.png"))))
    pixels = np.array(Image.open(label))
    pixels[0, 0] = 9
    Image.fromarray(pixels).save(label)
    assert verified(folder, tmp_path).returncode != 0


LABELME = """
import json, sys
from labelme._label_file import read_label_file, write_label_file
found = read_label_file(filename=sys.argv[1])
shapes = [
    {
        "label": shape["label"],
        "kind": shape["shape_type"],
        "points": [[float(x) for x in point] for point in shape["points"]],
        "mask": None if shape["mask"] is None else shape["mask"].astype(int).tolist(),
    }
    for shape in found.shapes
]
data = json.load(open(sys.argv[1], encoding="utf-8"))
write_label_file(filename=sys.argv[2], annotation=found, image_height=data["imageHeight"],
                 image_width=data["imageWidth"], save_image_data=False)
print(json.dumps({"shapes": shapes, "flags": found.flags, "other": found.other_data}))
"""


@pytest.mark.parametrize("shapes", ["mask", "polygon"])
@pytest.mark.parametrize("images", ["copy", "reference"])
def test_labelme_reads_and_rewrites_every_file(project: Path, tmp_path: Path, shapes: str, images) -> None:
    python = interpreter("CAMVIEWER_LABELME_PYTHON")
    # What stays in place stays as it is, and labelme opens pixels of 8 bits alone.
    files = {name for name in SIZES if images == "copy" or "16" not in name}
    request = ExportRequest(project, "labelme", tmp_path / "out", options={"shapes": shapes}, images=images)
    export(replace(request, files=tuple(files)))
    written = sorted((tmp_path / "out").rglob("*.json"))
    written = [file for file in written if not file.name.startswith(("run", "export-"))]
    assert len(written) == len(files)
    masks = {Path(name).stem: found for name, found in masks_of(project).items()}
    for file in written:
        again = file.with_name(file.stem + ".again.json")
        done = run(python, LABELME, file, again)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout.splitlines()[-1])
        assert data["flags"] == {"reviewed": True}
        assert data["other"]["camviewer"]["status"] == "reviewed"
        if shapes == "mask":
            read = [shape for shape in data["shapes"] if shape["kind"] == "mask"]
            assert [shape["label"] for shape in read] == list(masks[file.stem])
            for shape in read:
                (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
                mask = masks[file.stem][shape["label"]]
                drawn = np.zeros_like(mask)
                drawn[y0 : y1 + 1, x0 : x1 + 1] = np.array(shape["mask"], bool)
                assert np.array_equal(drawn, mask)
        # What labelme writes comes back as it was.
        before, after = read_labelme(file), read_labelme(again)
        assert before.boxes == after.boxes
        assert before.masks.keys() == after.masks.keys()
        assert all(np.array_equal(before.masks[name], after.masks[name]) for name in before.masks)


DATUMARO = """
import json, sys
import numpy as np
from datumaro.components.dataset import Dataset
read = Dataset.import_from(sys.argv[1], "cvat")
names = [entry.name for entry in next(iter(read.categories().values())).items]
found = []
for item in read:
    masks = {names[a.label]: a.image.astype(int).tolist() for a in item.annotations if a.type.name == "mask"}
    boxes = [[names[a.label], *a.points] for a in item.annotations if a.type.name == "bbox"]
    pixels = item.media.data
    found.append([item.id, item.subset, list(pixels.shape[:2]), masks, boxes])
print(json.dumps([names, found]))
"""


@pytest.mark.parametrize("ratios", [(), (0.5, 0.5)])
def test_datumaro_reads_cvat(project: Path, tmp_path: Path, ratios: tuple[float, ...]) -> None:
    python = interpreter("CAMVIEWER_DATUMARO_PYTHON")
    export(ExportRequest(project, "cvat", tmp_path / "out", ratios=ratios, images="copy"))
    done = run(python, DATUMARO, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names, found = json.loads(done.stdout.splitlines()[-1])
    assert names == ["melanoma", "naevus öä"]
    assert {part for _, part, *_ in found} == ({"train", "val"} if ratios else {"annotations"})
    masks = {name.rpartition(".")[0]: masks for name, masks in masks_of(project).items()}
    sizes = {name.rpartition(".")[0]: size for name, size in SIZES.items()}
    assert {name for name, *_ in found} == set(sizes)
    for name, _, shape, drawn, boxes in found:
        assert tuple(shape[::-1]) == sizes[name]
        assert boxes == ([["melanoma", 1, 2, 11, 9]] if name != "empty" else [])
        assert drawn.keys() == masks[name].keys()
        assert all(np.array_equal(drawn[label], masks[name][label]) for label in drawn)


LABEL_STUDIO = """
import json, sys
from pathlib import Path
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface
folder = Path(sys.argv[1])
setup = LabelInterface((folder / "labels.xml").read_text(encoding="utf-8"))
setup.validate()
found = []
for task in json.loads((folder / "tasks.json").read_text(encoding="utf-8")):
    (prediction,) = task["predictions"]
    masks = {
        entry["value"]["brushlabels"][0]: decode_rle(entry["value"]["rle"])
        .reshape(entry["original_height"], entry["original_width"], 4)
        .tolist()
        for entry in prediction["result"]
        if entry["type"] == "brushlabels"
    }
    found.append([task["data"]["image"], setup.validate_prediction(prediction, return_errors=True), masks])
    for entry in prediction["result"]:
        entry["type"] = "choices"
    refused = setup.validate_prediction(prediction, return_errors=True)
    assert bool(refused) == bool(prediction["result"])
print(json.dumps(found))
"""


def test_label_studio_decodes_and_accepts_predictions(project: Path, tmp_path: Path) -> None:
    python = interpreter("CAMVIEWER_LABELSTUDIO_PYTHON")
    export(ExportRequest(project, "label-studio", tmp_path / "out", images="copy"))
    done = run(python, LABEL_STUDIO, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    masks = masks_of(project)
    found = json.loads(done.stdout.splitlines()[-1])
    assert {image.removeprefix("images/") for image, *_ in found} == set(masks)
    for image, errors, drawn in found:
        expected = masks[image.removeprefix("images/")]
        assert errors == []
        assert drawn.keys() == expected.keys()
        for label, pixels in expected.items():
            assert np.array_equal(drawn[label], np.repeat(np.where(pixels, 255, 0)[..., None], 4, axis=2))


ULTRALYTICS = """
import json, sys
import numpy as np
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygon2mask
task = sys.argv[2]
data = check_det_dataset(sys.argv[1], autodownload=False)
found = {}
for part in ("train", "val"):
    for label in YOLODataset(img_path=data[part], data=data, task=task).labels:
        height, width = label["shape"]
        masks = {}
        for number, outline in zip(label["cls"].ravel(), label["segments"]):
            drawn = polygon2mask((height, width), [(outline * (width, height)).ravel()])
            name = data["names"][int(number)]
            masks[name] = np.maximum(masks.get(name, 0), drawn)
        boxes = []
        for number, box in zip(label["cls"].ravel(), label["bboxes"].astype(float)):
            x, y, w, h = box * (width, height, width, height)
            boxes.append([data["names"][int(number)], x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        found[label["im_file"]] = [[width, height], boxes, {name: mask.tolist() for name, mask in masks.items()}]
print("found " + json.dumps(found))
"""


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_ultralytics_reads_yolo_from_any_folder(project: Path, tmp_path: Path, task: str) -> None:
    python = interpreter("CAMVIEWER_ULTRALYTICS_PYTHON")
    name = "yolo-detection" if task == "detect" else "yolo-segmentation"
    export(ExportRequest(project, name, tmp_path / "out", ratios=(0.5, 0.5)))
    done = run(python, ULTRALYTICS, tmp_path / "out" / "data.yaml", task, YOLO_CONFIG_DIR=str(tmp_path / "settings"))
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("found "))
    found = {Path(file).stem: row for file, row in json.loads(line.removeprefix("found ")).items()}
    masks = {name.rpartition(".")[0].replace("/", "_"): masks for name, masks in masks_of(project).items()}
    assert found.keys() == masks.keys()
    assert not masks["empty"]
    for image, (size, boxes, drawn) in found.items():
        expected = masks[image]
        assert tuple(size[::-1]) == next((mask.shape for mask in expected.values()), (24, 20))
        if task == "detect":
            tight = [["naevus öä", 3, 2, 14, 9], ["melanoma", 1, 2, 11, 9]] if expected else []
            assert sorted(row[0] for row in boxes) == sorted(row[0] for row in tight)
            for row in boxes:
                np.testing.assert_allclose(row[1:], next(box[1:] for box in tight if box[0] == row[0]), atol=1e-3)
            continue
        for label, pixels in expected.items():
            back = np.zeros(pixels.shape, np.uint8)
            for outline in index_polygons(pixels):
                cv2.fillPoly(back, [outline], 1)
            assert np.array_equal(drawn[label], back)
