from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from explained import a_map, a_mask, a_run

from camviewer.errors import ProjectError
from camviewer.project import connection, schema
from camviewer.project.locate import open_folder, project_for_folder
from camviewer.project.records import AnnotationClass, Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import Project


def record(name: str = "a.jpg", size=(60, 40)) -> ImageRecord:
    return ImageRecord(PurePosixPath(name), size, file_size=5, sha256="ff")


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.camviewer") as made:
        made.add_images([record(), record("sub/ü b.jpg")])
        made.set_class_table(ClassTable.for_model(("melanoma", "naevus")))
        yield made


def reopened(project: Project) -> Project:
    project.close()
    return Project.open(project.path)


def automatic(project: Project, image_id: int = 1, *, mask=None, seed: int = 0) -> bool:
    return project.store_result(
        image_id,
        run_id=project.add_run(a_run()),
        top=[(0, 2.0, 0.9), (1, -1.0, 0.1)],
        maps=[a_map(seed=seed)],
        boxes=[Box(1, 2, 3.5, 4, 1, score=0.5)],
        masks=[Mask(a_mask() if mask is None else mask, 1, refine="none")],
    )


def test_everything_comes_back(project: Project) -> None:
    assert automatic(project)
    project.add_box(1, Box(0, 0, 5, 5, 2))
    project.set_mask(1, Mask(~a_mask(), 1, refine="brush"))
    project.set_note(2, "läuft")
    project.set_flags(2, ["ruler", "hair"])
    project.set_status([2], "reviewed", reviewer="ab")
    with reopened(project) as again:
        assert [r.path.as_posix() for r in again.images()] == ["a.jpg", "sub/ü b.jpg"]
        first, second = again.images()
        assert first.status == "edited"
        assert first.top == ((0, 2.0, 0.9), (1, -1.0, 0.1))
        assert (second.note, second.flags, second.status, second.reviewer) == (
            "läuft",
            ("hair", "ruler"),
            "reviewed",
            "ab",
        )
        assert second.reviewed_at
        (found,) = again.maps(1)
        assert np.array_equal(found.values, a_map().values)
        assert found.geometry == a_map().geometry
        assert found.run is not None
        assert again.run(found.run).to_json() == a_run().to_json() | {
            "preprocessing": again.run(found.run).preprocessing
        }
        auto, manual = again.boxes(1)
        assert (auto.x1, auto.origin, auto.score, auto.run) == (3.5, "auto", 0.5, found.run)
        assert (manual.origin, manual.run) == ("manual", None)
        a, b = again.masks(1)
        assert (a.slot, b.slot, b.refine) == ("auto", "reviewed", "brush")
        assert np.array_equal(a.pixels, a_mask())
        (final,) = again.final_masks(1)
        assert np.array_equal(final.pixels, ~a_mask())
        summary = again.mask_summaries()[0]
        assert (summary.bounds, summary.area) == ((10, 5, 30, 20), 299)


def test_an_automatic_run_changes_nothing_in_a_reviewed_image(project: Project) -> None:
    automatic(project)
    automatic(project, 2)
    project.set_status([1], "reviewed")
    before = [(m.slot, m.pixels.tobytes()) for m in project.masks(1)], project.boxes(1)
    assert not automatic(project, mask=~a_mask(), seed=5)
    assert automatic(project, 2, mask=~a_mask())
    assert ([(m.slot, m.pixels.tobytes()) for m in project.masks(1)], project.boxes(1)) == before
    assert project.image(1).status == "reviewed"
    assert np.array_equal(project.masks(2)[0].pixels, ~a_mask())
    assert np.array_equal(project.maps(1)[0].values, a_map(seed=5).values)


def test_an_automatic_run_never_writes_the_reviewed_slot_nor_boxes_of_a_person(project: Project) -> None:
    project.set_mask(1, Mask(a_mask(), 1))
    manual = project.add_box(1, Box(0, 0, 5, 5, 2))
    assert automatic(project, mask=~a_mask())
    project.store_result(1, run_id=None, masks=[Mask(~a_mask(), 1, slot="reviewed")], boxes=[])
    assert np.array_equal(project.masks(1, slot="reviewed")[0].pixels, a_mask())
    assert project.boxes(1) == [manual]
    assert project.image(1).status == "edited"


def test_boxes_are_changed_by_id(project: Project) -> None:
    automatic(project)
    (box,) = project.boxes(1)
    edited = project.update_box(1, Box(0, 0, 9, 9, 2, id=box.id))
    assert project.boxes(1) == [edited]
    assert edited.origin == "edited"
    project.remove_box(1, edited.id)
    assert project.boxes(1) == []
    assert project.add_box(1, edited) == edited  # undoing the removal brings the same box back
    with pytest.raises(ProjectError, match="not in the image"):
        project.update_box(2, edited)


