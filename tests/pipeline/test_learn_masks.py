"""Masks that learn, as whole rounds: a project, an explain folder, what is wrong with them, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from drawn_lesions import lesion
from explained import a_map, a_run
from PIL import Image

from camviewer.cli import main
from camviewer.errors import Cancelled, CheckpointError, ProjectError, UsageError
from camviewer.formats import disk
from camviewer.formats.explain_json import ExplainedMap, ExplainWriter, TopScore
from camviewer.formats.explain_reader import read_explain
from camviewer.pipeline.learn_masks import draw, form_of, learn, told_apart
from camviewer.pipeline.learn_runs import NETWORK, RECORD, STATE, Reports, learn_from_folder, learn_from_project
from camviewer.pipeline.learnable import of_project
from camviewer.project.learnt import REFINE, earlier_masks, network_of, rounds_of
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.training.segmentation.predict import Form
from camviewer.training.segmentation.settings import LearnSettings

QUICK = LearnSettings(pixels=64 * 48, base=4, levels=2, steps=12, batch_size=4)
SILENT = Reports()


def shifted(mask: np.ndarray, seed: int) -> np.ndarray:
    return np.roll(mask, np.random.default_rng(seed).integers(-3, 4, 2), axis=(0, 1))


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    """Twelve drawn pictures of two sizes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(12):
        Image.fromarray(lesion(seed, size=(64, 48) if seed % 2 else (96, 72))[0]).save(folder / f"{seed:02}.png")
    return folder


def true_mask(seed: int) -> np.ndarray:
    return lesion(seed, size=(64, 48) if seed % 2 else (96, 72))[1]


@pytest.fixture
def project(lesions: Path) -> Path:
    """A project of them: two classes, one reviewed image, one skipped, one that is no image, one without a mask."""
    file = lesions / "p.camviewer"
    (lesions / "03.png").write_bytes(b"no image")
    with Project.create(file) as made:
        made.add_class("naevus")
        made.add_class("melanoma")
        made.set_class_table(replace(made.class_table(), by_model={0: 1, 1: 2}))
        made.add_images(
            ImageRecord(PurePosixPath(f"{seed:02}.png"), (64, 48) if seed % 2 else (96, 72)) for seed in range(12)
        )
        for seed in range(11):
            mask = Mask(shifted(true_mask(seed), seed), 1 + seed % 2)
            made.store_result(seed + 1, run_id=None, masks=[mask], doubt=0.05 * seed)
        made.store_result(12, run_id=None, top=[(1, 2.0, 0.9)])
        made.set_mask(5, Mask(true_mask(4), 1, "reviewed"))
        made.set_status([5], "reviewed")
        made.set_status([6], "skipped")
    return file


def test_a_round_on_a_project_draws_what_nobody_decided_on(project: Path, tmp_path: Path) -> None:
    said: list[str] = []
    report = learn_from_project(project, tmp_path / "out", QUICK, reports=Reports(message=said.append))
    assert (report.drawn, report.failed, report.reviewed) == (9, 1, 1)
    assert len(said) == 1
    assert "03.png" in said[0]
    with Project.open(project) as after:
        assert (after.masks(5, slot="auto")[0].pixels == shifted(true_mask(4), 4)).all()
        assert (after.final_masks(5)[0].pixels == true_mask(4)).all()
        assert (after.masks(6)[0].pixels == shifted(true_mask(5), 5)).all()
        assert (after.masks(4)[0].pixels == shifted(true_mask(3), 3)).all()
        for image_id in (1, 2, 3, 7, 8, 9, 10, 11):
            masks = after.masks(image_id, slot="auto")
            assert all(mask.refine == REFINE for mask in masks)
            assert {mask.class_id for mask in masks} <= {1 + (image_id - 1) % 2}
            assert earlier_masks(after, image_id) is not None
            assert 0 <= after.image(image_id).doubt <= 1
        assert {mask.class_id for mask in after.masks(12)} <= {2}  # of the class that the network says
        assert network_of(after) == (tmp_path / "out" / NETWORK).read_bytes()
        (kept,) = rounds_of(after)
        assert kept.record["reviewed"] == 1
        assert after.runs()[1].architecture == "unet"
    assert not (tmp_path / "out" / STATE).exists()
    assert json.loads((tmp_path / "out" / RECORD).read_text())["drawn"] == 9


def test_the_next_round_goes_on_and_learns_from_what_was_reviewed_since(project: Path, tmp_path: Path) -> None:
    learn_from_project(project, tmp_path / "one", QUICK, reports=SILENT)
    with Project.open(project) as between:
        between.set_mask(1, Mask(true_mask(0), 1, "reviewed"))
        between.set_status([1], "reviewed")
    report = learn_from_project(project, tmp_path / "two", QUICK, reports=SILENT)
    assert report.reviewed == 2
    with Project.open(project) as after:
        assert [entry.record["continued"] for entry in rounds_of(after)] == [False, True]
        assert (after.final_masks(1)[0].pixels == true_mask(0)).all()


