from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from explained import TOP, a_map, a_mask, a_run, write_one
from exports import a_project, photo
from PIL import Image
from pycocotools.coco import COCO

from camviewer.errors import Cancelled, ExportError, ImageError, UsageError
from camviewer.formats.explain_json import ExplainedBox, ExplainedMap, ExplainWriter
from camviewer.pipeline.export import ExportRequest, export
from camviewer.pipeline.split import read_groups, split
from camviewer.project.records import Box, Mask
from camviewer.project.store import Project


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def explained(folder: Path, names=("a.jpg", "sub/b c.png"), **kwargs) -> Path:
    """An explain folder beside its photographs; the second class is only looked at."""
    with ExplainWriter(folder / "out", a_run()) as writer:
        for i, name in enumerate(names):
            source = photo(folder / "photos" / name, (60, 40), seed=i)
            first = ExplainedMap(a_map(seed=i), (ExplainedBox((10, 5, 30, 20), 0.4, 0.9),), np.roll(a_mask(), i))
            second = ExplainedMap(a_map(seed=i, class_index=1), (), ~a_mask())
            writer.add_image(name, size=(60, 40), top=TOP, maps=[first, second], source=source)
        writer.add_error("bad.jpg", ImageError("bad.jpg cannot be read."))
        writer.finish()
    return folder / "out"


MASK = np.zeros((30, 50), bool)
MASK[5:15, 10:30] = True


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return a_project(
        tmp_path / "images",
        {"a.png": {1: MASK}, "b.png": {1: MASK, 2: ~MASK}, "c.png": {2: np.zeros_like(MASK)}},
        reviewed=["a.png", "c.png"],
    )


def test_an_explain_folder_gives_its_first_masks_and_says_unreviewed(tmp_path: Path) -> None:
    source = explained(tmp_path)
    report = export(ExportRequest(source, "coco", tmp_path / "coco"))
    assert (report.images, report.regions, report.empty, report.unreviewed) == (2, 2, 0, 2)
    assert report.left_out == {"cannot be read": 1}
    assert report.sentence == "2 images exported, 2 regions. 1 image stays out: 1 cannot be read."
    coco = load(tmp_path / "coco" / "instances.json")
    assert "unreviewed" in coco.dataset["info"]["description"]
    assert [image["file_name"] for image in coco.dataset["images"]] == ["a.jpg", "sub/b c.png"]
    for i in (1, 2):
        (row,) = coco.imgToAnns[i]
        assert row["category_id"] == 1
        assert row["attributes"] == {
            "score": 0.4,
            "method": "gradcam",
            "layer": "layer4",
            "refine": "none",
            "reviewed": False,
        }
        assert np.array_equal(coco.annToMask(row).astype(bool), np.roll(a_mask(), i - 1))
    manifest = json.loads((tmp_path / "coco" / "run.json").read_text(encoding="utf-8"))
    assert manifest["runs"] == [json.loads(json.dumps(a_run().to_json()))]
    assert manifest["review"] == "unreviewed"
    assert manifest["images"][0] == {"file": "a.jpg", "name": "a", "status": "unreviewed"}
    assert json.loads((tmp_path / "coco" / "export-coco.json").read_text(encoding="utf-8"))["images"] == 2
    assert not list(tmp_path.glob(".camviewer*"))


def test_all_classes_of_an_explain_folder_on_demand(tmp_path: Path) -> None:
    source = explained(tmp_path)
    export(ExportRequest(source, "coco", tmp_path / "coco", regions="all"))
    coco = load(tmp_path / "coco" / "instances.json")
    assert [row["category_id"] for row in coco.imgToAnns[1]] == [1, 2]
    assert np.array_equal(coco.annToMask(coco.imgToAnns[1][1]).astype(bool), ~a_mask())


def test_a_project_exports_what_was_reviewed(project: Path, tmp_path: Path) -> None:
    with Project.open(project) as opened:
        opened.set_mask(1, Mask(~MASK, 1))
    report = export(ExportRequest(project, "coco", tmp_path / "out"))
    assert (report.images, report.regions, report.empty, report.left_out) == (2, 1, 1, {"not reviewed": 1})
    coco = load(tmp_path / "out" / "instances.json")
    assert coco.dataset["info"]["description"] == "camviewer export, reviewed"
    (row,) = coco.imgToAnns[1]
    assert np.array_equal(coco.annToMask(row).astype(bool), ~MASK)
    assert coco.imgToAnns[2] == []
    report = export(ExportRequest(project, "masks", tmp_path / "all", status="all"))
    assert report.images == 3
    assert sorted(files(tmp_path / "all")) == [
        "a_segmentation.png",
        "b_segmentation.png",
        "c_segmentation.png",
        "export-masks.json",
        "run.json",
    ]
    with Image.open(tmp_path / "all" / "b_segmentation.png") as image:
        assert np.array_equal(np.asarray(image), np.full((30, 50), 255))


