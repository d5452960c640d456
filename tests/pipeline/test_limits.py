"""What whole jobs meet at their edges: truth in other dress, results in the way, images that went or changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from explained import TOP, ExplainedMap, a_map, a_mask, a_run, write_one
from PIL import Image, ImageDraw

from camviewer.errors import ExportError, FormatError, UsageError
from camviewer.formats.explain_json import ExplainWriter
from camviewer.models.records import LoadRequest
from camviewer.pipeline import learn_masks
from camviewer.pipeline.calibrate import calibrate_project
from camviewer.pipeline.compare_images import find_pictures
from camviewer.pipeline.compare_report import _fit, _font
from camviewer.pipeline.convert import ConvertRequest, convert_checkpoint
from camviewer.pipeline.evaluate import evaluate
from camviewer.pipeline.export import export
from camviewer.pipeline.export_records import ExportRequest
from camviewer.pipeline.learn_runs import Reports, learn_from_folder, project_file
from camviewer.pipeline.learnable import Learnable, LearnTask
from camviewer.pipeline.publish import publish
from camviewer.pipeline.truth import TruthFolder
from camviewer.project.mask_blob import pack
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.project.truth import Truth, set_truths
from camviewer.training.segmentation.settings import LearnSettings


def block(size: tuple[int, int], left: int) -> np.ndarray:
    mask = np.zeros((size[1], size[0]), dtype=np.bool_)
    mask[2:6, left : left + 4] = True
    return mask


# --- truth ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A folder whose only truth is a COCO file: two categories in one image, and an image of two folders."""
    annotations = [
        {"id": n, "image_id": 1, "category_id": n, "iscrowd": 0, "bbox": [x, 2, 4, 4], "area": 16,
         "segmentation": [[x, 2, x + 4, 2, x + 4, 6, x, 6]]}
        for n, x in ((1, 2), (2, 9))
    ]  # fmt: skip
    images = [{"id": 1, "file_name": "left/a.jpg", "width": 20, "height": 10},
              {"id": 2, "file_name": "right/a.jpg", "width": 8, "height": 8}]  # fmt: skip
    data = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}],
    }
    folder = tmp_path / "truth"
    folder.mkdir()
    (folder / "instances.json").write_text(json.dumps(data))
    return folder


def test_a_folder_with_a_coco_file_is_truth_and_its_categories_are_united(coco: Path) -> None:
    found = TruthFolder(coco).find("left/a.jpg", (20, 10))
    assert found is not None and found.mask is not None
    assert np.array_equal(found.mask, block((20, 10), 2) | block((20, 10), 9))
    other = TruthFolder(coco).find("right/a.jpg", (8, 8))
    assert other is not None and other.mask is None


def test_truth_of_another_size_is_refused(coco: Path) -> None:
    with pytest.raises(FormatError, match="20 x 10 in the truth, not 20 x 11"):
        TruthFolder(coco).find("left/a.jpg", (20, 11))


def test_a_mask_without_a_mark_counts_where_it_has_the_images_size(tmp_path: Path) -> None:
    """``a.png`` may be anything; ``a_mask.png`` says what it is."""
    Image.fromarray(block((20, 10), 2)).save(tmp_path / "a.png")
    assert TruthFolder(tmp_path).find("a.jpg", (20, 10)) is not None
    assert TruthFolder(tmp_path).find("a.jpg", (21, 10)) is None
    Image.fromarray(block((20, 10), 2)).save(tmp_path / "a_mask.png")
    with pytest.raises(FormatError, match="20 x 10 pixels, its image 21 x 10"):
        TruthFolder(tmp_path).find("a.jpg", (21, 10))


# --- results in the way -----------------------------------------------------------------------------------------------