def test_removing_a_reviewed_mask_brings_the_automatic_one_back(project: Project) -> None:
    automatic(project)
    project.set_mask(1, Mask(np.zeros_like(a_mask()), 1))
    assert not project.final_masks(1)[0].pixels.any()
    project.remove_mask(1, 1)
    assert np.array_equal(project.final_masks(1)[0].pixels, a_mask())


def test_a_mask_of_another_size_is_refused(project: Project) -> None:
    with pytest.raises(ProjectError, match="10 x 12 pixels, the image 60 x 40"):
        project.set_mask(1, Mask(np.zeros((12, 10), bool), 1))


def test_a_group_of_edits_is_kept_whole_or_not_at_all(project: Project) -> None:
    with pytest.raises(RuntimeError), project.transaction():
        project.set_note(1, "x")
        project.add_box(1, Box(0, 0, 1, 1, 1))
        raise RuntimeError
    assert project.image(1).note == ""
    assert project.boxes(1) == []
    with project.transaction():
        project.set_note(1, "x")
        project.add_box(1, Box(0, 0, 1, 1, 1))
    assert (project.image(1).note, len(project.boxes(1))) == ("x", 1)


def test_a_failure_keeps_regions_and_decisions(project: Project) -> None:
    automatic(project)
    project.store_failure(1, "a.jpg cannot be read.")
    assert (project.image(1).status, project.image(1).error) == ("failed", "a.jpg cannot be read.")
    assert project.masks(1)
    automatic(project)
    assert (project.image(1).status, project.image(1).error) == ("computed", "")
    project.set_status([1], "reviewed")
    project.store_failure(1, "no")
    assert project.image(1).status == "reviewed"


def test_class_ids_are_never_used_again(project: Project) -> None:
    third = project.add_class("wart")
    assert third.id == 3
    table = project.class_table()
    project.set_class_table(ClassTable(table.classes[:2], table.by_model))
    assert project.add_class("scar").id == 4
    with pytest.raises(ProjectError, match="was used before"):
        project.set_class_table(ClassTable((*project.class_table().classes, AnnotationClass(3, "new", "#000000"))))
    automatic(project)
    with pytest.raises(ProjectError, match="regions carry it"):
        project.set_class_table(ClassTable())
    assert len(project.class_table().classes) == 3
    renamed = ClassTable(tuple(AnnotationClass(c.id, c.name.upper(), c.colour) for c in project.class_table().classes))
    project.set_class_table(renamed)
    assert [c.name for c in project.class_table().classes] == ["MELANOMA", "NAEVUS", "SCAR"]


def test_equal_runs_are_one(project: Project) -> None:
    assert project.add_run(a_run()) == project.add_run(a_run())
    assert project.add_run(a_run(seed=1)) != project.add_run(a_run())
    assert [run.seed for run in project.runs().values()] == [0, 1]


def test_adding_an_image_twice_keeps_the_first(project: Project) -> None:
    project.set_note(1, "x")
    assert project.add_images([record(), record("new.jpg")]) == 1
    assert [r.note for r in project.images()] == ["x", "", ""]
    assert project.image_at(PurePosixPath("new.jpg")) == project.images()[2]
    project.remove_images([1])
    assert project.image_at(PurePosixPath("a.jpg")) is None


def test_a_name_that_is_not_utf8_comes_back(project: Project) -> None:
    name = os.fsdecode(b"l\xe4sion.jpg")
    project.add_images([record(name)])
    found = project.image_at(PurePosixPath(name))
    assert found is not None and found.path.as_posix() == name
    project.store_failure(found.id, f"{name} cannot be read.")
    assert "sion.jpg cannot be read." in project.image(found.id).error


def test_save_as_copies_and_still_finds_the_images(project: Project, tmp_path: Path) -> None:
    automatic(project)
    with project.save_as(tmp_path / "deep" / "copy.camviewer") as copy:
        assert copy.root == project.root == tmp_path
        assert copy.file_of(copy.image(2)) == tmp_path / "sub" / "ü b.jpg"
        copy.set_note(1, "copy")
        assert len(copy.masks(1)) == 1
    assert project.image(1).note == ""
    with pytest.raises(ProjectError, match="exists already"):
        project.save_as(tmp_path / "deep" / "copy.camviewer")


