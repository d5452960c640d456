"""True masks lie beside the regions; a project of the first schema gets room for them and loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from camviewer.errors import ProjectError
from camviewer.project import schema
from camviewer.project.records import Box, ImageRecord, Mask
from camviewer.project.store import Project
from camviewer.project.truth import Truth, compare, images_with_truth, set_truths, truths

SHAPE = (9, 14)


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.camviewer") as made:
        made.add_images([ImageRecord(PurePosixPath(f"{i}.png"), (SHAPE[1], SHAPE[0])) for i in range(2)])
        yield made


def test_truths_are_replaced_and_go_with_their_image(project: Project) -> None:
    pixels = np.random.default_rng(0).random(SHAPE) > 0.5
    set_truths(project, 1, [Truth(2, pixels, "a.json"), Truth(1, ~pixels)])
    first, second = truths(project, 1)
    assert (first.class_id, second.class_id, second.origin) == (1, 2, "a.json")
    assert np.array_equal(first.pixels, ~pixels) and np.array_equal(second.pixels, pixels)
    set_truths(project, 1, [Truth(2, pixels)])
    assert len(truths(project, 1)) == 1
    assert project.final_masks(1) == []
    project.remove_images([1])
    assert images_with_truth(project) == []
    with pytest.raises(ProjectError, match="2 x 3 pixels, the image 14 x 9"):
        set_truths(project, 2, [Truth(1, np.ones((3, 2), bool))])
    assert images_with_truth(project) == []


def test_agreement_is_that_of_the_formula(project: Project) -> None:
    rng = np.random.default_rng(1)
    mine, true = rng.random(SHAPE) > 0.4, rng.random(SHAPE) > 0.6
    assert compare(project, 1) == []
    set_truths(project, 1, [Truth(1, true), Truth(3, np.zeros(SHAPE, bool))])
    project.set_mask(1, Mask(mine, 1))
    project.set_mask(1, Mask(mine, 2))
    one, two, three = compare(project, 1)
    pairs = [(bool(a), bool(b)) for a, b in zip(mine.ravel(), true.ravel(), strict=True)]
    shared, either = sum(a and b for a, b in pairs), sum(a or b for a, b in pairs)
    assert one.iou == pytest.approx(shared / either)
    assert one.dice == pytest.approx(2 * shared / (sum(a for a, _ in pairs) + sum(b for _, b in pairs)))
    assert (two.iou, two.true_area) == (0.0, 0)
    assert (three.iou, three.dice) == (1.0, 1.0)  # both say that there is nothing


def test_a_project_of_the_first_schema_is_upgraded_with_all_it_holds(project: Project) -> None:
    project.set_mask(1, Mask(np.ones(SHAPE, bool), 1))
    project.add_box(1, Box(0, 0, 3, 3, 1))
    project.close()
    old = sqlite3.connect(project.path)
    for table in ("truths", "facts", "mask_networks", "earlier_doubts", "earlier_masks"):
        old.execute(f"DROP TABLE {table}")
    for column in ("doubt", "findings"):
        old.execute(f"ALTER TABLE images DROP COLUMN {column}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with Project.open(project.path) as opened:
        assert opened.read_rows("PRAGMA user_version") == [(schema.VERSION,)]
        assert opened.masks(1)[0].pixels.all()
        assert len(opened.boxes(1)) == 1
        set_truths(opened, 2, [Truth(1, np.ones(SHAPE, bool))])
        assert images_with_truth(opened) == [2]
    assert project.path.with_name("p.schema1.camviewer").is_file()