def test_nothing_reviewed_is_one_sentence(tmp_path: Path) -> None:
    source = explained(tmp_path)
    with pytest.raises(ExportError, match="There is nothing to export: 1 cannot be read, 2 not reviewed"):
        export(ExportRequest(source, "coco", tmp_path / "coco", status="reviewed"))
    assert not (tmp_path / "coco").exists()


def test_a_dry_run_counts_the_same_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    request = ExportRequest(project, "masks", tmp_path / "deep" / "out", status="all", options={"largest": True})
    dry = export(request, dry_run=True)
    assert not (tmp_path / "deep").exists()
    wet = export(request)
    assert {**dry.to_json(), **dict.fromkeys(("entries", "dry_run", "sentence"))} == {
        **wet.to_json(),
        **dict.fromkeys(("entries", "dry_run", "sentence")),
    }
    assert dry.sentence.startswith("3 images would be exported")


def test_overlays_show_outline_and_heat(tmp_path: Path) -> None:
    source = explained(tmp_path, ["a.png"])
    export(ExportRequest(source, "overlays", tmp_path / "o", options={"heat": False, "width": 1}))
    with Image.open(tmp_path / "o" / "a_overlay.png") as image:
        drawn = np.asarray(image)
    with Image.open(tmp_path / "photos" / "a.png") as image:
        plain = np.asarray(image)
    assert drawn.shape == plain.shape
    # melanoma is the first class: orange outlines, and the picture away from them is untouched
    assert (drawn == (0xFF, 0x6F, 0x3C)).all(axis=2).sum() >= 60
    assert np.array_equal(drawn[30:, 40:], plain[30:, 40:])
    export(ExportRequest(source, "overlays", tmp_path / "h", options={"heat": True, "opacity": 1.0}))
    with Image.open(tmp_path / "h" / "a_overlay.png") as image:
        assert not np.array_equal(np.asarray(image)[30:, 40:], plain[30:, 40:])


def test_an_image_that_is_gone_stays_out_of_overlays_only(tmp_path: Path) -> None:
    source = explained(tmp_path)
    (tmp_path / "photos" / "a.jpg").unlink()
    report = export(ExportRequest(source, "overlays", tmp_path / "o"))
    assert (report.images, report.left_out) == (1, {"cannot be read": 2})
    assert any("a.jpg is not where it was" in sentence for sentence in report.problems)
    assert export(ExportRequest(source, "masks", tmp_path / "m")).images == 2