def test_a_moved_folder_still_finds_its_images(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with open_folder(tmp_path / "one") as made:
        made.add_images([record()])
    (tmp_path / "one").rename(tmp_path / "two")
    with open_folder(tmp_path / "two") as again:
        assert again.file_of(again.images()[0]) == tmp_path / "two" / "a.jpg"


def test_the_log_is_written_ahead_except_on_network_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Project.create(tmp_path / "a.camviewer") as made:
        assert made._one("PRAGMA journal_mode") == ("wal",)
    monkeypatch.setattr(connection, "on_network_drive", lambda path: True)
    with Project.open(tmp_path / "a.camviewer") as made:
        assert made._one("PRAGMA journal_mode") == ("delete",)
        made.add_images([record()])
    with Project.create(tmp_path / "b.camviewer") as made:
        assert made._one("PRAGMA journal_mode") == ("delete",)


@pytest.mark.parametrize(("kind", "network"), [("nfs4", True), ("cifs", True), ("ext4", False)])
def test_network_drives_are_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, network: bool
) -> None:
    place = str(tmp_path).replace(" ", "\\040")
    monkeypatch.setattr(Path, "read_text", lambda self, **_: f"none / ext4 rw 0 0\nhost:/x {place} {kind} rw 0 0\n")
    assert connection.on_network_drive(tmp_path / "p.camviewer") is network


def test_another_thread_may_not_use_it(project: Project) -> None:
    seen: list[BaseException] = []

    def work() -> None:
        try:
            project.images()
        except ProjectError as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) == 1


# What is refused


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()


