"""Labels of a project: what others say, else the classes of a person's regions; never what the program guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import spots
from PIL import Image

from camviewer import cli
from camviewer.errors import UsageError
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest
from camviewer.project.facts import LABEL, LESION, set_facts
from camviewer.project.records import Box, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.training.project_labels import read_project
from camviewer.training.sources import read_source


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Eight images; the even ones are green."""
    for number in range(8):
        Image.fromarray(spots.draw(number % 2, number)[0]).save(tmp_path / f"{number}.png")
    made = Project.create(tmp_path / "mine.camviewer")
    for name in ("green", "red"):
        made.add_class(name)
    made.add_images(ImageRecord(made.relative(tmp_path / f"{n}.png"), spots.SIZE) for n in range(8))
    yield made
    made.close()


def box(class_id: int, origin: str) -> Box:
    return Box(2, 2, 9, 9, class_id, origin)


def test_regions_of_a_person_label_and_those_of_the_program_do_not(project: Project) -> None:
    ids = [record.id for record in project.images()]
    project.add_box(ids[0], box(1, "manual"))
    project.add_box(ids[1], box(2, "edited"))
    project.set_mask(ids[2], Mask(spots.draw(0, 2)[1], 1, "reviewed"))
    project.store_result(ids[3], run_id=None, boxes=[box(2, "auto")])  # nobody has looked
    project.store_result(ids[4], run_id=None, boxes=[box(1, "auto")])
    project.set_status([ids[4]], "reviewed")  # a person let it stand
    project.add_box(ids[5], box(1, "manual"))
    project.add_box(ids[5], box(2, "manual"))
    project.add_box(ids[6], box(1, "manual"))
    project.set_status([ids[6]], "skipped")
    found = read_project(project.path)
    assert dict(zip(found.names, found.labels.tolist(), strict=True)) == {
        "0.png": 0,
        "1.png": 1,
        "2.png": 0,
        "4.png": 0,
    }
    assert found.classes == ("green", "red")
    assert any("5.png" in sentence for sentence in found.skipped)
    assert any("3 images have no label" in sentence for sentence in found.skipped)


def test_what_others_say_goes_before_regions_and_lesions_stay_together(project: Project) -> None:
    for record in project.images():
        number = int(record.path.stem)
        set_facts(project, record.id, {LABEL: ("blue", "red")[number % 2], LESION: f"L{number // 4}"})
        project.add_box(record.id, box(1, "manual"))
    found = read_project(project.path)
    assert found.classes == ("red", "blue")  # the project's classes first
    assert found.groups.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_missing_file_is_named(project: Project, tmp_path: Path) -> None:
    for record in project.images():
        set_facts(project, record.id, {LABEL: ("green", "red")[int(record.path.stem) % 2]})
    (tmp_path / "3.png").unlink()
    found = read_project(project.path)
    assert len(found) == 7
    assert any("3.png" in sentence and "no file" in sentence for sentence in found.skipped)


def test_fewer_than_two_classes_are_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="two classes"):
        read_source(project.path)


def test_the_command_trains_on_a_project(project: Project, tmp_path: Path) -> None:
    for record in project.images():
        set_facts(project, record.id, {LABEL: ("green", "red")[int(record.path.stem) % 2]})
    out = tmp_path / "out"
    options = ["--epochs", "1", "--batch-size", "4", "--input-size", "32", "--device", "cpu", "--validation", "0.25"]
    assert cli.main(["train", str(project.path), *options, "--out", str(out)]) == 0
    best = load_classifier(LoadRequest(weights=out / "best.safetensors", device="cpu"))
    assert best.identity.classes == ("green", "red")


def test_settings_are_those_of_the_form() -> None:
    from camviewer.catalogue.training import NETWORK, TRAINING
    from camviewer.workers.training import TrainRequest, recall

    values = {parameter.name: parameter.default for parameter in (*NETWORK, *TRAINING)}
    request = TrainRequest(Path("a"), Path("b"), values)
    assert request.settings().learning_rate == 1e-3
    assert replace(request, values={**values, "start": "published"}).settings().learning_rate == 5e-4
    assert replace(request, values={**values, "learning_rate": 0.01}).settings().learning_rate == 0.01
    assert request.settings() == replace(request.settings(), arch="camnet", epochs=20, batch_size=32)
    assert request.weights() is None
    with pytest.raises(UsageError, match="fine maps"):
        replace(request, values={**values, "finer": 1}).settings()
    with pytest.raises(UsageError, match="No model"):
        replace(request, values={**values, "start": "model"}).weights()
    assert replace(request, values={**values, "start": "published", "arch": "resnet18"}).weights() == (
        "torchvision:resnet18"
    )
    assert recall(Path("nowhere")) is None
