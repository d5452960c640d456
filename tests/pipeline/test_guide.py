"""Guiding from files: a folder a class with masks, and what is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from drawn_skin import disc, draw
from PIL import Image

from camviewer import cli
from camviewer.models.camnet import camnet
from camviewer.models.checkpoint import ModelInfo, save_checkpoint
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.project.facts import LABEL, set_facts
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project

SIZE = (64, 48)


@pytest.fixture
def material(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for label, name in enumerate(("brown", "red")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            mask = disc(SIZE, *rng.uniform(0.35, 0.65, 2), 0.18)
            picture = draw(SIZE, mask, pigment=(120 + 60 * label, 72, 60))
            Image.fromarray(picture).save(tmp_path / "data" / name / f"{name}{number}.png")
            if number < 6:
                cv2.imwrite(str(tmp_path / "masks" / f"{name}{number}_segmentation.png"), mask.astype(np.uint8) * 255)
    (tmp_path / "data" / "red" / "broken.png").write_bytes(b"\x89PNG")
    torch.manual_seed(0)
    info = ModelInfo(
        arch="camnet", head="gap", classes=("Red", "brown"), input_size=SIZE, options={"width": 8, "features": 16}
    )
    save_checkpoint(tmp_path / "net.safetensors", camnet(2, width=8, features=16), info=info)
    return tmp_path


def arguments(material: Path, out: str, *more: str) -> list[str]:
    weights = ["--weights", str(material / "net.safetensors"), "--device", "cpu"]
    return ["guide", str(material / "data"), *weights, "--out", str(material / out), "--epochs", "2", *more]


def test_the_command(material: Path, capsys) -> None:
    before = (material / "net.safetensors").read_bytes()
    assert cli.main(arguments(material, "out", "--masks", str(material / "masks"))) == 0
    told = capsys.readouterr()
    assert "broken.png" in told.err
    assert "map inside the mask" in told.out
    assert (material / "net.safetensors").read_bytes() == before
    record = json.loads((material / "out" / "guided.json").read_text())
    assert record["masks"] + record["before"]["images"] == 12
    assert record["before"]["images"] == record["after"]["images"] > 0
    assert len(record["epochs"]) == 2
    guided = load_classifier(LoadRequest(weights=material / "out" / "guided.safetensors", device="cpu"))
    assert guided.identity.classes == ("Red", "brown")
    assert guided.head.kind == "gap_linear"
    assert not torch.equal(
        guided.head.weight, load_classifier(LoadRequest(weights=material / "net.safetensors")).head.weight.cpu()
    )
    with Image.open(material / "out" / "before_after_01.png") as picture:
        assert picture.size == (3 * SIZE[0], SIZE[1])


def test_what_is_refused(material: Path, capsys) -> None:
    assert cli.main(arguments(material, "a")) == 2
    assert "--masks" in capsys.readouterr().err
    (material / "few").mkdir()
    (material / "masks" / "red1_segmentation.png").rename(material / "few" / "red1_segmentation.png")
    assert cli.main(arguments(material, "b", "--masks", str(material / "few"))) == 2
    assert "Review more masks" in capsys.readouterr().err
    (material / "data" / "red").rename(material / "data" / "green")
    assert cli.main(arguments(material, "c", "--masks", str(material / "masks"))) == 2
    assert "no class green" in capsys.readouterr().err
    assert not any((material / name).exists() for name in "abc")


def test_the_reviewed_masks_of_a_project_guide(material: Path, capsys) -> None:
    """Two labels a picture and no folder of masks: what a person reviewed tells where to look."""
    folder = material / "data"
    (folder / "red" / "broken.png").unlink()
    with Project.create(folder / "mine.camviewer") as project:
        spot = project.add_class("spot")
        project.add_images(ImageRecord(project.relative(path), SIZE) for path in sorted(folder.rglob("*.png")))
        for record in project.images():
            set_facts(project, record.id, {LABEL: record.path.parent.name})
            file = material / "masks" / f"{record.path.stem}_segmentation.png"
            if file.is_file():
                mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 0
                project.set_mask(record.id, Mask(mask, spot.id, "reviewed"))
                if not record.path.stem.endswith("0"):
                    project.set_status([record.id], "reviewed")
    weights = ["--weights", str(material / "net.safetensors"), "--device", "cpu"]
    out = material / "out"
    command = ["guide", str(folder / "mine.camviewer"), *weights, "--out", str(out), "--epochs", "1"]
    assert cli.main(command) == 0, capsys.readouterr().err
    record = json.loads((out / "guided.json").read_text())
    assert record["masks"] + record["before"]["images"] == 10, "masks that nobody reviewed do not guide"


def test_pictures_of_several_input_sizes_are_refused(material: Path, capsys) -> None:
    path = material / "data" / "brown" / "brown9.png"
    Image.open(path).resize((80, 48)).save(path)
    command = [*arguments(material, "out", "--masks", str(material / "masks")), "--resize-mode", "native"]
    assert cli.main(command) == 2
    assert "inputs of one size" in capsys.readouterr().err
