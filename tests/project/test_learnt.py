"""A round of learnt masks replaces automatic masks alone, all of them or none, and can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from explained import a_run

from camviewer.errors import ProjectError
from camviewer.project.learnt import (
    REFINE,
    LearntMasks,
    can_take_back,
    earlier_masks,
    network_of,
    packed_masks,
    rounds_of,
    store_round,
    take_back,
)
from camviewer.project.mask_blob import pack
from camviewer.project.records import ImageRecord, Mask
from camviewer.project.store import Project

SIZE = (60, 40)
OLD = np.zeros((40, 60), bool)
OLD[3:9, 4:20] = True
NEW = np.zeros((40, 60), bool)
NEW[10:30, 20:50] = True


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path / "p.camviewer")
    project.add_class("lesion")
    project.add_images(ImageRecord(PurePosixPath(f"{i}.jpg"), SIZE) for i in range(4))
    for image_id in (1, 2, 3):
        project.store_result(image_id, run_id=None, masks=[Mask(OLD, 1)], doubt=0.4)
    yield project
    project.close()


def round_of(project: Project, *image_ids: int, network: bytes = b"weights", mask: np.ndarray = NEW) -> int:
    drawn = [LearntMasks(image_id, {1: pack(mask)}, 0.1) for image_id in image_ids]
    return store_round(project, drawn, network=network, record={"steps": 3}, run=a_run())


def pixels(project: Project, image_id: int) -> np.ndarray:
    return project.final_masks(image_id)[0].pixels


def test_new_masks_replace_the_automatic_ones_with_their_doubt_and_run(project: Project) -> None:
    assert round_of(project, 1, 2) == 2
    (mask,) = project.masks(1)
    assert (mask.pixels == NEW).all()
    assert (mask.slot, mask.refine, mask.run) == ("auto", REFINE, 1)
    assert project.image(1).doubt == 0.1
    assert (pixels(project, 3) == OLD).all()
    assert project.image(3).doubt == 0.4


def test_an_image_without_a_mask_gets_one_and_is_computed(project: Project) -> None:
    round_of(project, 4)
    assert project.image(4).status == "computed"
    assert (pixels(project, 4) == NEW).all()


@pytest.mark.parametrize("status", ["reviewed", "skipped"])
def test_a_decided_image_is_never_touched(project: Project, status: str) -> None:
    project.set_status([1], status)
    assert round_of(project, 1, 2) == 1
    assert (pixels(project, 1) == OLD).all()
    assert project.image(1).doubt == 0.4
    assert earlier_masks(project, 1) is None


def test_what_a_person_drew_counts_on(project: Project) -> None:
    project.set_mask(1, Mask(~OLD, 1, "reviewed"))
    round_of(project, 1)
    assert (pixels(project, 1) == ~OLD).all()


def test_the_masks_before_stay_until_the_next_round(project: Project) -> None:
    assert not can_take_back(project)
    round_of(project, 1)
    (before,) = earlier_masks(project, 1)
    assert (before.pixels == OLD).all()
    assert earlier_masks(project, 2) is None
    round_of(project, 1, mask=OLD | NEW)
    (before,) = earlier_masks(project, 1)
    assert (before.pixels == NEW).all()


def test_a_round_is_taken_back_with_its_doubts(project: Project) -> None:
    round_of(project, 1, 2, 4)
    project.set_status([2], "reviewed")  # accepted since: it stays
    assert take_back(project) == 2
    assert (pixels(project, 1) == OLD).all()
    assert project.image(1).doubt == 0.4
    assert (pixels(project, 2) == NEW).all()
    assert project.masks(4) == []
    assert not can_take_back(project)
    assert take_back(project) == 0


def test_masks_that_were_computed_since_are_not_taken_back(project: Project) -> None:
    round_of(project, 1)
    project.store_result(1, run_id=None, masks=[Mask(~NEW, 1)])
    assert take_back(project) == 0
    assert (pixels(project, 1) == ~NEW).all()


def test_the_project_keeps_the_last_network_and_every_rounds_record(project: Project) -> None:
    assert network_of(project) is None
    round_of(project, 1, network=b"first")
    round_of(project, 1, network=b"second")
    assert network_of(project) == b"second"
    assert [(found.number, found.record) for found in rounds_of(project)] == [(1, {"steps": 3}), (2, {"steps": 3})]
    copy = project.save_as(project.path.with_name("copy.camviewer"))
    assert network_of(copy) == b"second"


def test_a_round_that_cannot_be_written_changes_nothing(project: Project) -> None:
    wrong = [LearntMasks(1, {1: pack(NEW)}, 0.1), LearntMasks(2, {1: None}, 0.1)]  # as a bug would hand over
    with pytest.raises(AttributeError):
        store_round(project, wrong, network=b"x", record={}, run=a_run())
    assert (pixels(project, 1) == OLD).all()
    assert network_of(project) is None
    assert rounds_of(project) == []


def test_a_full_disk_is_one_sentence_and_leaves_the_masks(project: Project) -> None:
    project._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ProjectError, match="full"):
        round_of(project, 1, network=bytes(1 << 20))
    project._connection.execute("PRAGMA max_page_count = 1000000")
    assert (pixels(project, 1) == OLD).all()
    assert network_of(project) is None


def test_masks_are_listed_packed_by_image_slot_and_class(project: Project) -> None:
    project.set_mask(1, Mask(NEW, 1, "reviewed"))
    found = packed_masks(project)
    assert sorted(found) == [1, 2, 3]
    assert found[1]["auto"][1].area == OLD.sum()
    assert found[1]["reviewed"][1].area == NEW.sum()