@pytest.mark.parametrize("images", ["copy", "link"])
def test_images_are_copied_upright(tmp_path: Path, images: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = tmp_path / "out"
    turned = photo(tmp_path / "photos" / "t.jpg", (40, 60), exif=exif)
    plain = photo(tmp_path / "photos" / "p.jpg", (60, 40), comment=b"secret")
    with ExplainWriter(out, a_run()) as writer:
        for path in (turned, plain):
            writer.add_image(
                path.name, size=(60, 40), top=TOP, maps=[ExplainedMap(a_map(), mask=a_mask())], source=path
            )
        writer.finish()
    export(ExportRequest(out, "coco", tmp_path / "c", images=images, strip=False))
    names = [image["file_name"] for image in load(tmp_path / "c" / "instances.json").dataset["images"]]
    assert names == ["images/t.jpg", "images/p.jpg"]
    with Image.open(tmp_path / "c" / names[0]) as image:
        assert image.size == (60, 40)
        assert image.getexif().get(0x0112, 1) == 1
    assert (tmp_path / "c" / names[1]).is_symlink() == (images == "link")
    assert (tmp_path / "c" / names[1]).read_bytes() == plain.read_bytes()
    export(ExportRequest(out, "coco", tmp_path / "d", images=images))
    assert (b"secret" in (tmp_path / "d" / names[1]).read_bytes()) == (images == "link"), "copies tell nothing"
    export(ExportRequest(out, "coco", tmp_path / "s", images=images, strip=True))
    stripped = (tmp_path / "s" / names[1]).read_bytes()
    assert b"secret" not in stripped
    with Image.open(io.BytesIO(stripped)) as image, Image.open(plain) as original:
        assert np.array_equal(np.asarray(image), np.asarray(original))


# Atomic results


def test_an_earlier_export_is_replaced_and_nothing_else(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(ExportRequest(project, "masks", out, status="all"))
    export(ExportRequest(project, "coco", out, status="all"))
    (out / "mine.txt").write_text("mine")
    export(ExportRequest(project, "masks", out))
    assert sorted(files(out)) == [
        "a_segmentation.png",
        "c_segmentation.png",
        "export-coco.json",
        "export-masks.json",
        "instances.json",
        "mine.txt",
        "run.json",
    ]
    (out / "b_segmentation.png").write_bytes(b"by hand")
    before = files(out)
    with pytest.raises(ExportError, match=r"out holds b_segmentation\.png already"):
        export(ExportRequest(project, "masks", out, status="all"))
    assert files(out) == before
    assert not list(out.glob(".camviewer*")) and not list(tmp_path.glob(".camviewer*"))


def test_cancelling_leaves_nothing(project: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        export(
            ExportRequest(project, "coco", tmp_path / "out", status="all"),
            on_progress=lambda done, total: seen.append((done, total)),
            cancelled=lambda: len(seen) == 2,
        )
    assert seen == [(0, 3), (1, 3)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images"]


def test_a_failing_move_puts_everything_back(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    export(ExportRequest(project, "masks", out))
    (out / "mine.txt").write_text("mine")
    before = files(out)
    real = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if Path(target) == out / "c_segmentation.png" and "partial" in self.parent.name and self.parent.parent != out:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ExportError, match="The disk is full"):
        export(ExportRequest(project, "masks", out))
    monkeypatch.undo()
    assert files(out) == before


LIMITED = """
import resource, signal, sys
from pathlib import Path
from camviewer.errors import ExportError
from camviewer.pipeline.export import ExportRequest, export
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    export(ExportRequest(Path(sys.argv[1]), sys.argv[3], Path(sys.argv[2])))
except ExportError as error:
    print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # coverage writes too
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
@pytest.mark.parametrize(("name", "limit"), [("masks", 100), ("coco", 300), ("coco", 700), ("overlays", 1000)])
def test_a_full_disk_is_one_sentence_and_nothing_is_damaged(tmp_path: Path, name: str, limit: int) -> None:
    source = explained(tmp_path)
    export(ExportRequest(source, name, tmp_path / "out"))
    before = files(tmp_path)
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, str(source), str(tmp_path / "out"), name, str(limit)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert answer.stderr == ""
    assert answer.stdout.count("\n") == 1
    assert answer.stdout.rstrip().endswith(
        "cannot be written. The file is too large for this disk; choose another folder."
    )
    assert files(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("name", ["masks", "coco", "overlays"])
def test_a_disk_that_is_really_full(tmp_path: Path, name: str) -> None:
    source = explained(tmp_path, [f"{i}.png" for i in range(40)])
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (disk / "mine.txt").write_text("mine")
        with pytest.raises(ExportError, match=r"cannot be written\. The disk is full; free some space"):
            export(ExportRequest(source, name, disk / "out", regions="all"))
        assert files(disk) == {"mine.txt": b"mine"}
        subprocess.run(["umount", str(disk)], check=True)  # fails while a file is still open
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False, capture_output=True)


def test_no_space_left_is_one_sentence(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="The disk is full; free some space or choose another folder"):
        export(ExportRequest(project, "masks", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# Options


def test_wrong_requests_are_one_sentence(project: Path, tmp_path: Path) -> None:
    for changes, kind, words in [
        ({"format": "tiff"}, UsageError, "There is no format 'tiff'"),
        ({"options": {"colour": 1}}, UsageError, "has no parameter 'colour'"),
        ({"options": {"largest": "perhaps"}}, UsageError, "needs yes or no"),
        ({"ratios": (0.5, 0.4)}, UsageError, "add up to 1"),
        ({"class_map": {"wart": "x"}}, UsageError, "There is no class 'wart'"),
        ({"source": tmp_path / "gone"}, ExportError, "gone is not there"),
        ({"source": tmp_path}, ExportError, "holds neither"),
    ]:
        request = {"source": project, "format": "masks", "out": tmp_path / "out", **changes}
        with pytest.raises(kind, match=words):
            export(ExportRequest(**request))
        assert not (tmp_path / "out").exists()


def test_classes_are_mapped_and_united(project: Path, tmp_path: Path) -> None:
    request = ExportRequest(
        project, "coco", tmp_path / "out", status="all", class_map={"melanoma": "lesion", "naevus": "lesion"}
    )
    export(request)
    coco = load(tmp_path / "out" / "instances.json")
    assert coco.dataset["categories"] == [{"id": 1, "name": "lesion", "supercategory": ""}]
    (row,) = coco.imgToAnns[2]
    assert row["area"] == MASK.size
    export(ExportRequest(project, "coco", tmp_path / "less", status="all", class_map={"melanoma": ""}))
    coco = load(tmp_path / "less" / "instances.json")
    assert [entry["name"] for entry in coco.dataset["categories"]] == ["naevus"]
    assert coco.imgToAnns[1] == []
    assert np.array_equal(coco.annToMask(coco.imgToAnns[2][0]).astype(bool), ~MASK)


def test_a_lesion_never_falls_on_two_sides(tmp_path: Path) -> None:
    source = explained(tmp_path, [f"{i}.png" for i in range(20)])
    table = tmp_path / "meta.csv"
    rows = "".join(f"{i},lesion{i // 4}\n" for i in range(20))
    table.write_text("image_id,lesion_id\n" + rows, encoding="utf-8")
    request = ExportRequest(
        source, "coco", tmp_path / "out", ratios=(0.6, 0.2, 0.2), groups=table, group_column="lesion_id", seed=3
    )
    report = export(request)
    assert report.parts == {"train": 12, "val": 4, "test": 4}
    side: dict[int, set[str]] = {}
    for part in ("train", "val", "test"):
        for image in load(tmp_path / "out" / f"instances_{part}.json").dataset["images"]:
            side.setdefault(int(image["file_name"].split(".")[0]) // 4, set()).add(part)
    assert len(side) == 5
    assert all(len(parts) == 1 for parts in side.values())
    before = (tmp_path / "out" / "instances_val.json").read_text(encoding="utf-8")
    export(request)
    again = json.loads((tmp_path / "out" / "instances_val.json").read_text(encoding="utf-8"))
    assert again["images"] == json.loads(before)["images"]


def test_splitting_depends_on_the_seed_alone() -> None:
    groups = [f"g{i}" for i in range(1000)]
    one = split(groups, (0.8, 0.1, 0.1), seed=0)
    assert one == split(groups, (0.8, 0.1, 0.1), seed=0)
    assert one != split(groups, (0.8, 0.1, 0.1), seed=1)
    assert [one.count(part) for part in ("train", "val", "test")] == [800, 100, 100]


def test_groups_need_their_column(tmp_path: Path) -> None:
    table = tmp_path / "meta.csv"
    table.write_text("image_id,lesion_id\nISIC_1,HAM_1\n", encoding="utf-8-sig")
    assert read_groups(table, column="lesion_id") == {"isic_1": "HAM_1"}
    with pytest.raises(Exception, match="has no column 'patient'; it has: image_id, lesion_id"):
        read_groups(table, column="patient")


def test_only_the_wanted_files(project: Path, tmp_path: Path) -> None:
    report = export(ExportRequest(project, "masks", tmp_path / "out", status="all", files=("b.png",)))
    assert report.images == 1


def test_boxes_of_a_project_are_written(project: Path, tmp_path: Path) -> None:
    with Project.open(project) as opened:
        opened.add_box(1, Box(1.5, 2, 10, 20, 1))
    export(ExportRequest(project, "coco", tmp_path / "out", options={"segmentation": "boxes"}))
    (row,) = load(tmp_path / "out" / "instances.json").imgToAnns[1]
    assert row["bbox"] == [1.5, 2.0, 8.5, 18.0]


def test_the_old_export_of_an_explain_folder_may_lie_in_it(tmp_path: Path) -> None:
    write_one(tmp_path / "out")
    before = files(tmp_path / "out")
    export(ExportRequest(tmp_path / "out", "coco", tmp_path / "out"))
    assert before.items() <= files(tmp_path / "out").items()
