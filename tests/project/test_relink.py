"""Images that were moved are found by size and content, and nothing else is taken for them."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from camviewer.errors import Cancelled, ImageError, ProjectError
from camviewer.project import relink
from camviewer.project.records import Box, ImageRecord
from camviewer.project.relink import Link, Proposal, digest, find_missing, search
from camviewer.project.store import Project


def picture(path: Path, seed: int, size=(20, 14)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def kept(project: Project, file: Path, *, hashed: bool = True, size=(20, 14)) -> ImageRecord:
    return ImageRecord(
        project.relative(file), size, file_size=file.stat().st_size, sha256=digest(file) if hashed else ""
    )


@pytest.fixture
def place(tmp_path: Path):
    """Return a project with three images, one of them in a folder, and their folder."""
    old = tmp_path / "old"
    files = [picture(old / name, i) for i, name in enumerate(("a.png", "b.png", "sub/ü c.png"))]
    with Project.create(tmp_path / "p.camviewer", root=old) as project:
        project.add_images([kept(project, file) for file in files])
        yield project, old


def missing_of(project: Project) -> list[ImageRecord]:
    return find_missing([(record, project.file_of(record)) for record in project.images()])


def test_a_moved_folder_changes_the_root_and_no_path(place, tmp_path: Path) -> None:
    project, old = place
    project.add_box(1, Box(0, 0, 3, 3, 1))
    old.rename(tmp_path / "new")
    missing = missing_of(project)
    assert len(missing) == 3
    calls = []
    proposal = search(missing, tmp_path / "new", on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)
    assert proposal.sentence == "3 of 3 missing images found."
    assert proposal.root == tmp_path / "new"
    paths = [record.path for record in project.images()]
    assert relink.relink(project, proposal) == 3
    assert project.root == tmp_path / "new"
    assert [record.path for record in project.images()] == paths
    assert missing_of(project) == []
    assert len(project.boxes(1)) == 1


def test_renamed_and_scattered_images_are_found_by_content(place, tmp_path: Path) -> None:
    project, old = place
    (tmp_path / "x" / "y").mkdir(parents=True)
    shutil.move(old / "a.png", tmp_path / "x" / "renamed.png")
    shutil.move(old / "sub" / "ü c.png", tmp_path / "x" / "y" / "ü c.png")
    picture(tmp_path / "x" / "a.png", 99)  # same name and size in pixels, other content
    proposal = search(missing_of(project), tmp_path / "x", taken=[old / "b.png"])
    assert [(link.record.id, link.file.name, link.certainty) for link in proposal.links] == [
        (1, "renamed.png", "content"),
        (3, "ü c.png", "content"),
    ]
    relink.relink(project, proposal)
    assert project.root == old  # b.png is still there
    assert missing_of(project) == []
    assert project.file_of(project.image(1)) == tmp_path / "x" / "renamed.png"


def test_copies_of_one_content_each_find_their_own(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.camviewer") as project:
        files = [picture(tmp_path / "old" / folder / "a.png", 1) for folder in ("x", "y")]
        project.add_images([kept(project, file) for file in files])
        (tmp_path / "old").rename(tmp_path / "new")
        proposal = search(missing_of(project)[::-1], tmp_path / "new")
        assert [link.file.parent.name for link in proposal.links] == ["y", "x"]
        shutil.rmtree(tmp_path / "new" / "y")
        alone = search(missing_of(project), tmp_path / "new")
        assert [link.record.id for link in alone.links] == [1]
        assert [record.id for record in alone.lost] == [2]


def test_without_a_hash_name_and_sizes_have_to_agree(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.camviewer", root=tmp_path / "old") as project:
        file = picture(tmp_path / "old" / "a.png", 1)
        project.add_images([kept(project, file, hashed=False)])
        record = project.image(1)
        (tmp_path / "old").rename(tmp_path / "new")
        proposal = search([record], tmp_path / "new")
        assert proposal.links[0].certainty == "name"
        assert "by name and size only" in proposal.sentence
        relink.relink(project, proposal)
        assert project.image(1).sha256 == digest(tmp_path / "new" / "a.png")
        with (tmp_path / "new" / "a.png").open("ab") as handle:
            handle.write(b"x")
        assert search([record], tmp_path / "new").lost == (record,)


def test_two_images_may_change_places(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2)
    with Project.create(tmp_path / "p.camviewer") as project:
        project.add_images([kept(project, first), kept(project, second)])
        records = project.images()
        links = tuple(
            Link(record, file, "content", digest(file)) for record, file in zip(records, (second, first), strict=True)
        )
        assert relink.relink(project, Proposal(links, ())) == 2
        assert [record.path.name for record in project.images()] == ["b.png", "a.png"]


def test_nothing_changes_when_a_place_is_taken_or_an_image_gone(place, tmp_path: Path) -> None:
    project, old = place
    records = project.images()
    good = Link(records[0], picture(tmp_path / "z.png", 0), "content", "aa")
    project.set_note(3, "mine")
    before = project.images()
    taken = Link(records[1], old / "sub" / "ü c.png", "content", "bb")
    with pytest.raises(ProjectError, match="belongs to another image"):
        relink.relink(project, Proposal((good, taken), ()))
    gone = Link(ImageRecord(PurePosixPath("q.png"), (1, 1), id=99), good.file, "content", "cc")
    with pytest.raises(ProjectError, match=r"q\.png is not in"):
        relink.relink(project, Proposal((Link(records[1], tmp_path / "z.png", "content", "a"), gone), ()))
    assert project.images() == before


def test_a_search_is_cancelled_and_reports_what_it_cannot_find(place, tmp_path: Path) -> None:
    project, old = place
    (old / "a.png").rename(tmp_path / "a.png")
    with pytest.raises(Cancelled):
        search(missing_of(project), tmp_path, cancelled=lambda: True)
    (tmp_path / "empty").mkdir()
    nothing = search(missing_of(project), tmp_path / "empty")
    assert nothing.links == () and nothing.root is None
    assert nothing.sentence == "The image is not here."
    assert relink.relink(project, nothing) == 0
    with pytest.raises(ImageError, match="is not there"):
        search(missing_of(project), tmp_path / "nowhere")


def test_an_image_that_failed_because_it_was_gone_is_new_again(place, tmp_path: Path) -> None:
    project, old = place
    project.store_failure(1, "a.png is not there.")
    project.set_status([2], "reviewed")
    old.rename(tmp_path / "new")
    relink.relink(project, search(missing_of(project), tmp_path / "new"))
    assert (project.image(1).status, project.image(1).error) == ("new", "")
    assert project.image(2).status == "reviewed"


def test_an_image_that_a_scan_made_at_the_new_place_gives_way(place, tmp_path: Path) -> None:
    project, old = place
    project.add_box(1, Box(0, 0, 3, 3, 1))
    (old / "in").mkdir()
    (old / "a.png").rename(old / "in" / "a.png")
    project.add_images([kept(project, old / "in" / "a.png", hashed=False)])
    assert relink.untouched(project) == {2, 3, 4}
    assert relink.relink(project, search(missing_of(project), old)) == 1
    assert [(record.id, record.path.as_posix()) for record in project.images()] == [
        (1, "in/a.png"),
        (2, "b.png"),
        (3, "sub/ü c.png"),
    ]
    assert len(project.boxes(1)) == 1


def test_digests_are_kept_for_later(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 1)
    with Project.create(tmp_path / "p.camviewer") as project:
        project.add_images([kept(project, file, hashed=False)])
        relink.keep_digests(project, [(1, file.stat().st_size, digest(file))])
        assert project.image(1).sha256 == digest(file)
