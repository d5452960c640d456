"""``camviewer-cli explain`` through `main`: what it writes, and what it says when something is wrong."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from probe import draw_pixels

from camviewer import cli
from camviewer.cam.device import cpu_has_bfloat16
from camviewer.formats.explain_reader import read_explain
from camviewer.images.geometry import plan_input
from camviewer.pipeline import explain as explain_module


@pytest.fixture
def run(capsys, checkpoint):
    """Run ``explain`` with the checkpoint on small inputs; return exit status, standard output, standard error."""
    torch.set_num_threads(1)

    def run(*arguments, weights=checkpoint, side="64"):
        words = ["explain", *map(str, arguments), *(["--weights", str(weights)] if weights else [])]
        if "--input-size" not in words and side:
            words += ["--input-size", side]
        status = cli.main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def load(folder: Path) -> dict:
    return json.loads((folder / "explain.json").read_text(encoding="utf-8"))


def one_sentence(text: str) -> str:
    """Return the only line of `text`, which is no trace."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].endswith((".", "?"))
    return lines[0]


def test_a_folder_becomes_maps_boxes_masks_and_rows(run, pictures, tmp_path):
    out = tmp_path / "out"
    status, said, errors = run(pictures, "--out", out, "--method", "cam,gradcam", "--classes", "top2")
    assert (status, errors) == (0, "")
    assert "3 images explained" in said
    data = load(out)
    assert data["schema"] == 1
    assert data["run"]["architecture"] == "squeezenet1_1"
    assert data["run"]["methods"] == ["cam", "gradcam"]
    assert data["run"]["threshold"] == 0.2
    assert set(data["run"]["versions"]) == {"camviewer", "python", "torch", "torchvision", "numpy", "opencv"}
    assert [row["file"] for row in data["images"]] == ["a.png", "b.jpg", "sub/ä 10.png"]
    for row in data["images"]:
        assert len(row["top"]) == 4
        assert [score["logit"] for score in row["top"]] == sorted((s["logit"] for s in row["top"]), reverse=True)
        assert sum(score["probability"] for score in row["top"]) == pytest.approx(1, abs=1e-5)
        assert [(entry["method"], entry["class_index"]) for entry in row["maps"]] == [
            (name, score["index"]) for name in ("cam", "gradcam") for score in row["top"][:2]
        ]
        for entry in row["maps"]:
            values = np.load(out / entry["file"])
            assert values.dtype == np.float32
            assert list(values.shape) == entry["shape"]
            assert entry["layer"] in data["run"]["layers"]
        for mask in row["masks"]:
            pixels = np.asarray(Image.open(out / mask["file"]))
            assert pixels.shape == (row["height"], row["width"])
            assert set(np.unique(pixels)) <= {0, 255}
        assert row["mask"] == row["masks"][0]["file"]
    assert len(list((out / "overlays").rglob("*.png"))) == 12


def test_boxes_and_masks_are_those_of_the_written_map(run, pictures, tmp_path):
    """The files alone are enough to find mask and box again, by the formula of the 20 % rule."""
    import cv2

    out = tmp_path / "out"
    assert run(pictures, "--out", out, "--classes", "all", "--refine", "none")[0] == 0
    folder = read_explain(out)
    rows = {row["file"]: row for row in json.loads((out / "explain.json").read_text(encoding="utf-8"))["images"]}
    boxes = 0
    for image in folder.images:
        boxed = {row["map"]: row for row in rows[image.file]["masks"]}
        for entry, mask_row in zip(image.maps, image.masks, strict=True):
            values = folder.geometry(image, entry).upsample(folder.read_map(entry))
            mask = folder.read_mask(image, mask_row)
            found = [box for box in image.boxes if box.map == entry.id]
            if values.max() <= 0:
                assert not mask.any() and not found and mask_row.reason == "no positive evidence"
                assert "xyxy" not in boxed[entry.id]
                continue
            kept = values >= np.float32(0.2 * values.max())
            count, labels = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
            largest = max(range(1, count), key=lambda label: int((labels == label).sum()))
            assert (mask == (labels == largest)).mean() > 0.9999
            down, across = np.nonzero(mask)
            (box,) = found
            assert box.xyxy == (across.min(), down.min(), across.max() + 1, down.max() + 1)
            # Around the mask, here the same region; both boxes are in the file.
            assert tuple(boxed[entry.id]["xyxy"]) == box.xyxy
            assert boxed[entry.id]["score"] == pytest.approx(box.score, abs=1e-6)
            boxes += 1
    assert boxes