def test_an_empty_folder_is_filled_and_a_file_is_not_touched(tmp_path: Path) -> None:
    for number in (1, 2):
        staging = tmp_path / f"staging {number}"
        staging.mkdir()
        (staging / "masks.txt").write_text("new")
    (tmp_path / "empty").mkdir()
    publish(tmp_path / "staging 1", tmp_path / "empty", format_name="masks")
    assert (tmp_path / "empty" / "masks.txt").read_text() == "new"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="file is a file"):
        publish(tmp_path / "staging 2", tmp_path / "file", format_name="masks")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"images": "move"}, "reference, copy, link, not 'move'"), ({"max_doubt": 1.5}, "between 0 and 1, not at 1.5")],
)
def test_an_export_that_cannot_be_asked_for(changes: dict, words: str, tmp_path: Path) -> None:
    folder = write_one(tmp_path / "results").parent
    with pytest.raises(UsageError, match=words):
        export(replace(ExportRequest(folder, "masks", tmp_path / "out"), **changes))
    assert not (tmp_path / "out").exists()


# --- measuring --------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """An explain folder of one image that lies beside it, with a true mask."""
    Image.new("RGB", (60, 40), (200, 150, 140)).save(tmp_path / "a.png")
    with ExplainWriter(tmp_path / "results", a_run()) as writer:
        entry = ExplainedMap(a_map(), (), a_mask())
        writer.add_image("a.png", size=(60, 40), top=TOP, maps=[entry], source=tmp_path / "a.png")
        writer.finish()
    (tmp_path / "truth").mkdir()
    Image.fromarray(block((60, 40), 10)).save(tmp_path / "truth" / "a_mask.png")
    return tmp_path


def test_controls_of_images_that_went_or_changed_are_left_out_with_a_note(measured: Path) -> None:
    def controls() -> tuple[set[str], tuple[str, ...]]:
        report = evaluate(measured / "results", measured / "truth", attention=True)
        return {row.control for row in report.rows}, report.notes

    kinds, notes = controls()
    assert notes == () and "centre" in kinds
    Image.new("RGB", (30, 20)).save(measured / "a.png")
    assert "have changed since" in controls()[1][0]
    (measured / "a.png").unlink()
    assert "no longer where they were" in controls()[1][0]


def test_a_folder_without_maps_is_not_measured(tmp_path: Path) -> None:
    with ExplainWriter(tmp_path / "results", a_run()) as writer:
        writer.add_image("a.png", size=(60, 40), top=[], maps=[])
        writer.finish()
    (tmp_path / "truth").mkdir()
    Image.fromarray(block((60, 40), 10)).save(tmp_path / "truth" / "a.png")
    with pytest.raises(UsageError, match="holds no maps and no masks"):
        evaluate(tmp_path / "results", tmp_path / "truth")


# --- images of a comparison -------------------------------------------------------------------------------------------


