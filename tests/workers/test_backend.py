"""The torch backend behind the engine: real networks, real threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_engine import Recorder
from PIL import Image
from probe import draw_pixels

from camviewer.cam.requests import MapRequest
from camviewer.images.decode import read_image
from camviewer.models.records import LoadRequest
from camviewer.pipeline.computation import Computation
from camviewer.pipeline.explain import explain_image
from camviewer.pipeline.export import ExportRequest
from camviewer.regions.rules import RegionRule
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ComputeBatch, ComputeMaps, Export, LoadModel, StartEngine

TIMEOUT = 60_000


@pytest.fixture
def engine(qapp):
    engine = Engine()
    yield engine
    assert engine.close(timeout_ms=TIMEOUT)


@pytest.fixture
def seen(engine):
    return Recorder(engine)


@pytest.fixture
def load(checkpoint):
    return LoadModel(LoadRequest(weights=checkpoint, input_size=64))


def wait_idle(qtbot, engine) -> None:
    qtbot.waitUntil(lambda: not engine.busy, timeout=TIMEOUT)


def test_devices_and_versions_are_reported(qtbot, engine, seen):
    engine.submit(StartEngine())
    wait_idle(qtbot, engine)
    (started,) = seen.payloads("engine_started")
    assert started.devices[-1].name == "cpu"
    assert started.versions["torch"]


def test_a_loaded_model_has_timed_layers(qtbot, engine, seen, load):
    engine.submit(load)
    wait_idle(qtbot, engine)
    (loaded,) = seen.payloads("model_loaded")
    layers = {layer.name: layer for layer in loaded.summary.layers}
    assert all(layer.seconds > 0 for layer in layers.values() if layer.calls)
    assert layers["features"].seconds >= layers["features.0"].seconds + layers["features.3"].seconds


def test_layers_that_cannot_be_timed_are_no_obstacle(qtbot, engine, seen, load, monkeypatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("camviewer.models.classifier.measure_seconds", fail)
    engine.submit(load)
    wait_idle(qtbot, engine)
    assert not seen.payloads("failed")
    (loaded,) = seen.payloads("model_loaded")
    assert all(layer.seconds is None for layer in loaded.summary.layers)


def test_maps_are_those_of_the_pipeline(qtbot, engine, seen, load, checkpoint, pictures):
    request = MapRequest(methods=("gradcam", "cam"), classes="all")
    engine.submit(load)
    engine.submit(ComputeMaps(pictures / "a.png", request))
    wait_idle(qtbot, engine)
    assert not seen.payloads("failed")
    (ready,) = seen.payloads("maps_ready")
    pixels = read_image(pictures / "a.png")
    expected = explain_image(Computation(load.request), pictures / "a.png", pixels, request, RegionRule())
    assert len(ready.explanation.maps) == 8
    for left, right in zip(ready.explanation.maps, expected.explanation.maps, strict=True):
        assert isinstance(left.values, np.ndarray)
        np.testing.assert_allclose(left.values, right.values, atol=1e-5)


def test_a_changed_file_is_computed_anew(qtbot, engine, seen, load, pictures):
    request = MapRequest()
    engine.submit(load)
    engine.submit(ComputeMaps(pictures / "a.png", request))
    wait_idle(qtbot, engine)
    Image.fromarray(draw_pixels(77, width=50, height=60)).save(pictures / "a.png")
    engine.submit(ComputeMaps(pictures / "a.png", request))
    wait_idle(qtbot, engine)
    first, second = seen.payloads("maps_ready")
    assert first.explanation.plan.image_size == (100, 80)
    assert second.explanation.plan.image_size == (50, 60)


def test_a_batch_gives_maps_boxes_and_masks_and_names_what_failed(qtbot, engine, seen, load, pictures):
    (pictures / "bad.png").write_bytes(b"")
    paths = tuple(sorted(path for path in pictures.rglob("*") if path.is_file()))
    engine.submit(load)
    engine.submit(ComputeBatch(paths, MapRequest(methods=("gradcam",)), RegionRule(components="all")))
    wait_idle(qtbot, engine)
    answers = seen.payloads("image_computed")
    assert [answer.path for answer in answers] == list(paths)
    for answer in answers:
        if answer.path.name == "bad.png":
            assert answer.result.error.kind == "image"
            assert answer.result.error.message == "bad.png cannot be read. The file is empty."
            continue
        (found,) = answer.result.maps
        assert found.mask.shape == answer.result.size[::-1]
        assert found.mask.any() and found.boxes
    assert seen.payloads("finished")


def test_score_cam_reports_partial_maps_and_is_cancelled_within(qtbot, engine, seen, checkpoint, pictures):
    engine.submit(LoadModel(LoadRequest(weights=checkpoint, input_size=224)))
    job = ComputeMaps(pictures / "a.png", MapRequest(methods=("scorecam",)))
    with qtbot.waitSignal(engine.partial_ready, timeout=TIMEOUT) as signal:
        engine.submit(job)
    partial = signal.args[0]
    assert partial.token == job.token
    assert partial.map.values.shape == (13, 13)
    assert any("partial" in flag for flag in partial.map.flags)
    engine.cancel(job.token)
    wait_idle(qtbot, engine)
    assert seen.ends(job.token) == ["cancelled"]


def test_without_a_model_the_sentence_says_so(qtbot, engine, seen, pictures):
    engine.submit(ComputeMaps(pictures / "a.png", MapRequest()))
    wait_idle(qtbot, engine)
    assert seen.payloads("failed")[0].message == "No model is open. Open one first."


def test_a_bad_checkpoint_keeps_the_loaded_network(qtbot, engine, seen, load, pictures, tmp_path):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"nothing")
    engine.submit(load)
    wait_idle(qtbot, engine)
    engine.submit(LoadModel(LoadRequest(weights=bad)))
    engine.submit(ComputeMaps(pictures / "a.png", MapRequest()))
    wait_idle(qtbot, engine)
    assert "bad.pth" in seen.payloads("failed")[0].message
    assert len(seen.payloads("maps_ready")) == 1


def test_an_export_runs_in_its_own_thread(qtbot, engine, seen, tmp_path):
    job = Export(ExportRequest(source=tmp_path, format="coco", out=tmp_path / "out"))
    engine.submit(job)
    wait_idle(qtbot, engine)
    assert seen.ends(job.token) == ["failed"]
    assert seen.payloads("failed")[0].kind != "unexpected"


def test_closing_during_score_cam_is_clean_in_a_process_of_its_own(checkpoint, pictures, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication, QObject, Slot
from camviewer.workers.engine import Engine
from camviewer.workers.jobs import ComputeMaps, LoadModel, LoadRequest, MapRequest, StartEngine
assert "torch" not in sys.modules
app = QCoreApplication([])
engine = Engine()
class Closer(QObject):
    @Slot(object)
    def close(self, _partial):
        assert engine.close(timeout_ms=30000)
        app.quit()
closer = Closer()
engine.partial_ready.connect(closer.close)
engine.failed.connect(print)
engine.submit(StartEngine())
engine.submit(LoadModel(LoadRequest(weights=Path({str(checkpoint)!r}))))
engine.submit(ComputeMaps(Path({str(pictures / "a.png")!r}), MapRequest(methods=("scorecam",))))
sys.exit(app.exec())
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_window_side_needs_no_torch():
    code = "import sys, camviewer.workers.engine, camviewer.workers.jobs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_vanishes_is_one_sentence(qtbot, engine, seen, load, tmp_path):
    engine.submit(load)
    engine.submit(ComputeMaps(Path(tmp_path / "gone.png"), MapRequest()))
    wait_idle(qtbot, engine)
    assert seen.payloads("failed")[0].message == "gone.png cannot be read. The file is not there."
