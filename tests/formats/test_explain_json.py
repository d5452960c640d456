from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from explained import TOP, a_map, a_mask, a_run, write_one
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camviewer.errors import ExportError, FormatError, ImageError
from camviewer.formats import disk
from camviewer.formats.explain_json import ExplainedBox, ExplainedMap, ExplainWriter, TopScore
from camviewer.formats.explain_reader import read_explain
from camviewer.images.geometry import Affine
from camviewer.models.records import Preprocessing


def test_a_map_with_something_to_know_is_flagged(tmp_path: Path) -> None:
    with ExplainWriter(tmp_path, a_run()) as writer:
        writer.add_image("a.jpg", size=(60, 40), top=TOP, maps=[ExplainedMap(replace(a_map(), flags=("signed tap",)))])
        data = json.loads(writer.finish().read_text(encoding="utf-8"))
    assert data["images"][0]["maps"][0]["flags"] == ["signed tap"]
    read_explain(tmp_path)


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young = disk.partial_folder(tmp_path), disk.partial_folder(tmp_path)
    os.utime(old, (0, 0))
    disk.partial_folder(tmp_path)
    assert not old.exists() and young.exists()


def test_the_file_has_exactly_the_fields_of_the_schema(tmp_path: Path) -> None:
    with ExplainWriter(tmp_path, a_run()) as writer:
        empty = ExplainedMap(a_map(class_index=1), mask=np.zeros((40, 60), bool), reason="no positive evidence")
        full = ExplainedMap(a_map(), (ExplainedBox((1.0, 2.0, 3.5, 4.0), 0.4, 0.9),), a_mask(), "grabcut")
        writer.add_image("sub/a b.jpg", size=(60, 40), top=TOP, maps=[full, empty])
        writer.add_error("bad.png", ImageError("bad.png cannot be read. The file is cut short."))
        path = writer.finish()
    data = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert set(data) == {"schema", "run", "images"}
    assert data["schema"] == 1
    assert data["run"] == json.loads(json.dumps(a_run().to_json()))
    first, second = data["images"]
    assert set(first) == {"file", "width", "height", "top", "maps", "boxes", "masks", "mask"}
    assert (first["file"], first["width"], first["height"]) == ("sub/a b.jpg", 60, 40)
    assert [row["index"] for row in first["top"]] == [0, 1, 2, 3, 4]
    assert set(first["top"][0]) == {"index", "name", "logit", "probability"}
    assert set(first["maps"][0]) == {"id", "class_index", "method", "layer", "file", "shape", "to_image"}
    # squash to 224 with layer4 of resnet18: cell i is centred on input index 32 i, so on image edge (32 i + 0.5) W/224
    np.testing.assert_allclose(
        first["maps"][0]["to_image"], [[32 * 60 / 224, 0, 0.5 * 60 / 224], [0, 32 * 40 / 224, 0.5 * 40 / 224]]
    )
    ids = [row["id"] for row in first["maps"]]
    assert len(set(ids)) == 2
    assert first["boxes"] == [
        {"map": ids[0], "xyxy": [1.0, 2.0, 3.5, 4.0], "class_index": 0, "score": 0.4, "probability": 0.9}
    ]
    assert set(first["masks"][0]) == {"map", "class_index", "file", "refine"}
    assert first["masks"][0]["refine"] == "grabcut"
    assert first["masks"][1]["reason"] == "no positive evidence"
    assert first["mask"] == first["masks"][0]["file"]
    assert second == {
        "file": "bad.png",
        "error": {"kind": "image", "message": "bad.png cannot be read. The file is cut short."},
    }
    values = np.load(tmp_path / first["maps"][0]["file"], allow_pickle=False)
    assert values.dtype == np.float32
    assert np.array_equal(values, a_map().values)
    with Image.open(tmp_path / first["mask"]) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.where(a_mask(), 255, 0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["explain.json", "maps", "masks", "sources.json"]


def test_reading_gives_back_what_was_written(tmp_path: Path) -> None:
    source = tmp_path / "photos" / "Läsion 1.jpg"
    out = tmp_path / "out"
    with ExplainWriter(out, a_run()) as writer:
        writer.add_image(
            "Läsion 1.jpg",
            size=(60, 40),
            top=TOP,
            maps=[ExplainedMap(a_map(), (ExplainedBox((1.0, 2.0, 3.5, 4.0), 0.4),), a_mask())],
            source=source,
        )
        writer.finish()
    result = read_explain(out)
    assert result.run == a_run(preprocessing=json.loads(json.dumps(a_run().preprocessing)))
    image = result.images[0]
    assert image.file == "Läsion 1.jpg"
    assert image.source == source
    assert image.boxes[0].xyxy == (1.0, 2.0, 3.5, 4.0)
    assert image.boxes[0].probability is None
    assert np.array_equal(result.read_map(image.maps[0]), a_map().values)
    assert np.array_equal(result.read_mask(image, image.masks[0]), a_mask())


@pytest.mark.parametrize("mode", ["squash", "model", "letterbox", "native"])
def test_geometry_is_rebuilt_from_the_file(tmp_path: Path, mode: str) -> None:
    run = a_run(preprocessing={**asdict(Preprocessing()), "resize_mode": mode, "resize_size": 256})
    entry = a_map((90, 40), mode=mode)
    with ExplainWriter(tmp_path, run) as writer:
        writer.add_image("a.jpg", size=(90, 40), top=TOP, maps=[ExplainedMap(entry)])
        writer.finish()
    result = read_explain(tmp_path)
    image = result.images[0]
    geometry = result.geometry(image, image.maps[0])
    np.testing.assert_allclose(geometry.upsample(entry.values), entry.geometry.upsample(entry.values), atol=1e-5)
    np.testing.assert_allclose(geometry.frame, entry.geometry.frame)
    assert isinstance(image.maps[0].to_image, Affine)


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with ExplainWriter(tmp_path, a_run()) as writer:
        top = [TopScore(0, "c", math.nan, math.inf)]
        writer.add_image(
            "a.jpg", size=(60, 40), top=top, maps=[ExplainedMap(a_map(), (ExplainedBox((0, 0, 1, 1), math.nan),))]
        )
        path = writer.finish()
    row = json.loads(path.read_text(encoding="utf-8"))["images"][0]
    assert row["top"][0]["logit"] is None
    assert row["top"][0]["probability"] is None
    assert row["boxes"][0]["score"] is None
    assert read_explain(tmp_path).images[0].top[0].logit is None


NAMES = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=40)
FILES = st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(lambda f: ".." not in f.split("/"))