def test_only_what_is_to_be_saved_is_written(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(pictures, "--out", out, "--save", "boxes", "--save", "masks")[0] == 0
    assert not (out / "maps").exists() and not (out / "overlays").exists()
    row = load(out)["images"][0]
    assert row["maps"][0]["file"] is None
    assert row["mask"] is not None
    assert run(pictures, "--out", tmp_path / "maps only", "--save", "maps")[0] == 0
    row = load(tmp_path / "maps only")["images"][0]
    assert (row["boxes"], row["masks"], row["mask"]) == ([], [], None)


@pytest.mark.parametrize("size", ["1", "2", "16"])
def test_the_batch_size_does_not_change_results(run, pictures, tmp_path, size):
    Image.fromarray(draw_pixels(9)).save(pictures / "c.png")
    (pictures / "bad.png").write_bytes(b"\x89PNG nonsense")
    assert run(pictures, "--out", tmp_path / "ref", "--classes", "all", "--batch-size", "3")[0] == 1
    assert run(pictures, "--out", tmp_path / "out", "--classes", "all", "--batch-size", size)[0] == 1
    expected, found = load(tmp_path / "ref"), load(tmp_path / "out")
    assert [row["file"] for row in found["images"]] == [row["file"] for row in expected["images"]]
    for left, right in zip(expected["images"], found["images"], strict=True):
        for first, second in zip(left.get("maps", []), right.get("maps", []), strict=True):
            np.testing.assert_allclose(
                np.load(tmp_path / "ref" / first["file"]), np.load(tmp_path / "out" / second["file"]), atol=1e-4
            )


@pytest.mark.parametrize("mode", ["squash", "model", "letterbox", "native"])
def test_every_resize_mode_places_its_cells(run, pictures, tmp_path, mode):
    assert run(pictures / "a.png", "--out", tmp_path / "out", "--resize-mode", mode, "--offset", "off")[0] == 0
    data = load(tmp_path / "out")
    (row,) = data["images"]
    rows, columns = row["maps"][0]["shape"]
    size = data["run"]["preprocessing"]["resize_size"]
    plan = plan_input((100, 80), mode=mode, input_size=(64, 64), resize_size=size)
    to_image = plan.input_to_image
    step_x, step_y = plan.input_size[0] / columns, plan.input_size[1] / rows
    (a, _, tx), (_, d, ty) = row["maps"][0]["to_image"]
    assert (a, d) == pytest.approx((step_x * to_image.scale_x, step_y * to_image.scale_y))
    assert (tx, ty) == pytest.approx(to_image(step_x / 2, step_y / 2))


def test_bad_files_become_rows_and_the_others_go_on(run, pictures, tmp_path):
    good = (pictures / "b.jpg").read_bytes()
    (pictures / "empty.png").write_bytes(b"")
    (pictures / "cut.jpg").write_bytes(good[: len(good) // 2])
    (pictures / "text.png").write_text("not an image")
    Image.new("RGB", (1, 1), (200, 30, 30)).save(pictures / "one.png")
    Image.fromarray(draw_pixels(3, width=30_000, height=8)).save(pictures / "wide.png")
    out = tmp_path / "out"
    status, said, errors = run(pictures, "--out", out, "--method", "gradcam")
    assert status == 1
    rows = {row["file"]: row for row in load(out)["images"]}
    assert len(rows) == 8
    failed = {name: row["error"] for name, row in rows.items() if "error" in row}
    assert set(failed) == {"empty.png", "cut.jpg", "text.png"}
    for name, error in failed.items():
        assert error["kind"] == "image"
        assert error["message"].startswith(name)
    assert sorted(errors.strip().splitlines()) == sorted(error["message"] for error in failed.values())
    assert rows["one.png"]["width"] == 1
    assert rows["wide.png"]["width"] == 30_000
    assert "5 images explained, 3 cannot be explained" in said
    assert "Traceback" not in errors


def test_two_images_of_one_name_do_not_share_files(run, tmp_path):
    for part in ("x", "y"):
        (tmp_path / part).mkdir()
        Image.fromarray(draw_pixels(ord(part))).save(tmp_path / part / "a.png")
    out = tmp_path / "out"
    assert run(tmp_path / "x", tmp_path / "y" / "a.png", "--out", out)[0] == 0
    first, second = load(out)["images"]
    assert first["maps"][0]["file"] != second["maps"][0]["file"]
    assert first["mask"] != second["mask"]


def test_a_name_that_is_no_text_is_explained_too(run, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsencode(folder) + b"/\xff.png"
    try:
        with open(name, "wb") as file:  # noqa: PTH123 - a path of bytes
            Image.fromarray(draw_pixels(1)).save(file, "PNG")
    except OSError:
        pytest.skip("the file system takes text only")
    status, _, _ = run(folder, "--out", tmp_path / "out")
    data = load(tmp_path / "out")
    assert len(data["images"]) == 1
    assert status == (1 if "error" in data["images"][0] else 0)


def test_no_positive_evidence_is_said(run, pictures, tmp_path):
    """Behind a ReLU the scores' negative gradient meets no negative activation."""
    out = tmp_path / "out"
    assert (
        run(pictures / "a.png", "--out", out, "--method", "gradcam", "--classes", "all", "--layer", "classifier.2")[0]
        == 0
    )
    reasons = [mask.get("reason") for mask in load(out)["images"][0]["masks"]]
    boxes = {box["class_index"] for box in load(out)["images"][0]["boxes"]}
    assert "no positive evidence" in reasons
    for index, reason in enumerate(reasons):
        assert (reason == "no positive evidence") == (index not in boxes)


def test_options_are_recorded(run, pictures, tmp_path):
    out = tmp_path / "out"
    options = "--rule percentile --threshold 0.1 --components all --normalise minmax --target negative --offset off"
    assert run(pictures / "a.png", "--out", out, *options.split(), "--seed", "7", "--input-size", "96")[0] == 0
    recorded = load(out)["run"]
    for name, value in {
        "rule": "percentile",
        "threshold": 0.1,
        "components": "all",
        "normalise": "minmax",
        "target": "negative",
        "offset": "off",
        "seed": 7,
    }.items():
        assert recorded[name] == value
    assert recorded["preprocessing"]["input_size"] == [96, 96]
    assert np.load(out / load(out)["images"][0]["maps"][0]["file"]).shape == (5, 5)


def test_score_cam_takes_its_parameter(run, pictures, tmp_path):
    out = tmp_path / "out"
    status, _, errors = run(
        pictures / "a.png", "--out", out, "--method", "scorecam", "--param", "scorecam.variant=probability",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    assert load(out)["run"]["method_parameters"]["scorecam"]["variant"] == "probability"


def test_maps_of_some_units_or_reduced_precision_say_how_far_they_agree(run, pictures, tmp_path):
    out = tmp_path / "out"
    status, _, errors = run(
        pictures / "a.png", "--out", out, "--method", "scorecam", "--precision", "fast",
        "--param", "scorecam.strongest=8",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    (row,) = load(out)["images"][0]["maps"]
    flags = row["flags"]
    assert any(re.fullmatch(r"strongest 8 of \d+ units", flag) for flag in flags)
    assert any(re.fullmatch(r"agrees about -?\d\.\d+ with all units \(\d+ more looked at\)", flag) for flag in flags)
    if cpu_has_bfloat16():
        assert "bfloat16" in flags
        assert any(re.fullmatch(r"agrees \d\.\d+ with float32 on a sample of units", flag) for flag in flags)


def test_parameters_of_the_refinement_are_recorded(run, pictures, tmp_path):
    out = tmp_path / "out"
    words = ("--refine", "colour", "--refine-param", "colour.rounds=0", "--refine-param", "grow=2")
    assert run(pictures / "a.png", "--out", out, *words)[0] == 0
    assert load(out)["run"]["refine_parameters"] == {"rounds": 0, "grow": 2.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere is not there"),
        (["EMPTY"], "There are no images in"),
        (["A", "--method", "foo"], "there is no 'foo'"),
        (["A", "--layer", "foo"], "There is no layer 'foo'"),
        (["A", "--layer", "classifier.3"], "classifier.3 cannot be used"),
        (["A", "--method", "cam", "--layer", "features.3"], "CAM is defined only"),
        (["A", "--classes", "9"], "There is no class 9"),
        (["A", "--classes", "best"], "needs predicted"),
        (["A", "--target", "contrast:9"], "There is no class 9"),
        (["A", "--threshold", "20"], "from 0 to 1"),
        (["A", "--threshold", "nan"], "from 0 to 1"),
        (["A", "--param", "gradcam.x=1"], "no parameter 'x'"),
        (["A", "--param", "scorecam.variant=softmax"], "--method does not name"),
        (["A", "--param", "x"], "METHOD.NAME=VALUE"),
        (["A", "--mean", "1,2"], "3 channels"),
        (["A", "--std", "0,1,1"], "above 0"),
        (["A", "--batch-size", "0"], "at least 1"),
        (["A", "--device", "abacus"], "cpu"),
        (["A", "--model", "resnet18"], "does not fit"),
        (["A", "--model", "resnet81"], "resnet18"),
        (["A", "--labels", "nowhere.txt"], "nowhere.txt"),
        (["A", "--save", "everything"], "there is no 'everything'"),
        (["A", "--refine", "magic"], "magic"),
        (["A", "--refine-param", "magic=1"], "no parameter 'magic'"),
        (["A", "--refine-param", "grow"], "NAME=VALUE"),
        (["A", "--refine", "colour", "--refine-param", "rounds=99"], "between 0 and 10"),
        (["A", "--unknown"], "--unknown"),
        (["A", "--resize-mode", "stretch"], "stretch"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_status_2(run, pictures, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"A": pictures / "a.png", "EMPTY": tmp_path / "empty"}
    out = tmp_path / "out"
    status, said, errors = run(*(places.get(word, word) for word in arguments), "--out", out)
    assert (status, said) == (2, "")
    assert words in one_sentence(errors)
    assert not out.exists() or not any(out.iterdir())


def test_without_model_or_folder_the_sentence_says_what_is_missing(run, pictures, tmp_path):
    status, _, errors = run(pictures, "--out", tmp_path / "out", weights=None)
    assert status == 2 and "--model" in one_sentence(errors)
    status, _, errors = run(pictures)
    assert status == 2 and "--out" in one_sentence(errors)


class Opens:
    """Runs code when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("kind", ["pickle", "torch", "text", "empty", "missing", "folder"])
def test_a_file_that_holds_no_weights_is_refused_and_runs_nothing(run, pictures, tmp_path, kind):
    trap, file = tmp_path / "trap", tmp_path / "weights.pth"
    if kind == "pickle":
        file.write_bytes(pickle.dumps({"a": Opens(str(trap))}))
    elif kind == "torch":
        torch.save({"state_dict": Opens(str(trap))}, file)
    elif kind == "text":
        file.write_text("no weights")
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "folder":
        file.mkdir()
    status, _, errors = run(pictures, "--out", tmp_path / "out", "--model", "squeezenet1_1", weights=file)
    assert status == 2
    assert "weights.pth" in one_sentence(errors)
    assert not trap.exists()


def test_without_weights_random_ones_are_said_and_recorded(run, pictures, tmp_path):
    out = tmp_path / "out"
    status, _, errors = run(pictures / "a.png", "--out", out, "--model", "squeezenet1_1", weights=None)
    assert status == 0
    assert "random" in errors.lower()
    assert load(out)["run"]["weights"] == "random"


def test_a_second_run_replaces_the_first(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(pictures, "--out", out)[0] == 0
    assert run(pictures / "a.png", "--out", out, "--method", "cam")[0] == 0
    data = load(out)
    assert len(data["images"]) == 1
    assert data["run"]["methods"] == ["cam"]


def test_results_inside_the_input_are_not_explained_again(run, pictures):
    for out in (pictures / "results", pictures / "results", pictures, pictures):
        assert run(pictures, "--out", out)[0] == 0
        assert len(load(out)["images"]) == 3


@pytest.fixture
def full_disk(monkeypatch):
    """Let the disk take only so many bytes of the results."""

    def fill(after: int):
        written = 0
        original = Path.write_bytes

        def write_bytes(self, data):
            nonlocal written
            written += len(data)
            if written > after:
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
            return original(self, data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)

    return fill


def test_a_full_disk_keeps_the_earlier_results(run, pictures, tmp_path, full_disk):
    out = tmp_path / "out"
    assert run(pictures, "--out", out)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    full_disk(after=3000)
    status, _, errors = run(pictures, "--out", out, "--method", "cam")
    assert status == 1
    assert "full" in one_sentence(errors)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_full_disk_keeps_the_finished_images_of_a_first_run(run, pictures, tmp_path, full_disk):
    out = tmp_path / "out"
    one = tmp_path / "one"
    assert run(pictures / "a.png", "--out", one)[0] == 0
    size = sum(path.stat().st_size for path in one.rglob("*") if path.suffix in {".png", ".npy"})
    full_disk(after=size + 10)
    status, _, errors = run(pictures, "--out", out, "--batch-size", "1")
    assert status == 1 and "full" in one_sentence(errors)
    assert [row["file"] for row in load(out)["images"]] == ["a.png"]


def test_a_folder_that_cannot_be_written_is_one_sentence(run, pictures, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    status, _, errors = run(pictures, "--out", file / "out")
    assert status == 1
    one_sentence(errors)
    assert file.read_text() == "in the way"


@pytest.mark.parametrize("earlier", [False, True])
def test_ctrl_c_keeps_what_is_finished(run, pictures, tmp_path, monkeypatch, earlier):
    out = tmp_path / "out"
    if earlier:
        assert run(pictures, "--out", out)[0] == 0
    before = load(out) if earlier else None
    original = explain_module._write

    def write(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(explain_module, "_write", write)
    handler = signal.getsignal(signal.SIGINT)
    status, said, errors = run(pictures, "--out", out, "--method", "cam", "--batch-size", "1")
    assert (status, said) == (130, "")
    assert "Stopped after 1 image of 3" in one_sentence(errors)
    assert signal.getsignal(signal.SIGINT) is handler
    if earlier:
        assert load(out) == before
    else:
        assert len(load(out)["images"]) == 1
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_the_installed_command_stops_at_ctrl_c_within_a_forward_pass(checkpoint, tmp_path):
    for seed in range(3):
        Image.fromarray(draw_pixels(seed)).save(tmp_path / f"{seed}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "camviewer", "explain", str(tmp_path), "--weights", str(checkpoint)]
    command += ["--method", "scorecam", "--classes", "all", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(1200):  # until the first image is being computed
        if out.is_dir() and any(out.iterdir()):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped" in errors and "Traceback" not in errors


def test_memory_stays_flat_over_images(checkpoint, tmp_path):
    check_memory(checkpoint, tmp_path, images=36, start=12)


@pytest.mark.nightly
def test_memory_stays_flat_over_200_images(checkpoint, tmp_path):
    check_memory(checkpoint, tmp_path, images=200, start=50)


def check_memory(checkpoint, tmp_path, *, images, start):
    """Explain pictures of 3.6 MB: keeping one of three that come after `start` would show."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(images):
        Image.fromarray(draw_pixels(index % 7, width=1200 + index % 5, height=1000)).save(folder / f"{index}.bmp")
    program = """
import os, sys
from camviewer import cli
from camviewer.cam.device import cpu_has_bfloat16
from camviewer.pipeline import explain
original = explain._write
def write(*arguments):
    pages = int(open("/proc/self/statm").read().split()[1])
    print(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, file=sys.stderr)
    return original(*arguments)
explain._write = write
sys.exit(cli.main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, "explain", str(folder), "--weights", str(checkpoint)]
    command += ["--input-size", "64", "--save", "maps,boxes", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    sizes = [float(line) for line in done.stderr.split()]
    assert len(sizes) == images
    assert max(sizes[start:]) - max(sizes[:start]) < 3.6 * (images - start) / 3, sizes


def test_a_progress_line_appears_on_a_terminal_only(run, pictures, tmp_path, monkeypatch):
    _, _, errors = run(pictures, "--out", tmp_path / "quiet")
    assert errors == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, errors = run(pictures, "--out", tmp_path / "loud", "--batch-size", "1")
    assert "1 of 3 images" in errors and "left" in errors


def test_real_images_and_checkpoints(run, data_dir, tmp_path):
    weights = data_dir / "checkpoints" / "squeezenet1_1_imagenet.pth"
    out = tmp_path / "out"
    status, _, errors = run(
        data_dir / "photos", "--labels", data_dir / "checkpoints" / "imagenet_labels_1000.txt",
        "--method", "cam,gradcam,gradcampp", "--out", out, weights=weights, side=None,
    )  # fmt: skip
    assert (status, errors) == (0, "")
    top = {row["file"].split(".")[0]: row["top"][0]["name"] for row in load(out)["images"]}
    assert "chickadee" in top["coral_bird"]
    assert "hotdog" in top["coral_hot_dog"]


def test_three_valued_masks_leave_the_outline_open(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(pictures, "--out", out, "--save", "masks,three-valued")[0] == 0
    explained = read_explain(out)
    checked = 0
    for row, image in zip(load(out)["images"], explained.images, strict=True):
        for entry, mask_row in zip(row.get("maps", ()), image.masks, strict=True):
            mask = explained.read_mask(image, mask_row)
            values = np.asarray(Image.open(out / entry["three_valued"]))
            inside = entry["class_index"] + 1
            assert values.shape == mask.shape and values.dtype == np.uint8
            assert set(np.unique(values)) <= {0, inside, 255}
            sure = values != 255
            assert (values[sure] == np.where(mask, inside, 0)[sure]).all()
            checked += 1
    assert checked
    assert run(pictures, "--out", tmp_path / "without")[0] == 0
    assert not (tmp_path / "without" / "three_valued").exists()