def test_cancelling_leaves_the_project_and_the_training_goes_on_later(project: Path, tmp_path: Path) -> None:
    asked = iter(range(10_000))
    steps: list[int] = []
    with pytest.raises(Cancelled):
        learn_from_project(
            project,
            tmp_path / "out",
            replace(QUICK, steps=400),
            reports=Reports(step=lambda done, _total: steps.append(done), cancelled=lambda: next(asked) > 40),
        )
    assert steps
    with Project.open(project) as after:
        assert network_of(after) is None
        assert all(mask.refine == "none" for image_id in range(1, 13) for mask in after.masks(image_id))


def test_a_disk_that_is_full_while_writing_is_one_sentence(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_project: Project, *_: object, **__: object) -> int:
        raise ProjectError("The disk of p.camviewer is full. Free some space or save the project on another disk.")

    monkeypatch.setattr("camviewer.pipeline.learn_runs.store_round", full)
    assert main(["learn-masks", str(project), "--out", str(tmp_path / "out"), "--steps", "10"]) == 1
    with Project.open(project) as after:
        assert network_of(after) is None


# --- explain folders --------------------------------------------------------------------------------------------------


@pytest.fixture
def explained(lesions: Path, tmp_path: Path) -> Path:
    """An explain folder of the pictures; one row failed, one mask is empty, one image is gone."""
    out = tmp_path / "explained"
    with ExplainWriter(out, a_run()) as writer:
        for seed in range(12):
            size = (64, 48) if seed % 2 else (96, 72)
            file, path = f"{seed:02}.png", lesions / f"{seed:02}.png"
            if seed == 9:
                writer.add_error(file, UsageError("It cannot be read."), source=path)
                continue
            mask = shifted(true_mask(seed), seed)
            if seed == 7:
                mask = np.zeros_like(mask)
            maps = [
                ExplainedMap(a_map(size, class_index=seed % 2, seed=seed), mask=mask, refine="auto", doubt=0.05 * seed),
                ExplainedMap(a_map(size, class_index=seed % 2, method="cam"), mask=mask, refine="auto", doubt=0.9),
            ]
            top = [TopScore(seed % 2, "naevus", 1.0, 0.8)]
            writer.add_image(file, size=size, top=top, maps=maps, source=path)
        writer.finish()
    (lesions / "10.png").unlink()
    return out


def test_an_explain_folder_becomes_another_one_with_new_masks(explained: Path, tmp_path: Path) -> None:
    reviewed = tmp_path / "reviewed"
    reviewed.mkdir()
    Image.fromarray(true_mask(2).astype(np.uint8) * 255).save(reviewed / "02_segmentation.png")
    out = tmp_path / "out"
    report = learn_from_folder(explained, out, QUICK, reviewed=reviewed, reports=SILENT)
    assert (report.reviewed, report.drawn, report.failed) == (1, 9, 1)
    before, after = read_explain(explained), read_explain(out)
    assert [row.file for row in after.images] == [row.file for row in before.images]
    for old, new in zip(before.images, after.images, strict=True):
        assert new.source == old.source
        assert new.error == old.error
        assert [row.method for row in new.maps] == [row.method for row in old.maps]
        if new.error is None:
            assert len(new.masks) == 1  # of the first map of the class
            assert (after.read_map(new.maps[1]) == before.read_map(old.maps[1])).all()
    kept, gone, empty = after.images[2], after.images[10], after.images[7]
    assert (kept.masks[0].refine, kept.masks[0].doubt) == ("reviewed", None)
    assert (after.read_mask(kept, kept.masks[0]) == true_mask(2)).all()
    assert gone.masks[0].refine == "auto"
    assert (after.read_mask(gone, gone.masks[0]) == shifted(true_mask(10), 10)).all()
    assert empty.masks[0].refine == REFINE
    assert after.run.rule == before.run.rule


def test_its_own_folder_is_not_overwritten(explained: Path) -> None:
    before = (explained / "explain.json").read_bytes()
    with pytest.raises(UsageError, match="folder of its own"):
        learn_from_folder(explained, explained, QUICK, reports=SILENT)
    assert (explained / "explain.json").read_bytes() == before