@settings(max_examples=60, deadline=None)
@given(files=st.lists(FILES, min_size=1, max_size=5))
def test_any_names_give_unique_safe_paths(tmp_path_factory: pytest.TempPathFactory, files: list[str]) -> None:
    out = tmp_path_factory.mktemp("out")
    write_one(out, files)
    result = read_explain(out)
    assert [image.file for image in result.images] == files
    paths = [row.file for image in result.images for row in (*image.maps, *image.masks)]
    assert len({path.casefold() for path in paths}) == 2 * len(files)
    for i, image in enumerate(result.images):
        assert (out / image.mask).resolve().is_relative_to(out.resolve())
        assert np.array_equal(result.read_map(image.maps[0]), a_map(seed=i).values)


def test_equal_names_of_two_inputs_and_two_suffixes_stay_apart(tmp_path: Path) -> None:
    write_one(tmp_path, ["x/a.jpg", "x/a.jpg", "x/a.png", "x/A.jpg", "CON.jpg", "x" * 300 + ".jpg"])
    result = read_explain(tmp_path)
    assert len({image.mask.casefold() for image in result.images}) == 6
    assert result.images[0].mask.startswith("masks/x/a_")


@pytest.mark.parametrize("file", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", ""])
def test_a_path_that_leaves_the_input_is_refused(tmp_path: Path, file: str) -> None:
    with ExplainWriter(tmp_path, a_run()) as writer, pytest.raises(FormatError):
        writer.add_image(file, size=(60, 40), top=TOP)


def test_a_name_that_is_not_utf8_comes_back(tmp_path: Path) -> None:
    file = os.fsdecode(b"l\xe4sion.jpg")
    write_one(tmp_path, [file])
    assert read_explain(tmp_path).images[0].file == file


def test_leaving_without_finish_changes_nothing(tmp_path: Path) -> None:
    write_one(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(KeyboardInterrupt), ExplainWriter(tmp_path, a_run()) as writer:
        writer.add_image("a.jpg", size=(60, 40), top=TOP, maps=[ExplainedMap(a_map(seed=9), mask=a_mask())])
        raise KeyboardInterrupt
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    write_one(tmp_path, ["a.jpg", "b.jpg"])
    write_one(tmp_path, ["b.jpg"])
    assert [image.file for image in read_explain(tmp_path).images] == ["b.jpg"]


FULL = """
import resource, signal, sys
from pathlib import Path
from explained import ExplainedMap, ExplainWriter, TOP, a_map, a_mask, a_run
from camviewer.errors import ExportError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
done = 0
with ExplainWriter(Path(sys.argv[1]), a_run()) as writer:
    try:
        for i in range(200):
            entry = ExplainedMap(a_map(seed=i), mask=a_mask())
            writer.add_image(f"{i}.jpg", size=(60, 40), top=TOP, maps=[entry])
            done += 1
    except ExportError as error:
        print(error.message)
    if sys.argv[2] == "finish":
        writer.finish()
print(done)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # coverage writes too
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
@pytest.mark.parametrize("end", ["finish", "abort"])
def test_a_full_disk_is_one_sentence_and_earlier_results_stay(tmp_path: Path, end: str) -> None:
    write_one(tmp_path, ["old.jpg"])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    answer = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), end],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ).stdout.splitlines()
    assert answer[0] == "explain.json cannot be written. The file is too large for this disk; choose another folder."
    done = int(answer[1])
    assert 1 < done < 200
    if end == "abort":
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    else:
        result = read_explain(tmp_path)
        assert [image.file for image in result.images] == [f"{i}.jpg" for i in range(done)]
        assert not list(tmp_path.glob(".camviewer*"))
        assert not (tmp_path / f"masks/{done}_gradcam_layer4_c0.png").exists()


def test_no_space_left_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one(tmp_path, ["old.jpg"])
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == ".png":
            real(self, data[:10])
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="The disk is full; free some space"):
        write_one(tmp_path, ["new.jpg"])
    monkeypatch.undo()
    result = read_explain(tmp_path)
    assert np.array_equal(result.read_mask(result.images[0], result.images[0].masks[0]), a_mask())
    assert not list(tmp_path.glob(".camviewer*"))


def spoil(path, key, value):
    def change(data):
        target = data
        for step in path:
            target = target[step]
        if value is ...:
            del target[key]
        else:
            target[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil([], "schema", 2), "schema is 2"),
        (spoil([], "schema", ...), "schema is missing"),
        (spoil([], "images", {}), "images needs a list"),
        (spoil(["run"], "threshold", "x"), "run.threshold needs a number"),
        (spoil(["run"], "classes", [1]), "run.classes needs a list of texts"),
        (spoil(["images", 0], "width", 0), "images[0].width needs a whole number of at least 1"),
        (spoil(["images", 0], "file", "../x.jpg"), "images[0].file points outside"),
        (spoil(["images", 0, "boxes", 0], "xyxy", [1, 2, 3]), "images[0].boxes[0].xyxy needs 4 numbers"),
        (spoil(["images", 0, "boxes", 0], "map", 77), "images[0].boxes[0].map names map 77"),
        (spoil(["images", 0, "maps", 0], "file", "/etc/passwd"), "images[0].maps[0].file points outside"),
        (spoil(["images", 0, "maps", 0], "to_image", [[1, 0], [0, 1]]), "images[0].maps[0].to_image[0] needs 3"),
        (spoil(["images", 0, "maps", 0], "to_image", [[0, 0, 0], [0, 1, 0]]), "images[0].maps[0].to_image needs a"),
        (spoil(["images", 0], "top", [3]), "images[0].top[0] needs an object"),
        (spoil(["images", 0], "mask", "masks/other.png"), "images[0].mask is not the file of the first mask"),
    ],
)
def test_a_malformed_file_names_the_field(tmp_path: Path, change, words: str) -> None:
    path = write_one(tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(FormatError) as error:
        read_explain(tmp_path)
    assert error.value.message.startswith(f"explain.json: {words}")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"schema": NaN}', b"\xff\xfe\x00", b"[" * 100_000, b'{"schema": 1e999}', b"{}"]
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "explain.json").write_bytes(text)
    with pytest.raises(FormatError, match=r"explain\.json"):
        read_explain(tmp_path)


def test_a_map_file_never_runs_code(tmp_path: Path) -> None:
    write_one(tmp_path)
    result = read_explain(tmp_path)
    row = result.images[0].maps[0]
    with (tmp_path / row.file).open("wb") as handle:
        np.save(handle, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="cannot be read as a map"):
        result.read_map(row)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_one(tmp_path)
    result = read_explain(tmp_path)
    image = result.images[0]
    Image.new("L", (10, 10)).save(tmp_path / image.mask)
    with pytest.raises(FormatError, match="is 10 x 10 pixels, its image 60 x 40"):
        result.read_mask(image, image.masks[0])
