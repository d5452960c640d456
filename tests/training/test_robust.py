"""What goes wrong around a training: killed at any moment, a full disk, a broken picture, a lonely class."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import spots
import torch
from PIL import Image
from safetensors.torch import load_file

from camviewer.errors import Cancelled, CheckpointError
from camviewer.training.datasets import read_dataset
from camviewer.training.run import LAST, STATE, train

OPTIONS = ["--epochs", "4", "--input-size", "32", "--batch-size", "8", "--save-every", "1", "--seed", "3"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def command(pictures: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "camviewer", "train", str(pictures), *OPTIONS, "--device", "cpu", "--out", str(out)]


def run(arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def same(first: Path, second: Path) -> bool:
    one, other = load_file(first), load_file(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def kill_and_go_on(tmp_path: Path, pictures: Path, whole: Path, seed: int) -> None:
    """Kill a training of its own process at a random moment, go on, and compare the weights to the last bit."""
    out = tmp_path / f"killed {seed}"
    rng = random.Random(seed)
    process = run(command(pictures, out))
    until = out / f"epoch_{rng.randint(1, 3):03d}.safetensors"
    started = time.monotonic()
    while not until.exists() and process.poll() is None and time.monotonic() - started < 120:
        time.sleep(0.002)
    time.sleep(rng.random() * 0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "training.json").exists() or process.returncode == 0, seed
    finished = run(command(pictures, out))
    told, _ = finished.communicate(timeout=240)
    assert finished.returncode == 0, (seed, told)
    assert same(out / LAST, whole / LAST), seed


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spots.write(tmp_path_factory.mktemp("spots"), each=40)[0]


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    process = run(command(pictures, out))
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told
    return out


def test_a_killed_process_goes_on_to_the_same_weights(tmp_path: Path, pictures: Path, whole: Path) -> None:
    kill_and_go_on(tmp_path, pictures, whole, seed=1)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 8))
def test_killed_at_many_moments(tmp_path: Path, pictures: Path, whole: Path, seed: int) -> None:
    kill_and_go_on(tmp_path, pictures, whole, seed)


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, pictures: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails with an error of the system."""
    settings = replace(spots.TINY, epochs=3)
    data, out = read_dataset(pictures), tmp_path / "out"
    seen: list[int] = []

    def after(report) -> None:
        seen.append(report.epoch)
        if report.epoch == 1:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    try:
        with pytest.raises(CheckpointError) as caught:
            train(data, settings, out, device="cpu", on_epoch=after)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "cannot be written" in caught.value.message
    assert "File too large" in caught.value.message
    kept = out / "epoch_001.safetensors"
    assert load_file(kept)
    # With room again it goes on, and ends as a training that never met a full disk.
    train(data, settings, out, device="cpu")
    train(data, settings, tmp_path / "roomy", device="cpu")
    assert same(out / LAST, tmp_path / "roomy" / LAST)
    assert not list(out.glob(".*.part"))


def test_a_broken_picture_and_a_lonely_class_are_named(tmp_path: Path) -> None:
    folder, _ = spots.write(tmp_path, each=8)
    (folder / "red" / "red_03.png").write_bytes((folder / "red" / "red_03.png").read_bytes()[:60])
    (folder / "blue").mkdir()
    Image.fromarray(spots.draw(0, 50)[0][:, :, ::-1].copy()).save(folder / "blue" / "only.png")
    told: list[str] = []
    result = train(
        read_dataset(folder), replace(spots.TINY, epochs=1), tmp_path / "out", device="cpu", on_message=told.append
    )
    assert result.best.is_file()
    assert any("red_03.png" in sentence for sentence in told)
    assert any("blue" in sentence and "single picture" in sentence for sentence in told)
    assert tuple(told) == result.messages


def test_a_row_without_a_file_is_named_and_left_out(tmp_path: Path) -> None:
    folder, _ = spots.write(tmp_path, each=4)
    rows = [f"{path.stem},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    (folder / "table.csv").write_text("\n".join(["image_id,dx", *rows, "gone_17,red", ",green"]))
    data = read_dataset(folder / "table.csv")
    assert len(data) == 8
    assert any("gone_17" in sentence for sentence in data.skipped)


def test_cancelling_works_while_pictures_are_read(tmp_path: Path) -> None:
    folder, _ = spots.write(tmp_path, each=8)
    asked = iter(range(100))
    with pytest.raises(Cancelled):
        train(read_dataset(folder), spots.TINY, tmp_path / "out", device="cpu", cancelled=lambda: next(asked) > 5)
    assert next(asked) < 10
    assert not (tmp_path / "out" / STATE).exists()
