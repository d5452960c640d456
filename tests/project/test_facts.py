"""Facts of images: kept under their name, forgotten with None, undone with the decision they belong to."""

from __future__ import annotations

import sqlite3
from pathlib import Path, PurePosixPath

import pytest

from camviewer.errors import ProjectError
from camviewer.project import changes, schema
from camviewer.project.facts import REASON, all_facts, facts_of, set_facts, set_many
from camviewer.project.history import History
from camviewer.project.records import ImageRecord
from camviewer.project.store import Project


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.camviewer") as made:
        made.add_images([ImageRecord(PurePosixPath(f"{n}.jpg"), (4, 3)) for n in range(3)])
        yield made


def test_facts_are_kept_replaced_and_forgotten(project: Project) -> None:
    set_facts(project, 1, {"doubt": 0.25, "label": "mel"})
    set_facts(project, 1, {"doubt": 1, "other": None})
    assert facts_of(project, 1) == {"doubt": 1.0, "label": "mel"}
    set_many(project, [(2, "label", "nv"), (1, "doubt", None)])
    assert all_facts(project) == {1: {"label": "mel"}, 2: {"label": "nv"}}


def test_an_image_that_is_not_there_has_no_facts(project: Project) -> None:
    with pytest.raises(ProjectError):
        set_facts(project, 99, {"label": "mel"})
    project.remove_images([1])
    assert all_facts(project) == {}


def test_a_reason_goes_and_comes_with_its_decision(project: Project) -> None:
    history = History(project)
    edit = changes.set_status(project, [1, 2], "skipped", reviewer="me", reason="hair over the lesion")
    assert edit is not None
    history.do(edit, "Skipped.")
    assert facts_of(project, 2) == {REASON: "hair over the lesion"}
    back = changes.set_status(project, [1], "reviewed", reviewer="me")
    assert back is not None
    history.do(back, "Reviewed.")
    assert facts_of(project, 1) == {}
    history.undo()
    assert facts_of(project, 1) == {REASON: "hair over the lesion"} and project.image(1).status == "skipped"
    history.undo()
    assert all_facts(project) == {} and project.image(1).status == "new"


def test_a_project_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "old.camviewer"
    Project.create(path).close()
    with sqlite3.connect(path) as raw:
        for table in ("facts", "mask_networks", "earlier_doubts", "earlier_masks"):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("PRAGMA user_version = 3")
    raw.close()
    with Project.open(path) as opened:
        assert all_facts(opened) == {}
        assert opened.read_rows("PRAGMA user_version") == [(schema.VERSION,)]
