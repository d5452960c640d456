"""``camviewer-cli evaluate`` through `main`: on folders whose truth is their own masks, other masks, or boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camviewer import cli
from camviewer.errors import FormatError
from camviewer.formats.explain_reader import read_explain
from camviewer.pipeline.truth import TruthFolder, read_truth


@pytest.fixture
def run(capsys):
    torch.set_num_threads(1)

    def run(*arguments):
        status = cli.main([*map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def explained(run, pictures, checkpoint, tmp_path) -> Path:
    out = tmp_path / "out"
    words = ("--weights", checkpoint, "--input-size", 64, "--classes", "top2", "--refine", "none")
    assert run("explain", pictures, "--out", out, *words)[0] == 0
    return out


def save(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def copy_masks(out: Path, folder: Path, name: str = "{}_segmentation.png") -> None:
    """Make every image's first mask its truth."""
    results = read_explain(out)
    for row in results.images:
        save(folder / name.format(Path(row.file).stem), results.read_mask(row, row.masks[0]))


def test_masks_agree_with_themselves(run, explained, tmp_path):
    copy_masks(explained, tmp_path / "truth", "{}_Segmentation.PNG")
    status, said, errors = run("evaluate", explained, "--truth", tmp_path / "truth", "--json")
    assert (status, errors) == (0, "")
    report = json.loads(said)
    first, centre = report["rows"]
    assert report["images"] == 3
    assert first["masks"] == {"images": 3, "iou": 1, "dice": 1, "thresholded_jaccard": 1, "empty": 0}
    assert first["maps"]["pointing"] == 1
    assert first["maps"]["energy_gain"] > 1
    # The masks are 20 % of the maximum, largest component.
    assert first["maps"]["curve_iou"][20] > 0.8
    assert centre["control"] == "centre"
    assert centre["masks"]["iou"] < 1


def test_the_table_names_both_controls(run, explained, checkpoint, tmp_path):
    copy_masks(explained, tmp_path / "truth")
    words = ("--weights", checkpoint, "--input-size", 64, "--faithfulness", "--attention")
    status, said, errors = run("evaluate", explained, "--truth", tmp_path / "truth", *words)
    assert (status, errors) == (0, "")
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines[0] == "3 images measured."
    assert any(line.startswith("gradcam at ") and "1.000" in line for line in lines)
    assert any(line.startswith("centre Gaussian") for line in lines)
    assert any(line.startswith("random weights, gradcam at ") for line in lines)
    assert "average drop" in said
    assert "insertion" in said
    assert "energy over area (1.0 is chance): lesion" in said


def test_another_network_is_refused(run, explained, tmp_path):
    copy_masks(explained, tmp_path / "truth")
    status, _, errors = run("evaluate", explained, "--truth", tmp_path / "truth", "--model", "squeezenet1_1")
    assert status == 2
    assert "not what made these maps" in errors
    assert run("evaluate", explained, "--truth", tmp_path / "truth", "--faithfulness")[0] == 2


def test_images_without_truth_are_left_out_and_counted(run, explained, tmp_path):
    copy_masks(explained, tmp_path / "truth")
    (tmp_path / "truth" / "b_segmentation.png").unlink()
    status, said, _ = run("evaluate", explained, "--truth", tmp_path / "truth")
    assert status == 0
    assert "2 images measured; 1 image without truth" in said


def test_a_mask_of_another_size_is_a_problem_of_that_image(run, explained, tmp_path):
    copy_masks(explained, tmp_path / "truth")
    save(tmp_path / "truth" / "a_segmentation.png", np.ones((5, 5), bool))
    status, said, errors = run("evaluate", explained, "--truth", tmp_path / "truth")
    assert status == 1
    assert "2 images measured" in said
    assert errors.strip().endswith("a_segmentation.png is 5 x 5 pixels, its image 100 x 80.")


def test_nothing_to_measure(run, explained, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("evaluate", explained, "--truth", tmp_path / "empty")[0] == 2
    assert run("evaluate", explained, "--truth", tmp_path / "nowhere")[0] == 2
    save(tmp_path / "others" / "zebra_mask.png", np.ones((80, 100), bool))
    status, _, errors = run("evaluate", explained, "--truth", tmp_path / "others")
    assert status == 2
    assert "None of the 3 images" in errors


def test_boxes_of_coco(run, explained, tmp_path):
    results = read_explain(explained)
    images, annotations = [], []
    for number, row in enumerate(results.images):
        x0, y0, x1, y1 = row.boxes[0].xyxy
        images.append({"id": number, "file_name": row.file, "width": row.size[0], "height": row.size[1]})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
        )
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(data), encoding="utf-8")
    status, said, _ = run("evaluate", explained, "--truth", tmp_path / "boxes.json", "--json")
    first = json.loads(said)["rows"][0]
    assert status == 0
    assert first["masks"] is None
    assert first["maps"]["pxap"] is None
    assert first["maps"]["max_box_acc"] == 1
    assert first["maps"]["pointing"] == 1


def test_truth_by_name(tmp_path):
    ones, corner = np.ones((6, 8), bool), np.zeros((6, 8), bool)
    corner[:2, :2] = True
    save(tmp_path / "x" / "one.png", ones)
    save(tmp_path / "y" / "ONE.png", corner)
    save(tmp_path / "two.png", ones)
    save(tmp_path / "Two_MASK.png", corner)
    known = TruthFolder(tmp_path)
    assert known.find("y/one.jpg", (8, 6)).mask.sum() == 4
    assert known.find("x/one.jpg", (8, 6)).mask.all()
    assert known.find("two.jpg", (8, 6)).boxes == ((0, 0, 2, 2),)
    assert known.find("three.jpg", (8, 6)) is None
    # The image itself, or a photograph beside it, is no truth.
    assert known.find("x/one.png", (8, 6), source=tmp_path / "x" / "one.png").mask.sum() == 4


def test_files_of_truth(tmp_path):
    mask = np.zeros((40, 50), bool)
    mask[5:30, 5:30] = True
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "ones.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "lossy.jpg", quality=70)
    palette = Image.fromarray(mask.astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "palette.png")
    for name in ("ones.png", "palette.png"):
        np.testing.assert_array_equal(read_truth(tmp_path / name, (50, 40)), mask)
    assert (read_truth(tmp_path / "lossy.jpg", (50, 40)) != mask).mean() < 0.01
    colours = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "photo.png")
    assert read_truth(tmp_path / "photo.png", (50, 40), strict=False) is None
    with pytest.raises(FormatError, match="in colour"):
        read_truth(tmp_path / "photo.png", (50, 40))
