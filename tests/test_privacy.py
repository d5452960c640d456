"""Nothing leaves this computer: no network unless weights are asked for, and no place or device of a photograph."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from offline import Offline
from PIL import Image

from camviewer.errors import CamviewerError
from camviewer.models.load import load_classifier
from camviewer.models.records import LoadRequest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
WATCHED = """
import sys
from offline import Offline
watch = Offline()
watch.forbids = True
from camviewer.__main__ import main
status = main(sys.argv[1:])
assert not watch.refused, watch.refused
sys.exit(status)
"""


def test_the_watch_sees_what_python_asks_for(no_network: Offline) -> None:
    with pytest.raises(PermissionError, match="asked for the network"):
        socket.create_connection(("localhost", 9))
    assert no_network.take()
    left, right = socket.socketpair()
    left.close()
    right.close()
    assert not no_network.take(), "processes may talk to each other"


def run_watched(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(ROOT)))}
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_the_window_works_without_the_network() -> None:
    done = run_watched("--smoke-test")
    assert done.returncode == 0, done.stderr


def test_the_command_line_works_without_the_network(tmp_path: Path) -> None:
    demo = ROOT / "resources" / "demo"
    image = sorted((demo / "images").iterdir())[0]
    done = run_watched(
        "explain", str(image), "--model", str(demo / "model.safetensors"), "--method", "cam", "--out", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr


def test_only_asking_for_published_weights_reaches_for_the_network(no_network: Offline) -> None:
    load_classifier(LoadRequest(model="squeezenet1_1", device="cpu"))
    assert not no_network.take(), "an architecture without weights is built here"
    with pytest.raises(CamviewerError) as refused:
        load_classifier(LoadRequest(model="squeezenet1_1", device="cpu", allow_download=True))
    assert "\n" not in refused.value.message
    assert no_network.take(), "the download is what the person asked for"


def test_a_photographs_place_and_device_stay_at_home(tmp_path: Path) -> None:
    """Masks and overlays are new pictures, and copies of the photograph lose its tags."""
    from camviewer.cli import main

    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    tags = Image.Exif()
    tags[0x010F] = "SECRET-CAMERA"  # make
    tags.get_ifd(0x8825)[1] = "N"  # GPS
    tags.get_ifd(0x8825)[29] = "SECRET-PLACE"
    source = sorted((ROOT / "resources" / "demo" / "images").iterdir())[0]
    with Image.open(source) as image:
        image.save(folder / "photo.jpg", exif=tags)
    assert b"SECRET" in (folder / "photo.jpg").read_bytes()
    model = ROOT / "resources" / "demo" / "model.safetensors"
    assert main(["explain", str(folder), "--model", str(model), "--method", "cam", "--out", str(out)]) == 0
    assert main(["export", str(out), "--format", "coco", "--out", str(tmp_path / "coco")]) == 0
    assert (
        main(["export", str(out), "--format", "yolo-detection", "--images", "copy", "--out", str(tmp_path / "yolo")])
        == 0
    )
    written = [
        path for place in (out, tmp_path / "coco", tmp_path / "yolo") for path in place.rglob("*") if path.is_file()
    ]
    assert len(written) > 5
    carrying = [path.name for path in written if b"SECRET" in path.read_bytes()]
    assert carrying == []


def test_thumbnails_are_written_nowhere(tmp_path: Path) -> None:
    """They are made anew in memory, so there is no copy of a photograph to clear."""
    from camviewer.images.thumbnails import read_thumbnail

    before = set(Path(os.environ["HOME"]).rglob("*"))
    read_thumbnail(sorted((ROOT / "resources" / "demo" / "images").iterdir())[0], side=160)
    assert set(Path(os.environ["HOME"]).rglob("*")) == before
