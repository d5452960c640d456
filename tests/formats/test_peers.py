"""Exports read by programs too large to be installed for every run: nnU-Net and labelme, each in an environment of its
own. ``CAMVIEWER_NNUNET_PYTHON`` and ``CAMVIEWER_LABELME_PYTHON`` name their interpreters; run with ``-m nightly``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from camviewer.formats.labelme import read_labelme
from camviewer.pipeline.export import ExportRequest, export
from camviewer.project.records import Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project

pytestmark = pytest.mark.nightly

SIZES = {"a 1.png": (60, 40), "sub/ü.jpg": (33, 51), "empty.jpg": (20, 24), "turned.jpg": (48, 30)}


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
    export(ExportRequest(project, "labelme", tmp_path / "out", options={"shapes": shapes}, images=images))
    files = sorted((tmp_path / "out").rglob("*.json"))
    files = [file for file in files if not file.name.startswith(("run", "export-"))]
    assert len(files) == len(SIZES)
    with Project.open(project) as opened:
        masks = {record.path.stem: opened.masks(record.id or 0) for record in opened.images()}
    for file in files:
        again = file.with_name(file.stem + ".again.json")
        done = run(python, LABELME, file, again)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout.splitlines()[-1])
        assert data["flags"] == {"reviewed": True}
        assert data["other"]["camviewer"]["status"] == "reviewed"
        if shapes == "mask":
            read = [shape for shape in data["shapes"] if shape["kind"] == "mask"]
            assert len(read) == len(masks[file.stem])
            for shape, mask in zip(read, masks[file.stem], strict=True):
                (x0, y0), (x1, y1) = np.array(shape["points"]).astype(int)
                drawn = np.zeros_like(mask.pixels)
                drawn[y0 : y1 + 1, x0 : x1 + 1] = np.array(shape["mask"], bool)
                assert np.array_equal(drawn, mask.pixels)
        # What labelme writes comes back as it was.
        before, after = read_labelme(file), read_labelme(again)
        assert before.boxes == after.boxes
        assert before.masks.keys() == after.masks.keys()
        assert all(np.array_equal(before.masks[name], after.masks[name]) for name in before.masks)
