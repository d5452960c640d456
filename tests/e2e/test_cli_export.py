"""``camviewer-cli export`` of what ``explain`` wrote, read back by pycocotools."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from camviewer import cli
from camviewer.pipeline.publish import MANIFEST


@pytest.fixture
def explained(pictures, checkpoint, tmp_path):
    out = tmp_path / "explained"
    words = ["explain", str(pictures), "--weights", str(checkpoint), "--input-size", "64", "--out", str(out)]
    assert cli.main(words) == 0
    return out


def run(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.main(["export", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def check_coco(out, explained) -> None:
    """Compare every annotation with the mask file of ``explain.json``, pixel by pixel."""
    coco = COCO(out / "instances.json")
    rows = {row["file"]: row for row in json.loads((explained / "explain.json").read_text("utf-8"))["images"]}
    assert coco.imgs
    for image in coco.imgs.values():
        (row,) = [row for name, row in rows.items() if name.endswith(image["file_name"].rsplit("/", 1)[-1])]
        assert (image["width"], image["height"]) == (row["width"], row["height"])
        expected = np.asarray(Image.open(explained / row["mask"])) > 0
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        found = np.zeros_like(expected)
        for annotation in annotations:
            mask = coco.annToMask(annotation).astype(bool)
            assert annotation["area"] == mask.sum()
            found |= mask
        np.testing.assert_array_equal(found, expected)


def test_coco_comes_back_to_the_same_pixels(capsys, explained, tmp_path):
    out = tmp_path / "coco"
    status, said, errors = run(capsys, explained, "--format", "coco", "--out", out)
    assert (status, errors) == (0, "")
    assert "3 images exported" in said
    check_coco(out, explained)
    assert "unreviewed" in (out / MANIFEST).read_text("utf-8")


def test_masks_come_back_to_the_same_pixels(capsys, explained, tmp_path):
    out = tmp_path / "masks"
    assert run(capsys, explained, "--format", "masks", "--out", out)[0] == 0
    written = list(out.rglob("*_segmentation.png"))
    assert len(written) == 3
    data = json.loads((explained / "explain.json").read_text("utf-8"))
    expected = {row["file"].rsplit("/")[-1].split(".")[0]: explained / row["mask"] for row in data["images"]}
    for file in written:
        name = file.name.removesuffix("_segmentation.png").rsplit("/")[-1]
        (mask,) = [mask for stem, mask in expected.items() if stem == name or stem.replace(" ", "_") == name]
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.asarray(Image.open(mask)))


def test_a_dry_run_writes_nothing(capsys, explained, tmp_path):
    out = tmp_path / "out"
    status, said, _ = run(capsys, explained, "--format", "coco", "--out", out, "--dry-run")
    assert status == 0
    assert "would be exported" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words", "expected"),
    [
        (["--format", "nope"], "nope", 2),
        (["--format", "coco", "--split", "0.5,0.1"], "add up to 1", 2),
        (["--format", "coco", "--param", "x=1"], "no parameter 'x'", 2),
        (["--format", "coco", "--param", "segmentation=waves"], "polygons", 2),
        (["--format", "coco", "--groups", "file.csv"], "FILE:COLUMN", 2),
        (["--format", "coco", "--status", "maybe"], "maybe", 2),
        (["--format", "coco", "--status", "reviewed"], "", 1),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys, explained, tmp_path, arguments, words, expected):
    status, said, errors = run(capsys, explained, "--out", tmp_path / "out", *arguments)
    assert (status, said) == (expected, "")
    assert len(errors.strip().splitlines()) == 1
    assert words in errors
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_is_one_sentence(capsys, tmp_path):
    status, _, errors = run(capsys, tmp_path, "--format", "coco", "--out", tmp_path / "out")
    assert status in {1, 2}
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.data
def test_real_dermoscopy_comes_back_to_the_same_pixels(capsys, data_dir, tmp_path):
    explained, out = tmp_path / "explained", tmp_path / "coco"
    pictures = sorted((data_dir / "isic2018_artefacts_512").rglob("*.jpg"))[:4]
    pictures += sorted((data_dir / "ham10000_600x450").rglob("*.jpg"))[:4]
    assert len(pictures) == 8
    words = ["explain", *map(str, pictures), "--weights", str(data_dir / "checkpoints" / "squeezenet1_1_skin9.pth")]
    words += ["--labels", str(data_dir / "checkpoints" / "skin9_labels.txt"), "--out", str(explained)]
    assert cli.main([*words, "--method", "cam", "--save", "maps,boxes,masks"]) == 0
    assert run(capsys, explained, "--format", "coco", "--out", out)[0] == 0
    check_coco(out, explained)
