"""The threshold by evidence, from files: an explain folder, a project with reviewed masks, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from drawn_skin import blob, draw
from explained import TOP, a_run
from PIL import Image

from camviewer import cli
from camviewer.errors import Cancelled
from camviewer.formats.explain_json import ExplainedMap, ExplainWriter
from camviewer.images.geometry import Affine, Geometry
from camviewer.pipeline.choose_threshold import apply_threshold, choose_threshold
from camviewer.project.records import ActivationMap, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.regions.rules import RegionRule

SIZE = (60, 45)
LEVEL = 0.6


def scene(number: int) -> tuple[ActivationMap, np.ndarray]:
    """A raw map, and the region that lies above `LEVEL` of it."""
    rng = np.random.default_rng(number)
    cells = blob((20, 15), *rng.uniform(0.3, 0.7, 2), 0.18) * rng.uniform(1, 9)
    geometry = Geometry(SIZE, SIZE, (20, 15), Affine())
    full = geometry.upsample(cells)
    return ActivationMap(0, "cam", "last", cells, geometry), full >= LEVEL * full.max()


def test_an_explain_folder(tmp_path: Path, capsys) -> None:
    (tmp_path / "truth").mkdir()
    preprocessing = {**a_run().preprocessing, "input_size": list(SIZE)}
    with ExplainWriter(tmp_path / "out", a_run(preprocessing=preprocessing, layers=("last",))) as writer:
        for number in range(12):
            found, mask = scene(number)
            writer.add_image(f"{number}.jpg", size=SIZE, top=TOP, maps=[ExplainedMap(found, (), np.zeros_like(mask))])
            if number != 11:
                Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "truth" / f"{number}_segmentation.png")
        writer.finish()
    arguments = ["choose-threshold", str(tmp_path / "out"), "--truth", str(tmp_path / "truth")]
    assert cli.main([*arguments, "--json"]) == 0
    choice = json.loads(capsys.readouterr().out)
    assert choice["images"] == 11
    assert choice["best"]["candidate"]["rule"]["threshold"] == pytest.approx(LEVEL)
    assert choice["best"]["expected"] > 0.95
    assert choice["now"] == 0
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert "Best: cam at last, at 0.60 of the maximum" in told
    assert "--method cam --layer last --rule fraction --threshold 0.6" in told
    assert cli.main(arguments[:2]) == 2
    assert cli.main([*arguments, "--apply"]) == 2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Fourteen images with maps and automatic masks; ten reviewed by a person, one skipped, one whose file is gone."""
    with Project.create(tmp_path / "p.camviewer") as project:
        project.set_class_table(ClassTable.for_model(("lesion", "other")))
        names = [f"{number:02d}.png" for number in range(14)]
        project.add_images([ImageRecord(PurePosixPath(name), SIZE) for name in names])
        run = project.add_run(a_run(methods=("cam",), layers=("last",)))
        for number, image in enumerate(project.images()):
            found, mask = scene(number)
            Image.fromarray(draw(SIZE, mask)).save(tmp_path / names[number])
            automatic = Mask(np.zeros_like(mask), 1, "auto")
            project.store_result(image.id, run_id=run, top=[(0, 1.0, 0.9)], maps=[found], masks=[automatic])
            if number < 10:
                project.set_mask(image.id, Mask(mask, 1))
                project.set_status([image.id], "reviewed")
        project.set_status([project.images()[10].id], "skipped")
        (tmp_path / names[11]).unlink()
    return tmp_path / "p.camviewer"


def test_a_project_learns_from_what_was_reviewed_and_leaves_it_alone(project: Path, capsys) -> None:
    choice = choose_threshold(project)
    assert choice.images == 10
    assert choice.best.candidate.rule.threshold == pytest.approx(LEVEL)
    with Project.open(project) as opened:
        before = [opened.masks(image.id) for image in opened.images()]
    assert cli.main(["choose-threshold", str(project), "--apply"]) == 1  # a file is gone
    assert "11.png" in capsys.readouterr().err
    with Project.open(project) as opened:
        images = opened.images()
        for number, image in enumerate(images):
            masks = opened.masks(image.id)
            if number in (12, 13):
                _, expected = scene(number)
                assert np.mean(masks[0].pixels == expected) > 0.99
                assert masks[0].slot == "auto"
                assert opened.run(masks[0].run).rule == choice.best.candidate.rule
                assert opened.boxes(image.id)
            else:
                assert [m.pixels.sum() for m in masks] == [m.pixels.sum() for m in before[number]]
                assert not opened.boxes(image.id)
        assert images[0].status == "reviewed"


def test_nothing_is_written_while_choosing(project: Path) -> None:
    content = project.read_bytes()
    choose_threshold(project)
    assert project.read_bytes() == content
    with pytest.raises(Cancelled):
        apply_threshold(project, choose_threshold(project).best.candidate, cancelled=lambda: True)
    assert project.read_bytes() == content


def test_a_rule_is_said_in_words() -> None:
    from camviewer.pipeline.choose_threshold import rule_options, rule_words

    assert rule_words(RegionRule("percentile", 0.12, "all")) == "top 12 % of the pixels, all regions"
    assert rule_words(RegionRule("otsu")) == "Otsu, largest region"
    assert rule_options(RegionRule()) == (
        "--rule fraction --threshold 0.2 --components largest --normalise positive --refine none"
    )