def newer(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    other.close()


def lacking(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("DROP TABLE masks")
    other.commit()
    other.close()


def scrambled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 6] = os.urandom(4096 * 5)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"not a database at all" * 50), "is not a camviewer project"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"SQLite format 3\x00"), "is cut short"),
        (lambda path: path.unlink(), "is not there"),
        (cut, "is cut short"),
        (foreign, "is a database of another program"),
        (newer, "was made by a newer camviewer"),
        (lacking, "lacks the table masks"),
        (scrambled, "is damaged"),
    ],
)
def test_what_is_no_whole_project_is_refused_and_left_alone(tmp_path: Path, spoil, words: str) -> None:
    path = tmp_path / "p.camviewer"
    with Project.create(path) as made:
        made.add_images([record(f"{i}.jpg") for i in range(500)])
    spoil(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(ProjectError, match=words) as error:
        Project.open(path)
    assert error.value.message.startswith("p.camviewer")
    assert "\n" not in error.value.message
    assert (path.read_bytes() if path.exists() else None) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == (["p.camviewer"] if before is not None else [])


def test_an_older_schema_is_upgraded_and_a_copy_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.camviewer"
    with Project.create(path) as made:
        made.add_images([record()])
    old = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", old + 1)
    monkeypatch.setitem(schema.UPGRADES, old, lambda c: c.execute("UPDATE images SET note = 'upgraded'"))
    with Project.open(path) as again:
        assert again.images()[0].note == "upgraded"
        assert again._one("PRAGMA user_version") == (old + 1,)
    monkeypatch.setattr(schema, "VERSION", old)
    with Project.open(tmp_path / f"p.schema{old}.camviewer") as kept:
        assert kept.images()[0].note == ""


def test_doubt_and_findings_belong_to_the_automatic_masks(project: Project) -> None:
    assert (project.image(1).doubt, project.image(1).findings) == (None, ())
    project.store_result(1, run_id=None, masks=[Mask(a_mask(), 1)], doubt=0.25, findings=("ruler", "ink"))
    assert (project.image(1).doubt, project.image(1).findings) == (0.25, ("ink", "ruler"))
    project.store_result(1, run_id=None, top=((0, 1.0, 0.5),))
    assert project.image(1).doubt == 0.25  # the masks it belongs to are still there
    project.store_result(1, run_id=None, masks=[Mask(a_mask(), 1)])
    assert (project.image(1).doubt, project.image(1).findings) == (None, ())


def test_an_upgrade_that_fails_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.camviewer"
    with Project.create(path) as made:
        made.add_images([record()])
    old = schema.VERSION

    def step(c: sqlite3.Connection) -> None:
        c.execute("DELETE FROM images")
        c.execute("SELECT * FROM nowhere")

    monkeypatch.setattr(schema, "VERSION", old + 1)
    monkeypatch.setitem(schema.UPGRADES, old, step)
    with pytest.raises(ProjectError):
        Project.open(path)
    monkeypatch.setattr(schema, "VERSION", old)
    with Project.open(path) as again:
        assert len(again.images()) == 1


def test_a_full_disk_is_one_sentence_and_damages_nothing(project: Project) -> None:
    automatic(project)
    (pages,) = project._one("PRAGMA page_count")
    project._one(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL
    noise = np.random.default_rng(0).random((4000, 4000)) > 0.5
    project.add_images([])
    with pytest.raises(ProjectError, match=r"The disk of p\.camviewer is full"):
        project.store_result(2, run_id=None, masks=[Mask(noise, 1)])
    assert project.masks(2) == []
    project._one("PRAGMA max_page_count = 1000000")
    assert automatic(project, 2)
    with reopened(project) as again:
        assert len(again.masks(1)) == len(again.masks(2)) == 1


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from camviewer.errors import ProjectError
from camviewer.project.records import Mask
from camviewer.project.store import Project
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
project = Project.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
kept = 0
try:
    for step in range(1000):
        noise = np.random.default_rng(step).random((40, 60)) > 0.5
        project.set_mask(1, Mask(noise, step))
        kept += 1
except ProjectError as error:
    print(error.message)
print(kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with project.save_as(Path(sys.argv[2])) as copy:
    copy.set_mask(1, Mask(np.ones((40, 60), bool), 9999))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_a_disk_that_takes_no_more_keeps_every_completed_edit(project: Project, tmp_path: Path) -> None:
    project.close()
    rescued = tmp_path / "rescued.camviewer"
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, str(project.path), str(rescued)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.splitlines()
    assert "Save the project on another disk." in answer[0]
    kept = int(answer[1])
    assert 0 < kept < 1000
    with Project.open(project.path) as again:
        assert len(again.masks(1)) == kept
    with Project.open(rescued) as copy:
        assert len(copy.masks(1)) == kept + 1


def test_a_project_that_is_written_by_another_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project._one("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(project.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ProjectError, match="is being written by another program"):
        project.set_note(1, "x")
    other.execute("ROLLBACK")
    other.close()
    project.set_note(1, "x")


# Folders


def test_a_folder_gets_its_project_without_being_asked(tmp_path: Path) -> None:
    folder = tmp_path / "my images"
    folder.mkdir()
    with open_folder(folder) as made:
        assert made.path == folder / "my images.camviewer"
        assert made.root == folder
        made.add_images([record()])
    with open_folder(folder) as again:
        assert len(again.images()) == 1
    with pytest.raises(ProjectError, match="is not there"):
        open_folder(tmp_path / "gone")


def test_any_project_in_the_folder_is_taken(tmp_path: Path) -> None:
    Project.create(tmp_path / "other.camviewer").close()
    assert project_for_folder(tmp_path) == tmp_path / "other.camviewer"


def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` unwritable as the program sees it, also for root."""
    monkeypatch.setattr("camviewer.project.locate._writable", lambda place: place != folder)


def test_a_folder_that_cannot_be_written_has_its_project_in_the_data_folder(
    tmp_path: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    refuse(folder, monkeypatch)
    with open_folder(folder) as made:
        assert made.path.is_relative_to(isolated_home)
        assert made.root == folder
        made.add_images([record()])
        assert made.file_of(made.images()[0]) == folder / "a.jpg"
    with open_folder(folder) as again:
        assert len(again.images()) == 1
    assert list(folder.iterdir()) == []


def test_a_project_in_a_folder_that_cannot_be_written_is_continued_elsewhere(
    tmp_path: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with open_folder(folder) as made:
        made.add_images([record()])
    refuse(folder, monkeypatch)
    with open_folder(folder) as again:
        assert again.path.is_relative_to(isolated_home)
        assert again.root == folder
        again.set_note(1, "x")
    with open_folder(folder) as third:
        assert third.images()[0].note == "x"


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.camviewer"
    Project.create(path).close()
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda name, **kw: real(str(name).replace("mode=rw", "mode=ro"), **kw))
    with pytest.raises(ProjectError, match=r"p\.camviewer cannot be written\. Save the project in another folder"):
        Project.open(path)


def test_creating_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError):
        Project.create(tmp_path / "file" / "p.camviewer")
    with pytest.raises(ProjectError, match="exists already"):
        Project.create(tmp_path / "file")


def test_ten_thousand_images(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p.camviewer") as made:
        assert made.add_images(record(f"{i:05}.jpg") for i in range(10_000)) == 10_000
        assert len(made.images()) == 10_000
        made.set_status(range(1, 5001), "reviewed")
        assert made.status_counts() == {"new": 5000, "reviewed": 5000}