def test_pictures_without_labels_and_none_at_all(pictures: Path, tmp_path: Path) -> None:
    found = find_pictures(pictures)
    assert [item.name for item in found.items] == ["a.png", "b.jpg", "sub/ä 10.png"]
    assert (found.classes, found.masks) == ((), "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="There are no images in"):
        find_pictures(tmp_path / "empty")


def test_a_damaged_mask_is_no_truth(pictures: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    Image.fromarray(np.ones((80, 100), dtype=np.bool_)).save(truth / "a_mask.png")
    (truth / "b_mask.png").write_bytes(b"no picture")
    found = {item.name: item.mask((100, 80)) for item in find_pictures(pictures, truth).items}
    assert found["a.png"] is not None and found["a.png"].all()
    assert found["b.jpg"] is None


@pytest.mark.parametrize("kind", ["true", "reviewed"])
def test_a_project_gives_its_truth_before_what_was_reviewed(kind: str, pictures: Path) -> None:
    """And of an image that nobody has finished only what a person drew."""
    file = pictures / "p.camviewer"
    drawn = {"a.png": block((100, 80), 5), "b.jpg": block((120, 80), 30)}
    with Project.create(file) as project:
        made = project.add_class("lesion")
        project.add_images(
            [ImageRecord(PurePosixPath("a.png"), (100, 80)), ImageRecord(PurePosixPath("b.jpg"), (120, 80))]
        )
        ids = {record.path.name: record.id for record in project.images()}
        for name, mask in drawn.items():
            project.set_mask(ids[name], Mask(mask, made.id, "reviewed"))
        project.store_result(ids["b.jpg"], run_id=None, masks=[Mask(block((120, 80), 60), made.id)])
        project.set_status([ids["a.png"]], "reviewed")
        if kind == "true":
            set_truths(project, ids["b.jpg"], [Truth(made.id, block((120, 80), 90))])
    found = find_pictures(file)
    masks = {item.name: item.mask(size) for item, size in zip(found.items, ((100, 80), (120, 80)), strict=True)}
    assert found.masks == kind
    if kind == "true":
        assert masks["a.png"] is None and np.array_equal(masks["b.jpg"], block((120, 80), 90))
    else:
        assert all(np.array_equal(masks[name], drawn[name]) for name in drawn)


def test_long_titles_of_a_sheet_are_cut_to_their_room() -> None:
    pen, font = ImageDraw.Draw(Image.new("RGB", (10, 10))), _font("Regular", 12)
    assert _fit(pen, "short", font, 200) == "short"
    cut = _fit(pen, "a title that is much too long", font, 60)
    assert cut.endswith("…") and len(cut) > 3 and pen.textlength(cut, font) <= 60


# --- masks that learn -------------------------------------------------------------------------------------------------


def learnable(key: int, *, doubt: float = 0.1, standing: str = "automatic", path: Path | None = None) -> Learnable:
    blob = pack(block((20, 10), 3))
    return Learnable(key, f"folder/{key}.png", path, (20, 10), {1: blob}, standing, doubt)  # type: ignore[arg-type]


def test_of_too_many_images_a_sample_is_learnt_from_in_which_each_doubt_is_as_frequent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learn_masks, "EXAMPLES", 50)
    images = [learnable(n, doubt=n / 400) for n in range(400)]
    images += [learnable(1000 + n, standing="reviewed") for n in range(80)]
    chosen = learn_masks.chosen_images(LearnTask(tuple(images), {1: "lesion"}), LearnSettings())
    reviewed = [image for image in chosen if image.standing == "reviewed"]
    automatic = [image for image in chosen if image.standing == "automatic"]
    assert (len(reviewed), len(automatic)) == (50, 50)
    assert [image.doubt for image in automatic] == sorted(image.doubt for image in automatic)
    assert abs(np.median([image.doubt for image in automatic]) - 0.5) < 0.15


def test_images_that_went_or_have_another_size_are_said(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "2.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    images = [learnable(1), learnable(2, path=tmp_path / "2.png"), learnable(3, path=tmp_path / "3.png")]
    said = [found for _, found in learn_masks._read(images, 200, None)]
    assert said[0] == "1.png is not there any more."
    assert said[1] == "2.png has another size than its masks."
    assert isinstance(said[2], str) and said[2].startswith("3.png ")


def test_learning_from_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    folder = write_one(tmp_path / "results").parent
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        learn_from_folder(
            folder, tmp_path / "out", LearnSettings(), start=tmp_path / "net.safetensors", reports=Reports()
        )
    with pytest.raises(UsageError, match="nowhere is not there"):
        project_file(tmp_path / "nowhere")
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        Project.create(tmp_path / "two" / f"{name}.camviewer").close()
    with pytest.raises(UsageError, match="nor one project"):
        project_file(tmp_path / "two")


# --- networks ---------------------------------------------------------------------------------------------------------


def test_a_network_of_ones_own_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    load = LoadRequest(model=str(tmp_path / "net.py"), trust_code=True, input_size=32, device="cpu")
    with pytest.raises(Exception, match="Only torchvision's architectures and camviewer's own"):
        convert_checkpoint(ConvertRequest(load, tmp_path / "out.safetensors"))
    assert not (tmp_path / "out.safetensors").exists()


def test_a_temperature_needs_a_computed_image(tmp_path: Path) -> None:
    Project.create(tmp_path / "p.camviewer").close()
    with pytest.raises(UsageError, match="No image is computed yet"):
        calibrate_project(tmp_path / "p.camviewer")
