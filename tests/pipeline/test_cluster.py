"""A folder on a cluster gives what this machine gives, also when a worker dies."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from camviewer.cli import main
from camviewer.errors import UsageError
from camviewer.images.scan import scan
from camviewer.pipeline import cluster
from camviewer.pipeline.explain import Explained, Failure
from camviewer.pipeline.settings import ExplainSettings

DEMO = Path(__file__).resolve().parents[2] / "resources" / "demo"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Four images of the demo and a broken one."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted((DEMO / "images").iterdir())[:4]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder


def arguments(inputs: Path, out: Path) -> list[str]:
    model = str(DEMO / "model.safetensors")
    return ["explain", str(inputs), "--model", model, "--method", "gradcam", "--batch-size", "2", "--out", str(out)]


def assert_same(here: Path, there: Path) -> None:
    first, second = (json.loads((folder / "explain.json").read_text(encoding="utf-8")) for folder in (here, there))
    assert first["run"] == second["run"]
    assert [image["file"] for image in first["images"]] == [image["file"] for image in second["images"]]
    for one, other in zip(first["images"], second["images"], strict=True):
        assert one.get("error") == other.get("error")
        for a, b in zip(one.get("maps", []), other.get("maps", []), strict=True):
            mine, theirs = np.load(here / a["file"]), np.load(there / b["file"])
            assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(mine).max()
    assert {p.relative_to(here) for p in here.rglob("*")} == {p.relative_to(there) for p in there.rglob("*")}


def test_without_ray_the_sentence_says_what_to_install(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*arguments(inputs, tmp_path / "out"), "--engine", "ray"]) == 2
    assert "camviewer[ray]" in capsys.readouterr().err
    assert main([*arguments(inputs, tmp_path / "out"), "--workers", "2"]) == 2
    assert "--engine ray" in capsys.readouterr().err


def test_a_worker_gives_a_row_for_each_image(inputs: Path, tmp_path: Path) -> None:
    """The worker itself needs no cluster."""
    from camviewer.models.records import LoadRequest

    settings = ExplainSettings((inputs,), tmp_path / "out", LoadRequest(weights=DEMO / "model.safetensors"))
    images = scan([inputs])
    groups = cluster.group_images(images, 2)
    assert [len(group) for group in groups] == [2, 2, 1]
    rows = cluster.Worker(settings).explain([image.path for image in images])
    kinds = {image.path.name: type(row) for image, row in zip(images, rows, strict=True)}
    assert kinds.pop("broken.jpg") is Failure
    assert set(kinds.values()) == {Explained}


def test_files_of_the_network_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from camviewer.models.records import LoadRequest

    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("")
    load = LoadRequest(model="net.py", weights=Path("net.pth"), labels=Path("names.txt"))
    made = cluster.absolute(ExplainSettings((Path(),), Path("out"), load)).load
    assert (made.model, made.weights, made.labels) == (
        str(tmp_path / "net.py"), tmp_path / "net.pth", tmp_path / "names.txt",
    )  # fmt: skip
    assert cluster.absolute(ExplainSettings((), Path(), LoadRequest(model="resnet18"))).load.model == "resnet18"


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_a_cluster_gives_what_this_machine_gives(inputs: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(arguments(inputs, here)) == 1, "one file is broken"
    assert main([*arguments(inputs, there), "--engine", "ray", "--workers", "2"]) == 1
    assert_same(here, there)


class Mortal(cluster.Worker):
    """Dies once, in the middle of its work."""

    def __call__(self, batch: cluster.Batch) -> cluster.Batch:
        mark = Path(os.environ["CAMVIEWER_TEST_MARK"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_a_killed_worker_costs_nothing(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setenv("CAMVIEWER_TEST_MARK", str(tmp_path / "died"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(__file__).parents[n]) for n in (0, 1, 2)))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_cluster

    monkeypatch.setattr(cluster, "Worker", test_cluster.Mortal)
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(arguments(inputs, here)) == 1
    assert main([*arguments(inputs, there), "--engine", "ray", "--workers", "2"]) == 1
    assert (tmp_path / "died").exists()
    assert_same(here, there)


def test_the_engine_needs_ray_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed"):
        cluster.on_cluster()


def test_a_cluster_of_its_own_gets_time_and_a_token_and_what_is_set_stands() -> None:
    mine, other = cluster.own_environment({}), cluster.own_environment({})
    assert {name: mine.get(name) for name in cluster.PATIENCE} == cluster.PATIENCE
    assert len(mine["RAY_AUTH_TOKEN"]) == 64
    assert mine["RAY_AUTH_TOKEN"] != other["RAY_AUTH_TOKEN"]
    assert cluster.own_environment({**cluster.PATIENCE, "RAY_AUTH_MODE": "disabled"}) == {}


class Ray(ModuleType):
    """As much of Ray as runs in this process: it starts at a certain try or never, and maps a table or stops."""

    class RayError(Exception):
        pass

    def __init__(self, *, starts: int = 1, stops: bool = False) -> None:
        super().__init__("ray")
        self.data, self.exceptions = self, self
        self.__path__: list[str] = []
        self.DataContext, self.execution_options = self, SimpleNamespace()
        self._starts, self._stops, self.running, self.tries = starts, stops, False, 0

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **_options: object) -> None:
        self.tries += 1
        if self.tries != self._starts:
            raise Exception("The current node timed out during startup.")
        self.running = True

    def shutdown(self) -> None:
        self.running = False

    def get_current(self) -> Ray:
        return self

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def ActorPoolStrategy(self, *, size: int) -> int:
        return size

    def from_items(self, items: list[dict[str, bytes]], *, override_num_blocks: int) -> Ray:
        assert override_num_blocks == len(items)
        self._items = items
        return self

    def map_batches(self, worker: type, *, fn_constructor_args: tuple, compute: int, **_options: object) -> Ray:
        assert compute == 2
        self._workers = [worker(*fn_constructor_args) for _ in range(compute)]
        return self

    def iter_rows(self) -> Iterator[dict[str, object]]:
        for number, item in enumerate(self._items):
            if self._stops and number:
                raise self.RayError("an actor died")
            (row,) = self._workers[number % 2]({"group": np.array([item["group"]], dtype=object)})["rows"]
            yield {"rows": row}


def with_ray(monkeypatch: pytest.MonkeyPatch, ray: Ray) -> None:
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, ray)


@pytest.mark.parametrize("starts", [1, 2])
def test_groups_travel_there_and_back(
    starts: int, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own half of the work, without a cluster's processes."""
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(arguments(inputs, here)) == 1
    ray = Ray(starts=starts)
    with_ray(monkeypatch, ray)
    assert main([*arguments(inputs, there), "--engine", "ray"]) == 1
    assert_same(here, there)
    assert not ray.running


@pytest.mark.parametrize(
    ("ray", "words"),
    [
        (Ray(starts=0), "The cluster cannot be reached or started. Try again."),
        (Ray(stops=True), "The cluster stopped computing. Its own log tells why."),
    ],
)
def test_a_cluster_that_fails_is_one_sentence(
    ray: Ray,
    words: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_ray(monkeypatch, ray)
    assert main([*arguments(inputs, tmp_path / "out"), "--engine", "ray"]) == 2
    assert words in capsys.readouterr().err
    assert not ray.running