def test_a_full_disk_leaves_no_half_result(explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise disk.cannot_write(tmp_path / "x", OSError(28, "No space left on device"))

    monkeypatch.setattr(ExplainWriter, "add_image", full)
    arguments = ["learn-masks", str(explained), "--out", str(tmp_path / "out"), "--steps", "10"]
    assert main(arguments) == 1
    assert not (tmp_path / "out" / "explain.json").exists()


def test_a_damaged_network_to_start_from_is_refused(explained: Path, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointError):
        learn_from_folder(explained, tmp_path / "out", QUICK, start=tmp_path / "net.safetensors", reports=SILENT)


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_person_who_drew_is_believed_before_the_image_is_reviewed(project: Path) -> None:
    with Project.open(project) as opened:
        opened.set_mask(1, Mask(true_mask(0), 1, "reviewed"))
        task = of_project(opened)
    assert [image.standing for image in task.images][:6] == [
        "reviewed", "automatic", "automatic", "automatic", "reviewed", "left out",
    ]  # fmt: skip
    assert task.images[11].among == (2,)


def test_classes_are_told_apart_only_where_they_meet(project: Path) -> None:
    with Project.open(project) as opened:
        assert len(told_apart(of_project(opened).images)) == 1  # two classes, never in one image
        both = [Mask(shifted(true_mask(0), 3), 1), Mask(true_mask(0), 2)]
        opened.store_result(1, run_id=None, masks=both, doubt=0.1)
        assert told_apart(of_project(opened).images) == (1, 2)


def test_what_masks_look_like_is_learnt_from_them(project: Path) -> None:
    with Project.open(project) as opened:
        assert form_of(of_project(opened).images) == Form(single=True, solid=True)
        for image_id in range(1, 12):
            ring = true_mask(image_id - 1).copy()
            rows, columns = np.nonzero(ring)
            ring[int(rows.mean()) - 2 : int(rows.mean()) + 3, int(columns.mean()) - 2 : int(columns.mean()) + 3] = False
            ring[:4, :6] = True
            opened.store_result(image_id, run_id=None, masks=[Mask(ring, 1)])
        assert form_of(of_project(opened).images) == Form(single=False, solid=False)


def test_previews_show_the_most_doubtful_images_before_and_after(project: Path) -> None:
    shown = []
    with Project.open(project) as opened:
        task = of_project(opened)
    learnt = learn(task, QUICK, on_point=lambda point, previews: shown.append((point, previews)))
    assert shown[-1][0].step == QUICK.steps
    keys = [preview.key for preview in shown[-1][1]]
    assert keys[:3] == [11, 10, 9]
    assert all(preview.before.shape == preview.after.shape == preview.pixels.shape[:2] for preview in shown[-1][1])
    drawn = {entry.key: entry for entry in draw(task, learnt.network)}
    assert drawn[4].error
    assert drawn[1].kept is not None
    assert drawn[12].kept is None


def test_the_command_says_what_it_did_and_what_to_do_next(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["learn-masks", str(explained), "--out", str(out), "--steps", "10"]) == 1  # one image is gone
    said = capsys.readouterr()
    assert "10 images drawn anew" in said.out
    assert str(out / NETWORK) in said.out
    assert "10.png" in said.err
    assert main(["evaluate", str(out), "--truth", str(_truths(tmp_path))]) == 0
    again = [
        "learn-masks",
        str(explained),
        "--start",
        str(out / NETWORK),
        "--out",
        str(tmp_path / "2"),
        "--steps",
        "10",
    ]
    assert main(again) == 1
    assert json.loads((tmp_path / "2" / RECORD).read_text())["continued"]
    as_it_is = [*again[:4], "--only-draw", "--out", str(tmp_path / "3")]
    assert main(as_it_is) == 1
    assert (tmp_path / "3" / NETWORK).read_bytes() == (out / NETWORK).read_bytes()
    first, third = read_explain(out), read_explain(tmp_path / "3")
    for one, three in zip(first.images, third.images, strict=True):
        for a, b in zip(one.masks, three.masks, strict=True):
            assert (first.read_mask(one, a) == third.read_mask(three, b)).all()


def _truths(folder: Path) -> Path:
    (folder / "truth").mkdir()
    for seed in range(12):
        Image.fromarray(true_mask(seed).astype(np.uint8) * 255).save(folder / "truth" / f"{seed:02}_mask.png")
    return folder / "truth"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere", "--out", "o"], "not there"),
        (["{project}", "--reviewed", "x", "--out", "o"], "explain folders"),
        (["{explained}", "--anew", "--out", "o"], "--start"),
        (["{explained}", "--reviewed", "nowhere", "--out", "{out}"], "not there"),
        (["{explained}", "--steps", "0", "--out", "o"], "--steps"),
        (["{explained}", "--only-draw", "--out", "o"], "--start"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    with ExplainWriter(tmp_path / "e", a_run()) as writer:
        writer.finish()
    places = {"project": str(project), "explained": str(tmp_path / "e"), "out": str(tmp_path / "out")}
    assert main(["learn-masks", *(text.format(**places) for text in arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert word in said
    assert "\n" not in said
